//! What the connections of one server share.

use std::fmt;
use std::marker::PhantomData;

use super::metrics::{DrainCount, ServerMetrics};
use super::observer::{Moment, Noted, Observer};
use super::recorder::Recorder;
use super::reload::Live;
use super::timeline::Timeline;
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
    /// Whether somebody accepts for it.
    pub(super) is_listening: bool,
    /// Live connections that were accepted only to be refused.
    pub(super) refused: usize,
    pub(super) metrics: ServerMetrics,
    /// Who wants to know of each exchange.
    pub(super) observer: Option<Box<Observer>>,
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
            is_listening: true,
            refused: 0,
            metrics: ServerMetrics::new(),
            observer: None,
            recorder: None,
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

    pub(super) fn live(&self) -> Live {
        Live {
            config: self.config.clone(),
            connections_max: self.connections_max,
        }
    }

    /// Says what became of the connections, when the last one of a server that accepts no more is gone.
    #[inline]
    pub(super) fn report_drain(&self) {
        if !self.is_listening && self.gate.live() == 0 {
            self.report_end();
        }
    }

    #[cold]
    fn report_end(&self) {
        let DrainCount {
            finished,
            idle,
            cut,
        } = self.metrics.drain();
        let requests = self.metrics.requests;
        match cut {
            0 => {
                tracing::info!(target: "trine::http", finished, idle, requests, "drained: nothing was cut");
            }
            _ => {
                tracing::warn!(target: "trine::http", cut, finished, idle, requests, "drained by force");
            }
        }
    }

    /// Counts a reload, and goes by its settings from now on, if there are any. The listener to resume,
    /// if one waits for room.
    pub(super) fn take(&mut self, settings: Option<&Live>) -> Option<Token> {
        let Some(live) = settings else {
            self.metrics.reloads_failed += 1;
            return None;
        };
        self.metrics.reloads += 1;
        self.config = live.config.clone();
        self.connections_max = live.connections_max;
        self.gate
            .set_max(live.connections_max.saturating_add(REFUSALS))
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
    pub(super) host: Local<Host<S, V>>,
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
