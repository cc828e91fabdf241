//! The place of one handler: it is there, or in the hands of exactly one thread.
//!
//! ```text
//!          occupy             park                      let_go
//!   Empty ─────────> Busy ────────────────> Parked      Busy ─────> Empty
//!                    ^  ^                      │
//!                    │  └───────── seize ──────┘
//!                    └─ what comes meanwhile is noted, and park gives the handler back for it
//! ```
//!
//! Readiness is edge-triggered, and `epoll` has no way here to silence a descriptor that is being
//! served: an edge may come while a thread has the handler. It is kept in the seat, so it is not
//! lost, and no second thread gets the handler.

use super::Handler;
use crate::reactor::{Event, Readiness};
use crate::slab::Token;
use crate::sync::{Mutex, MutexGuard};
use crate::time::Tick;

pub(super) struct Seat<T> {
    inside: Mutex<Inside<T>>,
}

struct Inside<T> {
    /// Which tenant, counted from 1. It only grows, so a token of a former one finds nothing.
    generation: u32,
    hold: Hold<T>,
    /// What came while a thread had the handler, and has not been told.
    missed: Missed,
    /// Whether it stands in the queue of those who are to have a turn.
    is_queued: bool,
    /// Whether it has not been told [`Event::Resumed`], which is the first.
    is_new: bool,
    /// Whether it has been told of the drain, or will be when it is parked.
    knows_drain: bool,
    /// What the handler returned last.
    deadline: Tick,
    /// When the wheel looks at this seat, or has been asked to; `NEVER` when it does not. Never later
    /// than the deadline of a parked handler.
    armed: Tick,
}

enum Hold<T> {
    Empty,
    Parked(Box<dyn Handler<T>>),
    Busy,
}

/// What came while a thread had the handler.
#[derive(Clone, Copy, Default)]
struct Missed {
    ready: Option<Readiness>,
    woken: bool,
    resumed: bool,
    drain: bool,
}

/// What a new handler is told first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum First {
    /// [`Event::Resumed`], at once.
    Resumed,
    /// Whatever comes: for a socket, which is ready for writing from the beginning, an edge that says
    /// so, and what else it is ready for.
    Anything,
}

/// What a look of the wheel at a seat found.
pub(super) enum Due<T> {
    Handler(Token, Box<dyn Handler<T>>),
    /// Not yet: to be looked at again then.
    Later(Tick),
    /// Nobody is parked there, or without a deadline.
    Nobody,
}

/// What came of parking a handler.
pub(super) enum Parked<T> {
    /// It is in its seat.
    In {
        /// When the wheel has to look at it, if that is earlier than it would.
        arm: Option<Tick>,
        /// Whether it is to be put into the queue: it has work left, or something came meanwhile, and it
        /// does not stand there.
        is_to_queue: bool,
    },
    /// Something came meanwhile.
    Missed(Box<dyn Handler<T>>, Event),
}

