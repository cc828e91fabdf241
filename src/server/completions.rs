//! A transport over the operations of a proactor: what the driver takes for a socket that is ready is
//! what has completed.
//!
//! ```text
//!   driver ── read ──> bytes that a receive has brought, else WouldBlock: one is under way
//!          ── write ─> WouldBlock, and a send of the output begins; when it has completed: its count
//! ```
//!
//! A write is a try that takes its time: its bytes count as taken when the kernel has taken them, and
//! not when they are copied for it. So a connection closes, says its end, judges who reads too slowly and
//! tells its observer exactly as it does over a socket.
//!
//! Invariant: at most one receive and one send are under way; no receive begins before all that the last
//! one has brought is read, so a client that sends ahead waits in the kernel.
//! Invariant: a send that is under way is of the first bytes of the output, which stay until it completes.

use std::fmt;
use std::io;
use std::mem;
use std::rc::Rc;

use super::transport::Transport;
use crate::buffer::Charge;
use crate::proactor::{Came, Filled, Proactor, Socket};
use crate::reactor::{Completed, Context, OperationId, Readiness, Result, ShortRead, Stream};

/// A stream by its operations.
pub(super) struct Completions {
    proactor: Proactor,
    /// For what waits for nothing: the end of what we say, the reset.
    stream: Rc<Stream>,
    socket: Socket,
    incoming: Incoming,
    outgoing: Outgoing,
    /// The copy that is being sent, in the memory of the server.
    charge: Charge,
}

/// What comes from the client.
enum Incoming {
    /// Nobody has asked for anything.
    Quiet,
    UnderWay(OperationId),
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
    UnderWay(OperationId),
    /// So many bytes were taken, which the driver has not been told.
    Sent(usize),
    Broken(io::ErrorKind),
}

/// Bytes that are copied to be sent at a time.
pub(super) const COPY_MAX: usize = 64 * 1024;
/// With less than that, the copy is not counted: it is in a buffer of the proactor's own, mostly.
pub(super) const COUNTED_FROM: usize = 4096;

