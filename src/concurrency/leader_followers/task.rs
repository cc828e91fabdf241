//! What the leader takes along when it hands the lead on.

use super::Handler;
use crate::reactor::{Event, Removed};
use crate::slab::Token;
use crate::time::Tick;

/// One event of one handler, or its end.
pub(super) struct Task<T> {
    pub(super) token: Token,
    pub(super) handler: Box<dyn Handler<T>>,
    pub(super) what: What,
    pub(super) at: Moment,
}

/// When the leader looked at the clocks.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: Tick,
    pub(super) unix_seconds: u64,
}

#[derive(Clone, Copy)]
pub(super) enum What {
    Event(Event),
    Remove(Removed),
}

impl<T> Task<T> {
    pub(super) fn event(
        token: Token,
        handler: Box<dyn Handler<T>>,
        event: Event,
        at: Moment,
    ) -> Task<T> {
        let what = What::Event(event);
        Task {
            token,
            handler,
            what,
            at,
        }
    }

    pub(super) fn removal(
        token: Token,
        handler: Box<dyn Handler<T>>,
        why: Removed,
        at: Moment,
    ) -> Task<T> {
        let what = What::Remove(why);
        Task {
            token,
            handler,
            what,
            at,
        }
    }
}
