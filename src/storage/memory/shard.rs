//! One shard: entries, their table, their queues and their ends, used by one thread at a time.
//!
//! ```text
//!   hash ──> table ──> number ──┬──> Slots       the entry
//!                               ├──> Queues      what goes when room is needed
//!                               └──> Deadlines   what goes because its time has come
//! ```
//!
//! The table holds hashes and numbers only, so it grows without looking at an entry. Whether an entry
//! has expired is decided when it is looked at; the wheel only finds those that nobody looks at.
//!
//! Invariant: between two calls [`Shard::bytes`] is at most `bytes_max`.

use hashbrown::HashTable;

use super::WhenFull;
use super::counters::Counters;
use super::packed::{charge, packed};
use super::queues::Queues;
use super::slots::{NONE, Queue, Slot, Slots};
use super::terms::Terms;
use crate::storage::{Condition, Entry, Fault, Outcome, Reply, Revision, Written};
use crate::time::{Span, Tick};
use crate::timer_wheel::Deadlines;

/// Expired entries that a write which needs room removes first.
const EXPIRED_AT_ONCE: usize = 16;

/// Bytes of a table or a wheel that is not worth shrinking.
const SMALL: usize = 16 << 10;

/// What a write is answered for which there is no room.
const FULL: Fault = Fault::Retry {
    after: Span::from_secs(1),
    why: "the store is full",
};

/// A key, with its hash.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) octets: &'a [u8],
    pub(super) hash: u32,
}

#[derive(Clone, Copy)]
struct Cell {
    hash: u32,
    index: u32,
}

/// The 64 bits that the table wants of a hash: as many low ones as there are, and a mix above.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

pub(super) struct Shard {
    table: HashTable<Cell>,
    slots: Slots,
    queues: Queues,
    ends: Deadlines,
    /// Entries that have an end.
    ending: usize,
    revision: Revision,
    bytes_max: usize,
    when_full: WhenFull,
    pub(super) counters: Counters,
}

impl Shard {
    /// An empty shard, whose revisions begin above `revision`.
    pub(super) fn new(
        bytes_max: usize,
        when_full: WhenFull,
        revision: Revision,
        now: Tick,
    ) -> Shard {
        Shard {
            table: HashTable::new(),
            slots: Slots::default(),
            queues: Queues::new(bytes_max),
            ends: ends_from(now),
            ending: 0,
            revision,
            bytes_max,
            when_full,
            counters: Counters::default(),
        }
    }

    pub(super) fn get(&mut self, key: Key<'_>, terms: &Terms<'_>) -> Reply {
        let Some(index) = self.find(key, terms) else {
            self.counters.misses += 1;
            return Reply::Got(None);
        };
        self.counters.hits += 1;
        let slot = &mut self.slots[index];
        slot.count_hit();
        Reply::Got(Some(entry(slot, terms)))
    }

    /// A put.
    pub(super) fn put(
        &mut self,
        key: Key<'_>,
        value: &[u8],
        condition: Condition,
        terms: &Terms<'_>,
    ) -> Outcome {
        let found = self.find(key, terms);
        let present = found.map(|index| self.slots[index].revision);
        if !condition.holds(present) {
            return Ok(Reply::Conflict(present));
        }
        let before = found.map_or(0, |index| self.slots[index].charge());
        let more = charge(key.octets.len() + value.len()).saturating_sub(before);
        let more = more + self.growth_of_ends(terms);
        self.make_room(more, found.unwrap_or(NONE), terms)?;

        let data = packed(key.octets, value);
        let revision = self.next_revision();
        let expires = terms.expires(revision);
        let index = match found {
            Some(index) => {
                let slot = &mut self.slots[index];
                slot.data = data;
                slot.revision = revision;
                slot.count_hit();
                self.queues.recharge(&self.slots, index, before);
                self.set_end(index, expires);
                index
            }
            None => self.insert(key, data, revision, expires),
        };
        self.settle(index);
        Ok(Reply::Written(Written {
            revision,
            replaced: found.is_some(),
        }))
    }

    pub(super) fn touch(&mut self, key: Key<'_>, terms: &Terms<'_>) -> Outcome {
        let Some(index) = self.find(key, terms) else {
            return Ok(Reply::Conflict(None));
        };
        let more = self.growth_of_ends(terms);
        self.make_room(more, index, terms)?;
        let revision = self.next_revision();
        let slot = &mut self.slots[index];
        slot.revision = revision;
        slot.count_hit();
        self.set_end(index, terms.expires(revision));
        self.settle(index);
        Ok(Reply::Written(Written {
            revision,
            replaced: true,
        }))
    }

