//! The watch over slow callbacks: while one source runs, all others wait.
//!
//! Reading the clock for every event would cost more than many a handler. So the watch collects
//! the kinds of up to [`WINDOW`] sources and reads the clock once for all of them. When a
//! window was slow, the report names those in it, and for a while afterwards every dispatch is
//! timed alone, so that the culprit is named alone when it does it again. One dispatch in
//! [`SAMPLE_EVERY`] has a window to itself as well, to know where the time goes.

use std::time::Duration;

use super::metrics::SLOW_CALLBACK;
use super::names::{Kind, Names};

/// Dispatches that share one reading of the clock.
const WINDOW: usize = 16;
/// Dispatches timed alone after a slow window.
const SUSPICIOUS: u64 = 100_000;
/// One dispatch in about so many is timed alone.
const SAMPLE_EVERY: u64 = 64;

#[derive(Debug)]
pub(super) struct Watch {
    kinds: [Kind; WINDOW],
    /// How many of `kinds` are of this window.
    len: usize,
    /// How many may be.
    limit: usize,
    /// When the window began, in nanoseconds since the loop began.
    began: u64,
    /// Dispatches left to time alone.
    alone: u64,
    /// Dispatches since one was taken for a sample.
    unsampled: u64,
}

/// What a window was like.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) dispatches: u64,
    pub(super) took: Duration,
    pub(super) is_slow: bool,
    /// Who ran, if it was one alone and is a sample.
    pub(super) sample: Option<Kind>,
}

impl Watch {
    pub(super) fn new() -> Watch {
        Watch {
            kinds: [Kind::default(); WINDOW],
            len: 0,
            limit: WINDOW,
            began: 0,
            alone: 0,
            unsampled: 0,
        }
    }

    /// A window begins now. How many dispatches were in the one that it is in place of.
    pub(super) fn begin(&mut self, nanos: u64) -> u64 {
        self.began = nanos;
        std::mem::take(&mut self.len) as u64
    }

    /// Remembers that a source of this kind runs.
    #[inline(always)]
    pub(super) fn note(&mut self, kind: Kind) {
        self.kinds[self.len % WINDOW] = kind;
        self.len += 1;
    }

    /// Whether it is time to read the clock and close the window.
    #[inline(always)]
    pub(super) fn is_due(&self) -> bool {
        self.len >= self.limit
    }

    /// Ends the window at `nanos` and begins the next. Reports it if it was slow.
    pub(super) fn close(&mut self, nanos: u64, names: &Names) -> Window {
        let took = Duration::from_nanos(nanos.saturating_sub(self.began));
        let is_slow = took > SLOW_CALLBACK && self.len > 0;
        if is_slow {
            self.report(took, names);
        }
        let is_sample = self.unsampled >= SAMPLE_EVERY && self.len == 1;
        let sample = is_sample.then_some(self.kinds[0]);
        let dispatches = self.begin(nanos);
        self.alone = match is_slow {
            true => SUSPICIOUS,
            false => self.alone.saturating_sub(dispatches),
        };
        self.unsampled = match is_sample {
            true => 1,
            false => self.unsampled + dispatches,
        };
        let is_alone = self.alone > 0 || self.unsampled >= SAMPLE_EVERY;
        self.limit = if is_alone { 1 } else { WINDOW };
        Window {
            dispatches,
            took,
            is_slow,
            sample,
        }
    }

    #[cold]
    fn report(&self, took: Duration, names: &Names) {
        let kinds = &self.kinds[..self.len.min(WINDOW)];
        let mut names: Vec<&str> = kinds.iter().map(|kind| names.name(*kind)).collect();
        names.sort_unstable();
        names.dedup();
        let among = self.len;
        let sources = names.join(", ");
        tracing::warn!(target: "trine::loop", sources, ?took, among, "slow callback: everybody waited for it");
    }
}
