//! A server whose connections a team of threads runs, while a loop accepts them and keeps the books: the
//! limits, the ladder of overload, the counters, the reload, the drain.
//!
//! ```text
//!   the loop: listener ── accepts, counts in ──> a seat of the team
//!      ^  limits, ladder, signals, reload           │ whichever thread finds an event
//!      │                                            v
//!      └── Woken: who has ended <── ledger <── connection ── call ──> Service, with the thread's state
//! ```
//!
//! **What runs where.** The loop calls no service: it reads no request, but writes the 503 to whoever is
//! beyond the limit. A connection is in its seat, or in the hands of one thread, which serves it from the
//! read to the write with a service, a state, buffers and counters of its own: nothing is locked for a
//! request but the seat. So one connection sees its requests answered in order, but by any thread, and
//! what a service remembers of a connection must be found by all of them.
//!
//! **By operations** ([`Server::proactor`]) the loop has the proactor, and a *ferry* for each connection
//! that starts its operations (`ferry.rs`); a connection has no descriptor then and is only woken.
//!
//! **A call that waits** keeps its own thread, not the lead: the others go on, as many as there are.
//!
//! **What is shared.** The limits hold for all threads together: the loop counts the connections, and the
//! bytes are counted by one meter. Which rung the server is on, the loop judges, also when a thread
//! finds that much is in use; each thread looks before it runs a connection.
//!
//! Invariant: a connection counts until its descriptor is closed and the loop has read so in the ledger:
//! there are never more than the limit.

mod afar;
mod bench;
mod books;
mod carrier;
mod ferry;
mod ledger;
mod quay;
mod seats;

use std::sync::Arc;

use super::Server;
use super::host::ServerHandle;
use super::install::Share;
use super::listener::HttpAcceptor;
use super::reload::Reload;
use crate::concurrency::{LeaderFollowers, Members, TeamOptions};
use crate::http::{Request, Response, Status};
use crate::reactor::{
    Context, Event, EventSource, Listener, Next, Registry, Removed, Result, Sources,
};
use crate::service::{Answered, Reply, Service};
use crate::slab::Token;

pub(super) use afar::{Afar, Arrival};
pub(super) use bench::Bench;
pub(super) use carrier::Carrier;
pub(super) use ferry::Ferry;
pub(super) use ledger::{Ledger, Note};

/// What stands in the place of the service on a loop that only keeps the books: the service is where the
/// connections are.
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

impl<R> Server<R> {
    /// Puts the server on a loop, as [`attach`](Server::attach) does, and its connections in the hands of
    /// a team of threads: [leader/followers](crate::concurrency::LeaderFollowers). `service` and `state`
    /// are called once on each thread, so neither what they make need be [`Send`].
    ///
    /// There are at most [`handlers_max`](TeamOptions::handlers_max) connections, whatever
    /// [`connections_max`](Server::connections_max) says. [`on_reload`](Server::on_reload) is lent the
    /// state of the loop, not that of a thread; [`on_served`](Server::on_served) is called by the threads,
    /// one at a time. A thread whose service hangs is not reported by
    /// [`watch_stalls`](Server::watch_stalls), which watches the loop.
    ///
    /// ```no_run
    /// use trine::concurrency::TeamOptions;
    /// use trine::service::respond;
    /// use trine::{EventLoop, Response, Server};
    ///
    /// # fn main() -> trine::Result<()> {
    /// let mut event_loop = EventLoop::new()?;
    /// let server = Server::bind("127.0.0.1:8080")?;
    /// let service = || respond(|_| Response::text("hello\n"));
    /// server.attach_team(&mut event_loop, TeamOptions::default(), service, || ())?;
    /// event_loop.run(&mut ())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`attach`](Server::attach), and when a thread cannot be started, or `service` or `state` panics.
    pub fn attach_team<C, S, V>(
        self,
        sources: &mut impl Sources<C>,
        options: TeamOptions,
        service: impl Fn() -> V + Send + Sync + 'static,
        state: impl Fn() -> S + Send + Sync + 'static,
    ) -> Result<ServerHandle<C, Books>>
    where
        C: 'static,
        S: 'static,
        V: Service<S>,
        R: Reload<C>,
    {
        let (share, care) = self.split()?;
        let mut cx = sources.context();
        let quartered = share.quarter(options, service, state, &mut cx)?;
        let attended = care.attend(quartered.handle, &mut cx);
        if attended.is_err() {
            quartered.remove::<Bench<S, V>>(&mut cx);
        }
        attended.map(|()| quartered.handle)
    }
}

/// A server on a loop, with its team.
pub(super) struct Quartered<C> {
    pub(super) handle: ServerHandle<C, Books>,
    door: Token,
    quarters: Token,
}

