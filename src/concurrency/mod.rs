//! Work for several threads: the request queue, and who takes from it.
//!
//! ```text
//!   loop ── try_reserve, push ──> RequestQueue ── pop ──> threads that may wait
//! ```

mod request_queue;
mod thread;

pub use request_queue::{Bounds, Permit, Popped, QueueError, RequestQueue};

pub(crate) use thread::start_thread;
