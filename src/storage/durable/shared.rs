//! The database that all sessions share, and its failures.
//!
//! ```text
//!            I/O error, no space               opened again
//!   Open ────────────────────────> reopen ─────────────────────> Open
//!    │                               │ cannot be opened yet
//!    │ a sync failed                 └─────> Down ── reopen ──> ...
//!    └─────────────────────────────> reopen by a writer: Fenced for good
//!                                    reopen by a reader: Rescued, which only reads
//! ```
//!
//! Invariant: after the first failure of a medium nothing is written to it any more: the engine latches
//! the error, and writers look at the [`Watch`] before each batch.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use redb::{Builder, Database, DatabaseError, StorageBackend, StorageError};

use super::Options;
use super::medium::{Medium, Trouble, Watch};
use super::overlay::Overlay;
use super::transaction;
use crate::storage::OpenError;
use crate::storage::fault::Fault;
use crate::storage::rows::Revisions;
use crate::time::Span;

/// Opens the file, or what a test puts in its place.
pub(super) type Opener = Box<dyn Fn() -> io::Result<Arc<dyn StorageBackend>> + Send + Sync>;

/// How long to wait before the next try of what failed for want of space or of a file.
const AGAIN: Span = Span::from_secs(1);
/// While somebody opens it again.
const OPENING: Fault = Fault::Retry {
    after: Span::from_millis(100),
    why: "the store is opened again",
};

/// A database, and what it stands on.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) watch: Arc<Watch>,
    backend: Arc<dyn StorageBackend>,
}

/// What there is to work with.
pub(super) enum State {
    /// The file; perhaps with an error that its watch knows of.
    Open(Opened),
    /// What was synced before the disk failed, for readers only.
    Rescued(Opened),
    /// It is being opened, or could not be: what operations are answered.
    Down(Fault),
    /// No more, by request.
    Closed,
}

/// Shared by the store and its sessions.
pub(super) struct Shared {
    path: PathBuf,
    opener: Opener,
    pub(super) options: Options,
    state: RwLock<State>,
    pub(super) revisions: Mutex<Revisions>,
    /// Held while the database is opened again, so that one does it.
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
    pub(super) fn open(
        path: PathBuf,
        opener: Opener,
        options: Options,
    ) -> Result<Shared, OpenError> {
        let (opened, mark) = open(&path, &opener, &options)?;
        Ok(Shared {
            path,
            opener,
            options,
            state: RwLock::new(State::Open(opened)),
            revisions: Mutex::new(Revisions::from_mark(mark)),
            reopening: Mutex::new(()),
        })
    }

    /// What there is now. While the guard is held, the database is not opened again.
    pub(super) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, state: State) -> State {
        let mut present = self.state.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *present, state)
    }

    /// Opens the database again for a writer, if it has failed and may be.
    pub(super) fn reopen(&self) -> Result<(), Fault> {
        let _reopening = self
            .reopening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &*self.state() {
            State::Open(opened) => match opened.watch.trouble() {
                None => return Ok(()),
                Some(Trouble::Lost) => return Err(Fault::Fenced(Trouble::Lost.why())),
                Some(_) => {}
            },
            State::Rescued(_) => return Err(Fault::Fenced(Trouble::Lost.why())),
            State::Closed => return Err(Fault::Fenced("the store is closed")),
            State::Down(_) => {}
        }
        if let State::Open(opened) = self.replace(State::Down(OPENING)) {
            // What it reports is the error that brought us here.
            let _ = opened.database.close();
        }
        match open(&self.path, &self.opener, &self.options) {
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

    /// Opens the database again for a reader: after a failed sync, what was synced before.
    pub(super) fn reopen_to_read(&self) -> Result<(), Fault> {
        let is_lost = match &*self.state() {
            State::Open(opened) => opened.watch.trouble() == Some(Trouble::Lost),
            State::Rescued(_) => return Ok(()),
            State::Down(_) | State::Closed => false,
        };
        if is_lost {
            self.rescue()
        } else {
            self.reopen()
        }
    }

    fn rescue(&self) -> Result<(), Fault> {
        let _reopening = self
            .reopening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (backend, watch) = match &*self.state() {
            State::Open(opened) => (opened.backend.clone(), opened.watch.clone()),
            _ => return Ok(()), // somebody else was first
        };
        watch.keep_locked();
        let database = Overlay::new(backend.clone(), &watch.synced_header())
            .map_err(DatabaseError::from)
            .and_then(|overlay| builder(&self.options).create_with_backend(overlay));
        let database = database.map_err(|_| Fault::Fenced(Trouble::Lost.why()))?;
        let rescued = State::Rescued(Opened {
            database,
            watch,
            backend,
        });
        if let State::Open(opened) = self.replace(rescued) {
            let _ = opened.database.close();
        }
        Ok(())
    }

    /// Closes the database.
    ///
    /// # Errors
    ///
    /// [`Fault::Fenced`] when it had failed before.
    pub(super) fn close(&self) -> Result<(), Fault> {
        match self.replace(State::Closed) {
            State::Open(opened) => {
                let trouble = opened.watch.trouble();
                let closed = opened.database.close();
                match trouble.or(opened.watch.trouble()) {
                    Some(trouble) => Err(Fault::Fenced(trouble.why())),
                    None => closed.map_err(|_| Fault::Fenced(Trouble::Engine.why())),
                }
            }
            State::Rescued(_) => Err(Fault::Fenced(Trouble::Lost.why())),
            State::Down(fault) => Err(fault),
            State::Closed => Ok(()),
        }
    }
}

/// The engine, set up.
fn builder(options: &Options) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(options.cache_bytes);
    if let Some(progress) = options.progress.clone() {
        let is_begun = std::cell::Cell::new(false);
        builder.set_repair_callback(move |repair| {
            if !is_begun.replace(true) {
                progress.begin();
            }
            progress.advance(repair.progress());
        });
    }
    builder
}

