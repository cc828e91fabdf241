//! One run of a seed: a safety phase with faults, in which nothing wrong may happen, and a liveness
//! phase without, in which everything must end.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use trine::proactor::{Pattern, ProactorOptions};
use trine::server::{Ladder, ServerHandle, ServerMetrics};
use trine::testing::{Client, Dice, Faults, Sim};
use trine::{Response, Signal};

use super::outside;
use super::peer::{Manner, Peer};
use super::service::{Kind, Model, Scripted};

/// Connections served at once; a few more are told that there is no room.
const CONNECTIONS_MAX: usize = 6;
/// In bytes, for the buffers of all connections where being short is a part of the run.
const MEMORY_MAX: usize = 512 * 1024;
/// Clients at one time.
const PEERS_MAX: usize = 12;

/// How long a promise is kept waiting at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a drain may take.
const GRACE: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(1);

/// The time within which a client that has said its end is done with.
pub const SOON: Duration = Duration::from_secs(5);

pub struct Run {
    pub sim: Sim<Model>,
    address: std::net::SocketAddr,
    handle: ServerHandle<Model, Scripted>,
    pub dice: Dice,
    pub faults: Faults,
    peers: Vec<Peer>,
    numbers: u32,
    pub drains: bool,
    /// Clients that only take up room.
    crowd: Vec<Client<Model>>,
    /// When the loop was told to end, the first time and the second.
    told_at: [Option<Duration>; 2],
    cap: usize,
    /// When the alarm on the wall clock is to ring.
    pub alarm: SystemTime,
    /// Sources of the loop without any connection, and with each.
    sources: usize,
    sources_each: usize,
    /// Whether idle clients may lose their places, requests be refused for want of memory, and the like.
    has_ladder: bool,
}

impl Run {
    pub fn new(seed: u64) -> Run {
        Run::over(seed, None)
    }

    /// By the emulated proactor: nothing else is to be seen from outside.
    pub fn by_operations(seed: u64) -> Run {
        Run::over(
            seed,
            Some(ProactorOptions {
                pattern: Pattern::Emulated,
                ..ProactorOptions::default()
            }),
        )
    }

    fn over(seed: u64, proactor: Option<ProactorOptions>) -> Run {
        let mut sim = Sim::with_state(seed, Model::default());
        let cap = if seed.is_multiple_of(4) { 9 } else { 1_000 };
        let has_ladder = seed % 3 == 1;
        let server = sim.server().connections_max(CONNECTIONS_MAX);
        let server = match has_ladder {
            true => server.memory_max(MEMORY_MAX),
            false => server.overload(Ladder::off()),
        };
        let mut server = server.requests_per_connection_max(cap as u32);
        if let Some(options) = proactor {
            server = server.proactor(options);
        }
        let (address, handle) = sim.attach(server, Scripted);
        let drained = sim.with(|events, _| {
            use trine::Sources;
            events.drain_on_signals([Signal::TERM], GRACE)
        });
        drained.unwrap();
        let alarm = outside::listen(&mut sim);
        let metrics = sim.with(|events, _| handle.metrics(&mut events.context()));
        let pattern = proactor.map(|options| options.pattern);
        assert_eq!(metrics.map(|metrics| metrics.pattern), Some(pattern));
        let sources = sim.with(|events, _| events.len());
        let faults = match seed % 8 {
            0 => Faults::none(),
            1 => Faults::hostile(),
            _ => Faults::swarm(seed),
        };
        sim.set_faults(faults.clone());
        let dice = sim.dice();
        Run {
            sim,
            address,
            handle,
            dice,
            faults,
            peers: Vec::new(),
            numbers: 0,
            drains: false,
            crowd: Vec::new(),
            told_at: [None; 2],
            cap,
            alarm,
            sources,
            // The connection, and what hears of its socket for the operations.
            sources_each: 1 + usize::from(proactor.is_some()),
            has_ladder,
        }
    }

