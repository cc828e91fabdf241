//! The loop itself: the initiation dispatcher of the Reactor pattern (POSA2).
//!
//! One turn:
//!
//! ```text
//!   wait ──> now ──> control: signals, wake-ups ──> I/O by class, completions ──> deadlines ──> leftovers
//!    ^                                                                                             │
//!    └───────────────────────── what was gathered for the kernel, at once <────────────────────────┘
//! ```
//!
//! Readiness goes before deadlines: bytes that came in time win. Every phase has a budget, so a
//! flood in one cannot keep the others from running; what is over the budget has its turn next
//! time, and the loop does not sleep while something is left.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use super::base::{Base, Phase};
use super::context::Context;
use super::core::Core;
use super::error::{Error, ErrorKind, InsertError, Result};
use super::heartbeat::Heart;
use super::horizon::Horizon;
use super::kernel::{Batch, Kernel, Specials};
use super::metrics::Metrics;
use super::signals::SignalEvent;
use super::slot::Slot;
use super::source::{Class, Event, EventSource, Removed};
use super::stall::Stall;
use super::watchdog::Watchdog;
use crate::slab::Token;

/// Deadlines dispatched in one turn at most.
pub(super) const DEADLINES_PER_TURN: usize = 1024;
/// Leftovers dispatched in one turn at most.
pub(super) const LEFTOVERS_PER_TURN: usize = 1024;
/// Sources woken from other threads that are dispatched in one turn at most.
pub(super) const WOKEN_PER_TURN: usize = 1024;
/// Bulk sources dispatched in one turn at most.
pub(super) const BULK_PER_TURN: usize = 32;
/// Completions of operations that are given out in one phase at most.
pub(super) const COMPLETIONS_PER_TURN: usize = 1024;
/// Sources told in one turn that the loop drains.
pub(super) const DRAINED_PER_TURN: u32 = 4096;

/// An event loop with the state `S` of its program, which is lent to every source.
///
/// It owns one epoll set, one timerfd and one eventfd, and two self-pipes once a signal is wanted:
/// three to seven descriptors. It belongs to one thread; other threads reach it by a
/// [`Waker`](super::Waker) or an inbox.
pub struct EventLoop<S> {
    core: Core<S>,
    batch: Batch,
    /// Woken by other threads, and not told yet.
    pub(super) woken: VecDeque<Token>,
    /// Scratch, kept for its capacity.
    arrived: Vec<(Token, SignalEvent)>,
    /// Scratch of [`EventLoop::run_io`], kept for its capacity.
    classes: Vec<Option<Class>>,
    horizon: Horizon,
    watchdog: Option<Watchdog>,
}

/// What a turn left behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Turn {
    /// There is more to wait for.
    Goes,
    /// Stopped, drained, or without any source: nothing more will happen.
    Ended,
}

