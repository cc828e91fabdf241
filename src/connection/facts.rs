//! What the driver tells a connection: facts, which need no answer but the next poll.

use super::close_reason::CloseReason;
use super::deferred::Found;
use super::input::Input;
use super::pools::Pools;
use super::progress::NO_REQUEST;
use super::state::{NOT_JUDGED, State, Then};
use super::turn::{Step, Turn};
use super::{Connection, Failure, Peer, Quota};
use crate::http::{Method, ResponseContext, Status};

const HEAD_TIMEOUT: Failure = Failure(Status::REQUEST_TIMEOUT, CloseReason::HeadTimeout);
const BODY_TIMEOUT: Failure = Failure(Status::REQUEST_TIMEOUT, CloseReason::BodyTimeout);
const BODY_TOO_SLOW: Failure = Failure(Status::REQUEST_TIMEOUT, CloseReason::BodyTooSlow);
const HANDLER_TIMEOUT: Failure = Failure(Status::GATEWAY_TIMEOUT, CloseReason::HandlerTimeout);

impl Connection {
    /// Where the next bytes from the socket are to be read into, at least 128 bytes. Tell
    /// [`handle_input`](Connection::handle_input), [`handle_eof`](Connection::handle_eof) or
    /// [`handle_blocked`](Connection::handle_blocked) what came of it.
    #[inline(always)]
    pub fn input_space(&mut self, pools: &mut Pools) -> &mut [u8] {
        self.input.get_or_insert_with(|| pools.take_input()).space()
    }

    /// `len` bytes, at least one, were read into [`input_space`](Connection::input_space). Returns
    /// what to do next, as [`poll`](Connection::poll) does.
    ///
    /// # Panics
    ///
    /// When `len` is more than the space there was.
    #[inline(always)]
    pub fn handle_input(&mut self, len: usize, turn: &mut Turn<'_>) -> Step {
        turn.bytes_read += len;
        if let State::Idle { .. } | State::Head { .. } = self.state {
            return match self.poll_head(len, turn) {
                Some(step) => step,
                None => self.poll_in_full(turn),
            };
        }
        self.handle_other_input(len, turn);
        self.poll_in_full(turn)
    }

    #[inline(never)]
    fn handle_other_input(&mut self, len: usize, turn: &mut Turn<'_>) {
        match &mut self.state {
            State::Body { window_bytes, .. } => *window_bytes = add(*window_bytes, len),
            State::Streaming(streaming) => {
                streaming.sending.bytes = add(streaming.sending.bytes, len);
            }
            State::Lingering {
                bytes_left, reason, ..
            } => {
                *bytes_left = bytes_left.saturating_sub(u32::try_from(len).unwrap_or(u32::MAX));
                if *bytes_left == 0 {
                    let reason = *reason;
                    self.close(reason, turn.pools);
                }
                return; // discarded
            }
            State::Closed { .. } => return self.handle_blocked(turn.pools),
            State::Writing { then, .. } if !then.goes_on() => return,
            _ => {}
        }
        if let Some(input) = &mut self.input {
            input.filled(len);
        }
    }

    /// The driver is going to wait, for whatever: an input buffer that is empty, or large and
    /// nearly empty, goes back to the pool. At most one copy of what is held.
    #[inline]
    pub fn handle_blocked(&mut self, pools: &mut Pools) {
        if self.input.is_some() {
            self.shrink_input(pools);
        }
    }

    #[inline(never)]
    fn shrink_input(&mut self, pools: &mut Pools) {
        self.settle_input(pools);
        if let Some(input) = self.input.take() {
            self.input = Some(pools.shrink(input));
        }
    }

    /// The client shut its half: what it sent before is still answered.
    pub fn handle_eof(&mut self, pools: &mut Pools) {
        self.peer = Peer::Finished;
        self.handle_blocked(pools);
    }

    /// The peer took `len` bytes of [`output`](Connection::output). Returns what to do next, as
    /// [`poll`](Connection::poll) does.
    ///
    /// # Panics
    ///
    /// When there was less output than that.
    #[inline(always)]
    pub fn handle_written(&mut self, len: usize, turn: &mut Turn<'_>) -> Step {
        match self.output.take_if(|output| output.len() == len) {
            Some(output) => turn.pools.give_output(output),
            None => self.consume_output(len),
        }
        if let Some(journal) = turn.journal.as_deref_mut() {
            journal.taken(len);
        }
        match &mut self.state {
            State::Writing {
                then: Then::Head, ..
            } if self.output.is_none() => {
                self.enter_idle(turn);
                return self.poll(turn);
            }
            State::Writing { window_bytes, .. } => *window_bytes = add(*window_bytes, len),
            _ => self.handle_streamed(len, turn),
        }
        self.poll_in_full(turn)
    }

    #[cold]
    fn consume_output(&mut self, len: usize) {
        if let Some(output) = self.output.as_deref_mut() {
            output.consume(len);
        }
    }

    /// The same for an exchange in pieces, which is asked for more when there is room.
    #[cold]
    fn handle_streamed(&mut self, len: usize, turn: &Turn<'_>) {
        let waiting = self.output().len();
        if let State::Streaming(streaming) = &mut self.state {
            streaming.taking.bytes = add(streaming.taking.bytes, len);
            if waiting < turn.config.output_bytes_low.max(1) {
                streaming.is_ready();
            }
        }
    }

