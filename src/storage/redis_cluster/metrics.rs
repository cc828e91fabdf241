//! What happened between a store and its cluster, counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of a [`RedisCluster`](super::RedisCluster). Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct ClusterCounters {
    shared: Arc<Shared>,
}

/// What was counted since the store was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct ClusterMetrics {
    /// Pipelines sent: one for each batch, or more when it is for several nodes or is tried again.
    pub pipelines: u64,
    /// Connections made.
    pub connects: u64,
    /// Connections that could not be made.
    pub connects_failed: u64,
    /// Connections lost with answers outstanding: what was written there is unknown.
    pub cut: u64,
    /// Operations sent to another node by `MOVED` or `ASK`.
    pub redirected: u64,
    /// How often the map of the slots was read anew.
    pub maps_read: u64,
    /// Writes done, but by fewer replicas in time than was asked for: unknown.
    pub under_replicated: u64,
    /// Writes that were not begun because too few replicas are connected.
    pub refused_degraded: u64,
    /// Writes done as if for memory because too few replicas are connected.
    pub accepted_degraded: u64,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub pipelines: AtomicU64,
    pub connects: AtomicU64,
    pub connects_failed: AtomicU64,
    pub cut: AtomicU64,
    pub redirected: AtomicU64,
    pub maps_read: AtomicU64,
    pub under_replicated: AtomicU64,
    pub refused_degraded: AtomicU64,
    pub accepted_degraded: AtomicU64,
}

impl ClusterCounters {
    /// What they are now.
    #[must_use]
    pub fn read(&self) -> ClusterMetrics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let it = &self.shared;
        ClusterMetrics {
            pipelines: read(&it.pipelines),
            connects: read(&it.connects),
            connects_failed: read(&it.connects_failed),
            cut: read(&it.cut),
            redirected: read(&it.redirected),
            maps_read: read(&it.maps_read),
            under_replicated: read(&it.under_replicated),
            refused_degraded: read(&it.refused_degraded),
            accepted_degraded: read(&it.accepted_degraded),
        }
    }

    pub(super) fn count(&self, counter: fn(&Shared) -> &AtomicU64) {
        counter(&self.shared).fetch_add(1, Ordering::Relaxed);
    }
}
