//! Where scans go on. A store says it by a key of any length, a client of RESP keeps a number.
//!
//! The number of a key is its keyed hash: a scan that is repeated has the same cursors again, any
//! connection may go on with it, and nobody can make up the number of a key.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;

/// Scans that can go on at one time, and what their keys may need.
const CURSORS_MAX: usize = 4_096;
const BYTES_MAX: usize = 1024 * 1024;

/// The cursors that were given out. The oldest goes when there are too many, and its scan has to
/// begin anew.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    keys: HashMap<u64, Bytes>,
    /// In the order in which they were given out.
    order: VecDeque<u64>,
    /// Invariant: the lengths of `keys`, together.
    bytes: usize,
    hasher: RandomState,
}

impl Cursors {
    /// The cursor from which a scan goes on at `key`; never 0, which is the end.
    pub fn give(&mut self, key: Bytes) -> u64 {
        let cursor = self.hasher.hash_one(&key[..]).max(1);
        self.bytes += key.len();
        match self.keys.insert(cursor, key) {
            Some(before) => self.bytes -= before.len(),
            None => self.order.push_back(cursor),
        }
        while self.order.len() > CURSORS_MAX || (self.bytes > BYTES_MAX && self.order.len() > 1) {
            let oldest = self.order.pop_front();
            let gone = oldest.and_then(|oldest| self.keys.remove(&oldest));
            self.bytes -= gone.map_or(0, |key| key.len());
        }
        cursor
    }

    /// The key at which the scan goes on.
    pub fn find(&self, cursor: u64) -> Option<&Bytes> {
        self.keys.get(&cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_the_same_for_the_same_key_and_there_is_a_bounded_number_of_them() {
        let mut cursors = Cursors::default();
        let key = |number: usize| Bytes::from(number.to_string());
        let first = cursors.give(key(0));
        assert_eq!(cursors.give(key(0)), first);
        assert_eq!(cursors.find(first), Some(&key(0)));
        for number in 1..=CURSORS_MAX {
            cursors.give(key(number));
        }
        assert_eq!(cursors.find(first), None);
        assert_eq!(cursors.keys.len(), CURSORS_MAX);
        let long = cursors.give(vec![0; 2 * BYTES_MAX].into());
        assert!(cursors.find(long).is_some() && cursors.keys.len() == 1);
        cursors.give(key(0));
        assert_eq!((cursors.keys.len(), cursors.bytes), (1, 1));
    }
}
