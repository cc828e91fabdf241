//! Why a store did not do what it was asked.

use std::fmt;

use super::operation::Reply;
use crate::time::Span;

/// What a store answers.
pub type Outcome = Result<Reply, Fault>;

/// Five kinds, which differ in whether the operation may have happened and in what helps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Certainly not done, and it would fail again: too large, or not supported.
    Refused(&'static str),
    /// Certainly not done; it may work later: busy, the deadline passed while it waited, no replica.
    Retry {
        /// When to try again, at the earliest.
        after: Span,
        /// Why not now.
        why: &'static str,
    },
    /// It may have happened or not, and may be as durable as was asked or not: an error while it was
    /// written, no answer in time, fewer replicas than asked for. Only a conditional or an idempotent
    /// write may be tried again.
    Unknown(&'static str),
    /// What is stored fails its checksum. It is never returned as a value.
    Corrupt,
    /// The store takes no more work, certainly not this; only reopening it, or its operator, helps.
    Fenced(&'static str),
}

impl Fault {
    /// A queue or a limit is full: [`Fault::Retry`] in a second.
    pub const BUSY: Fault = Fault::Retry {
        after: Span::from_secs(1),
        why: "the storage queue is full",
    };

    /// Nobody began before the deadline.
    pub const LATE: Fault = Fault::Retry {
        after: Span::from_secs(1),
        why: "the deadline passed while the operation waited",
    };

    /// Whether the operation was certainly not done.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        !matches!(self, Fault::Unknown(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Refused(why) => write!(f, "refused: {why}"),
            Fault::Retry { after, why } => write!(f, "not now: {why}; try again after {after}"),
            Fault::Unknown(why) => write!(f, "unknown whether it was done: {why}"),
            Fault::Corrupt => f.write_str("the stored value fails its checksum"),
            Fault::Fenced(why) => write!(f, "the store takes no more work: {why}"),
        }
    }
}

impl std::error::Error for Fault {}
