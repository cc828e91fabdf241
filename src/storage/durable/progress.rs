//! How far a repair has come.

use std::sync::atomic::{AtomicU32, Ordering};

/// How far opening has come; shared with whoever wants to show it, say by 503 with a number.
///
/// A store that was not closed is repaired when it is opened next: the whole file is read. Nothing else
/// takes long.
#[derive(Debug, Default)]
pub struct Progress {
    permille: AtomicU32,
    repairs: AtomicU32,
}

impl Progress {
    /// From 0 to 1,000; of the repair that is or was the last one. 0 when there was none.
    #[must_use]
    pub fn permille(&self) -> u32 {
        self.permille.load(Ordering::Relaxed)
    }

    /// How many repairs have begun.
    #[must_use]
    pub fn repairs(&self) -> u32 {
        self.repairs.load(Ordering::Relaxed)
    }

    /// A repair begins.
    pub(super) fn begin(&self) {
        self.permille.store(0, Ordering::Relaxed);
        self.repairs.fetch_add(1, Ordering::Relaxed);
    }

    /// It has come to `fraction` of all.
    pub(super) fn advance(&self, fraction: f64) {
        let permille = (fraction.clamp(0.0, 1.0) * 1_000.0) as u32;
        self.permille.store(permille, Ordering::Relaxed);
    }
}
