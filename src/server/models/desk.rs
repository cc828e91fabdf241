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

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

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

/// The way to one loop: a queue that either end closes, under one lock, so that who is put there is taken
/// out, to be served or to be counted.
struct Way<T> {
    line: Mutex<Line<T>>,
    waker: OnceLock<Waker>,
}

enum Line<T> {
    Open(VecDeque<T>),
    /// No more will come.
    Left(VecDeque<T>),
    /// Nobody takes any.
    Shut,
}

impl<T> Default for Line<T> {
    fn default() -> Line<T> {
        Line::Open(VecDeque::new())
    }
}

/// What the loop at the other end of a way finds there.
enum Found<T> {
    Client(T),
    Nobody,
    /// Nor will there be anybody.
    End,
}

impl<T> Default for Way<T> {
    fn default() -> Way<T> {
        Way {
            line: Mutex::default(),
            waker: OnceLock::new(),
        }
    }
}

impl<T> Way<T> {
    /// Nothing panics while it is held, but for want of memory.
    fn line(&self) -> MutexGuard<'_, Line<T>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a client there; back, if there is no room, with whether there may be again.
    fn push(&self, arrival: T) -> std::result::Result<(), (T, bool)> {
        match &mut *self.line() {
            Line::Open(line) if line.len() < ON_THE_WAY_MAX => line.push_back(arrival),
            Line::Open(_) => return Err((arrival, true)),
            Line::Left(_) | Line::Shut => return Err((arrival, false)),
        }
        self.ring();
        Ok(())
    }

    fn take(&self) -> Found<T> {
        match &mut *self.line() {
            Line::Open(line) => line.pop_front().map_or(Found::Nobody, Found::Client),
            Line::Left(line) => line.pop_front().map_or(Found::End, Found::Client),
            Line::Shut => Found::End,
        }
    }

    /// The desk is gone.
    fn leave(&self) {
        let mut line = self.line();
        if let Line::Open(waiting) = &mut *line {
            *line = Line::Left(std::mem::take(waiting));
        }
        drop(line);
        self.ring();
    }

    /// The loop is gone. How many were still there.
    fn shut(&self) -> usize {
        match std::mem::replace(&mut *self.line(), Line::Shut) {
            Line::Open(line) | Line::Left(line) => line.len(),
            Line::Shut => 0,
        }
    }

    fn ring(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }
}

/// The desk's end of a way.
struct Hatch(Arc<Way<Arrival>>);

impl Drop for Hatch {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Where a loop gets its connections from another one.
pub(in crate::server) struct Intake {
    way: Arc<Way<Arrival>>,
    board: Arc<Board>,
    number: usize,
}

impl Intake {
    /// How many are lost that were on the way.
    fn shut(&self) -> usize {
        let lost = self.way.shut();
        (0..lost).for_each(|_| self.board.remove_coming(self.number));
        lost
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.shut();
    }
}

/// A desk, and the intakes of the other loops in their order.
pub(super) fn desk(board: &Arc<Board>) -> (Desk, Vec<Intake>) {
    let (mut hatches, mut intakes) = (vec![None], Vec::new());
    for number in 1..board.loops() {
        let way = Arc::default();
        hatches.push(Some(Hatch(Arc::clone(&way))));
        intakes.push(Intake {
            way,
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
        let mut arrival = (stream, peer);
        let mut full = Vec::new(); // of those whose way is: seldom one
        loop {
            let Some(to) = self.emptiest(may_stay, &full) else {
                return Some(arrival);
            };
            self.next = to + 1;
            let Some(hatch) = &self.hatches[to] else {
                return Some(arrival);
            };
            self.board.add_coming(to);
            let Err((back, is_open)) = hatch.0.push(arrival) else {
                return None;
            };
            self.board.remove_coming(to);
            match is_open {
                true => full.push(to),
                false => self.hatches[to] = None,
            }
            arrival = back;
        }
    }

    /// The loop that has the fewest connections of those that have room; in turn, of several.
    fn emptiest(&self, may_stay: bool, full: &[usize]) -> Option<usize> {
        let loops = self.hatches.len();
        let in_turn = (0..loops).map(|offset| (self.next + offset) % loops);
        let asked = in_turn.filter(|number| may_stay || *number > 0);
        let asked = asked.filter(|number| !full.contains(number));
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
        let way = Arc::clone(&self.way);
        let source = IntakeSource {
            intake: self,
            acceptor,
        };
        let token = cx.insert(source)?;
        let _ = way.waker.set(cx.waker(token)); // it is set once
        Ok(token)
    }
}

/// Takes in what another loop has accepted, as a listener does what the kernel has.
struct IntakeSource<S, V> {
    intake: Intake,
    acceptor: HttpAcceptor<S, V>,
}

impl<S: 'static, V: Service<S>> IntakeSource<S, V> {
    fn take(&mut self, cx: &mut Context<'_, S>) -> Next {
        for _ in 0..TAKEN_PER_TURN {
            if !self.acceptor.has_room(cx.token(), cx) {
                return Next::Wait;
            }
            match self.intake.way.take() {
                Found::Client((stream, peer)) => {
                    let (board, number) = (&self.intake.board, self.intake.number);
                    board.arrive(number, || self.acceptor.arrived(stream, peer, cx));
                }
                Found::Nobody => return Next::Wait,
                Found::End => return Next::Close,
            }
        }
        Next::Again
    }
}

impl<S: 'static, V: Service<S>> EventSource<S> for IntakeSource<S, V> {
    fn handle(&mut self, _: Event, _: &mut S, cx: &mut Context<'_, S>) -> Next {
        self.take(cx)
    }

    fn removed(mut self: Box<Self>, _: Removed, _: &mut S, cx: &mut Context<'_, S>) {
        // Nobody serves who is still on the way.
        for _ in 0..self.intake.shut() {
            self.acceptor.turn_off(CloseReason::Forced, cx);
        }
        self.acceptor.closed(cx);
    }

    fn name(&self) -> &'static str {
        "intake"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_put_on_the_way_is_taken_or_counted_as_lost() {
        for taken in 0..200 {
            let way = Arc::new(Way::default());
            let at_the_desk = Arc::clone(&way);
            let desk = std::thread::spawn(move || {
                let all = 0..1_000;
                all.filter(|it| at_the_desk.push(*it).is_ok()).count()
            });
            let arrived = (0..taken).filter(|_| matches!(way.take(), Found::Client(_)));
            let arrived = arrived.count();
            let lost = way.shut();
            assert_eq!(desk.join().unwrap(), arrived + lost);
        }
    }

    #[test]
    fn a_way_has_an_end_at_either_side() {
        let way = Way::default();
        assert!(way.push(1).is_ok());
        way.leave();
        assert!(matches!(way.take(), Found::Client(1)));
        assert!(matches!(way.take(), Found::End));
        let way = Way::default();
        for number in 0..ON_THE_WAY_MAX {
            assert!(way.push(number).is_ok());
        }
        assert_eq!(way.push(7), Err((7, true)));
        assert_eq!(way.shut(), ON_THE_WAY_MAX);
        assert_eq!(way.push(7), Err((7, false)));
    }
}
