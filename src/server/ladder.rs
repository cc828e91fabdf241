//! What a server does when it runs short, and from when on: the rungs of the ladder and where they
//! stand.

use std::fmt;

use super::overload::{ALL, Pressure};
use crate::reactor::{Error, ErrorKind, Result};
use crate::time::Span;

/// What a server does about being short of memory, connections or descriptors. Each rung includes
/// those before it; see the [chapter on overload](crate::server#overload).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Rung {
    /// Nothing: there is enough of everything.
    #[default]
    Normal,
    /// Connections may be idle for a shorter time, the shorter the less is left.
    ShortenIdle,
    /// The connections that have been idle for longest are closed.
    CloseIdle,
    /// Each answer is the last of its connection, and says `Connection: close`.
    NoKeepAlive,
    /// Requests are answered 503 with `Retry-After`; the service is not called.
    Refuse,
    /// Nobody is accepted; clients wait in the kernel's queue.
    PauseAccepting,
}

impl Rung {
    /// Every rung, from the lowest on, in the order of [`index`](Rung::index).
    pub const ALL: [Rung; 6] = [
        Rung::Normal,
        Rung::ShortenIdle,
        Rung::CloseIdle,
        Rung::NoKeepAlive,
        Rung::Refuse,
        Rung::PauseAccepting,
    ];

    /// The place of this rung in an array of counters, below `ALL.len()`.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The next lower one.
    pub(super) fn below(self) -> Rung {
        Rung::ALL[self.index().saturating_sub(1)]
    }
}

/// The name for logs and metrics: lower case words.
impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rung::Normal => "normal",
            Rung::ShortenIdle => "shorten idle",
            Rung::CloseIdle => "close idle",
            Rung::NoKeepAlive => "no keep-alive",
            Rung::Refuse => "refuse",
            Rung::PauseAccepting => "pause accepting",
        })
    }
}

/// From when on a server does what about being short; see [`Rung`].
///
/// A threshold is a share of what there is at most, in percent; above 100 it is never reached. All count
/// the bytes of `Server::memory_max`, the first one the connections of `Server::connections_max` too. A
/// client for whom there is no descriptor, or no connection left, calls for [`Rung::CloseIdle`]
/// whatever the shares are; no descriptor and nobody idle, for [`Rung::NoKeepAlive`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ladder {
    /// In percent, for [`Rung::ShortenIdle`].
    pub shorten_idle: u8,
    /// In percent, for [`Rung::CloseIdle`].
    pub close_idle: u8,
    /// In percent, for [`Rung::NoKeepAlive`].
    pub no_keep_alive: u8,
    /// In percent of the memory, for [`Rung::Refuse`].
    pub refuse: u8,
    /// In percent of the memory, for [`Rung::PauseAccepting`].
    pub pause_accepting: u8,
    /// In percent: how far below its threshold the share must be before a rung is left.
    pub gap: u8,
    /// For how long a rung is stayed on at least, before the next lower one.
    pub stay: Span,
    /// What [`Rung::ShortenIdle`] shortens the idle time to at most.
    pub idle_short: Span,
    /// Whoever has been idle for less is never closed to make room: its request may be on its way.
    pub idle_min: Span,
}

impl Default for Ladder {
    fn default() -> Ladder {
        Ladder {
            shorten_idle: 80,
            close_idle: 90,
            no_keep_alive: 95,
            refuse: 98,
            pause_accepting: 100,
            gap: 10,
            stay: Span::from_secs(1),
            idle_short: Span::from_secs(5),
            idle_min: Span::from_millis(100),
        }
    }
}

/// In percent: more than there can be.
const NEVER: u8 = u8::MAX;

impl Ladder {
    /// No rung is ever entered. The hard limits hold all the same.
    #[must_use]
    pub fn off() -> Ladder {
        Ladder {
            shorten_idle: NEVER,
            close_idle: NEVER,
            no_keep_alive: NEVER,
            refuse: NEVER,
            pause_accepting: NEVER,
            ..Ladder::default()
        }
    }

    /// In thousandths: from where on `rung` is entered.
    pub(super) fn threshold(&self, rung: Rung) -> u32 {
        match self.percent(rung) {
            ..=100 => u32::from(self.percent(rung)) * 10,
            101.. => u32::MAX,
        }
    }

    fn percent(&self, rung: Rung) -> u8 {
        match rung {
            Rung::Normal => 0,
            Rung::ShortenIdle => self.shorten_idle,
            Rung::CloseIdle => self.close_idle,
            Rung::NoKeepAlive => self.no_keep_alive,
            Rung::Refuse => self.refuse,
            Rung::PauseAccepting => self.pause_accepting,
        }
    }

    /// The highest rung to be on with `pressure`, where each threshold is `lowered` by so many percent.
    pub(super) fn rung(&self, pressure: &Pressure, lowered: u8) -> Rung {
        let is_called_for = |rung: &&Rung| {
            let threshold = match self.threshold(**rung) {
                u32::MAX => return false,
                threshold => threshold.saturating_sub(u32::from(lowered) * 10),
            };
            pressure.on(**rung) >= threshold
        };
        let rung = Rung::ALL.iter().rev().find(is_called_for);
        *rung.unwrap_or(&Rung::Normal)
    }

    /// How long a connection may be idle that may be for `configured` at other times: in proportion
    /// from there, where the first rung is entered, to the least there is, where the second is.
    pub(super) fn idle_span(&self, configured: Span, pressure: &Pressure) -> Span {
        let from = u64::from(self.threshold(Rung::ShortenIdle));
        let to = u64::from(self.threshold(Rung::CloseIdle).min(ALL));
        let least = self.idle_short.min(configured).as_millis();
        let range = configured.as_millis() - least;
        let passed = u64::from(pressure.on(Rung::ShortenIdle)).saturating_sub(from);
        let width = to.saturating_sub(from).max(1);
        let cut = u128::from(range) * u128::from(passed.min(width)) / u128::from(width);
        Span::from_millis(least + (range - cut as u64)) // at most the range
    }

    pub(super) fn check(&self) -> Result<()> {
        let thresholds = Rung::ALL.map(|rung| self.percent(rung));
        if thresholds.is_sorted() && self.shorten_idle > self.gap {
            return Ok(());
        }
        let what =
            format!("{self:?}: thresholds above the gap, in the order of the rungs, are needed");
        Err(Error::new(ErrorKind::Invalid, "serve with", what))
    }
}
