//! Requests that are answered at once, one behind the other: the way that nearly all of them go.
//!
//! Meanwhile the buffers are in the hands of whoever drives the connection, in a [`Row`], and not in the
//! connection. So one that was at rest and is answered in full has held nothing and has been in no state
//! on the way; it is left as it was found but for its deadline. Whatever else comes makes a [`Detour`]: the
//! connection holds what was in hand, and its states take over.
//!
//! ```text
//!   at rest, bytes came ──┐        ┌── another behind it ──┐
//!                         v        v                       │
//!                        Row ──> whole, no body ──> answered at once ── no byte left ──> Answers, at rest
//!                         ^              │                 │
//!   State::Ready ─────────┘              └──> Detour <─────┘ (later, in pieces, last, partial, refused)
//! ```

use super::deferred::Wake;
use super::input::Input;
use super::progress::{Fate, Look, NO_REQUEST, is_enough, look};
use super::reply::{Attached, Called, Outcome, Reply, To};
use super::state::{State, Then};
use super::turn::{Step, Turn};
use super::{Connection, PANICKED, UNANSWERED};
use crate::buffer::Buffer;
use crate::http::{HttpDate, Request, ResponseContext};
use crate::time::Tick;

/// The buffers of requests that are answered in a row.
#[derive(Debug)]
pub(crate) struct Row {
    input: Box<Input>,
    output: Box<Buffer>,
    /// What the input begins with is known to be a whole request.
    is_whole: bool,
}

/// The answers to all that came, to be written; the connection is at rest until `until` then.
#[derive(Debug)]
pub(crate) struct Answers {
    output: Box<Buffer>,
    pub until: Tick,
}

impl Answers {
    /// The bytes to be written.
    #[inline(always)]
    pub fn data(&self) -> &[u8] {
        self.output.data()
    }
}

/// Where a row ended before all that came was answered, and what was in hand there.
#[derive(Debug)]
pub(crate) struct Detour {
    row: Row,
    at: At,
}

#[derive(Debug)]
enum At {
    /// The first bytes are no whole request, or not one that is answered at once.
    Look(Look),
    /// The last request was not answered as those before it were, or something else follows it.
    Exchange(Fate, ResponseContext),
}

impl Row {
    /// Where bytes for a connection [at rest](Connection::is_at_rest) are to be read into.
    #[inline(always)]
    pub fn new(turn: &mut Turn<'_>) -> Row {
        Row {
            input: turn.pools.take_input(),
            output: turn.pools.take_output(),
            is_whole: false,
        }
    }

    /// At least 128 bytes.
    #[inline(always)]
    pub fn space(&mut self) -> &mut [u8] {
        self.input.whole_space()
    }

    /// `len` bytes were read into the space.
    #[inline(always)]
    pub fn filled(&mut self, len: usize, turn: &mut Turn<'_>) {
        turn.bytes_read += len;
        self.input.filled_whole(len);
    }

    /// Nothing came.
    #[cold]
    pub fn give_back(self, turn: &mut Turn<'_>) {
        turn.pools.give_input(self.input);
        turn.pools.give_output(self.output);
    }

    /// Gives the first request to `call`. It is not held any more then. An error says what became of
    /// it if it was not answered, or as the last.
    #[inline(always)]
    fn answer_one(
        &mut self,
        context: ResponseContext,
        date: &HttpDate,
        waker: &dyn Fn() -> Box<dyn Wake>,
        call: &mut impl FnMut(&Request<'_>, Reply<'_>) -> Called,
    ) -> Result<(), Fate> {
        let mark = self.output.len();
        let mut outcome = Outcome::Unanswered;
        let mut to = Attached {
            output: &mut self.output,
            context,
            date,
            waker,
            outcome: &mut outcome,
        };
        let to = To::Connection(&mut to);
        let called = call(&self.input.request(), Reply { to });
        self.input.release_message();
        Err(match (called, outcome) {
            (Called::Answered(_), Outcome::Sent) if context.close => Fate::Last,
            (Called::Answered(_), Outcome::Sent) => return Ok(()),
            (Called::Answered(_), Outcome::Begun(content)) => Fate::Begun(content),
            (Called::Answered(_), Outcome::Deferred(slot)) => Fate::Promised(slot),
            (Called::Answered(_), Outcome::Unanswered) => Fate::Failed(UNANSWERED),
            (Called::Opened, _) => Fate::Opened,
            #[cfg(trine_planted)]
            (Called::Panicked, _)
                if crate::planted::has(crate::planted::Bug::PanicLeavesAnswer) =>
            {
                Fate::Failed(PANICKED)
            }
            (Called::Panicked, _) => {
                self.output.truncate(mark); // an answer given before a panic is not to be trusted
                Fate::Failed(PANICKED)
            }
        })
    }
}

