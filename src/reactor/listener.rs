//! The acceptor (POSA2, Acceptor-Connector): takes connections out of the kernel's queue and hands
//! them to whoever serves them.
//!
//! What goes wrong in accept loops, and what this one does:
//! - out of descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM): the socket stays readable,
//!   so a loop that just goes on spins, and one that waits for the next edge waits for ever. Here
//!   accepting pauses and is tried again by a deadline. While that lasts, a descriptor kept in
//!   reserve lets waiting clients be turned away instead of hanging;
//! - a connection that failed before it was accepted (ECONNABORTED, EPROTO, a firewall's EPERM,
//!   errors of its network): skipped;
//! - a burst: at most [`ACCEPTS_PER_TURN`] a turn, then everybody else;
//! - more than the limit: they stay in the kernel's queue until one of ours closes;
//! - the drain: whoever stands in the queue is accepted before the socket is closed. What remains
//!   is the kernel's: a connection that completes between the last accept, which found nobody, and
//!   the close is reset by it, with no octet read or written. No order of calls prevents this (a
//!   listening socket cannot be told to finish its queue), and a client sees the same as when it
//!   had come a moment later. Who must not lose even these passes the listening socket on.

use std::io;

use rustix::io::Errno;

use super::accept::{Accept, Input};
use super::context::Context;
use super::net::{Stream, StreamListener};
use super::peer::Peer;
use super::registry::Registry;
use super::reserve::Reserve;
use super::source::{Event, EventSource, Next, Removed};
use crate::slab::Token;

/// Connections taken in one turn at most.
const ACCEPTS_PER_TURN: usize = 64;
/// Connections in a row that may fail before they are accepted.
const FAILURES_MAX: usize = 32;
/// While resources are short there are ten tries a second: one report in so many,
const REPORT_EVERY: u32 = 10;
/// and one round of turning clients away.
const TURN_AWAY_EVERY: u32 = 3;
/// Connections taken when the listener ends: what the kernel's queue can hold.
const ACCEPTS_AT_DRAIN: usize = 4096;

/// Who serves the connections of a listener.
pub(crate) trait Acceptor<S>: 'static {
    /// Whether one more may come in now. After a no, the acceptor calls
    /// [`Context::resume`] for `listener` as soon as one has closed.
    fn has_room(&mut self, listener: Token, cx: &mut Context<'_, S>) -> bool;

    /// Calls [`Context::resume`] for `listener` as soon as a connection has closed: it may have
    /// freed what was short.
    fn wait_for_room(&mut self, listener: Token, cx: &mut Context<'_, S>);

    /// Gives up a descriptor that was kept back, so that the next client can be accepted although the
    /// process has no other. False when there is none.
    fn lend_descriptor(&mut self, cx: &mut Context<'_, S>) -> bool {
        let _ = cx;
        false
    }

    /// Keeps back again what was given up and not used.
    fn take_back(&mut self, cx: &mut Context<'_, S>) {
        let _ = cx;
    }

    /// So many clients were accepted and closed at once, for want of descriptors.
    fn turned_away(&mut self, clients: u64, cx: &mut Context<'_, S>) {
        let _ = (clients, cx);
    }

    /// Takes over an accepted connection.
    fn accept(&mut self, stream: Stream, peer: Peer, state: &mut S, cx: &mut Context<'_, S>);

    /// The listener is gone: nobody else will be accepted.
    fn closed(&mut self, cx: &mut Context<'_, S>) {
        let _ = cx;
    }
}

/// The source that accepts.
#[derive(Debug)]
pub(crate) struct Listener<A> {
    socket: StreamListener,
    acceptor: A,
    state: Accept,
    /// Given up for a moment to turn a client away when no other descriptor is left.
    reserve: Reserve,
    /// Tries in a row that ended for want of descriptors.
    exhausted: u32,
}

/// How a batch of accepts ended.
enum Batch {
    /// The queue is empty: an edge will say when it is not.
    Drained,
    /// The budget is spent.
    MoreToCome,
    NoRoom,
    OutOfResources(Errno),
}

impl<A> Listener<A> {
    pub(crate) fn new(socket: StreamListener, acceptor: A) -> Listener<A> {
        Listener {
            socket,
            acceptor,
            state: Accept::Open,
            reserve: Reserve::as_far_as_possible(1),
            exhausted: 0,
        }
    }

    fn accept_batch<S: 'static>(
        &mut self,
        budget: usize,
        state: &mut S,
        cx: &mut Context<'_, S>,
    ) -> Batch
    where
        A: Acceptor<S>,
    {
        let mut failures = 0;
        for _ in 0..budget {
            if !self.acceptor.has_room(cx.token(), cx) {
                return Batch::NoRoom;
            }
            match self.socket.accept() {
                Ok((stream, peer)) => {
                    self.exhausted = 0;
                    failures = 0;
                    self.acceptor.accept(stream, peer, state, cx);
                }
                Err(Errno::WOULDBLOCK) => {
                    self.exhausted = 0;
                    return Batch::Drained;
                }
                // Errors that do not end are no longer those of single connections.
                Err(error) if concerns_one_connection(error) && failures < FAILURES_MAX => {
                    failures += 1;
                }
                // The kernel takes a descriptor before it looks who is there.
                Err(Errno::MFILE | Errno::NFILE) if !self.socket.has_waiting() => {
                    self.exhausted = 0;
                    return Batch::Drained;
                }
                Err(Errno::MFILE | Errno::NFILE) if self.acceptor.lend_descriptor(cx) => {}
                Err(error) => return Batch::OutOfResources(error),
            }
        }
        Batch::MoreToCome
    }

    fn go_on<S: 'static>(&mut self, state: &mut S, cx: &mut Context<'_, S>) -> Next
    where
        A: Acceptor<S>,
    {
        let batch = self.accept_batch(ACCEPTS_PER_TURN, state, cx);
        self.acceptor.take_back(cx);
        match batch {
            Batch::Drained => Next::Wait,
            Batch::MoreToCome => Next::Again,
            Batch::NoRoom => {
                self.state = self.state.next(Input::NoRoom, cx.now());
                Next::Wait
            }
            #[cfg(trine_planted)]
            Batch::OutOfResources(_)
                if crate::planted::has(crate::planted::Bug::ListenerParked) =>
            {
                Next::Wait
            }
            Batch::OutOfResources(error) => {
                self.state = self.state.next(Input::OutOfResources, cx.now());
                let turned_away = self.out_of_resources(error);
                self.acceptor.turned_away(turned_away, cx);
                self.acceptor.wait_for_room(cx.token(), cx);
                self.state.deadline().map_or(Next::Wait, Next::Until)
            }
        }
    }

    /// Gives how many clients were turned away.
    #[cold]
    fn out_of_resources(&mut self, errno: Errno) -> u64 {
        self.exhausted = self.exhausted.saturating_add(1);
        let tries = self.exhausted;
        if tries % REPORT_EVERY == 1 {
            let error = io::Error::from(errno);
            tracing::warn!(target: "trine::loop", %error, tries, "accepting paused: raise the descriptor limit or lower the connection limit");
        }
        // Not the first time: descriptors may come free before anybody notices.
        match tries % TURN_AWAY_EVERY == 2 {
            true => self.turn_away(),
            false => 0,
        }
    }

    /// Takes waiting clients and closes them at once, by the reserve, so that they can go
    /// elsewhere. Ends when the queue is empty or another thread took the reserve's number.
    fn turn_away(&mut self) -> u64 {
        let mut clients = 0;
        for _ in 0..ACCEPTS_PER_TURN {
            let turned_away = self.reserve.lend(|| self.socket.accept().is_ok());
            clients += u64::from(turned_away);
            if !turned_away || self.reserve.kept() == 0 {
                break;
            }
        }
        clients
    }
}

