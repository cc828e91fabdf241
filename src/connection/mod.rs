//! The server side of an HTTP/1.1 connection, without I/O: bytes and ticks in, decisions out.
//!
//! A driver tells a [`Connection`] what happened (`handle_*`) and asks what to do next
//! ([`poll`](Connection::poll)) until there is nothing left but to wait:
//!
//! ```text
//!   socket ── handle_input, handle_eof, handle_written ──> Connection ── poll ──> Step
//!   timer  ── handle_deadline ───────────────────────────>     │
//!   loop   ── handle_drain, handle_abort ────────────────>     └── answer ──> service
//! ```
//!
//! One request is in flight. Pipelined requests wait in the input buffer, their answers gather in
//! the output buffer and leave in one write. The answer that ends the connection is always the
//! last thing it says, and after it nothing is parsed.
//!
//! | state | deadline | counted from | when it passes |
//! |---|---|---|---|
//! | idle | 75 s | last answer written | close, silently |
//! | head | 10 s; more bytes do not extend it | accept, or first bytes | 408; silently if no byte came |
//! | body | 60 s, and 2,500 bytes in each 5 s | end of the head | 408 |
//! | streaming | 2,500 bytes of the body in each 5 s, 30,000 of the answer taken in each 60 s, 30 s for the service | since it is waited for | 408, reset, 504; cut if the answer has begun |
//! | ready, waiting | 30 s | request given out | 504; a late answer meets nobody |
//! | held | what the service chose | answer noticed | the answer |
//! | writing | 30,000 bytes taken in each 60 s | begin of writing | reset |
//! | lingering | 2 s, 64 KiB | our half shut | close |
//!
//! Invariant: between calls an input or output buffer is held only if there are bytes in it,
//! except that `input_space` takes one which `handle_input` or `handle_blocked` settles.
//! Invariant: every request given to the service is answered exactly once, in order, or the
//! connection is closed.

mod close_reason;
mod config;
mod deferred;
mod detached;
mod ending;
mod exchange;
mod facts;
mod input;
mod journal;
mod moving;
mod overload;
mod pools;
mod progress;
mod reply;
mod row;
mod state;
mod state_kind;
mod streaming;
mod supply;
mod turn;

use std::num::NonZeroU32;

use crate::buffer::Buffer;
use crate::http::{Head, Method, Request, ResponseContext, Status};
use crate::time::Tick;
use exchange::Awaited;
use input::Input;
use progress::read_within_budget;
use state::State;

pub use close_reason::CloseReason;
pub use config::{Config, Deadlines, Rate};
pub use deferred::{Deferred, Wake};
pub(crate) use detached::Detached;
pub use exchange::{Call, Flow, FlowError};
pub(crate) use journal::{Asked, Journal, Record};
pub(crate) use pools::Common;
pub use pools::Pools;
pub use reply::{Answered, Called, Reply};
pub(crate) use row::{Answers, Detour, Row};
pub use state_kind::StateKind;
pub use streaming::Wanted;
pub use turn::{Step, Turn};

/// The server side of one connection. 48 bytes; while idle it holds no other memory.
#[derive(Debug)]
pub struct Connection {
    state: State,
    input: Option<Box<Input>>,
    output: Option<Box<Buffer>>,
    quota: Quota,
    peer: Peer,
    plea: Plea,
}

/// How many more requests may begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Quota {
    Requests(Left),
    /// What has begun is the last; the answer says so.
    Draining,
}

/// A number, one of which is never used, so that a quota is no larger than it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Left {
    plus_one: NonZeroU32,
}

impl Left {
    const NONE: Left = Left {
        plus_one: NonZeroU32::MIN,
    };
    const ONE: Left = Left {
        plus_one: NonZeroU32::MIN.saturating_add(1),
    };

    fn new(requests: u32) -> Left {
        Left {
            plus_one: NonZeroU32::MIN.saturating_add(requests),
        }
    }

