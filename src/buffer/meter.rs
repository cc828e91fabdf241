//! How many bytes a group of buffers has together.
//!
//! Counted where memory is taken from the allocator, grows and goes back, and nowhere else: a buffer
//! that moves between a pool and its users costs nothing here. What is charged is given back by
//! `Drop`, so the count is right whichever way a buffer ends, by a panic too.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the bytes of the buffers that were made with it. Clones count together.
#[derive(Clone, Default)]
pub struct Meter {
    /// Atomic so that whatever holds a buffer may move between threads. It orders nothing.
    bytes: Arc<AtomicUsize>,
}

impl Meter {
    /// Bytes of all its buffers now, those that wait in a pool included.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts `bytes` until the charge is dropped.
    pub(crate) fn charge(&self, bytes: usize) -> Charge {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Charge {
            meter: Some(self.clone()),
            bytes,
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Meter({} bytes)", self.bytes())
    }
}

/// What one buffer adds to its [`Meter`]; nothing if it has none.
#[derive(Default, Debug)]
pub(crate) struct Charge {
    meter: Option<Meter>,
    bytes: usize,
}

impl Charge {
    /// How much is counted.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The buffer has `bytes` from now on.
    pub(crate) fn change(&mut self, bytes: usize) {
        if let Some(meter) = &self.meter {
            meter.bytes.fetch_add(bytes, Ordering::Relaxed);
            meter.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
            self.bytes = bytes;
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(meter) = &self.meter {
            meter.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}
