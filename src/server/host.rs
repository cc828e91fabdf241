//! What the connections of one server share.

use std::fmt;
use std::marker::PhantomData;

use super::driver::Counted;
use super::ladder::{Ladder, Rung};
use super::metrics::ServerMetrics;
use super::models::Part;
use super::observer::{Moment, Noted, Observer};
use super::overload::{ALL, Change, Overload, share};
use super::present::Present;
use super::recording::Recording;
use super::reload::Live;
use super::sweep::Sweep;
use super::team::Afar;
use crate::connection::{CloseReason, Config, Deadlines, Pools};
use crate::http::DateCache;
use crate::proactor::Pattern;
use crate::reactor::{Context, Gate, Local, Reserve};
use crate::service::Service;
use crate::slab::Token;
use crate::time::Span;

/// The service, the settings, the buffers and the counters of one server on one loop.
pub(super) struct Host<S, V> {
    pub(super) service: V,
    pub(super) config: Config,
    /// Those that connections may still go by, after a reload.
    deadlines_before: Option<Deadlines>,
    pub(super) pools: Pools,
    pub(super) date: DateCache,
    pub(super) gate: Gate,
    /// Whether somebody accepts for it.
    pub(super) is_listening: bool,
    /// Live connections that were accepted only to be refused.
    pub(super) refused: usize,
    /// Accepted clients that wait for the place of somebody idle: one at most.
    pub(super) waiting: usize,
    pub(super) metrics: ServerMetrics,
    /// Who wants to know of each exchange.
    pub(super) observer: Option<Box<Observer>>,
    /// What connections have been through, if that is wanted.
    pub(super) recorder: Option<Recording>,
    /// Whether there is any of these two: one look instead of four.
    pub(super) is_watched: bool,
    pub(super) overload: Overload,
    /// Makes room, while the server is on a rung.
    pub(super) sweep: Option<Token>,
    /// Descriptors for clients that come when the process has no other.
    pub(super) reserve: Reserve,
    /// Who does the operations, if connections start some.
    pub(super) pattern: Option<Pattern>,
    /// Which of several loops it is on, if there are several.
    pub(super) part: Option<Part>,
    /// Who runs the connections, if others do.
    pub(super) afar: Option<Afar>,
    bounds: Bounds,
    /// In bytes: with as much in use, the first rung is entered.
    memory_alarm: usize,
    /// The same of connections.
    connections_alarm: usize,
    pub(super) of: PhantomData<fn(&mut S)>,
}

/// How much of everything there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) connections_max: usize,
    /// In bytes.
    pub(super) memory_max: usize,
    pub(super) ladder: Ladder,
}

/// Clients beyond the limit that are told so (503) at one time; more wait in the kernel's queue.
pub(super) const REFUSALS: usize = 64;

/// The longest idle time, so that the age of a connection can be told from its deadline.
const IDLE_MAX: Span = Span::from_secs(10 * 365 * 24 * 3600);

/// The part of the connections that is closed at a time to make room, and how many at least and at most:
/// as many as are accepted in a turn.
const EVICTED_SHARE: usize = 8;
const EVICTED: (usize, usize) = (1, 64);

/// The settings, with idle times that are no longer than makes sense.
fn within_bounds(mut config: Config) -> Config {
    config.deadlines.idle = config.deadlines.idle.min(IDLE_MAX);
    config.deadlines.head = config.deadlines.head.min(IDLE_MAX);
    config
}

/// How many of `whole` call for the first rung.
fn alarm(ladder: &Ladder, whole: usize) -> usize {
    let thousandths = ladder.threshold(Rung::ShortenIdle);
    let count = (whole as u128 * u128::from(thousandths)).div_ceil(u128::from(ALL));
    usize::try_from(count).unwrap_or(usize::MAX)
}

