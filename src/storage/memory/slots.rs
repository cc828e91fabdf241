//! Where the entries of a shard are: slots in chunks, under numbers that do not change.
//!
//! A slot is one cache line. Its number is the name of the entry everywhere else: in the table of
//! hashes, in the queues of eviction, in the timer wheel and in the mark of a page. An entry keeps
//! its number as long as it is there, also when it is overwritten; so a scan that goes through the
//! numbers sees it exactly once. Chunks are freed when nothing is left in them, and nothing is ever
//! moved or copied when there are more of them.
//!
//! ```text
//!   chunks   [ 0 ]──> 256 slots      a slot:  key and value, revision, end, hash,
//!            [ 1 ]    (freed)                 neighbours in a queue
//!            [ 2 ]──> 256 slots
//! ```
//!
//! Invariant: a chunk is in `open` if it has a free slot, and `open` holds no chunk twice.

use std::ops::{Index, IndexMut};

use bytes::Bytes;

use super::packed::charge;
use crate::storage::Revision;
use crate::time::Tick;

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// Slots in a chunk: 16 KiB.
const CHUNK: u32 = 256;

/// Which queue an entry is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Queue {
    /// None: the slot is free.
    Free,
    Small,
    Main,
}

/// One entry. 64 bytes.
#[derive(Debug)]
pub(super) struct Slot {
    /// The key and then the value.
    pub(super) data: Bytes,
    pub(super) revision: Revision,
    /// [`Tick::NEVER`] when it has no end.
    pub(super) expires: Tick,
    pub(super) hash: u32,
    /// Neighbours in the queue; `next` of a free slot is the next free one of its chunk.
    pub(super) next: u32,
    pub(super) previous: u32,
    pub(super) key_len: u16,
    /// Reads since it joined its queue, up to three.
    pub(super) hits: u8,
    pub(super) queue: Queue,
}

impl Slot {
    fn free(next: u32) -> Slot {
        Slot {
            data: Bytes::new(),
            revision: Revision::MIN,
            expires: Tick::NEVER,
            hash: 0,
            next,
            previous: NONE,
            key_len: 0,
            hits: 0,
            queue: Queue::Free,
        }
    }

    #[inline]
    pub(super) fn key(&self) -> &[u8] {
        &self.data[..usize::from(self.key_len)]
    }

    /// Counts a read, up to three. Most entries that are read have been so before, and are left as
    /// they are: a line of memory that is not written need not be written back.
    #[inline]
    pub(super) fn count_hit(&mut self) {
        if self.hits < 3 {
            self.hits += 1;
        }
    }

    /// What the allocator spent on the key and the value.
    #[inline]
    pub(super) fn charge(&self) -> usize {
        charge(self.data.len())
    }
}

#[derive(Debug)]
struct Chunk {
    slots: Box<[Slot]>,
    /// The first free slot, as a number of the shard.
    free: u32,
    used: u32,
}

/// All slots of a shard.
#[derive(Debug, Default)]
pub(super) struct Slots {
    chunks: Vec<Option<Chunk>>,
    /// Chunks with a free slot; those that were freed since may be among them.
    open: Vec<u32>,
    /// Numbers of chunks that were freed.
    vacant: Vec<u32>,
    len: usize,
}

impl Slots {
    /// Makes `entry` fill a free slot. Constant time.
    pub(super) fn insert(&mut self, entry: Slot) -> u32 {
        let number = self.open_chunk();
        let chunk = self.chunks[number as usize].as_mut();
        let chunk = chunk.expect("an open chunk is there");
        let index = chunk.free;
        let slot = &mut chunk.slots[(index % CHUNK) as usize];
        chunk.free = slot.next;
        *slot = entry;
        chunk.used += 1;
        if chunk.free == NONE {
            self.open.pop();
        }
        self.len += 1;
        index
    }

    /// Empties the slot at `index`, and frees its chunk when that was the last one. Constant time.
    pub(super) fn remove(&mut self, index: u32) {
        let number = index / CHUNK;
        let place = &mut self.chunks[number as usize];
        let chunk = place.as_mut().expect("an entry's chunk is there");
        if chunk.free == NONE {
            self.open.push(number);
        }
        chunk.slots[(index % CHUNK) as usize] = Slot::free(chunk.free);
        chunk.free = index;
        chunk.used -= 1;
        self.len -= 1;
        if chunk.used == 0 {
            *place = None;
            self.vacant.push(number);
        }
    }

