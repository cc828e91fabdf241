//! A row of the table: how a server is run, and what the behaviours need of one that runs.

use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use trine::Server;
use trine::concurrency::{Fellows, TeamOptions, WorkerOptions};
use trine::connection::CloseReason;
use trine::proactor::{self, ProactorOptions};
use trine::server::{Accepting, CoreOptions, Model, ServerMeter, ServerMetrics};
use trine::time::Span;

use crate::site::{Gate, Site};
use crate::support::client::Client;
use crate::support::{PATIENCE, eventually};

/// How events come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pattern {
    /// Readiness: sources read and write by themselves.
    Reactor,
    /// Completions of operations that are done over readiness.
    Proactor,
    /// Completions of operations that the kernel does.
    #[cfg(feature = "io-uring")]
    IoUring,
}

impl Pattern {
    fn apply(self, server: Server) -> Server {
        let pattern = match self {
            Pattern::Reactor => return server,
            Pattern::Proactor => proactor::Pattern::Emulated,
            #[cfg(feature = "io-uring")]
            Pattern::IoUring => proactor::Pattern::IoUring,
        };
        server.proactor(ProactorOptions {
            pattern,
            ..ProactorOptions::default()
        })
    }
}

/// Who runs loops and calls the service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Single,
    HalfSync,
    Team,
    LoopPerCore,
    /// The same with one loop that accepts for all.
    OneAcceptor,
    /// The same with connections that move, alive, to where there are fewest.
    Rebalancing,
}

/// One way to run a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Combination {
    pub pattern: Pattern,
    pub kind: Kind,
}

/// Loops of the models that have several: more than the processors of a small machine, and a divisor of
/// the numbers of the tests.
pub const LOOPS: usize = 4;

/// Clients of the tests do not close in the middle, so that a drain waits for so long.
const LINGER: Span = Span::from_millis(50);

impl Combination {
    /// How many loops serve.
    pub fn loops(&self) -> usize {
        match self.kind {
            Kind::Single | Kind::HalfSync | Kind::Team => 1,
            Kind::LoopPerCore | Kind::OneAcceptor | Kind::Rebalancing => LOOPS,
        }
    }

    /// Whether connections are spread over the loops to one.
    pub fn is_even(&self) -> bool {
        !matches!(self.kind, Kind::LoopPerCore | Kind::Rebalancing)
    }

    fn model(&self) -> Model {
        let per_core = |accepting, rebalancing| {
            Model::LoopPerCore(CoreOptions {
                loops: LOOPS,
                accepting,
                rebalancing,
                ..CoreOptions::default()
            })
        };
        match self.kind {
            Kind::Single => Model::Single,
            Kind::HalfSync => Model::HalfSyncHalfAsync(WorkerOptions {
                workers: 4,
                ..WorkerOptions::default()
            }),
            Kind::Team => Model::LeaderFollowers(TeamOptions {
                threads: LOOPS,
                ..TeamOptions::default()
            }),
            Kind::LoopPerCore => per_core(Accepting::Kernel, None),
            Kind::OneAcceptor => per_core(Accepting::One, None),
            Kind::Rebalancing => per_core(Accepting::Kernel, Some(1)),
        }
    }

    /// A server with the site of the suite.
    pub fn start(&self) -> Running {
        self.start_with(|server| server)
    }

    /// The same with other settings.
    pub fn start_with(&self, configure: impl FnOnce(Server) -> Server) -> Running {
        self.serve(configure, Site::default())
    }

    /// The same with a site of other kind.
    pub fn serve(&self, configure: impl FnOnce(Server) -> Server, site: Site) -> Running {
        let mut server = configure(Server::bind("127.0.0.1:0").unwrap());
        server.config_mut().deadlines.linger = LINGER;
        let (address, model) = (server.local_address().unwrap(), self.model());
        let server = self.pattern.apply(server);
        let (give, take) = channel();
        let gate = site.gate.clone();
        let thread = thread::spawn(move || {
            let serving = server.under(model);
            serving.run_with(
                move || site.clone(),
                || (),
                move |core, meter, _| {
                    if core.number() == 0 {
                        give.send((core.fellows().clone(), meter.clone())).unwrap();
                    }
                    Ok(())
                },
            )
        });
        let (fellows, meter) = take.recv_timeout(PATIENCE).unwrap();
        Running {
            address,
            fellows,
            meter,
            gate,
            thread: Some(thread),
        }
    }
}

/// A server that runs.
pub struct Running {
    address: SocketAddr,
    fellows: Fellows,
    meter: ServerMeter,
    gate: Gate,
    thread: Option<JoinHandle<trine::Result<()>>>,
}

impl Running {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Counters that include all that had been answered before the call.
    pub fn counted(&self) -> ServerMetrics {
        let asked = self.meter.ask();
        let mut counted = None;
        eventually("what each loop counts", || {
            counted = self.meter.answer(&asked);
            counted.is_some()
        });
        counted.unwrap()
    }

    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    pub fn meter(&self) -> &ServerMeter {
        &self.meter
    }

    /// Waits until so many connections have ended for `reason`.
    pub fn awaits_closed(&self, reason: CloseReason, count: u64) {
        eventually(&format!("{count} closed: {reason}"), || {
            self.meter.read().closed(reason) == count
        });
    }

    pub fn drain(&self, grace: Duration) {
        self.fellows.drain(grace);
    }

    pub fn force(&self) {
        self.fellows.force();
    }

    /// Waits for the end that somebody asked for: how it ended, and what was counted.
    pub fn ended(mut self) -> (trine::Result<()>, ServerMetrics) {
        let thread = self.thread.take().unwrap();
        eventually("the end of the server", || thread.is_finished());
        let ended = thread.join().unwrap();
        (ended, self.meter.read())
    }

    /// Drains the server, which has nothing left to do; all of its connections have ended then.
    pub fn end(self) -> ServerMetrics {
        self.drain(PATIENCE);
        let (ended, counted) = self.ended();
        ended.unwrap();
        assert_eq!(counted.connections, 0);
        assert_eq!(counted.accepted, counted.closed_total(), "{counted:?}");
        counted
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        self.fellows.stop();
        let joined = thread.join();
        if !thread::panicking() {
            joined.unwrap().unwrap();
        }
    }
}