    /// The socket takes nothing now. From here on the client is judged by what it takes: what went
    /// into the kernel's buffer before says nothing of it.
    #[cold]
    pub fn handle_write_refused(&mut self, turn: &Turn<'_>) {
        let window = turn.config.deadlines.write_rate.window;
        match &mut self.state {
            State::Writing {
                window_end,
                window_bytes,
                ..
            } if *window_bytes == NOT_JUDGED => {
                (*window_end, *window_bytes) = (turn.now.after(window), 0);
            }
            State::Streaming(streaming) => streaming.judge_taking(turn.now, window),
            _ => {}
        }
    }

    /// Somebody woke the connection. Then poll: a promised answer may be there, and an exchange in
    /// pieces is asked.
    pub fn handle_woken(&mut self) {
        if let State::Streaming(streaming) = &mut self.state {
            streaming.is_ready();
        }
    }

    /// The time of [`deadline`](Connection::deadline) has come. No effect when it has not.
    pub fn handle_deadline(&mut self, turn: &mut Turn<'_>) {
        if turn.now < self.deadline() {
            return;
        }
        let deadlines = &turn.config.deadlines;
        let unanswered = self.unanswered_context();
        let begun = self.input.as_deref().is_some_and(Input::has_begun);
        let is_silent = self.input.as_deref().is_none_or(Input::is_empty);
        match &mut self.state {
            // Its answers may still be on their way, and a request of its may cross the close.
            State::Idle { .. } if self.quota == Quota::Draining => {
                self.write_then(Then::Linger(CloseReason::DrainedIdle), turn)
            }
            State::Idle { .. } => self.close(CloseReason::IdleTimeout, turn.pools),
            State::Head { .. } if !begun && self.quota == Quota::Draining => {
                self.close(CloseReason::DrainedIdle, turn.pools)
            }
            State::Head { .. } if is_silent => self.close(CloseReason::NeverSpoke, turn.pools),
            State::Head { .. } => self.fail(HEAD_TIMEOUT, unanswered, turn),
            State::Body { until, .. } if *until <= turn.now => {
                self.fail(BODY_TIMEOUT, unanswered, turn)
            }
            State::Body {
                window_end,
                window_bytes,
                ..
            } if *window_bytes >= deadlines.body_rate.bytes_min => {
                (*window_end, *window_bytes) = (turn.now.after(deadlines.body_rate.window), 0);
                None
            }
            State::Body { .. } => self.fail(BODY_TOO_SLOW, unanswered, turn),
            State::Announced { .. } | State::Ready { .. } => {
                self.fail(HANDLER_TIMEOUT, unanswered, turn)
            }
            State::Streaming(_) => self.streaming_deadline(turn),
            // It came in the same moment: the next poll sees to it.
            State::Waiting { slot, .. } if slot.look() != Found::Nothing => None,
            State::Waiting { context, .. } => {
                let context = *context;
                self.fail(HANDLER_TIMEOUT, context, turn)
            }
            State::Writing {
                window_end,
                window_bytes,
                ..
            } if *window_bytes >= deadlines.write_rate.bytes_min => {
                (*window_end, *window_bytes) = (turn.now.after(deadlines.write_rate.window), 0);
                None
            }
            State::Writing { .. } => self.close(CloseReason::WriteTimeout, turn.pools),
            State::Lingering { reason, .. } => {
                let reason = *reason;
                self.close(reason, turn.pools)
            }
            State::Held { .. } | State::Closed { .. } => None, // the next poll sees to it
        };
    }

    /// The server drains: what has begun is answered, as the last; idle connections close when nothing
    /// has come for a moment.
    pub fn handle_drain(&mut self) {
        #[cfg(trine_planted)]
        if crate::planted::has(crate::planted::Bug::DrainForgets)
            && matches!(self.state, State::Waiting { .. })
        {
            let reason = CloseReason::Drained;
            self.state.change(State::Closed { reason });
        }
        self.quota = Quota::Draining;
    }

    /// The peer reset the connection, or the socket failed.
    pub fn handle_reset(&mut self, pools: &mut Pools) {
        self.end(CloseReason::PeerReset, pools);
    }

    /// The server does not wait any longer. Returns the reason of the end, which is an earlier one
    /// if the connection was ending already.
    pub fn handle_abort(&mut self, pools: &mut Pools) -> CloseReason {
        let reason = match self.is_settled() {
            true => CloseReason::DrainedIdle,
            false => CloseReason::Forced,
        };
        self.end(reason, pools)
    }

    /// Closes for `reason`, unless a reason stands already.
    fn end(&mut self, reason: CloseReason, pools: &mut Pools) -> CloseReason {
        let reason = match self.state {
            State::Closed { reason } | State::Lingering { reason, .. } => reason,
            _ => reason,
        };
        self.close(reason, pools);
        reason
    }

    /// For an answer of ours to what the service was not given: HEAD gets no content even so.
    pub(super) fn unanswered_context(&self) -> ResponseContext {
        let head = self.input.as_deref().map(Input::head);
        ResponseContext {
            head_only: head.is_some_and(|head| head.method() == Method::Head),
            ..NO_REQUEST
        }
    }
}

/// `count` and `len` together, or the most that can be counted: more than any rate asks for.
#[inline]
fn add(count: u32, len: usize) -> u32 {
    count.saturating_add(u32::try_from(len).unwrap_or(u32::MAX))
}
