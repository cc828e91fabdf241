//! The loop, as a source sees it while it runs.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::base::{Phase, Succession};
use super::core::Core;
use super::error::{Error, InsertError};
use super::local::{Held, Local};
use super::metrics::Metrics;
use super::source::{Completed, EventSource, OperationId, Removed};
use super::waker::Waker;
use crate::slab::Token;
use crate::time::{Span, Tick};

/// Lent to every call of a source: time, and power over the loop and its other sources.
pub struct Context<'a, S> {
    pub(super) core: &'a mut Core<S>,
    pub(super) token: Token,
}

impl<S: 'static> Context<'_, S> {
    /// The source that runs.
    #[inline]
    #[must_use]
    pub fn token(&self) -> Token {
        self.token
    }

    /// The present tick, rounded up: a deadline counted from it is never early. Cached: read when
    /// the turn begins and again after 16 callbacks, sooner for one in 64 that is timed, and after each
    /// one for a while when they were slow. So the callbacks of a turn agree about the present, and one that has worked for
    /// long counts from before its work.
    #[inline]
    #[must_use]
    pub fn now(&self) -> Tick {
        self.core.base.now()
    }

    /// The same moment in nanoseconds, for records: CLOCK_MONOTONIC, cached.
    #[inline]
    pub(crate) fn nanos(&self) -> u64 {
        self.core.base.nanos()
    }

    /// The tick at least `duration` from the cached present, and less than a tick more.
    #[must_use]
    pub fn after(&self, duration: Duration) -> Tick {
        self.core.base.after(duration)
    }

    /// The time of day. Reads the clock.
    #[must_use]
    pub fn wall_clock(&self) -> SystemTime {
        self.core.base.wall()
    }

    /// Seconds since 1970, for dates: read at most once a second, so a step of the wall clock
    /// shows within a second. Costs a comparison otherwise.
    #[inline]
    pub fn unix_seconds(&mut self) -> u64 {
        self.core.base.unix_seconds()
    }

    /// Inserts `source`. It gets [`Event::Resumed`](super::Event::Resumed) in this turn or the
    /// next. O(1), one allocation.
    ///
    /// # Errors
    ///
    /// Gives the source back when its registration failed, as it does in a forked child, or the
    /// table is full.
    pub fn insert<T: EventSource<S>>(&mut self, source: T) -> Result<Token, InsertError<T>> {
        self.core.insert(source)
    }

    /// Removes a source: the running one too, and one whose event is still to come in this batch.
    /// Nothing reaches it any more but its last call, when the running source has returned.
    /// False when it was gone already.
    pub fn remove(&mut self, token: Token) -> bool {
        self.core.remove(token, Removed::Cancelled)
    }

    /// Takes a source out of the loop without ending it: to hand it to another loop, by an inbox,
    /// with its bytes and its deadlines. It is deregistered here before it can be registered
    /// there, and what this batch still holds for it reaches nobody. `None` when it is gone, is the
    /// running one, or is not of type `T`.
    pub fn take<T: EventSource<S>>(&mut self, token: Token) -> Option<Box<T>> {
        self.core.take(token)
    }

    /// Whether `token` names a live source.
    #[must_use]
    pub fn contains(&self, token: Token) -> bool {
        self.core.contains(token)
    }

    /// How many sources the loop has, this one included.
    #[must_use]
    pub fn sources(&self) -> usize {
        self.core.len()
    }

    /// The source in slot `index`, if there is one, for walks over all of them.
    pub(crate) fn token_at(&self, index: u32) -> Option<Token> {
        self.core.token_at(index)
    }

    /// One more than the highest slot ever used.
    pub(crate) fn index_bound(&self) -> u32 {
        self.core.index_bound()
    }

    /// Gives `token` [`Event::Resumed`](super::Event::Resumed) after the events of this turn.
    /// False when it is gone.
    pub fn resume(&mut self, token: Token) -> bool {
        self.core.resume(token)
    }

    /// Tells `token` that `operation` has something to give, after the I/O events of this turn, or in
    /// the next. The number that the event will carry.
    #[inline]
    pub(crate) fn complete(&mut self, token: Token, operation: OperationId) -> u32 {
        let number = self.core.completions;
        self.core.completions = number.wrapping_add(1);
        let completed = Completed { operation, number };
        self.core.completed.push_back((token, completed));
        number
    }

    /// The number of the first completion that its source has not been told of.
    #[inline]
    pub(crate) fn first_untold(&self) -> u32 {
        let first = self.core.completed.front();
        first.map_or(self.core.completions, |(_, completed)| completed.number)
    }

