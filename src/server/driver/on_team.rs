//! A connection that one of several threads runs, whichever is free, one at a time.
//!
//! It is the same as one of a [loop](super::on_loop), but that what its loop would keep beside it travels
//! with it, and that its end is noted for the loop that accepted it.

use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use super::{Counted, Driver};
use crate::connection::Deadlines;
use crate::reactor::{Event, Next, Peer, Removed, ShortRead};
use crate::server::observer::Noted;
use crate::server::present::Present;
use crate::server::team::{Arrival, Bench, Carrier, Ledger, Note};
use crate::server::unit::Unit;
use crate::service::Service;
use crate::time::Tick;

/// A connection of a team.
pub(in crate::server) type OnTeam<S> = Driver<S, Home, Carrier>;

/// Where it has come from, and what it takes along.
pub(in crate::server) struct Home {
    ledger: Arc<Ledger>,
    /// For whoever wants to know of its exchanges, while no thread has it.
    noted: Option<Box<Noted>>,
    /// What the flight recorder is to learn first.
    newcomer: Option<Box<Newcomer>>,
}

struct Newcomer {
    peer: Peer,
    number: u64,
    nanos: u64,
}

/// Closes the socket and leaves its note when it is dropped.
struct Leaving<'a> {
    ledger: &'a Ledger,
    last: Option<(Carrier, Note)>,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some((carrier, note)) = self.last.take() {
            carrier.leave(note, self.ledger);
        }
    }
}

impl<S: 'static> OnTeam<S> {
    pub(in crate::server) fn seated(arrival: Arrival, ledger: &Arc<Ledger>) -> OnTeam<S> {
        let Arrival {
            carrier,
            peer,
            connection,
            noted,
            number,
            nanos,
        } = arrival;
        let home = Home {
            ledger: Arc::clone(ledger),
            noted: noted.map(Box::new),
            newcomer: None,
        };
        let mut driver = Driver::new((carrier, &peer), home, connection, Counted::Served);
        if let Carrier::Ferried(_) = driver.stream {
            driver.short_read = ShortRead::SaysNothing; // what has come may be read in parts
        }
        if ledger.recorder().is_some() {
            driver.home.newcomer = Some(Box::new(Newcomer {
                peer,
                number,
                nanos,
            }));
        }
        driver
    }

    /// One that only lingers has said its last word.
    pub(in crate::server) fn is_settled(&self) -> bool {
        self.connection.is_settled()
    }

    /// Whether it was asked to go, and has had no turn since.
    pub(in crate::server) fn is_asked_for_place(&self) -> bool {
        self.connection.is_asked_for_place()
    }

    /// What is watched, if the connection sees to its socket itself.
    pub(in crate::server) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.stream.descriptor()
    }

    /// Reacts to what the thread is told for it.
    pub(in crate::server) fn handle<V: Service<S>>(
        &mut self,
        event: Event,
        bench: &mut Bench<S, V>,
        cx: &mut impl Present,
    ) -> Next {
        match self.stream {
            Carrier::Stream(_) => self.visit(event, bench, cx),
            Carrier::Ferried(_) => self.visit_ferried(event, bench, cx),
        }
    }

    /// Does what `event` makes possible.
    pub(super) fn visit<V: Service<S>>(
        &mut self,
        event: Event,
        bench: &mut Bench<S, V>,
        cx: &mut impl Present,
    ) -> Next {
        bench.catch_up();
        self.unpack(bench, cx);
        let next = self.run(event, &mut bench.host, &mut bench.state, cx);
        if self.connection.holds_memory() {
            self.connection.handle_blocked(&mut bench.host.pools);
            if bench.host.is_near_a_limit() {
                self.home.ledger.ring(); // the loop judges
            }
        }
        if let Some(observer) = &mut bench.host.observer {
            self.home.noted = observer.take(cx.token()).map(Box::new);
        }
        bench.publish();
        next
    }

    /// Gives the thread what the connection has taken along.
    fn unpack<V>(&mut self, bench: &mut Bench<S, V>, cx: &impl Present) {
        if let Some(noted) = self.home.noted.take() {
            bench.host.observe(cx.token(), *noted);
        }
        if let Some(newcomer) = self.home.newcomer.take()
            && let Some(recorder) = &mut bench.host.recorder
        {
            let Newcomer {
                peer,
                number,
                nanos,
            } = *newcomer;
            recorder.add(|recorder| recorder.open(cx.token(), nanos, number, peer));
        }
    }

    /// The last call.
    pub(in crate::server) fn go<V: Service<S>>(
        mut self,
        why: Removed,
        bench: &mut Bench<S, V>,
        cx: &mut impl Present,
    ) {
        self.unpack(bench, cx);
        let let_go = AssertUnwindSafe(|| {
            if !matches!(why, Removed::Closed | Removed::Panicked) {
                self.end = self.connection.handle_abort(&mut bench.host.pools);
            }
            let mut unit = Unit {
                service: &mut bench.host.service,
                state: &mut bench.state,
                metrics: &mut bench.host.metrics,
            };
            unit.let_go(&mut self.exchange);
        });
        // Whatever the service's values do when they are dropped, the connection leaves.
        let result = catch_unwind(let_go);
        self.leave(bench, cx);
        if let Err(payload) = result {
            resume_unwind(payload);
        }
    }

    /// Has the end counted, and whoever waits for room let in.
    fn leave<V>(mut self, bench: &mut Bench<S, V>, cx: &mut impl Present) {
        let reason = self.ended();
        let counted = self.counted;
        // Written last, and also when a listener of the user's panics: the place is free.
        let _leaving = Leaving {
            ledger: &self.home.ledger,
            last: Some((self.stream, Note { reason, counted })),
        };
        bench.host.report(Some(reason), cx);
        if let Some(recorder) = &mut bench.host.recorder {
            recorder.close(cx.token(), cx.nanos(), reason);
        }
        bench.publish();
    }

    /// Since when it has been idle, if it is.
    pub(in crate::server) fn idle_as_of(
        &self,
        now: Tick,
        (deadlines, before): (&Deadlines, Option<&Deadlines>),
    ) -> Option<Tick> {
        self.connection.idle_since(now, deadlines, before)
    }
}
