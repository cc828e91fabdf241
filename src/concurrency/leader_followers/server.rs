//! The HTTP server whose connections a team of threads runs.
//!
//! ```text
//!   the loop: listener ── accepts, counts in ──> a seat of the team
//!      ^  limits, ladder, signals, reload           │ whichever thread finds an event
//!      │                                            v
//!      └── Woken: who has ended <── desk <── connection ── call ──> Service, with the thread's state
//! ```

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::seat::First;
use super::{Handler, LeaderFollowers, Members, TeamContext, TeamOptions};
use crate::connection::Deadlines;
use crate::reactor::{
    Context, Event, EventSource, Next, Registry, Removed, Result, Sources, Waker,
};
use crate::server::{
    Arrival, Bench, Books, Desk, Elsewhere, OnThreads, Present, Reload, Server, ServerHandle,
};
use crate::service::Service;
use crate::slab::Token;
use crate::time::Tick;

/// Puts servers before a team of threads.
#[derive(Debug)]
pub struct TeamServer;

impl TeamServer {
    /// Starts a team of threads that run the connections of `server`, which `sources` accepts.
    pub fn attach<R, C, S, V>(
        server: Server<R>,
        sources: &mut impl Sources<C>,
        options: TeamOptions,
        service: impl Fn() -> V + Send + Sync + 'static,
        state: impl Fn() -> S + Send + Sync + 'static,
    ) -> Result<ServerHandle<C, Books>>
    where
        R: Reload<C>,
        C: 'static,
        S: 'static,
        V: Service<S>,
    {
        let threads = options.threads.max(1);
        let planned = server.plan(threads, options.handlers_max.max(1) as usize)?;
        // The place of a connection is free when its thread has let go of it, a moment after it has
        // left: each thread has a place more for that moment.
        let spare = u32::try_from(threads).unwrap_or(u32::MAX);
        let options = TeamOptions {
            threads,
            handlers_max: options.handlers_max.max(1).saturating_add(spare),
        };
        let desk = Arc::clone(planned.desk());
        let make = move |number| Bench::new(&desk, number, service(), state());
        let (team, members) = LeaderFollowers::start(options, make)?;
        planned.attach(sources, Box::new(team), |books| Quarters { members, books })
    }
}

impl<S: 'static, V: Service<S>> Handler<Bench<S, V>> for OnThreads<S> {
    fn descriptor(&self) -> BorrowedFd<'_> {
        OnThreads::descriptor(self)
    }

    fn handle(&mut self, event: Event, bench: &mut Bench<S, V>, cx: &TeamContext<'_>) -> Next {
        self.visit(event, bench, &mut { cx })
    }

    fn is_settled(&self) -> bool {
        OnThreads::is_settled(self)
    }

    fn removed(self: Box<Self>, why: Removed, bench: &mut Bench<S, V>, cx: &TeamContext<'_>) {
        self.go(why, bench, &mut { cx });
    }
}

impl Present for &TeamContext<'_> {
    fn token(&self) -> Token {
        self.token
    }

    fn now(&self) -> Tick {
        self.now
    }

    fn nanos(&self) -> u64 {
        self.nanos
    }

    fn unix_seconds(&mut self) -> u64 {
        self.unix_seconds
    }

    fn is_draining(&self) -> bool {
        self.is_draining
    }

    fn waker(&self) -> Waker {
        TeamContext::waker(self)
    }
}

impl<S: 'static, V: Service<S>> Elsewhere for LeaderFollowers<Bench<S, V>> {
    fn tell_at_the_end(&self, waker: Waker) {
        self.team.tell_at_the_end(waker);
    }

    fn seat(&self, arrival: Arrival, desk: &Arc<Desk>) -> io::Result<()> {
        let connection = Box::new(OnThreads::<S>::afar(arrival, desk));
        let seated = self.team.insert(connection, First::Anything);
        seated.map(drop).map_err(|(_, error)| error)
    }

    fn slots(&self) -> u32 {
        u32::try_from(self.team.seats()).unwrap_or(u32::MAX)
    }

    fn idle_since(
        &self,
        slot: u32,
        now: Tick,
        deadlines: (&Deadlines, Option<&Deadlines>),
    ) -> Option<(Token, Tick)> {
        let idle = self.team.look(slot, |handler| {
            let connection = handler.as_any().downcast_ref::<OnThreads<S>>()?;
            connection.idle_as_of(now, deadlines)
        });
        let (token, since) = idle?;
        Some((token, since?))
    }

    fn ask_for_place(&self, token: Token) -> bool {
        self.team.nudge(token, |handler| {
            if let Some(connection) = handler.as_any_mut().downcast_mut::<OnThreads<S>>() {
                connection.ask_for_place();
            }
        })
    }
}

/// The team of a server, as the loop sees it. Dropped, it ends the team at once.
struct Quarters<C, T: 'static> {
    members: Members<T>,
    books: ServerHandle<C, Books>,
}

impl<C: 'static, T: 'static> EventSource<C> for Quarters<C, T> {
    fn register(&mut self, registry: &mut Registry<'_>) -> io::Result<()> {
        EventSource::<C>::register(&mut self.members, registry)
    }

    fn handle(&mut self, event: Event, state: &mut C, cx: &mut Context<'_, C>) -> Next {
        self.books.settle(cx);
        self.members.handle(event, state, cx)
    }

    /// Whoever was still there is cut now, and written into the books.
    fn removed(self: Box<Self>, _: Removed, _: &mut C, cx: &mut Context<'_, C>) {
        let Quarters { members, books } = *self;
        drop(members);
        books.settle(cx);
    }

    fn is_settled(&self) -> bool {
        EventSource::<C>::is_settled(&self.members)
    }

    fn name(&self) -> &'static str {
        "leader/followers"
    }
}
