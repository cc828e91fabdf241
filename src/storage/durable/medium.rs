//! What the database is stored on, watched: which kind of failure came first decides what may follow.
//!
//! The engine latches any I/O error and from then on serves only what it has in memory. It does not say
//! what failed; this wrapper, between engine and file, does:
//!
//! | failed | is certain | then |
//! |---|---|---|
//! | reading | nothing was written | open it again |
//! | growing or writing: no space | what was synced before is there | open it again when there is space |
//! | syncing, or writing for another reason | only what was synced before | never again in this process |
//!
//! After a failed sync the kernel may take the pages for clean although they never came to the disk, so
//! a second sync that succeeds proves nothing.

use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use redb::{BackendError, StorageBackend};

/// The bytes at offset 0 that name the present commit: all else that is reachable is never overwritten
/// while it is reachable.
pub(super) const HEADER_BYTES: usize = 320;

/// The worst that has happened to a medium.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Trouble {
    /// The engine refuses for a reason of its own.
    Engine = 1,
    /// It could not be read.
    Read = 2,
    /// There was no space.
    Full = 3,
    /// It is unknown what of the last writes is on the disk.
    Lost = 4,
}

impl Trouble {
    pub(super) fn why(self) -> &'static str {
        match self {
            Trouble::Engine => "the database failed and is opened again",
            Trouble::Read => "the disk could not be read; the store is opened again",
            Trouble::Full => "the disk is full: free some space",
            Trouble::Lost => "the disk failed to keep a write: check it and restart",
        }
    }
}

/// What a [`Medium`] has seen.
#[derive(Debug, Default)]
pub(super) struct Watch {
    trouble: AtomicU8,
    /// Whether the file stays locked when the database on it is closed.
    is_kept: AtomicBool,
    header: Mutex<Headers>,
}

#[derive(Debug, Default)]
struct Headers {
    written: Vec<u8>,
    synced: Vec<u8>,
}

impl Watch {
    /// The worst so far.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        match self.trouble.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Trouble::Engine),
            2 => Some(Trouble::Read),
            3 => Some(Trouble::Full),
            _ => Some(Trouble::Lost),
        }
    }

    /// Remembers `trouble`, unless there was worse.
    pub(super) fn note(&self, trouble: Trouble) {
        self.trouble.fetch_max(trouble as u8, Ordering::AcqRel);
    }

    /// Keeps the file locked from now on, as long as this process has it open.
    pub(super) fn keep_locked(&self) {
        self.is_kept.store(true, Ordering::Release);
    }

    /// The header as of the last sync that succeeded.
    pub(super) fn synced_header(&self) -> Vec<u8> {
        self.headers(|headers| headers.synced.clone())
    }

    fn headers<T>(&self, change: impl FnOnce(&mut Headers) -> T) -> T {
        change(&mut self.header.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_kept(&self) -> bool {
        self.is_kept.load(Ordering::Acquire)
    }
}

/// A backend of the engine that tells a [`Watch`] what fails on its way to another.
#[derive(Debug)]
pub(super) struct Medium {
    inner: Arc<dyn StorageBackend>,
    watch: Arc<Watch>,
}

impl Medium {
    /// Watches `inner`.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub(super) fn new(inner: Arc<dyn StorageBackend>, watch: Arc<Watch>) -> io::Result<Medium> {
        let len = usize::try_from(inner.len()?).unwrap_or(HEADER_BYTES);
        let mut header = vec![0; len.min(HEADER_BYTES)];
        inner.read(0, &mut header)?;
        watch.headers(|headers| {
            headers.written.clone_from(&header);
            headers.synced = header;
        });
        Ok(Medium { inner, watch })
    }

    fn noted<T>(&self, trouble: Trouble, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            let is_full = matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            );
            self.watch.note(match trouble {
                Trouble::Full if !is_full => Trouble::Lost,
                #[cfg(trine_planted)]
                _ if crate::planted::has(crate::planted::Bug::SyncFailureForgotten) => {
                    Trouble::Engine
                }
                trouble => trouble,
            });
        }
        result
    }
}

impl StorageBackend for Medium {
    fn len(&self) -> io::Result<u64> {
        self.noted(Trouble::Read, self.inner.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.noted(Trouble::Read, self.inner.read(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.noted(Trouble::Full, self.inner.set_len(len))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.noted(Trouble::Full, self.inner.write(offset, data))?;
        if offset == 0 {
            let header = &data[..data.len().min(HEADER_BYTES)];
            self.watch.headers(|headers| {
                headers.written.clear();
                headers.written.extend_from_slice(header);
            });
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.noted(Trouble::Lost, self.inner.sync_data())?;
        self.watch
            .headers(|headers| headers.synced.clone_from(&headers.written));
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        match self.watch.is_kept() {
            true => Ok(()),
            false => self.inner.close(),
        }
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        match self.watch.is_kept() {
            true => Ok(()),
            false => self.inner.unlock_range(start, end),
        }
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
