//! Which keys have operations under way, so that those of one key stay in order.
//!
//! A counting filter: some thousand counters, each for all keys of one hash. A key whose counter is
//! zero certainly has nothing under way. The hash is keyed, so nobody can choose keys that share a
//! counter.
//!
//! Writes stand in the queue of their lane. A read of a key with a write in a queue goes there too,
//! behind it; any other goes to the readers, who wait for no sync. A write does not begin while a read
//! that came before it is still with the readers; and as no more of them come by then, it begins soon.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
#[cfg(feature = "testing")]
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::concurrency::Threads;

/// A power of two.
const COUNTERS: usize = 4096;

/// The operations that are under way, by their keys.
pub(super) struct Pending {
    writes: Box<[AtomicU32]>,
    reads: Box<[AtomicU32]>,
    hash: Hash,
}

/// How keys are spread over the counters.
enum Hash {
    Keyed(RandomState),
    /// The same in each run, for a machine that a seed decides.
    #[cfg(feature = "testing")]
    Fixed(BuildHasherDefault<DefaultHasher>),
}

/// One operation that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    Write(usize),
    /// With the readers.
    Read(usize),
    /// Whatever order it is done in.
    Free,
}

impl Pending {
    /// For a unit on `threads`.
    pub fn new(threads: &Threads) -> Pending {
        let counters = || (0..COUNTERS).map(|_| AtomicU32::new(0)).collect();
        Pending {
            writes: counters(),
            reads: counters(),
            hash: match threads {
                Threads::Real => Hash::Keyed(RandomState::new()),
                #[cfg(feature = "testing")]
                Threads::Simulated(_) => Hash::Fixed(BuildHasherDefault::default()),
            },
        }
    }

    /// For a write of `key`.
    pub fn write(&self, key: &[u8]) -> Mark {
        Mark::Write(self.counter(key))
    }

    /// For a read of `key` that goes to the readers.
    pub fn read(&self, key: &[u8]) -> Mark {
        Mark::Read(self.counter(key))
    }

    /// It goes into a queue.
    pub fn enter(&self, mark: Mark) {
        if let Some(counter) = self.of(mark) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// It is done, and everybody sees it.
    pub fn leave(&self, mark: Mark) {
        if let Some(counter) = self.of(mark) {
            counter.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Whether a write of `key` may be under way. No only if there is none.
    pub fn has_write(&self, key: &[u8]) -> bool {
        #[cfg(trine_planted)]
        if crate::planted::has(crate::planted::Bug::ReadOvertakesWrite) {
            return false;
        }
        self.writes[self.counter(key)].load(Ordering::SeqCst) > 0
    }

    /// Whether the readers are done with the keys of these writes.
    pub fn are_read(&self, mut writes: impl Iterator<Item = Mark>) -> bool {
        writes.all(|mark| match mark {
            Mark::Write(counter) => self.reads[counter].load(Ordering::SeqCst) == 0,
            Mark::Read(_) | Mark::Free => true,
        })
    }

    fn of(&self, mark: Mark) -> Option<&AtomicU32> {
        match mark {
            Mark::Write(counter) => Some(&self.writes[counter]),
            Mark::Read(counter) => Some(&self.reads[counter]),
            Mark::Free => None,
        }
    }

    fn counter(&self, key: &[u8]) -> usize {
        let hash = match &self.hash {
            Hash::Keyed(state) => state.hash_one(key),
            #[cfg(feature = "testing")]
            Hash::Fixed(state) => state.hash_one(key),
        };
        hash as usize % COUNTERS
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |counters: &[AtomicU32]| -> u64 {
            let counters = counters.iter();
            counters
                .map(|counter| u64::from(counter.load(Ordering::Relaxed)))
                .sum()
        };
        let (writes, reads) = (sum(&self.writes), sum(&self.reads));
        write!(f, "Pending({writes} writes, {reads} reads)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_pending_until_the_last_of_its_writes_has_left() {
        let pending = Pending::new(&Threads::Real);
        let mark = pending.write(b"key");
        pending.enter(mark);
        pending.enter(mark);
        for _ in 0..2 {
            assert!(pending.has_write(b"key"));
            pending.leave(mark);
        }
        assert!(!pending.has_write(b"key"));
    }
}
