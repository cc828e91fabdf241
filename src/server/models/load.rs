//! How many connections a loop has and is about to have, as the other loops see it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How many connections a loop has, and how many are on the way to it, in one word: one that arrives is
/// never counted twice, nor not at all.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Those on the way in units of [`COMING`], and those that are there.
    both: AtomicU64,
    /// Whether the loop is taking in one that was on the way. Only its own thread looks at it.
    is_arriving: AtomicBool,
}

/// One connection on the way, in [`Load::both`].
const COMING: u64 = 1 << 32;

impl Load {
    pub(super) fn live(&self) -> usize {
        (self.both.load(Ordering::SeqCst) % COMING) as usize
    }

    pub(super) fn whole(&self) -> usize {
        let both = self.both.load(Ordering::SeqCst);
        (both % COMING + both / COMING) as usize
    }

    pub(super) fn enter(&self) {
        match self.is_arriving.load(Ordering::Relaxed) {
            false => self.both.fetch_add(1, Ordering::SeqCst),
            true => {
                self.is_arriving.store(false, Ordering::Relaxed);
                self.both.fetch_sub(COMING - 1, Ordering::SeqCst)
            }
        };
    }

    pub(super) fn leave(&self) {
        self.both.fetch_sub(1, Ordering::SeqCst);
    }

    pub(super) fn add_coming(&self) {
        self.both.fetch_add(COMING, Ordering::SeqCst);
    }

    pub(super) fn remove_coming(&self) {
        self.both.fetch_sub(COMING, Ordering::SeqCst);
    }

    /// The next that enters was on the way.
    pub(super) fn begin_arrival(&self) {
        self.is_arriving.store(true, Ordering::Relaxed);
    }

    /// Whether it has entered; if not, it does not any more.
    pub(super) fn has_arrived(&self) -> bool {
        !self.is_arriving.swap(false, Ordering::Relaxed)
    }
}
