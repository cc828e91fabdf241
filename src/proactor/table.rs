//! The operation table: who started what on which descriptor, and what may begin.
//!
//! ```text
//!   start ──> UnderWay ── finish(last) ──> gone        a completion for each finish,
//!                │  ^  └─ finish(more) ─┐              exactly one of them the last
//!         cancel │  └───────────────────┘
//!                └─────> Cancelling ── finish ──> gone
//! ```
//!
//! Pure: no I/O, no clock, no memory of operations (that is the driver's). `D` is what a descriptor is.
//!
//! Invariant: a stream has at most one operation that receives and one that sends.
//! Invariant: a descriptor leaves the table when it was released and nothing works on it, once.
//! Invariant: an operation that waits for a time is in the wheel, and no other is.

use crate::reactor::OperationId;
use crate::slab::{Slab, Token};
use crate::time::Tick;
use crate::timer_wheel::{TimerId, TimerWheel};

pub(super) struct Table<D> {
    operations: Slab<Operation>,
    descriptors: Slab<Descriptor<D>>,
    timers: TimerWheel<OperationId>,
    operations_max: usize,
}

/// Where an operation takes place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lane {
    /// Receiving from a stream; accepting.
    In(Token),
    /// Sending to a stream; connecting.
    Out(Token),
    /// A file: any number at a time.
    File(Token),
}

#[derive(Debug)]
struct Operation {
    owner: Token,
    place: Place,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Lane(Lane),
    /// `None` until it is in the wheel.
    Timer(Option<TimerId>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    UnderWay,
    Cancelling,
}

struct Descriptor<D> {
    device: D,
    /// Who works on it.
    input: Option<OperationId>,
    output: Option<OperationId>,
    files: u32,
    life: Life,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Life {
    Held,
    /// The handle was dropped.
    Released,
}

/// Why an operation may not begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    Full,
    Busy,
    NoDescriptor,
}

/// What there is to do about a wish to cancel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cancel {
    /// It is over, or was asked before.
    Nothing,
    /// It waited for a time, and does not any more: finish it.
    Finish,
    /// The driver is to be asked.
    Ask(Lane),
}

/// What became of an operation that has something to give.
pub(super) struct Finished<D> {
    pub(super) owner: Token,
    /// A released descriptor that nothing works on any more.
    pub(super) freed: Option<D>,
}

impl<D> Table<D> {
    pub(super) fn new(operations_max: usize) -> Table<D> {
        Table {
            operations: Slab::new(),
            descriptors: Slab::new(),
            timers: TimerWheel::new(),
            operations_max,
        }
    }

    /// How many operations are under way.
    pub(super) fn len(&self) -> usize {
        self.operations.len()
    }

    pub(super) fn descriptors(&self) -> usize {
        self.descriptors.len()
    }

    pub(super) fn attach(&mut self, device: D) -> Result<Token, D> {
        let inserted = self.descriptors.try_insert(Descriptor {
            device,
            input: None,
            output: None,
            files: 0,
            life: Life::Held,
        });
        inserted.map_err(|refused| refused.device)
    }

    #[inline]
    pub(super) fn device(&mut self, token: Token) -> Option<&mut D> {
        Some(&mut self.descriptors.get_mut(token)?.device)
    }

    pub(super) fn look(&self, token: Token) -> Option<&D> {
        Some(&self.descriptors.get(token)?.device)
    }

    /// An operation of `owner` in `lane` begins.
    pub(super) fn start(&mut self, owner: Token, lane: Lane) -> Result<OperationId, Refusal> {
        if self.operations.len() >= self.operations_max {
            return Err(Refusal::Full);
        }
        let (Lane::In(token) | Lane::Out(token) | Lane::File(token)) = lane;
        let held = |descriptor: &&mut Descriptor<D>| descriptor.life == Life::Held;
        let descriptor = self.descriptors.get_mut(token).filter(held);
        let descriptor = descriptor.ok_or(Refusal::NoDescriptor)?;
        let slot = match lane {
            Lane::In(_) => Some(&mut descriptor.input),
            Lane::Out(_) => Some(&mut descriptor.output),
            Lane::File(_) => None,
        };
        if slot.as_ref().is_some_and(|slot| slot.is_some()) {
            return Err(Refusal::Busy);
        }
        let operation = Operation {
            owner,
            place: Place::Lane(lane),
            state: State::UnderWay,
        };
        let token = self.operations.try_insert(operation);
        let id = OperationId::new(token.map_err(|_| Refusal::Full)?);
        match slot {
            Some(slot) => *slot = Some(id),
            None => descriptor.files += 1,
        }
        Ok(id)
    }

    /// An operation of `owner` begins that waits for `at`.
    pub(super) fn start_timer(&mut self, owner: Token, at: Tick) -> Result<OperationId, Refusal> {
        if self.operations.len() >= self.operations_max {
            return Err(Refusal::Full);
        }
        let operation = Operation {
            owner,
            place: Place::Timer(None),
            state: State::UnderWay,
        };
        let token = self.operations.try_insert(operation);
        let token = token.map_err(|_| Refusal::Full)?;
        let id = OperationId::new(token);
        let timer = self.timers.insert(at, id);
        if let Some(operation) = self.operations.get_mut(token) {
            operation.place = Place::Timer(Some(timer));
        }
        Ok(id)
    }

