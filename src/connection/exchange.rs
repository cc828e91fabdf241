//! An exchange in pieces: what an answer is written with, and how far both bodies are.
//!
//! A [`Flow`] is lent to whoever takes a request's body, or gives the answer's, piece by piece. It
//! never holds more than the high water mark: [`Flow::write`] takes what there is room for and
//! says how much that was, so an answer without end needs no memory without end.

use std::fmt;

use bytes::Bytes;

use super::config::{Deadlines, Rate};
use super::deferred::Wake;
use super::pools::Pools;
use super::reply::LARGE;
use super::state::NOT_JUDGED;
use crate::buffer::{Buffer, Charge};
use crate::http::{
    self, BodyDecoder, CHUNK_OVERHEAD_BYTES_MAX, Content, Framing, HttpDate, Response,
    ResponseContext, Status, Trailers, Version,
};
use crate::time::{Span, Tick};

/// What the connection asks of whoever has an exchange in hand.
#[derive(Clone, Copy, Debug)]
pub enum Call<'a> {
    /// A piece of the request's body is here. Answered by how many bytes of it were taken; if not
    /// all were, the rest is offered again when there is room for output, or after a wake-up.
    Piece(&'a [u8]),
    /// The body is whole.
    End(Trailers<'a>),
    /// There is room for output: asked at the beginning, whenever the client has taken what was
    /// written, and after a wake-up.
    Produce,
}

/// How much of the request's body there is still to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Incoming {
    /// It is read and given away as it comes.
    Open,
    /// A piece was not taken: nothing is read.
    Held,
    /// All of it was given away.
    Ended,
    /// The answer is complete, so nobody wants the rest; so much of it is read all the same, to
    /// keep the connection.
    Discarded { bytes_left: u32 },
}

/// How much of the answer there is still to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outgoing {
    /// All of it.
    Owed,
    /// So many bytes of content.
    Length(u64),
    /// As many chunks as come.
    Chunks,
    /// As many bytes as come before the connection ends: the client knows no chunks.
    UntilClose,
    Ended,
    /// Given up before it began.
    Unanswered,
    /// Given up in the middle: the client is to see that.
    Broken,
}

impl Outgoing {
    /// Whether nothing more is to be said.
    pub fn is_over(self) -> bool {
        matches!(
            self,
            Outgoing::Ended | Outgoing::Unanswered | Outgoing::Broken
        )
    }
}

/// Whether the client waits for leave to send its body (RFC 9110, 10.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leave {
    /// It does, and gets it when the service wants the body and has not answered yet.
    Asked,
    Given,
}

/// Whether whoever produces the answer is to be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Producer {
    Due,
    /// It was asked. Asked again when the client has taken something, or after a wake-up.
    Resting,
}

/// What the connection waits for, and how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Awaited {
    /// The client, to send; at a lowest rate.
    Body,
    /// The client, to take; at a lowest rate.
    Taking,
    /// The service.
    Service,
}

/// What is left of a window in which a lowest rate is judged. Only the time counts in which the
/// client is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub left: Span,
    pub bytes: u32,
}

impl Allowance {
    pub fn fresh(rate: Rate) -> Allowance {
        Allowance {
            left: rate.window,
            bytes: 0,
        }
    }
}

/// An exchange under way.
#[derive(Debug)]
pub(super) struct Streaming {
    pub context: ResponseContext,
    pub body: BodyDecoder,
    pub incoming: Incoming,
    pub leave: Leave,
    pub outgoing: Outgoing,
    pub producer: Producer,
    /// The rest of a whole answer, if the service gave one: the connection produces from it itself.
    pub supply: Bytes,
    /// Kept for as long as the exchange: a part of a value keeps the whole in memory.
    pub supply_charge: Charge,
    pub sending: Allowance,
    pub taking: Allowance,
    pub awaited: Awaited,
    pub until: Tick,
}

