//! The file of a store: made whole or not at all, and found again after the loss of power.
//!
//! The engine makes a new database by several writes; power that goes between them leaves a file that is
//! neither empty nor a database. So a new one is made in memory, written beside its place under the name
//! with `.new` at the end, synced, and renamed.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Builder, StorageBackend};

use super::medium::{Medium, Watch};
use super::transaction;

/// Opens the file at `path`; makes it first, if it is missing or empty.
///
/// # Errors
///
/// What the system says; [`io::ErrorKind::ResourceBusy`] when somebody else is making it.
pub(super) fn open(path: &Path) -> io::Result<Arc<dyn StorageBackend>> {
    if !is_made(path)? {
        make(path)?;
    }
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let backend = FileBackend::new(file).map_err(io::Error::other)?;
    Ok(Arc::new(backend))
}

fn is_made(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(!metadata.is_file() || metadata.len() > 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn make(path: &Path) -> io::Result<()> {
    let mut name = OsString::from(path);
    name.push(".new");
    let beside = PathBuf::from(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false) // not before it is ours
        .open(&beside)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::ResourceBusy.into()),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    if is_made(path)? {
        return Ok(()); // by whoever had it locked before us
    }
    file.set_len(0)?;
    file.write_all(&empty().map_err(io::Error::other)?)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// The bytes of a store without values.
fn empty() -> Result<Vec<u8>, redb::Error> {
    let memory: Arc<dyn StorageBackend> = Arc::new(InMemoryBackend::new());
    let medium = Medium::new(memory.clone(), Arc::new(Watch::default()))?;
    let database = Builder::new().create_with_backend(medium)?;
    // A database that was just made is of the present format.
    let _ = transaction::prepare(&database)?;
    database.close()?;
    let len = usize::try_from(memory.len()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    memory.read(0, &mut bytes)?;
    Ok(bytes)
}