    /// The whole run; its trace.
    pub fn run(mut self, steps: usize) -> u64 {
        let drain_at = match self.dice.below(3) {
            0 => self.dice.below(steps),
            _ => steps,
        };
        let forced_after = match self.dice.below(2) {
            0 => self.dice.up_to(300),
            _ => steps,
        };
        let mut force_at = steps;
        for step in 0..steps {
            if step >= drain_at && !self.drains && self.is_worth_draining(step - drain_at) {
                self.drain();
                force_at = step + forced_after;
            }
            if step == force_at {
                self.force();
            }
            self.act();
            self.sim.turn();
            self.look();
        }
        self.end()
    }

    fn act(&mut self) {
        match self.dice.below(200) {
            0..10 => self.connect(),
            10..110 => self.with_peer(|peer, run| peer.send(false, &run.sim)),
            110..130 => self.with_peer(|peer, run| {
                peer.plan(&mut run.numbers, &mut run.dice);
            }),
            130..150 => self.keep_a_promise(),
            150..160 => self.with_peer(|peer, run| {
                let most = run.dice.up_to(100_000);
                peer.client.take(most);
            }),
            160..164 => self.with_peer(Run::leave),
            164..196 => {
                let nanos = self.dice.below(20_000_000) as u64;
                self.pass(Duration::from_nanos(nanos));
            }
            196..199 => {
                let seconds = self.dice.up_to(12) as u64;
                self.pass(Duration::from_secs(seconds));
            }
            _ if self.dice.below(3) == 0 => self.pass(Duration::from_secs(80)),
            _ if self.dice.below(3) == 0 => self.crowd(),
            _ if self.dice.below(2) == 0 => self.storm(),
            _ => {}
        }
    }

    /// Many come at once and say nothing, or leave again.
    fn crowd(&mut self) {
        match self.crowd.is_empty() {
            true => {
                let more = (0..100).map(|_| self.sim.connect(self.address));
                self.crowd.extend(more);
            }
            false => self.crowd.truncate(self.crowd.len() / 2),
        }
    }

    fn with_peer(&mut self, act: impl FnOnce(&mut Peer, &mut Run)) {
        if self.peers.is_empty() {
            return;
        }
        let index = self.dice.below(self.peers.len());
        let mut peer = self.peers.swap_remove(index);
        act(&mut peer, self);
        self.peers.push(peer);
    }

    fn connect(&mut self) {
        if self.peers.len() >= PEERS_MAX {
            let index = self.dice.below(PEERS_MAX);
            let peer = &self.peers[index];
            let is_done = !peer.client.ends().is_open || peer.has_left;
            if is_done || self.dice.below(4) == 0 {
                self.peers.swap_remove(index);
            }
            return;
        }
        let manner = match self.dice.below(12) {
            0 => Manner::ReadsSlowly,
            1 => Manner::Silent,
            2 => Manner::Drips,
            3 => Manner::Garbles,
            4 => Manner::Leaves,
            _ => Manner::Good,
        };
        let mut peer = Peer::new(self.sim.connect(self.address), manner, self.cap);
        peer.is_excused = self.drains || self.has_ladder;
        peer.plan(&mut self.numbers, &mut self.dice);
        self.peers.push(peer);
    }

    fn leave(peer: &mut Peer, run: &mut Run) {
        if peer.manner == Manner::Leaves {
            peer.has_left = true;
            match run.dice.below(2) {
                0 => peer.client.reset(),
                _ => peer.client.finish(),
            }
        }
    }

    fn keep_a_promise(&mut self) {
        let dice = &mut self.dice;
        self.sim.with(|_, model| {
            for _ in 0..dice.up_to(3) {
                if model.promises.is_empty() {
                    return;
                }
                let index = dice.below(model.promises.len());
                let (deferred, number) = model.promises.swap_remove(index);
                deferred.send(Response::text(format!("d{number}\n")));
            }
        });
    }

