//! From state to state: what each state does when it is polled. How a connection ends is in
//! `ending.rs`.
//!
//! The way of requests without a body that are answered at once is in `row.rs`; what comes here is
//! bodies, later answers, partial heads and what an exchange leaves behind.

use bytes::Bytes;

use super::close_reason::CloseReason;
use super::deferred::{Found, Slot};
use super::exchange::Streaming;
use super::input::Input;
use super::overload::MEMORY_LIMIT;
use super::pools::Pools;
use super::reply::{LARGE, Reply};
use super::state::{State, Then};
use super::turn::{Step, Turn};
use super::{Connection, Failure, PANICKED, Peer, Quota, UNANSWERED};
use crate::buffer::Buffer;
use crate::http::{self, Framing, Method, ParseError, Progress, ResponseContext, Status, Version};
use crate::sync::Arc;
use crate::time::Span;
use crate::unwind::dropped;

/// For answers to what is not, or not yet, a whole request.
pub(super) const NO_REQUEST: ResponseContext = ResponseContext {
    version: Version::Http11,
    head_only: false,
    close: true,
};

const TRUNCATED: Failure = Failure(Status::BAD_REQUEST, CloseReason::Truncated);
/// Until there are tunnels: no service may answer CONNECT with 2xx, after which the client would
/// send what is not HTTP (RFC 9110, 9.3.6).
const NO_TUNNELS: Failure = Failure(Status::NOT_IMPLEMENTED, CloseReason::BadRequest);
const ABANDONED: Failure = Failure(Status::INTERNAL_SERVER_ERROR, CloseReason::Abandoned);

/// How long a draining server listens to a client that connected and has said nothing yet. A
/// request and the connection it comes on are a round trip apart.
const FIRST_WORDS: Span = Span::from_millis(250);

/// How long it listens to one that is between two requests. A client that asks again as soon as it is
/// answered has asked by then, and is told in the answer that it was the last.
const LAST_WORDS: Span = Span::from_millis(75);

/// What a state did: `None` when it became another one, which is to be polled.
pub(super) type Polled = Option<Step>;

/// What the bytes held begin with.
#[derive(Debug)]
pub(super) enum Look {
    /// A whole request without a body.
    Request,
    /// A whole head that announces a body.
    Body,
    /// Less than a head.
    Partial,
    /// More than is to be looked at now: enough was done in this turn, or enough is waiting to be
    /// written.
    Enough,
    /// Nothing that is given to a service.
    Refused(ParseError),
    Tunnel,
}

/// Looks for the next whole head, with `waiting` bytes of answers not written yet.
pub(super) fn look(input: &mut Input, waiting: usize, turn: &Turn<'_>) -> Look {
    if input.is_empty() {
        return Look::Partial;
    }
    if is_enough(waiting, turn) {
        return Look::Enough;
    }
    match input.parse_head(&turn.config.limits) {
        Ok(Progress::Complete) => {}
        Ok(Progress::Partial) => return Look::Partial,
        Err(error) => return Look::Refused(error),
    }
    let head = input.head();
    match head.method() {
        Method::Connect => Look::Tunnel,
        _ if head.framing() == Framing::None => Look::Request,
        _ => Look::Body,
    }
}

/// Whether no further request is to be looked at now.
#[inline(always)]
pub(super) fn is_enough(waiting: usize, turn: &Turn<'_>) -> bool {
    turn.is_spent() || waiting >= turn.config.output_bytes_high
}

/// What became of a request that was given to the service.
#[derive(Debug)]
pub(super) enum Fate {
    /// Answered; others may be.
    Answered,
    /// Answered, and no other will be.
    Last,
    /// Answered, but for this content, which is given as it is taken.
    Begun(Bytes),
    /// To be answered in pieces.
    Opened,
    Promised(Arc<Slot>),
    Failed(Failure),
}

impl Connection {
    /// Idle or Head: looks for the next whole head among the bytes held, with `len` new ones.
    #[inline(always)]
    pub(super) fn poll_head(&mut self, len: usize, turn: &mut Turn<'_>) -> Polled {
        let waiting = self.output.as_deref().map_or(0, Buffer::len);
        let found = match self.input.as_deref_mut() {
            Some(input) => {
                input.filled(len);
                look(input, waiting, turn)
            }
            None => Look::Partial,
        };
        if let Look::Request = found {
            return self.request_is_whole(turn);
        }
        self.poll_other(found, turn)
    }

