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
//! woken. The model below tries every order.

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

    /// The loop is about to sleep. Whether it may: not if the bell has rung.
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

#[cfg(all(test, trine_loom))]
mod loom_models {
    use loom::sync::atomic::{AtomicUsize, Ordering};
    use loom::sync::{Arc, Condvar, Mutex};
    use loom::thread;

    use super::Bell;

    /// What the eventfd does: counts writes, and ends a sleep.
    #[derive(Default)]
    struct Eventfd {
        written: Mutex<usize>,
        woken: Condvar,
    }

    impl Eventfd {
        fn write(&self) {
            *self.written.lock().unwrap() += 1;
            self.woken.notify_one();
        }

        fn sleep(&self, seen: &mut usize) {
            let mut written = self.written.lock().unwrap();
            while *written == *seen {
                written = self.woken.wait(written).unwrap();
            }
            *seen = *written;
        }
    }

    /// Two threads announce one thing each; the loop sleeps between looks and ends when it has seen
    /// both. A wake-up that is lost leaves it asleep, which loom reports as a deadlock.
    #[test]
    fn loom_no_wake_up_is_lost_and_each_sleep_is_ended_once() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let bell = Arc::new(Bell::new());
            let eventfd = Arc::new(Eventfd::default());
            let announced = Arc::new(AtomicUsize::new(0));
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let (bell, eventfd) = (Arc::clone(&bell), Arc::clone(&eventfd));
                    let announced = Arc::clone(&announced);
                    thread::spawn(move || {
                        announced.fetch_add(1, Ordering::SeqCst);
                        if bell.ring() {
                            eventfd.write();
                        }
                    })
                })
                .collect();
            let (mut seen, mut sleeps) = (0, 0);
            loop {
                if bell.has_rung() {
                    bell.hush();
                }
                if announced.load(Ordering::SeqCst) == 2 {
                    break;
                }
                if bell.lie_down() {
                    sleeps += 1;
                    eventfd.sleep(&mut seen);
                }
                bell.get_up();
            }
            for thread in threads {
                thread.join().unwrap();
            }
            // One write may come for the sleep that the loop was about to begin.
            assert!(*eventfd.written.lock().unwrap() <= sleeps + 1);
        });
    }
}
