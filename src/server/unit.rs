//! The logic unit as one connection meets it: asked, called, lent the state, and kept from taking
//! anybody along when it panics.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::metrics::ServerMetrics;
use crate::connection::{Call, Called, Flow, Reply, Wanted};
use crate::http::{Framing, Request};
use crate::reactor::{Next, discard};
use crate::service::{Exchange, Service};

/// How many characters of a path are logged.
const LOGGED_MAX: usize = 256;

/// An exchange under way. Behind one pointer, as few connections have one.
pub(super) struct InHand<S>(Box<dyn Exchange<S>>);

/// What a request is answered with.
pub(super) struct Unit<'a, S, V> {
    pub(super) service: &'a mut V,
    pub(super) state: &'a mut S,
    pub(super) metrics: &'a mut ServerMetrics,
}

impl<S: 'static, V: Service<S>> Unit<'_, S, V> {
    /// Asks the service whether it wants the exchange in pieces, and calls it if not.
    #[inline(always)]
    pub(super) fn call(
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
                *in_hand = Some(Box::new(InHand(exchange)));
                return Called::Opened;
            }
            Called::Answered(self.service.call(request, reply, self.state))
        }));
        called.unwrap_or_else(|payload| {
            self.panicked(request, payload);
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
                *in_hand = Some(Box::new(InHand(exchange)));
                Wanted::InPieces
            }
            Err(payload) => {
                self.panicked(head, payload);
                Wanted::Panicked
            }
        }
    }

    /// Drops an exchange that is over.
    #[cold]
    pub(super) fn let_go(&mut self, in_hand: &mut Option<Box<InHand<S>>>) {
        let over = in_hand.take();
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(over))) {
            self.metrics.panics += 1;
            tracing::error!(target: "trine::http", "exchange panicked while it was dropped");
            discard(payload);
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
        let InHand(exchange) = in_hand.as_deref_mut()?;
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
                self.metrics.panics += 1;
                tracing::error!(target: "trine::http", "exchange panicked");
                discard(payload);
                None
            }
        }
    }

    #[cold]
    fn panicked(&mut self, request: &Request<'_>, payload: Box<dyn Any + Send>) {
        self.metrics.panics += 1;
        let path: String = request.path().chars().take(LOGGED_MAX).collect();
        tracing::error!(target: "trine::http", method = request.method_name(), path, "service panicked");
        discard(payload);
    }
}
