//! What the phases of a turn do with the table; [`EventLoop`](super::EventLoop) puts them in order.
//! Each has a budget, and what is over it waits for the next turn.

use std::collections::VecDeque;
use std::time::Duration;

use super::base::Phase;
use super::core::Core;
use super::source::{Event, Next, Readiness};
use crate::slab::Token;
use crate::time::Tick;

/// How often gathered work is done before one wait: once, and once for what came of it.
const FLUSHES_PER_TURN: usize = 2;

/// Completions of one operation after the other in a turn: a request that has come, and its answer that
/// has gone.
const GENERATIONS_PER_TURN: usize = 2;

impl<S: 'static> Core<S> {
    /// Runs up to `budget` queued bulk sources; those queued meanwhile wait for the next turn.
    pub(super) fn run_bulk(&mut self, budget: usize, state: &mut S) {
        self.run_queue(|core| &mut core.bulk, budget, state);
    }

    /// Gives up to `budget` completions to those who started the operations, in their order, and then
    /// what has come of these meanwhile. What comes of that waits for the next turn: whoever starts what
    /// completes at once does not keep the others waiting.
    pub(super) fn run_completed(&mut self, mut budget: usize, state: &mut S) {
        for _ in 0..GENERATIONS_PER_TURN {
            let count = self.completed.len().min(budget);
            if count == 0 {
                return;
            }
            budget -= count;
            for _ in 0..count {
                let Some((token, completed)) = self.completed.pop_front() else {
                    return;
                };
                self.dispatch(token, Event::Completed(completed), state);
            }
        }
    }

    /// Has those who gather work over a turn do it, before the loop waits. What completes at once is
    /// given out, and what is started by it goes along.
    #[cold]
    pub(super) fn run_flushes(&mut self, budget: usize, state: &mut S) {
        for _ in 0..FLUSHES_PER_TURN {
            let count = self.flushes.len();
            for index in 0..count {
                self.dispatch(self.flushes[index], Event::Resumed, state);
            }
            self.flushes.drain(..count);
            self.run_completed(budget, state);
            if self.flushes.is_empty() {
                return;
            }
        }
    }

    /// Runs up to `budget` queued sources; those queued meanwhile wait for the next turn.
    pub(super) fn run_again(&mut self, budget: usize, state: &mut S) {
        self.run_queue(|core| &mut core.again, budget, state);
    }

    /// Those that left while they waited cost nothing of the budget: however many come and go in
    /// a turn, the queue does not grow from turn to turn.
    fn run_queue(
        &mut self,
        queue: fn(&mut Core<S>) -> &mut VecDeque<Token>,
        mut budget: usize,
        state: &mut S,
    ) {
        for _ in 0..queue(self).len() {
            if budget == 0 {
                return;
            }
            let token = queue(self).pop_front();
            if let Some(token) = token.filter(|token| self.contains(*token)) {
                budget -= 1;
                self.run_queued(token, state);
            }
        }
    }

    fn run_queued(&mut self, token: Token, state: &mut S) {
        let Some(slot) = self.slots.get_mut(token) else {
            return;
        };
        slot.facts.is_queued = false;
        let latched = std::mem::take(&mut slot.facts.latched);
        let owes_drain = std::mem::take(&mut slot.facts.owes_drain);
        self.drains_owed -= usize::from(owes_drain);
        let event = match latched == Readiness::default() {
            true => Event::Resumed,
            false => Event::Ready(latched),
        };
        self.dispatch(token, event, state);
        if owes_drain && self.contains(token) {
            self.dispatch(token, Event::Drain, state);
        }
    }

    /// Whether a deadline has come or another thread has called, so that sleep is out of place.
    pub(super) fn is_due(&self) -> bool {
        let next = self.base.timers.wheel.next_wake();
        next.is_some_and(|tick| tick <= self.base.due()) || self.base.remote.is_pending()
    }

    pub(super) fn begin_turn(&mut self, timer_rang: bool) {
        let idle = self.base.refresh();
        self.base.metrics.idle += Duration::from_nanos(idle);
        self.base.metrics.turns += 1;
        self.base.metrics.events += self.watch.begin(self.base.nanos());
        if timer_rang {
            self.base.timers.rang();
        }
    }

    /// Reads the clock again: what the turn took, and whether somebody took too long.
    pub(super) fn end_turn(&mut self) {
        self.look_at_the_clock();
        if let Some(heart) = &self.heart {
            self.base.metrics.stalls = heart.stalls();
        }
    }

    /// No source runs from now on: the loop waits, or nobody runs it.
    pub(super) fn rest(&self) {
        if let Some(heart) = &self.heart {
            heart.rest();
        }
    }

    pub(super) fn look_at_the_clock(&mut self) {
        let busy = self.base.refresh();
        self.base.metrics.busy += Duration::from_nanos(busy);
        let nanos = self.base.nanos();
        let metrics = &mut self.base.metrics;
        let window = self.watch.close(nanos, &self.names);
        metrics.events += window.dispatches;
        metrics.slow_callbacks += u64::from(window.is_slow);
        if let Some(kind) = window.sample {
            metrics.sample(self.names.name(kind), window.took);
        }
    }

    /// Dispatches up to `budget` deadlines that have come by `horizon`, in their order.
    pub(super) fn run_deadlines(&mut self, horizon: Tick, budget: usize, state: &mut S) {
        let wheel = &mut self.base.timers.wheel;
        if wheel.next_wake().is_none_or(|tick| tick > horizon) {
            return;
        }
        wheel.advance(horizon);
        for _ in 0..budget {
            let Some((deadline, index)) = self.base.timers.wheel.pop_expired() else {
                return;
            };
            if let Some(token) = self.slots.token_at(index)
                && self.is_still_late(token, state)
            {
                // Not the horizon: callbacks of this pass may have taken their time.
                let late = self.base.due().since(deadline);
                self.base.metrics.lag.record(late.as_millis());
                self.dispatch(token, Event::Deadline, state);
            }
        }
    }

    /// Whether `token`, whose deadline has come, still has to be told. A bulk source whose
    /// readiness waits for its turn gets that first: it came in time. The deadline is then what
    /// the source says it is; one that goes on without saying has the deadline it had.
    fn is_still_late(&mut self, token: Token, state: &mut S) -> bool {
        let slot = self.slots.get_mut(token);
        let latched = slot.map(|slot| std::mem::take(&mut slot.facts.latched));
        match latched.filter(|latched| *latched != Readiness::default()) {
            None => true,
            Some(latched) => {
                let next = self.dispatch(token, Event::Ready(latched), state);
                next == Some(Next::Again) && self.contains(token)
            }
        }
    }

    /// Tells up to `budget` sources, in slot order, that the loop drains.
    pub(super) fn tell_drain(&mut self, budget: u32, state: &mut S) {
        for _ in 0..budget {
            let Phase::Draining { told, until } = self.base.phase else {
                return;
            };
            if told >= self.slots.index_bound() {
                return;
            }
            self.base.phase = Phase::Draining {
                told: told + 1,
                until,
            };
            let Some(token) = self.slots.token_at(told) else {
                continue;
            };
            // One that is still to be resumed looks first at what has come for it.
            match self.slots.get_mut(token) {
                Some(slot) if slot.facts.is_queued => {
                    slot.facts.owes_drain = true;
                    self.drains_owed += 1;
                }
                _ => {
                    self.dispatch(token, Event::Drain, state);
                }
            }
        }
    }
}
