//! A table whose keys are never mistaken for their successors.
//!
//! The `slab` crate reuses a key at once. An event loop must not: an event that was already
//! collected for a removed source would reach the source that took its place. So each key here
//! is a [`Token`]: the index of a slot and the generation of its tenant. A token of a former
//! tenant finds nothing.
//!
//! Every operation is O(1); nothing is allocated but when the table grows.
//!
//! Invariant: a slot's generation only grows. A slot whose generation cannot grow any more is
//! retired: it is never given out again (after 2^32 - 1 tenants, at a cost of one slot).

use std::fmt;

/// Names one tenant of one slot of a [`Slab`], for ever.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token {
    index: u32,
    generation: u32,
}

impl Token {
    /// The slot. Two live tenants never share one, so it can index dense side tables.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Which tenant of the slot, counted from 1.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.generation
    }

    /// Both parts in one word, as an epoll registration carries them.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// The reverse of [`to_bits`](Token::to_bits).
    #[must_use]
    pub const fn from_bits(bits: u64) -> Token {
        Token {
            index: bits as u32,
            generation: (bits >> 32) as u32,
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}.{}", self.index, self.generation)
    }
}

/// Numbered so that one comparison of the whole number tells a tenant from all else, the vacant entries
/// of the crate among it; of two that follow each other only a bit would be looked at, after another look.
#[derive(Debug)]
#[repr(u32)]
enum Slot<T> {
    Tenant { generation: u32, value: T } = 0,
    Retired = 2,
}

/// Values of type `T` under [`Token`]s. `LAST` is the last generation a slot may reach; it is
/// a parameter only so that a test can reach it.
#[derive(Debug)]
pub struct Slab<T, const LAST: u32 = { u32::MAX }> {
    slots: slab::Slab<Slot<T>>,
    /// The latest generation of each slot ever used; touched at insertion only.
    generations: Vec<u32>,
    retired: usize,
}

impl<T, const LAST: u32> Slab<T, LAST> {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Slab<T, LAST> {
        Slab {
            slots: slab::Slab::new(),
            generations: Vec::new(),
            retired: 0,
        }
    }

    /// How many values are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() - self.retired
    }

    /// Whether no value is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Holds `value` and names it.
    ///
    /// # Errors
    ///
    /// Gives `value` back when 2^32 - 1 slots are in use or retired.
    pub fn try_insert(&mut self, value: T) -> Result<Token, T> {
        let vacant = self.slots.vacant_entry();
        let key = vacant.key();
        let Ok(index) = u32::try_from(key) else {
            return Err(value);
        };
        if index == u32::MAX {
            return Err(value);
        }
        if key == self.generations.len() {
            self.generations.push(0);
        }
        let generation = self.generations[key] + 1; // a retired slot is never vacant
        self.generations[key] = generation;
        vacant.insert(Slot::Tenant { generation, value });
        Ok(Token { index, generation })
    }

    /// The value named by `token`, if it is still there.
    #[inline]
    #[must_use]
    pub fn get(&self, token: Token) -> Option<&T> {
        match self.slots.get(token.index as usize) {
            Some(Slot::Tenant { generation, value }) if *generation == token.generation => {
                Some(value)
            }
            _ => None,
        }
    }

    /// The value named by `token`, if it is still there.
    #[inline]
    #[must_use]
    pub fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        #[cfg(trine_planted)]
        let token = match crate::planted::has(crate::planted::Bug::GenerationUnchecked) {
            true => self.token_at(token.index).unwrap_or(token),
            false => token,
        };
        match self.slots.get_mut(token.index as usize) {
            Some(Slot::Tenant { generation, value }) if *generation == token.generation => {
                Some(value)
            }
            _ => None,
        }
    }

    /// Takes the value named by `token` out for good, if it is still there.
    pub fn remove(&mut self, token: Token) -> Option<T> {
        self.get(token)?;
        let key = token.index as usize;
        let slot = if token.generation == LAST {
            self.retired += 1;
            std::mem::replace(&mut self.slots[key], Slot::Retired)
        } else {
            self.slots.remove(key)
        };
        match slot {
            Slot::Tenant { value, .. } => Some(value),
            Slot::Retired => None,
        }
    }

    /// The token of the present tenant of slot `index`, if it has one.
    #[must_use]
    pub fn token_at(&self, index: u32) -> Option<Token> {
        match self.slots.get(index as usize) {
            Some(&Slot::Tenant { generation, .. }) => Some(Token { index, generation }),
            _ => None,
        }
    }

    /// One more than the highest slot index ever used: the bound for walks by
    /// [`token_at`](Slab::token_at).
    #[must_use]
    pub fn index_bound(&self) -> u32 {
        self.generations.len() as u32 // try_insert keeps it below 2^32
    }
}

impl<T, const LAST: u32> Default for Slab<T, LAST> {
    fn default() -> Slab<T, LAST> {
        Slab::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_a_former_tenant_finds_nothing() {
        let mut slab: Slab<&str> = Slab::new();
        let old = slab.try_insert("old").unwrap();
        assert_eq!(slab.remove(old), Some("old"));
        let new = slab.try_insert("new").unwrap();
        assert_eq!(new.index(), old.index());
        assert_eq!(slab.get(old), None);
        assert_eq!(slab.remove(old), None);
        assert_eq!(slab.get(new), Some(&"new"));
    }

    #[test]
    fn a_generation_that_would_wrap_retires_the_slot_instead_of_reusing_it() {
        let mut slab: Slab<u32, 15> = Slab::new(); // generations of 4 bits
        let mut seen = std::collections::HashSet::new();
        for round in 0..100 {
            let token = slab.try_insert(round).unwrap();
            assert!(seen.insert(token), "{token:?} was given out twice");
            assert_eq!(slab.remove(token), Some(round));
        }
        assert_eq!((slab.len(), slab.retired), (0, 6)); // 100 / 15
        assert!(slab.index_bound() <= 7);
    }

    #[test]
    fn a_token_survives_the_way_through_epoll() {
        let token = Token {
            index: 7,
            generation: u32::MAX,
        };
        assert_eq!(Token::from_bits(token.to_bits()), token);
    }
}