impl<T: 'static> Seat<T> {
    pub(super) fn new() -> Seat<T> {
        Seat {
            inside: Mutex::new(Inside {
                generation: 0,
                hold: Hold::Empty,
                missed: Missed::default(),
                is_queued: false,
                is_new: false,
                knows_drain: false,
                deadline: Tick::NEVER,
                armed: Tick::NEVER,
            }),
        }
    }

    /// Gives the seat to a new tenant, whom the caller has in hand and is to [park](Seat::park). `None` for
    /// a seat that has had as many as can be told apart.
    pub(super) fn occupy(&self, first: First) -> Option<u32> {
        let mut inside = self.lock();
        inside.generation = inside.generation.checked_add(1)?;
        inside.hold = Hold::Busy;
        inside.deadline = Tick::NEVER;
        inside.missed = Missed::default();
        inside.is_queued = false;
        inside.knows_drain = false;
        inside.is_new = first == First::Resumed;
        Some(inside.generation)
    }

    /// As after the last tenant that it can have.
    #[cfg(test)]
    pub(super) fn wear_out(&self) {
        self.lock().generation = u32::MAX;
    }

    /// Takes the handler for `event`, if it is parked; if not, notes the event. `None` for a stale token
    /// as well, which is what the second value says.
    pub(super) fn seize(&self, token: Token, event: Event) -> (Option<Box<dyn Handler<T>>>, bool) {
        let mut inside = self.lock();
        if inside.generation != token.generation() {
            return (None, true);
        }
        if let Event::Resumed = event {
            inside.is_queued = false;
            inside.is_new = false;
        }
        match &inside.hold {
            Hold::Empty => (None, true),
            Hold::Parked(_) if inside.is_new => {
                inside.missed.note(event);
                (None, false)
            }
            Hold::Busy => {
                inside.missed.note(event);
                (None, false)
            }
            Hold::Parked(_) => (inside.take(), false),
        }
    }

    /// Takes the handler if its deadline has come.
    pub(super) fn seize_due(&self, index: u32, due: Tick) -> Due<T> {
        let mut inside = self.lock();
        inside.armed = Tick::NEVER;
        match inside.hold {
            Hold::Parked(_) if inside.deadline <= due => {}
            Hold::Parked(_) if inside.deadline < Tick::NEVER => {
                inside.armed = inside.deadline;
                return Due::Later(inside.deadline);
            }
            _ => return Due::Nobody,
        }
        let bits = u64::from(inside.generation) << 32 | u64::from(index);
        inside.deadline = Tick::NEVER;
        match inside.take() {
            Some(handler) => Due::Handler(Token::from_bits(bits), handler),
            None => Due::Nobody,
        }
    }

    /// The tenant, whom the caller has in hand, is to be told of the drain, if he has not been.
    pub(super) fn owes_drain(&self) {
        let mut inside = self.lock();
        if !std::mem::replace(&mut inside.knows_drain, true) {
            inside.missed.note(Event::Drain);
        }
    }

    /// Takes whoever is parked there, whatever its token; a busy one is told by `event`, and so is a new one,
    /// unless it is `even_if_new`. Nobody is told twice of the drain.
    pub(super) fn seize_any(
        &self,
        index: u32,
        event: Event,
        even_if_new: bool,
    ) -> Option<(Token, Box<dyn Handler<T>>)> {
        let mut inside = self.lock();
        if let Hold::Empty = inside.hold {
            return None;
        }
        let is_known = std::mem::replace(&mut inside.knows_drain, true);
        match &inside.hold {
            Hold::Empty => return None,
            _ if is_known && !even_if_new => return None,
            Hold::Parked(_) if even_if_new || !inside.is_new => {}
            Hold::Parked(_) | Hold::Busy => {
                inside.missed.note(event);
                return None;
            }
        }
        let bits = u64::from(inside.generation) << 32 | u64::from(index);
        let handler = inside.take()?;
        Some((Token::from_bits(bits), handler))
    }

    /// Shows whoever is parked there, unless it is new.
    pub(super) fn look<R>(
        &self,
        index: u32,
        look: impl FnOnce(&dyn Handler<T>) -> R,
    ) -> Option<(Token, R)> {
        let inside = self.lock();
        match &inside.hold {
            Hold::Parked(handler) if !inside.is_new => {
                let bits = u64::from(inside.generation) << 32 | u64::from(index);
                Some((Token::from_bits(bits), look(&**handler)))
            }
            _ => None,
        }
    }

    /// Changes the handler, if it is parked and not new, and says whether it did; and, second, whether it is
    /// to be put into the queue for a turn.
    pub(super) fn nudge(
        &self,
        token: Token,
        change: impl FnOnce(&mut dyn Handler<T>),
    ) -> (bool, bool) {
        let mut inside = self.lock();
        if inside.generation != token.generation() || inside.is_new {
            return (false, false);
        }
        let Hold::Parked(handler) = &mut inside.hold else {
            return (false, false);
        };
        change(&mut **handler);
        let was_queued = std::mem::replace(&mut inside.is_queued, true);
        (true, !was_queued)
    }

    /// Puts the handler back, to wait for `deadline` (`None`: what it was); or gives it out again for
    /// what came meanwhile, unless `even_so`: then it is to have its turn later, as it is when it has work
    /// left (`is_again`).
    pub(super) fn park(
        &self,
        handler: Box<dyn Handler<T>>,
        deadline: Option<Tick>,
        even_so: bool,
        is_again: bool,
    ) -> Parked<T> {
        let mut inside = self.lock();
        if let Some(deadline) = deadline {
            inside.deadline = deadline;
        }
        if !even_so && let Some(event) = inside.missed.next() {
            return Parked::Missed(handler, event);
        }
        inside.hold = Hold::Parked(handler);
        let is_earlier = inside.deadline < inside.armed;
        inside.armed = inside.armed.min(inside.deadline);
        let is_owed = is_again || !inside.missed.is_empty();
        let was_queued = inside.is_queued;
        inside.is_queued |= is_owed;
        Parked::In {
            arm: is_earlier.then_some(inside.deadline),
            is_to_queue: is_owed && !was_queued,
        }
    }

    /// The handler that a thread has does not come back.
    pub(super) fn let_go(&self) {
        self.lock().hold = Hold::Empty;
    }

    fn lock(&self) -> MutexGuard<'_, Inside<T>> {
        // Nothing that could panic runs while it is held.
        self.inside
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<T> Inside<T> {
    fn take(&mut self) -> Option<Box<dyn Handler<T>>> {
        match std::mem::replace(&mut self.hold, Hold::Busy) {
            Hold::Parked(handler) => Some(handler),
            other => {
                self.hold = other;
                None
            }
        }
    }
}

impl Missed {
    fn note(&mut self, event: Event) {
        match event {
            Event::Ready(more) => {
                let ready = self.ready.unwrap_or_default();
                self.ready = Some(ready.union(more));
            }
            Event::Woken => self.woken = true,
            Event::Drain => self.drain = true,
            Event::Resumed => self.resumed = true,
            // The deadline is in the seat; signals are the loop's, operations those of sources that stay on it.
            Event::Deadline | Event::Signal(_) | Event::Completed(_) => {}
        }
    }

    fn is_empty(&self) -> bool {
        self.ready.is_none() && !self.woken && !self.resumed && !self.drain
    }

    /// The next thing to be told.
    fn next(&mut self) -> Option<Event> {
        if let Some(ready) = self.ready.take() {
            return Some(Event::Ready(ready));
        }
        let flags = [
            (&mut self.woken, Event::Woken),
            (&mut self.resumed, Event::Resumed),
            (&mut self.drain, Event::Drain),
        ];
        let told = flags.into_iter().find(|(flag, _)| **flag);
        told.map(|(flag, event)| {
            *flag = false;
            event
        })
    }
}
