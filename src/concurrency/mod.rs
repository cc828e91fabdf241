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
//! | [leader/followers](LeaderFollowers) | whoever leads | the same thread | the connection, out of and back into its seat |
//! | [loop per core](LoopPerCore) | n threads | that thread | the drain |
//!
//! The service is the same under each; [`Server::under`](crate::Server::under) takes one by a value.

#[cfg(feature = "testing")]
mod crew;
mod fellows;
mod half_sync_half_async;
mod leader_followers;
mod loop_per_core;
mod metrics;
mod request_queue;
mod steps;
mod worker_pool;

pub use fellows::Fellows;
pub use half_sync_half_async::{HalfSyncHalfAsync, Whole, WorkerOptions};
pub use leader_followers::{Handler, LeaderFollowers, TeamContext, TeamMetrics, TeamOptions};
pub use loop_per_core::{Core, LoopPerCore, Pinning};
pub use metrics::{WorkerMeter, WorkerMetrics};
pub use request_queue::{Bounds, Permit, Popped, QueueError, RequestQueue};
pub use worker_pool::WorkerPool;

#[cfg(feature = "testing")]
pub(crate) use crew::Crew;
pub(crate) use leader_followers::Members;
pub(crate) use steps::{Started, Step, Steps, Threads};

#[cfg(all(test, trine_loom))]
mod tests;
