//! The part of a loop that does not depend on the type of its state: the kernel, the time, the
//! timers, the signals, the way in for other threads, the counters.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::demultiplexer::Watch;
use super::error::Error;
use super::kernel::Kernel;
use super::metrics::Metrics;
use super::signals::{Signal, SignalTable};
use super::slot::Watched;
use super::timers::Timers;
use super::waker::{Remote, Waker};
use crate::slab::Token;
use crate::time::Tick;

#[derive(Debug)]
pub(super) struct Base {
    pub(super) kernel: Kernel,
    /// The monotonic clock, cached at the start of the turn; never less than before.
    nanos: u64,
    /// The same as a tick, rounded up.
    now: Tick,
    /// By descriptor number, the slot that registered it last: a source may close its descriptor
    /// early, and the number may be another's by the time it is deregistered.
    watchers: Vec<u32>,
    pub(super) timers: Timers,
    pub(super) signals: Option<SignalTable>,
    pub(super) remote: Arc<Remote>,
    pub(super) metrics: Metrics,
    pub(super) phase: Phase,
    /// Whether another process has a part in what this loop serves.
    pub(super) succession: Succession,
    /// Whether `run` returns after this turn, whatever the phase.
    pub(super) is_stopping: bool,
    /// What `run` returns when it ends.
    pub(super) failure: Option<Error>,
    wall: WallSecond,
    /// The process that made the loop, and when to make sure again that we are it.
    process: u32,
    check_process_at: u64,
}

/// Where the loop is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Running,
    /// Sources finish what they have begun. `told` slots have been told so far.
    Draining {
        until: Tick,
        told: u32,
    },
    /// The drain ends now, whatever is unfinished.
    Forced,
}

/// Who is in charge of the sockets that a loop listens on, when they pass from one process to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Succession {
    /// This process.
    InCharge,
    /// The process before, until it goes.
    Succeeding,
    /// A successor.
    PassedOn,
}

/// The wall clock's second, and until when (loop time) it is known to be right, jumps aside.
#[derive(Clone, Copy, Debug)]
struct WallSecond {
    seconds: u64,
    until_nanos: u64,
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const NANOS_PER_TICK: u64 = 1_000_000;

impl Base {
    pub(super) fn new(kernel: Kernel) -> io::Result<Base> {
        let remote = Remote::new(kernel.waker()?);
        let process = kernel.process();
        let nanos = kernel.nanos();
        Ok(Base {
            kernel,
            nanos,
            now: Tick(nanos.div_ceil(NANOS_PER_TICK)),
            watchers: Vec::new(),
            timers: Timers::new(Tick(nanos / NANOS_PER_TICK)),
            signals: None,
            remote,
            metrics: Metrics::default(),
            phase: Phase::Running,
            succession: Succession::InCharge,
            is_stopping: false,
            failure: None,
            wall: WallSecond {
                seconds: 0,
                until_nanos: 0,
            },
            process,
            check_process_at: 0,
        })
    }

    /// The present tick, rounded up: what deadlines are counted from.
    #[inline]
    pub(super) fn now(&self) -> Tick {
        self.now
    }

    /// The present tick, rounded down: what deadlines are due by.
    #[inline]
    pub(super) fn due(&self) -> Tick {
        #[cfg(trine_planted)]
        if crate::planted::has(crate::planted::Bug::DeadlineEarly) {
            return Tick(self.nanos / NANOS_PER_TICK + 1);
        }
        Tick(self.nanos / NANOS_PER_TICK)
    }

    pub(super) fn nanos(&self) -> u64 {
        self.nanos
    }

    /// The tick that is at least `duration` from now and less than one tick more.
    pub(super) fn after(&self, duration: Duration) -> Tick {
        let nanos = u128::from(self.nanos).saturating_add(duration.as_nanos());
        let ticks = nanos.div_ceil(u128::from(NANOS_PER_TICK));
        u64::try_from(ticks).map_or(Tick::NEVER, Tick)
    }

    /// Reads the clock; returns how long it was since the last reading. A clock that went back
    /// reads as one that stood still.
    #[inline]
    pub(super) fn refresh(&mut self) -> u64 {
        let before = self.nanos;
        #[cfg(trine_planted)]
        if crate::planted::has(crate::planted::Bug::WallClockDeadline) {
            let wall = self.kernel.wall().duration_since(SystemTime::UNIX_EPOCH);
            let begun = std::time::Duration::from_secs(784_111_777); // a simulation
            let since = wall.unwrap_or_default().saturating_sub(begun);
            self.nanos = (since.as_nanos() as u64).max(before);
            self.now = Tick(self.nanos.div_ceil(NANOS_PER_TICK));
            return self.nanos - before;
        }
        self.nanos = self.kernel.nanos().max(before);
        self.now = Tick(self.nanos.div_ceil(NANOS_PER_TICK));
        self.nanos - before
    }

