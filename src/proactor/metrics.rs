//! What a proactor has counted.

use super::operation::Outcome;

/// Counters of a [`Proactor`](super::Proactor).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ProactorMetrics {
    /// Operations that began.
    pub started: u64,
    /// Operations that are over, however they ended. `started - ended` are under way.
    pub ended: u64,
    /// Of those, cancelled.
    pub cancelled: u64,
    /// Of those, failed.
    pub failed: u64,
    /// Completions of operations that went on.
    pub intermediate: u64,
    /// Completions that were told and not taken.
    pub untaken: u64,
    /// Buffers of the proactor's own that were made.
    pub buffers_made: u64,
    /// Descriptors that operations may be started on, or that still have some under way.
    pub descriptors: usize,
    /// Calls of `io_uring_enter`; 0 when emulated.
    pub enters: u64,
    /// Times the kernel had more completions than there was room for; 0 when emulated.
    pub overflows: u64,
}

impl ProactorMetrics {
    pub(super) fn count(&mut self, outcome: &Outcome, more: bool) {
        match more {
            true => self.intermediate += 1,
            false => self.ended += 1,
        }
        match outcome {
            Outcome::Cancelled(_) => self.cancelled += 1,
            Outcome::Failed(..) => self.failed += 1,
            _ => {}
        }
    }
}
