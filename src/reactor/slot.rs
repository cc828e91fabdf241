//! A place in the loop's table: the source, and what the loop knows about it.

use std::fmt;
use std::os::fd::RawFd;

use super::demultiplexer::Watch;
use super::dispatch::{NAMELESS, ask};
use super::names::Kind;
use super::source::{Class, EventSource, Readiness, Removed};
use crate::slab::Token;

pub(super) struct Slot<S> {
    /// `None` while the source runs.
    pub(super) source: Option<Box<dyn EventSource<S>>>,
    pub(super) facts: Facts,
}

/// A registered descriptor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched {
    pub(super) fd: RawFd,
    pub(super) watch: Watch,
}

/// What the loop remembers of a source so that it need not ask again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// To deregister before the source closes it.
    pub(super) fd: Option<Watched>,
    pub(super) class: Class,
    pub(super) kind: Kind,
    /// Readiness that waits for the source's turn (bulk sources only).
    pub(super) latched: Readiness,
    /// Whether it stands in the queue for a [`Event::Resumed`](super::Event::Resumed).
    pub(super) is_queued: bool,
    pub(super) is_background: bool,
    pub(super) has_signals: bool,
    /// Whether it still has to be told that the loop drains.
    pub(super) owes_drain: bool,
}

impl Facts {
    pub(super) fn of<S: 'static>(source: &dyn EventSource<S>, kind: Kind) -> Facts {
        Facts {
            fd: None,
            class: source.class(),
            kind,
            latched: Readiness::default(),
            is_queued: false,
            is_background: source.is_background(),
            has_signals: false,
            owes_drain: false,
        }
    }
}

impl<S: 'static> Slot<S> {
    /// Whether nothing is lost when its source is cut; `None` when the source panics instead of
    /// saying so.
    pub(super) fn is_settled(&self) -> Option<bool> {
        match &self.source {
            Some(source) if !self.facts.is_background => ask(|| source.is_settled()),
            _ => Some(true),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        let source = self.source.as_ref();
        let name = source.and_then(|source| ask(|| source.name()));
        name.unwrap_or(NAMELESS)
    }
}

impl<S> fmt::Debug for Slot<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({:?})", self.facts)
    }
}

/// A source on its way out: out of its slot, not yet told.
pub(super) struct Leaving<S> {
    pub(super) token: Token,
    pub(super) source: Box<dyn EventSource<S>>,
    pub(super) why: Removed,
}
