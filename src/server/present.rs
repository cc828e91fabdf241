//! What a connection asks of whoever runs it: the time, its name, and how it is woken.

use crate::reactor::{Context, Waker};
use crate::slab::Token;
use crate::time::Tick;

/// The present of one call, of a loop or of a thread of a team. Read at no cost.
pub(crate) trait Present {
    /// The connection that runs.
    fn token(&self) -> Token;
    /// As of [`Context::now`].
    fn now(&self) -> Tick;
    /// The same moment in nanoseconds.
    fn nanos(&self) -> u64;
    /// As of [`Context::unix_seconds`].
    fn unix_seconds(&mut self) -> u64;
    /// Whether nothing new is to begin.
    fn is_draining(&self) -> bool;
    /// What wakes the connection that runs.
    fn waker(&self) -> Waker;
}

impl<S: 'static> Present for Context<'_, S> {
    #[inline(always)]
    fn token(&self) -> Token {
        Context::token(self)
    }

    #[inline(always)]
    fn now(&self) -> Tick {
        Context::now(self)
    }

    #[inline(always)]
    fn nanos(&self) -> u64 {
        Context::nanos(self)
    }

    #[inline(always)]
    fn unix_seconds(&mut self) -> u64 {
        Context::unix_seconds(self)
    }

    #[inline(always)]
    fn is_draining(&self) -> bool {
        Context::is_draining(self)
    }

    fn waker(&self) -> Waker {
        Context::waker(self, Context::token(self))
    }
}