impl<S, V> Host<S, V> {
    pub(super) fn new(service: V, config: Config, bounds: Bounds, reserve: Reserve) -> Host<S, V> {
        Host {
            service,
            config: within_bounds(config),
            deadlines_before: None,
            pools: Pools::within(bounds.memory_max),
            date: DateCache::default(),
            gate: Gate::new(usize::MAX), // it only counts; see `has_room`
            is_listening: true,
            refused: 0,
            waiting: 0,
            metrics: ServerMetrics::new(),
            observer: None,
            recorder: None,
            is_watched: false,
            overload: Overload::new(bounds.ladder),
            sweep: None,
            reserve,
            pattern: None,
            part: None,
            afar: None,
            memory_alarm: alarm(&bounds.ladder, bounds.memory_max),
            connections_alarm: alarm(&bounds.ladder, bounds.connections_max),
            bounds,
            of: PhantomData,
        }
    }

    /// Has these two told of what goes on.
    pub(super) fn watch(&mut self, observer: Option<Box<Observer>>, recorder: Option<Recording>) {
        self.is_watched = observer.is_some() || recorder.is_some();
        (self.observer, self.recorder) = (observer, recorder);
    }

    /// What the connection `token` notes from now on is for the observer.
    #[cold]
    pub(super) fn observe(&mut self, token: Token, noted: Noted) {
        if let Some(observer) = &mut self.observer {
            observer.insert(token, noted);
        }
    }

    /// Tells the observer how the exchanges of the connection that runs went.
    #[cold]
    #[inline(never)]
    pub(super) fn report(&mut self, ended: Option<CloseReason>, cx: &mut impl Present) {
        let Some(observer) = &mut self.observer else {
            return;
        };
        let at = Moment {
            now: cx.now(),
            unix_seconds: cx.unix_seconds(),
        };
        match ended {
            None => observer.report(cx.token(), at, &mut self.metrics),
            Some(reason) => observer.close(cx.token(), reason, at, &mut self.metrics),
        }
    }

    /// One more connection is there.
    pub(super) fn enter(&mut self) {
        self.gate.enter();
        if let Some(part) = &self.part {
            part.enter();
        }
    }

    /// A connection is gone, and so is its descriptor. The listener to resume, if one waits for room.
    pub(super) fn leave(&mut self, counted: Counted) -> Option<Token> {
        self.refused -= usize::from(counted == Counted::Refused);
        self.reserve.refill();
        self.pools.tell();
        let waiting = self.gate.leave();
        if let Some(part) = &self.part {
            part.leave();
        }
        self.report_drain();
        waiting
    }

    pub(super) fn live(&self) -> Live {
        Live {
            config: self.config.clone(),
            connections_max: match &self.part {
                Some(part) => part.connections_max_of_all(),
                None => self.bounds.connections_max,
            },
        }
    }

    /// Says what became of the connections, when the last one of a server that accepts no more is gone.
    #[inline]
    pub(super) fn report_drain(&self) {
        if !self.is_listening && self.gate.live() == 0 {
            match &self.part {
                None => self.counted().report_drain(),
                Some(part) => part.drained(), // what all of them count is said at the end
            }
        }
    }

    /// Counts a reload, and goes by its settings from now on, if there are any. The listener to resume,
    /// if one waits for room.
    pub(super) fn take(&mut self, settings: Option<&Live>) -> Option<Token> {
        let Some(live) = settings else {
            self.metrics.reloads_failed += 1;
            return None;
        };
        self.metrics.reloads += 1;
        if let Some(part) = &self.part {
            part.tell_others(live);
        }
        self.adopt(live)
    }

    /// Goes by new settings from now on. The listener to resume, if one waits for room.
    pub(super) fn adopt(&mut self, live: &Live) -> Option<Token> {
        let connections_max = match (&self.part, &self.afar) {
            (Some(part), _) => part.take_connections_max(live.connections_max),
            (None, Some(afar)) => afar.take(live),
            (None, None) => live.connections_max,
        };
        self.adopt_config(&live.config);
        self.bounds.connections_max = connections_max;
        self.connections_alarm = alarm(&self.bounds.ladder, connections_max);
        match self.is_full() {
            true => None,
            false => self.gate.take_waiting(),
        }
    }

