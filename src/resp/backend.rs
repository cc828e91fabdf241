//! What the connections of one listener share: the storage unit, on which terms they use it, and what
//! they count.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::carrier::Carrier;
use super::cursors::Cursors;
use super::limits::RespLimits;
use super::request_parser::RequestParser;
use crate::storage::{
    Capabilities, Clock, Durability, Operation, Request, StorageUnit, Submission, SystemClock,
};
use crate::time::{Span, Tick};

/// On which terms commands are taken and done.
#[derive(Clone, Debug)]
pub struct RespOptions {
    /// What a client may send.
    pub limits: RespLimits,
    /// What an `OK` to a write promises. `None`: as much as the store can on one machine, so what was
    /// acknowledged is synced in a durable store.
    pub durability: Option<Durability>,
    /// How long an operation may wait for its turn in the store; then it is not done.
    pub patience: Span,
    /// Bytes that wait for the client above which nothing more is done for it.
    pub output_high: usize,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl Default for RespOptions {
    fn default() -> RespOptions {
        RespOptions {
            limits: RespLimits::default(),
            durability: None,
            patience: Span::from_secs(30),
            output_high: 64 * 1024,
            clock: Arc::new(SystemClock),
        }
    }
}

/// The storage unit as the connections of one listener use it.
pub struct Backend {
    unit: StorageUnit,
    pub(super) options: RespOptions,
    pub(super) cursors: Cursors,
    pub(super) counters: Counters,
    pub(super) carrier: Carrier,
    /// For whichever connection has a command under way.
    pub(super) parser: Option<Box<RequestParser>>,
    /// `None` before the store is opened.
    capabilities: Option<Capabilities>,
    hasher: RandomState,
}

/// What `INFO` tells.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub connected: u64,
    pub connections: u64,
    pub commands: u64,
    pub errors: u64,
}

impl Backend {
    /// Commands are done by `unit`.
    #[must_use]
    pub fn new(unit: StorageUnit, options: RespOptions) -> Backend {
        Backend {
            unit,
            options,
            cursors: Cursors::default(),
            counters: Counters::default(),
            carrier: Carrier::default(),
            parser: None,
            capabilities: None,
            hasher: RandomState::new(),
        }
    }

    /// Has `operation` done.
    pub(super) fn submit(&mut self, operation: Operation, now: Tick) -> Submission {
        let durability = self.durability();
        self.unit.submit(Request {
            operation,
            durability,
            deadline: now.after(self.options.patience),
        })
    }

    fn durability(&mut self) -> Durability {
        match (self.options.durability, self.capabilities()) {
            (Some(durability), _) => durability,
            (None, Some(capabilities)) => capabilities.durability_max.min(Durability::Synced),
            (None, None) => Durability::Synced, // it is turned away anyway
        }
    }

    /// What the store can do; `None` before it is opened.
    pub(super) fn capabilities(&mut self) -> Option<&Capabilities> {
        if self.capabilities.is_none() {
            self.capabilities = self.unit.capabilities();
        }
        self.capabilities.as_ref()
    }

    pub(super) fn unit(&self) -> &StorageUnit {
        &self.unit
    }

    /// Milliseconds since 1970.
    pub(super) fn unix_millis(&self) -> u64 {
        self.options.clock.unix_millis()
    }

    /// Tells keys apart. Nobody outside can choose two that it takes for the same.
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Backend({:?})", self.counters)
    }
}
