//! What workers count. One lock guards it, so that what is read adds up at any moment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counters of the workers behind one server.
///
/// Each request that was accepted is in exactly one of `queued`, `running`, `done` and `cancelled`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// Requests that got a place in the queue.
    pub accepted: u64,
    /// Of these, that wait now.
    pub queued: u64,
    /// Of these, that a worker has in hand now.
    pub running: u64,
    /// Of these, for which the service was called and has returned, or panicked.
    pub done: u64,
    /// Of these, that nobody waited for any more before their turn came.
    pub cancelled: u64,
    /// Requests that a full queue turned away with 503.
    pub refused: u64,
    /// Calls of the service that panicked.
    pub panics: u64,
    /// Workers made in place of one that panicked outside a call.
    pub replaced: u64,
}

/// Reads the counters from any thread. Clones read the same.
#[derive(Clone, Debug)]
pub struct WorkerMeter {
    counted: Arc<Mutex<WorkerMetrics>>,
    replaced: Arc<AtomicU64>,
}

impl WorkerMeter {
    pub(super) fn new(counted: Arc<Mutex<WorkerMetrics>>, replaced: Arc<AtomicU64>) -> WorkerMeter {
        WorkerMeter { counted, replaced }
    }

    /// The counters at one moment.
    #[must_use]
    pub fn read(&self) -> WorkerMetrics {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        WorkerMetrics {
            replaced: self.replaced.load(Ordering::Relaxed),
            ..*counted
        }
    }
}

/// Counts by `change`, which is short.
pub(super) fn count(counted: &Mutex<WorkerMetrics>, change: impl FnOnce(&mut WorkerMetrics)) {
    change(&mut counted.lock().unwrap_or_else(PoisonError::into_inner));
}
