//! What a connection remembers of its exchanges, for whoever wants to know of each one how it went: an
//! access log.
//!
//! An answer is over when its last byte was taken, not when it was made: with pipelining many of them
//! wait in one output. So each is remembered by its place in all the bytes that the connection has
//! ever said, and is over when so many were taken.
//!
//! ```text
//!   begun ──> head written ──> complete
//!               │ content_at     │ end             taken >= end: told
//!   ────────────┴────────────────┴──────────────────────────────────> bytes said
//! ```
//!
//! Most connections are not asked: then there is no journal, and all of this costs a look whether
//! there is one.
//!
//! Invariant: only the last record is without an end, as one request is in flight.

use std::collections::VecDeque;

use super::Connection;
use super::exchange::Outgoing;
use super::input::Input;
use super::progress::Fate;
use super::state::State;
use super::turn::Turn;
use crate::http::{OwnedRequest, Request, Status};
use crate::time::Tick;

/// In bytes: as much is kept of what is not given to the service.
const FRAGMENT_MAX: usize = 2048;

/// The exchanges of one connection that are not over.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    records: VecDeque<Record>,
    /// In bytes, since accept.
    taken: u64,
    /// Where in the output the answer of the request begins that the service was just given.
    mark: Option<usize>,
}

/// One exchange.
#[derive(Debug)]
pub(crate) struct Record {
    pub asked: Asked,
    /// When its head was whole; of what never was, when it was answered.
    pub began: Tick,
    answer: Answer,
}

/// What the client said.
#[derive(Debug)]
pub(crate) enum Asked {
    Whole(OwnedRequest),
    /// The beginning of what was not given to the service; empty when nothing was said.
    Fragment(Vec<u8>),
}

/// How far the answer is; places are in all the bytes said.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Owed,
    Begun {
        status: Status,
        content_at: u64,
    },
    Given {
        status: Status,
        content_at: u64,
        end: u64,
    },
}

impl Record {
    fn new(asked: Asked, began: Tick) -> Record {
        let answer = Answer::Owed;
        Record {
            asked,
            began,
            answer,
        }
    }

    /// Of the answer, if one began.
    pub fn status(&self) -> Option<Status> {
        match self.answer {
            Answer::Owed => None,
            Answer::Begun { status, .. } | Answer::Given { status, .. } => Some(status),
        }
    }
}

impl Journal {
    /// A request is given to the service, unless that was said of it already.
    #[cold]
    #[inline(never)]
    pub fn begin(&mut self, request: &Request<'_>, now: Tick) {
        if !self.is_open() {
            let asked = Asked::Whole(request.head_to_owned());
            self.records.push_back(Record::new(asked, now));
        }
    }

    fn is_open(&self) -> bool {
        let last = self.records.back();
        last.is_some_and(|record| !matches!(record.answer, Answer::Given { .. }))
    }

    /// The last answer's head stands in `output` from `mark` on, written by our encoder.
    #[cold]
    pub fn head_written(&mut self, output: &[u8], mark: usize) {
        let written = output.get(mark..).unwrap_or_default();
        let content = written.windows(4).position(|end| end == b"\r\n\r\n");
        let status = written.get("HTTP/1.1 ".len().."HTTP/1.1 200".len());
        let status = status.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let (Some(content), Some(status)) = (content, status.and_then(Status::from_code)) else {
            return;
        };
        let content_at = self.taken + (mark + content + 4) as u64;
        if let Some(record) = self.records.back_mut() {
            record.answer = Answer::Begun { status, content_at };
        }
    }

    /// The last answer ends where `waiting` bytes of output end.
    #[cold]
    pub fn complete(&mut self, waiting: usize) {
        let end = self.taken + waiting as u64;
        if let Some(record) = self.records.back_mut()
            && let Answer::Begun { status, content_at } = record.answer
        {
            record.answer = Answer::Given {
                status,
                content_at,
                end,
            };
        }
    }

