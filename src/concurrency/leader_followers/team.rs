//! What the threads of a team share: the seats, and what a thread leaves for the leader.

mod ending;

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::baton::Baton;
use super::handles::{Handles, NANOS_PER_TICK};
use super::seat::{Due, First, Parked, Seat};
use super::task::{Moment, Task, What};
use super::{Handler, TeamContext, TeamMetrics};
use crate::reactor::{Event, Next, Registrar, Remote, Removed, Waker, Watch, monotonic_nanos};
use crate::slab::Token;
use crate::time::Tick;
use crate::unwind::discard;
pub(super) use ending::Phase;

/// Times in a row that a handler is called for what came while it ran, before others have their turn.
const RUNS_MAX: usize = 16;

pub(super) struct Team<T> {
    pub(super) baton: Baton<Handles>,
    seats: Box<[Seat<T>]>,
    free: Mutex<Vec<u32>>,
    registrar: Registrar,
    pub(super) remote: Arc<Remote>,
    phase: Mutex<Phase>,
    /// Whether `phase` is anything but running: asked for each event.
    is_draining: AtomicBool,
    live: AtomicUsize,
    /// Handlers that were cut and had something under way.
    cut: AtomicUsize,
    /// What the timerfd is set to: who parks with an earlier deadline rings.
    horizon: AtomicU64,
    arms: Mutex<Vec<(u32, Tick)>>,
    leftovers: Mutex<Vec<Token>>,
    counters: Counters,
    /// Told when the team has ended.
    ended: Mutex<Option<Waker>>,
    /// Why it cannot wait any more.
    failure: Mutex<Option<io::Error>>,
}

#[derive(Default)]
struct Counters {
    events: AtomicU64,
    stale: AtomicU64,
    missed: AtomicU64,
    panics: AtomicU64,
}

