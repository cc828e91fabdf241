//! The core of the wheel: one deadline for each small number.
//!
//! The loop numbers its sources from zero, so a source's deadline needs no key and no map: its
//! number is its index. Nearly every deadline only moves later (a connection spoke, so its idle
//! time begins again), so that is the cheapest thing here: one store. The entry stays where it
//! is, and when its slot comes it is put where the deadline is by then. To clear is to move to
//! a deadline that never comes, so the entry stays as well, and the next `set` finds it there.
//! Only a deadline before the slot of its entry moves the entry at once.
//!
//! ```text
//!               set                         its slot comes, deadline reached
//!   no entry ─────────> an entry in a slot ──────────────────────────────────> due
//!     ^  ^                │  ^   ^                                              │ │
//!     │  └────────────────┘  │   └───────────────────── set ────────────────────┘ │
//!     │    its slot comes,   └─ its slot comes, deadline later; set               │
//!     │    cleared                                                                │
//!     └────────────────────────── pop_expired ────────────────────────────────────┘
//! ```
//!
//! Invariant: an id has at most one entry, in a slot that begins no later than its deadline, so
//! memory is bounded by the ids, whatever is done with them.
//! Invariant: what is queued is later than `elapsed`; so nothing fires early, or out of order.
//! Invariant: `elapsed <= now`, and they are equal when the last pass was finished.

use super::level::{slot_of, start_of};
use super::slots::{ENTRIES, Place, Slots};
use crate::time::Tick;

/// What is known of one id. Packed to 12 bytes: a million of them are looked up at random.
#[derive(Clone, Copy)]
#[repr(Rust, packed(4))]
struct Record {
    /// [`Tick::NEVER`] when there is none.
    at: u64,
    place: Place,
}

/// An id that was never set.
const UNUSED: Record = Record {
    at: Tick::NEVER.0,
    place: Place::NONE,
};

/// One deadline for each of many small numbers: the timers of an event loop.
///
/// Storage is indexed by id, so it grows to the largest id ever set: 12 bytes an id, and 5 to
/// 6 more while it is armed.
///
/// ```
/// use trine::time::Tick;
/// use trine::timer_wheel::Deadlines;
///
/// let mut deadlines = Deadlines::new();
/// deadlines.set(7, Tick(1_000));
/// deadlines.set(7, Tick(5_000)); // one store
/// deadlines.set(3, Tick(5_000));
/// deadlines.advance(Tick(5_000));
/// assert_eq!(deadlines.pop_expired(), Some((Tick(5_000), 3)));
/// assert_eq!(deadlines.pop_expired(), Some((Tick(5_000), 7)));
/// assert_eq!(deadlines.pop_expired(), None);
/// ```
pub struct Deadlines {
    records: Vec<Record>,
    slots: Slots,
    /// The tick up to which everything was handed out, or lies in `due`.
    elapsed: u64,
    /// The tick up to which everything may be handed out.
    now: u64,
    /// The ids that reached their deadline at `elapsed`, ascending; those before `due_next`
    /// were handed out, and one that was set since is no longer [`Place::DUE`].
    due: Vec<u32>,
    due_next: usize,
    examined: u64,
}

impl Deadlines {
    /// No deadlines, at [`Tick::ZERO`].
    #[must_use]
    pub fn new() -> Self {
        Deadlines {
            records: Vec::new(),
            slots: Slots::new(),
            elapsed: 0,
            now: 0,
            due: Vec::new(),
            due_next: 0,
            examined: 0,
        }
    }

    /// Gives `id` the deadline `at`, in place of any it had. Constant time but for growth; one
    /// store when the deadline only moves later.
    ///
    /// A deadline that is not after the current tick becomes the next tick, so a handler that
    /// sets one never sees it expire in the same pass. [`Tick::NEVER`] clears.
    #[inline]
    pub fn set(&mut self, id: u32, at: Tick) {
        if at.0 > self.now
            && at != Tick::NEVER
            && let Some(record) = self.records.get_mut(id as usize)
            && record.place.is_queued()
            && at.0 >= record.at
        {
            record.at = at.0;
            return;
        }
        self.set_otherwise(id, at);
    }

    #[inline(never)]
    fn set_otherwise(&mut self, id: u32, at: Tick) {
        let at = at.0.max(self.now.saturating_add(1));
        if at == Tick::NEVER.0 {
            return self.clear(id);
        }
        match self.records.get_mut(id as usize) {
            Some(record) if record.place.is_queued() && at >= record.at => record.at = at,
            _ => self.place(id, at),
        }
    }

    /// Takes the deadline of `id` away, if it has one. One store.
    #[inline]
    pub fn clear(&mut self, id: u32) {
        if let Some(record) = self.records.get_mut(id as usize) {
            record.at = Tick::NEVER.0;
        }
    }

    /// The deadline of `id`: never [`Tick::NEVER`], and none once it was handed out.
    #[must_use]
    pub fn deadline(&self, id: u32) -> Option<Tick> {
        let at = Tick(self.records.get(id as usize)?.at);
        (at != Tick::NEVER).then_some(at)
    }

    /// Begins a pass: from here on [`Deadlines::pop_expired`] hands out what expires up to and
    /// including `now`. A tick before the current one changes nothing.
    pub fn advance(&mut self, now: Tick) {
        self.now = self.now.max(now.0);
    }

