//! Redis Cluster as a store, for data that outgrow one machine (feature `redis`; 7.0 or later, or Valkey).
//!
//! ```text
//!   lane of a shard ── batch ──> [ commands .. WAIT ] ── one pipeline, one connection ──> master ──> replicas
//!        │                             by slot                                             │
//!        └── outcomes <── MOVED, ASK, refused: once more, inside the deadline <── answers ─┘
//! ```
//!
//! ```no_run
//! use trine::storage::{RedisCluster, ClusterOptions, StorageUnit, UnitOptions};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let seeds = ["10.0.0.1:6379", "10.0.0.2:6379"]; // any nodes: they know the others
//!     let store = RedisCluster::open(seeds, ClusterOptions::default())?;
//!     let unit = StorageUnit::start(Box::new(store), UnitOptions::default())?;
//!     # drop(unit);
//!     Ok(())
//! }
//! ```
//!
//! # What an answer is worth
//!
//! **This store is not consistent under partitions and failovers**: Redis Cluster replicates without
//! asking, and promotes a replica that may lack what its master acknowledged. What can be done about it
//! from outside is done:
//!
//! - [`Memory`](super::Durability::Memory): the master has it. A failover may lose it, and does when the
//!   replica lags.
//! - [`Replicated(n)`](super::Durability::Replicated): `n` replicas said that they have it (`WAIT`), on
//!   the connection that wrote it and in the same pipeline; on any other the answer would be empty. If
//!   fewer say so in time, or the connection is lost before, the outcome is
//!   [`Fault::Unknown`].
//! - `Os` and `Synced` are refused: no node is asked what it does with its disk.
//!
//! What `WAIT` does not cover:
//!
//! - Both nodes lose power: what they have is in memory, and in the append-only file as far as that is
//!   synced (`appendfsync always` on all nodes helps, and costs).
//! - With more than one replica, another than the one that said so is promoted: ask for all of them.
//! - A replica that restarts with nothing and is promoted before it has caught up.
//! - A node out of memory that evicts: set `maxmemory-policy noeviction`, then it refuses to write.
//! - A master cut off with its clients, until it notices (`min-replicas-to-write 1` bounds that).
//! - What is read: a value, a conflict, that there was nothing to delete. It may not be replicated yet.
//!
//! After a failover a shard has no replica until an operator adds one. [`Degraded`] says what a write
//! that asks for one then gets.
//!
//! # What is kept
//!
//! A value is a Redis string under its key, with a head: revision, expiry, CRC32C of key and value. The
//! keys of the cluster are the store's own: a value of another form is
//! [`Fault::Corrupt`]. Comparing and writing is one script, so it is one step.
//!
//! A revision is the time of the node in microseconds, or that of the revision before and one if that is
//! more, and 12 bits chosen by the writer. So it changes with each write, and after a deletion, of which
//! nothing is left, it does not come again unless the clock of the node is set back to the very
//! microsecond and the 12 bits meet too.
//!
//! Values expire on the nodes, by their clocks. A time to live of 2^52 ms or more is for ever.
//!
//! | what | where |
//! |---|---|
//! | rounds, what is tried again, order | `session.rs` |
//! | one pipeline and `WAIT` | `exchange.rs`, `replicas.rs` |
//! | operations and answers on the wire; the scripts | `wire.rs`, `envelope.rs`, `script.rs`, `lua/` |
//! | who serves which slot | `slot_map.rs`, `cluster.rs` |
//! | connections | `link.rs`, `links.rs` |
//! | pages | `scan.rs`, `token.rs` |

mod cluster;
mod envelope;
mod error;
mod exchange;
mod link;
mod links;
mod metrics;
mod options;
mod replicas;
mod scan;
mod script;
mod session;
mod slot_map;
mod token;
mod wire;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;

use cluster::{Cluster, read_map};
use links::Links;
use session::ClusterSession;
use slot_map::{Node, SlotMap};
use token::slot_of_key_or_token;

use super::fault::Fault;
use super::operation::Durability;
use super::store::{Atomic, Capabilities, Session, Store};

pub use error::ClusterError;
pub use metrics::{ClusterCounters, ClusterMetrics};
pub use options::{ClusterOptions, Credentials, Degraded};

