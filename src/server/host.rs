//! What the connections of one server share.

use std::fmt;
use std::marker::PhantomData;

use super::metrics::ServerMetrics;
use super::observer::{Moment, Noted, Observer};
use crate::connection::{CloseReason, Config, Pools};
use crate::http::DateCache;
use crate::reactor::{Context, Gate, Local};
use crate::service::Service;
use crate::slab::Token;

/// The service, the settings, the buffers and the counters of one server on one loop.
pub(super) struct Host<S, V> {
    pub(super) service: V,
    pub(super) config: Config,
    pub(super) pools: Pools,
    pub(super) date: DateCache,
    pub(super) gate: Gate,
    pub(super) connections_max: usize,
    /// Live connections that were accepted only to be refused.
    pub(super) refused: usize,
    pub(super) metrics: ServerMetrics,
    /// Who wants to know of each exchange.
    pub(super) observer: Option<Box<Observer>>,
    pub(super) of: PhantomData<fn(&mut S)>,
}

/// Clients beyond the limit that are told so (503) at one time; more wait in the kernel's queue.
const REFUSALS: usize = 64;

impl<S, V> Host<S, V> {
    pub(super) fn new(service: V, config: Config, connections_max: usize) -> Host<S, V> {
        Host {
            service,
            config,
            pools: Pools::default(),
            date: DateCache::default(),
            gate: Gate::new(connections_max.saturating_add(REFUSALS)),
            connections_max,
            refused: 0,
            metrics: ServerMetrics::new(),
            observer: None,
            of: PhantomData,
        }
    }

    /// What the connection `token` notes from now on is for the observer.
    #[cold]
    pub(super) fn observe(&mut self, token: Token, noted: Noted) {
        if let Some(observer) = &mut self.observer {
            observer.insert(token, noted);
        }
    }

    /// Tells the observer how the exchanges of the connection that runs went.
    #[cold]
    #[inline(never)]
    pub(super) fn report(&mut self, ended: Option<CloseReason>, cx: &mut Context<'_, S>)
    where
        S: 'static,
    {
        let Some(observer) = &mut self.observer else {
            return;
        };
        let at = Moment {
            now: cx.now(),
            unix_seconds: cx.unix_seconds(),
        };
        match ended {
            None => observer.report(cx.token(), at, &mut self.metrics),
            Some(reason) => observer.close(cx.token(), reason, at, &mut self.metrics),
        }
    }

    /// Whether the connection that is being accepted is one too many.
    pub(super) fn is_full(&self) -> bool {
        #[cfg(trine_planted)]
        if crate::planted::has(crate::planted::Bug::LimitOffByOne) {
            return self.gate.live() - self.refused > self.connections_max;
        }
        self.gate.live() - self.refused >= self.connections_max
    }
}

/// Half of the descriptors this process may have: the other half is for files, clients of its
/// own, and the loop.
pub(super) fn default_connections_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit
        .map_or(10_000, |limit| usize::try_from(limit / 2).unwrap_or(10_000))
        .max(1)
}

/// The key to a server on a loop, for whoever wants its counters.
pub struct ServerHandle<S, V> {
    host: Local<Host<S, V>>,
}

impl<S: 'static, V: Service<S>> ServerHandle<S, V> {
    pub(super) fn new(host: Local<Host<S, V>>) -> ServerHandle<S, V> {
        ServerHandle { host }
    }

    /// The server's counters. `None` inside its own service, which has the server in hand.
    pub fn metrics(&self, cx: &mut Context<'_, S>) -> Option<ServerMetrics> {
        cx.with(self.host, |host, _| {
            host.metrics.with_connections(host.gate.live())
        })
    }
}

impl<S, V> Clone for ServerHandle<S, V> {
    fn clone(&self) -> ServerHandle<S, V> {
        *self
    }
}

impl<S, V> Copy for ServerHandle<S, V> {}

impl<S, V> fmt::Debug for ServerHandle<S, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerHandle")
    }
}
