//! A place in a queue of a storage unit, and who is told what came of it.

use std::fmt;
use std::sync::Arc;

use super::fault::Outcome;
use super::lane::{End, Job};
use super::metrics::count;
use super::operation::Request;
use super::pending::Mark;
use super::unit::Opened;
use crate::concurrency::Permit;

/// Is told what came of an operation, on a thread of the storage unit: it must not wait there.
pub trait Completion: Send + 'static {
    /// Whether nobody waits for the outcome any more: an operation that has not begun is not done
    /// then, and [`complete`](Completion::complete) not called.
    fn is_cancelled(&self) -> bool {
        false
    }

    /// This came of it.
    fn complete(self: Box<Self>, outcome: Outcome);
}

/// A closure waits to the end.
impl<F: FnOnce(Outcome) + Send + 'static> Completion for F {
    fn complete(self: Box<Self>, outcome: Outcome) {
        self(outcome);
    }
}

/// What became of an operation that was submitted.
#[derive(Debug)]
#[must_use = "a place in a queue that is not used is given up"]
pub enum Submission {
    /// It is done, or was turned away.
    Done(Outcome),
    /// There is a place in a queue for it.
    Queued(Place),
}

/// A place in a queue for an operation, which is put there when it is known who is told.
///
/// It is to be used before the next operation on its key is submitted: the order is that in which places
/// are used. The end of the unit waits for it, so whoever has one must not close the unit.
#[must_use = "dropped, the operation is not done"]
pub struct Place {
    pub(super) permit: Permit<Job>,
    pub(super) request: Request,
    pub(super) mark: Mark,
    pub(super) opened: Arc<Opened>,
}

impl Place {
    /// Has the operation done when its turn comes, and `completion` told.
    pub fn complete_with(self, completion: Box<dyn Completion>) {
        let mark = self.mark;
        self.opened.pending.enter(mark);
        count(&self.opened.counters.accepted);
        self.permit.push(Job {
            request: self.request,
            end: End { completion, mark },
        });
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({:?})", self.request.operation.key())
    }
}
