//! The proactor's own buffers, for bytes that come when they come: who waits for them holds none.

use bytes::BytesMut;

/// Buffers of one size, all of it filled with something, so that a read may overwrite it.
#[derive(Debug)]
pub(super) struct Pool {
    spare: Vec<BytesMut>,
    buffer_bytes: usize,
    spare_max: usize,
    /// How many were made.
    made: u64,
}

impl Pool {
    pub(super) fn new(buffer_bytes: usize, spare_max: usize) -> Pool {
        Pool {
            spare: Vec::new(),
            buffer_bytes,
            spare_max,
            made: 0,
        }
    }

    pub(super) fn take(&mut self) -> BytesMut {
        self.spare.pop().unwrap_or_else(|| {
            self.made += 1;
            BytesMut::zeroed(self.buffer_bytes)
        })
    }

    /// Keeps `buffer`, if it is whole and there is room.
    pub(super) fn give(&mut self, buffer: BytesMut) {
        if buffer.len() == self.buffer_bytes && self.spare.len() < self.spare_max {
            self.spare.push(buffer);
        }
    }

    /// How long each is.
    #[inline]
    pub(super) fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    pub(super) fn made(&self) -> u64 {
        self.made
    }
}
