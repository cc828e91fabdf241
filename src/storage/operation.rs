//! What can be asked of a store, and what it answers.

use std::num::NonZeroU64;

use bytes::Bytes;

use crate::time::{Span, Tick};

/// The version of one key's value. It changes with every write of the value; nothing else may be
/// read from it, except that `0` never is one.
pub type Revision = NonZeroU64;

/// What an `Ok` answer promises of a write. Each up to [`Synced`](Durability::Synced) promises what
/// those before it do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Durability {
    /// It survives nothing, but everybody sees it.
    Memory,
    /// It survives the end of this process.
    Os,
    /// It survives the loss of power: it was synced to the disk.
    Synced,
    /// So many other machines have it too, in their memory.
    Replicated(u8),
}

/// What must hold of the present value for a write to happen; otherwise it is a
/// [`Reply::Conflict`]. A value that has expired is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// Nothing.
    Any,
    /// There is none.
    Absent,
    /// There is one.
    Present,
    /// There is one with this revision (compare-and-set).
    Revision(Revision),
}

impl Condition {
    /// Whether it holds of a key whose present revision is `revision`.
    #[must_use]
    pub fn holds(self, revision: Option<Revision>) -> bool {
        match self {
            Condition::Any => true,
            Condition::Absent => revision.is_none(),
            Condition::Present => revision.is_some(),
            Condition::Revision(expected) => revision == Some(expected),
        }
    }
}

/// One operation on one key, or one page of many.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Answered by [`Reply::Got`].
    Get {
        /// Any bytes.
        key: Bytes,
    },
    /// Answered by [`Reply::Written`], or [`Reply::Conflict`].
    Put {
        /// Any bytes.
        key: Bytes,
        /// Any bytes.
        value: Bytes,
        /// How long it is there; `None` is for ever. Zero is refused.
        ttl: Option<Span>,
        /// When to write.
        condition: Condition,
    },
    /// Answered by [`Reply::Deleted`], or [`Reply::Conflict`]. To delete what is not there is no
    /// conflict for [`Condition::Any`].
    Delete {
        /// Any bytes.
        key: Bytes,
        /// When to delete.
        condition: Condition,
    },
    /// Changes how long a value is there, counted from now, and its revision. Answered by
    /// [`Reply::Written`], or by a [`Reply::Conflict`] with nothing when there is none.
    Touch {
        /// Any bytes.
        key: Bytes,
        /// `None` is for ever. Zero is refused.
        ttl: Option<Span>,
    },
    /// One page of the keys that are not less than `from` and less than `until`, in the order of
    /// their bytes if the store [has one](super::Capabilities::is_ordered), and in any other order if
    /// not. Answered by [`Reply::Page`]. Nothing stays open between pages: what is written meanwhile
    /// may be seen or not, but what is there all the time is seen exactly once.
    Scan {
        /// The least key, or what the page before gave as `next`: then all else is as it was then.
        from: Bytes,
        /// The first key that is not meant any more.
        until: Option<Bytes>,
        /// Entries at most; at least 1. A page may be shorter, and even empty before the end: a store
        /// without order has to look at keys that are not meant, and does so in bounded steps.
        limit: u32,
        /// Whether values are left out.
        keys_only: bool,
    },
}

impl Operation {
    /// The key it is about, or the one it begins at.
    #[must_use]
    pub fn key(&self) -> &Bytes {
        match self {
            Operation::Get { key }
            | Operation::Put { key, .. }
            | Operation::Delete { key, .. }
            | Operation::Touch { key, .. }
            | Operation::Scan { from: key, .. } => key,
        }
    }

    /// Whether it changes anything.
    #[must_use]
    pub fn is_write(&self) -> bool {
        match self {
            Operation::Get { .. } | Operation::Scan { .. } => false,
            Operation::Put { .. } | Operation::Delete { .. } | Operation::Touch { .. } => true,
        }
    }

    /// The bytes of its key and value.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let value = match self {
            Operation::Put { value, .. } => value.len(),
            _ => 0,
        };
        self.key().len() + value
    }
}

/// An operation, and on what terms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// What to do.
    pub operation: Operation,
    /// What an `Ok` is to promise, if it writes.
    pub durability: Durability,
    /// Not begun after this tick, but answered [`Fault::Retry`](super::Fault::Retry).
    /// [`Tick::NEVER`] waits for ever.
    pub deadline: Tick,
}

impl Request {
    /// `operation`, as durable as it can be on one machine, at any time.
    #[must_use]
    pub fn new(operation: Operation) -> Request {
        Request {
            operation,
            durability: Durability::Synced,
            deadline: Tick::NEVER,
        }
    }
}

/// A key with its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The key.
    pub key: Bytes,
    /// The value; empty in a page of keys only.
    pub value: Bytes,
    /// Which version of it.
    pub revision: Revision,
    /// When it goes, in milliseconds since 1970.
    pub expires: Option<u64>,
}

/// One page of a scan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// As many as were asked for, or fewer.
    pub entries: Vec<Entry>,
    /// Where the next page begins: opaque, but [`from`](Operation::Scan) takes it. `None` at the end.
    pub next: Option<Bytes>,
}

/// A write that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written {
    /// The version it made.
    pub revision: Revision,
    /// Whether there was a value before.
    pub replaced: bool,
}

/// What came of an operation that was done, or that a condition kept from being done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// The value, if there is one.
    Got(Option<Entry>),
    /// It was written.
    Written(Written),
    /// Whether there was anything to delete.
    Deleted(bool),
    /// One page.
    Page(Page),
    /// The condition did not hold; this is the present revision.
    Conflict(Option<Revision>),
}
