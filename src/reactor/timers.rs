//! The timer wheel and the one timerfd that serves it.
//!
//! Each slot of the loop has at most one deadline, so the wheel is indexed by slot. The timerfd is
//! set only when the loop is about to sleep and the earliest deadline is earlier than what the
//! timerfd is set to: deadlines that move later, which is what nearly all deadlines do, cost one
//! store and no system call.

use crate::time::Tick;
use crate::timer_wheel::Deadlines;

#[derive(Debug)]
pub(super) struct Timers {
    pub(super) wheel: Deadlines,
    /// What the timerfd is set to; `NEVER` when it is not.
    armed: Tick,
}

impl Timers {
    pub(super) fn new(now: Tick) -> Timers {
        let mut wheel = Deadlines::new();
        wheel.advance(now);
        Timers {
            wheel,
            armed: Tick::NEVER,
        }
    }

    /// The timerfd rang, so it is set no more.
    pub(super) fn rang(&mut self) {
        self.armed = Tick::NEVER;
    }

    /// The tick to set the timerfd to before a sleep that must end at `limit` at the latest, or
    /// `None` when it rings early enough already.
    pub(super) fn arm(&mut self, limit: Tick) -> Option<Tick> {
        let wanted = self.wheel.next_wake().map_or(limit, |tick| tick.min(limit));
        if wanted >= self.armed {
            return None;
        }
        self.armed = wanted;
        Some(wanted)
    }
}
