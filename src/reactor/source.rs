//! What the loop dispatches to: the event handler of the Reactor pattern (POSA2), here an
//! [`EventSource`].
//!
//! Everything that can happen reaches a source through one method, [`EventSource::handle`], as
//! one type, [`Event`]; what the source waits for next is what it returns, [`Next`]. A timer is a
//! source without a descriptor. Nothing is armed on the side, so nothing can be forgotten.
//!
//! ```text
//!               insert                      handle
//!   your value ───────> Resumed ──> Ready / Deadline / Signal / Woken / Resumed / Drain
//!                                     │ Wait, Until, Again: stays
//!                                     └ Close (or a panic, or remove) ──> removed, exactly once
//! ```
//!
//! The source is taken out of its slot while it runs, so it may insert, remove (itself, others,
//! one whose event is still to come in this batch) and wake freely.

use std::any::Any;
use std::fmt;
use std::io;

use super::context::Context;
use super::registry::Registry;
use super::signals::SignalEvent;
use crate::slab::Token;
use crate::time::Tick;

/// Something that events happen to. `S` is the state of the user's program, lent to every call.
pub trait EventSource<S>: AsAny {
    /// Names the descriptor whose readiness concerns this source, if it has one, and the signals
    /// it wants. Called once, at insertion.
    ///
    /// # Errors
    ///
    /// What the kernel says, for example that the descriptor is registered already. The source
    /// is then given back to whoever tried to insert it.
    fn register(&mut self, registry: &mut Registry<'_>) -> io::Result<()> {
        let _ = registry;
        Ok(())
    }

    /// Reacts to `event` and says what to wait for next.
    ///
    /// Readiness is edge-triggered: after [`Event::Ready`] read or write until the kernel would
    /// block, or return [`Next::Again`] while there is work left. A source that returns
    /// [`Next::Wait`] with bytes unread is not called again for them; a debug build says so once.
    fn handle(&mut self, event: Event, state: &mut S, cx: &mut Context<'_, S>) -> Next;

    /// The last call: the source is out of its slot for good and its descriptor deregistered.
    /// Called exactly once for each source that left while the loop ran.
    fn removed(self: Box<Self>, why: Removed, state: &mut S, cx: &mut Context<'_, S>) {
        let _ = (why, state, cx);
    }

    /// What reports and metrics call this source. Keep it short; many sources may share a name. Asked at
    /// insertion, and again when it ends; one that panics instead is nameless. Of more than 64 kinds
    /// of sources in one loop, the metrics tell 64 apart.
    fn name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }

    /// How urgent its events are. Asked once, at insertion.
    fn class(&self) -> Class {
        Class::Normal
    }

    /// Whether a draining loop may end while this source lives: true for timers, signals and
    /// inboxes, which serve the others. Asked once, at insertion.
    fn is_background(&self) -> bool {
        false
    }

    /// Whether cutting this source now loses nothing, as it has done all that it owed. Asked when
    /// a drain is cut: a source that says so is [`Removed::Drained`], any other that is no
    /// [background](EventSource::is_background) is unfinished, and so is one that panics instead.
    fn is_settled(&self) -> bool {
        false
    }
}

/// What happened.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The descriptor became ready. May be spurious; may say several things at once.
    Ready(Readiness),
    /// The tick given in [`Next::Until`] has come.
    Deadline,
    /// A signal this source registered for arrived.
    Signal(SignalEvent),
    /// Another thread, or another source, woke this one. Several wakes may arrive as one.
    Woken,
    /// Your turn without news: the first call after insertion, the call after [`Next::Again`],
    /// and the call after [`Context::resume`].
    Resumed,
    /// The loop is draining: finish what is under way, begin nothing, then close.
    Drain,
    /// An operation that this source started has something to give:
    /// [`Proactor::take`](crate::proactor::Proactor::take) it during this call, or it is dropped.
    Completed(Completed),
}

/// Names an operation of a [`Proactor`](crate::proactor::Proactor) for as long as it is under way. No
/// later one of the same proactor is mistaken for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationId(Token);

impl OperationId {
    #[inline]
    pub(crate) const fn new(token: Token) -> OperationId {
        OperationId(token)
    }

    #[inline]
    pub(crate) const fn token(self) -> Token {
        self.0
    }
}

