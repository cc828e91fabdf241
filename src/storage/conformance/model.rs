//! What a store does, said with a sorted map: the oracle of the random batches.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::storage::{Condition, Entry, Operation, Outcome, Page, Reply, Revision, Written};
use crate::time::Span;

/// Milliseconds since 1970 between which something happened; one when the clock stands still.
pub(super) type Moment = RangeInclusive<u64>;

#[derive(Clone, Debug)]
struct Value {
    value: Bytes,
    revision: Revision,
    expires: Option<Moment>,
}

impl Value {
    fn is_there(&self, moment: &Moment) -> bool {
        let end = self.expires.as_ref().map(RangeInclusive::start);
        end.is_none_or(|end| end > moment.end())
    }

    fn matches(&self, entry: &Entry, keys_only: bool) -> bool {
        let expires = match (&self.expires, entry.expires) {
            (None, None) => true,
            (Some(range), Some(end)) => range.contains(&end),
            _ => false,
        };
        let value = if keys_only { b"" } else { &self.value[..] };
        expires && entry.value == value && entry.revision == self.revision
    }
}

/// The keys with their values, and every revision that a key ever had.
#[derive(Default)]
pub(super) struct Model {
    values: BTreeMap<Bytes, Value>,
    seen: HashMap<Bytes, HashSet<Revision>>,
}

impl Model {
    /// The present revision, expired or not, of a key: for conditions that may hold.
    pub(super) fn revision(&self, key: &Bytes) -> Option<Revision> {
        self.values.get(key).map(|value| value.revision)
    }

    /// Compares what an operation gave with what it must give, and does it here too.
    pub(super) fn check(
        &mut self,
        operation: &Operation,
        outcome: &Outcome,
        moment: &Moment,
        is_ordered: bool,
    ) -> Result<(), String> {
        self.values.retain(|_, value| value.is_there(moment));
        let reply = outcome.as_ref().map_err(|fault| fault.to_string())?;
        let as_expected = match (operation, reply) {
            (Operation::Get { key }, Reply::Got(entry)) => self.is_entry(key, entry.as_ref()),
            (Operation::Scan { .. }, Reply::Page(page)) => {
                return self.check_page(operation, page, is_ordered);
            }
            (Operation::Put { key, condition, .. }, _) => {
                return self.check_write(key, *condition, operation, reply, moment);
            }
            (Operation::Touch { key, .. }, _) => {
                return self.check_write(key, Condition::Present, operation, reply, moment);
            }
            (Operation::Delete { key, condition }, _) => self.delete(key, *condition) == *reply,
            _ => false,
        };
        match as_expected {
            true => Ok(()),
            false => Err(format!("the reply is {reply:?}; there is {}", self.tell())),
        }
    }

    /// Whether `entry` is what is there of `key`.
    fn is_entry(&self, key: &Bytes, entry: Option<&Entry>) -> bool {
        match (self.values.get(key), entry) {
            (None, None) => true,
            (Some(value), Some(entry)) => entry.key == key && value.matches(entry, false),
            _ => false,
        }
    }

    fn delete(&mut self, key: &Bytes, condition: Condition) -> Reply {
        let revision = self.revision(key);
        if !condition.holds(revision) {
            return Reply::Conflict(revision);
        }
        Reply::Deleted(self.values.remove(key).is_some())
    }

    /// A put or a touch. The store chooses the revision, but not one that the key had before.
    fn check_write(
        &mut self,
        key: &Bytes,
        condition: Condition,
        operation: &Operation,
        reply: &Reply,
        moment: &Moment,
    ) -> Result<(), String> {
        let present = self.revision(key);
        let written = match reply {
            Reply::Written(written) if condition.holds(present) => written,
            Reply::Conflict(told) if !condition.holds(present) && *told == present => return Ok(()),
            _ => return Err(format!("the reply is {reply:?}; there is {}", self.tell())),
        };
        let Written { revision, replaced } = *written;
        if replaced != present.is_some() {
            return Err(format!("replaced: {replaced}; there is {}", self.tell()));
        }
        if !self.seen.entry(key.clone()).or_default().insert(revision) {
            return Err(format!("{key:?} had the revision {revision} before"));
        }
        let (value, ttl) = match operation {
            Operation::Put { value, ttl, .. } => (value.clone(), *ttl),
            Operation::Touch { ttl, .. } => (self.values[key].value.clone(), *ttl),
            _ => return Err(format!("{operation:?} does not write")),
        };
        let value = Value {
            value,
            revision,
            expires: ttl.map(|ttl| end_of(ttl, moment)),
        };
        self.values.insert(key.clone(), value);
        Ok(())
    }

    /// One page from a key on. The store may end it early, but not leave anything out before its end.
    fn check_page(&self, scan: &Operation, page: &Page, is_ordered: bool) -> Result<(), String> {
        let Operation::Scan {
            from,
            until,
            limit,
            keys_only,
        } = scan
        else {
            return Err("not a scan".to_owned());
        };
        let is_meant = |key: &Bytes| until.as_ref().is_none_or(|until| key < until);
        let meant = self.values.range(from.clone()..);
        let meant: Vec<_> = meant.filter(|(key, _)| is_meant(key)).collect();
        let is_right = |entry: &Entry| {
            let value = self.values.get(&entry.key).filter(|_| entry.key >= *from);
            value.is_some_and(|value| value.matches(entry, *keys_only) && is_meant(&entry.key))
        };
        let keys: HashSet<&Bytes> = page.entries.iter().map(|entry| &entry.key).collect();
        let are_first = || {
            let order = page.entries.iter().zip(&meant);
            order.fold(true, |all, (entry, (key, _))| all && entry.key == **key)
        };
        let complaint = if page.entries.len() > *limit as usize {
            "more entries than asked for"
        } else if !page.entries.iter().all(is_right) {
            "an entry that is not there"
        } else if keys.len() < page.entries.len() {
            "an entry twice"
        } else if page.next.is_none() && keys.len() < meant.len() {
            "it ends before everything was seen"
        } else if is_ordered && !are_first() {
            "not the first ones in order"
        } else {
            return Ok(());
        };
        Err(format!("{complaint}: {page:?}; there is {}", self.tell()))
    }

    /// Whether `entries`, of a whole scan, are all there is.
    pub(super) fn check_all(&self, entries: &[Entry], now: u64) -> Result<(), String> {
        let moment = now..=now;
        let there = self.values.iter();
        let there: Vec<_> = there
            .filter(|(_, value)| value.is_there(&moment))
            .map(|(key, _)| key)
            .collect();
        let mut keys: Vec<_> = entries.iter().map(|entry| &entry.key).collect();
        keys.sort();
        let all_match = entries
            .iter()
            .all(|entry| self.is_entry(&entry.key, Some(entry)));
        match keys == there && all_match {
            true => Ok(()),
            false => Err(format!("a scan gave {entries:?}; there is {}", self.tell())),
        }
    }

    fn tell(&self) -> String {
        format!("{:?}", self.values)
    }
}

/// When what is written at `moment` for `ttl` goes.
fn end_of(ttl: Span, moment: &Moment) -> Moment {
    let after = |start: &u64| start.saturating_add(ttl.as_millis());
    after(moment.start())..=after(moment.end())
}
