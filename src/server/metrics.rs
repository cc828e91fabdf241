//! What a server counts.

use crate::connection::CloseReason;

/// Counters of one server on one loop. All but `connections` only grow.
#[derive(Clone, Debug)]
pub struct ServerMetrics {
    /// Connections now.
    pub connections: usize,
    /// Connections accepted.
    pub accepted: u64,
    /// Requests given to the service.
    pub requests: u64,
    /// Calls of the service, of its exchanges and of [`on_served`](super::Server::on_served) that panicked,
    /// and exchanges that did so when they were dropped.
    pub panics: u64,
    /// Times that new settings were [taken](super::Server::on_reload).
    pub reloads: u64,
    /// Times that they could not be, and the old ones stayed.
    pub reloads_failed: u64,
    closed: [u64; CloseReason::ALL.len()],
}

impl ServerMetrics {
    pub(super) fn new() -> ServerMetrics {
        let closed = [0; CloseReason::ALL.len()];
        ServerMetrics {
            connections: 0,
            accepted: 0,
            requests: 0,
            panics: 0,
            reloads: 0,
            reloads_failed: 0,
            closed,
        }
    }

    pub(super) fn with_connections(&self, connections: usize) -> ServerMetrics {
        ServerMetrics {
            connections,
            ..self.clone()
        }
    }

    pub(super) fn count_close(&mut self, reason: CloseReason) {
        self.closed[reason.index()] += 1;
    }

    /// How many connections ended for `reason`.
    #[must_use]
    pub fn closed(&self, reason: CloseReason) -> u64 {
        self.closed[reason.index()]
    }

    /// Every reason for which a connection ended, with how many did.
    pub fn closes(&self) -> impl Iterator<Item = (CloseReason, u64)> {
        let all = CloseReason::ALL
            .into_iter()
            .map(|reason| (reason, self.closed(reason)));
        all.filter(|(_, count)| *count > 0)
    }

    /// What became of the connections that were there when the server drained, so far.
    #[must_use]
    pub fn drain(&self) -> DrainCount {
        DrainCount {
            finished: self.closed(CloseReason::Drained),
            idle: self.closed(CloseReason::DrainedIdle),
            cut: self.closed(CloseReason::Forced),
        }
    }

    /// How many connections ended. `accepted` is this and `connections` together.
    #[must_use]
    pub fn closed_total(&self) -> u64 {
        self.closed.iter().sum()
    }
}

/// What became of the connections that a drain found, or let in. Those that ended by themselves
/// meanwhile have other [reasons](ServerMetrics::closes).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DrainCount {
    /// Their last request was answered, in whole.
    pub finished: u64,
    /// Nothing was under way.
    pub idle: u64,
    /// A request was not answered when the drain was forced.
    pub cut: u64,
}
