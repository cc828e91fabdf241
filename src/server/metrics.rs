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
    /// Calls of the service, and of [`on_served`](super::Server::on_served), that panicked.
    pub panics: u64,
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

    /// How many connections ended. `accepted` is this and `connections` together.
    #[must_use]
    pub fn closed_total(&self) -> u64 {
        self.closed.iter().sum()
    }
}
