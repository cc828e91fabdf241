//! Who leads: the handle set is in the hands of one thread at a time, and is handed on before that
//! thread serves what it found.

use std::sync::PoisonError;

use crate::sync::{Condvar, Mutex, MutexGuard};

/// Something that one thread at a time has. Whoever wants it waits in no order.
pub(super) struct Baton<H> {
    inside: Mutex<Inside<H>>,
    free: Condvar,
}

struct Inside<H> {
    /// `None` while a thread has it.
    held: Option<H>,
    waiting: usize,
    is_over: bool,
}

/// Possession. Given back when it is dropped, so whoever leads cannot take the lead along, be it by an
/// error or a panic.
pub(super) struct Lead<'a, H> {
    baton: &'a Baton<H>,
    held: Option<H>,
}

impl<H> Baton<H> {
    pub(super) fn new(held: H) -> Baton<H> {
        Baton {
            inside: Mutex::new(Inside {
                held: Some(held),
                waiting: 0,
                is_over: false,
            }),
            free: Condvar::new(),
        }
    }

    /// Waits for the lead. `None` when it is over.
    pub(super) fn take(&self) -> Option<Lead<'_, H>> {
        let mut inside = self.lock();
        loop {
            if inside.is_over {
                return None;
            }
            if let Some(held) = inside.held.take() {
                return Some(Lead {
                    baton: self,
                    held: Some(held),
                });
            }
            inside.waiting += 1;
            inside = self
                .free
                .wait(inside)
                .unwrap_or_else(PoisonError::into_inner);
            inside.waiting -= 1;
        }
    }

    /// Nobody leads any more.
    pub(super) fn end(&self) {
        self.lock().is_over = true;
        self.free.notify_all();
    }

    fn give_back(&self, held: H) {
        let mut inside = self.lock();
        inside.held = Some(held);
        let is_wanted = inside.waiting > 0;
        drop(inside);
        if is_wanted {
            self.free.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside<H>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H> Lead<'_, H> {
    /// What is led. It is there until the lead is dropped.
    pub(super) fn held(&mut self) -> Option<&mut H> {
        self.held.as_mut()
    }
}

impl<H> Drop for Lead<'_, H> {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            self.baton.give_back(held);
        }
    }
}
