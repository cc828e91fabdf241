//! What each thread has that runs connections of a server whose books are kept elsewhere.

use std::fmt;
use std::sync::Arc;

use super::desk::Desk;
use super::host::Host;
use super::recording::Recording;
use crate::http::Request;
use crate::reactor::Reserve;
use crate::service::{Answered, Exchange, Reply, Service};

/// A service, a state, and what a connection needs beside. Of one thread, so that nothing is locked.
pub(crate) struct Bench<S, V> {
    pub(super) host: Host<S, Counting<V>>,
    pub(super) state: S,
    desk: Arc<Desk>,
    /// Which of the threads it is of.
    number: usize,
    /// The edition of the settings in `host`.
    edition: usize,
}

impl<S, V> Bench<S, V> {
    pub(crate) fn new(desk: &Arc<Desk>, number: usize, service: V, state: S) -> Bench<S, V> {
        let reserve = Reserve::as_far_as_possible(0);
        let service = Counting {
            service,
            desk: Arc::clone(desk),
            number,
        };
        let mut host = desk.host(service, reserve);
        host.recorder = desk.recorder().and_then(Recording::another);
        Bench {
            host,
            state,
            desk: Arc::clone(desk),
            number,
            edition: 0,
        }
    }

    /// Goes by what the loop has published. Two loads, mostly.
    #[inline]
    pub(super) fn catch_up(&mut self) {
        self.host.overload.follow(self.desk.rung());
        if let Some((config, edition)) = self.desk.news(self.edition) {
            self.host.adopt(&config);
            self.edition = edition;
        }
    }

    /// Publishes what was counted.
    #[inline]
    pub(super) fn publish(&mut self) {
        self.desk.count(self.number, &self.host.metrics);
        self.host.pools.tell();
    }
}

/// A service whose requests are counted before they are answered, so that whoever has an answer finds it
/// counted.
pub(super) struct Counting<V> {
    service: V,
    desk: Arc<Desk>,
    number: usize,
}

impl<S, V: Service<S>> Service<S> for Counting<V> {
    #[inline]
    fn call(&mut self, request: &Request<'_>, reply: Reply<'_>, state: &mut S) -> Answered {
        self.desk.count_request(self.number);
        self.service.call(request, reply, state)
    }

    #[inline]
    fn open(&mut self, head: &Request<'_>, state: &mut S) -> Option<Box<dyn Exchange<S>>> {
        let opened = self.service.open(head, state)?;
        self.desk.count_request(self.number);
        Some(opened)
    }
}

impl<S, V> fmt::Debug for Bench<S, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bench({})", self.number)
    }
}