impl<S: 'static> EventLoop<S> {
    /// An event loop without sources.
    ///
    /// # Errors
    ///
    /// When the kernel refuses a descriptor.
    pub fn new() -> Result<EventLoop<S>> {
        let made = Kernel::linux().and_then(|(kernel, batch)| Ok((Base::new(kernel)?, batch)));
        let (base, batch) = made.map_err(|error| Error::io("make", "an event loop", error))?;
        Ok(EventLoop::over(base, batch))
    }

    pub(super) fn over(base: Base, batch: Batch) -> EventLoop<S> {
        EventLoop {
            core: Core::new(base),
            batch,
            woken: VecDeque::new(),
            arrived: Vec::new(),
            classes: Vec::new(),
            horizon: Horizon::new(),
            watchdog: None,
        }
    }

    /// The loop as its sources see it, for setting things up before it runs.
    #[must_use]
    pub fn context(&mut self) -> Context<'_, S> {
        self.core.base.refresh();
        Context {
            core: &mut self.core,
            token: Token::from_bits(0),
        }
    }

    /// Inserts `source`; see [`Context::insert`].
    ///
    /// # Errors
    ///
    /// As [`Context::insert`].
    pub fn insert<T: EventSource<S>>(
        &mut self,
        source: T,
    ) -> std::result::Result<Token, InsertError<T>> {
        self.context().insert(source)
    }

    /// Starts a thread that reports every callback that runs longer than `limit`, while it runs: which
    /// source it is, for how long, and the system call it waits in. Reported at `warn` under the target
    /// `trine::loop`, to `report`, and counted in [`Metrics::stalls`]: when it has run for `limit`,
    /// twice as long, four times, and so on, and once more when it has returned. A second call replaces
    /// the thread of the first.
    ///
    /// The slow-callback warning, which is always on, speaks when the callback has returned, from
    /// [`SLOW_CALLBACK`](super::SLOW_CALLBACK) on. This one is for callbacks that do not, and says what
    /// they wait for. It is off unless asked for, as it is a thread that wakes four times in each
    /// `limit`, also when the loop has nothing to do. The loop pays three stores for each event and
    /// waits for nothing.
    ///
    /// `report` runs on that thread, which lives as long as the loop; dropping the loop waits for it.
    /// The limit is kept to a millisecond at best: a stall is noticed after 1 to 1.5 times `limit`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use trine::EventLoop;
    ///
    /// let mut events = EventLoop::<()>::new()?;
    /// events.watch_stalls(Duration::from_secs(1), |stall| eprintln!("{stall}"))?;
    /// # Ok::<(), trine::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the kernel refuses the thread.
    pub fn watch_stalls(
        &mut self,
        limit: Duration,
        report: impl FnMut(&Stall) + Send + 'static,
    ) -> Result<()> {
        self.watchdog = None;
        let heart = Heart::new();
        let started = Watchdog::start(heart.shared(), limit, report);
        self.watchdog = Some(started.map_err(|error| Error::io("start", "the watchdog", error))?);
        self.core.heart = Some(heart);
        Ok(())
    }

    /// Runs until a source calls [`Context::stop`], a drain ends, or no source is left.
    ///
    /// A callback gets a [`Context`], never the loop, and the loop is borrowed while it runs: that
    /// a callback cannot run the loop it is called by is checked by the compiler.
    ///
    /// ```compile_fail
    /// use std::time::Duration;
    /// use trine::{EventLoop, Sources};
    ///
    /// let mut events = EventLoop::<()>::new()?;
    /// events.call_after(Duration::ZERO, |(), _| {
    ///     let _ = events.run(&mut ()); // the loop is borrowed already
    /// })?;
    /// # Ok::<(), trine::Error>(())
    /// ```
    ///
    /// Without that line it compiles:
    ///
    /// ```
    /// use std::time::Duration;
    /// use trine::{EventLoop, Sources};
    ///
    /// let mut events = EventLoop::<()>::new()?;
    /// events.call_after(Duration::ZERO, |(), _| {})?;
    /// events.run(&mut ())?;
    /// # Ok::<(), trine::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::DrainForced`] when a drain was cut short, [`ErrorKind::Forked`] in a forked
    /// child, and what `epoll_wait` says otherwise.
    pub fn run(&mut self, state: &mut S) -> Result<()> {
        self.enter()?;
        while self.step(state, true)? == Turn::Goes {
            self.refuse_fork(false)?;
        }
        Ok(())
    }

    /// One turn, which sleeps until something happens: for programs with a loop of their own.
    ///
    /// # Errors
    ///
    /// As [`run`](EventLoop::run).
    pub fn turn(&mut self, state: &mut S) -> Result<Turn> {
        self.enter()?;
        self.step(state, true)
    }

    /// One turn that takes what is ready and never sleeps.
    ///
    /// # Errors
    ///
    /// As [`run`](EventLoop::run).
    pub fn turn_now(&mut self, state: &mut S) -> Result<Turn> {
        self.enter()?;
        self.step(state, false)
    }

    /// The loop's counters.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.core.base.metrics
    }

    /// Whether no source is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.core.is_empty()
    }

    /// How many sources the loop has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.core.len()
    }

    fn refuse_fork(&mut self, at_once: bool) -> Result<()> {
        if self.core.base.is_forked(at_once) {
            return Err(Error::new(
                ErrorKind::Forked,
                "run",
                "an event loop after fork",
            ));
        }
        Ok(())
    }

    /// Somebody runs the loop, on this thread.
    fn enter(&mut self) -> Result<()> {
        self.refuse_fork(true)?;
        if let Some(heart) = &self.core.heart {
            heart.is_here();
        }
        Ok(())
    }

    fn step(&mut self, state: &mut S, may_sleep: bool) -> Result<Turn> {
        let result = self.take_turn(state, may_sleep);
        self.core.rest();
        result
    }

    fn take_turn(&mut self, state: &mut S, may_sleep: bool) -> Result<Turn> {
        self.core.see_off(state); // those removed between turns
        if !self.core.flushes.is_empty() {
            self.core.run_flushes(COMPLETIONS_PER_TURN, state);
        }
        if self.is_over(state)? {
            return Ok(Turn::Ended);
        }
        let specials = self.wait(may_sleep)?;
        let due = self.core.base.due();
        if specials.signal {
            self.run_signals(state);
        }
        self.run_woken(state);
        self.run_io(state);
        self.core.run_completed(COMPLETIONS_PER_TURN, state);
        self.core.run_bulk(BULK_PER_TURN, state);
        let sources = self.core.len();
        let horizon = self.horizon.behind(specials.full, due, sources);
        self.core.run_deadlines(horizon, DEADLINES_PER_TURN, state);
        self.core.run_again(LEFTOVERS_PER_TURN, state);
        self.core.tell_drain(DRAINED_PER_TURN, state);
        self.core.end_turn();
        match self.is_over(state)? {
            true => Ok(Turn::Ended),
            false => Ok(Turn::Goes),
        }
    }

    fn wait(&mut self, may_sleep: bool) -> Result<Specials> {
        self.core.rest();
        let sleep =
            may_sleep && !self.core.is_due() && !self.core.has_leftovers() && self.woken.is_empty();
        let base = &mut self.core.base;
        let waited = match sleep {
            true => {
                base.arm();
                let may_sleep = base.remote.lie_down(); // from now on a call ends it
                let waited = base.kernel.wait(&mut self.batch, may_sleep);
                base.remote.get_up();
                waited
            }
            false => base.kernel.wait(&mut self.batch, false),
        };
        waited.map_err(|error| Error::io("wait for", "events", error))?;
        let specials = self.batch.specials();
        self.core.begin_turn(specials.timer);
        Ok(specials)
    }

    fn run_signals(&mut self, state: &mut S) {
        let mut arrived = std::mem::take(&mut self.arrived);
        if let Some(signals) = &mut self.core.base.signals {
            signals.drain(&mut arrived);
        }
        for (token, signal) in arrived.drain(..) {
            self.core.dispatch(token, Event::Signal(signal), state);
        }
        self.arrived = arrived;
    }

    /// Wake-ups from other threads. The flag says it all; the eventfd only ended the sleep.
    ///
    /// Fetched only when all of the last list have been told: a target that is fetched may be woken
    /// anew, and would stand in `woken` once for every turn that its telling takes.
    fn run_woken(&mut self, state: &mut S) {
        if self.woken.is_empty() && self.core.base.remote.is_pending() {
            let base = &mut self.core.base;
            base.metrics.wakeups += 1;
            base.metrics.eventfd_writes = base.remote.calls();
            base.remote.take(&mut self.woken);
        }
        for _ in 0..WOKEN_PER_TURN {
            let Some(token) = self.woken.pop_front() else {
                return;
            };
            self.core.dispatch(token, Event::Woken, state);
        }
    }

    /// Control sources first, then normal ones as the kernel reports them; bulk ones are latched for their
    /// own phase. The second walk knows what the first has dealt with: every event is somebody's once.
    #[inline(never)]
    fn run_io(&mut self, state: &mut S) {
        let EventLoop { core, batch, .. } = self;
        if !core.has_classes() {
            batch.for_each(|token, readiness| {
                core.dispatch_here(token, Event::Ready(readiness), state);
            });
            return;
        }
        let classes = &mut self.classes;
        classes.clear();
        batch.for_each(|token, readiness| {
            let class = core.class(token);
            classes.push(class);
            if matches!(class, Some(Class::Control) | None) {
                core.dispatch(token, Event::Ready(readiness), state);
            }
        });
        let mut classes = classes.iter();
        batch.for_each(|token, readiness| match classes.next() {
            Some(Some(Class::Normal)) => {
                core.dispatch(token, Event::Ready(readiness), state);
            }
            Some(Some(Class::Bulk)) => core.latch(token, readiness),
            _ => {}
        });
    }

    /// Whether the run ends here. However it ends, a wish to stop has been fulfilled.
    fn is_over(&mut self, state: &mut S) -> Result<bool> {
        let over = self.judge(state);
        if matches!(over, Ok(false)) {
            return over;
        }
        let base = &mut self.core.base;
        base.is_stopping = false;
        match base.failure.take() {
            Some(failure) => Err(failure),
            None => over,
        }
    }

    fn judge(&mut self, state: &mut S) -> Result<bool> {
        let core = &mut self.core;
        match core.base.phase {
            Phase::Forced => self.cut_drain(state),
            Phase::Draining { .. } if core.foreground() == 0 && !core.owes_drain() => {
                core.remove_all(|_| Removed::Drained, state);
                core.base.phase = Phase::Running;
                Ok(true)
            }
            #[cfg(trine_planted)]
            Phase::Draining { .. }
                if crate::planted::has(crate::planted::Bug::DrainNeverForced) =>
            {
                Ok(false)
            }
            Phase::Draining { until, .. } if core.base.due() >= until => self.cut_drain(state),
            _ if core.base.is_stopping => Ok(true),
            Phase::Draining { .. } => Ok(false),
            Phase::Running => Ok(core.is_empty()),
        }
    }

    fn cut_drain(&mut self, state: &mut S) -> Result<bool> {
        let mut unfinished = BTreeMap::new();
        let why = |slot: &Slot<S>| match slot.is_settled() {
            Some(true) => Removed::Drained,
            other => {
                *unfinished.entry(slot.name()).or_default() += 1;
                other.map_or(Removed::Panicked, |_| Removed::Forced)
            }
        };
        self.core.remove_all(why, state);
        self.core.base.phase = Phase::Running;
        if unfinished.is_empty() {
            return Ok(true);
        }
        Err(Error::new(
            ErrorKind::DrainForced,
            "complete",
            describe(&unfinished),
        ))
    }
}

/// Which sources were cut, by their names, and how many.
fn describe(unfinished: &BTreeMap<&'static str, u64>) -> String {
    let total: u64 = unfinished.values().sum();
    let each = unfinished.iter();
    let each: Vec<String> = each
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    format!(
        "the drain: {total} sources were unfinished: {}",
        each.join(", ")
    )
}

impl<S> fmt::Debug for EventLoop<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventLoop({:?})", self.core)
    }
}
