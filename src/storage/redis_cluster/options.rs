//! How a store goes about its cluster.

use std::fmt;
use std::sync::Arc;

use super::error::ClusterError;
use crate::storage::{Clock, SystemClock};
use crate::time::Span;

/// What becomes of a write that asks for more replicas than its shard has connected: none, after each
/// failover, until an operator adds one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Degraded {
    /// [`Fault::Retry`](crate::storage::Fault::Retry), at once; nothing is written.
    #[default]
    Refuse,
    /// It is done as if [`Memory`](crate::storage::Durability::Memory) was asked for, and answered
    /// `Ok`: the shard goes on, and what it takes until it has a replica again is lost with its master.
    AcceptAsMemory,
}

/// Who a store is, for a cluster that asks (`AUTH`).
#[derive(Clone)]
pub struct Credentials {
    /// `default`, if the cluster knows only a password.
    pub user: String,
    /// Sent as it is: there is no TLS. Not printed.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?}, ..)", self.user)
    }
}

/// Settings of a [`RedisCluster`](super::RedisCluster).
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// The most replicas that a write may ask for, 1 if not said otherwise; with 0 the store promises
    /// [`Memory`](crate::storage::Durability::Memory) only.
    pub replicas: u8,
    /// When fewer are connected than a write asks for.
    pub degraded: Degraded,
    /// How many lanes, which are threads and connections, each shard has; 1 to 64, 1 if not said
    /// otherwise. A lane waits for its replicas once for a whole batch, so few are enough.
    pub lanes_per_shard: u16,
    /// How long a connection may take, 500 ms if not said otherwise; not zero.
    pub connect_timeout: Span,
    /// How long a node may be silent before it is given up, besides `wait_timeout`; 1 s if not said
    /// otherwise, not zero.
    pub answer_timeout: Span,
    /// How long replicas are waited for (`WAIT`), 500 ms if not said otherwise; not zero.
    pub wait_timeout: Span,
    /// How long an operation that was certainly not done is tried again, unless its deadline is
    /// earlier; 5 s if not said otherwise. A failover takes the cluster's node timeout and about 2 s.
    pub patience: Span,
    /// For clusters that want to know who asks.
    pub credentials: Option<Credentials>,
    /// What time it is; the time of day is that of the nodes.
    pub clock: Arc<dyn Clock>,
}

impl Default for ClusterOptions {
    fn default() -> ClusterOptions {
        ClusterOptions {
            replicas: 1,
            degraded: Degraded::Refuse,
            lanes_per_shard: 1,
            connect_timeout: Span::from_millis(500),
            answer_timeout: Span::from_secs(1),
            wait_timeout: Span::from_millis(500),
            patience: Span::from_secs(5),
            credentials: None,
            clock: Arc::new(SystemClock),
        }
    }
}

impl ClusterOptions {
    /// Zero would wait for ever, or fail.
    pub(super) fn check(&self) -> Result<(), ClusterError> {
        let fails = |what| Err(ClusterError::Option(what));
        if self.connect_timeout == Span::ZERO || self.answer_timeout == Span::ZERO {
            return fails("a timeout of zero for connecting or answers");
        }
        if self.wait_timeout == Span::ZERO {
            return fails("a timeout of zero for replicas");
        }
        match self.lanes_per_shard {
            1..=64 => Ok(()),
            _ => fails("not 1 to 64 lanes a shard"),
        }
    }

    /// How long a node may be silent.
    pub(super) fn silence_max(&self) -> Span {
        let (answer, wait) = (self.answer_timeout, self.wait_timeout);
        Span::from_millis(answer.as_millis().saturating_add(wait.as_millis()))
    }
}
