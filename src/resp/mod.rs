//! The protocol of Redis as a second one on the same loop: what its clients and tools speak, answered
//! from a [storage unit](crate::storage).
//!
//! ```text
//!   stream of the loop ── bytes ──> Conversation ── operations ──> StorageUnit
//!           ^                          │    ^                          │
//!           └───────── replies ────────┘    └── Mailbox, wake-up <─────┘
//! ```
//!
//! [`RespServer`] listens; a [`Conversation`] is one connection without its socket.
//!
//! # Commands
//!
//! | about | commands |
//! |---|---|
//! | values | `GET`, `SET` with `EX PX EXAT PXAT KEEPTTL NX XX GET`, `SETNX`, `SETEX`, `PSETEX`, `GETSET`, `MGET`, `MSET` |
//! | numbers | `INCR`, `DECR`, `INCRBY`, `DECRBY` |
//! | keys | `DEL`, `UNLINK`, `EXISTS`, `SCAN` with `MATCH COUNT TYPE` |
//! | time | `EXPIRE`, `PEXPIRE`, `EXPIREAT`, `PEXPIREAT`, `PERSIST`, `TTL`, `PTTL` |
//! | the connection | `PING`, `ECHO`, `HELLO`, `SELECT 0`, `QUIT`, `CLIENT` with `SETNAME SETINFO GETNAME ID INFO LIST` |
//! | the server | `INFO`, `COMMAND`, `CONFIG GET` |
//!
//! Commands come as arrays or as lines, replies go in version 2 of the protocol, or 3 after `HELLO 3`.
//! Transactions, scripts, subscriptions and passwords are refused by name.
//!
//! # What differs from Redis
//!
//! - Commands of many keys are many operations: others may see some of them done, and if the store
//!   fails in between, some are.
//! - `INCR`, and `SET` with `GET` or `KEEPTTL`, read and then write if nobody wrote in between; after 64
//!   attempts they are `TRYAGAIN`. The time to live that they keep is counted anew from what is
//!   left, so it may grow by as long as the write waits.
//! - The cursors of [`SCAN`](crate::storage::Operation::Scan) are kept for 4,096 scans; one that was
//!   forgotten is `ERR invalid cursor`. What is there all the time is seen exactly once.
//! - An error begins with `TRYAGAIN` if it certainly was not done and may work later, with `UNKNOWN`
//!   if it may have been done, with `CORRUPT` or `FENCED` as the [faults](crate::storage::Fault) are.
//!
//! # Order
//!
//! Replies leave in the order of the commands. With a store that has threads, commands behind one that
//! waits for its outcome are begun meanwhile, up to 128 operations or 1 MiB: so the writes of a pipeline
//! are synced together. A command that would overtake one before it on the same key waits.
//!
//! # Known attacks
//!
//! | attack | what happens | test |
//! |---|---|---|
//! | a command that claims to be huge | nothing is reserved for what is only claimed; [`RespLimits`] | `nothing_is_reserved_for_what_is_only_claimed`, `each_rule_and_each_limit_has_its_error` |
//! | a command byte by byte | the parser goes on where it was | `the_largest_commands_come_byte_by_byte_in_linear_time` |
//! | a client that asks and does not read | above 64 KiB of replies nothing more is done for it; then it is cut as a slow reader | `a_client_that_asks_and_does_not_read_costs_little_and_is_cut` |
//! | a pipeline behind a command that waits | what is under way and what is held back is bounded; the rest is not read | `replies_that_wait_for_one_before_them_are_bounded`, `a_pipeline_that_is_too_long_waits_in_the_input_and_goes_on` |
//! | a pattern of many stars | steps back to the last star only | `a_pattern_of_many_stars_is_not_tried_in_every_way` |
//! | a web page that makes a browser talk to the server | `POST` and `Host:` close the connection without a word | `a_browser_that_was_made_to_talk_to_us_is_cut_without_a_word` |
//! | a line end in what an error repeats | it becomes a blank: no reply is split | `what_is_not_a_command_is_refused_in_the_words_of_redis` |

mod about;
mod arguments;
mod backend;
mod carrier;
mod command;
mod command_error;
mod conversation;
mod cursors;
mod encoder;
mod error;
mod execute;
mod glob;
mod handler;
mod inline;
mod later;
mod limits;
mod mailbox;
mod number;
mod outcome;
mod request_parser;
mod server;
mod set_options;
mod steps;

pub use arguments::Arguments;
pub use backend::{Backend, RespOptions};
pub use conversation::{Advance, Conversation, RespTurn, Want};
pub use encoder::{Protocol, ReplyEncoder};
pub use error::ProtocolError;
pub use limits::RespLimits;
pub use request_parser::{Progress, RequestParser};
pub use server::RespServer;
