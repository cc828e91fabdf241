//! How an exchange in pieces goes on: what is read, given away, produced and written, in which
//! order, and what ends it.
//!
//! ```text
//!   socket ─> input ─> decoder ── Call::Piece ──> exchange ── Flow::write ──> output ─> socket
//!                                                    ^
//!          below the low water mark, or woken ── Call::Produce
//! ```
//!
//! Output goes first: with the low water mark reached, nothing is read, decoded or produced before
//! the client has taken some of it. So whoever does not read his answer is not read from either.

use super::close_reason::CloseReason;
use super::deferred::Wake;
use super::exchange::{
    Allowance, Awaited, Call, Flow, Incoming, Leave, Outgoing, Producer, Streaming,
};
use super::progress::{Polled, read_within_budget};
use super::state::State;
use super::turn::{Admission, Step, Turn};
use super::{Connection, Failure, PANICKED, Peer, Quota, UNANSWERED};
use crate::buffer::Buffer;
use crate::http::{self, Framing, Limits, ParseError, Progress, Request, Status, Trailers};
use crate::time::Tick;

const TRUNCATED: Failure = Failure(Status::BAD_REQUEST, CloseReason::Truncated);
const TOO_SLOW: Failure = Failure(Status::REQUEST_TIMEOUT, CloseReason::BodyTooSlow);
const TOO_LATE: Failure = Failure(Status::GATEWAY_TIMEOUT, CloseReason::HandlerTimeout);

/// How a service wants an exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// The body whole, then one call.
    Whole,
    /// In pieces.
    InPieces,
    /// The service panicked.
    Panicked,
}

/// What is to be done about the body of the request.
enum Due {
    Piece,
    End,
    More,
    /// Nothing: a piece was not taken, or all of it was given away.
    Nothing,
    /// Nothing more: nobody wants the rest, and enough of it was read.
    Done,
    Refused(ParseError),
}

