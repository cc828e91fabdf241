//! The disk as of the last sync that succeeded, to read from after one that failed.
//!
//! The engine serves only what it has in memory after an I/O error, and reading needs no more than what
//! was synced long ago. The file is left alone: the database is opened once more on this overlay, which
//! keeps in memory what the engine writes to repair it, and which shows the header as it was synced
//! last. So the write that failed is not seen, and no page of it is read: it may be gone from the
//! kernel's memory at any time, and was perhaps never on the disk.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use redb::StorageBackend;

/// Bytes that are copied when one of them is written.
const BLOCK_BYTES: usize = 4096;

/// A backend that reads from another and writes to memory.
#[derive(Debug)]
pub(super) struct Overlay {
    below: Arc<dyn StorageBackend>,
    below_len: u64,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    len: u64,
    blocks: BTreeMap<u64, Box<[u8]>>,
}

impl Overlay {
    /// Over `below`, whose first bytes are `header`.
    ///
    /// # Errors
    ///
    /// When `below` cannot be read.
    pub(super) fn new(below: Arc<dyn StorageBackend>, header: &[u8]) -> io::Result<Overlay> {
        let len = below.len()?;
        let state = RwLock::new(State {
            len,
            blocks: BTreeMap::new(),
        });
        let overlay = Overlay {
            below,
            below_len: len,
            state,
        };
        overlay.write(0, header)?;
        Ok(overlay)
    }

    /// The block that begins at `start`, as it is below; zeros beyond the end.
    fn below(&self, start: u64) -> io::Result<Box<[u8]>> {
        let mut block = vec![0; BLOCK_BYTES].into_boxed_slice();
        let there = self.below_len.saturating_sub(start).min(BLOCK_BYTES as u64);
        self.below.read(start, &mut block[..there as usize])?;
        Ok(block)
    }
}

/// The blocks of `len` bytes at `offset`: where each begins, and which part of it is meant.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let inside = (at % BLOCK_BYTES as u64) as usize;
        let part = (len - done).min(BLOCK_BYTES - inside);
        done += part;
        (part > 0).then_some((at - inside as u64, inside, part))
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self
            .state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if offset + out.len() as u64 > state.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut rest = out;
        for (start, inside, len) in parts(offset, rest.len()) {
            let (part, after) = rest.split_at_mut(len);
            match state.blocks.get(&start) {
                Some(block) => part.copy_from_slice(&block[inside..inside + len]),
                None => part.copy_from_slice(&self.below(start)?[inside..inside + len]),
            }
            rest = after;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.len = len;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let mut rest = data;
        for (start, inside, len) in parts(offset, data.len()) {
            let (part, after) = rest.split_at(len);
            let block = match state.blocks.entry(start) {
                Entry::Occupied(present) => present.into_mut(),
                Entry::Vacant(absent) => absent.insert(self.below(start)?),
            };
            block[inside..inside + len].copy_from_slice(part);
            rest = after;
        }
        state.len = state.len.max(offset + data.len() as u64);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}