impl Streaming {
    /// The beginning of an exchange whose request has a body of this framing.
    pub fn new(
        context: ResponseContext,
        framing: Framing,
        until: Tick,
        deadlines: &Deadlines,
    ) -> Streaming {
        Streaming {
            context,
            body: BodyDecoder::new(framing),
            incoming: Incoming::Open,
            leave: Leave::Given,
            outgoing: Outgoing::Owed,
            producer: Producer::Due,
            supply: Bytes::new(),
            supply_charge: Charge::default(),
            sending: Allowance::fresh(deadlines.body_rate),
            taking: Allowance {
                left: deadlines.write_rate.window,
                bytes: NOT_JUDGED,
            },
            awaited: Awaited::Service,
            until,
        }
    }

    /// Counts an answer that the service has given whole, now that it has let go of it.
    pub fn charge_supply(&mut self, pools: &Pools) {
        if !self.supply.is_empty() && self.supply_charge.bytes() == 0 {
            self.supply_charge = pools.charge(&self.supply);
        }
    }

    /// The client has refused to take more: see
    /// [`handle_write_refused`](super::Connection::handle_write_refused).
    pub fn judge_taking(&mut self, now: Tick, window: Span) {
        if self.taking.bytes == NOT_JUDGED {
            self.taking = Allowance {
                left: window,
                bytes: 0,
            };
            if self.awaited == Awaited::Taking {
                self.until = now.after(window);
            }
        }
    }

    /// There is room for output again, or somebody woke the exchange.
    pub fn is_ready(&mut self) {
        self.producer = Producer::Due;
        if self.incoming == Incoming::Held {
            self.incoming = Incoming::Open;
        }
    }
}

/// In bytes: a mark below that would leave no room for a chunk of any use.
const HIGH_LEAST: usize = 256;

/// The way to the client, lent to whoever has an exchange in hand.
pub struct Flow<'a> {
    pub(super) output: &'a mut Buffer,
    pub(super) context: &'a mut ResponseContext,
    pub(super) outgoing: &'a mut Outgoing,
    pub(super) supply: &'a mut Bytes,
    pub(super) date: &'a HttpDate,
    /// In bytes: as much may wait in the output.
    pub(super) high: usize,
    pub(super) waker: &'a dyn Fn() -> Box<dyn Wake>,
}

