//! Answers that come later, from any thread.
//!
//! A [`Deferred`] and the connection share a slot with room for one response. Whoever completes
//! the [`Deferred`] puts the response there and wakes the loop; the connection looks into the slot
//! when it is next polled. The connection lets go of its half when the answer would meet nobody
//! (too late, client gone, server closing), and that alone is what
//! [`is_cancelled`](Deferred::is_cancelled) asks.
//!
//! ```text
//!   Deferred ──┐                       ┌── Connection (state Waiting or Held)
//!              └──> Slot: Fate, wake <─┘
//! ```
//!
//! Invariant: a slot leaves [`Fate::Waiting`] once, by `send`, `send_after` or the drop of the
//! only [`Deferred`].

use std::fmt;
use std::sync::PoisonError;

use crate::http::Response;
use crate::sync::{Arc, Mutex, MutexGuard};
use crate::time::Span;

/// Wakes the loop that owns a connection. Called from any thread: once for a deferred answer, any
/// number of times for an exchange in pieces. A wake-up that comes too late reaches whatever the
/// connection does by then, which looks and finds nothing new.
pub trait Wake: Send + Sync {
    /// Makes the loop poll the connection soon.
    fn wake(&self);
}

impl<F: Fn() + Send + Sync> Wake for F {
    fn wake(&self) {
        self();
    }
}

/// The duty to answer one request later; may go to any thread.
///
/// Dropped without an answer, it answers 500 and the connection closes.
#[must_use = "dropping it answers 500"]
pub struct Deferred {
    slot: Arc<Slot>,
}

impl Deferred {
    /// Answers with `response`. An answer that comes too late meets nobody and is dropped.
    pub fn send(self, response: Response) {
        self.send_after(Span::ZERO, response);
    }

    /// Answers with `response`, which the connection holds back for `delay`, counted from when
    /// the loop notices. The delay takes the place of the handler's deadline.
    pub fn send_after(self, delay: Span, response: Response) {
        self.slot.settle(Fate::Sent { delay, response });
    }

    /// Whether an answer would meet nobody any more: the client is gone, the handler's deadline
    /// has passed, or the server has closed the connection. For work that is worth stopping, or not
    /// worth beginning.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        Arc::strong_count(&self.slot) == 1
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        self.slot.settle(Fate::Abandoned); // no effect after `send`
    }
}

impl fmt::Debug for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deferred")
            .field("cancelled", &self.is_cancelled())
            .finish()
    }
}

/// What became of a deferred answer.
enum Fate {
    Waiting,
    Sent { delay: Span, response: Response },
    Abandoned,
}

/// What the connection finds when it looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    Nothing,
    Answer { delay: Span },
    Abandoned,
}

/// The place where a deferred answer meets its connection.
pub(super) struct Slot {
    fate: Mutex<Fate>,
    wake: Box<dyn Wake>,
}

impl Slot {
    /// The two halves of a promise to answer.
    pub fn promise(wake: Box<dyn Wake>) -> (Deferred, Arc<Slot>) {
        let slot = Arc::new(Slot {
            fate: Mutex::new(Fate::Waiting),
            wake,
        });
        let deferred = Deferred {
            slot: Arc::clone(&slot),
        };
        (deferred, slot)
    }

    pub fn look(&self) -> Found {
        match *self.lock() {
            Fate::Waiting => Found::Nothing,
            Fate::Sent { delay, .. } => Found::Answer { delay },
            Fate::Abandoned => Found::Abandoned,
        }
    }

    /// Takes the response out; `None` when there is none.
    pub fn take(&self) -> Option<Response> {
        match std::mem::replace(&mut *self.lock(), Fate::Abandoned) {
            Fate::Sent { response, .. } => Some(response),
            Fate::Waiting | Fate::Abandoned => None,
        }
    }

    fn settle(&self, fate: Fate) {
        {
            let mut present = self.lock();
            match *present {
                Fate::Waiting => *present = fate,
                Fate::Sent { .. } | Fate::Abandoned => return,
            }
        }
        self.wake.wake(); // after the lock is free: the loop may look at once
    }

    /// Nothing panics while it is held, so a poisoned lock still guards a whole value.
    fn lock(&self) -> MutexGuard<'_, Fate> {
        self.fate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({:?})", self.look())
    }
}
