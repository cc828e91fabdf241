//! Work for several threads: the request queue, and who takes from it.
//!
//! ```text
//!   loop ── try_reserve, push ──> RequestQueue ── pop ──> WorkerPool: threads that may wait
//! ```

mod request_queue;
mod thread;
mod worker_pool;

pub use request_queue::{Bounds, Permit, Popped, QueueError, RequestQueue};
pub use worker_pool::WorkerPool;

pub(crate) use thread::start_thread;

#[cfg(all(test, trine_loom))]
mod tests;
