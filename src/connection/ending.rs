//! How a connection ends: its last answer, refusals and failures, and what follows when all is
//! written.
//!
//! The answer that ends a connection is always the last thing it says. Behind it the client may
//! still be sending; closing on bytes that were not read makes the kernel send a reset, which can
//! overtake the answer. So a connection lingers first, unless the client has said that it is done.

use super::close_reason::CloseReason;
use super::pools::Pools;
use super::progress::Polled;
use super::state::{State, Then};
use super::turn::{Step, Turn};
use super::{Connection, Failure, Left, Peer, Plea, Quota};
use crate::buffer::Buffer;
use crate::http::{self, ParseError, Response, ResponseContext, Status};

/// In bytes: an answer that will be with a client that asked for the close before anything the
/// client may send against its word.
const CLOSE_AT_ONCE_BYTES_MAX: usize = 16 * 1024;

/// What a server that has no room says of when to come again: it may have by then.
const RETRY_AFTER_SECONDS: &str = "1";

impl Connection {
    /// Writing, and all is written.
    #[inline]
    pub(super) fn after_writing(&mut self, then: Then, turn: &mut Turn<'_>) -> Polled {
        match (then, self.peer) {
            (Then::Head, _) => self.enter_idle(turn),
            (Then::Body, _) => self.enter_body(turn),
            (Then::Close(reason), _) | (Then::Linger(reason), Peer::Finished) => {
                self.close(reason, turn.pools)
            }
            (Then::Linger(reason), Peer::Open) => {
                self.state.change(State::Lingering {
                    until: turn.now.after(turn.config.deadlines.linger),
                    bytes_left: turn.config.linger_bytes_max,
                    reason,
                });
                Some(Step::Shutdown)
            }
        }
    }

    /// An answer of the service is in the output buffer.
    #[inline]
    pub(super) fn answered(&mut self, context: ResponseContext, turn: &mut Turn<'_>) -> Polled {
        if !context.close {
            return self.enter_idle(turn);
        }
        let large = self.output.as_deref().map_or(0, Buffer::len) > CLOSE_AT_ONCE_BYTES_MAX;
        let may_send = self.input.is_some() || large;
        // A client that asked for the close should send nothing more; one that we tell may have
        // sent already, and closing before its bytes are read could cost it the answer.
        match self.last_reason() {
            reason @ CloseReason::CloseRequested if !may_send => {
                self.write_then(Then::Close(reason), turn)
            }
            reason => self.end_with(reason, turn),
        }
    }

    /// Why a connection ends whose last answer is given.
    pub(super) fn last_reason(&self) -> CloseReason {
        match (self.quota, self.plea) {
            (Quota::Draining, _) => CloseReason::Drained,
            (_, Plea::LastAnswer | Plea::PlaceOrLastAnswer) => CloseReason::Shed,
            (Quota::Requests(Left::NONE), _) => CloseReason::RequestCap,
            (Quota::Requests(_), _) => CloseReason::CloseRequested,
        }
    }

    /// Ends when what there is to be written is written; the client may still be sending.
    pub(super) fn end_with(&mut self, reason: CloseReason, turn: &mut Turn<'_>) -> Polled {
        self.drop_input(turn.pools);
        match self.output {
            Some(_) => self.write_then(Then::Linger(reason), turn),
            None => self.after_writing(Then::Linger(reason), turn),
        }
    }

    #[cold]
    pub(super) fn refuse(&mut self, error: ParseError, turn: &mut Turn<'_>) -> Polled {
        let failure = Failure(error.status(), CloseReason::of_refusal(error));
        let context = self.unanswered_context();
        self.fail(failure, context, turn)
    }

    /// Answers for the service, behind the answers given already, and ends.
    #[cold]
    pub(super) fn fail(
        &mut self,
        failure: Failure,
        context: ResponseContext,
        turn: &mut Turn<'_>,
    ) -> Polled {
        let Failure(status, reason) = failure;
        turn.failure = Some(status);
        let context = ResponseContext {
            close: true,
            ..context
        };
        self.note_failure(turn);
        self.drop_input(turn.pools);
        let output = self.output.get_or_insert_with(|| turn.pools.take_output());
        let mark = output.len();
        let mut response = Response::text(status.reason()).with_status(status);
        if status == Status::SERVICE_UNAVAILABLE {
            response = response
                .with_field("Retry-After", RETRY_AFTER_SECONDS)
                .expect("a name without colon, and a digit");
        }
        http::encode(&response, context, turn.date, output);
        self.note_answer(mark, true, turn);
        self.write_then(Then::Linger(reason), turn)
    }

    /// Ends here and now, and gives back what is held.
    pub(super) fn close(&mut self, reason: CloseReason, pools: &mut Pools) -> Polled {
        self.state.change(State::Closed { reason });
        self.drop_input(pools);
        if let Some(output) = self.output.take() {
            pools.give_output(output);
        }
        None
    }

    pub(super) fn drop_input(&mut self, pools: &mut Pools) {
        if let Some(mut input) = self.input.take() {
            input.clear();
            pools.give_input(input);
        }
    }
}