    fn keep_promises(&mut self) {
        self.sim.with(|_, model| {
            for (deferred, number) in model.promises.drain(..) {
                deferred.send(Response::text(format!("d{number}\n")));
            }
        });
    }

    /// Lets time pass, but first has good clients do what they have to do in time.
    fn pass(&mut self, duration: Duration) {
        let now = self.sim.elapsed();
        let is_long = duration >= Duration::from_secs(1);
        for peer in &mut self.peers {
            let is_late = now.saturating_sub(peer.stands_still_since()) > Duration::from_secs(1);
            if peer.is_midway() && (is_long || is_late) {
                peer.send(true, &self.sim);
            }
        }
        if is_long {
            self.sim.settle();
        }
        let mut left = duration;
        while !left.is_zero() {
            let part = left.min(PATIENCE);
            if is_long {
                self.keep_promises();
            }
            self.sim.advance(part);
            left -= part;
        }
    }

    /// More is to be seen of a drain when somebody waits for an answer.
    fn is_worth_draining(&mut self, after: usize) -> bool {
        after >= 100 || self.sim.with(|_, model| !model.promises.is_empty())
    }

    /// The loop is told to drain when all that was sent has arrived: who waits for an answer that
    /// the service has in hand is owed that one.
    fn drain(&mut self) {
        self.sim.settle();
        for peer in &mut self.peers {
            peer.look(&self.sim);
            let front = peer.asked.front().copied();
            let promised = front.filter(|front| front.kind == Kind::Promised);
            let is_owed = promised.is_some_and(|front| {
                self.sim.with(|_, model| {
                    let mut promises = model.promises.iter();
                    promises.any(|(_, number)| *number == front.number)
                })
            });
            let is_good = peer.manner == Manner::Good && !peer.was_refused;
            match is_owed && is_good {
                true => peer.drain_owes = Some(1),
                false => peer.is_excused = true,
            }
        }
        self.drains = true;
        self.told_at[0] = Some(self.sim.elapsed());
        self.sim.signal(Signal::TERM);
    }

    /// A second signal: nobody is owed anything any more.
    fn force(&mut self) {
        for peer in &mut self.peers {
            peer.look(&self.sim);
            peer.drain_owes = None;
            peer.is_excused = true;
        }
        self.told_at[1] = Some(self.sim.elapsed());
        self.sim.signal(Signal::TERM);
    }

    /// Whether the loop has ended as it was told to.
    fn judge_outcome(&self) {
        let (now, [told, forced]) = (self.sim.elapsed(), self.told_at);
        match (self.sim.outcome(), told) {
            (None, None) => {}
            (None, Some(told)) => {
                let lasts = now.saturating_sub(told);
                let most = GRACE + TICK + self.jumps();
                assert!(lasts <= most, "the drain goes on after {lasts:?}");
                let is_forced = forced.is_some_and(|forced| now > forced + self.jumps());
                assert!(!is_forced, "the drain was forced, and goes on");
            }
            (Some(_), None) => panic!("the loop has ended, and nobody told it to"),
            (Some(Ok(())), Some(_)) => {}
            (Some(Err(error)), Some(told)) => {
                let is_late = now.saturating_sub(told) >= GRACE;
                assert!(is_late || forced.is_some(), "{error}");
            }
        }
    }

    /// Each panic of the service was caught and counted, whoever it was that caught it.
    fn judge_panics(&mut self) {
        let caught = self.metrics().panics + self.sim.with(|events, _| events.metrics().panics);
        let made = self
            .sim
            .with(|_, model| model.panics.load(Ordering::Relaxed));
        assert_eq!(caught, made, "panics caught, and made");
    }

    fn metrics(&mut self) -> ServerMetrics {
        let handle = self.handle;
        let metrics = self
            .sim
            .with(|events, _| handle.metrics(&mut events.context()));
        metrics.unwrap()
    }

