//! What a connection of a team moves its bytes by: its socket, or the operations of its
//! [ferry](super::ferry).

use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use bytes::BytesMut;

use super::ledger::{Ledger, Note};
use super::quay::{Farewell, Quay};
use crate::buffer::Charge;
use crate::proactor::{Came, Filled, Payload};
use crate::reactor::{Event, Readiness, Stream, Waker};
use crate::server::completions::{COPY_MAX, COUNTED_FROM};
use crate::server::transport::Transport;

/// The transport of a connection of a team.
pub(in crate::server) enum Carrier {
    Stream(Stream),
    Ferried(Box<Ferried>),
}

/// By a ferry. Between two calls of the connection nothing here changes: what has come is fetched at the
/// beginning of a call, and what is wished is left at its end.
pub(in crate::server) struct Ferried {
    quay: Arc<Quay>,
    ferry: Waker,
    incoming: Incoming,
    outgoing: Outgoing,
    /// The copy that is being sent, in the memory of the server.
    charge: Charge,
    /// What the connection is told when the ferry has looked.
    judged: Option<Event>,
    resets: bool,
}

/// What comes from the client.
enum Incoming {
    UnderWay,
    /// It has come, and its first `read` bytes are read.
    Bytes {
        filled: Filled,
        read: usize,
    },
    End,
    Broken(io::ErrorKind),
}

/// What goes to the client.
enum Outgoing {
    Quiet,
    /// The driver has tried to write.
    Wanted,
    UnderWay,
    /// So many bytes were taken, which the driver has not been told.
    Sent(usize),
    Broken(io::ErrorKind),
}

/// What a call of the connection begins with.
pub(in crate::server) struct News {
    pub(in crate::server) readiness: Readiness,
    /// What was to be judged: all that has come is known now.
    pub(in crate::server) judged: Option<Event>,
}

impl Ferried {
    /// By the ferry that `ferry` wakes.
    pub(super) fn new(quay: Arc<Quay>, ferry: Waker) -> Ferried {
        Ferried {
            quay,
            ferry,
            incoming: Incoming::UnderWay,
            outgoing: Outgoing::Quiet,
            charge: Charge::default(),
            judged: None,
            resets: false,
        }
    }

    /// What has come since the last call. `bell` makes what wakes the connection.
    pub(in crate::server) fn hear(&mut self, bell: impl FnOnce() -> Waker) -> News {
        let heard = self.quay.hear(bell);
        let incoming = heard.incoming.map(|came| self.land_incoming(came));
        let outgoing = heard.outgoing.map(|came| self.land_outgoing(came));
        let readiness = incoming.unwrap_or_default();
        News {
            readiness: readiness.union(outgoing.unwrap_or_default()),
            judged: self.judged.take_if(|_| heard.looked),
        }
    }

    fn land_incoming(&mut self, came: Came) -> Readiness {
        let (incoming, readiness) = match came {
            Came::Bytes(filled) => (Incoming::Bytes { filled, read: 0 }, Readiness::READABLE),
            Came::Failed(error) => (
                Incoming::Broken(error.kind()),
                Readiness::READABLE.union(Readiness::ERROR),
            ),
            Came::End | Came::Sent(_) | Came::Nothing => (
                Incoming::End,
                Readiness::READABLE.union(Readiness::READ_CLOSED),
            ),
        };
        self.incoming = incoming;
        readiness
    }

    fn land_outgoing(&mut self, came: Came) -> Readiness {
        self.charge = Charge::default();
        let (outgoing, readiness) = match came {
            Came::Sent(count) => (Outgoing::Sent(count), Readiness::WRITABLE),
            Came::Failed(error) => (
                Outgoing::Broken(error.kind()),
                Readiness::WRITABLE.union(Readiness::ERROR),
            ),
            Came::Bytes(_) | Came::End | Came::Nothing => (
                Outgoing::Broken(io::ErrorKind::ConnectionAborted),
                Readiness::WRITABLE.union(Readiness::ERROR),
            ),
        };
        self.outgoing = outgoing;
        readiness
    }

    /// Has the ferry look for all that has come, before `event` decides what becomes of the client: the
    /// connection then [hears](Ferried::hear) of it. False when there is no ferry: then all is known.
    #[cold]
    pub(in crate::server) fn ask(&mut self, event: Event) -> bool {
        let is_asked = self.quay.ask();
        if is_asked {
            self.judged = match (self.judged, event) {
                // Each includes what is below it.
                (Some(Event::Drain), _) | (_, Event::Drain) => Some(Event::Drain),
                (Some(Event::Resumed), _) => Some(Event::Resumed),
                (_, event) => Some(event),
            };
            self.ferry.wake();
        }
        is_asked
    }

