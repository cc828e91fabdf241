//! On what terms an operation runs: the time, which is read at most once, and the time to live.

use std::cell::Cell;

use crate::storage::{Clock, Revision};
use crate::time::{Span, Tick};

/// The time of a batch, and how a value's end is chosen.
pub(super) struct Terms<'a> {
    clock: &'a dyn Clock,
    now: Cell<Option<Tick>>,
    /// From ticks to milliseconds since 1970.
    wall_offset: i64,
    jitter_percent: u8,
    ttl: Option<Span>,
}

impl<'a> Terms<'a> {
    pub(super) fn new(clock: &'a dyn Clock, wall_offset: i64, jitter_percent: u8) -> Terms<'a> {
        Terms {
            clock,
            now: Cell::new(None),
            wall_offset,
            jitter_percent,
            ttl: None,
        }
    }

    /// The same time, for a value that is to live so long.
    pub(super) fn with_ttl(&mut self, ttl: Option<Span>) -> &Terms<'a> {
        self.ttl = ttl;
        self
    }

    pub(super) fn has_ttl(&self) -> bool {
        self.ttl.is_some()
    }

    #[inline]
    pub(super) fn now(&self) -> Tick {
        match self.now.get() {
            Some(now) => now,
            None => {
                let now = self.clock.now();
                self.now.set(Some(now));
                now
            }
        }
    }

    /// Whether what ends at `end` is there no more.
    #[inline]
    pub(super) fn is_over(&self, end: Tick) -> bool {
        end != Tick::NEVER && end <= self.now()
    }

    /// When a value written now goes. Some of its time is left out, by chance: `revision`, which is
    /// new each time, is stirred for it.
    #[inline]
    pub(super) fn expires(&self, revision: Revision) -> Tick {
        let Some(ttl) = self.ttl else {
            return Tick::NEVER;
        };
        let at_most = ttl.as_millis() / 100 * u64::from(self.jitter_percent);
        let less = match at_most {
            0 => 0,
            at_most => stirred(revision.get()) % (at_most + 1),
        };
        let left = (ttl.as_millis() - less).max(1);
        self.now().after(Span::from_millis(left))
    }

    /// An end in milliseconds since 1970.
    #[inline]
    pub(super) fn unix_millis(&self, end: Tick) -> Option<u64> {
        (end != Tick::NEVER).then(|| end.0.saturating_add_signed(self.wall_offset))
    }
}

/// The last step of SplitMix64, after which numbers that follow one another are far apart.
fn stirred(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
