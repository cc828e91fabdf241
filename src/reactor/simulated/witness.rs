//! Looks over the loop's shoulder: who is called with what, and whether it was right to.
//!
//! It knows only what sources answered, not the loop's tables, so that a mistake in those shows.
//!
//! - No event reaches a source that is gone, or the one that took its place.
//! - A deadline comes only to a source that asked for one, never before its tick, and at most one
//!   tick late, except for what the clock jumped over.

use super::super::source::{Event, Next};
use crate::slab::Token;
use crate::time::Tick;

/// What is known of the source in one slot.
#[derive(Clone, Copy, Debug)]
struct Tenant {
    generation: u32,
    deadline: Tick,
    is_gone: bool,
}

const NOBODY: Tenant = Tenant {
    generation: 0,
    deadline: Tick::NEVER,
    is_gone: true,
};

/// Turns for which a jump of the clock excuses a late deadline.
const EXCUSED_TURNS: u64 = 3;

#[derive(Debug, Default)]
pub(super) struct Witness {
    tenants: Vec<Tenant>,
    violation: Option<String>,
    /// Up to which tick the clock jumped while somebody ran, and in which wait that was.
    jumped: Tick,
    jumped_in: u64,
    waits: u64,
}

impl Witness {
    pub(super) fn violation(&self) -> Option<&String> {
        self.violation.as_ref()
    }

    pub(super) fn waits(&self) -> u64 {
        self.waits
    }

    pub(super) fn waited(&mut self) {
        self.waits += 1;
    }

    /// The clock jumped to `tick` while a callback ran.
    pub(super) fn jumped(&mut self, tick: Tick) {
        self.jumped = tick;
        self.jumped_in = self.waits;
    }

    /// The loop gives `event` to `token`, with `due` the last tick that has passed.
    pub(super) fn dispatched(&mut self, token: Token, event: Event, due: Tick) {
        let index = token.index() as usize;
        if index >= self.tenants.len() {
            self.tenants.resize(index + 1, NOBODY);
        }
        let tenant = &mut self.tenants[index];
        if token.generation() > tenant.generation {
            *tenant = Tenant {
                generation: token.generation(),
                deadline: Tick::NEVER,
                is_gone: false,
            };
        }
        if token.generation() < tenant.generation || tenant.is_gone {
            let text = format!("{event:?} reached {token:?}, which is gone");
            self.violation.get_or_insert(text);
            return;
        }
        if let Event::Deadline = event {
            let deadline = std::mem::replace(&mut tenant.deadline, Tick::NEVER);
            self.judge(token, deadline, due);
        }
    }

    fn judge(&mut self, token: Token, deadline: Tick, due: Tick) {
        if deadline == Tick::NEVER {
            let text = format!("a deadline came to {token:?}, which had none");
            self.violation.get_or_insert(text);
        } else if deadline > due {
            let text = format!("the deadline {deadline:?} of {token:?} came at {due:?}");
            self.violation.get_or_insert(text);
        }
        let excused = deadline <= self.jumped && self.waits - self.jumped_in <= EXCUSED_TURNS;
        if due.since(deadline).as_millis() > 1 && !excused {
            let text = format!("the deadline {deadline:?} of {token:?} came late, at {due:?}");
            self.violation.get_or_insert(text);
        }
    }

    /// The source under `token` has answered.
    pub(super) fn answered(&mut self, token: Token, next: Next) {
        let Some(tenant) = self.tenants.get_mut(token.index() as usize) else {
            return;
        };
        if tenant.generation != token.generation() {
            return;
        }
        match next {
            Next::Until(tick) => tenant.deadline = tick,
            Next::Wait => tenant.deadline = Tick::NEVER,
            Next::Again => {}
            Next::Close => tenant.is_gone = true,
        }
    }
}