impl<T: 'static> Team<T> {
    pub(super) fn new(
        handles: Handles,
        registrar: Registrar,
        remote: Arc<Remote>,
        seats: u32,
    ) -> Team<T> {
        Team {
            baton: Baton::new(handles),
            seats: (0..seats).map(|_| Seat::new()).collect(),
            free: Mutex::new((0..seats).rev().collect()),
            registrar,
            remote,
            phase: Mutex::new(Phase::Running),
            is_draining: AtomicBool::new(false),
            live: AtomicUsize::new(0),
            cut: AtomicUsize::new(0),
            horizon: AtomicU64::new(u64::MAX),
            arms: Mutex::default(),
            leftovers: Mutex::default(),
            counters: Counters::default(),
            ended: Mutex::default(),
            failure: Mutex::default(),
        }
    }

    /// The life of a thread. What panics beside the handlers (whoever listens to the log may) costs the
    /// team no thread.
    pub(super) fn follow(&self, local: &mut T) {
        while let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.take_turns(local))) {
            self.counters.panics.fetch_add(1, Ordering::Relaxed);
            discard(payload);
        }
        self.clear(local);
    }

    /// Leads, hands the lead on, serves; until it is over.
    fn take_turns(&self, local: &mut T) {
        while let Some(mut lead) = self.baton.take() {
            let task = match lead.held() {
                Some(handles) => handles.next(self),
                None => return,
            };
            drop(lead); // before what was found is served: that is the pattern
            match task {
                Ok(Some(task)) => self.run(task, local),
                Ok(None) => self.end_if_empty(),
                Err(error) => self.fail(error),
            }
        }
    }

    /// Inserts a handler, which is told `first` before all else.
    pub(super) fn insert(
        &self,
        handler: Box<dyn Handler<T>>,
        first: First,
    ) -> Result<Token, (Box<dyn Handler<T>>, io::Error)> {
        let full = || io::Error::new(io::ErrorKind::QuotaExceeded, "every seat is taken");
        // It is in the hands of this thread until it is registered, so that no edge is lost: what epoll
        // says meanwhile is noted in the seat.
        let Some((index, seat, generation)) = self.occupy(first) else {
            return Err((handler, full()));
        };
        let token = Token::from_bits(u64::from(generation) << 32 | u64::from(index));
        if let Err(error) = self.enter(&*handler, token) {
            seat.let_go();
            lock(&self.free).push(index);
            return Err((handler, error));
        }
        if self.is_draining.load(Ordering::SeqCst) {
            seat.owes_drain(); // those who are told may have been told already
        }
        let is_to_queue = match seat.park(handler, None, true, first == First::Resumed) {
            Parked::In { is_to_queue, .. } => is_to_queue,
            Parked::Missed(..) => false, // not when it is parked even so
        };
        if is_to_queue {
            self.resume(token);
        }
        Ok(token)
    }

    /// A free seat, with its number and that of its new tenant. Those that have had as many as can be told
    /// apart are free no more.
    fn occupy(&self, first: First) -> Option<(u32, &Seat<T>, u32)> {
        loop {
            let index = lock(&self.free).pop()?;
            let seat = self.seats.get(index as usize)?;
            if let Some(generation) = seat.occupy(first) {
                return Some((index, seat, generation));
            }
        }
    }

    /// Has the handler watched and counted.
    fn enter(&self, handler: &dyn Handler<T>, token: Token) -> io::Result<()> {
        let watched = handler.descriptor();
        if let Some(fd) = watched {
            self.registrar.register(fd, token, Watch::Both)?;
        }
        if self.count_in() {
            return Ok(());
        }
        if let Some(fd) = watched {
            let _ = self.registrar.deregister(fd); // it is not served
        }
        Err(io::Error::other("the team has ended"))
    }

    /// One more handler, unless the team has ended.
    fn count_in(&self) -> bool {
        let phase = lock(&self.phase);
        let goes_on = *phase != Phase::Over;
        if goes_on {
            self.live.fetch_add(1, Ordering::SeqCst);
        }
        goes_on
    }

    pub(super) fn seize(&self, token: Token, event: Event) -> Option<Box<dyn Handler<T>>> {
        let seat = self.seats.get(token.index() as usize)?;
        let (handler, is_stale) = seat.seize(token, event);
        if is_stale {
            self.counters.stale.fetch_add(1, Ordering::Relaxed);
        }
        handler
    }

    pub(super) fn seize_due(&self, index: u32, due: Tick) -> Due<T> {
        let seat = self.seats.get(index as usize);
        seat.map_or(Due::Nobody, |seat| seat.seize_due(index, due))
    }

    pub(super) fn seize_any(
        &self,
        index: u32,
        event: Event,
        even_if_new: bool,
    ) -> Option<(Token, Box<dyn Handler<T>>)> {
        let seat = self.seats.get(index as usize)?;
        seat.seize_any(index, event, even_if_new)
    }

    /// Shows `look` whoever is parked in the seat `index`.
    pub(super) fn look<R>(
        &self,
        index: u32,
        look: impl FnOnce(&dyn Handler<T>, Tick) -> R,
    ) -> Option<(Token, R)> {
        let look = |handler: &dyn Handler<T>| look(handler, present_tick(monotonic_nanos()));
        self.seats.get(index as usize)?.look(index, look)
    }

    /// Changes a parked handler, which has a turn then. False when it is gone, or in somebody's hands.
    pub(super) fn nudge(&self, token: Token, change: impl FnOnce(&mut dyn Handler<T>)) -> bool {
        let seat = self.seats.get(token.index() as usize);
        let (is_changed, is_to_queue) = seat.map_or((false, false), |it| it.nudge(token, change));
        if is_to_queue {
            self.resume(token);
        }
        is_changed
    }

    /// Serves, until nothing has come meanwhile.
    fn run(&self, task: Task<T>, local: &mut T) {
        let Task {
            token,
            mut handler,
            what,
            at,
        } = task;
        let Some(seat) = self.seats.get(token.index() as usize) else {
            return;
        };
        let mut event = match what {
            What::Event(event) => event,
            What::Remove(why) => {
                let cx = self.present(token, at);
                return self.remove(seat, handler, why, local, &cx);
            }
        };
        for runs in 1.. {
            let cx = self.present(token, at);
            self.counters.events.fetch_add(1, Ordering::Relaxed);
            let called = catch_unwind(AssertUnwindSafe(|| handler.handle(event, local, &cx)));
            let next = match called {
                Ok(next) => next,
                Err(payload) => {
                    self.counters.panics.fetch_add(1, Ordering::Relaxed);
                    discard(payload);
                    say(|| tracing::error!(target: "trine::loop", ?token, "a handler panicked"));
                    return self.remove(seat, handler, Removed::Panicked, local, &cx);
                }
            };
            let deadline = match next {
                Next::Close => return self.remove(seat, handler, Removed::Closed, local, &cx),
                Next::Again => None,
                Next::Wait => Some(Tick::NEVER),
                Next::Until(at) => Some(at),
            };
            if self.is_ending() {
                return self.remove(seat, handler, Removed::Forced, local, &cx);
            }
            let even_so = next == Next::Again || runs >= RUNS_MAX;
            match seat.park(handler, deadline, even_so, next == Next::Again) {
                Parked::Missed(again, missed) => {
                    self.counters.missed.fetch_add(1, Ordering::Relaxed);
                    (handler, event) = (again, missed);
                }
                Parked::In { arm, is_to_queue } => {
                    if let Some(at) = arm {
                        self.arm(token.index(), at);
                    }
                    if is_to_queue {
                        self.resume(token);
                    }
                    return;
                }
            }
        }
    }

    /// The present, read for each call: those before it, and the others of its batch, may have taken long.
    fn present(&self, token: Token, at: Moment) -> TeamContext<'_> {
        let nanos = monotonic_nanos();
        TeamContext {
            token,
            now: present_tick(nanos).max(at.now),
            nanos,
            unix_seconds: at.unix_seconds,
            is_draining: self.is_draining.load(Ordering::SeqCst),
            remote: &self.remote,
        }
    }

    fn remove(
        &self,
        seat: &Seat<T>,
        handler: Box<dyn Handler<T>>,
        why: Removed,
        local: &mut T,
        cx: &TeamContext<'_>,
    ) {
        let token = cx.token();
        if why == Removed::Forced {
            let is_settled = catch_unwind(AssertUnwindSafe(|| handler.is_settled()));
            let is_settled = is_settled.map_err(discard).unwrap_or(false);
            self.cut
                .fetch_add(usize::from(!is_settled), Ordering::SeqCst);
        }
        // Before the descriptor is closed: a duplicate elsewhere would keep it registered. It may be
        // closed already, or given away, and then even asking for it may panic.
        let deregister = || {
            let watched = handler.descriptor();
            watched.map(|fd| self.registrar.deregister(fd))
        };
        let _ = catch_unwind(AssertUnwindSafe(deregister)).map_err(discard);
        seat.let_go();
        let removed = catch_unwind(AssertUnwindSafe(|| handler.removed(why, local, cx)));
        if let Err(payload) = removed {
            self.counters.panics.fetch_add(1, Ordering::Relaxed);
            discard(payload);
            say(
                || tracing::error!(target: "trine::loop", ?token, "a handler panicked when it was removed"),
            );
        }
        lock(&self.free).push(token.index());
        let live = self.live.fetch_sub(1, Ordering::SeqCst) - 1;
        if live == 0 && self.is_draining.load(Ordering::SeqCst) {
            self.remote.ring();
        }
    }

    fn arm(&self, index: u32, at: Tick) {
        lock(&self.arms).push((index, at));
        if at.0 < self.horizon.load(Ordering::SeqCst) {
            self.remote.ring();
        }
    }

    /// `token` is to have its turn without news.
    fn resume(&self, token: Token) {
        lock(&self.leftovers).push(token);
        self.remote.ring();
    }

    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::SeqCst)
    }

    pub(super) fn seats(&self) -> usize {
        self.seats.len()
    }

    pub(super) fn horizon_is_unknown(&self) {
        self.horizon.store(u64::MAX, Ordering::SeqCst);
    }

    pub(super) fn horizon_is(&self, armed: Tick) {
        self.horizon.store(armed.0, Ordering::SeqCst);
    }

    pub(super) fn take_arms(&self) -> Vec<(u32, Tick)> {
        std::mem::take(&mut lock(&self.arms))
    }

    pub(super) fn take_leftovers(&self, into: &mut VecDeque<Token>) {
        into.extend(lock(&self.leftovers).drain(..));
    }

    pub(super) fn metrics(&self) -> TeamMetrics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TeamMetrics {
            live: self.live(),
            events: read(&self.counters.events),
            stale_events: read(&self.counters.stale),
            missed: read(&self.counters.missed),
            panics: read(&self.counters.panics),
        }
    }
}

/// Rounded up, as deadlines are counted from it.
fn present_tick(nanos: u64) -> Tick {
    Tick(nanos.div_ceil(NANOS_PER_TICK))
}

/// Whoever listens to the log may panic: that is no reason to leave anything undone.
fn say(log: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(log)).map_err(discard);
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
