//! Which slots of an array are free, handed out in runs of ascending order.
//!
//! A free list chained through the slots it lists, or a stack of them, hands slots out in the
//! order they were freed. After a mass expiry that order is random, and every insertion then
//! misses the cache. A bitmap hands out neighbours.
//!
//! ```text
//!   summary of the summary   1 word for 262,144 slots
//!   summary                  1 bit  for 64 slots: is any of them free?
//!   free                     1 bit  for one slot
//!   run                      the word of `free` being handed out, taken out of it
//! ```
//!
//! What is freed beside the run joins it, so whoever frees one and takes one gets the same.
//!
//! Invariant: a bit of a summary is set exactly when the word below it is not zero.
//! Invariant: the top summary is one word, so a search reads one word a layer.

/// A set of free slots.
#[derive(Debug, Default)]
pub(super) struct FreeSet {
    /// The bits of 64 neighbours, `run_base` being the first, that are handed out next.
    run: u64,
    run_base: u32,
    /// The other free slots, then summary over summary.
    layers: Vec<Vec<u64>>,
}

impl FreeSet {
    /// Adds `slot`, which is not in the set. Constant time but for growth.
    #[inline]
    pub(super) fn give(&mut self, slot: u32) {
        if slot - slot % 64 == self.run_base {
            self.run |= 1 << (slot % 64);
            return;
        }
        let mut index = slot as usize;
        for words in &mut self.layers {
            let Some(word) = words.get_mut(index / 64) else {
                break;
            };
            let was_empty = *word == 0;
            *word |= 1 << (index % 64);
            if !was_empty {
                return;
            }
            index /= 64;
            if words.len() == 1 {
                return;
            }
        }
        self.grow(slot);
    }

    /// Takes one slot out of the set. Constant time.
    #[inline]
    pub(super) fn take(&mut self) -> Option<u32> {
        if self.run == 0 {
            self.next_run()?;
        }
        let slot = self.run_base + self.run.trailing_zeros();
        self.run &= self.run - 1;
        Some(slot)
    }

    /// Moves the lowest word that is not zero into `run`.
    fn next_run(&mut self) -> Option<()> {
        let mut index = 0;
        for words in self.layers.iter().rev() {
            let word = words[index];
            if word == 0 {
                return None;
            }
            index = index * 64 + word.trailing_zeros() as usize;
        }
        index /= 64;
        self.run = std::mem::take(self.layers.first_mut()?.get_mut(index)?);
        self.run_base = u32::try_from(index * 64).ok()?;
        for words in self.layers.iter_mut().skip(1) {
            words[index / 64] &= !(1 << (index % 64));
            if words[index / 64] != 0 {
                break;
            }
            index /= 64;
        }
        Some(())
    }

    /// Makes room for `slot` in every layer, adds it, and adds a summary while the top is more
    /// than one word.
    #[cold]
    fn grow(&mut self, slot: u32) {
        let mut index = slot as usize;
        let mut layer = 0;
        loop {
            if layer == self.layers.len() {
                let below = self.layers.last().map_or(&[][..], |words| &words[..]);
                let summary = below.chunks(64).map(summarise).collect();
                self.layers.push(summary);
            }
            let words = &mut self.layers[layer];
            if words.len() <= index / 64 {
                words.resize(index / 64 + 1, 0);
            }
            words[index / 64] |= 1 << (index % 64);
            if words.len() == 1 && layer + 1 == self.layers.len() {
                return;
            }
            index /= 64;
            layer += 1;
        }
    }

    /// Bytes allocated.
    pub(super) fn bytes(&self) -> usize {
        self.layers.iter().map(|words| words.capacity() * 8).sum()
    }
}

/// One bit for each of up to 64 words: whether it is not zero.
fn summarise(words: &[u64]) -> u64 {
    let bits = words.iter().enumerate();
    bits.fold(0, |summary, (bit, &word)| {
        summary | (u64::from(word != 0) << bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_is_given_is_taken_once() {
        for stride in [1, 7, 64, 4_096, 5_003] {
            let mut set = FreeSet::default();
            let given: BTreeSet<u32> = (0..5_000).map(|slot| slot * stride).collect();
            given.iter().rev().for_each(|&slot| set.give(slot));
            let taken: Vec<u32> = std::iter::from_fn(|| set.take()).collect();
            assert!(
                taken.iter().eq(given.iter()),
                "stride {stride}: in ascending order"
            );
            assert_eq!(set.take(), None);
        }
    }

    #[test]
    fn giving_and_taking_in_any_order_agrees_with_a_set() {
        let (mut set, mut model) = (FreeSet::default(), BTreeSet::new());
        let mut random = 1_u32;
        for _ in 0..200_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let slot = random >> 14;
            if random & 4 == 0 && model.insert(slot) {
                set.give(slot);
            } else if let Some(slot) = set.take() {
                assert!(model.remove(&slot), "{slot} was never given");
            } else {
                assert!(model.is_empty());
            }
        }
    }
}
