//! Work for several threads: the request queue, who takes from it, and the patterns on top.
//!
//! ```text
//!   loop ── try_reserve, push ──> RequestQueue ── pop ──> WorkerPool: threads that may wait
//! ```
//!
//! | model | turns the loop | calls the service | crosses threads |
//! |---|---|---|---|
//! | single loop | one thread | that thread | nothing |
//! | [half-sync/half-async](HalfSyncHalfAsync) | one thread | workers, which may block | the request by a queue, its answer by a wake-up |
//!
//! The service is the same under each.

mod half_sync_half_async;
mod metrics;
mod request_queue;
mod worker_pool;

pub use half_sync_half_async::{HalfSyncHalfAsync, Whole, WorkerOptions};
pub use metrics::{WorkerMeter, WorkerMetrics};
pub use request_queue::{Bounds, Permit, Popped, QueueError, RequestQueue};
pub use worker_pool::WorkerPool;

#[cfg(all(test, trine_loom))]
mod tests;
