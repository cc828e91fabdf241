//! What each thread has that runs connections of a server whose books are kept elsewhere.

use std::fmt;
use std::sync::Arc;

use super::ledger::Ledger;
use crate::http::Request;
use crate::server::host::Host;
use crate::service::{Answered, Exchange, Reply, Service};

/// A service, a state, and what a connection needs beside. Of one thread, so that nothing is locked.
pub(in crate::server) struct Bench<S, V> {
    pub(in crate::server) host: Host<S, Counting<V>>,
    pub(in crate::server) state: S,
    ledger: Arc<Ledger>,
    /// Which of the threads it is of.
    number: usize,
    /// The edition of the settings in `host`.
    edition: usize,
}

impl<S, V> Bench<S, V> {
    pub(in crate::server) fn new(
        ledger: &Arc<Ledger>,
        number: usize,
        service: V,
        state: S,
    ) -> Bench<S, V> {
        let service = Counting {
            service,
            ledger: Arc::clone(ledger),
            number,
        };
        Bench {
            host: ledger.host(service),
            state,
            ledger: Arc::clone(ledger),
            number,
            edition: 0,
        }
    }

    /// Goes by what the loop has published. Two loads, mostly.
    #[inline]
    pub(in crate::server) fn catch_up(&mut self) {
        self.host.overload.follow(self.ledger.rung());
        if let Some((config, edition)) = self.ledger.news(self.edition) {
            self.host.adopt_config(&config);
            self.edition = edition;
        }
    }

    /// Publishes what was counted.
    #[inline]
    pub(in crate::server) fn publish(&mut self) {
        self.ledger.count(self.number, &self.host.metrics);
        self.host.pools.tell();
    }
}

/// A service whose requests are counted before they are answered, so that whoever has an answer finds it
/// counted.
pub(in crate::server) struct Counting<V> {
    service: V,
    ledger: Arc<Ledger>,
    number: usize,
}

impl<S, V: Service<S>> Service<S> for Counting<V> {
    #[inline]
    fn call(&mut self, request: &Request<'_>, reply: Reply<'_>, state: &mut S) -> Answered {
        self.ledger.count_request(self.number);
        self.service.call(request, reply, state)
    }

    #[inline]
    fn open(&mut self, head: &Request<'_>, state: &mut S) -> Option<Box<dyn Exchange<S>>> {
        let opened = self.service.open(head, state)?;
        self.ledger.count_request(self.number);
        Some(opened)
    }
}

impl<S, V> fmt::Debug for Bench<S, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bench({})", self.number)
    }
}