impl Connection {
    /// Takes the request that is [ready](Step::Request) up, if there is one.
    pub(crate) fn begin_row(&mut self, turn: &mut Turn<'_>) -> Option<Row> {
        let State::Ready { .. } = self.state else {
            return None;
        };
        let input = self.input.take()?;
        let output = self.output.take();
        Some(Row {
            input,
            output: output.unwrap_or_else(|| turn.pools.take_output()),
            is_whole: true,
        })
    }

    /// Gives the requests of `row` to `call`, those that are whole, have no body and are within the
    /// budget, as long as they are answered at once. Should `call` unwind, the connection is closed.
    #[inline(always)]
    pub(crate) fn answer_row(
        &mut self,
        mut row: Row,
        turn: &mut Turn<'_>,
        waker: &dyn Fn() -> Box<dyn Wake>,
        call: &mut impl FnMut(&Request<'_>, Reply<'_>) -> Called,
    ) -> Result<Answers, Detour> {
        let at = loop {
            if !std::mem::take(&mut row.is_whole)
                && !row.input.begins_with_request(&turn.config.limits)
            {
                match look(&mut row.input, row.output.len(), turn) {
                    Look::Request => {}
                    found => break self.other_way(found),
                }
            }
            turn.requests += 1;
            let context = self.quota.begin_exchange(row.input.head());
            if let Some(journal) = turn.journal.as_deref_mut() {
                journal.follow(&row.input, row.output.data(), turn.now);
            }
            self.state.follow(State::Closed { reason: PANICKED.1 }); // for a `call` that unwinds
            match row.answer_one(context, turn.date, waker, call) {
                Ok(()) if row.input.is_empty() => return Ok(self.end_row(row, turn)),
                Ok(()) if is_enough(row.output.len(), turn) => {
                    break At::Exchange(Fate::Answered, NO_REQUEST);
                }
                Ok(()) => {}
                Err(fate) => break At::Exchange(fate, context),
            }
        };
        Err(Detour { row, at })
    }

    /// What comes next, of which nothing is given to the service here.
    #[cold]
    fn other_way(&self, found: Look) -> At {
        match self.state {
            State::Closed { .. } => At::Exchange(Fate::Answered, NO_REQUEST), // of the one before
            _ => At::Look(found),
        }
    }

    /// All that came is answered.
    #[inline(always)]
    fn end_row(&mut self, row: Row, turn: &mut Turn<'_>) -> Answers {
        if let Some(journal) = turn.journal.as_deref_mut() {
            journal.note_fate(&Fate::Answered, row.output.data());
        }
        turn.pools.give_input(row.input);
        let until = turn.now.after(turn.config.deadlines.idle);
        self.state.follow(State::Idle { until });
        Answers {
            output: row.output,
            until,
        }
    }

    /// Has the states take over where a row ended. Returns what to do next, as
    /// [`poll`](Connection::poll) does.
    #[cold]
    #[inline(never)]
    pub(crate) fn take_over(&mut self, detour: Detour, turn: &mut Turn<'_>) -> Step {
        let Detour { row, at } = detour;
        self.input = Some(row.input);
        self.output = Some(row.output);
        let polled = match at {
            At::Look(found) => {
                self.settle_output(turn.pools);
                self.poll_other(found, turn)
            }
            At::Exchange(fate, context) => {
                if let Some(journal) = turn.journal.as_deref_mut() {
                    journal.note_fate(&fate, self.output());
                }
                self.exchanged(fate, context, turn);
                None
            }
        };
        polled.unwrap_or_else(|| self.poll(turn))
    }

    /// The client took all of `answers`.
    #[inline(always)]
    pub(crate) fn handle_taken(&mut self, answers: Answers, turn: &mut Turn<'_>) {
        if let Some(journal) = turn.journal.as_deref_mut() {
            journal.taken(answers.output.len());
        }
        turn.pools.give_output(answers.output);
    }

    /// Keeps answers that are not taken yet; they are [to be written](Step::Write).
    pub(crate) fn keep(&mut self, answers: Answers, turn: &Turn<'_>) -> Step {
        self.output = Some(answers.output);
        self.state.follow(State::writing(Then::Head, turn));
        Step::Write
    }
}
