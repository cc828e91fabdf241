//! Work for several threads: the request queue, and who takes from it.
//!
//! ```text
//!   loop ── try_reserve, push ──> RequestQueue ── pop ──> threads that may wait
//! ```

mod request_queue;
mod sync;

pub use request_queue::{Bounds, Permit, QueueError, RequestQueue};
