//! Does the operations of a connection that a team runs: they are of the loop, which has the proactor, and
//! the connection is in the hands of whichever thread its completions have found.
//!
//! ```text
//!   team ── Woken: hears, answers, wishes ──> quay ── Woken ──> ferry ── receive, send ──> proactor
//!    ^                                         ^                  ^                           │
//!    └────────────── Woken ─── lands ──────────┴──────────────────┴────── Completed ──────────┘
//! ```
//!
//! In the words of the pattern (POSA2): the loop has the asynchronous operation processor, and the threads
//! of the team take turns at being the completion handler.
//!
//! **What it costs.** Each operation crosses threads twice: a wake-up to begin it, one to tell of it.
//! A request that is answered at once takes two calls of its connection (it has come; its answer is sent)
//! and two or three turns of the loop, where a team by readiness takes one call and no turn. What that is
//! in processor time, [patterns](crate::server#patterns) says. Nothing is allocated for a request whose answer fits
//! into the buffer that the request came in. Beside what a connection is anyway, an idle one has a quay,
//! a source of the loop and two wakers.
//!
//! Invariant: the descriptor of a connection is closed before its place is free.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use super::afar::Afar;
use super::books::CUT;
use super::carrier::{Carrier, Ferried};
use super::ledger::Note;
use super::quay::{Farewell, Quay, Side, Wishes};
use crate::proactor::{Came, Proactor, Socket};
use crate::reactor::{
    Context, Error, Event, EventSource, Held, Next, OperationId, Removed, Result, Stream,
};
use crate::server::completions::Completions;
use crate::server::host::Host;
use crate::slab::Token;

/// The side of the loop.
pub(in crate::server) struct Ferry<S, V> {
    quay: Arc<Quay>,
    home: Held<Host<S, V>>,
    proactor: Proactor,
    /// For what waits for nothing: the end of what we say, the reset.
    stream: Rc<Stream>,
    socket: Socket,
    receive: Option<OperationId>,
    send: Option<OperationId>,
}

impl<S: 'static, V: 'static> Ferry<S, V> {
    /// Puts a ferry onto the loop, for a connection that has begun nothing yet. What that moves its bytes
    /// by, and the ferry.
    pub(in crate::server) fn launch(
        completions: Completions,
        home: Held<Host<S, V>>,
        cx: &mut Context<'_, S>,
    ) -> Result<(Carrier, Token)> {
        let (proactor, stream, socket) = completions.into_parts();
        let quay = Arc::new(Quay::new());
        let ferry = cx.insert(Ferry {
            quay: Arc::clone(&quay),
            home,
            proactor,
            stream,
            socket,
            receive: None,
            send: None,
        })?;
        let ferried = Ferried::new(quay, cx.waker(ferry));
        Ok((Carrier::Ferried(Box::new(ferried)), ferry))
    }

    /// Does what the connection wishes.
    fn serve(&mut self, cx: &mut Context<'_, S>) -> Next {
        let Wishes {
            receive,
            send,
            look,
            shutdown,
            leave,
        } = self.quay.take_wishes();
        if leave {
            return Next::Close;
        }
        if shutdown {
            let _ = self.stream.shutdown_write(); // it fails if the client is gone: as well
        }
        if let Some(payload) = send {
            let started = self.proactor.send(cx, &self.socket, payload);
            self.send = self.began(Side::Outgoing, started.map_err(Error::from));
        }
        if let Some(spent) = receive {
            let started = self.proactor.receive_next(cx, &self.socket, spent);
            self.receive = self.began(Side::Incoming, started);
        }
        if look {
            self.look(cx);
        }
        Next::Wait
    }

    fn began(&self, side: Side, started: Result<OperationId>) -> Option<OperationId> {
        let failed = |error| {
            self.quay.land(side, Came::Failed(io::Error::from(error)));
            self.quay.ring();
        };
        started.map_err(failed).ok()
    }

    /// Tells of all that has completed, though the loop has not told of it.
    #[cold]
    fn look(&mut self, cx: &mut Context<'_, S>) {
        for id in [self.receive, self.send].into_iter().flatten() {
            if let Some(came) = self.proactor.take_early(cx, &self.socket, id) {
                self.land(id, came);
            }
        }
        self.quay.looked();
        self.quay.ring();
    }

    fn land(&mut self, id: OperationId, came: Came) {
        let came = match came {
            // Cancelled, which is the end of the proactor.
            Came::Nothing => Came::Failed(io::ErrorKind::ConnectionAborted.into()),
            came => came,
        };
        if self.receive.take_if(|receive| *receive == id).is_some() {
            self.quay.land(Side::Incoming, came);
        } else if self.send.take_if(|send| *send == id).is_some() {
            self.quay.land(Side::Outgoing, came);
        }
    }

    /// Ends a connection that nobody runs, and whose end is counted.
    pub(in crate::server) fn give_up(self, cx: &mut Context<'_, S>) {
        let _ = self.quay.close(); // nobody is there to say how it ends
        self.stream.abort_on_close();
        drop(self.stream);
        self.proactor.release(cx, self.socket);
    }

    /// Ends the connection, and has its end counted.
    fn go(self, cx: &mut Context<'_, S>) {
        let Ferry {
            quay,
            home,
            proactor,
            stream,
            socket,
            ..
        } = self;
        let farewell = quay.close();
        // Whoever has not said how it ends is in the middle of something.
        if farewell.as_ref().is_none_or(|farewell| farewell.resets) {
            stream.abort_on_close();
        }
        drop(stream);
        proactor.release(cx, socket);
        match farewell {
            Some(Farewell { note, .. }) => count_out(&home, note, cx),
            // Its note comes by the ledger now, if somebody reads that still.
            None if is_owed(&home) => quay.ring(),
            None => count_out(&home, CUT, cx),
        }
    }
}

fn is_owed<S: 'static, V: 'static>(home: &Held<Host<S, V>>) -> bool {
    let host = home.lend();
    host.is_some_and(|host| host.afar.as_ref().is_some_and(Afar::owe))
}

/// Writes an end into the books, and lets in whoever waits for room.
fn count_out<S: 'static, V: 'static>(
    home: &Held<Host<S, V>>,
    Note { reason, counted }: Note,
    cx: &mut Context<'_, S>,
) {
    let listener = home.lend().and_then(|mut host| {
        host.metrics.count_close(reason);
        host.leave(counted)
    });
    if let Some(listener) = listener {
        cx.resume(listener);
    }
}

impl<S: 'static, V: 'static> EventSource<S> for Ferry<S, V> {
    fn handle(&mut self, event: Event, _: &mut S, cx: &mut Context<'_, S>) -> Next {
        match event {
            Event::Completed(completed) => {
                if let Some((id, came)) = self.proactor.take_came(cx, completed) {
                    self.land(id, came);
                    self.quay.ring();
                }
                Next::Wait
            }
            Event::Woken | Event::Resumed => self.serve(cx),
            // The connection hears of the drain, and leaves when it is time.
            _ => Next::Wait,
        }
    }

    fn removed(self: Box<Self>, _: Removed, _: &mut S, cx: &mut Context<'_, S>) {
        self.go(cx);
    }

    /// The team knows whether something is under way.
    fn is_settled(&self) -> bool {
        true
    }

    fn name(&self) -> &'static str {
        "http ferry"
    }
}
