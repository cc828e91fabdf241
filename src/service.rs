//! The logic unit: what a server does with a request.
//!
//! A [`Service`] is lent the request and the loop's state, and gets the duty to answer as a
//! [`Reply`] by value. It answers at once, or it defers and lets any thread complete the
//! [`Deferred`] later; either gives the proof [`Answered`] that it must return. So the compiler
//! sees that a request is answered exactly once.
//!
//! ```
//! use trine::http::Request;
//! use trine::service::{Reply, Service};
//!
//! fn count() -> impl Service<u64> {
//!     |_: &Request<'_>, reply: Reply<'_>, served: &mut u64| {
//!         *served += 1;
//!         reply.text(format!("{served} served\n"))
//!     }
//! }
//! # let _ = count();
//! ```

use crate::http::{Request, Response};

pub use crate::connection::{Answered, Deferred, Reply, Wake};

/// Answers requests. The same service runs under every concurrency model, unmodified.
///
/// `S` is the state of the loop that calls it, lent for each call.
pub trait Service<S = ()>: 'static {
    /// Answers `request` through `reply`, now or later.
    ///
    /// It runs on the loop's thread, so it must not wait; what takes long defers. Should it
    /// panic, the client gets 500 and its connection ends, no other.
    fn call(&mut self, request: &Request<'_>, reply: Reply<'_>, state: &mut S) -> Answered;
}

impl<S, F> Service<S> for F
where
    F: FnMut(&Request<'_>, Reply<'_>, &mut S) -> Answered + 'static,
{
    fn call(&mut self, request: &Request<'_>, reply: Reply<'_>, state: &mut S) -> Answered {
        self(request, reply, state)
    }
}

/// A service from a function that makes each response at once.
///
/// ```
/// use trine::http::Response;
/// use trine::service::respond;
///
/// let service = respond(|request| match request.path() {
///     "/hello" => Response::text("Hello\n"),
///     _ => Response::not_found(),
/// });
/// # let _ = service;
/// ```
pub fn respond<F>(function: F) -> Respond<F>
where
    F: FnMut(&Request<'_>) -> Response + 'static,
{
    Respond { function }
}

/// A service that makes each response at once; from [`respond`].
#[derive(Clone, Debug)]
pub struct Respond<F> {
    function: F,
}

impl<S, F> Service<S> for Respond<F>
where
    F: FnMut(&Request<'_>) -> Response + 'static,
{
    fn call(&mut self, request: &Request<'_>, reply: Reply<'_>, _: &mut S) -> Answered {
        reply.send((self.function)(request))
    }
}
