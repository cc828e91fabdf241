//! Drives one connection: moves bytes between its socket and its state machine, and requests
//! between the machine and the service. Makes no decision of its own.

mod facts;
mod moving;
mod on_ferry;
mod on_loop;
mod on_proactor;
mod on_team;
mod pressed;
mod record;

use std::fmt;
use std::io;

use super::host::Host;
use super::ladder::Rung;
use super::present::Present;
use super::transport::Transport;
use super::unit::{InHand, Unit};
use crate::connection::{
    Answers, Call, CloseReason, Connection, Detour, Flow, Reply, Row, Step, Turn, Wake,
};
use crate::http::Request;
use crate::reactor::{Event, Next, Peer, Readiness, ShortRead};
use crate::service::Service;

pub(super) use moving::Luggage;
pub(super) use on_loop::OnLoop;
pub(super) use on_proactor::OnProactor;
pub(super) use on_team::OnTeam;

/// One connection of a server: over the transport `T`, at home with a host that it finds by `H`.
pub(super) struct Driver<S, H, T> {
    connection: Connection,
    stream: T,
    home: H,
    /// What the kernel said and no read or write has used up.
    ready: Readiness,
    end: CloseReason,
    counted: Counted,
    short_read: ShortRead,
    /// Whoever takes the present exchange in pieces.
    exchange: Option<Box<InHand<S>>>,
}

/// How a connection counts against the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Counted {
    Served,
    /// Served, and a message was under way when the drain began.
    Finishing,
    /// Accepted only to be told that there is no room.
    Refused,
}

/// Why the straight way does not begin, or where it ends.
enum Aside {
    /// Something happened that does not begin a request, or not to a connection at rest.
    Event(Event),
    /// Nothing could be read.
    Nothing(Row, io::Result<usize>),
    /// There is more to do than to answer at once.
    Detour(Detour),
    /// The client did not take all of the answers.
    Untaken(Answers, io::Result<usize>),
    /// All is done, and there may be more to read.
    AtRest,
}

/// What the socket says to a connection that waits for its service: the client is gone.
const GONE: Readiness = Readiness::ERROR.union(Readiness::WRITE_CLOSED);

/// After a short read the socket is empty, unless something else ended the read: the client's end
/// of file, or the mark of urgent data, neither of which need bring a new edge.
const MARKS: Readiness = Readiness::READ_CLOSED.union(Readiness::PRIORITY);

/// Bytes one connection may write in one turn, before others get theirs.
const WRITE_PER_TURN: usize = 256 * 1024;