    /// The number of a chunk with a free slot, which is the last of `open`.
    fn open_chunk(&mut self) -> u32 {
        while let Some(&number) = self.open.last() {
            if self.chunks[number as usize].is_some() {
                return number;
            }
            self.open.pop();
        }
        let number = match self.vacant.pop() {
            Some(number) => number,
            None => {
                self.chunks.push(None);
                // So that a removal, which fills them, allocates nothing.
                self.open.reserve(self.chunks.len() - self.open.len());
                self.vacant.reserve(self.chunks.len() - self.vacant.len());
                u32::try_from(self.chunks.len() - 1).expect("a shard has fewer than 2^24 chunks")
            }
        };
        let first = number * CHUNK;
        let next = |index| {
            if index % CHUNK == CHUNK - 1 {
                NONE
            } else {
                index + 1
            }
        };
        let slots = (first..first + CHUNK).map(|index| Slot::free(next(index)));
        self.chunks[number as usize] = Some(Chunk {
            slots: slots.collect(),
            free: first,
            used: 0,
        });
        self.open.push(number);
        number
    }

    /// Bytes that the next entry may cost beside its own.
    #[inline]
    pub(super) fn growth(&self) -> usize {
        if self.len < self.used_chunks() * CHUNK as usize {
            return 0;
        }
        let lists = match self.chunks.len() == self.chunks.capacity() {
            true => self.chunks.len() * (size_of::<Option<Chunk>>() + 8) + 512,
            false => 0,
        };
        CHUNK as usize * size_of::<Slot>() + lists
    }

    /// All numbers are below this.
    pub(super) fn numbers(&self) -> usize {
        self.chunks.len() * CHUNK as usize
    }

    #[inline]
    fn used_chunks(&self) -> usize {
        self.chunks.len() - self.vacant.len()
    }

    /// Entries.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The first entry whose number is `from` or more, and how many slots were looked at for it.
    pub(super) fn first_from(&self, mut from: u32) -> (Option<u32>, u32) {
        let mut looked = 0;
        while let Some(place) = self.chunks.get((from / CHUNK) as usize) {
            looked += 1;
            match place {
                None => from = (from / CHUNK + 1) * CHUNK,
                Some(chunk) => match chunk.slots[(from % CHUNK) as usize].queue {
                    Queue::Free => from += 1,
                    _ => return (Some(from), looked),
                },
            }
        }
        (None, looked)
    }

    /// Bytes allocated for slots, without what is in them.
    pub(super) fn bytes(&self) -> usize {
        self.used_chunks() * CHUNK as usize * size_of::<Slot>()
            + self.chunks.capacity() * size_of::<Option<Chunk>>()
            + (self.open.capacity() + self.vacant.capacity()) * 4
    }

    /// Every entry, with its number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Slot)> {
        let chunks = self.chunks.iter().zip(0..);
        let chunks = chunks.filter_map(|(chunk, number)| Some((chunk.as_ref()?, number * CHUNK)));
        let slots = chunks.flat_map(|(chunk, first)| (first..).zip(&chunk.slots));
        slots.filter(|(_, slot)| slot.queue != Queue::Free)
    }

    /// Asserts the invariants.
    pub(super) fn check(&self) {
        assert_eq!(self.len, self.iter().count());
        let chunks = || self.chunks.iter().flatten();
        assert_eq!(self.len, chunks().map(|chunk| chunk.used as usize).sum());
        for (number, chunk) in self.chunks.iter().enumerate() {
            let number = number as u32;
            let times = self.open.iter().filter(|open| **open == number).count();
            match chunk {
                Some(chunk) => assert_eq!(times, usize::from(chunk.used < CHUNK)),
                None => assert!(times <= 1 && self.vacant.contains(&number)),
            }
        }
    }
}

impl Index<u32> for Slots {
    type Output = Slot;

    #[inline]
    fn index(&self, index: u32) -> &Slot {
        let chunk = self.chunks[(index / CHUNK) as usize].as_ref();
        &chunk.expect("an entry's chunk is there").slots[(index % CHUNK) as usize]
    }
}

impl IndexMut<u32> for Slots {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut Slot {
        let chunk = self.chunks[(index / CHUNK) as usize].as_mut();
        &mut chunk.expect("an entry's chunk is there").slots[(index % CHUNK) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64) -> Slot {
        Slot {
            revision: Revision::new(number + 1).expect("not zero"),
            queue: Queue::Small,
            ..Slot::free(NONE)
        }
    }

    #[test]
    fn a_slot_is_one_cache_line() {
        assert_eq!(size_of::<Slot>(), 64);
    }

    #[test]
    fn slots_are_used_again_and_chunks_freed_with_their_last_entry() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut slots = Slots::default();
        let mut there = Vec::new();
        for step in 0..40_000 {
            let grows = step % 20_000 < 10_000;
            if random.u8(..8) < if grows { 6 } else { 2 } || there.is_empty() {
                there.push((slots.insert(entry(step)), step));
            } else {
                let (index, number) = there.swap_remove(random.usize(..there.len()));
                assert_eq!(slots[index].revision.get(), number + 1);
                slots.remove(index);
            }
            if step % 1_000 == 0 {
                slots.check();
            }
        }
        assert_eq!(slots.len(), there.len());
        for (index, _) in there.drain(..) {
            slots.remove(index);
        }
        slots.check();
        assert!(slots.chunks.iter().all(Option::is_none));
        assert!(slots.bytes() < 8_192, "{} bytes", slots.bytes());
    }
}
