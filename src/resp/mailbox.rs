//! Where the outcomes for one connection arrive, from the threads of the storage unit.
//!
//! Invariant: each [`Ticket`] brings exactly one outcome, also when it is dropped unused; so a
//! connection that waits for one does not wait for ever.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::connection::Wake;
use crate::storage::{Completion, Fault, Outcome};

/// The outcomes that have come and were not taken, each with the number of its operation.
pub(super) struct Mailbox {
    outcomes: Mutex<Vec<(u64, Outcome)>>,
    /// The client is gone.
    is_closed: AtomicBool,
    wake: Box<dyn Wake>,
}

impl Mailbox {
    pub fn new(wake: Box<dyn Wake>) -> Arc<Mailbox> {
        Arc::new(Mailbox {
            outcomes: Mutex::new(Vec::new()),
            is_closed: AtomicBool::new(false),
            wake,
        })
    }

    /// Moves all outcomes to `taken`, which is empty.
    pub fn take(&self, taken: &mut Vec<(u64, Outcome)>) {
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *outcomes, taken);
    }

    /// Nobody looks into it any more.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    fn put(&self, number: u64, outcome: Outcome) {
        if self.is_closed.load(Ordering::Relaxed) {
            return;
        }
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        outcomes.push((number, outcome));
        let is_first = outcomes.len() == 1;
        drop(outcomes);
        if is_first {
            self.wake.wake(); // whoever put one before has woken it, and it has not looked yet
        }
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        write!(f, "Mailbox({} outcomes)", outcomes.len())
    }
}

/// Brings the outcome of one operation.
#[derive(Debug)]
pub(super) struct Ticket {
    /// `None` when it has.
    mailbox: Option<Arc<Mailbox>>,
    number: u64,
    is_read: bool,
}

impl Ticket {
    pub fn new(mailbox: &Arc<Mailbox>, number: u64, is_read: bool) -> Ticket {
        Ticket {
            mailbox: Some(Arc::clone(mailbox)),
            number,
            is_read,
        }
    }
}

impl Completion for Ticket {
    /// A write was asked for, whether its client has stayed or not; what a read finds is for nobody.
    fn is_cancelled(&self) -> bool {
        let mailbox = self.mailbox.as_ref();
        self.is_read && mailbox.is_some_and(|mailbox| mailbox.is_closed.load(Ordering::Relaxed))
    }

    fn complete(mut self: Box<Self>, outcome: Outcome) {
        if let Some(mailbox) = self.mailbox.take() {
            mailbox.put(self.number, outcome);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(mailbox) = self.mailbox.take() {
            mailbox.put(self.number, Err(Fault::Unknown("the operation was lost")));
        }
    }
}
