//! The logic unit as one connection meets it: asked, called, lent the state, and kept from taking
//! anybody along when it panics.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::metrics::ServerMetrics;
use crate::connection::{Call, Called, Flow, Reply, Wanted};
use crate::http::{Framing, Request};
use crate::reactor::Next;
use crate::service::{Exchange, Service};
use crate::unwind::{discard, message};

/// How many characters of a path are logged.
const LOGGED_MAX: usize = 256;

/// An exchange under way. Behind one pointer, as few connections have one.
pub(super) struct InHand<S> {
    exchange: Box<dyn Exchange<S>>,
    /// For reports.
    request: RequestLine,
}

/// Which request it was that somebody panicked about.
struct RequestLine {
    method: Box<str>,
    path: Box<str>,
}

impl RequestLine {
    fn of(request: &Request<'_>) -> RequestLine {
        let path: String = request.path().chars().take(LOGGED_MAX).collect();
        RequestLine {
            method: request.method_name().into(),
            path: path.into(),
        }
    }
}

impl<S> InHand<S> {
    fn new(exchange: Box<dyn Exchange<S>>, head: &Request<'_>) -> Box<InHand<S>> {
        Box::new(InHand {
            exchange,
            request: RequestLine::of(head),
        })
    }
}

/// What a request is answered with.
pub(super) struct Unit<'a, S, V> {
    pub(super) service: &'a mut V,
    pub(super) state: &'a mut S,
    pub(super) metrics: &'a mut ServerMetrics,
}

impl<S: 'static, V: Service<S>> Unit<'_, S, V> {
    /// Asks the service whether it wants the exchange in pieces, and calls it if not.
    ///
    /// Each kind `By` of driver has a call of its own: what is caught is a function that only one
    /// place names then, and so becomes part of the way of a request. Shared by several it is too
    /// large for that, which costs each request about a hundred instructions.
    #[inline(always)]
    #[expect(clippy::extra_unused_type_parameters)]
    pub(super) fn call<By>(
        &mut self,
        request: &Request<'_>,
        reply: Reply<'_>,
        in_hand: &mut Option<Box<InHand<S>>>,
    ) -> Called {
        self.metrics.requests += 1;
        if in_hand.is_some() {
            self.let_go(in_hand); // of the request before
        }
        let called = catch_unwind(AssertUnwindSafe(|| {
            // One with a body was asked before that was read.
            if request.head().framing() == Framing::None
                && let Some(exchange) = self.service.open(request, self.state)
            {
                *in_hand = Some(InHand::new(exchange, request));
                return Called::Opened;
            }
            Called::Answered(self.service.call(request, reply, self.state))
        }));
        called.unwrap_or_else(|payload| {
            self.panicked("service panicked", &RequestLine::of(request), payload);
            Called::Panicked
        })
    }

    /// The connection goes on in a later turn.
    #[cold]
    pub(super) fn spent_its_share(&mut self) -> Next {
        self.metrics.shares_spent += 1;
        Next::Again
    }

    /// Asks the service how it wants the body that was announced.
    #[cold]
    pub(super) fn ask(
        &mut self,
        head: &Request<'_>,
        in_hand: &mut Option<Box<InHand<S>>>,
    ) -> Wanted {
        self.let_go(in_hand);
        let asked = AssertUnwindSafe(|| self.service.open(head, self.state));
        match catch_unwind(asked) {
            Ok(None) => Wanted::Whole,
            Ok(Some(exchange)) => {
                self.metrics.requests += 1;
                *in_hand = Some(InHand::new(exchange, head));
                Wanted::InPieces
            }
            Err(payload) => {
                self.metrics.requests += 1;
                self.panicked("service panicked", &RequestLine::of(head), payload);
                Wanted::Panicked
            }
        }
    }

    /// Drops an exchange that is over.
    #[cold]
    pub(super) fn let_go(&mut self, in_hand: &mut Option<Box<InHand<S>>>) {
        let Some(over) = in_hand.take() else {
            return;
        };
        let InHand { exchange, request } = *over;
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(exchange))) {
            self.panicked("exchange panicked while it was dropped", &request, payload);
        }
    }

    /// Lets the exchange in hand do what is due; `None` when it panicked.
    #[cold]
    pub(super) fn exchange(
        &mut self,
        in_hand: &mut Option<Box<InHand<S>>>,
        call: Call<'_>,
        flow: &mut Flow<'_>,
    ) -> Option<usize> {
        let InHand { exchange, request } = in_hand.as_deref_mut()?;
        let mut done = || match call {
            Call::Piece(piece) => exchange.piece(piece, flow, self.state),
            Call::End(trailers) => {
                exchange.end(trailers, flow, self.state);
                0
            }
            Call::Produce => {
                exchange.produce(flow, self.state);
                0
            }
        };
        match catch_unwind(AssertUnwindSafe(&mut done)) {
            Ok(taken) => Some(taken),
            Err(payload) => {
                self.panicked("exchange panicked", request, payload);
                None
            }
        }
    }

    #[cold]
    fn panicked(
        &mut self,
        what: &'static str,
        request: &RequestLine,
        payload: Box<dyn Any + Send>,
    ) {
        self.metrics.panics += 1;
        let RequestLine { method, path } = request;
        let message = message(&*payload);
        tracing::error!(target: "trine::http", method = &**method, path = &**path, message, "{what}");
        discard(payload);
    }
}