    /// The next of several requests that are answered in a row is given to the service; `output` holds
    /// the answer of the one before, if there was one.
    #[cold]
    #[inline(never)]
    pub(super) fn follow(&mut self, input: &Input, output: &[u8], now: Tick) {
        self.answered(output);
        self.begin(&input.request(), now);
        self.mark = Some(output.len());
    }

    /// The last request, which was given to the service at the mark, is answered by what stands behind
    /// that.
    fn answered(&mut self, output: &[u8]) {
        if let Some(mark) = self.mark.take() {
            self.head_written(output, mark);
            self.complete(output.len());
        }
    }

    /// What became of the last of the requests that were answered in a row; `output` ends with what its
    /// answer is.
    #[cold]
    #[inline(never)]
    pub(super) fn note_fate(&mut self, fate: &Fate, output: &[u8]) {
        match fate {
            Fate::Answered | Fate::Last => self.answered(output),
            Fate::Begun(_) => {
                if let Some(mark) = self.mark.take() {
                    self.head_written(output, mark);
                }
            }
            Fate::Opened | Fate::Promised(_) | Fate::Failed(_) => self.mark = None,
        }
    }

    /// The client took `len` bytes.
    #[cold]
    #[inline(never)]
    pub fn taken(&mut self, len: usize) {
        self.taken += len as u64;
    }

    /// The next exchange that is over, with the bytes of its content.
    pub fn pop_over(&mut self) -> Option<(Record, u64)> {
        let Answer::Given {
            content_at, end, ..
        } = self.records.front()?.answer
        else {
            return None;
        };
        if end > self.taken {
            return None;
        }
        let record = self.records.pop_front()?;
        Some((record, end - content_at))
    }

    /// At the end of the connection: the next exchange that was not over, with as many bytes of its
    /// content as were taken.
    pub fn pop_cut(&mut self) -> Option<(Record, u64)> {
        let record = self.records.pop_front()?;
        let taken = match record.answer {
            Answer::Owed => 0,
            Answer::Begun { content_at, .. } => self.taken.saturating_sub(content_at),
            Answer::Given {
                content_at, end, ..
            } => self.taken.min(end).saturating_sub(content_at),
        };
        Some((record, taken))
    }
}

impl Connection {
    /// An answer of the server's own is to come. The request, as far as there is one, is still held.
    pub(super) fn note_failure(&self, turn: &mut Turn<'_>) {
        if let Some(journal) = turn.journal.as_deref_mut()
            && !journal.is_open()
        {
            let held = self.input.as_deref().map_or(&[][..], Input::body);
            let fragment = held[..held.len().min(FRAGMENT_MAX)].to_vec();
            let record = Record::new(Asked::Fragment(fragment), turn.now);
            journal.records.push_back(record);
        }
    }

    /// What was said from `mark` on is an answer, or the beginning of one.
    pub(super) fn note_answer(&self, mark: usize, is_whole: bool, turn: &mut Turn<'_>) {
        if let Some(journal) = turn.journal.as_deref_mut() {
            journal.head_written(self.output(), mark);
            if is_whole {
                journal.complete(self.output().len());
            }
        }
    }

    /// How far an exchange in pieces is, and how much of the output waits.
    pub(super) fn said(&self) -> Option<(Outgoing, usize)> {
        match &self.state {
            State::Streaming(streaming) => Some((streaming.outgoing, self.output().len())),
            _ => None,
        }
    }

    /// An exchange in pieces has said more than it had `before`.
    pub(super) fn note_said(&self, before: Option<(Outgoing, usize)>, turn: &mut Turn<'_>) {
        let (Some(journal), Some((was, mark)), Some((is, len))) =
            (turn.journal.as_deref_mut(), before, self.said())
        else {
            return;
        };
        if was == Outgoing::Owed && len > mark {
            journal.head_written(self.output(), mark);
        }
        if is == Outgoing::Ended {
            journal.complete(len);
        }
    }
}
