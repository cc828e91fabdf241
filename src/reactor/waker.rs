//! Waking the loop from another thread: one eventfd, coalesced twice.
//!
//! ```text
//!   any thread                                   the loop
//!   scheduled? ── yes ──> done                   hush the bell
//!       │ no: put the target in the list         take the whole list
//!   ring the bell                                for each: scheduled = false, Event::Woken
//!       │ the loop sleeps: write the eventfd
//! ```
//!
//! A target already in the list is not put there again, and for a sleep of the loop one write is made,
//! none while it is awake (`bell.rs`): a storm of wakes costs one system call. Both flags are cleared
//! *before* the loop looks at what they announce, so a wake that comes during the look is a new one.
//!
//! Invariant: the list holds each [`Waker`] target at most once, so its length is bounded by the
//! number of targets.
//! Invariant: the list of a closed loop is empty. Targets in it own their loop's part, and so the
//! list itself: it would never be freed, nor its eventfd closed.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};

use super::bell::Bell;
use crate::slab::Token;
use crate::sync::{AtomicBool, Mutex, Ordering};

/// The part of a loop that other threads may touch.
pub(crate) struct Remote {
    /// Ends a sleep of the loop.
    call: Box<dyn Fn() + Send + Sync>,
    bell: Bell,
    /// How many times that was needed.
    calls: AtomicU64,
    closed: AtomicBool,
    woken: Mutex<Vec<Arc<Target>>>,
}

/// A source that can be woken.
struct Target {
    token: Token,
    scheduled: AtomicBool,
    remote: Arc<Remote>,
}

impl Remote {
    /// `eventfd` is `None` on a virtual kernel, which never really sleeps.
    pub(crate) fn new(eventfd: Option<mio::Waker>) -> Arc<Remote> {
        Remote::calling(move || {
            if let Some(eventfd) = &eventfd {
                // It fails only when the descriptor is gone, and then there is nobody to wake.
                let _ = eventfd.wake();
            }
        })
    }

    pub(super) fn calling(call: impl Fn() + Send + Sync + 'static) -> Arc<Remote> {
        Arc::new(Remote {
            call: Box::new(call),
            bell: Bell::new(),
            calls: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            woken: Mutex::new(Vec::new()),
        })
    }

    /// The loop is gone: from now on wakes do nothing.
    pub(crate) fn close(&self) {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        self.closed.store(true, Ordering::SeqCst);
        woken.clear();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Whether anything waits for [`take`](Remote::take). One load; asked every turn.
    #[inline]
    pub(crate) fn is_pending(&self) -> bool {
        self.bell.has_rung()
    }

    /// Before the loop sleeps: whether it may. [`get_up`](Remote::get_up) is to follow in any case.
    #[must_use]
    pub(crate) fn lie_down(&self) -> bool {
        self.bell.lie_down()
    }

    /// The loop does not sleep any more.
    pub(crate) fn get_up(&self) {
        self.bell.get_up();
    }

    /// How many times a thread had to write the eventfd.
    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }

    /// Fills `tokens` with who was woken since the last call.
    pub(crate) fn take(&self, tokens: &mut VecDeque<Token>) {
        self.bell.hush();
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        for target in woken.drain(..) {
            // Read and written at once: what a wake found in the list has announced is seen now.
            target.scheduled.swap(false, Ordering::AcqRel);
            tokens.push_back(target.token);
        }
    }

    /// There is something to look at that is not in the list.
    pub(crate) fn ring(&self) {
        if self.bell.ring() {
            self.calls.fetch_add(1, Relaxed);
            (self.call)();
        }
    }

    fn push(&self, target: Arc<Target>) {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_closed() {
            return;
        }
        #[cfg(trine_planted)]
        if crate::planted::has(crate::planted::Bug::WakeUpLost) && !woken.is_empty() {
            return;
        }
        woken.push(target);
        drop(woken);
        self.ring();
    }
}

/// Wakes one source of a loop from any thread: it gets [`Event::Woken`](super::Event::Woken).
///
/// Clones share one place in the loop's list. When the source or the loop is gone, a wake finds
/// nobody and does nothing.
#[derive(Clone)]
pub struct Waker {
    target: Arc<Target>,
}

impl Waker {
    pub(crate) fn new(remote: Arc<Remote>, token: Token) -> Waker {
        Waker {
            target: Arc::new(Target {
                token,
                scheduled: AtomicBool::new(false),
                remote,
            }),
        }
    }

    /// Wakes the source. Never waits, never fails; several wakes before the source runs are one.
    pub fn wake(&self) {
        if !self.target.scheduled.swap(true, Ordering::AcqRel) {
            self.target.remote.push(Arc::clone(&self.target));
        }
    }

    /// The source this wakes.
    #[must_use]
    pub fn token(&self) -> Token {
        self.target.token
    }

    /// Whether the loop is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.target.remote.is_closed()
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Waker({:?})", self.target.token)
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote(pending: {})", self.is_pending())
    }
}