    /// The same without the limit on the connections.
    pub(super) fn adopt_config(&mut self, config: &Config) {
        self.deadlines_before = Some(self.config.deadlines);
        self.config = within_bounds(config.clone());
    }

    /// How many loops serve the same.
    pub(super) fn loops(&self) -> usize {
        self.part.as_ref().map_or(1, Part::loops)
    }

    /// The deadlines in force, and those before.
    pub(super) fn deadlines(&self) -> (&Deadlines, Option<&Deadlines>) {
        (&self.config.deadlines, self.deadlines_before.as_ref())
    }

    /// Whether the connection that is being accepted is one too many.
    pub(super) fn is_full(&self) -> bool {
        #[cfg(trine_planted)]
        if crate::planted::has(crate::planted::Bug::LimitOffByOne) {
            return self.served() > self.bounds.connections_max;
        }
        self.served() >= self.bounds.connections_max
    }

    /// Whether one more can be accepted: to be served, to wait until somebody idle has made room, or
    /// to be told that there is none.
    pub(super) fn has_room(&self) -> bool {
        !self.is_full() || self.overload.may_make_room() || self.may_refuse()
    }

    /// Whether one more can be told that there is no room.
    pub(super) fn may_refuse(&self) -> bool {
        self.refused < REFUSALS
    }

    /// Connections that are not there only to be refused.
    fn served(&self) -> usize {
        self.gate.live() - self.refused
    }

    /// In thousandths: how much there is of the memory, and of the connections.
    fn shares(&self) -> (u32, u32) {
        (
            share(self.pools.memory(), self.bounds.memory_max),
            share(self.served(), self.bounds.connections_max),
        )
    }

    /// How long a connection may be idle at present.
    pub(super) fn idle_span(&self) -> Span {
        let (memory, connections) = self.shares();
        let pressure = self.overload.pressure(memory, connections);
        let ladder = self.overload.ladder();
        ladder.idle_span(self.config.deadlines.idle, &pressure)
    }

    /// How many idle connections are to be closed at once, the oldest first.
    pub(super) fn places_wanted(&self) -> usize {
        let is_to = self.overload.rung() >= Rung::CloseIdle;
        match is_to && self.overload.wants_room(self.shares().0) {
            true => (self.served() / EVICTED_SHARE).clamp(EVICTED.0, EVICTED.1),
            false => 0,
        }
    }

    /// The counters, as they are now.
    fn metrics<T: 'static>(&self, cx: &Context<'_, T>) -> ServerMetrics {
        let (bounds, overload) = (&self.bounds, &self.overload);
        ServerMetrics {
            connections: self.gate.live() + self.waiting,
            connections_max: bounds.connections_max,
            memory: self.pools.memory(),
            memory_spare: self.pools.spare_memory() + self.pools.spare_elsewhere(),
            memory_max: bounds.memory_max,
            descriptors_kept: self.reserve.kept(),
            rung: overload.rung(),
            pattern: self.pattern,
            rung_entries: Rung::ALL.map(|rung| overload.entries(rung)),
            rung_times: Rung::ALL.map(|rung| overload.spent(rung, cx.now()).into()),
            ..self.counted()
        }
    }
}

