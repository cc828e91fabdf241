//! The entries of every slot, in chunks of one cache line.
//!
//! A linked list of single entries costs a cache miss for each step, and the next miss cannot
//! begin before the last one ended. Fourteen entries in a line cost one, and the fourteen
//! deadlines they lead to are read side by side.
//!
//! ```text
//!   last[slot] ──> [ a b c . . . . | below, slot ]       the top chunk: 1 to 14 entries
//!                                     │
//!                                     └──> [ d e f g h i j k l m n o p q | below, slot ]
//!                                                                  every other one is full
//! ```
//!
//! An entry is named by its [`Place`], so it can be removed in constant time: the last entry of
//! the slot moves into the gap.
//!
//! Invariant: every chunk of a slot but the top one is full, and the top one is not empty.
//! Invariant: a slot is marked in `occupancy` exactly when it has a chunk.

use super::free_set::FreeSet;
use super::level::{ALL_SLOTS, Occupancy};

/// Entries in a chunk: what a cache line holds beside the two links.
pub(super) const ENTRIES: usize = 14;

/// Where an entry is: chunk x 16 + position in the chunk.
///
/// 28 bits of chunk number are enough for 3.7 thousand million entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place(u32);

impl Place {
    /// No entry. Its position is 15, beyond the end of every chunk.
    pub(super) const NONE: Place = Place(u32::MAX);
    /// Taken out of its slot, to be handed out in the pass under way.
    pub(super) const DUE: Place = Place(u32::MAX - 1);

    /// Whether this is the place of an entry.
    #[inline]
    pub(super) fn is_queued(self) -> bool {
        self.0 < Place::DUE.0
    }

    #[inline]
    fn chunk(self) -> usize {
        (self.0 / 16) as usize
    }

    #[inline]
    fn position(self) -> usize {
        (self.0 % 16) as usize
    }
}

/// Up to fourteen entries of one slot.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Chunk {
    ids: [u32; ENTRIES],
    /// The last place of the chunk below, or none.
    below: Place,
    slot: u32,
}

/// The entries of a chunk taken out of a slot.
pub(super) struct Taken {
    ids: [u32; ENTRIES],
    len: usize,
}

impl Taken {
    /// The ids, in the order they came.
    #[inline]
    pub(super) fn ids(&self) -> &[u32] {
        &self.ids[..self.len]
    }
}

/// All entries of all slots.
pub(super) struct Slots {
    /// The last entry of each slot.
    last: Box<[Place; ALL_SLOTS]>,
    occupancy: Occupancy,
    chunks: Vec<Chunk>,
    free: FreeSet,
}

impl Slots {
    pub(super) fn new() -> Self {
        Slots {
            last: Box::new([Place::NONE; ALL_SLOTS]),
            occupancy: Occupancy::default(),
            chunks: Vec::new(),
            free: FreeSet::default(),
        }
    }

    /// Adds `id` to `slot`. Constant time but for growth.
    #[inline]
    pub(super) fn push(&mut self, slot: usize, id: u32) -> Place {
        let last = self.last[slot];
        let place = if last.position() + 1 < ENTRIES {
            Place(last.0 + 1)
        } else {
            self.open_chunk(slot, last)
        };
        self.chunks[place.chunk()].ids[place.position()] = id;
        self.last[slot] = place;
        place
    }

    /// Puts a chunk on top of the full one, or none, that ends at `below`.
    fn open_chunk(&mut self, slot: usize, below: Place) -> Place {
        if below == Place::NONE {
            self.occupancy.insert(slot);
        }
        let chunk = Chunk {
            ids: [0; ENTRIES],
            below,
            slot: slot as u32,
        };
        let index = match self.free.take() {
            Some(index) => {
                let free = &mut self.chunks[index as usize];
                (free.below, free.slot) = (chunk.below, chunk.slot);
                index
            }
            None => {
                super::reserve_one(&mut self.chunks);
                self.chunks.push(chunk);
                self.chunks.len() as u32 - 1
            }
        };
        assert!(index < 1 << 28, "{index} chunks are all in use");
        Place(index * 16)
    }

    /// Removes the entry at `place`. The last entry of the slot moves there; returns its id,
    /// unless it was the one removed. Constant time.
    #[inline]
    pub(super) fn remove(&mut self, place: Place) -> Option<u32> {
        let slot = self.slot(place);
        let last = self.last[slot];
        let moved = (last != place).then(|| {
            let moved = self.chunks[last.chunk()].ids[last.position()];
            self.chunks[place.chunk()].ids[place.position()] = moved;
            moved
        });
        if last.position() > 0 {
            self.last[slot] = Place(last.0 - 1);
        } else {
            self.last[slot] = self.close_chunk(last);
            if self.last[slot] == Place::NONE {
                self.occupancy.remove(slot);
            }
        }
        moved
    }

    /// Frees the top chunk of a slot and returns the end of the one below.
    fn close_chunk(&mut self, top: Place) -> Place {
        self.free.give(top.0 / 16);
        self.chunks[top.chunk()].below
    }

    /// The slot of the entry at `place`.
    #[inline]
    pub(super) fn slot(&self, place: Place) -> usize {
        self.chunks[place.chunk()].slot as usize
    }

    /// The earliest slot that holds anything. Constant time.
    #[inline]
    pub(super) fn first(&self) -> Option<usize> {
        self.occupancy.first()
    }

    /// Empties `slot` and returns its chain, to be walked with [`Slots::take_chunk`].
    pub(super) fn detach(&mut self, slot: usize) -> Place {
        self.occupancy.remove(slot);
        std::mem::replace(&mut self.last[slot], Place::NONE)
    }

    /// The top chunk of a detached chain, which becomes free; `chain` is then the rest of it.
    #[inline]
    pub(super) fn take_chunk(&mut self, chain: &mut Place) -> Option<Taken> {
        if *chain == Place::NONE {
            return None;
        }
        let taken = Taken {
            ids: self.chunks[chain.chunk()].ids,
            len: chain.position() + 1,
        };
        *chain = self.close_chunk(*chain);
        Some(taken)
    }

    /// Bytes allocated.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.last) + self.chunks.capacity() * size_of::<Chunk>() + self.free.bytes()
    }

    /// Every entry, with its slot and place.
    pub(super) fn entries(&self) -> impl Iterator<Item = (usize, Place, u32)> {
        (0..ALL_SLOTS).flat_map(move |slot| {
            assert_eq!(
                self.last[slot] != Place::NONE,
                self.occupancy.contains(slot)
            );
            let next = move |place: &Place| match place.position() {
                0 => self.chunks[place.chunk()].below,
                _ => Place(place.0 - 1),
            };
            let places =
                std::iter::successors(Some(self.last[slot]), move |place| Some(next(place)));
            places
                .take_while(|&place| place != Place::NONE)
                .map(move |place| {
                    assert_eq!(self.slot(place), slot, "a chunk is in the slot it names");
                    (
                        slot,
                        place,
                        self.chunks[place.chunk()].ids[place.position()],
                    )
                })
        })
    }
}
