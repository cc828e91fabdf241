//! What goes when room is needed: S3-FIFO (Yang, Zhang, Qiu, Yue and Rashmi, "FIFO queues are all
//! you need for cache eviction", SOSP 2023).
//!
//! Most keys are never read again. So new ones wait in a small queue, a tenth of the bytes; those
//! that were read there twice go on to the main queue, the others leave, and only their hash is
//! remembered for a while, in the ghost. Who comes back while it is remembered joins the main queue
//! at once. A read moves nothing, it only counts up to three.
//!
//! ```text
//!             ┌─ not remembered ─> small ── read twice ─────> main ── not read ──> gone
//!   new key ──┤                      │                        ^  │
//!             │                      └─ else ─> ghost, gone   │  └─ read: again, counted down
//!             └─ remembered by the ghost ─────────────────────┘
//! ```
//!
//! Invariant: every entry is in exactly one queue, and `bytes` of a queue is what its entries are
//! charged with.

use super::ghost::Ghost;
use super::slots::{NONE, Queue, Slots};

/// Entries that may be spared in one search: who searches longer takes what comes next.
const SPARED_MAX: u32 = 64;

/// A queue through the slots: new entries at the head, old ones at the tail.
#[derive(Debug)]
struct Fifo {
    name: Queue,
    head: u32,
    tail: u32,
    bytes: usize,
}

impl Fifo {
    fn new(name: Queue) -> Fifo {
        Fifo {
            name,
            head: NONE,
            tail: NONE,
            bytes: 0,
        }
    }

    fn push(&mut self, slots: &mut Slots, index: u32) {
        let head = std::mem::replace(&mut self.head, index);
        let slot = &mut slots[index];
        (slot.next, slot.previous, slot.queue) = (head, NONE, self.name);
        self.bytes += slot.charge();
        match head {
            NONE => self.tail = index,
            head => slots[head].previous = index,
        }
    }

    fn remove(&mut self, slots: &mut Slots, index: u32) {
        let slot = &slots[index];
        let (next, previous) = (slot.next, slot.previous);
        self.bytes -= slot.charge();
        match previous {
            NONE => self.head = next,
            previous => slots[previous].next = next,
        }
        match next {
            NONE => self.tail = previous,
            next => slots[next].previous = previous,
        }
    }
}

impl Fifo {
    /// Asserts the invariants; how many entries are in it.
    fn check(&self, slots: &Slots) -> usize {
        let (mut len, mut bytes, mut previous, mut at) = (0, 0, NONE, self.head);
        while at != NONE {
            let slot = &slots[at];
            assert_eq!((slot.queue, slot.previous), (self.name, previous));
            (len, bytes) = (len + 1, bytes + slot.charge());
            (previous, at) = (at, slot.next);
        }
        assert_eq!((self.tail, self.bytes), (previous, bytes));
        len
    }
}

/// The queues of a shard.
#[derive(Debug)]
pub(super) struct Queues {
    small: Fifo,
    main: Fifo,
    ghost: Ghost,
    /// What the small queue may hold before it is the one that gives.
    small_bytes_max: usize,
}

impl Queues {
    /// For a shard that may hold `bytes_max`.
    pub(super) fn new(bytes_max: usize) -> Queues {
        Queues {
            small: Fifo::new(Queue::Small),
            main: Fifo::new(Queue::Main),
            ghost: Ghost::default(),
            small_bytes_max: bytes_max / 10,
        }
    }

    /// Takes a new entry in.
    pub(super) fn push(&mut self, slots: &mut Slots, index: u32) {
        let queue = match self.ghost.take(slots[index].hash) {
            true => &mut self.main,
            false => &mut self.small,
        };
        queue.push(slots, index);
    }

    /// Lets an entry go, for whatever reason.
    pub(super) fn remove(&mut self, slots: &mut Slots, index: u32) {
        match slots[index].queue {
            Queue::Small => self.small.remove(slots, index),
            Queue::Main => self.main.remove(slots, index),
            Queue::Free => {}
        }
    }

    /// Tells that the charge of an entry is another now.
    pub(super) fn recharge(&mut self, slots: &Slots, index: u32, before: usize) {
        let slot = &slots[index];
        let queue = match slot.queue {
            Queue::Main => &mut self.main,
            _ => &mut self.small,
        };
        queue.bytes = queue.bytes - before + slot.charge();
    }

    /// What all entries are charged with.
    #[inline]
    pub(super) fn charged(&self) -> usize {
        self.small.bytes + self.main.bytes
    }

    /// Bytes allocated here.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.ghost.bytes()
    }

    /// The entry that goes next, other than `kept`; it is in its queue still, and remembered if it
    /// should be. Looks at [`SPARED_MAX`] entries at most.
    pub(super) fn victim(&mut self, slots: &mut Slots, kept: u32) -> Option<u32> {
        for _ in 0..SPARED_MAX {
            let is_small = self.small.bytes > self.small_bytes_max || self.main.tail == NONE;
            let queue = if is_small {
                &mut self.small
            } else {
                &mut self.main
            };
            let index = queue.tail;
            if index == NONE {
                return None;
            }
            let slot = &mut slots[index];
            let hits = slot.hits;
            if index != kept && hits < if is_small { 2 } else { 1 } {
                if is_small {
                    self.ghost.remember(slot.hash, slots.len());
                }
                return Some(index);
            }
            slot.hits = if is_small { 0 } else { hits.saturating_sub(1) };
            queue.remove(slots, index);
            self.main.push(slots, index);
            if slots.len() == 1 {
                return None; // only `kept` is left
            }
        }
        let last = self.main.tail;
        let index = if last == kept {
            slots[last].previous
        } else {
            last
        };
        (index != NONE).then_some(index)
    }

    /// Asserts the invariants.
    pub(super) fn check(&self, slots: &Slots) {
        let lens = self.small.check(slots) + self.main.check(slots);
        assert_eq!(lens, slots.len(), "an entry is in no queue");
    }
}