    #[inline]
    fn less_one(self) -> Left {
        let less = NonZeroU32::new(self.plus_one.get() - 1);
        less.map_or(Left::NONE, |plus_one| Left { plus_one })
    }
}

impl Quota {
    /// Counts a request and says what its answer must be like.
    #[inline]
    fn begin_exchange(&mut self, head: &Head) -> ResponseContext {
        if let Quota::Requests(left) = self
            && *left > Left::ONE
            && head.is_plain()
        {
            *left = left.less_one();
            return ResponseContext::PLAIN;
        }
        let last = match self {
            Quota::Requests(left) => {
                *left = left.less_one();
                *left == Left::NONE
            }
            Quota::Draining => true,
        };
        ResponseContext {
            version: head.version(),
            head_only: head.method() == Method::Head,
            close: last || !head.is_persistent(),
        }
    }
}

/// What a server that is short of something asks of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Plea {
    Nothing,
    /// Its next answer is the last; the answer says so.
    LastAnswer,
    /// To go, if it is idle.
    Place,
    /// To go if it is idle; otherwise its next answer is the last.
    PlaceOrLastAnswer,
}

/// What the client may still do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Peer {
    Open,
    /// It sends nothing more. That is not an abort: it may be reading (RFC 9112, 9.6).
    Finished,
}

/// An answer of the server's own, after which the connection ends.
#[derive(Clone, Copy, Debug)]
struct Failure(Status, CloseReason);

const PANICKED: Failure = Failure(Status::INTERNAL_SERVER_ERROR, CloseReason::HandlerPanicked);
const UNANSWERED: Failure = Failure(Status::INTERNAL_SERVER_ERROR, CloseReason::Unanswered);

impl Connection {
    /// A connection accepted now. The deadline for the first head runs at once.
    #[must_use]
    pub fn new(now: Tick, config: &Config) -> Connection {
        Connection {
            state: State::Head {
                until: now.after(config.deadlines.head),
            },
            input: None,
            output: None,
            quota: Quota::Requests(Left::new(config.requests_per_connection_max.max(1))),
            peer: Peer::Open,
            plea: Plea::Nothing,
        }
    }

    /// A connection accepted only to say 503 and close, for a server that is full.
    #[must_use]
    pub fn refused(turn: &mut Turn<'_>) -> Connection {
        let mut connection = Connection::new(turn.now, turn.config);
        let failure = Failure(Status::SERVICE_UNAVAILABLE, CloseReason::Overloaded);
        connection.fail(failure, progress::NO_REQUEST, turn);
        connection
    }

    /// What to do next. Call it after every fact, and again after every step done, until it asks
    /// to wait for the socket, a wake-up or a later turn.
    #[inline(always)]
    pub fn poll(&mut self, turn: &mut Turn<'_>) -> Step {
        match self.only_reads() {
            true => read_within_budget(turn),
            false => self.poll_in_full(turn),
        }
    }

    /// Whether it waits for the first byte of a request, which may come, and nothing else has to be
    /// looked at before that.
    #[inline(always)]
    fn only_reads(&self) -> bool {
        self.is_at_rest() && self.peer == Peer::Open && self.quota != Quota::Draining
    }