impl<S: 'static, V: Service<S>> Host<S, V> {
    /// Whether there is so much of something that the ladder has to be looked at: one comparison for
    /// each. What the pools keep unused is in it, so it may say so too early.
    #[inline]
    pub(super) fn is_near_a_limit(&self) -> bool {
        self.pools.memory_at_most() >= self.memory_alarm || self.served() >= self.connections_alarm
    }

    /// Finds the rung to be on. Starts what makes room, if there is none yet.
    #[cold]
    pub(super) fn judge_in(&mut self, host: Local<Host<S, V>>, cx: &mut Context<'_, S>) {
        if cx.is_draining() {
            // Who is idle closes anyway, and what is under way is to be finished.
            return self.handle_drain(cx);
        }
        self.judge(cx);
        if self.overload.rung() != Rung::Normal && self.sweep.is_none() {
            // When the table of sources is full there is another try with the next event.
            self.sweep = cx.insert(Sweep::new(host)).ok();
        }
    }

    /// Finds the rung to be on.
    pub(super) fn judge(&mut self, cx: &mut Context<'_, S>) {
        let (memory, connections) = self.shares();
        let cause = self.overload.pressure(memory, connections).cause();
        let change = self.overload.handle_shares(memory, connections, cx.now());
        let Some(Change { from, to }) = change else {
            return;
        };
        self.publish_rung();
        if let Some(part) = &self.part {
            part.set_able(to < Rung::Refuse);
        }
        let bytes = self.pools.memory();
        let connections = self.served();
        match to > from {
            true => {
                tracing::warn!(target: "trine::http", rung = %to, cause, bytes, connections, "overload: entered a rung")
            }
            false => {
                tracing::info!(target: "trine::http", rung = %from, now = %to, bytes, connections, "overload: left a rung")
            }
        }
        if from == Rung::PauseAccepting {
            self.wake_listener(cx);
        }
    }

    /// A client came for whom there is no place. Whether it is to wait for the one of somebody idle.
    #[cold]
    pub(super) fn is_making_room(
        &mut self,
        host: Local<Host<S, V>>,
        cx: &mut Context<'_, S>,
    ) -> bool {
        self.overload.handle_no_place(cx.now());
        self.make_room(host, cx);
        self.overload.may_make_room() && self.sweep.is_some()
    }

    /// Before a pass: a listener that found no room is taken for a client that wants a place.
    pub(super) fn handle_standing_wish(&mut self, cx: &Context<'_, S>) {
        if self.is_full() && self.gate.is_waiting() {
            self.overload.handle_no_place(cx.now());
        }
    }

    /// There is no descriptor for a client.
    #[cold]
    pub(super) fn handle_no_descriptor(
        &mut self,
        host: Local<Host<S, V>>,
        cx: &mut Context<'_, S>,
    ) {
        self.overload.handle_no_descriptor(cx.now());
        self.make_room(host, cx);
    }

    /// A pass at once, unless the last one was in vain a moment ago.
    fn make_room(&mut self, host: Local<Host<S, V>>, cx: &mut Context<'_, S>) {
        self.judge_in(host, cx);
        if let Some(sweep) = self.sweep.filter(|_| self.overload.may_make_room()) {
            cx.resume(sweep);
        }
    }

    /// Lets the listener look again, if it waits.
    pub(super) fn wake_listener(&mut self, cx: &mut Context<'_, S>) {
        if let Some(listener) = self.gate.take_waiting() {
            cx.resume(listener);
        }
    }
}

/// Half of the descriptors this process may have: the other half is for files, clients of its
/// own, and the loop.
pub(super) fn default_connections_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit
        .map_or(10_000, |limit| usize::try_from(limit / 2).unwrap_or(10_000))
        .max(1)
}

/// The key to a server on a loop, for whoever wants its counters.
pub struct ServerHandle<S, V> {
    pub(super) host: Local<Host<S, V>>,
}

impl<S: 'static, V: Service<S>> ServerHandle<S, V> {
    pub(super) fn new(host: Local<Host<S, V>>) -> ServerHandle<S, V> {
        ServerHandle { host }
    }

    /// The server's counters. `None` inside its own service, which has the server in hand.
    pub fn metrics(&self, cx: &mut Context<'_, S>) -> Option<ServerMetrics> {
        cx.with(self.host, |host, cx| host.metrics(cx))
    }
}

impl<S, V> Clone for ServerHandle<S, V> {
    fn clone(&self) -> ServerHandle<S, V> {
        *self
    }
}

impl<S, V> Copy for ServerHandle<S, V> {}

impl<S, V> fmt::Debug for ServerHandle<S, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerHandle")
    }
}