impl Connection {
    /// Asks, for the head that is [here](Step::Announced), how the service wants the body.
    /// Returns what to do next.
    #[inline]
    pub fn announce(
        &mut self,
        turn: &mut Turn<'_>,
        ask: impl FnOnce(&Request<'_>) -> Wanted,
    ) -> Step {
        let (State::Announced { until }, Some(input)) = (&self.state, &mut self.input) else {
            return self.poll(turn);
        };
        if turn.admits == Admission::Nobody {
            return self.turn_away(turn);
        }
        let until = *until;
        let framing = input.head().framing();
        if let Some(journal) = turn.journal.as_deref_mut() {
            journal.begin(&input.request_head(), turn.now);
        }
        let wanted = ask(&input.request_head());
        let limit = match wanted {
            Wanted::Whole | Wanted::Panicked => turn.config.limits.body_bytes_max,
            Wanted::InPieces => turn.config.limits.streamed_bytes_max,
        };
        let _ = match (wanted, framing) {
            (Wanted::Panicked, _) => {
                let context = self.unanswered_context();
                self.fail(PANICKED, context, turn)
            }
            (_, Framing::Length(length)) if length > limit => {
                self.refuse(ParseError::BodyTooLong { limit }, turn)
            }
            (Wanted::Whole, _) => self.collect(framing, turn),
            (Wanted::InPieces, _) => self.stream_body(framing, until, turn),
        };
        self.poll(turn)
    }

    fn stream_body(&mut self, framing: Framing, until: Tick, turn: &mut Turn<'_>) -> Polled {
        let input = self.input.as_deref_mut()?;
        turn.requests += 1;
        let context = self.quota.begin_exchange(input.head());
        let deadlines = &turn.config.deadlines;
        let mut streaming = Streaming::new(context, framing, until, deadlines);
        if input.waits_for_continue() {
            streaming.leave = Leave::Asked;
        }
        input.release_head();
        streaming.sending.bytes = u32::try_from(input.body().len()).unwrap_or(u32::MAX);
        self.state.change(State::Streaming(Box::new(streaming)));
        None
    }

    /// Lets whoever has the exchange do what is [due](Step::Exchange). `call` returns how many
    /// bytes of a piece were taken, anything otherwise, and `None` if it panicked. Returns what to
    /// do next.
    pub fn exchange(
        &mut self,
        turn: &mut Turn<'_>,
        waker: &dyn Fn() -> Box<dyn Wake>,
        call: impl FnOnce(Call<'_>, &mut Flow<'_>) -> Option<usize>,
    ) -> Step {
        let before = self.said();
        let Some(went_well) = self.exchange_due(turn, waker, call) else {
            return self.poll(turn);
        };
        self.note_said(before, turn);
        if !went_well {
            self.fail_streaming(PANICKED, turn);
        }
        self.settle_input(turn.pools);
        self.settle_output(turn.pools);
        self.poll(turn)
    }

    /// Whether what was due went well; `None` when there is no exchange.
    fn exchange_due(
        &mut self,
        turn: &mut Turn<'_>,
        waker: &dyn Fn() -> Box<dyn Wake>,
        call: impl FnOnce(Call<'_>, &mut Flow<'_>) -> Option<usize>,
    ) -> Option<bool> {
        let due = self.begin_call(turn);
        let State::Streaming(streaming) = &mut self.state else {
            return None;
        };
        let output = self.output.get_or_insert_with(|| turn.pools.take_output());
        let mut flow = Flow {
            output,
            context: &mut streaming.context,
            outgoing: &mut streaming.outgoing,
            supply: &mut streaming.supply,
            date: turn.date,
            high: turn.config.output_bytes_high,
            waker,
        };
        let input = self.input.as_deref_mut();
        let went_well = match (streaming.producer, due) {
            (Producer::Due, _) => {
                streaming.producer = Producer::Resting;
                call(Call::Produce, &mut flow).is_some()
            }
            (Producer::Resting, Due::Piece) => {
                let input = input?;
                let len = streaming.body.decoded();
                let taken = call(Call::Piece(&input.body_mut()[..len]), &mut flow);
                let taken_len = taken.unwrap_or(len).min(len);
                // With room left for output, the rest is offered at once.
                if taken_len < len && (taken_len == 0 || !flow.output.is_empty()) {
                    streaming.incoming = Incoming::Held;
                }
                if taken_len > 0 && streaming.awaited == Awaited::Service {
                    streaming.until = turn.now.after(turn.config.deadlines.handler);
                }
                let useless = streaming.body.take(taken_len, input.body_mut());
                input.consume(useless);
                taken.is_some()
            }
            (Producer::Resting, Due::End) => {
                streaming.incoming = Incoming::Ended;
                let (range, consumed) = (streaming.body.trailers(), streaming.body.consumed());
                let held = input.as_ref().map_or(&[][..], |input| input.body());
                let trailers = Trailers::new(held.get(range).unwrap_or_default());
                let called = call(Call::End(trailers), &mut flow);
                if let Some(input) = input {
                    input.consume(consumed);
                }
                called.is_some()
            }
            (Producer::Resting, _) => true,
        };
        streaming.charge_supply(turn.pools);
        Some(went_well)
    }

    /// What the exchange is called for. Its answer is the last if it has not begun and the connection is
    /// to end.
    fn begin_call(&mut self, turn: &mut Turn<'_>) -> Due {
        let due = self.due(turn);
        turn.calls_left = turn.calls_left.saturating_sub(1);
        let is_last = self.is_last();
        if let State::Streaming(streaming) = &mut self.state
            && streaming.outgoing == Outgoing::Owed
        {
            streaming.context.close |= is_last;
        }
        due
    }

    /// Streaming: output first, then the exchange, then more of the body.
    #[inline(never)]
    pub(super) fn poll_streaming(&mut self, turn: &mut Turn<'_>) -> Polled {
        let waiting = self.output.as_deref().map_or(0, Buffer::len);
        let State::Streaming(streaming) = &mut self.state else {
            return None;
        };
        let is_over = streaming.outgoing.is_over();
        if waiting >= turn.config.output_bytes_low.max(1) && !is_over {
            return self.await_for(Awaited::Taking, Step::Write, turn);
        }
        let ends = streaming.context.close || self.quota == Quota::Draining;
        match (streaming.outgoing, streaming.incoming) {
            (Outgoing::Unanswered | Outgoing::Broken, _) => {
                return self.fail_streaming(UNANSWERED, turn);
            }
            (Outgoing::Ended, Incoming::Ended) => return self.streamed(turn),
            (Outgoing::Ended, _) if ends => return self.end_with(self.last_reason(), turn),
            (Outgoing::Ended, Incoming::Open | Incoming::Held) => {
                let bytes_left = turn.config.linger_bytes_max;
                let is_much = streaming.body.missing() > Some(u64::from(bytes_left));
                if is_much || streaming.leave == Leave::Asked {
                    return self.end_with(CloseReason::Unread, turn);
                }
                streaming.incoming = Incoming::Discarded { bytes_left };
            }
            (_, _) if is_over || streaming.producer == Producer::Resting => {}
            (_, _) if !streaming.supply.is_empty() => return self.supply(turn),
            _ => return Some(call_within_budget(turn)),
        }
        match self.due(turn) {
            Due::Piece | Due::End => Some(call_within_budget(turn)),
            Due::Refused(error) => self.refuse_streaming(error, turn),
            Due::Done if waiting == 0 => self.discarded(turn),
            Due::More if self.gives_leave(turn) => None,
            Due::More | Due::Nothing | Due::Done if waiting > 0 => {
                self.await_for(Awaited::Taking, Step::Write, turn)
            }
            Due::More if self.peer == Peer::Finished => self.fail_streaming(TRUNCATED, turn),
            Due::More => {
                let step = read_within_budget(turn);
                self.await_for(Awaited::Body, step, turn)
            }
            Due::Nothing | Due::Done => self.await_for(Awaited::Service, Step::Wait, turn),
        }
    }

    /// Tells a client that waits for it that it may send the body, if nothing was answered yet.
    fn gives_leave(&mut self, turn: &mut Turn<'_>) -> bool {
        let State::Streaming(streaming) = &mut self.state else {
            return false;
        };
        if std::mem::replace(&mut streaming.leave, Leave::Given) == Leave::Given {
            return false;
        }
        let is_due = streaming.outgoing == Outgoing::Owed;
        if is_due {
            let output = self.output.get_or_insert_with(|| turn.pools.take_output());
            http::encode_continue(output);
        }
        is_due
    }

    /// What is to be done about the body, as far as it has come.
    fn due(&mut self, turn: &Turn<'_>) -> Due {
        let State::Streaming(streaming) = &mut self.state else {
            return Due::Nothing;
        };
        let limits = Limits {
            body_bytes_max: turn.config.limits.streamed_bytes_max,
            ..turn.config.limits
        };
        if let Incoming::Held | Incoming::Ended = streaming.incoming {
            return Due::Nothing;
        }
        let held = self.input.as_deref_mut();
        let bytes = held.map_or(&mut [][..], |input| input.body_mut());
        let progress = match streaming.body.feed(bytes, &limits) {
            Ok(progress) => progress,
            Err(error) => return Due::Refused(error),
        };
        let len = streaming.body.decoded();
        if let Incoming::Discarded { bytes_left } = &mut streaming.incoming {
            *bytes_left = bytes_left.saturating_sub(u32::try_from(len).unwrap_or(u32::MAX));
            let is_enough = *bytes_left == 0;
            if let Some(input) = self.input.as_deref_mut() {
                let useless = streaming.body.take(len, input.body_mut());
                input.consume(useless);
            }
            return match progress {
                Progress::Complete => {
                    streaming.incoming = Incoming::Ended;
                    let consumed = streaming.body.consumed();
                    if let Some(input) = self.input.as_deref_mut() {
                        input.consume(consumed);
                    }
                    Due::Done
                }
                Progress::Partial if is_enough => Due::Done,
                Progress::Partial => Due::More,
            };
        }
        match progress {
            _ if len > 0 => Due::Piece,
            Progress::Complete => Due::End,
            Progress::Partial => Due::More,
        }
    }

    /// The answer is complete, and of the body nothing more is to be read.
    fn discarded(&mut self, turn: &mut Turn<'_>) -> Polled {
        match &self.state {
            State::Streaming(streaming) if streaming.incoming == Incoming::Ended => {
                self.streamed(turn)
            }
            _ => self.end_with(CloseReason::Unread, turn),
        }
    }

    /// Both bodies have ended.
    fn streamed(&mut self, turn: &mut Turn<'_>) -> Polled {
        let State::Streaming(streaming) = &self.state else {
            return None;
        };
        let context = streaming.context;
        self.settle_input(turn.pools);
        match context.close {
            // Much of the answer may still be on its way, and nothing was read meanwhile.
            true => self.end_with(self.last_reason(), turn),
            false => self.answered(context, turn),
        }
    }

    fn refuse_streaming(&mut self, error: ParseError, turn: &mut Turn<'_>) -> Polled {
        let reason = CloseReason::of_refusal(error);
        self.fail_streaming(Failure(error.status(), reason), turn)
    }

    /// Answers for the service if nothing was said yet; otherwise what was said ends here. Where
    /// the end of the connection is the end of the content, only a reset tells that it is not.
    fn fail_streaming(&mut self, failure: Failure, turn: &mut Turn<'_>) -> Polled {
        let State::Streaming(streaming) = &self.state else {
            return None;
        };
        match (streaming.outgoing, streaming.context) {
            (Outgoing::Owed | Outgoing::Unanswered, context) => self.fail(failure, context, turn),
            (Outgoing::UntilClose | Outgoing::Broken, _) => {
                self.close(CloseReason::Aborted, turn.pools)
            }
            _ => self.end_with(failure.1, turn),
        }
    }

    /// The deadline of what is awaited has come.
    pub(super) fn streaming_deadline(&mut self, turn: &mut Turn<'_>) -> Polled {
        let deadlines = &turn.config.deadlines;
        let State::Streaming(streaming) = &mut self.state else {
            return None;
        };
        let (allowance, rate) = match streaming.awaited {
            Awaited::Service => return self.fail_streaming(TOO_LATE, turn),
            Awaited::Body => (&mut streaming.sending, deadlines.body_rate),
            Awaited::Taking => (&mut streaming.taking, deadlines.write_rate),
        };
        if allowance.bytes >= rate.bytes_min {
            *allowance = Allowance::fresh(rate);
            streaming.until = turn.now.after(rate.window);
            return None;
        }
        match streaming.awaited {
            Awaited::Body => self.fail_streaming(TOO_SLOW, turn),
            _ => self.close(CloseReason::WriteTimeout, turn.pools),
        }
    }

    /// Does `step`, and counts the time until it is done on who is `awaited`.
    fn await_for(&mut self, awaited: Awaited, step: Step, turn: &Turn<'_>) -> Polled {
        if let State::Streaming(streaming) = &mut self.state {
            streaming.await_for(awaited, turn);
        }
        Some(step)
    }
}

impl Streaming {
    fn await_for(&mut self, awaited: Awaited, turn: &Turn<'_>) {
        if self.awaited == awaited {
            return;
        }
        let left = self.until.since(turn.now);
        match self.awaited {
            Awaited::Body => self.sending.left = left,
            Awaited::Taking => self.taking.left = left,
            Awaited::Service => {}
        }
        self.awaited = awaited;
        self.until = turn.now.after(match awaited {
            Awaited::Body => self.sending.left,
            Awaited::Taking => self.taking.left,
            Awaited::Service => turn.config.deadlines.handler,
        });
    }
}

/// Lets the exchange do something, unless it has had its share of this turn.
fn call_within_budget(turn: &Turn<'_>) -> Step {
    match turn.calls_left {
        0 => Step::Again,
        _ => Step::Exchange,
    }
}
