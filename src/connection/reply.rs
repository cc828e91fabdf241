//! The duty to answer one request, and the proof that it was done.

use std::borrow::Borrow;
use std::fmt;

use bytes::Bytes;

use super::deferred::{Deferred, Slot, Wake};
use crate::buffer::Buffer;
use crate::http::{self, HttpDate, Response, ResponseContext};
use crate::sync::Arc;

/// The duty to answer one request: by value, so it is done at most once, and the service must
/// return the proof [`Answered`], so it is done at least once.
#[must_use = "a request must be answered"]
pub struct Reply<'a> {
    pub(super) output: &'a mut Buffer,
    pub(super) context: ResponseContext,
    pub(super) date: &'a HttpDate,
    pub(super) waker: &'a dyn Fn() -> Box<dyn Wake>,
    pub(super) outcome: &'a mut Outcome,
}

/// In bytes: longer content is not copied before the client takes it.
pub(super) const LARGE: usize = 64 * 1024;

impl Reply<'_> {
    /// Answers now: `response` is encoded straight into the connection's output buffer. One that
    /// is only [informational](crate::http::Status::is_informational) is no answer: the client,
    /// which would wait for more, gets 500.
    #[inline]
    pub fn send(self, response: impl Borrow<Response>) -> Answered {
        let response = response.borrow();
        if Reply::is_final(response) {
            let (context, date) = (self.context, self.date);
            let rest = http::encode_beginning(response, context, date, self.output, LARGE);
            *self.outcome = rest.map_or(Outcome::Sent, Outcome::Begun);
        }
        Answered { _private: () }
    }

    /// Answers now: 200 with a plain text. Allocates nothing for a literal.
    #[inline]
    pub fn text(self, body: impl Into<Bytes>) -> Answered {
        self.send(Response::text(body))
    }

    /// Promises an answer for later. Allocates twice: the slot it arrives in, and the handle that
    /// wakes the loop.
    pub fn defer(self) -> (Deferred, Answered) {
        let (deferred, slot) = Slot::promise((self.waker)());
        *self.outcome = Outcome::Deferred(slot);
        (deferred, Answered { _private: () })
    }

    /// Whether `response` can end an exchange (RFC 9110, 15.2).
    #[inline]
    pub(super) fn is_final(response: &Response) -> bool {
        !response.status().is_informational()
    }
}

impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

/// The proof that a request was answered or that an answer was promised; only
/// [`Reply`] makes it.
///
/// A proof kept from another request deceives the compiler but not the connection, which answers
/// 500 when its own [`Reply`] was not used.
#[derive(Debug)]
#[must_use = "return it from the service"]
pub struct Answered {
    _private: (),
}

/// What a service did with its [`Reply`].
#[derive(Debug)]
pub(super) enum Outcome {
    Unanswered,
    Sent,
    /// The head is sent, and this content is to follow.
    Begun(Bytes),
    Deferred(Arc<Slot>),
}

/// What a service did with a request.
#[derive(Debug)]
#[must_use]
pub enum Called {
    /// It used its [`Reply`].
    Answered(Answered),
    /// It takes the exchange in pieces, and was not called.
    Opened,
    /// It panicked.
    Panicked,
}
