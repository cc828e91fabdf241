//! The way one event takes: out of the slot, run, back into the slot or on its way out.
//!
//! A panic ends the source it happened in and nothing else; what the source asked for by its
//! answer is done here, once, for every kind of event.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::context::Context;
use super::core::Core;
use super::kernel::is_special;
use super::names::Kind;
use super::slot::{Leaving, Slot};
use super::source::{Event, EventSource, Next, Readiness, Removed};
use crate::slab::Token;
use crate::unwind::{discard, message};

/// The name of a source that panicked when it was asked for one.
pub(super) const NAMELESS: &str = "a source without a name";

/// How often the end of a drain removes what the last calls of the sources that it removed have
/// inserted. A source that always leaves another behind would keep it for ever.
const GENERATIONS_MAX: usize = 16;

impl<S: 'static> Core<S> {
    /// Gives `event` to the source named by `token`, if it is still there; its answer.
    #[inline(never)]
    pub(super) fn dispatch(&mut self, token: Token, event: Event, state: &mut S) -> Option<Next> {
        self.dispatch_here(token, event, state)
    }

    /// The same in place, for the events of a batch.
    #[inline(always)]
    pub(super) fn dispatch_here(
        &mut self,
        token: Token,
        event: Event,
        state: &mut S,
    ) -> Option<Next> {
        let Some(slot) = self.slots.get_mut(token) else {
            self.base.metrics.stale_events += u64::from(!is_special(token));
            return None;
        };
        let mut source = slot.source.take()?;
        let kind = slot.facts.kind;
        self.watch.note(kind);
        if self.heart.is_some() {
            self.beat(kind, token);
        }
        #[cfg(feature = "testing")]
        self.witness_dispatch(token, event);
        let mut cx = Context { core: self, token };
        let ran = catch_unwind(AssertUnwindSafe(|| source.handle(event, state, &mut cx)));
        if self.watch.is_due() {
            self.look_at_the_clock();
        }
        let next = match ran {
            Ok(next) => {
                #[cfg(feature = "testing")]
                self.witness_answer(token, next);
                self.park(token, source, next);
                if cfg!(debug_assertions) && next == Next::Wait && is_readable(event) {
                    self.check_drained(token);
                }
                Some(next)
            }
            Err(payload) => {
                self.panicked(token, source, payload);
                None
            }
        };
        if !self.leaving.is_empty() {
            self.see_off(state);
        }
        next
    }

    /// Apart, so that a loop without a watchdog is not longer for it.
    #[cold]
    #[inline(never)]
    fn beat(&mut self, kind: Kind, token: Token) {
        if let Some(heart) = &mut self.heart {
            heart.beat(self.names.name(kind), token);
        }
    }

    /// In a debug build: says once when a source waits for an edge that does not come, because it
    /// left bytes unread. Bytes that came since the read may make it a false alarm.
    #[cold]
    fn check_drained(&mut self, token: Token) {
        let slot = self.slots.get(token);
        let fd = slot.and_then(|slot| slot.facts.fd);
        let Some(fd) = fd.filter(|_| self.base.metrics.left_ready == 0) else {
            return;
        };
        if self.base.kernel.is_readable(fd) {
            let source = slot.and_then(|slot| slot.source.as_deref());
            let source = source.and_then(|source| ask(|| source.name()));
            self.base.metrics.left_ready += 1;
            tracing::warn!(target: "trine::loop", source, "returned Next::Wait with bytes unread: read until the kernel would block, or return Next::Again");
        }
    }

    /// Puts a source back as its answer demands.
    #[inline(always)]
    fn park(&mut self, token: Token, source: Box<dyn EventSource<S>>, next: Next) {
        let Some(slot) = self.slots.get_mut(token) else {
            return self.cancelled(token, source);
        };
        std::mem::forget(slot.source.replace(source)); // it was out: there is nothing to drop
        match next {
            Next::Until(tick) => self.base.timers.wheel.set(token.index(), tick),
            next => self.park_otherwise(token, next),
        }
    }

    #[inline(never)]
    fn park_otherwise(&mut self, token: Token, next: Next) {
        match next {
            Next::Until(tick) => self.base.timers.wheel.set(token.index(), tick),
            #[cfg(trine_planted)]
            Next::Wait if crate::planted::has(crate::planted::Bug::TimerNotCancelled) => {}
            #[cfg(trine_planted)]
            Next::Again if crate::planted::has(crate::planted::Bug::WorkForgotten) => {}
            Next::Wait => self.base.timers.wheel.clear(token.index()),
            Next::Again => {
                self.resume(token);
            }
            Next::Close => {
                self.remove(token, Removed::Closed);
            }
        }
    }

    /// A source was removed while it ran.
    #[cold]
    #[inline(never)]
    fn cancelled(&mut self, token: Token, source: Box<dyn EventSource<S>>) {
        let why = Removed::Cancelled;
        self.leaving.push_back(Leaving { token, source, why });
    }

    #[cold]
    fn panicked(
        &mut self,
        token: Token,
        source: Box<dyn EventSource<S>>,
        payload: Box<dyn Any + Send>,
    ) {
        self.base.metrics.panics += 1;
        let name = ask(|| source.name()).unwrap_or(NAMELESS);
        report_panic(name, "source panicked", payload);
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
            let mut name = NAMELESS;
            let mut cx = Context { core: self, token };
            let result = catch_unwind(AssertUnwindSafe(|| {
                // One that panics here has its last call all the same.
                name = ask(|| source.name()).unwrap_or(NAMELESS);
                if let Some(heart) = &mut cx.core.heart {
                    heart.beat(name, token);
                }
                source.removed(why, state, &mut cx);
            }));
            if let Err(payload) = result {
                self.base.metrics.panics += 1;
                report_panic(name, "source panicked while it was removed", payload);
            }
        }
    }

    /// Removes every source that is left, each for the reason that `why` gives it, and those that
    /// their last calls insert meanwhile.
    pub(super) fn remove_all(&mut self, mut why: impl FnMut(&Slot<S>) -> Removed, state: &mut S) {
        for _ in 0..GENERATIONS_MAX {
            for index in 0..self.index_bound() {
                let token = self.token_at(index);
                let slot = token.and_then(|token| self.slots.get(token));
                if let (Some(why), Some(token)) = (slot.map(&mut why), token) {
                    self.base.metrics.panics += u64::from(why == Removed::Panicked);
                    self.remove(token, why);
                    self.see_off(state);
                }
            }
            if self.is_empty() {
                return;
            }
        }
    }
}

/// What `question` answers; `None`, and reported, when it panics. For what a source says about
/// itself outside [`EventSource::handle`].
pub(super) fn ask<T>(question: impl FnOnce() -> T) -> Option<T> {
    let answer = catch_unwind(AssertUnwindSafe(question));
    let report = |payload| report_panic(NAMELESS, "source panicked when it was asked", payload);
    answer.map_err(report).ok()
}

fn is_readable(event: Event) -> bool {
    matches!(event, Event::Ready(readiness) if readiness.contains(Readiness::READABLE))
}

fn report_panic(source: &'static str, what: &'static str, payload: Box<dyn Any + Send>) {
    let message = message(&*payload);
    tracing::error!(target: "trine::loop", source, message, "{what}");
    discard(payload);
}
