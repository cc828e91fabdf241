//! One connection without its socket: bytes in, replies out, in the order of the commands.
//!
//! ```text
//!   bytes ──> RequestParser ──> Command ──> storage unit ──┬── done: reply at once
//!     ^                            │                       └── queued: Later ──> reply in its turn
//!     └── left, if it has to wait ─┘
//! ```
//!
//! A command that cannot be done now stays in the input, and the connection is not read meanwhile: so
//! nothing piles up in memory but what is under way.

use std::fmt;

use super::backend::Backend;
use super::encoder::{Protocol, ReplyEncoder};
use super::execute::Executor;
use super::later::Later;
use super::request_parser::{Progress, RequestParser};
use crate::buffer::Buffer;
use crate::connection::Wake;
use crate::reactor::Peer;
use crate::storage::Outcome;
use crate::time::Tick;

/// What a call of a [`Conversation`] works with.
pub struct RespTurn<'a> {
    /// Where replies go.
    pub output: &'a mut Buffer,
    /// Who does the commands.
    pub backend: &'a mut Backend,
    /// The present, from which deadlines count.
    pub now: Tick,
    /// Who the client is.
    pub peer: &'a Peer,
    /// Makes what brings about the next call when an outcome comes from another thread.
    pub wake: &'a dyn Fn() -> Box<dyn Wake>,
}

impl fmt::Debug for RespTurn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RespTurn({}, {:?})", self.peer, self.now)
    }
}

/// What a conversation waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// More bytes.
    Bytes,
    /// Outcomes, and more bytes.
    Outcomes,
    /// To be called again with the same bytes: when outcomes have come, or when the client has taken
    /// so much that less than [`RespOptions::output_high`](super::RespOptions::output_high) waits
    /// for it.
    Room,
    /// The end, when the client has taken everything.
    End,
}

/// What became of the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advance {
    /// So many are done with.
    pub consumed: usize,
    /// What is waited for.
    pub want: Want,
}

/// Whether there is a next command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Serving,
    /// The last reply is known, or under way.
    Ending,
}

/// What is known of one connection.
#[derive(Debug)]
pub struct Conversation {
    pub(super) id: u64,
    pub(super) name: Vec<u8>,
    pub(super) protocol: Protocol,
    phase: Phase,
    /// Only while a command is incomplete or has to wait.
    parser: Option<Box<RequestParser>>,
    /// Of a command of many operations that has to wait: how many have begun.
    pub(super) begun: Option<usize>,
    /// Only if the store does not do everything in place.
    pub(super) later: Option<Box<Later>>,
}

impl Conversation {
    /// Nothing was said yet; `id` is what `CLIENT ID` answers.
    #[must_use]
    pub fn new(id: u64) -> Conversation {
        Conversation {
            id,
            name: Vec::new(),
            protocol: Protocol::Resp2,
            phase: Phase::Serving,
            parser: None,
            begun: None,
            later: None,
        }
    }

    /// Takes the outcomes that have come, and does the commands in `bytes`: everything that was
    /// received and not consumed.
    pub fn handle(&mut self, bytes: &[u8], turn: &mut RespTurn<'_>) -> Advance {
        if self.is_owing() {
            self.take_outcomes(turn);
        }
        let (consumed, has_to_wait) = self.run(bytes, turn);
        let want = match (self.phase, self.is_owing()) {
            (Phase::Ending, false) => Want::End,
            (Phase::Ending, true) => Want::Room,
            (Phase::Serving, _) if has_to_wait => Want::Room,
            (Phase::Serving, true) => Want::Outcomes,
            (Phase::Serving, false) => Want::Bytes,
        };
        Advance { consumed, want }
    }

    /// Whether there are replies whose outcome is missing.
    #[must_use]
    pub fn is_owing(&self) -> bool {
        self.later.as_ref().is_some_and(|later| !later.is_empty())
    }

    /// Does commands until one is incomplete or has to wait. How many bytes are done with, and whether
    /// one has to wait.
    fn run(&mut self, bytes: &[u8], turn: &mut RespTurn<'_>) -> (usize, bool) {
        let parser = self.parser.take().or_else(|| turn.backend.parser.take());
        let mut parser = parser.unwrap_or_default();
        let limits = turn.backend.options.limits;
        let mut consumed = 0;
        let mut has_to_wait = false;
        while self.phase == Phase::Serving && consumed < bytes.len() {
            let rest = &bytes[consumed..];
            let mut executor = Executor::new(self, turn);
            has_to_wait = executor.is_full();
            if has_to_wait {
                break;
            }
            let flow = match parser.parse(rest, &limits) {
                Ok(Progress::Complete { len }) => {
                    let flow = executor.execute(parser.arguments(rest));
                    if flow == Flow::Next {
                        consumed += len;
                        parser.reset();
                    }
                    flow
                }
                Ok(Progress::Partial) => break,
                Err(error) => {
                    executor.refuse(format_args!("ERR {error}"));
                    Flow::End
                }
            };
            has_to_wait = flow == Flow::Wait;
            match flow {
                Flow::Next => {}
                Flow::Wait => break,
                Flow::End => self.phase = Phase::Ending,
            }
        }
        if self.phase == Phase::Ending {
            parser.reset();
            consumed = bytes.len();
        }
        self.put_away(parser, turn.backend);
        (consumed, has_to_wait)
    }

    /// A parser in the middle of a command is this connection's, any other is everybody's.
    fn put_away(&mut self, mut parser: Box<RequestParser>, backend: &mut Backend) {
        if parser.is_at_start() {
            parser.shrink();
            backend.parser = Some(parser);
        } else {
            self.parser = Some(parser);
        }
    }

    fn take_outcomes(&mut self, turn: &mut RespTurn<'_>) {
        let mut outcomes: Vec<(u64, Outcome)> = Vec::new();
        if let Some(later) = &self.later {
            later.mailbox().take(&mut outcomes);
        }
        let mut executor = Executor::new(self, turn);
        for (number, outcome) in outcomes {
            executor.handle_outcome(number, outcome);
        }
    }

    /// Where a reply goes that is known now.
    pub(super) fn reply<'a>(&'a mut self, output: &'a mut Buffer) -> ReplyEncoder<'a> {
        let output = match &mut self.later {
            Some(later) if !later.is_empty() => later.behind(),
            _ => output,
        };
        ReplyEncoder::new(output, self.protocol)
    }
}

/// What comes after a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flow {
    /// The next one.
    Next,
    /// The same again, later.
    Wait,
    /// Nothing.
    End,
}