/// In bytes: more than anybody needs, and a node takes it in at once.
const KEY_BYTES_MAX: u32 = 16 << 10;
/// In bytes. A node does nothing else while it takes a value, and copies it into a script.
const VALUE_BYTES_MAX: u32 = 8 << 20;

/// A Redis Cluster, as a [`Store`]. The [module](self) says what an answer of it is worth.
pub struct RedisCluster {
    cluster: Arc<Cluster>,
}

impl RedisCluster {
    /// Asks the nodes at `seeds` (`HOST:PORT` each) in order, until one says which nodes serve the
    /// cluster; the seeds need not be all of them. Each node may take as long as its timeouts, and the
    /// look-up of its name. The lanes of the store are the shards that there are now.
    ///
    /// # Errors
    ///
    /// When an address or an option cannot be used, or no node answers.
    pub fn open<S: AsRef<str>>(
        seeds: impl IntoIterator<Item = S>,
        options: ClusterOptions,
    ) -> Result<RedisCluster, ClusterError> {
        options.check()?;
        let seeds = seeds.into_iter().map(|seed| {
            let seed = seed.as_ref();
            let node = Node::parse(seed, None);
            node.ok_or_else(|| ClusterError::Address(seed.to_owned()))
        });
        let seeds = seeds.collect::<Result<Vec<Node>, ClusterError>>()?;
        let (options, counters) = (Arc::new(options), ClusterCounters::default());
        let mut links = Links::new(Arc::clone(&options), counters.clone());
        let map = first_map(&mut links, &seeds)?;
        let capabilities = capabilities(&options, map.shards());
        // Two stores that write the same keys should not choose the same bits.
        let salt = RandomState::new().hash_one(0_u8) as u16;
        let cluster = Cluster::new(options, counters, seeds, map, capabilities, salt);
        Ok(RedisCluster {
            cluster: Arc::new(cluster),
        })
    }

    /// Its counters, to be read also when a storage unit has the store.
    #[must_use]
    pub fn counters(&self) -> ClusterCounters {
        self.cluster.counters.clone()
    }
}

fn first_map(links: &mut Links, seeds: &[Node]) -> Result<SlotMap, ClusterError> {
    let mut failure = ClusterError::Address(String::new());
    for node in seeds {
        match read_map(links, node) {
            Ok(map) => return Ok(map),
            Err(source) => failure = unreachable_node(node, source),
        }
    }
    Err(failure)
}

fn unreachable_node(node: &Node, source: io::Error) -> ClusterError {
    ClusterError::Unreachable {
        node: node.to_string(),
        operation: "CLUSTER SLOTS",
        source,
    }
}

fn capabilities(options: &ClusterOptions, shards: u16) -> Capabilities {
    Capabilities {
        name: "redis-cluster",
        durability_max: match options.replicas {
            0 => Durability::Memory,
            replicas => Durability::Replicated(replicas),
        },
        is_ordered: false,
        atomic: Atomic::Operation,
        lanes: shards.saturating_mul(options.lanes_per_shard),
        // A reader is for all keys, so one that waits for a shard that is down would hold up the others.
        readers: 0,
        key_bytes_max: KEY_BYTES_MAX,
        value_bytes_max: VALUE_BYTES_MAX,
    }
}

impl Store for RedisCluster {
    fn capabilities(&self) -> Capabilities {
        self.cluster.capabilities
    }

    fn lane(&self, key: &[u8]) -> u16 {
        self.cluster.lane(slot_of_key_or_token(key))
    }

    fn writer(&self, _lane: u16) -> Result<Box<dyn Session>, Fault> {
        Ok(Box::new(ClusterSession::new(Arc::clone(&self.cluster))))
    }

    fn reader(&self) -> Result<Box<dyn Session>, Fault> {
        self.writer(0)
    }

    fn close(self: Box<Self>) -> Result<(), Fault> {
        Ok(()) // what was acknowledged is with the nodes, and links end with their sessions
    }
}

impl fmt::Debug for RedisCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisCluster({} lanes)", self.cluster.capabilities.lanes)
    }
}
