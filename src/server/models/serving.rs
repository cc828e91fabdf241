//! Runs a server under a model.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::board::{Board, Part, part_of};
use super::desk::desk;
use super::member::Member;
use super::meter::ServerMeter;
use super::vigil::{Ending, Vigil};
use super::{Accepting, CoreOptions, Model};
use crate::concurrency::{Core, HalfSyncHalfAsync, LoopPerCore, TeamOptions};
use crate::reactor::{Context, Error, ErrorKind, EventLoop, Result, Signal, Sources};
use crate::server::host::{Bounds, ServerHandle};
use crate::server::install::{Care, Door, Share};
use crate::server::reload::{NoReload, Reload};
use crate::server::{Server, settings};
use crate::service::Service;

/// A server, and the model that it is to run under; from [`Server::under`].
#[derive(Debug)]
pub struct Serving<R = NoReload> {
    server: Server<R>,
    model: Model,
}

impl<R> Server<R> {
    /// Chooses who runs the loops and calls the service. What is set about the server holds for all of it,
    /// however many loops there are: limits are divided among them.
    ///
    /// ```no_run
    /// use trine::server::{CoreOptions, Model};
    /// use trine::service::respond;
    /// use trine::{Response, Server};
    ///
    /// fn main() -> trine::Result<()> {
    ///     let several = Model::LoopPerCore(CoreOptions { loops: 2, ..Default::default() });
    ///     Server::bind("127.0.0.1:8080")?
    ///         .under(several) // or Model::Single, and all else stays
    ///         .run(|| respond(|_| Response::text("hello\n")), || ())
    /// }
    /// ```
    #[must_use]
    pub fn under(self, model: Model) -> Serving<R> {
        Serving {
            server: self,
            model,
        }
    }
}

impl<R> Serving<R> {
    /// Runs the server until SIGTERM or SIGINT has asked for a drain and it is complete. `service` and
    /// `state` are called on each thread that calls the service, and for each loop, so neither what they
    /// make need be [`Send`].
    ///
    /// # Errors
    ///
    /// As [`Server::serve`]; and what cannot be divided among several loops, with what to do about it.
    pub fn run<S, V>(
        self,
        service: impl Fn() -> V + Send + Sync + 'static,
        state: impl Fn() -> S + Send + Sync + 'static,
    ) -> Result<()>
    where
        S: 'static,
        V: Service<S>,
        R: Reload<S> + 'static,
    {
        self.run_with(service, state, |_, _, _| Ok(()))
    }

    /// The same, with other sources on the loops: `set_up` is called for each loop, on its thread, before
    /// the server is put there. What concerns the whole program is for the loop of number 0. The
    /// [meter](ServerMeter) reads the counters, and [`Core::fellows`] drains or stops the server, both
    /// from any thread.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use trine::server::Model;
    /// use trine::service::respond;
    /// use trine::{Response, Server, Sources};
    ///
    /// # fn main() -> trine::Result<()> {
    /// Server::bind("127.0.0.1:8080")?.under(Model::Single).run_with(
    ///     || respond(|_| Response::text("hello\n")),
    ///     || (),
    ///     |core, meter, event_loop| {
    ///         let meter = meter.clone();
    ///         if core.number() == 0 {
    ///             event_loop.every(Duration::from_secs(1), move |_, _, _| {
    ///                 println!("{} requests", meter.read().requests);
    ///             })?;
    ///         }
    ///         Ok(())
    ///     },
    /// )
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`run`](Serving::run), and what `set_up` says: then nothing is served.
    pub fn run_with<S, V, F>(
        self,
        service: impl Fn() -> V + Send + Sync + 'static,
        state: impl Fn() -> S + Send + Sync + 'static,
        set_up: F,
    ) -> Result<()>
    where
        S: 'static,
        V: Service<S>,
        R: Reload<S> + 'static,
        F: Fn(&Core, &ServerMeter, &mut EventLoop<S>) -> Result<()> + Send + Sync + 'static,
    {
        let plan = Plan {
            drain: self.server.drain,
            stall: self.server.stall,
            set_up,
        };
        match self.model {
            Model::Single => plan.alone(self.server, |_| Ok(service()), state),
            Model::HalfSyncHalfAsync(options) => {
                let state = Arc::new(state);
                let of_a_worker = Arc::clone(&state);
                let start = move |board: &Board| {
                    let state = move || of_a_worker();
                    let service = HalfSyncHalfAsync::start(&options, service, state)?;
                    let _ = board.workers.set(service.meter()); // it is set once
                    Ok(service)
                };
                plan.alone(self.server, start, move || state())
            }
            Model::LeaderFollowers(options) => plan.team(self.server, options, service, state),
            Model::LoopPerCore(options) => plan.per_core(self.server, options, service, state),
        }
    }
}

