//! Makes a source of each accepted connection, or has it wait for a place.

use super::completions::Completions;
use super::driver::{Counted, Driver, OnLoop, OnProactor};
use super::host::Host;
use super::ladder::Rung;
use super::models::Desk;
use super::observer::Noted;
use super::team::{Arrival, Carrier, Ferry};
use crate::connection::{CloseReason, Connection, Turn};
use crate::proactor::Proactor;
use crate::reactor::{
    Acceptor, Context, EventSource, Listener, Local, Peer, Result, Stream, StreamListener,
    Succession,
};
use crate::service::Service;
use crate::slab::Token;

pub(super) struct HttpAcceptor<S, V> {
    host: Local<Host<S, V>>,
    /// Who moves the bytes of a connection, if that is not the connection.
    proactor: Option<Proactor>,
    /// Accepted when the server was full, for the place of somebody idle.
    waiting: Option<(Stream, Peer)>,
    /// Gives connections to other loops.
    desk: Option<Desk>,
}

/// What to do with one client more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Admission {
    Place,
    /// When somebody idle has made room.
    Wait,
    /// Tell it that there is no room.
    Refusal,
}

impl<S: 'static, V: Service<S>> HttpAcceptor<S, V> {
    pub(super) fn new(host: Local<Host<S, V>>, proactor: Option<Proactor>) -> HttpAcceptor<S, V> {
        HttpAcceptor {
            host,
            proactor,
            waiting: None,
            desk: None,
        }
    }

    /// The same for one that gives connections to other loops.
    pub(super) fn sharing(self, desk: Desk) -> HttpAcceptor<S, V> {
        let desk = Some(desk);
        HttpAcceptor { desk, ..self }
    }

    /// The flight recorder, if there is one, learns of the connection that was just accepted.
    fn begin_record(&self, token: Token, peer: Peer, cx: &mut Context<'_, S>) {
        cx.with(self.host, |host, cx| {
            if let Some(recorder) = &mut host.recorder {
                let (nanos, number) = (cx.nanos(), host.metrics.accepted);
                recorder.add(|recorder| recorder.open(token, nanos, number, peer));
            }
        });
    }
}

/// The listener source of a server.
pub(super) fn listener<S: 'static, V: Service<S>>(
    socket: StreamListener,
    acceptor: HttpAcceptor<S, V>,
) -> Listener<HttpAcceptor<S, V>> {
    Listener::new(socket, acceptor)
}

/// What a connection moves its bytes by.
enum By {
    Readiness(Stream),
    Completions(Completions),
}

/// Makes a source of a connection, or has it given up.
fn insert<S: 'static, D: EventSource<S>>(
    driver: D,
    cx: &mut Context<'_, S>,
    give_up: impl FnOnce(D, &mut Context<'_, S>),
) -> Option<Token> {
    match cx.insert(driver) {
        Ok(token) => Some(token),
        Err(refused) => {
            drop_connection(&refused.error);
            give_up(refused.source, cx);
            None
        }
    }
}

fn drop_connection(error: &impl std::fmt::Display) {
    tracing::warn!(target: "trine::http", %error, "connection dropped");
}

impl<S, V> Host<S, V> {
    /// One that was counted in is not served, while the listener runs: it does not wait to be resumed.
    fn drop_connection(&mut self, error: &impl std::fmt::Display) {
        drop_connection(error);
        self.metrics.count_close(CloseReason::Overloaded);
        let _ = self.leave(Counted::Served);
    }
}

