//! What the connections of one server share.

use std::fmt;
use std::marker::PhantomData;

use super::metrics::ServerMetrics;
use super::recorder::Recorder;
use super::timeline::Timeline;
use crate::connection::{Config, Pools};
use crate::http::DateCache;
use crate::reactor::{Context, Gate, Local};
use crate::service::Service;

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
    /// What connections have been through, if that is wanted.
    pub(super) recorder: Option<Recorder>,
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
            recorder: None,
            of: PhantomData,
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

    /// The life of one connection so far, by its number: they are counted from 1 as they are
    /// accepted. `None` without a [flight recorder](super::Server::flight_recorder), when the
    /// connection ended long ago (the last 64 that ended are kept) or is not there yet, and inside the
    /// server's own service. O(connections).
    pub fn explain(&self, cx: &mut Context<'_, S>, connection: u64) -> Option<Timeline> {
        let explained = cx.with(self.host, |host, _| {
            host.recorder.as_ref()?.explain(connection)
        });
        explained.flatten()
    }

    /// The lives of all connections that there are, and of the last 64 that ended, by their numbers;
    /// none where [`explain`](ServerHandle::explain) gives none.
    pub fn timelines(&self, cx: &mut Context<'_, S>) -> Vec<Timeline> {
        let all = cx.with(self.host, |host, _| {
            host.recorder.as_ref().map(|recorder| recorder.timelines())
        });
        all.flatten().unwrap_or_default()
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
