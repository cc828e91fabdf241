//! The threads of a simulated machine: no threads at all, but the steps that threads take, in an order
//! and with pauses that the seed decides. Built with the feature `testing`.
//!
//! ```text
//!          At(time) ── the time comes: a step ──> At, with what its I/O and its bad luck took
//!            ^  ^                        ├──────> Idle(until) ── something comes, or the time
//!            │  └── faults end ── Lost <─┤             │
//!            └───────────────────────────┼─────────────┘
//!                                        └──────> gone
//! ```
//!
//! Between two turns of the loop each thread takes a step at most, so what it does meets the loop at
//! every point. The loop sleeps no longer than to the next of these steps.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::steps::{Step, Steps};
use crate::reactor::simulated::{Dice, Network};

/// How long one that lets others run is not looked at, in nanoseconds.
const YIELD_NANOS: u64 = 1_000;

/// When a thread takes its next step, in nanoseconds of the simulated clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    At(u64),
    /// Then, or when something has come for it.
    Idle(u64),
    /// Not before the faults end.
    Lost,
}

struct Member {
    steps: Box<dyn Steps>,
    next: Next,
}

struct Inside {
    members: Vec<Member>,
    dice: Dice,
}

/// The threads of one machine. Clones are the same.
#[derive(Clone)]
pub(crate) struct Crew {
    network: Network,
    inside: Rc<RefCell<Inside>>,
}

impl Crew {
    pub(crate) fn new(network: Network, dice: Dice) -> Crew {
        let members = Vec::new();
        Crew {
            network,
            inside: Rc::new(RefCell::new(Inside { members, dice })),
        }
    }

    pub(super) fn add(&self, steps: impl Steps + 'static) {
        let next = Next::At(self.network.now_nanos());
        let steps = Box::new(steps);
        let mut inside = self.inside.borrow_mut();
        inside.members.push(Member { steps, next });
    }

    /// How many threads there are.
    pub(crate) fn len(&self) -> usize {
        self.inside.borrow().members.len()
    }

    /// How many will take no step before the faults end.
    pub(crate) fn lost(&self) -> usize {
        let inside = self.inside.borrow();
        let members = inside.members.iter();
        members.filter(|it| it.next == Next::Lost).count()
    }

    /// One step of each thread whose time has come, and how long the loop may sleep.
    pub(crate) fn run(&self) {
        // Nobody is borrowed while he takes a step: it may start threads, or end.
        let mut members = std::mem::take(&mut self.inside.borrow_mut().members);
        if members.is_empty() {
            return;
        }
        let due = members.iter().filter(|member| self.is_due(member)).count();
        if due > 1 && self.network.faults(|faults| faults.reorders) > 0.0 {
            self.inside.borrow_mut().dice.shuffle(&mut members);
        }
        members.retain_mut(|member| self.look_at(member));
        let mut inside = self.inside.borrow_mut();
        inside.members.append(&mut members);
        let now = self.network.now_nanos();
        let times = inside.members.iter().map(|member| match member.next {
            Next::Idle(_) if member.steps.is_ready() => now,
            Next::At(at) | Next::Idle(at) => at,
            Next::Lost => u64::MAX,
        });
        self.network.set_next_step(times.min());
    }

    fn is_due(&self, member: &Member) -> bool {
        let now = self.network.now_nanos();
        match member.next {
            Next::At(at) => at <= now,
            Next::Idle(until) => until <= now || member.steps.is_ready(),
            Next::Lost => self.network.faults(|faults| faults.vanishes) == 0.0,
        }
    }

    /// Has it take a step if it is due. Whether it is still there.
    fn look_at(&self, member: &mut Member) -> bool {
        if !self.is_due(member) {
            return true;
        }
        self.network.take_io_nanos();
        let step = member.steps.step(Duration::ZERO);
        let now = self.network.now_nanos() + self.network.take_io_nanos();
        let after = |pause: Duration| now.saturating_add(nanos(pause));
        member.next = match step {
            Step::Ended => return false,
            Step::Goes => self.disturbed(now),
            Step::Idle(patience) => Next::Idle(after(patience)),
            Step::Pauses(Duration::ZERO) => Next::At(now + YIELD_NANOS),
            Step::Pauses(pause) => Next::At(after(pause)),
        };
        true
    }

    /// When one that goes on does, with its luck: it may have to wait for a processor, or hang in a
    /// call of its own.
    fn disturbed(&self, now: u64) -> Next {
        let dice = &mut self.inside.borrow_mut().dice;
        if dice.happens(self.network.faults(|faults| faults.vanishes)) {
            return Next::Lost;
        }
        if !dice.happens(self.network.faults(|faults| faults.pauses)) {
            return Next::At(now);
        }
        let most = nanos(self.network.faults(|faults| faults.pause_max));
        Next::At(now + dice.below(usize::try_from(most).unwrap_or(usize::MAX)) as u64)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crew({} threads)", self.len())
    }
}
