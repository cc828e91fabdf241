//! Makes a source of each accepted connection.

use super::driver::{Counted, Driver};
use super::host::Host;
use super::observer::Noted;
use crate::connection::{Connection, Turn};
use crate::reactor::{Acceptor, Context, Listener, Local, Peer, Stream, StreamListener};
use crate::service::Service;
use crate::slab::Token;

pub(super) struct HttpAcceptor<S, V> {
    host: Local<Host<S, V>>,
}

impl<S: 'static, V: Service<S>> HttpAcceptor<S, V> {
    /// The flight recorder, if there is one, learns of the connection that was just accepted.
    fn begin_record(&self, token: Token, peer: Peer, cx: &mut Context<'_, S>) {
        cx.with(self.host, |host, cx| {
            if let Some(recorder) = &mut host.recorder {
                recorder.open(token, cx.nanos(), host.metrics.accepted, peer);
            }
        });
    }
}

/// The listener source of a server.
pub(super) fn listener<S: 'static, V: Service<S>>(
    socket: StreamListener,
    host: Local<Host<S, V>>,
) -> Listener<HttpAcceptor<S, V>> {
    Listener::new(socket, HttpAcceptor { host })
}

impl<S: 'static, V: Service<S>> Acceptor<S> for HttpAcceptor<S, V> {
    fn has_room(&mut self, listener: Token, cx: &mut Context<'_, S>) -> bool {
        cx.with(self.host, |host, _| host.gate.has_room(listener))
            .unwrap_or(false)
    }

    fn wait_for_room(&mut self, listener: Token, cx: &mut Context<'_, S>) {
        cx.with(self.host, |host, _| host.gate.wait(listener));
    }

    fn accept(&mut self, stream: Stream, peer: Peer, _state: &mut S, cx: &mut Context<'_, S>) {
        let mut noted = None;
        let connection = cx.with(self.host, |host, cx| {
            noted = host.observer.as_ref().map(|_| Noted::new(peer.clone()));
            let full = host.is_full();
            let date = host.date.at(cx.unix_seconds());
            let mut turn = Turn::new(cx.now(), date, &host.config, &mut host.pools);
            turn.journal = noted.as_mut().map(|noted| &mut noted.journal);
            host.gate.enter();
            host.metrics.accepted += 1;
            match full {
                true => {
                    host.refused += 1;
                    (Connection::refused(&mut turn), Counted::Refused)
                }
                false => (Connection::new(turn.now, turn.config), Counted::Served),
            }
        });
        let Some((connection, counted)) = connection else {
            return;
        };
        match cx.insert(Driver::new((stream, &peer), self.host, connection, counted)) {
            Ok(token) => {
                if let Some(noted) = noted {
                    cx.with(self.host, |host, _| host.observe(token, noted));
                }
                self.begin_record(token, peer, cx);
            }
            Err(refused) => {
                tracing::warn!(target: "trine::http", error = %refused.error, "connection dropped");
                refused.source.give_up(cx);
            }
        }
    }

    fn closed(&mut self, cx: &mut Context<'_, S>) {
        cx.with(self.host, |host, _| {
            host.is_listening = false;
            host.report_drain();
        });
    }
}
