//! What a storage unit counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of a [`StorageUnit`](super::StorageUnit) since it began.
///
/// Each operation that was queued is in exactly one of `queued`, `running`, `done`, `late` and
/// `cancelled`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct UnitMetrics {
    /// Operations that were put into a queue.
    pub accepted: u64,
    /// Of these, that wait now.
    pub queued: u64,
    /// Of these, that are being done now.
    pub running: u64,
    /// Of these, that have an outcome from their session.
    pub done: u64,
    /// Of these, that were not begun before their deadline.
    pub late: u64,
    /// Of these, that nobody waited for any more when their turn came.
    pub cancelled: u64,
    /// Operations that a full queue turned away.
    pub busy: u64,
    /// Operations that were done at once on the thread that asked.
    pub in_place: u64,
    /// Batches that were given to sessions.
    pub batches: u64,
    /// Panics of sessions.
    pub panics: u64,
    /// Attempts to reopen a session.
    pub reopens: u64,
}

/// The same, counted by many threads.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub accepted: AtomicU64,
    pub running: AtomicU64,
    pub done: AtomicU64,
    pub late: AtomicU64,
    pub cancelled: AtomicU64,
    pub busy: AtomicU64,
    pub in_place: AtomicU64,
    pub batches: AtomicU64,
    pub panics: AtomicU64,
    pub reopens: AtomicU64,
}

/// One more.
pub(super) fn count(counter: &AtomicU64) {
    add(counter, 1);
}

/// So many more.
pub(super) fn add(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

/// So many fewer.
pub(super) fn subtract(counter: &AtomicU64, fewer: usize) {
    counter.fetch_sub(fewer as u64, Ordering::Relaxed);
}

impl Counters {
    /// What they say now. Taken one by one, so a busy unit may be off by what happens meanwhile.
    pub fn read(&self) -> UnitMetrics {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (running, done) = (of(&self.running), of(&self.done));
        let (late, cancelled) = (of(&self.late), of(&self.cancelled));
        let accepted = of(&self.accepted);
        UnitMetrics {
            accepted,
            queued: accepted.saturating_sub(running + done + late + cancelled),
            running,
            done,
            late,
            cancelled,
            busy: of(&self.busy),
            in_place: of(&self.in_place),
            batches: of(&self.batches),
            panics: of(&self.panics),
            reopens: of(&self.reopens),
        }
    }
}