impl<C: 'static> Quartered<C> {
    /// Takes it from the loop again: the threads have ended then, and nobody listens.
    fn remove<T: 'static>(&self, cx: &mut Context<'_, C>) {
        drop(cx.take::<Quarters<C, T>>(self.quarters));
        remove_door(self.handle, self.door, cx);
    }
}

/// Takes a server from its loop that nobody has found yet.
fn remove_door<C: 'static>(handle: ServerHandle<C, Books>, door: Token, cx: &mut Context<'_, C>) {
    drop(cx.take::<Listener<HttpAcceptor<C, Books>>>(door));
    drop(cx.unshare(handle.host));
}

impl Share {
    /// Starts a team, and puts the server onto a loop that accepts for it.
    pub(super) fn quarter<C, S, V>(
        mut self,
        options: TeamOptions,
        service: impl Fn() -> V + Send + Sync + 'static,
        state: impl Fn() -> S + Send + Sync + 'static,
        cx: &mut Context<'_, C>,
    ) -> Result<Quartered<C>>
    where
        C: 'static,
        S: 'static,
        V: Service<S>,
    {
        let threads = options.threads.max(1);
        let places_max = options.handlers_max.max(1);
        self.bounds.connections_max = self.bounds.connections_max.min(places_max as usize);
        let ledger = Arc::new(Ledger::new(&mut self, threads));
        // A seat is free when its thread has let go of it, a moment after the connection has left: each
        // thread has a seat more for that moment.
        let spare = u32::try_from(threads).unwrap_or(u32::MAX);
        let seats = TeamOptions {
            threads,
            handlers_max: places_max.saturating_add(spare),
        };
        let of_threads = Arc::clone(&ledger);
        let make = move |number| Bench::new(&of_threads, number, service(), state());
        let (team, members) = LeaderFollowers::start(seats, make)?;
        self.afar = Some(Afar::new(ledger, Box::new(team), places_max as usize));
        let (handle, door) = self.install(Books { _private: () }, cx)?;
        let quarters = Quarters {
            members,
            books: handle,
        };
        let quarters = cx.insert(quarters).map_err(|refused| {
            drop(refused.source); // the threads end
            remove_door(handle, door, cx);
            refused.error
        })?;
        let waker = cx.waker(quarters);
        cx.with(handle.host, |host, _| {
            host.afar.as_ref().map(|afar| afar.open(waker))
        });
        Ok(Quartered {
            handle,
            door,
            quarters,
        })
    }
}

/// The team of a server, as the loop sees it. Dropped, it ends the team at once.
struct Quarters<C, T: 'static> {
    members: Members<T>,
    books: ServerHandle<C, Books>,
}

impl<C: 'static, T: 'static> EventSource<C> for Quarters<C, T> {
    fn register(&mut self, registry: &mut Registry<'_>) -> std::io::Result<()> {
        EventSource::<C>::register(&mut self.members, registry)
    }

    fn handle(&mut self, event: Event, state: &mut C, cx: &mut Context<'_, C>) -> Next {
        self.books.settle(cx);
        self.members.handle(event, state, cx)
    }

    /// Whoever was still there is cut now, and written into the books.
    fn removed(self: Box<Self>, _: Removed, _: &mut C, cx: &mut Context<'_, C>) {
        let Quarters { members, books } = *self;
        members.end(cx);
        books.settle(cx);
        books.write_off(cx);
    }

    fn is_settled(&self) -> bool {
        EventSource::<C>::is_settled(&self.members)
    }

    fn name(&self) -> &'static str {
        EventSource::<C>::name(&self.members)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;
    use crate::reactor::EventLoop;

    #[test]
    fn a_server_that_is_taken_from_its_loop_again_leaves_no_thread_and_nobody_listens() {
        type Alive = Arc<()>;
        let alive = Alive::default();
        let of_threads = Arc::clone(&alive);
        let state = move || Arc::clone(&of_threads);
        let service = || |_: &Request<'_>, reply: Reply<'_>, _: &mut Alive| reply.text("ok");
        let server = Server::bind("127.0.0.77:0").unwrap(); // where no other test listens
        let address = server.local_address().unwrap();
        let mut events = EventLoop::<()>::new().unwrap();
        let mut cx = events.context();
        let (share, _) = server.split().unwrap();
        let quartered = share
            .quarter(TeamOptions::default(), service, state, &mut cx)
            .unwrap();
        assert!(Arc::strong_count(&alive) > 1);
        quartered.remove_as(&service(), &mut cx);
        assert_eq!(Arc::strong_count(&alive), 1, "a thread has its state still");
        assert!(TcpStream::connect(address).is_err());
        assert!(quartered.handle.metrics(&mut cx).is_none());
        assert!(events.is_empty());
    }

    impl Quartered<()> {
        /// For a service whose type has no name.
        fn remove_as<V: Service<Arc<()>>>(&self, _: &V, cx: &mut Context<'_, ()>) {
            self.remove::<Bench<Arc<()>, V>>(cx);
        }
    }
}
