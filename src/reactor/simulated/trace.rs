//! What happened in a simulation, as one number: two runs that did the same have the same.

/// A hash over everything in its order (FNV-1a over words, mixed).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Trace {
    hash: u64,
}

/// What is noted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    Dispatched = 1,
    Alarm,
    Accepted,
    Read,
    Written,
    Sent,
    Finished,
    Reset,
    Closed,
    Connected,
    Stalled,
    Signal,
    Disk,
    WallSet,
    WallAlarm,
}

impl Trace {
    pub(super) fn new() -> Trace {
        Trace {
            hash: 0xcbf2_9ce4_8422_2325,
        }
    }

    pub(super) fn hash(self) -> u64 {
        self.hash
    }

    pub(super) fn note(&mut self, mark: Mark, at: u64, first: u64, second: u64) {
        for word in [mark as u64, at, first, second] {
            self.word(word);
        }
    }

    pub(super) fn note_bytes(&mut self, mark: Mark, at: u64, who: u64, bytes: &[u8]) {
        self.note(mark, at, who, bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        words
            .iter()
            .for_each(|word| self.word(u64::from_le_bytes(*word)));
        rest.iter().for_each(|octet| self.word(u64::from(*octet)));
    }

    fn word(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        self.hash ^= self.hash >> 29;
    }
}
