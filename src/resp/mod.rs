//! The protocol of Redis, without I/O: commands out of bytes, replies as bytes.
//!
//! Commands come as arrays or as lines. Replies go in version 2 of the protocol, or 3 for clients that
//! ask for it.

mod encoder;
mod error;
mod inline;
mod limits;
mod request_parser;

pub use encoder::{Protocol, ReplyEncoder};
pub use error::ProtocolError;
pub use limits::RespLimits;
pub use request_parser::{Arguments, Progress, RequestParser};
