//! A connection as a source of a loop, over a socket that the loop watches.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::Driver;
use crate::connection::CloseReason;
use crate::reactor::{Context, Event, EventSource, Held, Next, Registry, Removed, Stream};
use crate::server::host::Host;
use crate::server::transport::Transport;
use crate::server::unit::Unit;
use crate::service::Service;

/// A connection of a loop.
pub(in crate::server) type OnLoop<S, V> = Driver<S, Held<Host<S, V>>, Stream>;

impl<S: 'static, V: Service<S>, T: Transport> Driver<S, Held<Host<S, V>>, T> {
    /// Ends a connection that never became a source.
    pub(in crate::server) fn give_up(mut self, cx: &mut Context<'_, S>) {
        self.end = CloseReason::Overloaded;
        self.leave(cx);
    }

    /// Reacts to what the loop tells it.
    #[inline(always)]
    pub(super) fn visit(&mut self, event: Event, state: &mut S, cx: &mut Context<'_, S>) -> Next {
        let home = self.home.clone();
        let Some(mut host) = home.lend() else {
            return Next::Close;
        };
        let next = self.run(event, &mut host, state, cx);
        if self.connection.holds_memory() {
            self.rest_with_memory(&mut host, cx);
        }
        next
    }

    /// It waits, and holds buffers meanwhile: as little as it can, and perhaps too much for the server.
    #[inline(never)]
    fn rest_with_memory(&mut self, host: &mut Host<S, V>, cx: &mut Context<'_, S>) {
        self.connection.handle_blocked(&mut host.pools);
        if host.is_near_a_limit() {
            host.judge_in(self.home.key(), cx);
        }
    }

    /// The last call.
    pub(super) fn go(mut self, why: Removed, state: &mut S, cx: &mut Context<'_, S>) {
        let let_go = AssertUnwindSafe(|| {
            let Some(mut host) = self.home.lend() else {
                return;
            };
            let host = &mut *host;
            if !matches!(why, Removed::Closed | Removed::Panicked) {
                self.end = self.connection.handle_abort(&mut host.pools);
            }
            let (service, metrics) = (&mut host.service, &mut host.metrics);
            let mut unit = Unit {
                service,
                state,
                metrics,
            };
            unit.let_go(&mut self.exchange);
        });
        // Whatever the service's values do when they are dropped, the connection leaves.
        let result = catch_unwind(let_go);
        self.leave(cx);
        if let Err(payload) = result {
            resume_unwind(payload);
        }
    }

    /// Counts the end, and lets in whoever waits for room.
    fn leave(mut self, cx: &mut Context<'_, S>) {
        let end = self.ended();
        let counted = self.counted;
        self.stream.close(cx); // a descriptor is free, and a server that lent one is the first to know
        let listener = self.home.lend().and_then(|mut host| {
            host.report(Some(end), cx);
            host.metrics.count_close(end);
            if let Some(recorder) = &mut host.recorder {
                recorder.close(cx.token(), cx.nanos(), end);
            }
            host.leave(counted)
        });
        if let Some(listener) = listener {
            cx.resume(listener);
        }
    }
}

impl<S: 'static, V: Service<S>> EventSource<S> for OnLoop<S, V> {
    fn register(&mut self, registry: &mut Registry<'_>) -> io::Result<()> {
        registry.stream(&self.stream)
    }

    #[inline]
    fn handle(&mut self, event: Event, state: &mut S, cx: &mut Context<'_, S>) -> Next {
        self.visit(event, state, cx)
    }

    fn removed(self: Box<Self>, why: Removed, state: &mut S, cx: &mut Context<'_, S>) {
        self.go(why, state, cx);
    }

    /// One that only lingers has said its last word.
    fn is_settled(&self) -> bool {
        self.connection.is_settled()
    }

    fn name(&self) -> &'static str {
        "http connection"
    }
}
