//! How the outcome of an operation is said.

use super::backend::Backend;
use super::command::Unit;
use super::command_error::CommandError;
use super::encoder::ReplyEncoder;
use super::glob;
use crate::storage::{Entry, Fault, Outcome, Page, Reply};

/// What a command of one operation makes of its outcome.
#[derive(Debug)]
pub(super) enum Shape {
    /// The value, or null.
    Value,
    /// `OK`, or null if the condition did not hold.
    Done,
    /// 1 if it was done, or 0.
    Flag,
    /// How long the value is there: -1 for ever, -2 if there is none.
    TimeLeft(Unit),
    /// A cursor and the keys that match.
    Page { pattern: Option<Box<[u8]>> },
}

impl Shape {
    /// Says `outcome`.
    pub fn say(&self, outcome: Outcome, encoder: &mut ReplyEncoder<'_>, backend: &mut Backend) {
        let reply = match outcome {
            Ok(reply) => reply,
            Err(fault) => return encoder.error(CommandError::from(fault)),
        };
        match (self, reply) {
            (Shape::Value, Reply::Got(Some(entry))) => encoder.bulk(&entry.value),
            (Shape::Value, Reply::Got(None)) => encoder.null(),
            (Shape::Done, Reply::Written(_) | Reply::Deleted(_)) => encoder.ok(),
            (Shape::Done, Reply::Conflict(_)) => encoder.null(),
            (Shape::Flag, Reply::Written(_) | Reply::Deleted(true)) => encoder.integer(1),
            (Shape::Flag, Reply::Conflict(_) | Reply::Deleted(false)) => encoder.integer(0),
            (Shape::TimeLeft(unit), Reply::Got(entry)) => {
                encoder.integer(time_left(entry.as_ref(), *unit, backend.unix_millis()));
            }
            (Shape::Page { pattern }, Reply::Page(page)) => {
                say_page(page, pattern.as_deref(), encoder, backend);
            }
            (_, _) => encoder.error(CommandError::from(STRANGE)),
        }
    }
}

/// The store has answered something else than it was asked.
pub(super) const STRANGE: Fault = Fault::Unknown("the store gave the wrong kind of reply");

fn time_left(entry: Option<&Entry>, unit: Unit, now: u64) -> i64 {
    let Some(entry) = entry else { return -2 };
    let Some(expires) = entry.expires else {
        return -1;
    };
    let millis = i64::try_from(expires.saturating_sub(now)).unwrap_or(i64::MAX);
    match unit {
        Unit::Milliseconds => millis,
        Unit::Seconds => millis / 1_000 + i64::from(millis % 1_000 >= 500),
    }
}

fn say_page(
    page: Page,
    pattern: Option<&[u8]>,
    encoder: &mut ReplyEncoder<'_>,
    backend: &mut Backend,
) {
    let is_meant =
        |entry: &&Entry| pattern.is_none_or(|pattern| glob::matches(pattern, &entry.key));
    let count = page.entries.iter().filter(is_meant).count();
    let cursor = page.next.map_or(0, |next| backend.cursors.give(next));
    encoder.array(2);
    encoder.bulk(itoa::Buffer::new().format(cursor).as_bytes());
    encoder.array(count);
    for entry in page.entries.iter().filter(is_meant) {
        encoder.bulk(&entry.key);
    }
}

/// A command of many operations that says one thing about all of them.
#[derive(Debug)]
pub(super) struct Tally {
    what: Counted,
    /// Operations without an outcome yet.
    left: usize,
    hits: i64,
    /// The first one.
    fault: Option<Fault>,
}

/// What a [`Tally`] counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Counted {
    /// Values that were there and are deleted.
    Deleted,
    /// Values that are there.
    Found,
    /// Nothing: all are written.
    Written,
}

impl Tally {
    /// Of `operations` operations, at least one.
    pub fn new(what: Counted, operations: usize) -> Tally {
        Tally {
            what,
            left: operations,
            hits: 0,
            fault: None,
        }
    }

    /// One more.
    pub fn add(&mut self, outcome: Outcome) {
        self.left = self.left.saturating_sub(1);
        match outcome {
            Ok(Reply::Deleted(true) | Reply::Got(Some(_))) => self.hits += 1,
            Ok(Reply::Deleted(false) | Reply::Got(None) | Reply::Written(_)) => {}
            Ok(_) => self.fault = self.fault.or(Some(STRANGE)),
            Err(fault) => self.fault = self.fault.or(Some(fault)),
        }
    }

    pub fn is_complete(&self) -> bool {
        self.left == 0
    }

    /// Says what came of all of them.
    pub fn say(&self, encoder: &mut ReplyEncoder<'_>) {
        match (self.fault, self.what) {
            (Some(fault), _) => encoder.error(CommandError::from(fault)),
            (None, Counted::Written) => encoder.ok(),
            (None, Counted::Deleted | Counted::Found) => encoder.integer(self.hits),
        }
    }
}
