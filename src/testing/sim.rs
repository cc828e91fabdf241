//! A simulated machine with one event loop on it.

use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::client::Client;
use super::{Dice, Faults};
use crate::concurrency::Crew;
use crate::reactor::simulated::Network;
use crate::reactor::{EventLoop, Result, Signal, Sources, StreamListener, Turn};
use crate::server::{Server, ServerHandle};
use crate::service::Service;

/// Turns without time passing after which a simulation is said to be stuck.
const TURNS_MAX: u32 = 1_000_000;

/// A machine in memory, one event loop on it, and the state `S` that its sources are lent.
///
/// Everything is decided by the seed and by what the test does; see [`testing`](crate::testing).
pub struct Sim<S = ()> {
    inside: Rc<Inside<S>>,
    network: Network,
    seed: u64,
    drains_on_signals: bool,
}

/// What a [`Sim`] shares with its clients, which run it when they wait for an answer.
pub(super) struct Inside<S> {
    network: Network,
    crew: Crew,
    running: RefCell<Running<S>>,
}

struct Running<S> {
    event_loop: EventLoop<S>,
    state: S,
    outcome: Option<Result<()>>,
}

impl Sim {
    /// A machine that `seed` decides, without faults, for services without a state.
    ///
    /// # Panics
    ///
    /// When the process has no descriptor left; a machine takes one.
    #[must_use]
    pub fn seeded(seed: u64) -> Sim {
        Sim::with_state(seed, ())
    }
}

impl<S: 'static> Sim<S> {
    /// A machine that `seed` decides, without faults, whose sources are lent `state`.
    ///
    /// # Panics
    ///
    /// When the process has no descriptor left; a machine takes one.
    #[must_use]
    pub fn with_state(seed: u64, state: S) -> Sim<S> {
        let made =
            Network::new(seed).and_then(|network| network.event_loop().map(|made| (network, made)));
        let (network, event_loop) = made.expect("a simulation takes one descriptor");
        Sim {
            inside: Rc::new(Inside {
                crew: Crew::new(network.clone(), Dice::new(seed ^ 0xc4e3)),
                network: network.clone(),
                running: RefCell::new(Running {
                    event_loop,
                    state,
                    outcome: None,
                }),
            }),
            network,
            seed,
            drains_on_signals: false,
        }
    }

    /// A server with an address of its own on this machine, with the settings that
    /// [`Server::bind`] gives.
    #[must_use]
    pub fn server(&self) -> Server {
        Server::over(self.network.listen().0)
    }

    /// Serves `service` as [`Server::serve_with`] does: SIGTERM and SIGINT of [`Sim::signal`] drain
    /// the loop, within the grace of the first server that is served so. Returns where clients
    /// connect to.
    ///
    /// # Panics
    ///
    /// When a setting makes no sense.
    pub fn serve(&mut self, server: Server, service: impl Service<S>) -> SocketAddr {
        let grace = server.grace();
        let (address, _) = self.attach(server, service);
        if !std::mem::replace(&mut self.drains_on_signals, true) {
            let drains = |events: &mut EventLoop<S>, _: &mut S| {
                events.drain_on_signals([Signal::TERM, Signal::INT], grace)
            };
            self.with(drains).expect("these signals can be caught");
        }
        address
    }

    /// Puts a server onto the loop as [`Server::attach`] does. Returns where clients connect to, and
    /// the key to its counters; see [`Sim::with`].
    ///
    /// # Panics
    ///
    /// When a setting makes no sense.
    pub fn attach<V: Service<S>>(
        &mut self,
        server: Server,
        service: V,
    ) -> (SocketAddr, ServerHandle<S, V>) {
        let address = server.local_address();
        let address = address.expect("a simulated server has an address");
        let attached = self.with(|events, _| server.attach(events, service));
        (address, attached.expect("the settings make sense"))
    }

    pub(super) fn network(&self) -> &Network {
        &self.network
    }

    pub(super) fn crew(&self) -> &Crew {
        &self.inside.crew
    }

    /// A listener with an address of its own, for streams of another protocol; see
    /// [`Sources::streams`].
    #[must_use]
    pub fn listen(&self) -> (StreamListener, SocketAddr) {
        self.network.listen()
    }

    /// Calls `f` with the loop and the state: to insert sources, to read counters.
    ///
    /// # Panics
    ///
    /// When it is called by a source of this loop.
    pub fn with<R>(&mut self, f: impl FnOnce(&mut EventLoop<S>, &mut S) -> R) -> R {
        let running = &mut *self.inside.running();
        f(&mut running.event_loop, &mut running.state)
    }

    /// A client comes to `address`. Where nobody listens, its connection is reset.
    #[must_use]
    pub fn connect(&mut self, address: SocketAddr) -> Client<S> {
        let id = self.network.connect(address);
        Client::new(Rc::clone(&self.inside), self.network.clone(), id)
    }

    /// Lets `duration` pass, from timer to timer. Everything that is due by then has been done when
    /// it returns.
    ///
    /// # Panics
    ///
    /// When the loop broke its word, or never comes to rest.
    pub fn advance(&mut self, duration: Duration) {
        self.inside.run(duration);
    }

    /// Does what can be done without time passing.
    ///
    /// # Panics
    ///
    /// As [`advance`](Sim::advance).
    pub fn settle(&mut self) {
        self.inside.run(Duration::ZERO);
    }

    /// One step of each thread whose time has come, and one turn of the loop, which takes what is ready;
    /// no time passes.
    ///
    /// # Panics
    ///
    /// When the loop broke its word.
    pub fn turn(&mut self) {
        let _ = self.inside.turn(false);
    }

    /// How much time has passed.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.network.elapsed()
    }

    /// Sends a signal to the program. No handler is installed in the real one.
    pub fn signal(&mut self, signal: Signal) {
        self.network.signal(signal.number());
    }

    /// What goes wrong from now on.
    pub fn set_faults(&mut self, faults: Faults) {
        self.network.set_faults(faults);
    }

    /// How the loop ended, once it has: drained, or forced. `None` while it goes on.
    #[must_use]
    pub fn outcome(&self) -> Option<std::result::Result<(), String>> {
        let running = self.inside.running();
        let outcome = running.outcome.as_ref()?;
        Some(outcome.as_ref().copied().map_err(ToString::to_string))
    }

    /// A hash over every event dispatched, every byte moved and every alarm so far.
    #[must_use]
    pub fn trace(&self) -> u64 {
        self.network.trace()
    }

    /// How many steps were taken: how many times the loop has waited.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.network.waits()
    }

    /// How many connections the servers have open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.network.open()
    }

    /// Dice of the same seed, for what the test leaves to chance.
    #[must_use]
    pub fn dice(&self) -> Dice {
        Dice::new(self.seed ^ 0x7e57)
    }
}

