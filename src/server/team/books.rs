//! What the books of a server have of those who run its connections, if others do.

use super::Books;
use super::afar::Afar;
use super::ledger::{Note, Tally};
use crate::connection::CloseReason;
use crate::reactor::Context;
use crate::server::driver::Counted;
use crate::server::host::{Host, ServerHandle};
use crate::server::metrics::ServerMetrics;
use crate::server::recording::Recording;

/// Of a connection that does not come to its end.
pub(super) const CUT: Note = Note {
    reason: CloseReason::Forced,
    counted: Counted::Served,
};

impl<S, V> Host<S, V> {
    /// The counters, with those of whoever else runs the connections.
    pub(in crate::server) fn counted(&self) -> ServerMetrics {
        let afar = self.afar.as_ref();
        let afar = afar.map_or_else(Tally::default, Afar::counted);
        ServerMetrics {
            requests: self.metrics.requests + afar.requests,
            panics: self.metrics.panics + afar.panics,
            shares_spent: self.metrics.shares_spent + afar.shares_spent,
            ..self.metrics.clone()
        }
    }

    /// The flight recorders of all connections, if there are any.
    pub(in crate::server) fn recorders(&self) -> impl Iterator<Item = &Recording> {
        let afar = self.afar.as_ref().and_then(Afar::recorder);
        self.recorder.iter().chain(afar)
    }
}

impl<S: 'static, V> Host<S, V> {
    /// A server that drains is short of nothing.
    pub(in crate::server) fn handle_drain(&mut self, cx: &Context<'_, S>) {
        self.overload.handle_drain(cx.now());
        self.publish_rung();
    }

    pub(in crate::server) fn publish_rung(&self) {
        if let Some(afar) = &self.afar {
            afar.publish_rung(self.overload.rung());
        }
    }
}

impl<S: 'static> ServerHandle<S, Books> {
    /// Writes into the books what the threads have left in the ledger: who has ended, and perhaps that too
    /// much is in use.
    pub(super) fn settle(self, cx: &mut Context<'_, S>) {
        let local = self.host;
        let listener = cx.with(local, |host, cx| {
            let notes = host.afar.as_ref().map(Afar::take_notes);
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
    /// There is no team any more. Whoever is in a call of a service that has not come back is cut with it:
    /// what that thread writes when it does is not read.
    pub(super) fn write_off(self, cx: &mut Context<'_, S>) {
        cx.with(self.host, |host, _| {
            let closed = host.afar.as_ref().map(Afar::close);
            let (left, owed) = closed.unwrap_or_default();
            let cut = (0..owed).map(|_| CUT);
            for Note { reason, counted } in left.into_iter().chain(cut) {
                host.metrics.count_close(reason);
                // No more are let in.
                let _ = host.leave(counted);
            }
        });
    }
}
