//! Where a connection in the hands of a team and its [ferry](super::ferry) meet: what the one wishes, and
//! what has come of it.
//!
//! ```text
//!   handler, any thread                                       ferry, the loop
//!            ── wish ──>  Wished(memory) ── take_wishes ──> Begun ── starts the operation
//!   Quiet <── hear ────── Came(result) <────── land ──────────┘         it completes
//! ```
//!
//! One such lane for what comes, and one for what goes. Whoever changes something wakes the other
//! afterwards, and looks here first when it is woken, so no wake-up can be lost: it comes after what it
//! announces.
//!
//! Invariant: no lock is held while an operation starts, nor while a service is called.
//! Invariant: the ferry is the last to leave, or says so here: then both lanes have failed, and wishes are
//! answered by that.

use std::io;
use std::mem;
use std::sync::{OnceLock, PoisonError};

use bytes::BytesMut;

use super::ledger::Note;
use crate::proactor::{Came, Payload};
use crate::reactor::Waker;
use crate::sync::{Mutex, MutexGuard};

/// Shared by one connection and its ferry.
pub(super) struct Quay {
    inside: Mutex<Inside>,
    /// Wakes the connection; there from its first call on.
    bell: OnceLock<Waker>,
}

struct Inside {
    incoming: Lane<Option<BytesMut>>,
    outgoing: Lane<Payload>,
    look: Look,
    stay: Stay,
}

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Incoming,
    Outgoing,
}

/// What one way is at, and the memory `W` that goes with a wish.
enum Lane<W> {
    Quiet,
    Wished(W),
    Begun,
    Came(Came),
}

/// Whether the connection is about to judge its client, and first wants to know all that has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Look {
    Told,
    Asked,
    Done,
}

/// How long the two have to do with one another.
enum Stay {
    Open,
    /// The client is to be told that no more comes.
    Ending,
    /// The connection has gone.
    Left(Farewell),
    /// The ferry has gone.
    Closed,
}

/// The last word of a connection to its ferry.
pub(super) struct Farewell {
    pub(super) resets: bool,
    pub(super) note: Note,
}

/// What a ferry is to do.
pub(super) struct Wishes {
    /// To receive; with a buffer that is not needed any more.
    pub(super) receive: Option<Option<BytesMut>>,
    pub(super) send: Option<Payload>,
    pub(super) look: bool,
    pub(super) shutdown: bool,
    pub(super) leave: bool,
}

/// What a connection hears.
pub(super) struct Heard {
    pub(super) incoming: Option<Came>,
    pub(super) outgoing: Option<Came>,
    /// Nothing more has come, as far as the kernel knows.
    pub(super) looked: bool,
}