/// What is the same for each loop.
struct Plan<F> {
    drain: Duration,
    stall: Option<Duration>,
    set_up: F,
}

/// What a loop gets.
struct Lot<R> {
    share: Share,
    /// For one loop of all.
    care: Option<Care<R>>,
}

impl<F> Plan<F> {
    /// One loop, on this thread.
    fn alone<S: 'static, V: Service<S>, R: Reload<S>>(
        self,
        server: Server<R>,
        service: impl FnOnce(&Board) -> Result<V>,
        state: impl Fn() -> S,
    ) -> Result<()>
    where
        F: Fn(&Core, &ServerMeter, &mut EventLoop<S>) -> Result<()>,
    {
        let (share, care) = server.split()?;
        let board = Board::new(1, share.bounds.connections_max, usize::MAX);
        let lot = Lot {
            share,
            care: Some(care),
        };
        LoopPerCore::run_here(|core, events| {
            self.prepare(core, &board, events)?;
            let state = state();
            let member = lot.install(service(&board)?, core, &board, events)?;
            let ending = Ending::new(&board, core.number());
            Ok((state, move |events: &mut EventLoop<S>| {
                member.publish(&mut events.context());
                drop(ending);
            }))
        })
    }

    /// One loop, on this thread, and a team that has its connections.
    fn team<S: 'static, V: Service<S>, R: Reload<S>>(
        self,
        server: Server<R>,
        options: TeamOptions,
        service: impl Fn() -> V + Send + Sync + 'static,
        state: impl Fn() -> S + Send + Sync + 'static,
    ) -> Result<()>
    where
        F: Fn(&Core, &ServerMeter, &mut EventLoop<S>) -> Result<()>,
    {
        let (share, care) = server.split()?;
        let board = Board::new(1, share.bounds.connections_max, usize::MAX);
        LoopPerCore::run_here(|core, events| {
            self.prepare(core, &board, events)?;
            let of_the_loop = state();
            let mut cx = events.context();
            let handle = share.quarter(options, service, state, &mut cx)?.handle;
            care.attend(handle, &mut cx)?;
            let member = enlist(handle, core, &board, &mut cx)?;
            let ending = Ending::new(&board, core.number());
            Ok((of_the_loop, move |events: &mut EventLoop<S>| {
                member.publish(&mut events.context());
                drop(ending);
            }))
        })
    }

    /// Several loops, on threads of theirs.
    fn per_core<S: 'static, V: Service<S>, R: Reload<S> + 'static>(
        self,
        server: Server<R>,
        options: CoreOptions,
        service: impl Fn() -> V + Send + Sync + 'static,
        state: impl Fn() -> S + Send + Sync + 'static,
    ) -> Result<()>
    where
        F: Fn(&Core, &ServerMeter, &mut EventLoop<S>) -> Result<()> + Send + Sync + 'static,
    {
        let loops = options.loops.max(1);
        let (share, care) = server.split()?;
        settings::check_loops(share.bounds.connections_max, loops)?;
        if options.rebalancing.is_some() && share.proactor.is_some() {
            let what = "the connections of a server by operations, which stay at their loop: take \
                        Accepting::One, which is even from the beginning, or the reactor";
            return Err(Error::new(ErrorKind::Invalid, "rebalance", what));
        }
        settings::check_memory(share.bounds.memory_max, &share.config, loops)?;
        let is_handed_over = care.hand_over.is_some();
        let imbalance_max = options.rebalancing.map_or(usize::MAX, |most| most.max(1));
        let board = Board::new(loops, share.bounds.connections_max, imbalance_max);
        let shares = share.divide(&board, options.accepting, is_handed_over)?;
        let mut care = Some(care);
        let lots = shares.into_iter().map(|share| {
            let care = care.take();
            Some(Lot { share, care })
        });
        let lots = Mutex::new(lots.collect::<Vec<_>>());
        let of_all = Arc::clone(&board);
        let threads = LoopPerCore::new().loops(loops).pinning(options.pinning);
        let ended = threads.run_to_the_end(move |core, events| {
            let ending = Ending::new(&board, core.number());
            self.prepare(core, &board, events)?;
            let state = state();
            let lot = {
                let mut lots = lots.lock().unwrap_or_else(PoisonError::into_inner);
                lots[core.number()]
                    .take()
                    .expect("each loop is set up once")
            };
            let member = lot.install(service(), core, &board, events)?;
            if core.number() == 0 {
                Vigil::attach(&board, &mut events.context())?;
            }
            Ok((state, move |events: &mut EventLoop<S>| {
                member.publish(&mut events.context());
                drop(ending); // here, or when the loop panicked
            }))
        });
        if of_all.is_drained() {
            ServerMeter::new(&of_all).read().report_drain();
        }
        ended
    }

    /// What comes before the server: a signal that arrives while the rest is set up drains in the first
    /// turn.
    fn prepare<S: 'static>(
        &self,
        core: &Core,
        board: &Arc<Board>,
        events: &mut EventLoop<S>,
    ) -> Result<()>
    where
        F: Fn(&Core, &ServerMeter, &mut EventLoop<S>) -> Result<()>,
    {
        if core.number() == 0 {
            events.drain_on_signals([Signal::TERM, Signal::INT], self.drain)?;
        }
        if let Some(limit) = self.stall {
            events.watch_stalls(limit, |_| {})?; // it is logged
        }
        (self.set_up)(core, &ServerMeter::new(board), events)
    }
}

