//! The table of sources: how they come, are found, queued and go. How an event reaches one is in
//! `dispatch.rs`, what a turn does with all of them in `phases.rs`.
//!
//! Invariant: a source is in its slot, or running, or leaving; never in two of these.
//! Invariant: a token stands in a queue at most once (`is_queued`), or its latch is empty.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::base::{Base, Phase};
use super::dispatch::{NAMELESS, ask};
use super::error::{Error, ErrorKind, InsertError};
use super::heartbeat::Heart;
use super::local::Locals;
use super::names::Names;
use super::registry::Registry;
use super::slot::{Facts, Leaving, Slot};
use super::source::{Class, Completed, EventSource, Readiness, Removed};
use super::watch::Watch;
use crate::slab::{Slab, Token};

pub(super) struct Core<S> {
    pub(super) slots: Slab<Slot<S>>,
    pub(super) base: Base,
    /// Sources that get [`Event::Resumed`] in the leftovers phase.
    pub(super) again: VecDeque<Token>,
    /// Bulk sources with latched readiness or work left.
    pub(super) bulk: VecDeque<Token>,
    /// Sources that get [`Event::Resumed`] right before the loop waits.
    pub(super) flushes: Vec<Token>,
    /// What operations have to give, and to whom; in the order of their numbers.
    pub(super) completed: VecDeque<(Token, Completed)>,
    /// How many completions there were.
    pub(super) completions: u32,
    pub(super) leaving: VecDeque<Leaving<S>>,
    /// Values shared by sources of this loop; see [`Local`](super::Local).
    pub(super) locals: Locals,
    /// Live sources that a drain waits for.
    pub(super) foreground: usize,
    /// Live sources that [owe](Facts::owes_drain) themselves a look before they are told.
    pub(super) drains_owed: usize,
    /// Live sources of the two rare classes; while both are zero the batch is walked once.
    pub(super) control_sources: usize,
    pub(super) bulk_sources: usize,
    pub(super) watch: Watch,
    pub(super) names: Names,
    /// Beats for the watchdog, if there is one.
    pub(super) heart: Option<Heart>,
}