impl<S: 'static, H, T: Transport> Driver<S, H, T> {
    pub(super) fn new(
        (stream, peer): (T, &Peer),
        home: H,
        connection: Connection,
        counted: Counted,
    ) -> Driver<S, H, T> {
        Driver {
            connection,
            stream,
            home,
            ready: Readiness::READABLE.union(Readiness::WRITABLE),
            end: CloseReason::HandlerPanicked, // unless it ends by itself
            counted,
            short_read: peer.short_read(),
            exchange: None,
        }
    }

    /// Does what `event` makes possible, with what `host` lends.
    #[inline(always)]
    fn run<V: Service<S>>(
        &mut self,
        event: Event,
        host: &mut Host<S, V>,
        state: &mut S,
        cx: &mut impl Present,
    ) -> Next {
        if host.overload.rung() >= Rung::NoKeepAlive
            && let Some(next) = self.run_pressed(event, host, state, cx)
        {
            return next;
        }
        let Host {
            service,
            config,
            pools,
            date,
            metrics,
            observer,
            recorder,
            is_watched,
            ..
        } = host;
        let is_watched = *is_watched;
        let mut turn = Turn::new(cx.now(), date.at(cx.unix_seconds()), config, pools);
        if is_watched && let Some(observer) = observer {
            turn.journal = observer.journal(cx.token());
        }
        let mut unit = Unit {
            service,
            state,
            metrics,
        };
        let mut written = 0;
        let next = self.drive(event, &mut written, &mut turn, &mut unit, cx);
        if is_watched && let Some(recorder) = recorder {
            self.record(recorder, event, &turn, written, cx);
        }
        if self.exchange.is_some() {
            self.let_go_if_over(&mut unit);
        }
        if is_watched {
            host.report(None, cx);
        }
        next
    }

    #[cold]
    #[inline(never)]
    fn let_go_if_over<V: Service<S>>(&mut self, unit: &mut Unit<'_, S, V>) {
        if !self.connection.is_streaming() {
            unit.let_go(&mut self.exchange);
        }
    }

    /// Does what `event` makes possible until it has to wait. Goes straight along the way of requests that
    /// came to a connection at rest and are answered at once; all else is done aside, until there is a
    /// request to be answered.
    #[inline(always)]
    fn drive<V: Service<S>>(
        &mut self,
        event: Event,
        written: &mut usize,
        turn: &mut Turn<'_>,
        unit: &mut Unit<'_, S, V>,
        cx: &impl Present,
    ) -> Next {
        let mut row = match self.begin(event, turn) {
            Ok(row) => row,
            Err(aside) => match self.go_aside(aside, written, turn, unit, cx) {
                Ok(row) => row,
                Err(next) => return next,
            },
        };
        loop {
            let aside = match self.answer(row, turn, unit, cx) {
                Ok(answers) => match self.stream.write(answers.data()) {
                    Ok(len) if len == answers.data().len() => {
                        *written += len;
                        let until = answers.until;
                        self.connection.handle_taken(answers, turn);
                        if !self.ready.is_readable() {
                            return Next::Until(until);
                        }
                        Aside::AtRest
                    }
                    result => Aside::Untaken(answers, result),
                },
                Err(detour) => Aside::Detour(detour),
            };
            row = match self.go_aside(aside, written, turn, unit, cx) {
                Ok(row) => row,
                Err(next) => return next,
            };
        }
    }

    /// Reads what came to a connection at rest.
    #[inline(always)]
    fn begin(&mut self, event: Event, turn: &mut Turn<'_>) -> Result<Row, Aside> {
        let Event::Ready(readiness) = event else {
            return Err(Aside::Event(event));
        };
        self.ready = self.ready.union(readiness);
        if !(self.ready.is_readable() && self.ready.is_writable() && self.connection.is_at_rest()) {
            return Err(Aside::Event(event));
        }
        let mut row = Row::new(turn);
        let space = row.space();
        let room = space.len();
        match self.stream.read(space) {
            Ok(len) if len > 0 => {
                self.note_read(len, room);
                row.filled(len, turn);
                Ok(row)
            }
            result => Err(Aside::Nothing(row, result)),
        }
    }

    /// Waits for the socket, or the deadline of the connection.
    #[inline(always)]
    fn rest(&self) -> Next {
        Next::Until(self.connection.deadline())
    }

    /// Goes on where the straight way ended, until there are requests to be answered, or an error, which
    /// is what the loop is told.
    #[cold]
    #[inline(never)]
    fn go_aside<V: Service<S>>(
        &mut self,
        aside: Aside,
        written: &mut usize,
        turn: &mut Turn<'_>,
        unit: &mut Unit<'_, S, V>,
        cx: &impl Present,
    ) -> Result<Row, Next> {
        let step = match aside {
            Aside::Event(event) => Some(self.handle_event(event, cx.is_draining(), turn, written)),
            Aside::Nothing(row, result) => {
                row.give_back(turn);
                self.read_nothing(&result, turn)
            }
            Aside::Detour(detour) => Some(self.connection.take_over(detour, turn)),
            Aside::AtRest => Some(self.connection.poll(turn)),
            Aside::Untaken(answers, result) => {
                let _ = self.connection.keep(answers, turn);
                self.wrote(result, turn, written)
            }
        };
        let mut step = step.ok_or_else(|| self.rest())?;
        loop {
            self.go_on(step, written, turn, unit, cx)?;
            match self.connection.begin_row(turn) {
                Some(row) => return Ok(row),
                None => step = self.connection.poll(turn),
            }
        }
    }

    /// Goes on until there is a request to be answered, or an error, which is what the loop is told.
    #[inline(never)]
    fn go_on<V: Service<S>>(
        &mut self,
        mut step: Step,
        written: &mut usize,
        turn: &mut Turn<'_>,
        unit: &mut Unit<'_, S, V>,
        cx: &impl Present,
    ) -> Result<(), Next> {
        loop {
            let went_on = match step {
                Step::Request => return Ok(()),
                Step::Read => self.read(turn),
                Step::Write if *written < WRITE_PER_TURN => self.write(turn, written),
                step => self.step_aside(step, turn, unit, cx)?,
            };
            step = went_on.ok_or_else(|| self.rest())?;
        }
    }

    /// The steps that are not on the way of a request that is answered at once. An error is what the
    /// loop is told.
    #[inline(never)]
    fn step_aside<V: Service<S>>(
        &mut self,
        step: Step,
        turn: &mut Turn<'_>,
        unit: &mut Unit<'_, S, V>,
        cx: &impl Present,
    ) -> Result<Option<Step>, Next> {
        Ok(match step {
            Step::Announced => {
                let ask = |head: &Request<'_>| unit.ask(head, &mut self.exchange);
                Some(self.connection.announce(turn, ask))
            }
            Step::Exchange => Some(self.exchange(turn, unit, cx)),
            Step::Shutdown => {
                let _ = self.stream.shutdown_write(); // it fails if the client is gone: as well
                Some(self.connection.poll(turn))
            }
            Step::Wait if self.ready.intersects(GONE) => Some(self.reset(turn)),
            Step::Wait => None,
            Step::Close(reason) => {
                self.end = reason;
                return Err(Next::Close);
            }
            // Enough was done for now; what is left waits for the others.
            Step::Again | Step::Read | Step::Request | Step::Write => {
                return Err(unit.spent_its_share());
            }
        })
    }

    #[inline(always)]
    fn answer<V: Service<S>>(
        &mut self,
        row: Row,
        turn: &mut Turn<'_>,
        unit: &mut Unit<'_, S, V>,
        cx: &impl Present,
    ) -> Result<Answers, Detour> {
        let (waker, in_hand) = (|| promise(cx), &mut self.exchange);
        let mut call =
            |request: &Request<'_>, reply: Reply<'_>| unit.call::<Self>(request, reply, in_hand);
        self.connection.answer_row(row, turn, &waker, &mut call)
    }

    #[cold]
    fn exchange<V: Service<S>>(
        &mut self,
        turn: &mut Turn<'_>,
        unit: &mut Unit<'_, S, V>,
        cx: &impl Present,
    ) -> Step {
        let (waker, in_hand) = (|| promise(cx), &mut self.exchange);
        let call = |call: Call<'_>, flow: &mut Flow<'_>| unit.exchange(in_hand, call, flow);
        self.connection.exchange(turn, &waker, call)
    }

    /// Reads once. Gives the next step, or `None` when the socket has nothing now.
    fn read(&mut self, turn: &mut Turn<'_>) -> Option<Step> {
        if !self.ready.is_readable() {
            return None;
        }
        let space = self.connection.input_space(turn.pools);
        let room = space.len();
        match self.stream.read(space) {
            Ok(len) if len > 0 => {
                self.note_read(len, room);
                Some(self.connection.handle_input(len, turn))
            }
            other => self.read_nothing(&other, turn),
        }
    }

    /// Whether the socket is empty now is told from how much it had for how much room.
    #[inline(always)]
    fn note_read(&mut self, len: usize, room: usize) {
        if len < room && self.short_read == ShortRead::Empties && !self.ready.intersects(MARKS) {
            self.ready = self.ready.without(Readiness::READABLE);
        }
        #[cfg(trine_planted)]
        if len < room && crate::planted::has(crate::planted::Bug::EndLost) {
            self.ready = self.ready.without(Readiness::READABLE.union(MARKS));
        }
    }

    #[cold]
    fn read_nothing(&mut self, result: &io::Result<usize>, turn: &mut Turn<'_>) -> Option<Step> {
        match result {
            Ok(_) => {
                self.connection.handle_eof(turn.pools);
                Some(self.connection.poll(turn))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let used_up = Readiness::READABLE.union(MARKS).union(Readiness::ERROR);
                self.ready = self.ready.without(used_up);
                None
            }
            Err(_) => Some(self.reset(turn)),
        }
    }

    /// Writes once. Gives the next step, or `None` when the socket takes nothing now.
    fn write(&mut self, turn: &mut Turn<'_>, written: &mut usize) -> Option<Step> {
        if !self.ready.is_writable() {
            return None;
        }
        let result = self.stream.write(self.connection.output());
        self.wrote(result, turn, written)
    }

    /// What became of a write of all the output.
    fn wrote(
        &mut self,
        result: io::Result<usize>,
        turn: &mut Turn<'_>,
        written: &mut usize,
    ) -> Option<Step> {
        match result {
            Ok(len) => {
                *written += len;
                Some(self.connection.handle_written(len, turn))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let used_up = Readiness::WRITABLE.union(Readiness::ERROR);
                self.ready = self.ready.without(used_up);
                self.connection.handle_write_refused(turn);
                None
            }
            Err(_) => Some(self.reset(turn)),
        }
    }

    #[cold]
    fn reset(&mut self, turn: &mut Turn<'_>) -> Step {
        self.connection.handle_reset(turn.pools);
        self.connection.poll(turn)
    }

    /// How it ended, for the books.
    fn ended(&mut self) -> CloseReason {
        if self.end.resets() {
            self.stream.abort_on_close();
        }
        if (self.end, self.counted) == (CloseReason::DrainedIdle, Counted::Finishing) {
            self.end = CloseReason::Drained; // it was idle when it had finished, not before
        }
        self.end
    }
}

/// What wakes the connection that runs, when a promised answer is there.
fn promise(cx: &impl Present) -> Box<dyn Wake> {
    let waker = cx.waker();
    Box::new(move || waker.wake())
}

impl<S, H, T> fmt::Debug for Driver<S, H, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Driver({})", self.connection.state_name())
    }
}
