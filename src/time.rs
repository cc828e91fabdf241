//! Time as the pure layers see it: whole milliseconds.
//!
//! A [`Tick`] is a point in time, counted on the monotonic clock of the machine (from zero in
//! virtual time), so all loops agree about it; a [`Span`] is a distance. Neither reads a clock; only
//! `reactor/clock.rs` does. All arithmetic saturates: a deadline too far to be represented
//! is [`Tick::NEVER`], which never comes.
//!
//! Rounding is chosen once, so that nothing fires early: a [`Duration`] becomes a span rounded
//! up, and the loop hands out the current tick rounded up while it expires timers by the
//! current tick rounded down. A deadline is therefore never early and at most one tick late.

use std::fmt;
use std::time::Duration;

/// A point in time: milliseconds on the monotonic clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Tick(pub u64);

impl Tick {
    /// Where the clock begins.
    pub const ZERO: Tick = Tick(0);
    /// Later than any moment that comes.
    pub const NEVER: Tick = Tick(u64::MAX);

    /// The tick `span` after this one, or [`Tick::NEVER`] when that cannot be represented.
    #[must_use]
    pub const fn after(self, span: Span) -> Tick {
        Tick(self.0.saturating_add(span.0))
    }

    /// How long it is from `earlier` to this tick; zero when `earlier` is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Tick) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

/// A length of time in whole milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);
    /// Longer than any time that passes.
    pub const MAX: Span = Span(u64::MAX);

    /// A span of `milliseconds`.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Span {
        Span(milliseconds)
    }

    /// A span of `seconds`, or [`Span::MAX`] when that cannot be represented.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Span {
        Span(seconds.saturating_mul(1_000))
    }

    /// The whole milliseconds of this span.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

/// Rounds up to a whole millisecond; [`Duration::MAX`] becomes [`Span::MAX`].
impl From<Duration> for Span {
    fn from(duration: Duration) -> Span {
        Span(u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Duration {
        Duration::from_millis(span.0)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Duration::from(*self), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_rounded_up_so_that_nothing_fires_early() {
        for (nanos, millis) in [(0, 0), (1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2)] {
            assert_eq!(Span::from(Duration::from_nanos(nanos)).as_millis(), millis);
        }
    }

    #[test]
    fn a_deadline_beyond_the_clock_never_comes() {
        assert_eq!(Tick(1).after(Span::from(Duration::MAX)), Tick::NEVER);
        assert_eq!(Tick(5).since(Tick(9)), Span::ZERO);
        assert_eq!(Span::from_secs(u64::MAX), Span::MAX);
    }
}