impl Quay {
    /// The first wish is to receive.
    pub(super) fn new() -> Quay {
        Quay {
            inside: Mutex::new(Inside {
                incoming: Lane::Wished(None),
                outgoing: Lane::Quiet,
                look: Look::Told,
                stay: Stay::Open,
            }),
            bell: OnceLock::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        // Nothing that could panic runs while it is held.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the ferry: what it is to do now.
    pub(super) fn take_wishes(&self) -> Wishes {
        let mut inside = self.lock();
        let shutdown = matches!(inside.stay, Stay::Ending);
        if shutdown {
            inside.stay = Stay::Open;
        }
        Wishes {
            receive: inside.incoming.take_wish(),
            send: inside.outgoing.take_wish(),
            look: inside.look == Look::Asked,
            shutdown,
            leave: matches!(inside.stay, Stay::Left(_)),
        }
    }

    /// For the ferry: what has come of an operation. [Ring](Quay::ring) then.
    pub(super) fn land(&self, side: Side, came: Came) {
        let mut inside = self.lock();
        match side {
            Side::Incoming => inside.incoming = Lane::Came(came),
            Side::Outgoing => inside.outgoing = Lane::Came(came),
        }
    }

    /// For the ferry: it has looked. [Ring](Quay::ring) then.
    pub(super) fn looked(&self) {
        self.lock().look = Look::Done;
    }

    /// For the ferry: has the connection hear.
    pub(super) fn ring(&self) {
        if let Some(bell) = self.bell.get() {
            bell.wake();
        }
    }

    /// For the ferry, which goes: what the connection has said at last, if it has. If not it is told, when
    /// the ferry [rings](Quay::ring).
    pub(super) fn close(&self) -> Option<Farewell> {
        let mut inside = self.lock();
        let gone = (inside.incoming.fail(), inside.outgoing.fail());
        inside.look = Look::Done;
        let stay = mem::replace(&mut inside.stay, Stay::Closed);
        drop(inside);
        drop(gone);
        match stay {
            Stay::Left(farewell) => Some(farewell),
            Stay::Open | Stay::Ending | Stay::Closed => None,
        }
    }

    /// For the connection: what has come since it last heard. From the first call on it is woken by the
    /// waker that `bell` makes.
    #[inline]
    pub(super) fn hear(&self, bell: impl FnOnce() -> Waker) -> Heard {
        self.bell.get_or_init(bell); // before the look, so that nothing falls between
        let mut inside = self.lock();
        let looked = inside.look == Look::Done;
        if looked {
            inside.look = Look::Told;
        }
        Heard {
            incoming: inside.incoming.take_came(),
            outgoing: inside.outgoing.take_came(),
            looked,
        }
    }

    /// For the connection: begins what it needs. Wake the ferry then. Whatever else is there already is to
    /// be heard first, and the connection is woken for it.
    #[inline]
    pub(super) fn wish(&self, receive: Option<Option<BytesMut>>, send: Option<Payload>) {
        let mut inside = self.lock();
        let refused = (
            receive.and_then(|buffer| inside.incoming.wish(buffer)),
            send.and_then(|payload| inside.outgoing.wish(payload)),
        );
        drop(inside);
        drop(refused);
    }

    /// For the connection: has the ferry look for what has come, when it is woken. False when it is gone.
    pub(super) fn ask(&self) -> bool {
        let mut inside = self.lock();
        if matches!(inside.stay, Stay::Closed) {
            return false;
        }
        inside.look = Look::Asked;
        true
    }

    /// For the connection: the client is to be told that no more comes, when the ferry is woken.
    pub(super) fn end(&self) {
        let mut inside = self.lock();
        if matches!(inside.stay, Stay::Open) {
            inside.stay = Stay::Ending;
        }
    }

    /// For the connection, which goes: the ferry does the rest, when it is woken. Given back when it is
    /// gone itself.
    pub(super) fn leave(&self, farewell: Farewell) -> Result<(), Farewell> {
        let mut inside = self.lock();
        if matches!(inside.stay, Stay::Closed) {
            return Err(farewell);
        }
        inside.stay = Stay::Left(farewell);
        Ok(())
    }
}

impl<W> Lane<W> {
    fn take_wish(&mut self) -> Option<W> {
        match mem::replace(self, Lane::Begun) {
            Lane::Wished(memory) => Some(memory),
            other => {
                *self = other;
                None
            }
        }
    }

    fn take_came(&mut self) -> Option<Came> {
        match mem::replace(self, Lane::Quiet) {
            Lane::Came(came) => Some(came),
            other => {
                *self = other;
                None
            }
        }
    }

    /// Gives the memory back when something else has come.
    fn wish(&mut self, memory: W) -> Option<W> {
        match self {
            Lane::Quiet => {
                *self = Lane::Wished(memory);
                None
            }
            Lane::Wished(_) | Lane::Begun | Lane::Came(_) => Some(memory),
        }
    }

    /// Nothing comes this way any more. What it was before.
    fn fail(&mut self) -> Lane<W> {
        let broken = Came::Failed(io::ErrorKind::ConnectionAborted.into());
        mem::replace(self, Lane::Came(broken))
    }
}

#[cfg(all(test, trine_loom))]
#[path = "tests/quay.rs"]
mod tests;
