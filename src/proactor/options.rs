//! What can be set about a proactor.

use crate::reactor::{Error, ErrorKind, Result};

/// Who does the operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Pattern {
    /// The kernel, by io_uring; where it refuses, and without the feature `io-uring`, emulated.
    #[default]
    IoUring,
    /// Emulated over the reactor: sockets when they are ready, files on threads.
    Emulated,
}

/// Limits and sizes of a proactor. Copy the default and change what has to differ.
#[derive(Clone, Copy, Debug)]
pub struct ProactorOptions {
    /// Who does the operations.
    pub pattern: Pattern,
    /// Operations under way at a time; what would be more is refused.
    pub operations_max: usize,
    /// Size of a buffer of the proactor's own, in bytes.
    pub buffer_bytes: usize,
    /// How many of them are kept, and with io_uring given to the kernel ahead: a power of two. A kernel
    /// before 5.19 takes none ahead, which is logged once: each receive under way then holds a buffer of its
    /// own, that of an idle connection too.
    pub buffers: u16,
    /// Operations that are handed to the kernel with one call, with io_uring: a power of two.
    /// Completions that it has room for are twice as many; what is more, the kernel keeps.
    pub ring_entries: u32,
    /// Threads for files when emulated, started with the first operation on one.
    pub file_threads: usize,
}

impl Default for ProactorOptions {
    fn default() -> ProactorOptions {
        ProactorOptions {
            pattern: Pattern::default(),
            operations_max: 65_536,
            buffer_bytes: 4096,
            buffers: 256,
            ring_entries: 1024,
            file_threads: 2,
        }
    }
}

impl ProactorOptions {
    pub(super) fn check(&self) -> Result<()> {
        let wrong = if self.operations_max == 0 {
            "operations_max: it must be at least 1"
        } else if !(64..=1 << 20).contains(&self.buffer_bytes) {
            "buffer_bytes: it must be 64 to 1,048,576"
        } else if !self.buffers.is_power_of_two() || self.buffers > 1 << 15 {
            "buffers: it must be a power of two, up to 32,768"
        } else if !self.ring_entries.is_power_of_two() || self.ring_entries > 1 << 12 {
            "ring_entries: it must be a power of two, up to 4,096"
        } else if !(1..=64).contains(&self.file_threads) {
            "file_threads: it must be 1 to 64"
        } else {
            return Ok(());
        };
        let what = format!("a proactor with these options; {wrong}");
        Err(Error::new(ErrorKind::Invalid, "make", what))
    }
}
