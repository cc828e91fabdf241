//! The handle set and what belongs to it: what the leader has in hand while it leads.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::seat::Due;
use super::task::{Moment, Task};
use super::team::{Phase, Team};
use crate::reactor::{
    Demultiplexer, Event, Readiness, Removed, events, monotonic_nanos, translate, unix_seconds,
};
use crate::slab::Token;
use crate::time::Tick;
use crate::timer_wheel::Deadlines;

pub(super) const NANOS_PER_TICK: u64 = 1_000_000;

/// Epoll, the wheel, and what has been found and not been served yet: the next leader goes on with it.
pub(super) struct Handles {
    demultiplexer: Demultiplexer,
    events: mio::Events,
    ready: VecDeque<(Token, Readiness)>,
    woken: VecDeque<Token>,
    /// Who has work left, as of the last wait: others have had their turn since.
    leftovers: VecDeque<Token>,
    wheel: Deadlines,
    /// What the timerfd is set to.
    armed: Tick,
    /// Rounded up and rounded down: deadlines are counted from the one and due by the other.
    now: Tick,
    due: Tick,
    unix_seconds: u64,
    /// How many seats have been told that the team drains.
    told: usize,
}

impl Handles {
    pub(super) fn new(demultiplexer: Demultiplexer) -> Handles {
        let mut handles = Handles {
            demultiplexer,
            events: events(),
            ready: VecDeque::new(),
            woken: VecDeque::new(),
            leftovers: VecDeque::new(),
            wheel: Deadlines::new(),
            armed: Tick::NEVER,
            now: Tick::ZERO,
            due: Tick::ZERO,
            unix_seconds: 0,
            told: 0,
        };
        handles.refresh();
        handles
    }

    fn refresh(&mut self) {
        let nanos = monotonic_nanos();
        self.now = Tick(nanos.div_ceil(NANOS_PER_TICK)).max(self.now);
        self.due = Tick(nanos / NANOS_PER_TICK).max(self.due);
        self.wheel.advance(self.due);
        self.unix_seconds = unix_seconds();
    }

    fn moment(&self) -> Moment {
        Moment {
            now: self.now,
            unix_seconds: self.unix_seconds,
        }
    }

    /// The next thing for one thread to do; waits until there is one. `None` when the team is at its
    /// end.
    pub(super) fn next<T: 'static>(&mut self, team: &Team<T>) -> io::Result<Option<Task<T>>> {
        loop {
            if let Some(task) = self.found(team) {
                return Ok(Some(task));
            }
            match team.phase() {
                Phase::Over => return Ok(None),
                Phase::Draining { .. } if team.live() == 0 => return Ok(None),
                Phase::Draining { until } if self.due >= until => {
                    team.force();
                    continue;
                }
                Phase::Forced { .. } if team.live() == 0 => return Ok(None),
                _ => {}
            }
            self.wait(team)?;
        }
    }

    /// Something that was found before and can be done now.
    fn found<T: 'static>(&mut self, team: &Team<T>) -> Option<Task<T>> {
        let now = self.moment();
        while let Some((token, readiness)) = self.ready.pop_front() {
            if let Some(handler) = team.seize(token, Event::Ready(readiness)) {
                return Some(Task::event(token, handler, Event::Ready(readiness), now));
            }
        }
        while let Some(token) = self.woken.pop_front() {
            if let Some(handler) = team.seize(token, Event::Woken) {
                return Some(Task::event(token, handler, Event::Woken, now));
            }
        }
        while let Some((_, index)) = self.wheel.pop_expired() {
            match team.seize_due(index, self.due) {
                Due::Handler(token, handler) => {
                    return Some(Task::event(token, handler, Event::Deadline, now));
                }
                Due::Later(at) => self.wheel.set(index, at),
                Due::Nobody => {}
            }
        }
        while let Some(token) = self.leftovers.pop_front() {
            if let Some(handler) = team.seize(token, Event::Resumed) {
                return Some(Task::event(token, handler, Event::Resumed, now));
            }
        }
        self.tell(team)
    }

    /// The next seat that is to hear of the drain, or of its end.
    fn tell<T: 'static>(&mut self, team: &Team<T>) -> Option<Task<T>> {
        // `told` counts over both passes, so that the second begins at the first seat again.
        let seats = team.seats();
        let last = match team.phase() {
            Phase::Running | Phase::Over => return None,
            Phase::Draining { .. } => seats,
            Phase::Forced { tells } => {
                self.told = self.told.max(if tells { 0 } else { seats });
                seats * 2
            }
        };
        while self.told < last {
            let (index, is_forced) = ((self.told % seats) as u32, self.told >= seats);
            self.told += 1;
            if let Some((token, handler)) = team.seize_any(index, Event::Drain, is_forced) {
                return Some(match is_forced {
                    true => Task::removal(token, handler, Removed::Forced, self.moment()),
                    false => Task::event(token, handler, Event::Drain, self.moment()),
                });
            }
        }
        None
    }

    fn wait<T: 'static>(&mut self, team: &Team<T>) -> io::Result<()> {
        // From here on whoever parks with any deadline rings, until the timerfd is known.
        team.horizon_is_unknown();
        if team.remote.is_pending() {
            team.remote.take(&mut self.woken); // hushed first: what comes now rings anew
        }
        for (index, at) in team.take_arms() {
            // One may overtake another on its way here. One that comes too early finds that out.
            if self.wheel.deadline(index).is_none_or(|set| at < set) {
                self.wheel.set(index, at);
            }
        }
        team.take_leftovers(&mut self.leftovers);
        let may_sleep = self.woken.is_empty() && self.leftovers.is_empty();
        let limit = match team.phase() {
            Phase::Draining { until } => until,
            _ => Tick::NEVER,
        };
        let wanted = self.wheel.next_wake().map_or(limit, |at| at.min(limit));
        if wanted < self.armed {
            self.armed = wanted;
            let at = Duration::from_millis(wanted.0);
            self.demultiplexer.arm(at);
        }
        team.horizon_is(self.armed);
        let may_sleep = may_sleep && team.remote.lie_down();
        let waited = self.demultiplexer.wait(&mut self.events, may_sleep);
        team.remote.get_up();
        waited?;
        for event in &self.events {
            let (token, readiness) = translate(event);
            match token.index() {
                u32::MAX => self.armed = Tick::NEVER, // the timerfd rang, or the bell: no matter which
                _ => self.ready.push_back((token, readiness)),
            }
        }
        self.refresh();
        // Once more from the first seat: somebody may have come since.
        self.told = match team.phase() {
            Phase::Forced { .. } => self.told.min(team.seats()),
            _ => self.told,
        };
        Ok(())
    }
}
