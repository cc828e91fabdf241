//! The tables that all sessions share, and their failures.
//!
//! ```text
//!   Open ── a write failed: no space ──> reopen ──> Open, or Down until the next try
//!     └──── it failed otherwise ───────> Fenced(why) to writers for good; readers go on
//! ```
//!
//! The engine poisons itself after an error of its journal and of its threads, and from then on refuses
//! to write; reads go on. It does not tell what poisoned it. If it was not a commit of ours, whose error
//! is known, then a file that cannot be written tells that the disk is full.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use ::fjall::{Database, Error, PersistMode};

use super::Options;
use super::transaction::Tables;
use crate::storage::OpenError;
use crate::storage::fault::Fault;
use crate::storage::rows::Revisions;
use crate::time::Span;

const FULL: &str = "the disk is full: free some space";
const LOST: &str = "the disk failed to keep a write: check it and restart";
const CLOSED: &str = "the store is closed";
/// How long to wait before the next try of what failed for want of space.
const AGAIN: Span = Span::from_secs(1);
/// While somebody opens it again.
const OPENING: Fault = Fault::Retry {
    after: Span::from_millis(100),
    why: "the store is opened again",
};
/// Bytes that must fit on a disk that is not full.
const PROBE_BYTES: usize = 1024 * 1024;

/// Tables, and the worst that has happened to them.
pub(super) struct Opened {
    pub(super) tables: Tables,
    trouble: AtomicU8,
}

const NONE: u8 = 0;
const NO_SPACE: u8 = 1;
const FOR_GOOD: u8 = 2;

impl Opened {
    /// Why nothing is written any more.
    pub(super) fn trouble(&self) -> Option<&'static str> {
        match self.trouble.load(Ordering::Acquire) {
            NONE => None,
            NO_SPACE => Some(FULL),
            _ => Some(LOST),
        }
    }
}

/// What there is to work with.
pub(super) enum State {
    /// The tables.
    Open(Opened),
    /// They are being opened, or could not be: what operations are answered.
    Down(Fault),
    /// No more, by request.
    Closed,
}

/// Shared by the store and its sessions.
pub(super) struct Shared {
    path: PathBuf,
    pub(super) options: Options,
    state: RwLock<State>,
    /// Held by a writer through its batch.
    pub(super) revisions: Mutex<Revisions>,
    /// Held while the tables are opened again, so that one does it.
    reopening: Mutex<()>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("path", &self.path)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn open(path: PathBuf, options: Options) -> Result<Shared, OpenError> {
        let (opened, mark) = open(&path, &options)?;
        Ok(Shared {
            path,
            options,
            state: RwLock::new(State::Open(opened)),
            revisions: Mutex::new(Revisions::from_mark(mark)),
            reopening: Mutex::new(()),
        })
    }

    /// What there is now. While the guard is held, the tables are not opened again.
    pub(super) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, state: State) -> State {
        let mut present = self.state.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *present, state)
    }

    /// Remembers that `error` came from a write; why nothing is written from now on.
    pub(super) fn note(&self, opened: &Opened, error: &Error) -> &'static str {
        let is_full = match error {
            Error::Io(error) => is_full(error),
            Error::Storage(::fjall::LsmError::Io(error)) => is_full(error),
            Error::Poisoned => self.has_no_space(),
            _ => false,
        };
        let trouble = if is_full { NO_SPACE } else { FOR_GOOD };
        // The first one counts: it poisons the engine, and the others follow from that.
        let order = Ordering::AcqRel;
        let _ = opened
            .trouble
            .compare_exchange(NONE, trouble, order, Ordering::Acquire);
        opened.trouble().unwrap_or(LOST)
    }

    fn has_no_space(&self) -> bool {
        let probe = self.path.join("probe");
        let written = fs::write(&probe, vec![1; PROBE_BYTES]);
        let _ = fs::remove_file(&probe);
        written.is_err_and(|error| is_full(&error))
    }

    /// Opens the tables again, if they have failed and may be.
    pub(super) fn reopen(&self) -> Result<(), Fault> {
        let _reopening = self
            .reopening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &*self.state() {
            State::Open(opened) => match opened.trouble() {
                None => return Ok(()),
                Some(FULL) => {}
                Some(why) => return Err(Fault::Fenced(why)),
            },
            State::Down(_) => {}
            State::Closed => return Err(Fault::Fenced(CLOSED)),
        }
        if self.has_no_space() {
            return Err(Fault::Retry {
                after: AGAIN,
                why: FULL,
            });
        }
        drop(self.replace(State::Down(OPENING)));
        match open(&self.path, &self.options) {
            Ok((opened, mark)) => {
                let mut revisions = self
                    .revisions
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                revisions.settle(Revisions::from_mark(mark), false);
                drop(revisions);
                self.replace(State::Open(opened));
                Ok(())
            }
            Err(error) => {
                let fault = refusal(&error);
                self.replace(State::Down(fault));
                Err(fault)
            }
        }
    }

    /// Syncs what was written with less, and lets go of the files.
    pub(super) fn close(&self) -> Result<(), Fault> {
        match self.replace(State::Closed) {
            State::Open(opened) => match opened.trouble() {
                Some(why) => Err(Fault::Fenced(why)),
                None => opened
                    .tables
                    .database
                    .persist(PersistMode::SyncAll)
                    .map_err(|_| Fault::Unknown(LOST)),
            },
            State::Down(fault) => Err(fault),
            State::Closed => Ok(()),
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Whether trying once more may help.
fn refusal(error: &OpenError) -> Fault {
    match error {
        OpenError::Io { .. } | OpenError::InUse { .. } => Fault::Retry {
            after: AGAIN,
            why: "the store could not be opened again yet",
        },
        _ => Fault::Fenced("the store is damaged: restore it from a backup"),
    }
}

fn open(path: &Path, options: &Options) -> Result<(Opened, u64), OpenError> {
    let database = Database::builder(path)
        .cache_size(options.cache_bytes)
        // Each batch says itself how durable it is to be.
        .manual_journal_persist(true)
        .open();
    let tables = database.and_then(Tables::open);
    let (tables, mark) = tables
        .map_err(|error| open_error(path, error))?
        .map_err(|format| OpenError::Foreign {
            path: path.to_owned(),
            why: format!("its format is {format}"),
        })?;
    let trouble = AtomicU8::new(NONE);
    Ok((Opened { tables, trouble }, mark))
}

fn open_error(path: &Path, error: Error) -> OpenError {
    let path = path.to_owned();
    match error {
        Error::Locked => OpenError::InUse { path },
        Error::Io(error) | Error::Storage(::fjall::LsmError::Io(error)) => {
            OpenError::Io { path, error }
        }
        Error::InvalidVersion(version) => OpenError::Foreign {
            path,
            why: format!("the format of its engine is {version:?}"),
        },
        error => OpenError::Damaged {
            path,
            why: error.to_string(),
        },
    }
}