    /// `id` has something to give; for the last time if not `more`. `None` when it is over.
    pub(super) fn finish(&mut self, id: OperationId, more: bool) -> Option<Finished<D>> {
        if more {
            let owner = self.operations.get(id.token())?.owner;
            return Some(Finished { owner, freed: None });
        }
        let operation = self.operations.remove(id.token())?;
        let freed = match operation.place {
            Place::Timer(timer) => {
                timer.and_then(|timer| self.timers.cancel(timer));
                None
            }
            Place::Lane(lane) => self.leave(lane),
        };
        let owner = operation.owner;
        Some(Finished { owner, freed })
    }

    fn leave(&mut self, lane: Lane) -> Option<D> {
        let (Lane::In(token) | Lane::Out(token) | Lane::File(token)) = lane;
        let descriptor = self.descriptors.get_mut(token)?;
        match lane {
            Lane::In(_) => descriptor.input = None,
            Lane::Out(_) => descriptor.output = None,
            Lane::File(_) => descriptor.files -= 1,
        }
        self.take_if_free(token)
    }

    /// Whether `id` is under way, and not asked to end.
    #[cfg(any(test, feature = "io-uring"))]
    pub(super) fn is_wanted(&self, id: OperationId) -> bool {
        let operation = self.operations.get(id.token());
        operation.is_some_and(|operation| operation.state == State::UnderWay)
    }

    /// What `id` works on.
    #[cfg(feature = "io-uring")]
    pub(super) fn descriptor_of(&self, id: OperationId) -> Option<Token> {
        match self.operations.get(id.token())?.place {
            Place::Lane(Lane::In(token) | Lane::Out(token) | Lane::File(token)) => Some(token),
            Place::Timer(_) => None,
        }
    }

    /// Somebody wishes that `id` ends.
    pub(super) fn cancel(&mut self, id: OperationId) -> Cancel {
        let Some(operation) = self.operations.get_mut(id.token()) else {
            return Cancel::Nothing;
        };
        if operation.state == State::Cancelling {
            return Cancel::Nothing;
        }
        operation.state = State::Cancelling;
        match operation.place {
            Place::Timer(_) => Cancel::Finish,
            Place::Lane(lane) => Cancel::Ask(lane),
        }
    }

    /// The handle of `token` is gone: what works on it is to be cancelled. The descriptor, if nothing
    /// works on it.
    pub(super) fn release(&mut self, token: Token) -> ([Option<OperationId>; 2], Option<D>) {
        let Some(descriptor) = self.descriptors.get_mut(token) else {
            return ([None, None], None);
        };
        descriptor.life = Life::Released;
        let busy = [descriptor.input, descriptor.output];
        (busy, self.take_if_free(token))
    }

    /// Takes the descriptor of `token` out for somebody else, if nothing works on it.
    pub(super) fn detach(&mut self, token: Token) -> Option<D> {
        let (_, free) = self.release(token);
        if free.is_none() {
            self.hold(token);
        }
        free
    }

    /// The descriptor of `token` has a handle again: it is not to go when nothing works on it.
    pub(super) fn hold(&mut self, token: Token) {
        if let Some(descriptor) = self.descriptors.get_mut(token) {
            descriptor.life = Life::Held;
        }
    }

    fn take_if_free(&mut self, token: Token) -> Option<D> {
        let descriptor = self.descriptors.get(token)?;
        let free = descriptor.life == Life::Released
            && descriptor.input.is_none()
            && descriptor.output.is_none()
            && descriptor.files == 0;
        match free {
            true => self.descriptors.remove(token).map(|gone| gone.device),
            false => None,
        }
    }

    /// All operations, in the order of their slots.
    pub(super) fn all(&self) -> impl Iterator<Item = (OperationId, Option<Lane>)> {
        (0..self.operations.index_bound()).filter_map(|index| {
            let token = self.operations.token_at(index)?;
            let lane = match self.operations.get(token)?.place {
                Place::Lane(lane) => Some(lane),
                Place::Timer(_) => None,
            };
            Some((OperationId::new(token), lane))
        })
    }

    /// The next operation whose time has come by `now`; to be finished.
    pub(super) fn expired(&mut self, now: Tick) -> Option<OperationId> {
        self.timers.advance(now);
        self.timers.pop_expired().map(|(_, _, id)| id)
    }

    /// When to look for an expired one next.
    pub(super) fn next_wake(&self) -> Option<Tick> {
        self.timers.next_wake()
    }

    /// Panics when an invariant does not hold.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let mut timers = 0;
        for (id, lane) in self.all() {
            let works_on = |token| self.descriptors.get(token).expect("in the table");
            match lane {
                None => timers += 1,
                Some(Lane::In(token)) => assert_eq!(works_on(token).input, Some(id)),
                Some(Lane::Out(token)) => assert_eq!(works_on(token).output, Some(id)),
                Some(Lane::File(token)) => assert!(works_on(token).files > 0),
            }
        }
        assert_eq!(timers, self.timers.len());
        assert!(self.operations.len() <= self.operations_max);
    }
}