    pub(super) fn wall(&self) -> SystemTime {
        self.kernel.wall()
    }

    /// The second of the Unix epoch, read from the wall clock at most once a second.
    #[inline]
    pub(super) fn unix_seconds(&mut self) -> u64 {
        #[cfg(trine_planted)]
        if self.wall.seconds > 0 && crate::planted::has(crate::planted::Bug::DateStandsStill) {
            return self.wall.seconds;
        }
        if self.nanos >= self.wall.until_nanos {
            self.wall = self.read_wall();
        }
        self.wall.seconds
    }

    #[cold]
    fn read_wall(&self) -> WallSecond {
        let wall = self.kernel.wall();
        let since_epoch = wall
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let left = NANOS_PER_SECOND - u64::from(since_epoch.subsec_nanos());
        // The clock may have moved since the turn began, so the second may be over sooner.
        let now = self.kernel.nanos().max(self.nanos);
        WallSecond {
            seconds: since_epoch.as_secs(),
            until_nanos: now.saturating_add(left),
        }
    }

    pub(super) fn subscribe(&mut self, signal: Signal, token: Token) -> io::Result<()> {
        let table = match self.signals.take() {
            Some(table) => table,
            None => SignalTable::new(&self.kernel)?,
        };
        self.signals.insert(table).subscribe(signal, token)
    }

    pub(super) fn watch(
        &mut self,
        fd: BorrowedFd<'_>,
        token: Token,
        watch: Watch,
    ) -> io::Result<()> {
        if self.is_forked(true) {
            let what = "the process was forked: its loop shares the parent's epoll set";
            return Err(io::Error::other(what));
        }
        self.kernel.register(fd, token, watch)?;
        self.note_watcher(fd.as_raw_fd() as usize, token); // never negative
        Ok(())
    }

    /// As [`watch`](Base::watch), for a socket of a simulated machine.
    #[cfg(feature = "testing")]
    pub(super) fn watch_simulated(&mut self, number: u32, token: Token) -> io::Result<()> {
        self.kernel.register_simulated(number, token)?;
        self.note_watcher(number as usize, token);
        Ok(())
    }

    fn note_watcher(&mut self, number: usize, token: Token) {
        if number >= self.watchers.len() {
            self.watchers.resize(number + 1, u32::MAX);
        }
        self.watchers[number] = token.index();
    }

    pub(super) fn unwatch(&mut self, watched: Watched, token: Token) {
        let slot = self.watchers.get_mut(watched.fd as usize);
        if let Some(slot) = slot.filter(|slot| **slot == token.index()) {
            *slot = u32::MAX;
            if self.is_forked(true) {
                return; // the registration is the parent's, which goes on
            }
            // It can only fail if the descriptor is closed already; then it is gone from epoll.
            let _ = self.kernel.deregister(watched);
        }
    }

    pub(super) fn waker(&self, token: Token) -> Waker {
        Waker::new(Arc::clone(&self.remote), token)
    }

    /// Sets the timerfd before a sleep, if it has to be set.
    pub(super) fn arm(&mut self) {
        let limit = match self.phase {
            Phase::Draining { until, .. } => until,
            _ => Tick::NEVER,
        };
        if let Some(tick) = self.timers.arm(limit) {
            self.metrics.timer_sets += 1;
            #[cfg(trine_planted)]
            let tick = match crate::planted::has(crate::planted::Bug::DeadlineLate) {
                true => Tick(tick.0.saturating_add(3)),
                false => tick,
            };
            self.kernel.arm(tick.0.saturating_mul(NANOS_PER_TICK));
        }
    }

    /// Whether this process is a fork of the one that made the loop. Asks the kernel when
    /// `at_once`, otherwise once a second.
    pub(super) fn is_forked(&mut self, at_once: bool) -> bool {
        if !at_once && self.nanos < self.check_process_at {
            return false;
        }
        self.check_process_at = self.nanos.saturating_add(NANOS_PER_SECOND);
        self.kernel.process() != self.process
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        self.remote.close();
    }
}