impl<S> Inside<S> {
    fn running(&self) -> std::cell::RefMut<'_, Running<S>> {
        let running = self.running.try_borrow_mut();
        running.expect("a source cannot use the simulation that runs it")
    }
}

impl<S: 'static> Inside<S> {
    /// Runs until `duration` has passed and nothing is left to do.
    pub(super) fn run(&self, duration: Duration) {
        let until = self.network.elapsed() + duration;
        let mut turns = 0;
        loop {
            let before = self.network.elapsed();
            self.network.allow(until.saturating_sub(before));
            if !self.turn(true) {
                return self.run_threads(until);
            }
            if self.network.has_rested() {
                return; // as far as was allowed, with nothing left to do
            }
            turns = match self.network.elapsed() > before {
                true => 0,
                false => turns + 1,
            };
            assert!(turns < TURNS_MAX, "the loop does not come to rest");
        }
    }

    /// Lets threads go on, with no loop to see the clock, until it shows `until`.
    fn run_threads(&self, until: Duration) {
        for _ in 0..TURNS_MAX {
            self.crew.run();
            if self.network.pass(until) {
                return;
            }
        }
        panic!("the threads do not come to rest");
    }

    /// One step of each thread, and one turn. Whether there will be another.
    fn turn(&self, may_sleep: bool) -> bool {
        self.crew.run();
        let Running {
            event_loop,
            state,
            outcome,
        } = &mut *self.running();
        let turned = match may_sleep {
            true => event_loop.turn(state),
            false => event_loop.turn_now(state),
        };
        if let Some(violation) = self.network.violation() {
            panic!("the loop broke its word: {violation}");
        }
        match turned {
            Ok(Turn::Goes) => return true,
            // A loop that has ended ends again at once; how it ended first is what counts.
            Ok(Turn::Ended) => drop(outcome.get_or_insert(Ok(()))),
            Err(error) => *outcome = Some(Err(error)),
        }
        false
    }
}

/// A test that fails says what to repeat.
impl<S> Drop for Sim<S> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (seed, step, at) = (self.seed, self.network.waits(), self.network.elapsed());
            eprintln!("the simulation of seed {seed} had taken {step} steps and was at {at:?}");
        }
    }
}

impl<S> fmt::Debug for Sim<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim")
            .field("seed", &self.seed)
            .field("elapsed", &self.network.elapsed())
            .finish_non_exhaustive()
    }
}
