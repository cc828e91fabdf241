//! Keys and values on their way to the store.
//!
//! An operation owns its bytes, as it may go to another thread; to allocate each key would cost more
//! than to look it up. So short ones are copied, one behind the other, into a chunk of memory that they
//! share. When it is full and nobody has any of them any more, it is used again; else a new one is
//! made, and the old one goes with the last of them.

use bytes::{Bytes, BytesMut};

/// Bytes of a chunk.
const CHUNK: usize = 4 * 1024;
/// Longer ones get memory of their own: a store that keeps them is not to keep a chunk for each.
const SHARED_MAX: usize = 512;

/// Copies bytes.
#[derive(Debug, Default)]
pub(super) struct Carrier {
    chunk: BytesMut,
}

impl Carrier {
    /// A copy of `bytes` that may go anywhere.
    #[inline]
    pub fn copy(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.len() > SHARED_MAX {
            return Bytes::copy_from_slice(bytes);
        }
        if self.chunk.capacity() < bytes.len() {
            self.next_chunk(bytes.len());
        }
        self.chunk.extend_from_slice(bytes);
        self.chunk.split().freeze()
    }

    #[cold]
    fn next_chunk(&mut self, least: usize) {
        // It has only what is left of a chunk: reclaimed as a whole if it is ours alone.
        if !self.chunk.try_reclaim(CHUNK) {
            self.chunk = BytesMut::with_capacity(CHUNK.max(least));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_used_again_when_nobody_has_any_of_it() {
        let mut carrier = Carrier::default();
        let first = carrier.copy(b"first");
        let place = first.as_ptr();
        drop(first);
        let mut kept = Vec::new();
        for number in 0..2 * CHUNK {
            let text = format!("key {number}");
            let copy = carrier.copy(text.as_bytes());
            assert_eq!(copy, text);
            if number == CHUNK {
                kept.push((text, copy)); // its chunk is not used again
            }
        }
        assert!(kept.iter().all(|(text, copy)| text == copy));
        let again = (0..CHUNK).map(|_| carrier.copy(b"x").as_ptr());
        assert_eq!(again.filter(|found| *found == place).count(), 0);
        let places: Vec<_> = (0..2 * CHUNK)
            .map(|_| carrier.copy(b"x").as_ptr())
            .collect();
        assert_eq!(places[..CHUNK], places[CHUNK..]);
        assert_eq!(carrier.copy(&[b'x'; CHUNK]).len(), CHUNK);
    }
}
