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

use crate::http::{Request, Response, Trailers};

pub use crate::connection::{Answered, Deferred, Flow, FlowError, Reply, Wake};

/// Answers requests. The same service runs under every concurrency model, unmodified.
///
/// `S` is the state of the loop that calls it, lent for each call.
pub trait Service<S = ()>: 'static {
    /// Answers `request` through `reply`, now or later.
    ///
    /// It runs on the thread that serves the connection, which is the loop's, so it must not wait; what takes
    /// long defers, or the service runs on worker threads. (Of a
    /// [team](crate::concurrency::LeaderFollowers) it is one of several: a call that waits keeps only that
    /// one.) Should it panic, the client gets 500 and its connection ends, no other. (A value
    /// that panics when it is dropped while another panic unwinds ends the process, as always in Rust,
    /// and so does any panic in a program built with `panic = "abort"`.)
    fn call(&mut self, request: &Request<'_>, reply: Reply<'_>, state: &mut S) -> Answered;

    /// Asked first, with the head of each request and before its body is read: gives an
    /// [`Exchange`] that takes the body, and gives the answer's, in pieces. `None`, which is the
    /// default, has the body collected and then [`call`](Service::call) answer.
    #[inline]
    fn open(&mut self, head: &Request<'_>, state: &mut S) -> Option<Box<dyn Exchange<S>>> {
        let _ = (head, state);
        None
    }
}

/// One request and its answer in pieces, neither of which is ever whole in memory.
///
/// The connection reads on only while pieces are taken, and asks for content only while the client
/// takes it. All runs on the thread that serves the connection, the loop's or one of a team's, and must not wait; who needs another thread's work takes
/// the [`waker`](Flow::waker) along. It is dropped when both bodies have ended, and as well when
/// the client or a deadline ends the exchange: a body of which the [end](Exchange::end) was not told
/// is not whole.
///
/// A panic ends the connection: with 500 if the answer had not begun.
///
/// It is [`Send`] as it belongs to the connection, which under
/// [leader/followers](crate::concurrency::LeaderFollowers) is served by one thread now and by another
/// later, though never by two at a time. What it shares with others, it has in an
/// [`Arc`](std::sync::Arc), and what is the thread's own it is lent as `S`.
///
/// ```
/// use trine::Response;
/// use trine::http::{Request, Trailers};
/// use trine::service::{Answered, Exchange, Flow, Reply, Service};
///
/// /// Sends back what it gets, as it comes.
/// struct Echo;
///
/// impl Exchange for Echo {
///     fn produce(&mut self, flow: &mut Flow<'_>, _: &mut ()) {
///         let _ = flow.respond(&Response::bytes(""), None); // the first time
///     }
///
///     fn piece(&mut self, piece: &[u8], flow: &mut Flow<'_>, _: &mut ()) -> usize {
///         flow.write(piece)
///     }
///
///     fn end(&mut self, _: Trailers<'_>, flow: &mut Flow<'_>, _: &mut ()) {
///         flow.finish();
///     }
/// }
///
/// struct Site;
///
/// impl Service for Site {
///     fn open(&mut self, head: &Request<'_>, _: &mut ()) -> Option<Box<dyn Exchange>> {
///         (head.path() == "/echo").then(|| Box::new(Echo) as Box<dyn Exchange>)
///     }
///
///     fn call(&mut self, _: &Request<'_>, reply: Reply<'_>, _: &mut ()) -> Answered {
///         reply.send(Response::not_found())
///     }
/// }
/// # let _ = Site;
/// ```
pub trait Exchange<S = ()>: Send + 'static {
    /// There is room for output: called once at the beginning, again whenever the client has taken
    /// what was written, and after a wake-up.
    fn produce(&mut self, flow: &mut Flow<'_>, state: &mut S);

    /// A piece of the request's body, without chunk framing. Returns how many of its bytes were
    /// taken; the rest is offered again when what was written is taken, or after a wake-up, and until
    /// then nothing more is read. Takes all by default.
    fn piece(&mut self, piece: &[u8], flow: &mut Flow<'_>, state: &mut S) -> usize {
        let _ = (flow, state);
        piece.len()
    }

    /// The request's body is whole: all of it was taken, or there was none. Not called when the answer
    /// was complete before.
    fn end(&mut self, trailers: Trailers<'_>, flow: &mut Flow<'_>, state: &mut S) {
        let _ = (trailers, flow, state);
    }
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
    #[inline(always)]
    fn call(&mut self, request: &Request<'_>, reply: Reply<'_>, _: &mut S) -> Answered {
        reply.send_inline((self.function)(request))
    }
}
