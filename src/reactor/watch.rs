//! The watch over slow callbacks: while one source runs, all others wait.
//!
//! Reading the clock for every event would cost more than many a handler. So the watch collects
//! the names of up to [`WINDOW`] dispatches and reads the clock once for all of them. When a
//! window was slow, the report names those in it, and for a while afterwards every dispatch is
//! timed alone, so that the culprit is named alone when it does it again.

use std::time::Duration;

use super::metrics::SLOW_CALLBACK;

/// Dispatches that share one reading of the clock.
const WINDOW: usize = 16;
/// Dispatches timed alone after a slow window.
const SUSPICIOUS: u32 = 100_000;

#[derive(Debug)]
pub(super) struct Watch {
    names: [&'static str; WINDOW],
    /// How many of `names` are of this window.
    len: usize,
    /// When the window began, in nanoseconds since the loop began.
    began: u64,
    /// Dispatches left to time alone.
    alone: u32,
}

impl Watch {
    pub(super) fn new() -> Watch {
        Watch {
            names: [""; WINDOW],
            len: 0,
            began: 0,
            alone: 0,
        }
    }

    /// A window begins now.
    pub(super) fn begin(&mut self, nanos: u64) {
        self.began = nanos;
        self.len = 0;
    }

    /// Remembers that `name` runs.
    #[inline]
    pub(super) fn note(&mut self, name: &'static str) {
        self.names[self.len % WINDOW] = name;
        self.len += 1;
    }

    /// Who ran last in this window.
    pub(super) fn latest(&self) -> Option<&'static str> {
        let latest = self.len.checked_sub(1)?;
        Some(self.names[latest % WINDOW])
    }

    /// Whether it is time to read the clock and close the window.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.len >= WINDOW || self.alone > 0
    }

    /// Ends the window at `nanos` and begins the next. True, and reported, when it was slow.
    pub(super) fn close(&mut self, nanos: u64) -> bool {
        let took = Duration::from_nanos(nanos.saturating_sub(self.began));
        let slow = took > SLOW_CALLBACK && self.len > 0;
        if slow {
            self.report(took);
        }
        self.alone = if slow {
            SUSPICIOUS
        } else {
            self.alone.saturating_sub(self.len as u32)
        };
        self.begin(nanos);
        slow
    }

    #[cold]
    fn report(&self, took: Duration) {
        let mut names = self.names[..self.len.min(WINDOW)].to_vec();
        names.sort_unstable();
        names.dedup();
        let among = self.len;
        let sources = names.join(", ");
        tracing::warn!(target: "trine::loop", sources, ?took, among, "slow callback: everybody waited for it");
    }
}
