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
//! outcomes. The storage unit owns the threads and the queues. Adapters know neither connections
//! nor loops; nothing in the library imports one: user code joins a service to a store.
//!
//! What an `Ok` means is asked for with each request, as [`Durability`], and promised by each store,
//! in its [`Capabilities`]: no answer to a write comes before the write is as durable as was asked.
//! What an error means is one of five [`Fault`]s, which say whether the write may have happened.
//!
//! | what | where |
//! |---|---|
//! | operations, outcomes, faults | `storage/operation.rs`, `storage/fault.rs` |
//! | the traits of an adapter | `storage/store.rs` |
//! | the durable store, on an embedded database | `storage/durable/mod.rs` |
//! | the store for many writes, on a log-structured tree | `storage/fjall/mod.rs` |
//! | what embedded engines share | `storage/envelope.rs`, `storage/rows.rs` |
//! | the suite that every store passes (feature `testing`) | `storage/conformance/mod.rs` |
//! | queues, threads, order per key | `storage/unit.rs`, `storage/lane.rs`, `storage/pending.rs` |

mod clock;
#[cfg(feature = "testing")]
pub mod conformance;
mod fault;
mod operation;
mod store;

#[cfg(any(feature = "durable", feature = "fjall"))]
mod envelope;
#[cfg(any(feature = "durable", feature = "fjall"))]
mod open_error;
#[cfg(any(feature = "durable", feature = "fjall"))]
mod rows;

#[cfg(feature = "durable")]
pub mod durable;

#[cfg(feature = "fjall")]
pub mod fjall;

pub use clock::{Clock, SystemClock};
pub use fault::{Fault, Outcome};
#[cfg(any(feature = "durable", feature = "fjall"))]
pub use open_error::OpenError;
pub use operation::{
    Condition, Durability, Entry, Operation, Page, Reply, Request, Revision, Written,
};
pub use store::{Atomic, Capabilities, InPlace, Outcomes, Session, Store};