impl fmt::Debug for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operation{:?}", self.0)
    }
}

/// One thing that an operation gives: most give one and are over, some go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completed {
    pub(crate) operation: OperationId,
    /// Counts the completions of the loop, and wraps: 32 bits, so that an event stays small.
    pub(crate) number: u32,
}

impl Completed {
    /// Whether number `one` was given before number `other`: fewer than 2^31 wait at a time.
    #[inline]
    pub(crate) const fn precedes(one: u32, other: u32) -> bool {
        one != other && other.wrapping_sub(one) < 1 << 31
    }

    /// The operation that gives it.
    #[must_use]
    pub fn operation(self) -> OperationId {
        self.operation
    }
}

/// What a source waits for now. The deadline named here replaces the one before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Next {
    /// Its events, and no deadline.
    Wait,
    /// Its events, or [`Event::Deadline`] at this tick, whichever is first.
    Until(Tick),
    /// Work is left: [`Event::Resumed`] when the others have had their turn, at the end of this
    /// turn of the loop or in the next. The deadline stays what it was.
    Again,
    /// Nothing: take it out and call [`EventSource::removed`].
    Close,
}

/// Which sources go first in a turn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Class {
    /// Before all others, whatever they have queued: administration, health checks.
    Control,
    /// In the order the kernel reports them.
    #[default]
    Normal,
    /// After the others, a bounded number each turn: background copies, bulk transfers.
    Bulk,
}

/// Why a source was removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Removed {
    /// It returned [`Next::Close`].
    Closed,
    /// A source called [`Context::remove`].
    Cancelled,
    /// Its `handle` panicked, or what it was asked when a drain was cut. The panic ends this source
    /// and nothing else.
    Panicked,
    /// The drain is complete, and it is one of those that only served the others.
    Drained,
    /// The drain was forced while it was still busy.
    Forced,
}

/// What the kernel said about a descriptor, as epoll reports it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Readiness(u8);

impl Readiness {
    /// There is something to read, or to accept.
    pub const READABLE: Readiness = Readiness(1);
    /// There is room to write, or a connect ended.
    pub const WRITABLE: Readiness = Readiness(2);
    /// The peer will send no more: end of file comes after what is still unread.
    pub const READ_CLOSED: Readiness = Readiness(4);
    /// Nothing can be written any more.
    pub const WRITE_CLOSED: Readiness = Readiness(8);
    /// The descriptor has an error; the next read or write names it.
    pub const ERROR: Readiness = Readiness(16);
    /// Urgent data stands in the stream: a short read does not mean that all was read.
    pub const PRIORITY: Readiness = Readiness(32);

    /// Whether all of `other` is in this.
    #[inline]
    #[must_use]
    pub const fn contains(self, other: Readiness) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is in this.
    #[inline]
    #[must_use]
    pub const fn intersects(self, other: Readiness) -> bool {
        self.0 & other.0 != 0
    }

    /// Both together.
    #[inline]
    #[must_use]
    pub const fn union(self, other: Readiness) -> Readiness {
        Readiness(self.0 | other.0)
    }

    /// This without `other`.
    #[inline]
    #[must_use]
    pub const fn without(self, other: Readiness) -> Readiness {
        Readiness(self.0 & !other.0)
    }

    /// Whether a read may give bytes, end of file, or an error.
    #[inline]
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.intersects(Readiness(1 | 4 | 16))
    }

    /// Whether a write may succeed or name an error.
    #[inline]
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.intersects(Readiness(2 | 8 | 16))
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            "readable",
            "writable",
            "read closed",
            "write closed",
            "error",
            "priority",
        ];
        let set = (0..names.len()).filter(|bit| self.0 & 1 << bit != 0);
        f.debug_list().entries(set.map(|bit| names[bit])).finish()
    }
}

/// Lets [`Context::source_mut`] and [`Context::take`] find out what a source is. Implemented for
/// every type.
pub trait AsAny: Any {
    /// This value, as something whose type can be asked.
    fn as_any(&self) -> &dyn Any;
    /// This value, as something whose type can be asked.
    fn as_any_mut(&mut self) -> &mut dyn Any;
    /// This box, as something whose type can be asked.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<T: Any> AsAny for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
