//! An outcome as the answer to a request: where a storage unit meets a service.

use super::fault::Outcome;
use super::place::{Completion, Place};
use crate::http::Response;
use crate::service::Deferred;

/// Answers a request with what came of an operation.
struct Answering<F> {
    deferred: Deferred,
    respond: F,
}

impl<F: FnOnce(Outcome) -> Response + Send + 'static> Completion for Answering<F> {
    fn is_cancelled(&self) -> bool {
        self.deferred.is_cancelled()
    }

    fn complete(self: Box<Self>, outcome: Outcome) {
        self.deferred.send((self.respond)(outcome));
    }
}

impl Place {
    /// Has the operation done when its turn comes, and answers with what `respond` makes of the
    /// outcome, on a thread of the storage unit. If the client has left by then, or its deadline has
    /// passed, the operation is not begun.
    pub fn answer(
        self,
        deferred: Deferred,
        respond: impl FnOnce(Outcome) -> Response + Send + 'static,
    ) {
        self.complete_with(Box::new(Answering { deferred, respond }));
    }
}
