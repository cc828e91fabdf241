//! Drives one connection: moves bytes between its socket and its state machine, and requests
//! between the machine and the service. Makes no decision of its own.

mod facts;
mod moving;
mod on_loop;
mod on_proactor;
mod pressed;
mod record;

use std::fmt;
use std::io;

use super::host::Host;
use super::ladder::Rung;
use super::present::Present;
use super::transport::Transport;
use super::unit::{InHand, Unit};
use crate::connection::{Call, CloseReason, Connection, Flow, Reply, Step, Turn, Wake};
use crate::http::Request;
use crate::reactor::{Event, Next, Peer, Readiness, ShortRead};
use crate::service::Service;

pub(super) use moving::Luggage;
pub(super) use on_loop::OnLoop;
pub(super) use on_proactor::OnProactor;

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
            ..
        } = host;
        let is_observed = observer.is_some();
        let mut turn = Turn::new(cx.now(), date.at(cx.unix_seconds()), config, pools);
        if let Some(observer) = observer {
            turn.journal = observer.journal(cx.token());
        }
        let mut unit = Unit {
            service,
            state,
            metrics,
        };
        let mut written = 0;
        let step = match event {
            Event::Ready(readiness) => {
                self.ready = self.ready.union(readiness);
                self.connection.poll(&mut turn)
            }
            event => self.handle_other(event, cx.is_draining(), &mut turn, &mut written),
        };
        let next = self.drive(step, &mut written, &mut turn, &mut unit, cx);
        if let Some(recorder) = recorder {
            self.record(recorder, event, &turn, written, cx);
        }
        if self.exchange.is_some() {
            self.let_go_if_over(&mut unit);
        }
        if is_observed {
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

    /// Does what the connection wishes, from `step` on, until it has to wait. Goes straight along the
    /// way of a request that is answered at once; for all else there is a loop aside.
    #[inline(always)]
    fn drive<V: Service<S>>(
        &mut self,
        mut step: Step,
        written: &mut usize,
        turn: &mut Turn<'_>,
        unit: &mut Unit<'_, S, V>,
        cx: &impl Present,
    ) -> Next {
        if let Step::Read = step {
            let Some(next) = self.read(turn) else {
                return self.rest();
            };
            step = next;
        }
        loop {
            if let Step::Request = step {
                step = self.answer(turn, unit, cx);
            }
            if let Step::Write = step {
                if *written >= WRITE_PER_TURN {
                    return Next::Again; // what is left waits for the others
                }
                let Some(next) = self.write(turn, written) else {
                    return self.rest();
                };
                step = next;
            }
            if let Step::Read = step
                && !self.ready.is_readable()
            {
                return self.rest();
            }
            match self.go_on(step, written, turn, unit, cx) {
                Ok(()) => step = Step::Request,
                Err(next) => return next,
            }
        }
    }

    /// Waits for the socket, or the deadline of the connection.
    #[inline(always)]
    fn rest(&self) -> Next {
        Next::Until(self.connection.deadline())
    }

    /// Goes on until there is a request to be answered, or an error, which is what the loop is told.
    #[cold]
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
        turn: &mut Turn<'_>,
        unit: &mut Unit<'_, S, V>,
        cx: &impl Present,
    ) -> Step {
        let (waker, in_hand) = (|| promise(cx), &mut self.exchange);
        let call = |request: &Request<'_>, reply: Reply<'_>| unit.call(request, reply, in_hand);
        self.connection.answer(turn, &waker, call)
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
    #[inline(always)]
    fn read(&mut self, turn: &mut Turn<'_>) -> Option<Step> {
        if !self.ready.is_readable() {
            return None;
        }
        let space = self.connection.input_space(turn.pools);
        let room = space.len();
        match self.stream.read(space) {
            Ok(len) if len > 0 => {
                if len < room
                    && self.short_read == ShortRead::Empties
                    && !self.ready.intersects(MARKS)
                {
                    self.ready = self.ready.without(Readiness::READABLE);
                }
                #[cfg(trine_planted)]
                if len < room && crate::planted::has(crate::planted::Bug::EndLost) {
                    self.ready = self.ready.without(Readiness::READABLE.union(MARKS));
                }
                Some(self.connection.handle_input(len, turn))
            }
            other => self.read_nothing(&other, turn),
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
    #[inline(always)]
    fn write(&mut self, turn: &mut Turn<'_>, written: &mut usize) -> Option<Step> {
        if !self.ready.is_writable() {
            return None;
        }
        match self.stream.write(self.connection.output()) {
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