    /// What must hold after each step.
    fn look(&mut self) {
        self.judge_outcome();
        let metrics = self.metrics();
        let closed = metrics.closed_total();
        assert_eq!(metrics.accepted, closed + metrics.connections as u64);
        assert_eq!(metrics.connections, self.sim.open_connections());
        assert!(metrics.connections <= CONNECTIONS_MAX + 64 + usize::from(self.has_ladder));
        let served = self.peers.iter().filter(|peer| {
            let ends = peer.client.ends();
            peer.answered > 0 && !ends.is_closed && ends.moments.accepted.is_some()
        });
        let served = served.count();
        assert!(
            served <= CONNECTIONS_MAX,
            "{served} clients are served at once"
        );
        self.judge_alarm();
        let sources = self.sim.with(|events, _| events.len());
        assert!(
            sources
                <= self.sources
                    + metrics.connections * self.sources_each
                    + usize::from(self.has_ladder), // who makes room
            "{sources} sources"
        );
        let (sim, index) = (&self.sim, self.dice.below(self.peers.len().max(1)));
        if let Some(peer) = self.peers.get_mut(index) {
            peer.look(sim);
            let moments = peer.client.ends().moments;
            if let (Some(accepted), Some(closed)) = (moments.accepted, moments.closed)
                && peer.manner == Manner::Silent
                && !peer.was_refused
                && closed > accepted // or it was turned away for want of descriptors
                && !self.drains
                && !self.has_ladder
                && !peer.client.ends().was_struck
            {
                let lived = Duration::from_nanos(closed - accepted);
                assert!(self.is_on_time(lived), "a silent client had {lived:?}");
            }
        }
    }

    /// Whether somebody who had 10 s for his first words was cut on time: to the tick, but for what
    /// the clock jumps over within a turn, from whose beginning deadlines count.
    fn is_on_time(&self, lived: Duration) -> bool {
        let (least, jumps) = (Duration::from_secs(10), self.jumps());
        lived + jumps >= least && lived <= least + jumps + TICK
    }

    /// What the clock may jump over within a turn.
    fn jumps(&self) -> Duration {
        match self.faults.stalls > 0.0 {
            true => self.faults.stall_max * 4,
            false => Duration::ZERO,
        }
    }

    /// The liveness phase; the trace of the run.
    fn end(mut self) -> u64 {
        self.sim.set_faults(Faults::none());
        self.crowd.clear();
        for _ in 0..20 {
            for peer in &mut self.peers {
                peer.client.resume();
                peer.send(true, &self.sim);
            }
            self.keep_promises();
            self.sim.advance(Duration::from_millis(200));
        }
        for peer in &mut self.peers {
            peer.judge_at_the_end(&self.sim);
        }
        self.set_the_clock();
        for peer in &mut self.peers {
            self.numbers += 1;
            peer.say_farewell(self.numbers);
        }
        self.sim.advance(SOON);
        for peer in &mut self.peers {
            peer.judge_at_the_end(&self.sim);
        }
        let open = self.peers.iter().find(|peer| !peer.client.ends().is_closed);
        assert!(
            open.is_none(),
            "somebody was forgotten: {:?}",
            open.map(Peer::describe)
        );
        // All have said their end, and a connection lingers for two seconds at most.
        assert_eq!(self.sim.open_connections(), 0, "somebody was forgotten");
        let metrics = self.metrics();
        assert_eq!(metrics.accepted, metrics.closed_total());
        assert_eq!(metrics.memory, 0, "nobody holds it");
        if !self.drains {
            let sources = self.sim.with(|events, _| events.len());
            assert_eq!(
                sources + 1,
                self.sources,
                "all but the alarm, which has rung"
            );
            self.told_at[0] = Some(self.sim.elapsed());
            self.sim.signal(Signal::TERM);
        }
        self.sim.advance(Duration::from_secs(29));
        self.judge_outcome();
        assert!(self.sim.outcome().is_some(), "the drain never ends");
        self.judge_panics();
        self.sim.trace()
    }
}
