//! Timers for people: once, again and again, at a time of day. Each is an ordinary source; the
//! first two have no descriptor.

use std::fmt;
use std::io;

use super::context::Context;
use super::registry::Registry;
use super::source::{Event, EventSource, Next};
use super::wall_alarm::WallAlarm;
use crate::time::{Span, Tick};

/// What a periodic timer does about periods that passed while the loop was busy elsewhere, or the
/// machine asleep.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MissedTicks {
    /// Calls once and says how many were missed; later calls keep the phase (multiples of the
    /// period since the timer was made).
    #[default]
    Skip,
    /// Calls once; the next call is a full period after this one.
    Delay,
    /// Calls once for each, and lets every other source run in between, until it has caught up.
    Burst,
}

/// One call of a periodic timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Firing {
    /// Periods that passed without a call since the last one. Always 0 under
    /// [`MissedTicks::Burst`].
    pub missed: u64,
}

/// Calls `call` once, at `at`.
pub(super) struct After<F> {
    pub(super) at: Tick,
    pub(super) call: Option<F>,
}

impl<S: 'static, F: FnOnce(&mut S, &mut Context<'_, S>) + 'static> EventSource<S> for After<F> {
    fn handle(&mut self, event: Event, state: &mut S, cx: &mut Context<'_, S>) -> Next {
        if !matches!(event, Event::Deadline) {
            return Next::Until(self.at);
        }
        if let Some(call) = self.call.take() {
            call(state, cx);
        }
        Next::Close
    }

    fn name(&self) -> &'static str {
        "after"
    }

    fn is_background(&self) -> bool {
        true
    }
}

/// Calls `call` every `period`.
pub(super) struct Every<F> {
    period: Span,
    policy: MissedTicks,
    next: Tick,
    call: F,
}

impl<F> Every<F> {
    pub(super) fn new(period: Span, policy: MissedTicks, first: Tick, call: F) -> Every<F> {
        Every {
            period,
            policy,
            next: first,
            call,
        }
    }

    /// How many periods the call due at `self.next` is late, and when the one after it is due.
    /// A period counts when it has passed whole: by `due`, the tick rounded down. Periods are
    /// counted off from `now`, rounded up.
    fn advance(&mut self, due: Tick, now: Tick) -> u64 {
        let late = due.since(self.next).as_millis() / self.period.as_millis();
        match self.policy {
            MissedTicks::Burst => {
                self.next = self.next.after(self.period);
                0
            }
            MissedTicks::Delay => {
                self.next = now.after(self.period);
                late
            }
            MissedTicks::Skip => {
                let passed = self.period.as_millis().saturating_mul(late + 1);
                self.next = self.next.after(Span::from_millis(passed));
                late
            }
        }
    }
}

impl<S, F> EventSource<S> for Every<F>
where
    S: 'static,
    F: FnMut(&mut S, Firing, &mut Context<'_, S>) + 'static,
{
    fn handle(&mut self, _event: Event, state: &mut S, cx: &mut Context<'_, S>) -> Next {
        let due = cx.core.base.due();
        if self.next <= due {
            let missed = self.advance(due, cx.now());
            (self.call)(state, Firing { missed }, cx);
        }
        if self.next <= due {
            return Next::Again; // a burst: the next one is due as well
        }
        Next::Until(self.next)
    }

    fn name(&self) -> &'static str {
        "every"
    }

    fn is_background(&self) -> bool {
        true
    }
}

/// Calls `call` when the wall clock shows a time.
pub(super) struct At<F> {
    pub(super) alarm: WallAlarm,
    pub(super) call: Option<F>,
}

impl<S: 'static, F: FnOnce(&mut S, &mut Context<'_, S>) + 'static> EventSource<S> for At<F> {
    fn register(&mut self, registry: &mut Registry<'_>) -> io::Result<()> {
        self.alarm.register(registry)
    }

    fn handle(&mut self, event: Event, state: &mut S, cx: &mut Context<'_, S>) -> Next {
        // Readiness may be spurious; the count of the timerfd is not.
        if !matches!(event, Event::Ready(_)) || !self.alarm.has_rung() {
            return Next::Wait;
        }
        if let Some(call) = self.call.take() {
            call(state, cx);
        }
        Next::Close
    }

    fn name(&self) -> &'static str {
        "at"
    }

    fn is_background(&self) -> bool {
        true
    }
}

impl<F> fmt::Debug for Every<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Every({}, {:?})", self.period, self.policy)
    }
}
