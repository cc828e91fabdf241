//! An answer that is made apart from its connection: on a worker thread.
//!
//! A [`Reply`] of a connection writes into that connection's output; one made here leaves the answer
//! with whoever calls the service, who passes it on when the call has returned. So a service that
//! panics after it has answered is answered for with 500, here as there: what it said before is not to
//! be trusted.
//!
//! ```text
//!   Deferred ──> Detached ── reply ──> service ── send ───> kept ── finish ──> Deferred::send
//!                   │                     ├─────── defer ──> the service's own Deferred
//!                   └── dropped: 500      └─────── panics: dropped
//! ```

use super::deferred::Deferred;
use super::reply::{Answered, Reply, To};
use crate::http::Response;

/// The duty to answer a request that is elsewhere, for the length of one call.
#[derive(Debug)]
#[must_use = "dropping it answers 500"]
pub(crate) struct Detached {
    /// `None` when the service took it.
    deferred: Option<Deferred>,
    response: Option<Response>,
}

impl Detached {
    pub(crate) fn new(deferred: Deferred) -> Detached {
        Detached {
            deferred: Some(deferred),
            response: None,
        }
    }

    /// What the service answers by; once.
    pub(crate) fn reply(&mut self) -> Reply<'_> {
        Reply {
            to: To::Detached(self),
        }
    }

    /// The service has returned: passes its answer on. A proof of another request passes nothing, and
    /// is answered for with 500.
    pub(crate) fn finish(self, _: Answered) {
        if let (Some(deferred), Some(response)) = (self.deferred, self.response) {
            deferred.send(response);
        }
    }

    #[cold]
    pub(super) fn keep(&mut self, response: &Response) {
        self.response = Some(response.clone());
    }

    pub(super) fn hand_over(&mut self) -> Deferred {
        let deferred = self.deferred.take();
        deferred.expect("one Reply is made, and is used by value")
    }
}