    #[inline(never)]
    pub(super) fn poll_other(&mut self, found: Look, turn: &mut Turn<'_>) -> Polled {
        match found {
            Look::Request => self.request_is_whole(turn),
            Look::Partial => self.want_bytes(turn),
            Look::Body => self.body_is_announced(turn),
            Look::Enough => self.pause(turn),
            Look::Refused(error) => self.refuse(error, turn),
            Look::Tunnel => self.fail(NO_TUNNELS, NO_REQUEST, turn),
        }
    }

    /// The service was given the request and is done with it; what it answered is in the output.
    pub(super) fn exchanged(&mut self, fate: Fate, context: ResponseContext, turn: &mut Turn<'_>) {
        let until = turn.now.after(turn.config.deadlines.handler);
        self.settle_input(turn.pools);
        let _ = match fate {
            Fate::Answered => self.enter_idle(turn),
            Fate::Last => self.answered(context, turn),
            Fate::Begun(content) => self.supply_from(content, until, context, turn),
            Fate::Opened => {
                let deadlines = &turn.config.deadlines;
                let streaming = Streaming::new(context, Framing::None, until, deadlines);
                self.state.change(State::Streaming(Box::new(streaming)));
                None
            }
            Fate::Promised(slot) => {
                self.state.change(State::Waiting {
                    until,
                    slot,
                    context,
                });
                self.settle_output(turn.pools);
                None
            }
            Fate::Failed(failure) => self.fail(failure, context, turn),
        };
    }

    /// The body the head announced is collected before the service is called.
    pub(super) fn collect(&mut self, framing: Framing, turn: &mut Turn<'_>) -> Polled {
        self.continue_if_awaited(turn);
        #[cfg(trine_planted)]
        if crate::planted::has(crate::planted::Bug::BodyIsARequest) {
            return self.request_is_whole(turn);
        }
        self.input.as_deref_mut()?.begin_body(framing);
        self.enter_body(turn)
    }

    /// Tells a client that waits for leave to send its body that it may.
    pub(super) fn continue_if_awaited(&mut self, turn: &mut Turn<'_>) {
        if self.input.as_deref().is_some_and(Input::waits_for_continue) {
            let output = self.output.get_or_insert_with(|| turn.pools.take_output());
            http::encode_continue(output);
        }
    }

    #[inline(never)]
    pub(super) fn poll_body(&mut self, turn: &mut Turn<'_>) -> Polled {
        let input = self.input.as_deref_mut()?;
        match input.collect_body(&turn.config.limits) {
            Ok(Progress::Partial) if !turn.pools.has_room(input.growth()) => {
                let context = self.unanswered_context();
                self.fail(MEMORY_LIMIT, context, turn)
            }
            Ok(Progress::Partial) => self.want_bytes(turn),
            Ok(Progress::Complete) => self.request_is_whole(turn),
            Err(error) => self.refuse(error, turn),
        }
    }

    #[cold]
    fn body_is_announced(&mut self, turn: &Turn<'_>) -> Polled {
        self.state.change(State::Announced {
            until: turn.now.after(turn.config.deadlines.handler),
        });
        Some(Step::Announced)
    }

    #[inline]
    fn request_is_whole(&mut self, turn: &Turn<'_>) -> Polled {
        self.state.follow(State::Ready {
            until: turn.now.after(turn.config.deadlines.handler),
        });
        Some(Step::Request)
    }

    /// Idle, Head or Body: all bytes held are looked at and do not make a whole request. What is
    /// to be written goes first; then more is read, if more can come.
    #[inline]
    fn want_bytes(&mut self, turn: &mut Turn<'_>) -> Polled {
        if self.output.is_some() {
            let then = match self.state {
                State::Body { .. } => Then::Body,
                _ => Then::Head,
            };
            return self.write_then(then, turn);
        }
        let begun = self.input.as_deref().is_some_and(Input::has_begun);
        match (&self.state, self.peer) {
            (_, Peer::Finished) if begun => {
                let context = self.unanswered_context();
                return self.fail(TRUNCATED, context, turn);
            }
            (_, Peer::Finished) => return self.close(CloseReason::PeerClosed, turn.pools),
            (State::Idle { .. }, _) if begun => {
                self.state.change(State::Head {
                    until: turn.now.after(turn.config.deadlines.head),
                });
            }
            // A request of its may be on its way, and would cross our end of file.
            (State::Idle { until }, _) if self.quota == Quota::Draining => {
                let until = (*until).min(turn.now.after(LAST_WORDS));
                self.state.change(State::Idle { until });
            }
            // It was just accepted, and its first request may be on its way.
            (State::Head { until }, _) if !begun && self.quota == Quota::Draining => {
                let until = (*until).min(turn.now.after(FIRST_WORDS));
                self.state.change(State::Head { until });
            }
            _ => {}
        }
        Some(read_within_budget(turn))
    }