    pub(super) fn delete(
        &mut self,
        key: Key<'_>,
        condition: Condition,
        terms: &Terms<'_>,
    ) -> Reply {
        let found = self.find(key, terms);
        let present = found.map(|index| self.slots[index].revision);
        if !condition.holds(present) {
            return Reply::Conflict(present);
        }
        found.into_iter().for_each(|index| self.remove(index));
        Reply::Deleted(found.is_some())
    }

    /// Hands out the entries from the slot `from` on until `take` says enough; where to go on, or
    /// `None` at the end. `looks` is how many slots may be looked at, and goes down.
    pub(super) fn scan(
        &self,
        mut from: u32,
        looks: &mut u32,
        terms: &Terms<'_>,
        mut take: impl FnMut(Entry) -> bool,
    ) -> Option<u32> {
        loop {
            if *looks == 0 {
                return Some(from);
            }
            let (index, looked) = self.slots.first_from(from);
            *looks = looks.saturating_sub(looked);
            let index = index?;
            let slot = &self.slots[index];
            from = index + 1;
            if !terms.is_over(slot.expires) && !take(entry(slot, terms)) {
                return Some(from);
            }
        }
    }

    /// Removes up to `count` entries whose time has come; whether there are more.
    pub(super) fn expire(&mut self, count: usize, now: Tick) -> bool {
        let is_more = self.remove_expired(count, now);
        self.settle(NONE);
        is_more
    }

    fn remove_expired(&mut self, count: usize, now: Tick) -> bool {
        self.ends.advance(now);
        for _ in 0..count {
            let Some((_, index)) = self.ends.pop_expired() else {
                self.shrink_ends(now);
                return false;
            };
            self.counters.expirations += 1;
            self.remove(index);
        }
        self.is_due(now)
    }

    fn is_due(&self, now: Tick) -> bool {
        self.ends.next_wake().is_some_and(|tick| tick <= now)
    }

