//! Where a deadline belongs: one level for each byte of a tick.
//!
//! A level has 256 slots. A deadline belongs to the level of the highest byte in which it
//! differs from the wheel's time, in the slot named by that byte:
//!
//! ```text
//!   level   a slot covers   the level covers
//!     0     1 ms            256 ms
//!     1     256 ms          65.5 s
//!     2     65.5 s          4.7 h
//!     3     4.7 h           49.7 days
//!     7     2.3 million years
//! ```
//!
//! Because bytes above the level agree with the wheel's time, all of a level lies before all of
//! the next one, and within a level slots come in order of their number: the earliest slot is
//! the first bit of the first level that has one. Nothing wraps round, and eight levels hold
//! every deadline there is, so there is no overflow list.
//!
//! Invariant: a slot that holds anything begins after the wheel's time.

/// Slots of a level; a power of two, because a slot is a byte of the deadline.
const SLOTS: usize = 256;
/// Bits of a deadline that one level tells apart.
const BITS: u32 = SLOTS.trailing_zeros();
/// As many as a tick has bytes.
const LEVELS: usize = (u64::BITS / BITS) as usize;
/// Slots of all levels together.
pub(super) const ALL_SLOTS: usize = LEVELS * SLOTS;

/// The slot of `at`, which is later than `elapsed`.
#[inline]
pub(super) fn slot_of(at: u64, elapsed: u64) -> usize {
    let level = (at ^ elapsed | 1).ilog2() / BITS;
    level as usize * SLOTS + (at >> (level * BITS)) as usize % SLOTS
}

/// The first tick of `slot`, when the wheel's time is `elapsed`.
#[inline]
pub(super) fn start_of(slot: usize, elapsed: u64) -> u64 {
    let shift = (slot / SLOTS) as u32 * BITS;
    // Two shifts: one of 64 bits at once, for the top level, is not defined.
    let above = (elapsed >> shift >> BITS) << BITS;
    (above | (slot % SLOTS) as u64) << shift
}

/// Which slots hold anything.
#[derive(Debug, Default)]
pub(super) struct Occupancy {
    /// Bit `n`: level `n` holds anything.
    levels: u32,
    slots: [[u64; SLOTS / 64]; LEVELS],
}

impl Occupancy {
    /// Marks `slot` as holding something.
    #[inline]
    pub(super) fn insert(&mut self, slot: usize) {
        self.levels |= 1 << (slot / SLOTS);
        self.slots[slot / SLOTS][slot % SLOTS / 64] |= 1 << (slot % 64);
    }

    /// Marks `slot` as empty.
    #[inline]
    pub(super) fn remove(&mut self, slot: usize) {
        let level = &mut self.slots[slot / SLOTS];
        level[slot % SLOTS / 64] &= !(1 << (slot % 64));
        if level.iter().all(|&word| word == 0) {
            self.levels &= !(1 << (slot / SLOTS));
        }
    }

    /// The earliest slot that holds anything.
    #[inline]
    pub(super) fn first(&self) -> Option<usize> {
        let level = self.levels.trailing_zeros() as usize;
        let words = self.slots.get(level)?;
        let word = words.iter().position(|&word| word != 0)?;
        Some(level * SLOTS + word * 64 + words[word].trailing_zeros() as usize)
    }

    /// Whether `slot` is marked.
    pub(super) fn contains(&self, slot: usize) -> bool {
        self.slots[slot / SLOTS][slot % SLOTS / 64] & (1 << (slot % 64)) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_begins_at_or_before_the_deadlines_in_it_and_after_the_wheels_time() {
        let edges: Vec<u64> = (0..8)
            .flat_map(|level| [1_u64, 2, 255].map(|byte| byte << (8 * level)))
            .flat_map(|edge| [edge - 1, edge, edge + 1])
            .chain([0, u64::MAX - 1, u64::MAX])
            .collect();
        for &elapsed in &edges {
            for &at in edges.iter().filter(|&&at| at > elapsed) {
                let start = start_of(slot_of(at, elapsed), elapsed);
                assert!(elapsed < start && start <= at, "{elapsed} {at} {start}");
            }
        }
    }
}