impl<S: 'static, V: Service<S>> HttpAcceptor<S, V> {
    fn admission(&self, cx: &mut Context<'_, S>) -> Admission {
        let local = self.host;
        let admission = cx.with(local, |host, cx| match host.is_full() {
            false => Admission::Place,
            true if !cx.is_draining() && host.is_making_room(local, cx) => Admission::Wait,
            true if host.may_refuse() => Admission::Refusal,
            true => Admission::Wait,
        });
        admission.unwrap_or(Admission::Wait)
    }

    /// What a connection moves its bytes by. `None` when that cannot be: it is counted as dropped then.
    fn transport(&self, stream: Stream, peer: &Peer, cx: &mut Context<'_, S>) -> Option<By> {
        let Some(proactor) = self.proactor else {
            return Some(By::Readiness(stream));
        };
        match Completions::new(proactor, stream, peer.short_read(), cx) {
            Ok(completions) => Some(By::Completions(completions)),
            Err(error) => {
                drop_connection(&error);
                cx.with(self.host, |host, _| {
                    host.metrics.count_close(CloseReason::Overloaded);
                });
                None
            }
        }
    }

    /// Makes a source of `stream`, which is served or refused.
    fn seat(&mut self, stream: Stream, peer: Peer, counted: Counted, cx: &mut Context<'_, S>) {
        let local = self.host;
        let Some(transport) = self.transport(stream, &peer, cx) else {
            return;
        };
        let (mut noted, mut is_afar) = (None, false);
        let connection = cx.with(local, |host, cx| {
            is_afar = host.afar.is_some() && counted == Counted::Served;
            noted = host.observer.as_ref().map(|_| Noted::new(peer.clone()));
            host.enter();
            let date = host.date.at(cx.unix_seconds());
            let mut turn = Turn::new(cx.now(), date, &host.config, &mut host.pools);
            turn.journal = noted.as_mut().map(|noted| &mut noted.journal);
            let connection = match counted {
                Counted::Refused => Connection::refused(&mut turn),
                Counted::Served | Counted::Finishing => Connection::new(turn.now, turn.config),
            };
            host.refused += usize::from(counted == Counted::Refused);
            if host.is_near_a_limit() {
                host.judge_in(local, cx);
            }
            connection
        });
        let (Some(connection), Some(home)) = (connection, cx.hold(local)) else {
            return;
        };
        let seated = match transport {
            By::Readiness(stream) if is_afar => {
                let carrier = Carrier::Stream(stream);
                self.seat_afar((carrier, peer), connection, noted, cx);
                return;
            }
            By::Completions(stream) if is_afar => {
                let launched = Ferry::launch(stream, home, cx);
                return self.seat_by_ferry((launched, peer), connection, noted, cx);
            }
            By::Readiness(stream) => {
                let driver = Driver::new((stream, &peer), home, connection, counted);
                insert(driver, cx, OnLoop::give_up)
            }
            By::Completions(stream) => {
                let driver = OnProactor::by_completions((stream, &peer), home, connection, counted);
                insert(driver, cx, OnProactor::give_up)
            }
        };
        let Some(token) = seated else {
            return;
        };
        if let Some(noted) = noted {
            cx.with(local, |host, _| host.observe(token, noted));
        }
        self.begin_record(token, peer, cx);
    }

    /// A client that another loop accepted is gone before this one has taken it.
    pub(super) fn turn_off(&mut self, reason: CloseReason, cx: &mut Context<'_, S>) {
        cx.with(self.host, |host, _| {
            host.metrics.accepted += 1;
            host.metrics.count_close(reason);
        });
    }

    /// The same by a ferry, if there is one.
    fn seat_by_ferry(
        &mut self,
        (launched, peer): (Result<(Carrier, Token)>, Peer),
        connection: Connection,
        noted: Option<Noted>,
        cx: &mut Context<'_, S>,
    ) {
        match launched {
            Ok((carrier, ferry)) => {
                if !self.seat_afar((carrier, peer), connection, noted, cx)
                    && let Some(ferry) = cx.take::<Ferry<S, V>>(ferry)
                {
                    ferry.give_up(cx); // it is counted
                }
            }
            Err(error) => {
                cx.with(self.host, |host, _| host.drop_connection(&error));
            }
        }
    }

    /// Gives a connection that is counted in to those who run it. Whether they took it.
    fn seat_afar(
        &mut self,
        (carrier, peer): (Carrier, Peer),
        connection: Connection,
        noted: Option<Noted>,
        cx: &mut Context<'_, S>,
    ) -> bool {
        let seated = cx.with(self.host, |host, cx| {
            let arrival = Arrival {
                carrier,
                peer,
                connection,
                noted,
                number: host.metrics.accepted,
                nanos: cx.nanos(),
            };
            let seated = host.afar.as_ref().map(|afar| afar.seat(arrival));
            let Some(Err(error)) = seated else {
                return true;
            };
            host.drop_connection(&error);
            false
        });
        seated.unwrap_or(false)
    }

    /// Sees to whoever waits for a place. Whether nobody does any more.
    fn seat_waiting(&mut self, cx: &mut Context<'_, S>) -> bool {
        let Some((stream, peer)) = self.waiting.take() else {
            return true;
        };
        match self.share(stream, peer, false, cx) {
            Some((stream, peer)) => self.admit(stream, peer, cx),
            None => {
                cx.with(self.host, |host, _| {
                    host.waiting = 0;
                    host.metrics.accepted -= 1; // it counts where it went
                });
            }
        }
        self.waiting.is_none()
    }

    /// Gives a client to another loop, if that has more room; back, if not. It `may_stay`, unless only another
    /// loop is in question.
    fn share(
        &mut self,
        stream: Stream,
        peer: Peer,
        may_stay: bool,
        cx: &mut Context<'_, S>,
    ) -> Option<(Stream, Peer)> {
        let Some(desk) = &mut self.desk else {
            return Some((stream, peer));
        };
        let is_paused = |host: &mut Host<S, V>, _: &mut Context<'_, S>| {
            host.overload.rung() == Rung::PauseAccepting
        };
        let is_paused = cx.with(self.host, is_paused).unwrap_or(true);
        desk.give(stream, peer, may_stay && !is_paused)
    }

    /// Lets in a client that is for this loop.
    pub(super) fn arrived(&mut self, stream: Stream, peer: Peer, cx: &mut Context<'_, S>) {
        cx.with(self.host, |host, _| host.metrics.accepted += 1);
        match self.waiting {
            None => self.admit(stream, peer, cx),
            // Another loop had room, and has it no more: one waits at most.
            Some(_) => self.seat(stream, peer, Counted::Refused, cx),
        }
    }

    fn admit(&mut self, stream: Stream, peer: Peer, cx: &mut Context<'_, S>) {
        let admission = self.admission(cx);
        cx.with(self.host, |host, _| {
            host.waiting = usize::from(admission == Admission::Wait);
        });
        match admission {
            Admission::Place => self.seat(stream, peer, Counted::Served, cx),
            Admission::Refusal => self.seat(stream, peer, Counted::Refused, cx),
            Admission::Wait => self.waiting = Some((stream, peer)),
        }
    }
}

