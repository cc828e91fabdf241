//! A connection as a source of a loop, over operations whose completions the loop tells.

use std::ops::ControlFlow;

use super::{Counted, Driver};
use crate::connection::{Connection, Step, Turn};
use crate::reactor::{
    Context, Event, EventSource, Held, Next, Peer, Readiness, Removed, ShortRead,
};
use crate::server::completions::Completions;
use crate::server::host::Host;
use crate::server::transport::Transport;
use crate::service::Service;

/// Buffers that are taken in before a judgement: enough for any head, however small they are.
const LOOKS_MAX: usize = 1024;

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
                    self.look(event, cx);
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

    /// Takes in all that has come before it is judged, not only what one buffer held, and tries again to
    /// send what waits for room.
    #[cold]
    fn look(&mut self, event: Event, cx: &mut Context<'_, S>) {
        for _ in 0..LOOKS_MAX {
            let came = self.stream.look(cx);
            self.ready = self.ready.union(came);
            if !came.is_readable() || !self.connection.is_reading() || !self.take_in(came, cx) {
                break;
            }
        }
        if !matches!(event, Event::Deadline) {
            return;
        }
        let (again, came) = self.stream.recall(cx);
        self.ready = self.ready.union(came);
        if again {
            let began = self.start(cx).err().unwrap_or_default();
            let came = self.stream.look(cx);
            self.ready = self.ready.union(began).union(came);
        }
    }

    /// Reads what has come, without going further. Whether there may be more to read.
    #[cold]
    fn take_in(&mut self, came: Readiness, cx: &mut Context<'_, S>) -> bool {
        let home = self.home.clone();
        let Some(mut host) = home.lend() else {
            return false;
        };
        let Host {
            config,
            pools,
            date,
            observer,
            recorder,
            is_watched,
            ..
        } = &mut *host;
        let mut turn = Turn::new(cx.now(), date.at(cx.unix_seconds()), config, pools);
        if *is_watched && let Some(observer) = observer {
            turn.journal = observer.journal(cx.token());
        }
        let step = self.read_all(&mut turn);
        if *is_watched && let Some(recorder) = recorder {
            self.record(recorder, Event::Ready(came), &turn, 0, cx);
        }
        if step == Some(Step::Shutdown) {
            let _ = self.stream.shutdown_write(); // comes once; it fails if the client is gone: as well
        }
        step.is_none() && self.stream.ask_for_more(cx)
    }

    /// The copy that is sent counts from now on, and is perhaps too much for the server.
    #[cold]
    fn judge_copy(&self, cx: &mut Context<'_, S>) {
        if let Some(mut host) = self.home.lend()
            && host.is_near_a_limit()
        {
            host.judge_in(self.home.key(), cx);
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
            Ok(()) => {
                if self.connection.output().len() > crate::server::completions::COUNTED_FROM {
                    self.judge_copy(cx);
                }
                next
            }
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
