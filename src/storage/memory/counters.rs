//! What a memory store counts.

/// Counts since the store was opened, and what is in it now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Values in memory, some of which may have expired.
    pub entries: usize,
    /// Bytes of memory that they and everything about them take.
    pub bytes: usize,
    /// Gets that found a value.
    pub hits: u64,
    /// Gets that found none.
    pub misses: u64,
    /// Values that went to make room.
    pub evictions: u64,
    /// Values that were removed after their time had come.
    pub expirations: u64,
    /// Writes for which there was no room.
    pub refusals: u64,
}

impl Counters {
    /// Adds those of another part.
    pub(super) fn add(&mut self, other: &Counters) {
        self.entries += other.entries;
        self.bytes += other.bytes;
        self.hits += other.hits;
        self.misses += other.misses;
        self.evictions += other.evictions;
        self.expirations += other.expirations;
        self.refusals += other.refusals;
    }
}
