//! A connection of a server in a seat of a team.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::afar::{Arrival, Elsewhere};
use super::bench::Bench;
use super::ledger::Ledger;
use crate::concurrency::{Handler, LeaderFollowers, TeamContext};
use crate::connection::Deadlines;
use crate::reactor::{Event, Next, Removed, Waker};
use crate::server::driver::OnTeam;
use crate::server::present::Present;
use crate::service::Service;
use crate::slab::Token;
use crate::time::Tick;

impl<S: 'static, V: Service<S>> Handler<Bench<S, V>> for OnTeam<S> {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        OnTeam::descriptor(self)
    }

    fn handle(&mut self, event: Event, bench: &mut Bench<S, V>, cx: &TeamContext<'_>) -> Next {
        OnTeam::handle(self, event, bench, &mut { cx })
    }

    fn is_settled(&self) -> bool {
        OnTeam::is_settled(self)
    }

    fn removed(self: Box<Self>, why: Removed, bench: &mut Bench<S, V>, cx: &TeamContext<'_>) {
        self.go(why, bench, &mut { cx });
    }
}

impl Present for &TeamContext<'_> {
    fn token(&self) -> Token {
        TeamContext::token(self)
    }

    fn now(&self) -> Tick {
        TeamContext::now(self)
    }

    fn nanos(&self) -> u64 {
        TeamContext::nanos(self)
    }

    fn unix_seconds(&mut self) -> u64 {
        TeamContext::unix_seconds(self)
    }

    fn is_draining(&self) -> bool {
        TeamContext::is_draining(self)
    }

    fn waker(&self) -> Waker {
        TeamContext::waker(self)
    }
}

impl<S: 'static, V: Service<S>> Elsewhere for LeaderFollowers<Bench<S, V>> {
    fn tell_at_the_end(&self, waker: Waker) {
        LeaderFollowers::tell_at_the_end(self, waker);
    }

    fn seat(&self, arrival: Arrival, ledger: &Arc<Ledger>) -> io::Result<()> {
        let is_watched = arrival.carrier.descriptor().is_some();
        let connection = OnTeam::<S>::seated(arrival, ledger);
        let seated = match is_watched {
            true => self.insert_ready(connection),
            false => self.insert(connection),
        };
        seated.map(drop).map_err(|(_, error)| error)
    }

    fn slots(&self) -> u32 {
        self.seats()
    }

    fn idle_since(
        &self,
        slot: u32,
        now: Tick,
        deadlines: (&Deadlines, Option<&Deadlines>),
    ) -> Option<(Token, Tick)> {
        let idle = self.look(slot, |handler, present| {
            let connection = handler.as_any().downcast_ref::<OnTeam<S>>()?;
            // A thread may have served it since the loop looked at the clock.
            connection.idle_as_of(present.max(now), deadlines)
        });
        let (token, since) = idle?;
        Some((token, since?))
    }

    fn ask_for_place(&self, token: Token) -> bool {
        let mut is_news = false;
        self.nudge(token, |handler| {
            if let Some(connection) = handler.as_any_mut().downcast_mut::<OnTeam<S>>() {
                is_news = !connection.is_asked_for_place();
                connection.ask_for_place();
            }
        }) && is_news
    }
}