fn open(
    path: &std::path::Path,
    opener: &Opener,
    options: &Options,
) -> Result<(Opened, u64), OpenError> {
    let path = || path.to_owned();
    let io = |error| OpenError::Io {
        path: path(),
        error,
    };
    let backend = opener().map_err(|error| match error.kind() {
        io::ErrorKind::ResourceBusy => OpenError::InUse { path: path() },
        _ => io(error),
    })?;
    let watch = Arc::new(Watch::default());
    let medium = Medium::new(backend.clone(), watch.clone()).map_err(io)?;
    let mut builder = builder(options);
    builder.set_check_integrity_on_open(options.check_on_open);
    let database = builder
        .create_with_backend(medium)
        .map_err(|error| open_error(path(), error))?;
    let format = transaction::prepare(&database).map_err(|error| engine_error(path(), error))?;
    let mark = format.map_err(|format| OpenError::Foreign {
        path: path(),
        why: format!("its format is {format}"),
    })?;
    if let Some(progress) = &options.progress {
        progress.advance(1.0);
    }
    let opened = Opened {
        database,
        watch,
        backend,
    };
    Ok((opened, mark))
}

fn open_error(path: PathBuf, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            OpenError::InUse { path }
        }
        DatabaseError::UpgradeRequired(format) => OpenError::Foreign {
            path,
            why: format!("the file format of its database is {format}"),
        },
        DatabaseError::Storage(StorageError::Io(error))
            if error.kind() == io::ErrorKind::InvalidData =>
        {
            OpenError::Foreign {
                path,
                why: error.to_string(),
            }
        }
        error => engine_error(path, error.into()),
    }
}

fn engine_error(path: PathBuf, error: redb::Error) -> OpenError {
    match error {
        redb::Error::Io(error) => OpenError::Io { path, error },
        error => OpenError::Damaged {
            path,
            why: error.to_string(),
        },
    }
}

fn why(error: &OpenError) -> &'static str {
    match error {
        OpenError::Io { error, .. } if error.kind() == io::ErrorKind::StorageFull => {
            Trouble::Full.why()
        }
        OpenError::Io { .. } => "the store could not be opened again yet",
        OpenError::InUse { .. } => "the store is in use elsewhere",
        OpenError::Foreign { .. } | OpenError::Damaged { .. } => {
            "the store is damaged: restore it from a backup"
        }
    }
}

/// Whether trying once more may help.
fn refusal(error: &OpenError) -> Fault {
    match error {
        OpenError::Io { .. } | OpenError::InUse { .. } => Fault::Retry {
            after: AGAIN,
            why: why(error),
        },
        OpenError::Foreign { .. } | OpenError::Damaged { .. } => Fault::Fenced(why(error)),
    }
}
