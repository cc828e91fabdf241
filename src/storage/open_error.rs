//! Why a store in files cannot be opened, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a store in files cannot be opened. The text names the path and the remedy.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The system refuses, or the disk fails or is full.
    Io {
        /// The store.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another process, or another part of this one, has it open.
    InUse {
        /// The store.
        path: PathBuf,
    },
    /// What is there is not a store, or not of this kind or version.
    Foreign {
        /// The store.
        path: PathBuf,
        /// How it is recognized.
        why: String,
    },
    /// It is damaged, and the engine cannot repair it.
    Damaged {
        /// The store.
        path: PathBuf,
        /// What the engine says.
        why: String,
    },
}

impl OpenError {
    /// The store that was to be opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            OpenError::Io { path, .. }
            | OpenError::InUse { path }
            | OpenError::Foreign { path, .. }
            | OpenError::Damaged { path, .. } => path,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path().display();
        match self {
            OpenError::Io { error, .. } => match error.kind() {
                io::ErrorKind::StorageFull => {
                    write!(
                        f,
                        "no space for the store {path}: free some and open it again"
                    )
                }
                io::ErrorKind::NotFound => {
                    write!(f, "no folder for the store {path}: make it first")
                }
                io::ErrorKind::PermissionDenied => {
                    write!(
                        f,
                        "no permission for the store {path}: give this user read and write"
                    )
                }
                _ => write!(f, "cannot open the store {path}: {error}"),
            },
            OpenError::InUse { .. } => write!(
                f,
                "the store {path} is in use: stop the process that has it open, or choose another"
            ),
            OpenError::Foreign { why, .. } => write!(
                f,
                "{path} is not a store that can be opened ({why}): choose another path"
            ),
            OpenError::Damaged { why, .. } => write!(
                f,
                "the store {path} is damaged ({why}): keep a copy and restore it from a backup"
            ),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}
