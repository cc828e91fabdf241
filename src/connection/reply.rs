//! The duty to answer one request, and the proof that it was done.

use std::borrow::Borrow;
use std::fmt;

use bytes::Bytes;

use super::deferred::{Deferred, Slot, Wake};
use super::detached::Detached;
use crate::buffer::Buffer;
use crate::http::{self, HttpDate, Response, ResponseContext};
use crate::sync::Arc;

/// The duty to answer one request: by value, so it is done at most once, and the service must
/// return the proof [`Answered`], so it is done at least once.
#[must_use = "a request must be answered"]
pub struct Reply<'a> {
    pub(super) to: To<'a>,
}

/// Where an answer goes. By reference, as a reply is moved from hand to hand.
pub(super) enum To<'a> {
    /// Into the output of the connection that calls the service.
    Connection(&'a mut Attached<'a>),
    /// To whoever calls the service for a connection that is elsewhere.
    Detached(&'a mut Detached),
}

/// What an answer is written with, and what the connection learns of it.
pub(super) struct Attached<'a> {
    pub output: &'a mut Buffer,
    pub context: ResponseContext,
    pub date: &'a HttpDate,
    pub waker: &'a dyn Fn() -> Box<dyn Wake>,
    pub outcome: &'a mut Outcome,
}

/// In bytes: longer content is not copied before the client takes it.
pub(super) const LARGE: usize = 64 * 1024;

impl Reply<'_> {
    /// Answers now: `response` is encoded straight into the connection's output buffer; on a worker
    /// thread it is copied (its body is not) and goes to the connection when the service has returned.
    /// One that is only [informational](crate::http::Status::is_informational) is no answer: the
    /// client, which would wait for more, gets 500.
    #[inline]
    pub fn send(self, response: impl Borrow<Response>) -> Answered {
        self.send_inline(response)
    }

    /// [`send`](Reply::send) as a part of whatever calls it, however many do; but only the straight way.
    #[inline(always)]
    pub(crate) fn send_inline(self, response: impl Borrow<Response>) -> Answered {
        let response = response.borrow();
        // What is known of the response where it is made is asked first.
        match (http::plain_content(response), self.to) {
            (Some(content), To::Connection(to))
                if content.len() <= LARGE && to.context == ResponseContext::PLAIN =>
            {
                http::encode_plain(content, to.date, to.output);
                *to.outcome = Outcome::Sent;
                Answered { _private: () }
            }
            (_, to) => Reply { to }.send_any(response),
        }
    }

    #[inline(never)]
    fn send_any(self, response: &Response) -> Answered {
        if Reply::is_final(response) {
            match self.to {
                To::Connection(to) => {
                    let rest =
                        http::encode_beginning(response, to.context, to.date, to.output, LARGE);
                    *to.outcome = rest.map_or(Outcome::Sent, Outcome::Begun);
                }
                To::Detached(detached) => detached.keep(response),
            }
        }
        Answered { _private: () }
    }

    /// Answers now: 200 with a plain text. Allocates nothing for a literal.
    #[inline]
    pub fn text(self, body: impl Into<Bytes>) -> Answered {
        self.send(Response::text(body))
    }

    /// Promises an answer for later. Allocates twice: the slot it arrives in, and the handle that
    /// wakes the loop; on a worker thread both are there already.
    pub fn defer(self) -> (Deferred, Answered) {
        let deferred = match self.to {
            To::Connection(to) => {
                let (deferred, slot) = Slot::promise((to.waker)());
                *to.outcome = Outcome::Deferred(slot);
                deferred
            }
            To::Detached(detached) => detached.hand_over(),
        };
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
        match &self.to {
            To::Connection(to) => write!(f, "Reply({:?})", to.context),
            To::Detached(detached) => write!(f, "Reply({detached:?})"),
        }
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