    /// Whether it holds nothing, and what it waits for is the first byte of a request.
    #[inline(always)]
    pub(crate) fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Idle { .. } | State::Head { .. }) && !self.holds_memory()
    }

    #[inline(never)]
    fn poll_in_full(&mut self, turn: &mut Turn<'_>) -> Step {
        loop {
            let step = match &self.state {
                State::Idle { .. } | State::Head { .. } => self.poll_head(0, turn),
                State::Announced { .. } => Some(Step::Announced),
                State::Body { .. } => self.poll_body(turn),
                State::Streaming(_) => self.poll_streaming(turn),
                State::Ready { .. } => Some(Step::Request),
                State::Waiting { .. } | State::Held { .. } => self.poll_answer(turn),
                State::Writing { .. } if self.output.is_some() => Some(Step::Write),
                State::Writing { then, .. } => self.after_writing(*then, turn),
                State::Lingering { reason, .. } if self.peer == Peer::Finished => {
                    self.close(*reason, turn.pools)
                }
                State::Lingering { .. } => Some(read_within_budget(turn)),
                State::Closed { reason } => Some(Step::Close(*reason)),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// Gives the request that is [ready](Step::Request) to `call`, which passes it to the
    /// service and says what that did. Goes on with the requests
    /// behind it that are whole, have no body and are within the budget, as long as they are
    /// answered at once. `waker` is called only if an answer is deferred. Returns what to do next,
    /// as [`poll`](Connection::poll) does, and does no more than that when no request is ready.
    ///
    /// Should `call` unwind, the connection is closed.
    pub fn answer<F>(
        &mut self,
        turn: &mut Turn<'_>,
        waker: &dyn Fn() -> Box<dyn Wake>,
        mut call: F,
    ) -> Step
    where
        F: FnMut(&Request<'_>, Reply<'_>) -> Called,
    {
        match self.begin_row(turn) {
            Some(row) => match self.answer_row(row, turn, waker, &mut call) {
                Ok(answers) => self.keep(answers, turn),
                Err(detour) => self.take_over(detour, turn),
            },
            None => self.poll(turn),
        }
    }

    /// The bytes to be written now; empty when there are none.
    #[inline]
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.output.as_deref().map_or(&[], Buffer::data)
    }

    /// When [`handle_deadline`](Connection::handle_deadline) is due; [`Tick::NEVER`] once closed.
    #[inline]
    #[must_use]
    pub fn deadline(&self) -> Tick {
        self.state.deadline()
    }

    /// Whether it waits for bytes of the client: between requests, or inside one.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        match &self.state {
            State::Idle { .. } | State::Head { .. } | State::Body { .. } => true,
            State::Streaming(streaming) => streaming.awaited == Awaited::Body,
            _ => false,
        }
    }

    /// Whether it is between two messages, or before the first, and nothing of the next has come.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let begun = self.input.as_deref().is_some_and(Input::has_begun);
        matches!(self.state, State::Idle { .. } | State::Head { .. }) && !begun
    }

    /// Whether somebody has an exchange in hand; if not, nobody will be asked about it any more.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        matches!(self.state, State::Streaming(_))
    }

    /// Whether all that was to be said is said and taken: cutting it now loses nothing. So it is between
    /// two messages in a drain, which would end it soon.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let is_over = matches!(self.state, State::Lingering { .. } | State::Closed { .. });
        is_over || (self.quota == Quota::Draining && self.is_idle())
    }

    /// How many bytes of buffers it holds now, besides itself; none while idle.
    #[must_use]
    pub fn memory(&self) -> usize {
        let input = self.input.as_deref().map_or(0, Input::capacity);
        input + self.output.as_deref().map_or(0, Buffer::capacity)
    }

    /// How many bytes of an answer it keeps that the service gave whole and nobody else has.
    #[must_use]
    pub fn answer_memory(&self) -> usize {
        match &self.state {
            State::Streaming(streaming) => streaming.supply_charge.bytes(),
            _ => 0,
        }
    }

    /// Whether it holds any buffer.
    #[inline]
    pub(crate) fn holds_memory(&self) -> bool {
        self.input.is_some() || self.output.is_some()
    }

    /// The present state in a word, for metrics.
    #[must_use]
    pub fn state_name(&self) -> &'static str {
        self.state.kind().name()
    }

    /// The present state without its data.
    #[inline]
    #[must_use]
    pub fn state_kind(&self) -> StateKind {
        self.state.kind()
    }

    /// Why it ends, once that is certain: its last answer may not be written yet.
    #[must_use]
    pub fn ending(&self) -> Option<CloseReason> {
        self.state.ending()
    }
}

#[cfg(all(test, trine_loom))]
mod tests;