    /// Gives `token` [`Event::Resumed`](super::Event::Resumed) once, right before the loop waits. To be
    /// asked for once each time.
    #[inline]
    pub(crate) fn flush_before_wait(&mut self, token: Token) {
        self.core.flushes.push(token);
    }

    /// Another source, if it is live and of type `T`. `None` for the running source, which is
    /// not in its slot. Follow a change that needs action with [`resume`](Context::resume); a
    /// deadline that it returned before the change may come first.
    pub fn source_mut<T: EventSource<S>>(&mut self, token: Token) -> Option<&mut T> {
        self.core.source_mut(token)?.downcast_mut()
    }

    /// What other threads wake the source `token` with.
    #[must_use]
    pub fn waker(&self, token: Token) -> Waker {
        self.core.base.waker(token)
    }

    /// Ends [`EventLoop::run`](super::EventLoop::run) with success after this turn. The sources
    /// stay, and the loop can be run again.
    pub fn stop(&mut self) {
        self.core.base.is_stopping = true;
    }

    /// Begins to drain: every source gets [`Event::Drain`](super::Event::Drain) once, and the
    /// loop ends when the last one that is not in the background has closed, or is forced when
    /// `grace` has passed. What the last call of a source inserts at the end goes with the others,
    /// up to 16 times over. No effect on a loop that drains already.
    pub fn drain(&mut self, grace: Duration) {
        if self.core.base.phase == Phase::Running {
            let until = self.now().after(Span::from(grace));
            self.core.base.phase = Phase::Draining { until, told: 0 };
        }
    }

    /// Ends a drain now, whatever is unfinished: what a second SIGTERM asks for. No effect on a
    /// loop that does not drain.
    pub fn force(&mut self) {
        if self.is_draining() {
            self.core.base.phase = Phase::Forced;
        }
    }

    /// Drains as [`drain`](Context::drain) does, and ends [`run`](super::EventLoop::run) with `error`
    /// even so: the program must not go on.
    pub(crate) fn fail(&mut self, error: Error, grace: Duration) {
        self.core.base.failure.get_or_insert(error);
        self.drain(grace);
    }

    /// Whether the loop drains: begin nothing new.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        matches!(self.core.base.phase, Phase::Draining { .. } | Phase::Forced)
    }

    /// Whether the loop drains, and not every source has been told.
    pub(crate) fn owes_drain(&self) -> bool {
        self.core.owes_drain()
    }

    /// What is left of the time that a drain may take; nothing when none is under way.
    pub(crate) fn grace_left(&self) -> Duration {
        match self.core.base.phase {
            Phase::Draining { until, .. } => until.since(self.now()).into(),
            Phase::Running | Phase::Forced => Duration::ZERO,
        }
    }

    /// Whether another process has a part in what is served here.
    pub(crate) fn succession(&self) -> Succession {
        self.core.base.succession
    }

    pub(crate) fn set_succession(&mut self, succession: Succession) {
        self.core.base.succession = succession;
    }

    /// Whether a drain ends now, whatever is unfinished.
    pub(crate) fn is_forced(&self) -> bool {
        self.core.base.phase == Phase::Forced
    }

    /// Puts a value into the loop that its sources share, and gives the key to it. It stays for as
    /// long as the loop, or until it is taken out by [`unshare`](Context::unshare).
    pub fn share<T: 'static>(&mut self, value: T) -> Local<T> {
        self.core.locals.insert(value)
    }

    /// Takes a shared value out of the loop for good; its key finds nothing from then on. `None`
    /// when a caller further out is using it, a source holds it, it is of another loop, or it was taken out
    /// before. It stays whole then.
    pub fn unshare<T: 'static>(&mut self, local: Local<T>) -> Option<T> {
        self.core.locals.remove(local)
    }

    /// Calls `f` with a shared value. `None` when a caller further out is using it, it was taken out for
    /// good, or it is of another loop. After a panic in `f` it can be used as before.
    #[inline]
    pub fn with<T: 'static, R>(
        &mut self,
        local: Local<T>,
        f: impl FnOnce(&mut T, &mut Self) -> R,
    ) -> Option<R> {
        let held = self.hold(local)?;
        let mut value = held.lend()?;
        Some(f(&mut value, self))
    }

    /// A shared value for a source that asks for it often; as long as it is held it is not taken out.
    pub(crate) fn hold<T: 'static>(&self, local: Local<T>) -> Option<Held<T>> {
        self.core.locals.hold(local)
    }

    /// The loop's counters.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.core.base.metrics
    }
}

impl<S> fmt::Debug for Context<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({:?})", self.token)
    }
}