impl<S: 'static, A: Acceptor<S>> EventSource<S> for Listener<A> {
    fn register(&mut self, registry: &mut Registry<'_>) -> io::Result<()> {
        registry.listener(&self.socket)
    }

    fn handle(&mut self, event: Event, state: &mut S, cx: &mut Context<'_, S>) -> Next {
        match (event, self.state) {
            (Event::Drain, _) => {
                self.state = self.state.next(Input::Drain, cx.now());
                // Those in the queue have been told that they are connected.
                let _ = self.accept_batch(ACCEPTS_AT_DRAIN, state, cx);
                Next::Close
            }
            (Event::Deadline, _) => {
                self.state = self.state.next(Input::Deadline, cx.now());
                self.go_on(state, cx)
            }
            (Event::Resumed, _) => {
                self.state = self.state.next(Input::OneClosed, cx.now());
                self.go_on(state, cx)
            }
            (_, Accept::Exhausted { retry_at }) => Next::Until(retry_at),
            (_, Accept::Full | Accept::Closed) => Next::Wait,
            (_, Accept::Open) => self.go_on(state, cx),
        }
    }

    fn removed(mut self: Box<Self>, _: Removed, _: &mut S, cx: &mut Context<'_, S>) {
        self.acceptor.closed(cx);
    }

    fn name(&self) -> &'static str {
        "listener"
    }
}

/// Errors of one connection, or of the way to its client; the next one may be well (accept(2)).
pub(crate) fn concerns_one_connection(error: Errno) -> bool {
    matches!(
        error,
        Errno::INTR
            | Errno::CONNABORTED
            | Errno::PROTO
            | Errno::PERM
            | Errno::NETDOWN
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::NONET
            | Errno::HOSTUNREACH
            | Errno::OPNOTSUPP
            | Errno::NETUNREACH
            | Errno::TIMEDOUT
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_accept_is_either_one_connections_or_a_reason_to_pause() {
        let skipped = [
            Errno::INTR,
            Errno::CONNABORTED,
            Errno::PROTO,
            Errno::PERM,
            Errno::NETDOWN,
            Errno::NETUNREACH,
            Errno::HOSTDOWN,
            Errno::HOSTUNREACH,
            Errno::NONET,
            Errno::NOPROTOOPT,
            Errno::OPNOTSUPP,
            Errno::TIMEDOUT,
        ];
        for error in skipped {
            assert!(concerns_one_connection(error), "{error:?}");
        }
        let pausing = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
        // What nobody expects must not make the loop spin either.
        let unexpected = [Errno::BADF, Errno::INVAL, Errno::IO];
        for error in pausing.into_iter().chain(unexpected) {
            assert!(!concerns_one_connection(error), "{error:?}");
        }
    }
}
