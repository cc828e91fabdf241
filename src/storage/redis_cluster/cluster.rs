//! What all sessions of a store share: what is known of the cluster, and how it is found out anew.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};

use redis::Value;

use super::links::Links;
use super::metrics::ClusterCounters;
use super::options::ClusterOptions;
use super::slot_map::{Node, SLOTS, SlotMap};
use crate::storage::Capabilities;
use crate::time::{Span, Tick};

/// The map is not read more often.
const REFRESH_PAUSE: Span = Span::from_millis(100);
/// How many nodes are asked for it at a time.
const ASKED_MAX: usize = 3;

pub(super) struct Cluster {
    pub options: Arc<ClusterOptions>,
    pub counters: ClusterCounters,
    pub capabilities: Capabilities,
    seeds: Vec<Node>,
    map: RwLock<Arc<SlotMap>>,
    refresh: Mutex<Refresh>,
    /// The lane of each slot: chosen by shards when the store is opened, and never changed.
    lanes: Box<[u16]>,
    salt: AtomicU16,
}

/// Who was asked last, and when.
#[derive(Default)]
struct Refresh {
    turn: usize,
    last: Option<Tick>,
}

impl Cluster {
    /// A cluster that has this map. Lanes are the shards of now, so that a shard that is down holds up
    /// nobody else; a slot keeps its lane when it moves, so that a key does.
    pub fn new(
        options: Arc<ClusterOptions>,
        counters: ClusterCounters,
        seeds: Vec<Node>,
        map: SlotMap,
        capabilities: Capabilities,
        salt: u16,
    ) -> Cluster {
        let lane = |slot: u16| {
            let shard = map.shard(slot).unwrap_or_default();
            let first = shard.saturating_mul(options.lanes_per_shard);
            first.saturating_add(slot % options.lanes_per_shard) % capabilities.lanes
        };
        Cluster {
            lanes: (0..SLOTS).map(lane).collect(),
            options,
            counters,
            capabilities,
            seeds,
            map: RwLock::new(Arc::new(map)),
            refresh: Mutex::default(),
            salt: AtomicU16::new(salt),
        }
    }

    pub fn lane(&self, slot: u16) -> u16 {
        self.lanes[usize::from(slot)]
    }

    pub fn map(&self) -> Arc<SlotMap> {
        Arc::clone(&self.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A node said that `slot` is served by `node`.
    pub fn moved(&self, slot: u16, node: &Node) {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        if map.owner(slot) != Some(node) {
            *map = Arc::new(map.moved(slot, node));
        }
    }

    /// The 12 bits of a revision that a writer chooses: no two of 4,096 in a row are the same.
    pub fn salt(&self) -> u16 {
        self.salt.fetch_add(1, Ordering::Relaxed) % 4_096
    }

    /// Reads the map anew, unless that was just done or somebody is at it. Asks in turn: a node may be
    /// down, or may not have heard yet.
    pub fn refresh(&self, links: &mut Links) {
        let mut refresh = match self.refresh.try_lock() {
            Ok(refresh) => refresh,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let now = self.options.clock.now();
        if refresh
            .last
            .is_some_and(|last| now < last.after(REFRESH_PAUSE))
        {
            return;
        }
        let mut nodes = self.map().nodes();
        nodes.extend_from_slice(&self.seeds);
        for _ in 0..ASKED_MAX {
            let node = &nodes[refresh.turn % nodes.len()];
            refresh.turn = refresh.turn.wrapping_add(1);
            if let Ok(map) = read_map(links, node) {
                self.counters.count(|it| &it.maps_read);
                links.keep(&map);
                *self.map.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(map);
                break;
            }
        }
        refresh.last = Some(self.options.clock.now());
    }
}

/// Asks `node` who serves which slots.
pub(super) fn read_map(links: &mut Links, node: &Node) -> io::Result<SlotMap> {
    let mut command = redis::cmd("CLUSTER");
    command.arg("SLOTS");
    let answer: Value = links.ask(node, &command)?;
    SlotMap::parse(&answer, node).ok_or_else(|| io::Error::other("it serves no cluster"))
}
