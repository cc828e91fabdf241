//! Chance from a seed: the same seed throws the same numbers, on every machine.

/// A generator of pseudo-random numbers (SplitMix64): eight bytes, and no bad seed.
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// Dice that `seed` decides.
    #[must_use]
    pub fn new(seed: u64) -> Dice {
        Dice { state: seed }
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 when that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.number()) * bound as u128) >> 64) as usize // less than `bound`
    }

    /// A number from 1 to `max`; 1 when that is 0.
    pub fn up_to(&mut self, max: usize) -> usize {
        1 + self.below(max)
    }

    /// Whether something happens that has the probability `chance`. What never happens takes no
    /// throw, so that switching one fault off leaves the others where they were.
    pub fn happens(&mut self, chance: f64) -> bool {
        chance > 0.0 && ((self.number() >> 11) as f64) < chance * (1u64 << 53) as f64
    }

    /// Puts `items` into an order of its own.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