    /// Entries, expired ones that are still here among them.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Bytes of memory in use: keys, values and everything about them.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.queues.charged()
            + self.slots.bytes()
            + self.table.allocation_size()
            + self.queues.bytes()
            + self.ends.memory()
    }

    /// The entry of `key`, unless it has expired, in which case it is gone now.
    #[inline]
    fn find(&mut self, key: Key<'_>, terms: &Terms<'_>) -> Option<u32> {
        let is_it =
            |cell: &Cell| cell.hash == key.hash && self.slots[cell.index].key() == key.octets;
        let index = self.table.find(spread(key.hash), is_it)?.index;
        if terms.is_over(self.slots[index].expires) {
            self.counters.expirations += 1;
            self.remove(index);
            return None;
        }
        Some(index)
    }

    fn insert(&mut self, key: Key<'_>, data: bytes::Bytes, revision: Revision, end: Tick) -> u32 {
        let index = self.slots.insert(Slot {
            data,
            revision,
            expires: Tick::NEVER,
            hash: key.hash,
            next: NONE,
            previous: NONE,
            // The capabilities allow no longer one.
            key_len: key.octets.len() as u16,
            hits: 0,
            queue: Queue::Small,
        });
        let cell = Cell {
            hash: key.hash,
            index,
        };
        let rehash = |cell: &Cell| spread(cell.hash);
        self.table.insert_unique(spread(key.hash), cell, rehash);
        self.queues.push(&mut self.slots, index);
        self.set_end(index, end);
        index
    }

    fn remove(&mut self, index: u32) {
        let hash = self.slots[index].hash;
        let cell = self
            .table
            .find_entry(spread(hash), |cell| cell.index == index);
        if let Ok(cell) = cell {
            cell.remove();
        }
        self.set_end(index, Tick::NEVER);
        self.queues.remove(&mut self.slots, index);
        self.slots.remove(index);
        let (len, capacity) = (self.table.len(), self.table.capacity());
        if len < capacity / 4 && self.table.allocation_size() > SMALL {
            self.table.shrink_to(len * 2, |cell| spread(cell.hash));
        }
    }

    #[inline]
    fn set_end(&mut self, index: u32, end: Tick) {
        let slot = &mut self.slots[index];
        if slot.expires == end {
            return;
        }
        self.ending -= usize::from(slot.expires != Tick::NEVER);
        self.ending += usize::from(end != Tick::NEVER);
        slot.expires = end;
        self.ends.set(index, end);
    }

    /// Forgets the size that the wheel once had, when nothing is in it.
    fn shrink_ends(&mut self, now: Tick) {
        if self.ending == 0 && self.ends.memory() > SMALL {
            self.ends = ends_from(now);
        }
    }

    fn next_revision(&mut self) -> Revision {
        // Some hundred thousand years of writes fit.
        self.revision = self.revision.checked_add(1).unwrap_or(Revision::MIN);
        self.revision
    }

    /// Sees to it that `more` bytes fit, and what the tables may grow by, without removing `kept`.
    #[inline]
    fn make_room(&mut self, more: usize, kept: u32, terms: &Terms<'_>) -> Result<(), Fault> {
        if self.fits(more, kept) {
            return Ok(());
        }
        self.make_room_slowly(more, kept, terms)
    }

    fn make_room_slowly(&mut self, more: usize, kept: u32, terms: &Terms<'_>) -> Result<(), Fault> {
        let now = terms.now();
        let mut is_due = self.is_due(now);
        while is_due && !self.fits(more, kept) {
            is_due = self.remove_expired(EXPIRED_AT_ONCE, now);
        }
        while !self.fits(more, kept) {
            if self.when_full == WhenFull::Refuse {
                self.counters.refusals += 1;
                return Err(FULL);
            }
            if !self.evict_one(kept) {
                break;
            }
        }
        Ok(())
    }

    /// Whether there is room for `more` bytes and, unless they are for the entry `kept`, a new entry.
    #[inline]
    fn fits(&self, more: usize, kept: u32) -> bool {
        let is_new = kept == NONE;
        let table = match is_new && self.table.len() == self.table.capacity() {
            true => self.table.allocation_size() + 64, // it doubles
            false => 0,
        };
        let slots = if is_new { self.slots.growth() } else { 0 };
        self.bytes() + more + table + slots <= self.bytes_max
    }

    /// What the wheel may grow by, at most: for the numbers of entries, by a quarter of its parts, and
    /// when ends come nearer and are spread over more of its slots. A store that may not evict for it
    /// then keeps room for it.
    fn growth_of_ends(&self, terms: &Terms<'_>) -> usize {
        let has_ends = self.ending > 0 || terms.has_ttl();
        match self.when_full == WhenFull::Refuse && has_ends {
            true => {
                let spread = self.ending.min(1_024) * 64;
                let numbers = self.slots.numbers() * 12;
                self.ends.memory() / 3 + spread + numbers + 4_096
            }
            false => 0,
        }
    }

    /// Evicts as much as the wheel has grown by, which is rarely anything.
    #[inline]
    fn settle(&mut self, kept: u32) {
        let evicts = self.when_full == WhenFull::Evict;
        while evicts && self.bytes() > self.bytes_max && self.evict_one(kept) {}
    }

    /// Evicts one entry other than `kept`, if there is any.
    fn evict_one(&mut self, kept: u32) -> bool {
        let Some(index) = self.queues.victim(&mut self.slots, kept) else {
            return false;
        };
        self.counters.evictions += 1;
        self.remove(index);
        true
    }

    /// Asserts the invariants. Takes time for every entry, so it is for tests.
    pub(super) fn check(&self) {
        assert!(self.bytes() <= self.bytes_max, "{} bytes", self.bytes());
        assert_eq!(self.table.len(), self.slots.len());
        let mut ending = 0;
        for (index, slot) in self.slots.iter() {
            let cell = self
                .table
                .find(spread(slot.hash), |cell| cell.index == index);
            assert!(cell.is_some_and(|cell| cell.hash == slot.hash));
            let end = self.ends.deadline(index).unwrap_or(Tick::NEVER);
            assert_eq!(end, slot.expires, "the wheel knows another end");
            ending += usize::from(end != Tick::NEVER);
        }
        assert_eq!(ending, self.ending);
        self.slots.check();
        self.queues.check(&self.slots);
        self.ends.check();
    }
}

/// A wheel whose time is `now`.
fn ends_from(now: Tick) -> Deadlines {
    let mut ends = Deadlines::new();
    ends.advance(now);
    let none = ends.pop_expired();
    debug_assert!(none.is_none());
    ends
}

fn entry(slot: &Slot, terms: &Terms<'_>) -> Entry {
    let key_len = usize::from(slot.key_len);
    Entry {
        key: slot.data.slice(..key_len),
        value: slot.data.slice(key_len..),
        revision: slot.revision,
        expires: terms.unix_millis(slot.expires),
    }
}