impl<S: 'static> Core<S> {
    pub(super) fn new(base: Base) -> Core<S> {
        Core {
            slots: Slab::new(),
            base,
            again: VecDeque::new(),
            bulk: VecDeque::new(),
            flushes: Vec::new(),
            completed: VecDeque::new(),
            completions: 0,
            leaving: VecDeque::new(),
            locals: Locals::default(),
            foreground: 0,
            drains_owed: 0,
            control_sources: 0,
            bulk_sources: 0,
            watch: Watch::new(),
            names: Names::default(),
            heart: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn foreground(&self) -> usize {
        self.foreground
    }

    pub(super) fn has_classes(&self) -> bool {
        self.control_sources + self.bulk_sources > 0
    }

    /// Whether work is left that needs no event to go on.
    pub(super) fn has_leftovers(&self) -> bool {
        !self.again.is_empty()
            || !self.bulk.is_empty()
            || !self.completed.is_empty()
            || !self.flushes.is_empty()
            || self.owes_drain()
    }

    /// Whether somebody has not been told yet that the loop drains.
    pub(super) fn owes_drain(&self) -> bool {
        self.drains_owed > 0
            || matches!(self.base.phase, Phase::Draining { told, .. } if told < self.slots.index_bound())
    }

    pub(super) fn insert<T>(&mut self, source: T) -> Result<Token, InsertError<T>>
    where
        T: EventSource<S>,
    {
        let name = ask(|| source.name()).unwrap_or(NAMELESS);
        let facts = Facts::of::<S>(&source, self.names.kind(name));
        let Ok(token) = self.slots.try_insert(Slot {
            source: None,
            facts,
        }) else {
            let error = Error::new(ErrorKind::Full, "insert", source.name());
            return Err(InsertError { source, error });
        };
        let mut source = Box::new(source);
        let mut facts = facts;
        let mut registry = Registry {
            base: &mut self.base,
            token,
            facts: &mut facts,
        };
        let registered = catch_unwind(AssertUnwindSafe(|| source.register(&mut registry)));
        if !matches!(registered, Ok(Ok(()))) {
            self.slots.remove(token);
            self.forget(token, facts);
        }
        if let Err(error) = registered.unwrap_or_else(|payload| resume_unwind(payload)) {
            let error = Error::io("register", source.name(), error);
            return Err(InsertError {
                source: *source,
                error,
            });
        }
        facts.is_queued = true;
        facts.owes_drain =
            matches!(self.base.phase, Phase::Draining { told, .. } if token.index() < told);
        self.foreground += usize::from(!facts.is_background);
        self.drains_owed += usize::from(facts.owes_drain);
        self.control_sources += usize::from(facts.class == Class::Control);
        self.bulk_sources += usize::from(facts.class == Class::Bulk);
        if let Some(slot) = self.slots.get_mut(token) {
            *slot = Slot {
                source: Some(source),
                facts,
            };
        }
        self.again.push_back(token);
        Ok(token)
    }

    /// Empties the slot; the source itself, unless it is running, is told before the present
    /// callback's caller goes on.
    pub(super) fn remove(&mut self, token: Token, why: Removed) -> bool {
        let Some(slot) = self.vacate(token) else {
            return false;
        };
        if let Some(source) = slot.source {
            self.leaving.push_back(Leaving { token, source, why });
        }
        true
    }

    /// Empties the slot and hands the source over, if it is a `T` and not running.
    pub(super) fn take<T: EventSource<S>>(&mut self, token: Token) -> Option<Box<T>> {
        let source = self.slots.get(token)?.source.as_ref()?;
        if !(**source).as_any().is::<T>() {
            return None;
        }
        self.vacate(token)?.source?.into_any().downcast().ok()
    }

    fn vacate(&mut self, token: Token) -> Option<Slot<S>> {
        let slot = self.slots.remove(token)?;
        self.foreground -= usize::from(!slot.facts.is_background);
        self.drains_owed -= usize::from(slot.facts.owes_drain);
        self.control_sources -= usize::from(slot.facts.class == Class::Control);
        self.bulk_sources -= usize::from(slot.facts.class == Class::Bulk);
        self.forget(token, slot.facts);
        Some(slot)
    }

    /// Ends everything that would call the source: deadline, registration, signals.
    fn forget(&mut self, token: Token, facts: Facts) {
        self.base.timers.wheel.clear(token.index());
        if let Some(watched) = facts.fd {
            self.base.unwatch(watched, token);
        }
        if facts.has_signals
            && let Some(signals) = &mut self.base.signals
        {
            signals.unsubscribe(token);
        }
    }

    pub(super) fn contains(&self, token: Token) -> bool {
        self.slots.get(token).is_some()
    }

    pub(super) fn token_at(&self, index: u32) -> Option<Token> {
        self.slots.token_at(index)
    }

    pub(super) fn index_bound(&self) -> u32 {
        self.slots.index_bound()
    }

    pub(super) fn source_mut(&mut self, token: Token) -> Option<&mut dyn Any> {
        let source = self.slots.get_mut(token)?.source.as_mut()?;
        Some((**source).as_any_mut())
    }

    /// Puts `token` into the queue for [`Event::Resumed`], unless it stands there.
    pub(super) fn resume(&mut self, token: Token) -> bool {
        let Some(slot) = self.slots.get_mut(token) else {
            return false;
        };
        if !slot.facts.is_queued {
            slot.facts.is_queued = true;
            match slot.facts.class {
                Class::Bulk => self.bulk.push_back(token),
                Class::Control | Class::Normal => self.again.push_back(token),
            }
        }
        true
    }

    /// Which class `token` has, if it is live.
    pub(super) fn class(&self, token: Token) -> Option<Class> {
        self.slots.get(token).map(|slot| slot.facts.class)
    }

    /// Keeps the readiness of a bulk source for its turn.
    pub(super) fn latch(&mut self, token: Token, readiness: Readiness) {
        if let Some(slot) = self.slots.get_mut(token) {
            slot.facts.latched = slot.facts.latched.union(readiness);
        }
        if !self.resume(token) {
            self.base.metrics.stale_events += 1;
        }
    }
}

impl<S> fmt::Debug for Core<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Core({} sources)", self.slots.len())
    }
}