    /// Takes out the next id whose deadline has come, with that deadline.
    ///
    /// Ids come in order of their deadlines, and those of one tick in ascending order, however
    /// far the pass goes. Between two calls any id may be set or cleared, one that is due as
    /// well. Whoever has a budget stops calling; the rest comes first in the next pass.
    ///
    /// The cost of a pass does not depend on the distance advanced: each deadline is moved at
    /// most once a level on its way to the front, plus once each time it had moved later.
    #[inline]
    pub fn pop_expired(&mut self) -> Option<(Tick, u32)> {
        loop {
            while let Some(&id) = self.due.get(self.due_next) {
                self.due_next += 1;
                let record = &mut self.records[id as usize];
                if record.place == Place::DUE {
                    let was_cleared = record.at == Tick::NEVER.0;
                    *record = UNUSED;
                    if !was_cleared {
                        return Some((Tick(self.elapsed), id));
                    }
                }
            }
            if !self.collect() {
                return None;
            }
        }
    }

    /// The tick at which the next pass is needed; `None` only when none is set.
    ///
    /// Never later than the earliest deadline. It is earlier when that is far away (a slot of a
    /// higher level begins), at most once a level, and when a deadline moved later or was
    /// cleared, at most once. Later than the current tick if the last pass was finished.
    /// Constant time.
    #[inline]
    #[must_use]
    pub fn next_wake(&self) -> Option<Tick> {
        if self.due_next < self.due.len() {
            return Some(Tick(self.elapsed));
        }
        self.slots
            .first()
            .map(|slot| Tick(start_of(slot, self.elapsed)))
    }

    /// Bytes allocated.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.records.capacity() * size_of::<Record>() + self.due.capacity() * 4 + self.slots.bytes()
    }

    /// How many entries all passes so far have looked at: the work done, counted.
    #[must_use]
    pub fn examined(&self) -> u64 {
        self.examined
    }

    /// Empties the earliest slot until ids are due or no slot begins by `now`; whether any is.
    fn collect(&mut self) -> bool {
        self.due.clear();
        self.due_next = 0;
        while let Some(slot) = self.slots.first() {
            let start = start_of(slot, self.elapsed);
            if start > self.now {
                break;
            }
            self.elapsed = start;
            self.empty(slot);
            if !self.due.is_empty() {
                self.due.sort_unstable();
                return true;
            }
        }
        self.elapsed = self.now;
        false
    }

    /// Makes the ids of `slot`, which begins at `elapsed`, due, or queues them anew.
    fn empty(&mut self, slot: usize) {
        let mut chain = self.slots.detach(slot);
        while let Some(taken) = self.slots.take_chunk(&mut chain) {
            let ids = taken.ids();
            self.examined += ids.len() as u64;
            // All reads before any work, so that their cache misses overlap.
            let mut deadlines = [0; ENTRIES];
            for (at, &id) in deadlines.iter_mut().zip(ids) {
                *at = self.records[id as usize].at;
            }
            for (&id, at) in ids.iter().zip(deadlines) {
                if at == self.elapsed {
                    self.records[id as usize].place = Place::DUE;
                    self.due.push(id);
                } else if at == Tick::NEVER.0 {
                    self.records[id as usize].place = Place::NONE;
                } else {
                    self.queue(id, at);
                }
            }
        }
    }

    /// Sees to it that `id` has an entry in a slot that begins by `at`.
    fn place(&mut self, id: u32, at: u64) {
        if id as usize >= self.records.len() {
            self.grow(id);
        }
        let place = self.records[id as usize].place;
        if place.is_queued() {
            if start_of(self.slots.slot(place), self.elapsed) <= at {
                self.records[id as usize].at = at;
                return;
            }
            self.unqueue(place);
        }
        self.queue(id, at);
    }

    /// Queues `id`, which is not queued, at `at`, which is later than `elapsed`.
    #[inline]
    fn queue(&mut self, id: u32, at: u64) {
        let place = self.slots.push(slot_of(at, self.elapsed), id);
        self.records[id as usize] = Record { at, place };
    }

    /// Removes the entry at `place`. Its record is for the caller to set.
    #[inline]
    fn unqueue(&mut self, place: Place) {
        if let Some(moved) = self.slots.remove(place) {
            self.records[moved as usize].place = place;
        }
    }

    /// Makes room for `id` and, because ids come in ascending order at first, some after it.
    #[cold]
    fn grow(&mut self, id: u32) {
        let len = id as usize + 64;
        let missing = len - self.records.len();
        super::reserve(&mut self.records, missing);
        self.records.resize(len, UNUSED);
    }

    /// Asserts the invariants. Takes time for every id, so it is for tests.
    ///
    /// # Panics
    ///
    /// When one does not hold.
    #[doc(hidden)]
    pub fn check(&self) {
        let mut queued = 0;
        for (slot, place, id) in self.slots.entries() {
            let (record, start) = (self.records[id as usize], start_of(slot, self.elapsed));
            assert!({ record.place } == place, "id {id} has one entry");
            assert!(
                self.elapsed < start && start <= record.at,
                "id {id} is in the wrong slot"
            );
            queued += 1;
        }
        assert_eq!(
            queued,
            self.records
                .iter()
                .filter(|record| record.place.is_queued())
                .count()
        );
        assert!(self.elapsed <= self.now);
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Deadlines::new()
    }
}

impl std::fmt::Debug for Deadlines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deadlines")
            .field("now", &self.now)
            .field("elapsed", &self.elapsed)
            .field("next_wake", &self.next_wake())
            .finish_non_exhaustive()
    }
}