    /// Idle or Head: there may be whole requests among the bytes held, but enough was done for
    /// now, or enough is waiting to be written.
    #[cold]
    fn pause(&mut self, turn: &mut Turn<'_>) -> Polled {
        match self.output {
            Some(_) => self.write_then(Then::Head, turn),
            None => Some(Step::Again),
        }
    }

    /// Waiting or Held: gives the promised answer when it is there and due.
    #[inline(never)]
    pub(super) fn poll_answer(&mut self, turn: &mut Turn<'_>) -> Polled {
        match &self.state {
            State::Waiting { slot, context, .. } => match slot.look() {
                Found::Nothing => {}
                Found::Answer { delay } => {
                    self.state.change(State::Held {
                        due: turn.now.after(delay),
                        slot: Arc::clone(slot),
                        context: *context,
                    });
                    return None;
                }
                Found::Abandoned => return self.fail(ABANDONED, *context, turn),
            },
            State::Held { due, slot, context } if *due <= turn.now => {
                let (slot, context) = (Arc::clone(slot), *context);
                return self.give_answer(&slot, context, turn);
            }
            _ => {}
        }
        // Earlier answers do not wait for this one.
        Some(self.output.as_ref().map_or(Step::Wait, |_| Step::Write))
    }

    fn give_answer(
        &mut self,
        slot: &Slot,
        mut context: ResponseContext,
        turn: &mut Turn<'_>,
    ) -> Polled {
        let Some(response) = slot.take().filter(Reply::is_final) else {
            return self.fail(UNANSWERED, context, turn);
        };
        context.close |= self.is_last();
        let output = self.output.get_or_insert_with(|| turn.pools.take_output());
        let mark = output.len();
        #[cfg(trine_planted)]
        if crate::planted::has(crate::planted::Bug::AnsweredTwice) {
            let _ = http::encode_beginning(&response, context, turn.date, output, LARGE);
        }
        let rest = http::encode_beginning(&response, context, turn.date, output, LARGE);
        // Its body may be in memory of the service's own, which has its own way of being dropped.
        if !dropped(response) {
            output.truncate(mark);
            return self.fail(PANICKED, context, turn);
        }
        self.note_answer(mark, rest.is_none(), turn);
        match rest {
            None => self.answered(context, turn),
            // The response is gone, so it is seen whether others have the content too.
            Some(content) => self.supply_from(content, turn.now, context, turn),
        }
    }

    #[inline]
    pub(super) fn enter_idle(&mut self, turn: &Turn<'_>) -> Polled {
        self.state.change(State::Idle {
            until: turn.now.after(turn.config.deadlines.idle),
        });
        None
    }

    #[inline(never)]
    pub(super) fn enter_body(&mut self, turn: &Turn<'_>) -> Polled {
        let deadlines = &turn.config.deadlines;
        self.state.change(State::Body {
            until: turn.now.after(deadlines.body),
            window_end: turn.now.after(deadlines.body_rate.window),
            window_bytes: 0,
        });
        None
    }

    /// There is output, and nothing else to do before it is written.
    #[inline]
    pub(super) fn write_then(&mut self, then: Then, turn: &Turn<'_>) -> Polled {
        self.state.change(State::writing(then, turn));
        Some(Step::Write)
    }

    /// Gives the input buffer back unless there are bytes in it.
    #[inline(always)]
    pub(super) fn settle_input(&mut self, pools: &mut Pools) {
        if let Some(input) = self.input.take_if(|input| input.is_empty()) {
            pools.give_input(input);
        }
    }

    /// Gives the output buffer back unless there are bytes in it.
    #[inline(always)]
    pub(super) fn settle_output(&mut self, pools: &mut Pools) {
        if let Some(output) = self.output.take_if(|output| output.is_empty()) {
            pools.give_output(output);
        }
    }
}

/// Reads on, unless this connection has read its share of this turn.
#[inline]
pub(super) fn read_within_budget(turn: &Turn<'_>) -> Step {
    match turn.bytes_read < turn.config.bytes_per_turn_max.max(1) {
        true => Step::Read,
        false => Step::Again,
    }
}