    /// Whether the ferry has been asked to look, and the connection has not heard that it did.
    pub(in crate::server) fn is_asking(&self) -> bool {
        self.judged.is_some()
    }

    /// Begins what the driver has wished for: to receive, when all that came is read, and to send
    /// `output`, of which `charge` counts the copy.
    #[inline]
    pub(in crate::server) fn wish(&mut self, output: &[u8], charge: impl FnOnce(usize) -> Charge) {
        let mut spent = match &self.incoming {
            Incoming::Bytes { filled, read } if *read == filled.len() => {
                match mem::replace(&mut self.incoming, Incoming::UnderWay) {
                    Incoming::Bytes { filled, .. } => Some(filled),
                    _ => None,
                }
            }
            _ => None,
        };
        let receives = spent.is_some();
        let send = match self.outgoing {
            Outgoing::Wanted => {
                self.outgoing = Outgoing::UnderWay;
                Some(self.payload(output, &mut spent, charge))
            }
            _ => None,
        };
        let receive = receives.then(|| spent.map(Filled::into_buffer));
        if receive.is_some() || send.is_some() {
            self.quay.wish(receive, send);
            self.ferry.wake();
        }
    }

    /// A copy of as much of `output` as is sent at a time: where the request was, if it fits there.
    fn payload(
        &mut self,
        output: &[u8],
        spent: &mut Option<Filled>,
        charge: impl FnOnce(usize) -> Charge,
    ) -> Payload {
        let bytes = &output[..output.len().min(COPY_MAX)];
        if bytes.len() > COUNTED_FROM {
            self.charge = charge(bytes.len());
        }
        match spent.take() {
            None => Payload::from(BytesMut::from(bytes)),
            Some(filled) => filled.refilled(bytes).unwrap_or_else(|filled| {
                *spent = Some(filled);
                Payload::from(BytesMut::from(bytes))
            }),
        }
    }

    fn leave(self, note: Note) -> Result<(), Note> {
        let resets = self.resets;
        let left = self.quay.leave(Farewell { resets, note });
        self.ferry.wake();
        left.map_err(|farewell| farewell.note)
    }
}

impl Carrier {
    /// What is to be watched, if the connection sees to its socket.
    pub(in crate::server) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Carrier::Stream(stream) => Some(stream.as_fd()),
            Carrier::Ferried(_) => None,
        }
    }

    /// Closes it, and then has `note` written into the books.
    pub(in crate::server) fn leave(self, note: Note, ledger: &Ledger) {
        let note = match self {
            Carrier::Stream(stream) => {
                drop(stream); // before the loop knows: it accepts the next one
                Some(note)
            }
            Carrier::Ferried(ferried) => ferried.leave(note).err(),
        };
        if let Some(note) = note {
            ledger.leave(note);
        }
    }
}

impl Transport for Carrier {
    #[inline]
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self {
            Carrier::Stream(stream) => stream.read(space),
            Carrier::Ferried(ferried) => ferried.read(space),
        }
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Carrier::Stream(stream) => stream.write(bytes),
            Carrier::Ferried(ferried) => ferried.write(bytes),
        }
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        match self {
            Carrier::Stream(stream) => stream.shutdown_write(),
            Carrier::Ferried(ferried) => {
                ferried.quay.end();
                ferried.ferry.wake();
                Ok(())
            }
        }
    }

    fn abort_on_close(&mut self) {
        match self {
            Carrier::Stream(stream) => stream.abort_on_close(),
            Carrier::Ferried(ferried) => ferried.resets = true,
        }
    }
}

impl Ferried {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match &mut self.incoming {
            Incoming::Bytes { filled, read } if *read < filled.len() => {
                let rest = &filled[*read..];
                let len = rest.len().min(space.len());
                space[..len].copy_from_slice(&rest[..len]);
                *read += len;
                Ok(len)
            }
            Incoming::End => Ok(0),
            Incoming::Broken(kind) => Err((*kind).into()),
            Incoming::UnderWay | Incoming::Bytes { .. } => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.outgoing {
            Outgoing::Sent(count) => {
                self.outgoing = Outgoing::Quiet;
                Ok(count.min(bytes.len()))
            }
            Outgoing::Quiet => {
                self.outgoing = Outgoing::Wanted;
                Err(io::ErrorKind::WouldBlock.into())
            }
            Outgoing::Wanted | Outgoing::UnderWay => Err(io::ErrorKind::WouldBlock.into()),
            Outgoing::Broken(kind) => Err(kind.into()),
        }
    }
}