impl<S: 'static, V: Service<S>> HttpAcceptor<S, V> {
    /// Whether one more may come in to this loop.
    fn has_room_here(&mut self, listener: Token, cx: &mut Context<'_, S>) -> bool {
        let is_seated = self.waiting.is_none() || self.seat_waiting(cx);
        let has_room = cx.with(self.host, |host, cx| {
            // Before a drain closes the socket, whoever stands in the queue is let in.
            let is_paused = host.overload.rung() == Rung::PauseAccepting && !cx.is_draining();
            // Whoever stands in the queue can be served better by the successor, which has it too.
            let is_passed_on = cx.succession() == Succession::PassedOn
                && (host.is_full() || host.overload.rung() >= Rung::Refuse);
            if is_paused || is_passed_on || !is_seated {
                host.gate.wait(listener);
                return false;
            }
            let has_room = host.has_room();
            if !has_room {
                host.gate.wait(listener);
            }
            has_room
        });
        has_room.unwrap_or(false)
    }
}

impl<S: 'static, V: Service<S>> Acceptor<S> for HttpAcceptor<S, V> {
    fn has_room(&mut self, listener: Token, cx: &mut Context<'_, S>) -> bool {
        self.has_room_here(listener, cx) || self.desk.as_ref().is_some_and(Desk::has_room_or_waits)
    }

    fn wait_for_room(&mut self, listener: Token, cx: &mut Context<'_, S>) {
        let local = self.host;
        cx.with(local, |host, cx| {
            host.gate.wait(listener);
            host.handle_no_descriptor(local, cx);
        });
    }

    fn lend_descriptor(&mut self, cx: &mut Context<'_, S>) -> bool {
        let lent = cx.with(self.host, |host, _| host.reserve.give_up());
        lent.unwrap_or(false)
    }

    fn take_back(&mut self, cx: &mut Context<'_, S>) {
        cx.with(self.host, |host, _| host.reserve.refill());
    }

    fn turned_away(&mut self, clients: u64, cx: &mut Context<'_, S>) {
        cx.with(self.host, |host, _| host.metrics.turned_away += clients);
    }

    fn accept(&mut self, stream: Stream, peer: Peer, _state: &mut S, cx: &mut Context<'_, S>) {
        if let Some((stream, peer)) = self.share(stream, peer, true, cx) {
            self.arrived(stream, peer, cx);
        }
    }

    fn closed(&mut self, cx: &mut Context<'_, S>) {
        let was_waiting = self.waiting.take().is_some();
        cx.with(self.host, |host, _| {
            if was_waiting {
                host.waiting = 0;
                host.metrics.count_close(CloseReason::Overloaded);
            }
            host.is_listening = false;
            host.report_drain();
        });
    }
}
