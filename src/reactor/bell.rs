//! Whether a sleeping loop has to be woken: two bits, and one write of the eventfd for a sleep.
//!
//! ```text
//!   any thread                            the loop
//!   set RUNG; was it? ── yes ─> done      set ASLEEP; RUNG? ── yes ─> look at once
//!       │ no                                  │ no
//!   ASLEEP? ── no ─> done                 wait for events
//!       │ yes                             clear ASLEEP
//!   write the eventfd                     clear RUNG; look
//! ```
//!
//! Both bits are in one word, which every step reads and changes at once. So the steps have an order,
//! and whichever of the two sides comes second sees the first: the loop does not lie down, or it is
//! woken. `reactor/tests/loom_wake_ups.rs` tries every order.

use crate::sync::{AtomicU8, Ordering};

/// There is something to look at.
const RUNG: u8 = 1;
/// The loop waits for events, or is about to.
const ASLEEP: u8 = 2;

/// The two bits.
#[derive(Debug)]
pub(super) struct Bell {
    bits: AtomicU8,
}

impl Bell {
    pub(super) fn new() -> Bell {
        Bell {
            bits: AtomicU8::new(0),
        }
    }

    /// There is something to look at. Whether the caller has to wake the loop.
    #[must_use]
    pub(super) fn ring(&self) -> bool {
        self.bits.fetch_or(RUNG, Ordering::AcqRel) == ASLEEP
    }

    /// The loop is about to sleep. Whether it may: not if the bell has rung. [`get_up`](Bell::get_up) is
    /// to follow in any case.
    #[must_use]
    pub(super) fn lie_down(&self) -> bool {
        self.bits.fetch_or(ASLEEP, Ordering::AcqRel) & RUNG == 0
    }

    /// The loop is awake, whether it has slept or not.
    pub(super) fn get_up(&self) {
        self.bits.fetch_and(!ASLEEP, Ordering::AcqRel);
    }

    /// Whether it has rung and nobody has looked since. One load.
    #[inline]
    pub(super) fn has_rung(&self) -> bool {
        self.bits.load(Ordering::Acquire) & RUNG != 0
    }

    /// The loop is going to look: what comes from now on rings anew.
    pub(super) fn hush(&self) {
        self.bits.fetch_and(!RUNG, Ordering::AcqRel);
    }
}
