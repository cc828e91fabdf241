//! The storage unit: pluggable storage behind the loop, which it never blocks.
//!
//! ```text
//!   service ── submit ──> StorageUnit ── queue ──> lane's thread ── run(batch) ──> Session of a Store
//!      ^                      │ a store that never waits: run in place                  │
//!      └──── Completion <─────┴─────────────────────────────────────────────────────────┘
//! ```
//!
//! A [`Store`] is an adapter: it opens [`Session`]s, and a session runs batches of [`Request`]s. No
//! guard, transaction or iterator crosses the trait: what a B-tree, a log-structured tree, a hash
//! table and a cluster across the network have in common is that they take operations and give
//! outcomes. The [`StorageUnit`] owns the threads and the queues. Adapters know neither connections
//! nor loops; nothing in the library imports one: user code joins a service to a store.
//!
//! What an `Ok` means is asked for with each request, as [`Durability`], and promised by each store,
//! in its [`Capabilities`]: no answer to a write comes before the write is as durable as was asked.
//! What an error means is one of five [`Fault`]s, which say whether the write may have happened.
//!
//! ```no_run
//! use trine::http::Status;
//! use trine::service::{Answered, Reply};
//! use trine::storage::{Operation, Outcome, Request, StorageUnit, Submission};
//! use trine::{Response, http};
//!
//! fn remove(unit: &StorageUnit, request: &http::Request<'_>, reply: Reply<'_>) -> Answered {
//!     let operation = Operation::Delete {
//!         key: request.path().to_owned().into(),
//!         condition: trine::storage::Condition::Any,
//!     };
//!     match unit.submit(Request::new(operation)) {
//!         Submission::Done(outcome) => reply.send(response(outcome)),
//!         Submission::Queued(place) => {
//!             let (deferred, answered) = reply.defer();
//!             place.answer(deferred, response);
//!             answered
//!         }
//!     }
//! }
//!
//! fn response(outcome: Outcome) -> Response {
//!     match outcome {
//!         Ok(_) => Response::new(Status::NO_CONTENT),
//!         Err(fault) => Response::text(fault.to_string()).with_status(Status::SERVICE_UNAVAILABLE),
//!     }
//! }
//! # let _ = remove;
//! ```
//!
//! | what | where |
//! |---|---|
//! | operations, outcomes, faults | `storage/operation.rs`, `storage/fault.rs` |
//! | the traits of an adapter | `storage/store.rs` |
//! | the store in memory: sizes, time to live, eviction | `storage/memory/mod.rs` |
//! | the durable store, on an embedded database | `storage/durable/mod.rs` |
//! | the store for many writes, on a log-structured tree | `storage/fjall/mod.rs` |
//! | what embedded engines share | `storage/envelope.rs`, `storage/rows.rs` |
//! | the suite that every store passes (feature `testing`) | `storage/conformance/mod.rs` |
//! | Redis Cluster as a store (feature `redis`) | `storage/redis_cluster/mod.rs` |
//! | queues, threads, order per key | `storage/unit.rs`, `storage/lane.rs`, `storage/pending.rs` |

mod answering;
mod clock;
#[cfg(feature = "testing")]
pub mod conformance;
mod fault;
mod health;
mod lane;
mod metrics;
mod operation;
mod pending;
#[cfg(feature = "redis")]
pub mod redis_cluster;
mod store;
mod unit;

#[cfg(any(feature = "durable", feature = "fjall"))]
mod envelope;
#[cfg(any(feature = "durable", feature = "fjall"))]
mod open_error;
#[cfg(any(feature = "durable", feature = "fjall"))]
mod rows;

pub mod memory;

#[cfg(feature = "durable")]
pub mod durable;

#[cfg(feature = "fjall")]
pub mod fjall;

pub use clock::{Clock, SystemClock};
pub use fault::{Fault, Outcome};
pub use health::Health;
pub use metrics::UnitMetrics;
#[cfg(any(feature = "durable", feature = "fjall"))]
pub use open_error::OpenError;
pub use operation::{
    Condition, Durability, Entry, Operation, Page, Reply, Request, Revision, Written,
};
#[cfg(feature = "redis")]
pub use redis_cluster::{ClusterOptions, RedisCluster};
pub use store::{Atomic, Capabilities, InPlace, Outcomes, Session, Store};
pub use unit::{Completion, Place, StorageUnit, Submission, UnitOptions};
