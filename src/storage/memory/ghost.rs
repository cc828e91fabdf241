//! Hashes of entries that went from the small queue, as many as there are entries.
//!
//! A table in which a hash has one place, beside the number of the eviction: what is too long ago, or
//! was overwritten by another of the place, is forgotten. The paper on S3-FIFO proposes such a table
//! instead of a queue, and to forget a little too early does no harm.

/// Places of the smallest table.
const LEN_MIN: usize = 256;

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    hash: u32,
    /// When it went, in evictions; zero is never.
    evicted: u32,
}

/// The memory of evictions.
#[derive(Debug, Default)]
pub(super) struct Ghost {
    /// Empty until something is evicted, and then a power of two of them.
    places: Vec<Place>,
    evictions: u32,
    /// Evictions after which a hash is forgotten.
    memory: u32,
}

impl Ghost {
    /// Remembers `hash` for as many evictions as there are `entries`.
    pub(super) fn remember(&mut self, hash: u32, entries: usize) {
        let wanted = entries.next_power_of_two().max(LEN_MIN);
        if wanted > self.places.len() || wanted * 4 < self.places.len() {
            self.resize(wanted);
        }
        self.memory = u32::try_from(entries).unwrap_or(u32::MAX);
        self.evictions = self.evictions.checked_add(1).unwrap_or(1);
        let place = self.place(hash);
        self.places[place] = Place {
            hash,
            evicted: self.evictions,
        };
    }

    /// Forgets `hash`; whether it was remembered.
    pub(super) fn take(&mut self, hash: u32) -> bool {
        if self.places.is_empty() {
            return false;
        }
        let (place, evictions) = (self.place(hash), self.evictions);
        let place = &mut self.places[place];
        let is_remembered = place.hash == hash
            && place.evicted != 0
            && evictions.wrapping_sub(place.evicted) < self.memory;
        if is_remembered {
            place.evicted = 0;
        }
        is_remembered
    }

    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<Place>()
    }

    fn place(&self, hash: u32) -> usize {
        hash as usize & (self.places.len() - 1)
    }

    fn resize(&mut self, len: usize) {
        let old = std::mem::replace(&mut self.places, vec![Place::default(); len]);
        for remembered in old.into_iter().filter(|place| place.evicted != 0) {
            let place = self.place(remembered.hash);
            self.places[place] = remembered;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_remembered_once_and_for_as_many_evictions_as_there_are_entries() {
        let mut ghost = Ghost::default();
        assert!(!ghost.take(7));
        ghost.remember(7, 1_000);
        assert!(ghost.take(7));
        assert!(!ghost.take(7), "it was taken");
        ghost.remember(7, 1_000);
        // All in one place, which is another than that of 7.
        for hash in 1_000..1_999 {
            ghost.remember(hash << 16, 1_000);
        }
        assert!(ghost.take(7));
        ghost.remember(7, 1_000);
        for hash in 1_000..2_000 {
            ghost.remember(hash << 16, 1_000);
        }
        assert!(!ghost.take(7), "it is too long ago");
    }
}
