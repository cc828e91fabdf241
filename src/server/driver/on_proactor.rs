//! A connection as a source of a loop, over operations whose completions the loop tells.

use std::ops::ControlFlow;

use super::{Counted, Driver};
use crate::connection::Connection;
use crate::reactor::{
    Context, Event, EventSource, Held, Next, Peer, Readiness, Removed, ShortRead,
};
use crate::server::completions::Completions;
use crate::server::host::Host;
use crate::service::Service;

/// A connection of a loop, by a proactor.
pub(in crate::server) type OnProactor<S, V> = Driver<S, Held<Host<S, V>>, Completions>;

impl<S: 'static, V: Service<S>> OnProactor<S, V> {
    pub(in crate::server) fn by_completions(
        (stream, peer): (Completions, &Peer),
        home: Held<Host<S, V>>,
        connection: Connection,
        counted: Counted,
    ) -> OnProactor<S, V> {
        let mut driver = Driver::new((stream, peer), home, connection, counted);
        driver.short_read = ShortRead::SaysNothing; // what a receive has brought may be read in parts
        driver
    }

    /// What `event` is to the driver, which knows readiness only. A break when it says nothing new.
    #[inline]
    fn translate(&mut self, event: Event, cx: &mut Context<'_, S>) -> ControlFlow<(), Event> {
        match event {
            Event::Completed(completed) => match self.stream.take(completed, cx) {
                Some(readiness) => ControlFlow::Continue(Event::Ready(readiness)),
                None => ControlFlow::Break(()),
            },
            event => {
                if self.is_to_be_judged(event, cx) {
                    self.ready = self.ready.union(self.stream.look(cx));
                }
                ControlFlow::Continue(event)
            }
        }
    }

    /// Whether something that has come, and was not told, may decide what becomes of the connection.
    fn is_to_be_judged(&self, event: Event, cx: &Context<'_, S>) -> bool {
        match event {
            Event::Deadline | Event::Drain => true,
            Event::Resumed => cx.is_draining() || self.connection.is_asked_for_place(),
            _ => false,
        }
    }

    /// Begins the operations that the driver has wished for.
    #[inline]
    fn start(&mut self, cx: &mut Context<'_, S>) -> Result<(), Readiness> {
        let output = self.connection.output();
        // The meter is the host's, which is asked only about a large copy.
        let large = output.len() > crate::server::completions::COUNTED_FROM;
        let meter = large.then(|| Some(self.home.lend()?.pools.meter().clone()));
        let charge = |bytes| {
            let meter = meter.flatten();
            meter.map_or_else(Default::default, |meter| meter.charge(bytes))
        };
        self.stream.start(output, charge, cx)
    }
}

impl<S: 'static, V: Service<S>> EventSource<S> for OnProactor<S, V> {
    #[inline]
    fn handle(&mut self, event: Event, state: &mut S, cx: &mut Context<'_, S>) -> Next {
        let ControlFlow::Continue(event) = self.translate(event, cx) else {
            return self.rest();
        };
        let next = self.visit(event, state, cx);
        if next == Next::Close {
            return next;
        }
        match self.start(cx) {
            Ok(()) => next,
            Err(broken) => {
                self.ready = self.ready.union(broken);
                Next::Again
            }
        }
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
