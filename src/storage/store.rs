//! The traits of an adapter.
//!
//! A [`Store`] is the handle that everybody shares; a [`Session`] is owned by one thread: a source of
//! write transactions, or one connection. The store says how many *lanes* of writers it wants: each
//! key belongs to one lane, so writes of a key are in order, and lanes go on side by side.

use super::fault::{Fault, Outcome};
use super::operation::{Durability, Request};
use crate::time::Span;

/// What one [`Session::run`] makes all or nothing, should the machine die meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Atomic {
    /// Each operation.
    Operation,
    /// All operations of the batch.
    Batch,
}

/// What a store can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capabilities {
    /// In a word, for logs and metrics.
    pub name: &'static str,
    /// The most that an `Ok` can promise; a request for what it does not
    /// [promise](Capabilities::promises) is [`Fault::Refused`].
    pub durability_max: Durability,
    /// Whether scans go in the order of the bytes of the keys.
    pub is_ordered: bool,
    /// What survives as a whole.
    pub atomic: Atomic,
    /// Sessions that write; at least 1.
    pub lanes: u16,
    /// Sessions that only read; with none, reads go to the lanes.
    pub readers: u16,
    /// In bytes; a longer key is [`Fault::Refused`].
    pub key_bytes_max: u32,
    /// In bytes; a longer value is [`Fault::Refused`].
    pub value_bytes_max: u32,
}

impl Capabilities {
    /// Whether an `Ok` can mean `durability`. A store that syncs promises what is less than that as
    /// well; one that replicates promises as many machines or fewer, but no disk.
    #[must_use]
    pub fn promises(&self, durability: Durability) -> bool {
        use Durability::{Memory, Replicated};
        match (durability, self.durability_max) {
            (Memory, _) => true,
            (Replicated(asked), Replicated(most)) => asked <= most,
            (Replicated(_), _) | (_, Replicated(_)) => false,
            (asked, most) => asked <= most,
        }
    }

    /// Why `request` is not for this store, if it is not. Adapters and the storage unit ask alike.
    ///
    /// # Errors
    ///
    /// [`Fault::Refused`], with the reason.
    pub fn check(&self, request: &Request) -> Result<(), Fault> {
        use super::operation::Operation::{Put, Scan, Touch};
        let operation = &request.operation;
        // A scan may begin at what no key is: a longer one, or the mark of a page.
        let has_key = !matches!(operation, Scan { .. });
        if has_key && operation.key().len() > self.key_bytes_max as usize {
            return Err(Fault::Refused("the key is too long"));
        }
        if operation.is_write() && !self.promises(request.durability) {
            return Err(Fault::Refused("this store cannot promise that durability"));
        }
        match operation {
            Put { value, .. } if value.len() > self.value_bytes_max as usize => {
                Err(Fault::Refused("the value is too long"))
            }
            Put { ttl, .. } | Touch { ttl, .. } if *ttl == Some(Span::ZERO) => {
                Err(Fault::Refused("a time to live of zero: delete it instead"))
            }
            Scan { limit: 0, .. } => Err(Fault::Refused("a page of no entries")),
            _ => Ok(()),
        }
    }
}

/// Storage of some kind, shared by all who use it.
pub trait Store: Send + Sync + 'static {
    /// What it can do. Always the same.
    fn capabilities(&self) -> Capabilities;

    /// The lane that `key` belongs to, below [`Capabilities::lanes`]. Always the same for a key.
    fn lane(&self, key: &[u8]) -> u16 {
        let _ = key;
        0
    }

    /// A session that may write, for the keys of `lane`.
    ///
    /// # Errors
    ///
    /// Why there is none now; it is asked for again later.
    fn writer(&self, lane: u16) -> Result<Box<dyn Session>, Fault>;

    /// A session that only reads.
    ///
    /// # Errors
    ///
    /// Why there is none now; it is asked for again later.
    fn reader(&self) -> Result<Box<dyn Session>, Fault>;

    /// For a store whose operations never wait: who runs them on the thread that asks.
    fn in_place(&self) -> Option<&dyn InPlace> {
        None
    }

    /// Makes durable what is not yet, and lets go of files and connections. All sessions are gone by
    /// then.
    ///
    /// # Errors
    ///
    /// When what was written may not be there when it is opened next.
    fn close(self: Box<Self>) -> Result<(), Fault>;
}

/// Runs operations, on the one thread that owns it.
pub trait Session: Send {
    /// Does the operations of `batch` in order: one sees what those before it did. Gives each of them
    /// exactly one outcome, a write only when it is as durable as its request asked. A conflict or a
    /// refusal is one operation's, the others go on.
    ///
    /// A panic, or a missing outcome, is taken for [`Fault::Unknown`], and the session is then
    /// [reopened](Session::reopen) before it is used again.
    fn run(&mut self, batch: &[Request], outcomes: &mut Outcomes<'_>);

    /// Makes it fit for use after an outcome of [`Fault::Unknown`] or [`Fault::Fenced`], or a panic.
    /// Called with growing pauses until it succeeds.
    ///
    /// # Errors
    ///
    /// [`Fault::Fenced`] when only the operator helps: it is then not tried again.
    fn reopen(&mut self) -> Result<(), Fault>;

    /// Does a bit of what has to be done some time, for about so long: remove what has expired, look
    /// for damage. Called of a writer, when nothing else is to be done or about once a second.
    /// Returns whether there is more of it now.
    ///
    /// # Errors
    ///
    /// As of an operation.
    fn maintain(&mut self, budget: Span) -> Result<bool, Fault> {
        let _ = budget;
        Ok(false)
    }
}

/// Runs operations at once, on any thread, without ever waiting for a disk, a network or another
/// thread's long work.
pub trait InPlace: Send + Sync {
    /// As [`Session::run`].
    fn run(&self, batch: &[Request], outcomes: &mut Outcomes<'_>);

    /// As [`Session::maintain`].
    fn maintain(&self, budget: Span) -> bool {
        let _ = budget;
        false
    }
}

/// Where a session puts what came of a batch: one place for each operation.
#[derive(Debug)]
pub struct Outcomes<'a> {
    places: &'a mut [Option<Outcome>],
}

impl<'a> Outcomes<'a> {
    /// The outcomes of a batch as long as `places`, all of them open.
    pub fn new(places: &'a mut [Option<Outcome>]) -> Outcomes<'a> {
        places.fill(None);
        Outcomes { places }
    }

    /// What came of the operation at `index`.
    ///
    /// # Panics
    ///
    /// When there is no such operation, or its outcome is known already: the adapter is wrong.
    pub fn set(&mut self, index: usize, outcome: Outcome) {
        let place = &mut self.places[index];
        assert!(place.is_none(), "operation {index} has two outcomes");
        *place = Some(outcome);
    }

    /// Whether the outcome at `index` is known.
    #[must_use]
    pub fn is_set(&self, index: usize) -> bool {
        self.places[index].is_some()
    }

    /// Gives every operation without an outcome that of `fault`.
    pub fn fail_rest(&mut self, fault: Fault) {
        for place in self.places.iter_mut().filter(|place| place.is_none()) {
            *place = Some(Err(fault));
        }
    }
}
