//! One loop accepts for all: it gives each connection to the loop that has the fewest.
//!
//! ```text
//!   loop 0: listener ── accept ── Desk ── the fewest? ──> here
//!                                   └── queue, wake-up ──> loop k: Intake ── admitted as from a listener
//! ```
//!
//! A connection on its way counts against the limit of the loop it goes to, so the limits hold whatever
//! that loop is doing. Where there is room nowhere, it stays with loop 0, which makes room, or says 503,
//! or waits for a place, as a server of one loop does.
//!
//! **The drain.** Loop 0 lets in whoever is in the kernel's queue before its listener closes, and may
//! give them away as well; so an intake stays open until the desk is gone and its queue is empty. A loop
//! that has ended takes nothing: its connections go to the others.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};

use super::board::Board;
use crate::connection::CloseReason;
use crate::reactor::{
    Acceptor, Context, Event, EventSource, Next, Peer, Removed, Result, Stream, Waker,
};
use crate::server::listener::HttpAcceptor;
use crate::service::Service;
use crate::slab::Token;

/// Connections that may be on the way to one loop.
const ON_THE_WAY_MAX: usize = 1024;
/// Connections taken in one turn at most, as by a listener.
const TAKEN_PER_TURN: usize = 64;

/// A client that was accepted.
type Arrival = (Stream, Peer);

/// Gives accepted connections to the loops.
pub(in crate::server) struct Desk {
    board: Arc<Board>,
    /// By loop; `None` for its own, and for one that has ended.
    hatches: Vec<Option<Hatch>>,
    /// Whose turn it is among those that have as few.
    next: usize,
}

/// The way to one loop.
struct Hatch {
    queue: SyncSender<Arrival>,
    /// Dropped after `queue`: rings when the loop can see that nobody comes any more.
    bell: Bell,
}

struct Bell(Arc<OnceLock<Waker>>);

impl Bell {
    fn ring(&self) {
        if let Some(waker) = self.0.get() {
            waker.wake();
        }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.ring();
    }
}

/// Where a loop gets its connections from another one, before it is set up.
pub(in crate::server) struct Intake {
    queue: Receiver<Arrival>,
    bell: Arc<OnceLock<Waker>>,
    board: Arc<Board>,
    number: usize,
}

/// A desk, and the intakes of the other loops in their order.
pub(super) fn desk(board: &Arc<Board>) -> (Desk, Vec<Intake>) {
    let (mut hatches, mut intakes) = (vec![None], Vec::new());
    for number in 1..board.loops() {
        let (give, queue) = sync_channel(ON_THE_WAY_MAX);
        let bell = Arc::default();
        hatches.push(Some(Hatch {
            queue: give,
            bell: Bell(Arc::clone(&bell)),
        }));
        intakes.push(Intake {
            queue,
            bell,
            board: Arc::clone(board),
            number,
        });
    }
    let desk = Desk {
        board: Arc::clone(board),
        hatches,
        next: 0,
    };
    (desk, intakes)
}

impl Desk {
    /// Gives a client to the loop that has the fewest; back, if that is the desk's own, which is asked only
    /// if it `may_stay`, or if all are full.
    pub(in crate::server) fn give(
        &mut self,
        stream: Stream,
        peer: Peer,
        may_stay: bool,
    ) -> Option<Arrival> {
        let arrival = (stream, peer);
        let Some(to) = self.emptiest(may_stay) else {
            return Some(arrival);
        };
        self.next = to + 1;
        let Some(hatch) = &self.hatches[to] else {
            return Some(arrival);
        };
        self.board.add_coming(to);
        match hatch.queue.try_send(arrival) {
            Ok(()) => {
                hatch.bell.ring();
                None
            }
            Err(TrySendError::Full(arrival)) => {
                self.board.remove_coming(to);
                Some(arrival)
            }
            Err(TrySendError::Disconnected(arrival)) => {
                self.board.remove_coming(to);
                self.hatches[to] = None;
                Some(arrival)
            }
        }
    }

    /// The loop that has the fewest connections of those that have room; in turn, of several.
    fn emptiest(&self, may_stay: bool) -> Option<usize> {
        let loops = self.hatches.len();
        let in_turn = (0..loops).map(|offset| (self.next + offset) % loops);
        let asked = in_turn.filter(|number| may_stay || *number > 0);
        let with_room = asked.filter_map(|number| Some((self.load(number)?, number)));
        with_room
            .min_by_key(|(load, _)| *load)
            .map(|(_, number)| number)
    }

    /// How many connections a loop that takes some has, if it has room.
    fn load(&self, number: usize) -> Option<usize> {
        let is_there = number == 0 || self.hatches[number].is_some();
        self.board.load_with_room(number).filter(|_| is_there)
    }

    /// Whether another loop has room. If not, the desk's own [member](super::member::Member) is woken
    /// when one has.
    pub(in crate::server) fn has_room_or_waits(&self) -> bool {
        let has_room = || (1..self.hatches.len()).any(|number| self.load(number).is_some());
        has_room() || {
            self.board.want_place();
            has_room() // one may have left meanwhile, and told nobody
        }
    }
}

impl Intake {
    /// Makes a source of it, for which `acceptor` admits whoever comes.
    pub(in crate::server) fn insert<S: 'static, V: Service<S>>(
        self,
        acceptor: HttpAcceptor<S, V>,
        cx: &mut Context<'_, S>,
    ) -> Result<Token> {
        let bell = Arc::clone(&self.bell);
        let source = IntakeSource {
            intake: self,
            acceptor,
        };
        let token = cx.insert(source)?;
        let _ = bell.set(cx.waker(token)); // it is set once
        Ok(token)
    }
}

/// Takes in what another loop has accepted, as a listener does what the kernel has.
struct IntakeSource<S, V> {
    intake: Intake,
    acceptor: HttpAcceptor<S, V>,
}

impl<S: 'static, V: Service<S>> IntakeSource<S, V> {
    fn take(&mut self, state: &mut S, cx: &mut Context<'_, S>) -> Next {
        for _ in 0..TAKEN_PER_TURN {
            if !self.acceptor.has_room(cx.token(), cx) {
                return Next::Wait;
            }
            match self.intake.queue.try_recv() {
                Ok((stream, peer)) => {
                    self.acceptor.accept(stream, peer, state, cx);
                    self.arrived();
                }
                Err(TryRecvError::Empty) => return Next::Wait,
                Err(TryRecvError::Disconnected) => return Next::Close,
            }
        }
        Next::Again
    }

    fn arrived(&self) {
        self.intake.board.remove_coming(self.intake.number);
    }
}

impl<S: 'static, V: Service<S>> EventSource<S> for IntakeSource<S, V> {
    fn handle(&mut self, _: Event, state: &mut S, cx: &mut Context<'_, S>) -> Next {
        self.take(state, cx)
    }

    fn removed(mut self: Box<Self>, _: Removed, _: &mut S, cx: &mut Context<'_, S>) {
        // Forced: nobody serves who is still on the way.
        while self.intake.queue.try_recv().is_ok() {
            self.arrived();
            self.acceptor.turn_off(CloseReason::Forced, cx);
        }
        self.acceptor.closed(cx);
    }

    fn name(&self) -> &'static str {
        "intake"
    }
}