impl Completions {
    /// Takes `stream` over, on whose loop `proactor` is.
    pub(super) fn new<S: 'static>(
        proactor: Proactor,
        stream: Stream,
        short_read: ShortRead,
        cx: &mut Context<'_, S>,
    ) -> Result<Completions> {
        let (socket, stream) = proactor.adopt(cx, stream, short_read)?;
        Ok(Completions {
            proactor,
            stream,
            socket,
            incoming: Incoming::Quiet,
            outgoing: Outgoing::Quiet,
            charge: Charge::default(),
        })
    }

    /// For somebody else who starts the operations. Nothing is under way.
    pub(super) fn into_parts(self) -> (Proactor, Rc<Stream>, Socket) {
        (self.proactor, self.stream, self.socket)
    }

    /// What has completed, as the readiness that it is for the driver. `None` when it is known already.
    #[inline]
    pub(super) fn take<S: 'static>(
        &mut self,
        completed: Completed,
        cx: &mut Context<'_, S>,
    ) -> Option<Readiness> {
        let (id, came) = self.proactor.take_came(cx, completed)?;
        Some(self.land(id, came))
    }

    /// What has completed and was not told: for whoever is about to judge the client.
    #[cold]
    pub(super) fn look<S: 'static>(&mut self, cx: &mut Context<'_, S>) -> Readiness {
        let mut readiness = Readiness::default();
        let receive = match self.incoming {
            Incoming::UnderWay(id) => Some(id),
            _ => None,
        };
        let send = match self.outgoing {
            Outgoing::UnderWay(id) => Some(id),
            _ => None,
        };
        for id in [receive, send].into_iter().flatten() {
            if let Some(came) = self.proactor.take_early(cx, &self.socket, id) {
                readiness = readiness.union(self.land(id, came));
            }
        }
        readiness
    }

    /// Begins to receive, when all that came is read. Whether a receive is under way.
    #[cold]
    pub(super) fn ask_for_more<S: 'static>(&mut self, cx: &mut Context<'_, S>) -> bool {
        if self.is_spent() && self.receive(cx).is_err() {
            return false; // it is broken, which the next read says
        }
        matches!(self.incoming, Incoming::UnderWay(_))
    }

    /// Ends a send that is under way, so that it begins anew with the next [`start`](Completions::start):
    /// the kernel, where it has a send wait for room, tries it only when a third of its buffer is free.
    /// Whether there is one to begin.
    #[cold]
    pub(super) fn recall<S: 'static>(&mut self, cx: &mut Context<'_, S>) -> (bool, Readiness) {
        let Outgoing::UnderWay(id) = self.outgoing else {
            return (false, Readiness::default());
        };
        let came = self.proactor.cancel_early(cx, &self.socket, id);
        let readiness = came.map_or_else(Readiness::default, |came| self.land(id, came));
        (matches!(self.outgoing, Outgoing::Wanted), readiness)
    }

    #[inline]
    fn is_spent(&self) -> bool {
        match &self.incoming {
            Incoming::Quiet => true,
            Incoming::Bytes { filled, read } => *read == filled.len(),
            _ => false,
        }
    }

    #[inline]
    fn land(&mut self, id: OperationId, came: Came) -> Readiness {
        match came {
            Came::Bytes(filled) => {
                self.incoming = Incoming::Bytes { filled, read: 0 };
                Readiness::READABLE
            }
            Came::Sent(count) => {
                self.charge = Charge::default();
                self.outgoing = Outgoing::Sent(count);
                Readiness::WRITABLE
            }
            came => self.land_end(id, came),
        }
    }

    #[cold]
    fn land_end(&mut self, id: OperationId, came: Came) -> Readiness {
        let is_receive = matches!(self.incoming, Incoming::UnderWay(receive) if receive == id);
        match came {
            Came::Failed(error) if is_receive => {
                self.incoming = Incoming::Broken(error.kind());
                Readiness::READABLE.union(Readiness::ERROR)
            }
            Came::Failed(error) => {
                self.charge = Charge::default();
                self.outgoing = Outgoing::Broken(error.kind());
                Readiness::WRITABLE.union(Readiness::ERROR)
            }
            Came::End => {
                self.incoming = Incoming::End;
                Readiness::READABLE.union(Readiness::READ_CLOSED)
            }
            // Cancelled: to begin anew, or by the proactor's end, when the next one will not begin.
            _ if is_receive => {
                self.incoming = Incoming::Quiet;
                Readiness::default()
            }
            _ => {
                self.outgoing = Outgoing::Wanted;
                Readiness::default()
            }
        }
    }

    /// Begins what the driver has wished for: to receive, when all that came is read, and to send
    /// `output`, of which `charge` counts the copy.
    ///
    /// # Errors
    ///
    /// When an operation cannot begin; the stream is then broken.
    #[inline]
    pub(super) fn start<S: 'static>(
        &mut self,
        output: &[u8],
        charge: impl FnOnce(usize) -> Charge,
        cx: &mut Context<'_, S>,
    ) -> std::result::Result<(), Readiness> {
        if self.is_spent() {
            self.receive(cx)?;
        }
        match self.outgoing {
            Outgoing::Wanted => self.send(output, charge, cx),
            _ => Ok(()),
        }
    }

    #[inline]
    fn receive<S: 'static>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> std::result::Result<(), Readiness> {
        let buffer = match mem::replace(&mut self.incoming, Incoming::Quiet) {
            Incoming::Bytes { filled, .. } => Some(filled.into_buffer()),
            _ => None,
        };
        match self.proactor.receive_next(cx, &self.socket, buffer) {
            Ok(id) => {
                self.incoming = Incoming::UnderWay(id);
                Ok(())
            }
            Err(error) => {
                self.incoming = Incoming::Broken(io::Error::from(error).kind());
                Err(Readiness::READABLE.union(Readiness::ERROR))
            }
        }
    }

    #[inline]
    fn send<S: 'static>(
        &mut self,
        output: &[u8],
        charge: impl FnOnce(usize) -> Charge,
        cx: &mut Context<'_, S>,
    ) -> std::result::Result<(), Readiness> {
        let bytes = &output[..output.len().min(COPY_MAX)];
        if bytes.len() > COUNTED_FROM {
            self.charge = charge(bytes.len());
        }
        match self.proactor.send_copy(cx, &self.socket, bytes) {
            Ok(id) => {
                self.outgoing = Outgoing::UnderWay(id);
                Ok(())
            }
            Err(error) => {
                self.charge = Charge::default();
                self.outgoing = Outgoing::Broken(io::Error::from(error).kind());
                Err(Readiness::WRITABLE.union(Readiness::ERROR))
            }
        }
    }
}

impl Transport for Completions {
    #[inline]
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
            Incoming::Quiet | Incoming::UnderWay(_) | Incoming::Bytes { .. } => {
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }

    #[inline]
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
            Outgoing::Wanted | Outgoing::UnderWay(_) => Err(io::ErrorKind::WouldBlock.into()),
            Outgoing::Broken(kind) => Err(kind.into()),
        }
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.stream.shutdown_write()
    }

    fn abort_on_close(&mut self) {
        self.stream.abort_on_close();
    }

    fn close<S: 'static>(self, cx: &mut Context<'_, S>) {
        let Completions {
            proactor,
            stream,
            socket,
            ..
        } = self;
        drop(stream);
        proactor.release(cx, socket);
    }
}

impl fmt::Debug for Completions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Completions({:?})", self.socket)
    }
}
