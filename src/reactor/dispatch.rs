//! The way one event takes: out of the slot, run, back into the slot or on its way out.
//!
//! A panic ends the source it happened in and nothing else; what the source asked for by its
//! answer is done here, once, for every kind of event.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::context::Context;
use super::core::Core;
use super::metrics::SAMPLE_EVERY;
use super::slot::{Leaving, Slot};
use super::source::{Event, EventSource, Next, Readiness, Removed};
use crate::slab::Token;

impl<S: 'static> Core<S> {
    /// Gives `event` to the source named by `token`, if it is still there.
    #[inline]
    pub(super) fn dispatch(&mut self, token: Token, event: Event, state: &mut S) {
        let Some(slot) = self.slots.get_mut(token) else {
            self.base.metrics.stale_events += 1;
            return;
        };
        let Some(mut source) = slot.source.take() else {
            return;
        };
        self.base.metrics.events += 1;
        let name = source.name();
        let sampled = self.base.metrics.events.is_multiple_of(SAMPLE_EVERY);
        let began = if sampled { self.base.kernel.nanos() } else { 0 };
        let mut cx = Context { core: self, token };
        let next = catch_unwind(AssertUnwindSafe(|| source.handle(event, state, &mut cx)));
        if sampled {
            self.sample(name, began);
        }
        if self.watch.note(name) {
            self.look_at_the_clock();
        }
        match next {
            Ok(next) => {
                self.park(token, source, next);
                if cfg!(debug_assertions) && next == Next::Wait && is_readable(event) {
                    self.check_drained(token, name);
                }
            }
            Err(payload) => self.panicked(token, source, payload),
        }
        if !self.leaving.is_empty() {
            self.see_off(state);
        }
    }

    /// In a debug build: says once when a source waits for an edge that does not come, because it
    /// left bytes unread. Bytes that came since the read may make it a false alarm.
    #[cold]
    fn check_drained(&mut self, token: Token, name: &'static str) {
        let fd = self.slots.get(token).and_then(|slot| slot.facts.fd);
        let Some(fd) = fd.filter(|_| self.base.metrics.left_ready == 0) else {
            return;
        };
        if self.base.kernel.is_readable(fd) {
            self.base.metrics.left_ready += 1;
            tracing::warn!(target: "trine::loop", source = name, "returned Next::Wait with bytes unread: read until the kernel would block, or return Next::Again");
        }
    }

    /// Puts a source back as its answer demands.
    #[inline]
    fn park(&mut self, token: Token, source: Box<dyn EventSource<S>>, next: Next) {
        let Some(slot) = self.slots.get_mut(token) else {
            // It was removed while it ran.
            self.leaving.push_back(Leaving {
                token,
                source,
                why: Removed::Cancelled,
            });
            return;
        };
        slot.source = Some(source);
        match next {
            Next::Until(tick) => self.base.timers.wheel.set(token.index(), tick),
            Next::Wait => self.base.timers.wheel.clear(token.index()),
            Next::Again => {
                self.resume(token);
            }
            Next::Close => {
                self.remove(token, Removed::Closed);
            }
        }
    }

    #[cold]
    fn panicked(
        &mut self,
        token: Token,
        source: Box<dyn EventSource<S>>,
        payload: Box<dyn Any + Send>,
    ) {
        self.base.metrics.panics += 1;
        report_panic(source.name(), "source panicked", payload);
        if let Some(slot) = self.slots.get_mut(token) {
            slot.source = Some(source);
            self.remove(token, Removed::Panicked);
        } else {
            self.leaving.push_back(Leaving {
                token,
                source,
                why: Removed::Panicked,
            });
        }
    }

    /// Gives every leaving source its last call.
    pub(super) fn see_off(&mut self, state: &mut S) {
        while let Some(Leaving { token, source, why }) = self.leaving.pop_front() {
            let name = source.name();
            let mut cx = Context { core: self, token };
            let result = catch_unwind(AssertUnwindSafe(|| source.removed(why, state, &mut cx)));
            if let Err(payload) = result {
                self.base.metrics.panics += 1;
                report_panic(name, "source panicked while it was removed", payload);
            }
        }
    }

    /// Removes every source that is left, each for the reason that `why` gives it.
    pub(super) fn remove_all(&mut self, why: fn(&Slot<S>) -> Removed, state: &mut S) {
        for index in 0..self.index_bound() {
            let slot = self.token_at(index).and_then(|token| self.slots.get(token));
            if let (Some(why), Some(token)) = (slot.map(why), self.token_at(index)) {
                self.remove(token, why);
                self.see_off(state);
            }
        }
    }

    /// How many sources a drain that is cut now leaves unfinished.
    pub(super) fn unfinished(&self) -> usize {
        let slots = (0..self.index_bound()).filter_map(|index| self.token_at(index));
        let slots = slots.filter_map(|token| self.slots.get(token));
        slots.filter(|slot| !slot.is_settled()).count()
    }

    #[cold]
    fn sample(&mut self, name: &'static str, began: u64) {
        let took = Duration::from_nanos(self.base.kernel.nanos().saturating_sub(began));
        self.base.metrics.sample(name, took);
    }
}

fn is_readable(event: Event) -> bool {
    matches!(event, Event::Ready(readiness) if readiness.contains(Readiness::READABLE))
}

fn report_panic(source: &'static str, what: &'static str, payload: Box<dyn Any + Send>) {
    let text = payload.downcast_ref::<&'static str>().copied();
    let message = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    tracing::error!(target: "trine::loop", source, message, "{what}");
    discard(payload);
}

/// Drops what a panic carried, even if that panics in turn.
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}
