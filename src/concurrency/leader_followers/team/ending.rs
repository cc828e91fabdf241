//! How a team ends: it drains, is cut, or can wait for nothing any more.
//!
//! ```text
//!   Running ── drain ──> Draining ── force, or until ──> Forced { tells: true } ──┐
//!      └──────────────── force ────> Forced { tells: false } ─────────────────────┴─ nobody left ─> Over
//! ```

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Team, lock};
use crate::reactor::Waker;
use crate::time::{Span, Tick};

/// Where the team is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Phase {
    Running,
    Draining {
        until: Tick,
    },
    /// All handlers are removed, whatever they have under way.
    Forced {
        /// Whether they hear of the drain first, if they have not: whoever is idle goes by itself then.
        tells: bool,
    },
    Over,
}

impl<T: 'static> Team<T> {
    pub(in super::super) fn drain(&self, now: Tick, grace: Duration) {
        let mut phase = lock(&self.phase);
        if *phase == Phase::Running {
            *phase = Phase::Draining {
                until: now.after(Span::from(grace)),
            };
            self.is_draining.store(true, Ordering::SeqCst);
        }
        drop(phase);
        self.remote.ring();
    }

    pub(in super::super) fn force(&self) {
        let mut phase = lock(&self.phase);
        *phase = match *phase {
            Phase::Running => Phase::Forced { tells: false },
            Phase::Draining { .. } => Phase::Forced { tells: true },
            other => other,
        };
        self.is_draining.store(true, Ordering::SeqCst);
        drop(phase);
        self.remote.ring();
    }

    /// Ends it, unless somebody has come since it was found empty.
    pub(super) fn end_if_empty(&self) {
        let mut phase = lock(&self.phase);
        if *phase == Phase::Over || self.live() == 0 {
            *phase = Phase::Over;
            drop(phase);
            self.end();
        }
    }

    pub(super) fn end(&self) {
        *lock(&self.phase) = Phase::Over;
        self.baton.end();
        if let Some(waker) = lock(&self.ended).take() {
            waker.wake();
        }
    }

    pub(in super::super) fn phase(&self) -> Phase {
        match self.is_draining.load(Ordering::SeqCst) {
            false => Phase::Running,
            true => *lock(&self.phase),
        }
    }

    pub(super) fn is_forced(&self) -> bool {
        matches!(self.phase(), Phase::Forced { .. })
    }

    /// `waker` is called when the team has ended; at once if it has.
    pub(in super::super) fn tell_at_the_end(&self, waker: Waker) {
        *lock(&self.ended) = Some(waker);
        if self.is_over()
            && let Some(waker) = lock(&self.ended).take()
        {
            waker.wake();
        }
    }

    pub(in super::super) fn is_over(&self) -> bool {
        *lock(&self.phase) == Phase::Over
    }

    /// How many were cut, or are in calls that have not come back, with something under way.
    pub(in super::super) fn cut(&self) -> usize {
        self.cut.load(Ordering::SeqCst) + self.live()
    }
}