impl<R> Lot<R> {
    /// Puts it onto its loop. What tells its counters at the end.
    fn install<S: 'static, V: Service<S>>(
        self,
        service: V,
        core: &Core,
        board: &Arc<Board>,
        events: &mut EventLoop<S>,
    ) -> Result<Member<S, V>>
    where
        R: Reload<S>,
    {
        let mut cx = events.context();
        let (handle, _) = self.share.install(service, &mut cx)?;
        if let Some(care) = self.care {
            care.attend(handle, &mut cx)?;
        }
        enlist(handle, core, board, &mut cx)
    }
}

/// Has a server on a loop say what it counts. What tells it at the end.
fn enlist<S: 'static, V: Service<S>>(
    handle: ServerHandle<S, V>,
    core: &Core,
    board: &Arc<Board>,
    cx: &mut Context<'_, S>,
) -> Result<Member<S, V>> {
    let member = || Member::new(board, core.number(), handle);
    member().attach(cx)?;
    Ok(member())
}

impl Share {
    /// As many shares as loops, which together are this one.
    fn divide(
        self,
        board: &Arc<Board>,
        accepting: Accepting,
        is_handed_over: bool,
    ) -> Result<Vec<Share>> {
        let loops = board.loops();
        if loops == 1 {
            return Ok(vec![self]);
        }
        let doors = self.door.divide(board, accepting, is_handed_over)?;
        let mut observers = match self.observer {
            Some(observer) => observer.divide(loops),
            None => Vec::new(),
        };
        let share = |(number, door)| {
            let part = |whole| part_of(whole, loops, number);
            Share {
                door,
                config: self.config.clone(),
                bounds: Bounds {
                    connections_max: part(self.bounds.connections_max),
                    memory_max: part(self.bounds.memory_max).max(1),
                    ladder: self.bounds.ladder,
                },
                reserve: match accepting {
                    // Clients come to one, so descriptors run out there.
                    Accepting::One if number == 0 => self.reserve,
                    Accepting::One => 0,
                    Accepting::Kernel => self.reserve.div_ceil(loops),
                },
                observer: observers.pop().map(Box::new),
                recorder: self.recorder,
                part: Some(Part::new(board, number)),
                afar: None,
                proactor: self.proactor,
            }
        };
        Ok(doors.into_iter().enumerate().map(share).collect())
    }
}

impl Door {
    fn divide(
        self,
        board: &Arc<Board>,
        accepting: Accepting,
        is_handed_over: bool,
    ) -> Result<Vec<Door>> {
        let Door::Listener(listener) = self else {
            return Ok(vec![self]); // it is divided already
        };
        let refuse = |why: &str| {
            let what = format!(
                "among loops {why}: take Accepting::One, by which one loop accepts for all"
            );
            Err(Error::new(ErrorKind::Invalid, "divide", what))
        };
        match accepting {
            Accepting::One => {
                let (desk, intakes) = desk(board);
                let mut doors = vec![Door::Desk(listener, desk)];
                doors.extend(intakes.into_iter().map(Door::Intake));
                Ok(doors)
            }
            Accepting::Kernel if is_handed_over => refuse("a listening socket that is handed over"),
            Accepting::Kernel if listener.is_taken_over() => {
                refuse("a listening socket that another process may have as well")
            }
            Accepting::Kernel if listener.local_address().is_none() => refuse("a Unix socket"),
            Accepting::Kernel => {
                let Ok(more) = listener.more(board.loops() - 1) else {
                    return refuse("a socket that the kernel does not share, as another user's");
                };
                let mut doors = vec![Door::Listener(listener)];
                doors.extend(more.into_iter().map(Door::Listener));
                Ok(doors)
            }
        }
    }
}