impl Flow<'_> {
    /// Begins the answer: the status and fields of `head`, whose own body is not sent. The content
    /// follows by [`write`](Flow::write): `length` bytes of it, or as many as come, in chunks (to a
    /// 1.0 client, until the connection ends).
    ///
    /// No content is expected where none is sent: in an answer to HEAD, and with 204, 205 and 304.
    ///
    /// # Errors
    ///
    /// When the answer has begun already, or `head` is only informational.
    pub fn respond(&mut self, head: &Response, length: Option<u64>) -> Result<(), FlowError> {
        self.check(head)?;
        let status = head.status();
        let is_empty = matches!(
            status,
            Status::NO_CONTENT | Status::RESET_CONTENT | Status::NOT_MODIFIED
        );
        let (content, outgoing) = match (length, self.context.version) {
            (_, _) if status == Status::RESET_CONTENT => (Content::Length(0), Outgoing::Ended),
            (_, _) if is_empty => (Content::Undeclared, Outgoing::Ended),
            (Some(0), _) => (Content::Length(0), Outgoing::Ended),
            (Some(length), _) => (Content::Length(length), Outgoing::Length(length)),
            (None, Version::Http11) => (Content::Chunked, Outgoing::Chunks),
            (None, Version::Http10) => {
                self.context.close = true;
                (Content::Undeclared, Outgoing::UntilClose)
            }
        };
        http::encode_head(head, content, *self.context, self.date, self.output);
        *self.outgoing = match self.context.head_only {
            true => Outgoing::Ended,
            false => outgoing,
        };
        Ok(())
    }

    /// Answers with a whole response; nothing may follow. A large body is not copied before the client
    /// takes it.
    ///
    /// # Errors
    ///
    /// As [`respond`](Flow::respond).
    pub fn send(&mut self, response: &Response) -> Result<(), FlowError> {
        self.check(response)?;
        let (context, date) = (*self.context, self.date);
        let rest = http::encode_beginning(response, context, date, self.output, LARGE);
        *self.outgoing = match rest {
            None => Outgoing::Ended,
            Some(rest) => {
                let len = rest.len() as u64;
                *self.supply = rest;
                Outgoing::Length(len)
            }
        };
        Ok(())
    }

    fn check(&self, head: &Response) -> Result<(), FlowError> {
        if *self.outgoing != Outgoing::Owed {
            return Err(FlowError::HasBegun);
        }
        match head.status().is_informational() {
            true => Err(FlowError::Informational),
            false => Ok(()),
        }
    }

    /// How many bytes [`write`](Flow::write) takes now: until the high water mark is reached, and
    /// no more than was declared.
    #[must_use]
    pub fn room(&self) -> usize {
        let taken = self.output.len() + CHUNK_OVERHEAD_BYTES_MAX;
        let room = self.high.max(HIGH_LEAST).saturating_sub(taken);
        match *self.outgoing {
            _ if !self.supply.is_empty() => 0, // it is the answer
            Outgoing::Length(left) => usize::try_from(left).map_or(room, |left| left.min(room)),
            Outgoing::Chunks | Outgoing::UntilClose => room,
            Outgoing::Owed | Outgoing::Ended | Outgoing::Unanswered | Outgoing::Broken => 0,
        }
    }

    /// Appends content, in chunks one for each call, and returns how many bytes there was
    /// [room](Flow::room) for. With the last byte declared the answer is complete.
    #[must_use = "what was not taken is still to be written"]
    pub fn write(&mut self, content: &[u8]) -> usize {
        let len = content.len().min(self.room());
        let content = &content[..len];
        match self.outgoing {
            Outgoing::Chunks => http::encode_chunk(content, self.output),
            _ => self.output.append(content),
        }
        if let Outgoing::Length(left) = self.outgoing {
            *left -= len as u64;
            if *left == 0 {
                *self.outgoing = Outgoing::Ended;
            }
        }
        len
    }

    /// Ends the answer. One that has not begun is 500; one that lacks bytes it declared is cut off so
    /// that the client notices.
    pub fn finish(&mut self) {
        *self.outgoing = match *self.outgoing {
            answer if !self.supply.is_empty() => answer,
            Outgoing::Chunks => {
                http::encode_last_chunk(self.output);
                Outgoing::Ended
            }
            Outgoing::UntilClose | Outgoing::Ended => Outgoing::Ended,
            Outgoing::Owed | Outgoing::Unanswered => Outgoing::Unanswered,
            Outgoing::Length(_) | Outgoing::Broken => Outgoing::Broken,
        };
    }

    /// Gives the answer up, for content that cannot be had after all: 500 if it has not begun,
    /// otherwise the client sees that it is cut off.
    pub fn abort(&mut self) {
        *self.outgoing = match *self.outgoing {
            Outgoing::Owed | Outgoing::Unanswered => Outgoing::Unanswered,
            _ => Outgoing::Broken,
        };
    }

    /// Whether the answer is complete; the rest of the request's body is not wanted then.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.outgoing.is_over() || !self.supply.is_empty()
    }

    /// What makes the loop ask this exchange again, from any thread.
    #[must_use]
    pub fn waker(&self) -> Box<dyn Wake> {
        (self.waker)()
    }
}

impl fmt::Debug for Flow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("outgoing", &self.outgoing)
            .field("queued", &self.output.len())
            .finish_non_exhaustive()
    }
}

/// Why an answer did not begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FlowError {
    /// There is one already.
    HasBegun,
    /// A status of 1xx is no answer (RFC 9110, 15.2).
    Informational,
}

impl fmt::Display for FlowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FlowError::HasBegun => "the answer has begun already",
            FlowError::Informational => "an informational status is no answer (RFC 9110, 15.2)",
        })
    }
}

impl std::error::Error for FlowError {}
