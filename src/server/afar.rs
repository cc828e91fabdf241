//! A server whose connections are run by other threads, while a loop accepts them and keeps the books:
//! the limits, the ladder of overload, the counters, the reload, the drain.
//!
//! Who runs them is somebody else's business: see
//! [`TeamServer`](crate::concurrency::TeamServer), which is why this knows of a trait only.

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::attendance::Attendance;
use super::desk::{Desk, Note, Terms};
use super::host::ServerHandle;
use super::observer::Noted;
use super::recorder::Recorder;
use super::recording::Recording;
use super::{Reload, Server, listener, settings};
use crate::connection::{Connection, Deadlines};
use crate::http::{Request, Response, Status};
use crate::reactor::{Context, EventSource, Peer, Reserve, Result, Sources, Stream, Waker};
use crate::service::{Answered, Reply, Service};
use crate::slab::Token;
use crate::time::Tick;

/// Whoever runs connections that a loop accepts.
pub(crate) trait Elsewhere {
    /// What to wake when it has come to its end.
    fn tell_at_the_end(&self, waker: Waker);

    /// Takes a connection over. What could not be is dropped.
    fn seat(&self, arrival: Arrival, desk: &Arc<Desk>) -> io::Result<()>;

    /// How many slots there are to look at for connections.
    fn slots(&self) -> u32;

    /// Who sits in a slot, and since when it has been idle, if somebody does and is.
    fn idle_since(
        &self,
        slot: u32,
        now: Tick,
        deadlines: (&Deadlines, Option<&Deadlines>),
    ) -> Option<(Token, Tick)>;

    /// Asks one of them to go if it is idle still. False when it is not, or is gone.
    fn ask_for_place(&self, token: Token) -> bool;
}

/// An accepted connection on its way to whoever runs it.
pub(crate) struct Arrival {
    pub(super) stream: Stream,
    pub(super) peer: Peer,
    pub(super) connection: Connection,
    pub(super) noted: Option<Noted>,
    /// Which one it is, counted from 1, and when it came, in nanoseconds.
    pub(super) number: u64,
    pub(super) nanos: u64,
}

/// Who runs the connections of a server, as its books know it.
pub(super) struct Afar {
    desk: Arc<Desk>,
    team: Box<dyn Elsewhere>,
    places_max: usize,
}

impl Afar {
    pub(super) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// How many connections there can be at most, whatever the settings say.
    pub(super) fn places_max(&self) -> usize {
        self.places_max
    }

    pub(super) fn team(&self) -> &dyn Elsewhere {
        &*self.team
    }

    pub(super) fn seat(&self, arrival: Arrival) -> io::Result<()> {
        self.team.seat(arrival, &self.desk)
    }
}

/// What stands in the place of the service where only the books of a server are kept: the service has its
/// connections elsewhere.
#[derive(Debug)]
pub struct Books {
    _private: (),
}

impl<S> Service<S> for Books {
    /// Never called: no request is read here.
    fn call(&mut self, _: &Request<'_>, reply: Reply<'_>, _: &mut S) -> Answered {
        reply.send(Response::new(Status::INTERNAL_SERVER_ERROR))
    }
}

/// A server with its settings, found to make sense, for threads that are to be started.
pub(crate) struct Planned<R> {
    server: Server<R>,
    desk: Arc<Desk>,
    recorder: Option<NonZeroUsize>,
    reserve: Reserve,
    places_max: usize,
}

impl<R> Server<R> {
    /// For so many threads with places for so many connections.
    pub(crate) fn plan(mut self, threads: usize, places_max: usize) -> Result<Planned<R>> {
        settings::check(&self.config, self.bounds.connections_max)?;
        settings::check_bounds(&self.bounds)?;
        settings::check_recorder(self.recorder)?;
        self.bounds.connections_max = self.bounds.connections_max.min(places_max);
        let reserve = Reserve::new(self.reserve)?;
        let recorder = NonZeroUsize::new(self.recorder);
        let terms = Terms {
            config: self.config.clone(),
            bounds: self.bounds,
            observer: self.observer.take(),
            recorder,
        };
        Ok(Planned {
            desk: Arc::new(Desk::new(terms, threads)),
            server: self,
            recorder,
            reserve,
            places_max,
        })
    }
}

impl<R> Planned<R> {
    pub(crate) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Accepts for `team`. The source that `attend` makes is woken when something is left at the desk,
    /// and is to [settle](ServerHandle::settle) it then, and when it ends.
    pub(crate) fn attach<S, E>(
        self,
        sources: &mut impl Sources<S>,
        team: Box<dyn Elsewhere>,
        attend: impl FnOnce(ServerHandle<S, Books>) -> E,
    ) -> Result<ServerHandle<S, Books>>
    where
        S: 'static,
        E: EventSource<S>,
        R: Reload<S>,
    {
        let Planned {
            server,
            desk,
            recorder,
            reserve,
            places_max,
        } = self;
        let mut cx = sources.context();
        let mut host = desk.host(Books { _private: () }, reserve);
        host.recorder = recorder.map(Recorder::new).map(Recording::Own);
        host.afar = Some(Afar {
            desk: Arc::clone(&desk),
            team,
            places_max,
        });
        let host = cx.share(host);
        let handle = ServerHandle::new(host);
        let attendant = match cx.insert(attend(handle)) {
            Ok(attendant) => attendant,
            Err(error) => {
                drop(cx.unshare(host));
                return Err(error.into());
            }
        };
        let waker = cx.waker(attendant);
        cx.with(host, |host, _| {
            let afar = host.afar.as_ref();
            afar.map(|afar| afar.team.tell_at_the_end(waker.clone()))
        });
        desk.open(waker);
        let attendance = Attendance {
            reload: server.reload,
            hand_over: server.hand_over,
            #[cfg(feature = "systemd")]
            notifies: server.notifies,
            drain: server.drain,
        };
        let listener = cx.insert(listener::listener(server.listener, host));
        let attached = match listener {
            Ok(listener) => attendance.attach(handle, listener, &mut cx),
            Err(error) => Err(error.into()),
        };
        if attached.is_err() {
            cx.remove(attendant);
        }
        attached.map(|()| handle)
    }
}

impl<S: 'static> ServerHandle<S, Books> {
    /// Writes into the books what the threads have left at the desk: who has ended, and perhaps that too
    /// much is in use.
    pub(crate) fn settle(self, cx: &mut Context<'_, S>) {
        let local = self.host;
        let listener = cx.with(local, |host, cx| {
            let notes = host.afar.as_ref().map(|afar| afar.desk.take_notes());
            let mut listener = None;
            for Note { reason, counted } in notes.into_iter().flatten() {
                host.metrics.count_close(reason);
                listener = host.leave(counted).or(listener);
            }
            if host.is_near_a_limit() {
                host.judge_in(local, cx);
            }
            listener
        });
        if let Some(listener) = listener.flatten() {
            cx.resume(listener);
        }
    }
}

impl fmt::Debug for Afar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Afar({} places)", self.places_max)
    }
}
