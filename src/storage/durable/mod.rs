//! The durable store: an embedded database, one file, for one process.
//!
//! [`Durable`] keeps everything in a B-tree that is never changed in place ([redb](https://www.redb.org)).
//! One committer writes: a batch is one transaction with one sync of the disk, so what came while the
//! disk was busy shares the next sync (group commit). Two readers see the last commit and never wait for
//! the committer. Each value is in an envelope with a checksum, which every read checks.
//!
//! An `Ok` for a write means [`Synced`](Durability::Synced), also where less was asked for. A batch is
//! all or nothing. Revisions grow through all the life of the store, restarts included. What has expired
//! is not there, and is removed later, at most 512 values in a call of
//! [`maintain`](Session::maintain).
//!
//! # When the disk fails
//!
//! | what | the batch | then |
//! |---|---|---|
//! | no space | `Fenced` before the commit began, else `Unknown` | `reopen` succeeds when there is space |
//! | an error of sync, or of a write | `Unknown` | writes are `Fenced` for good; reads go on with what was synced before |
//! | an error of a read | `Fenced` | `reopen` opens it again |
//! | power or process gone | not acknowledged, there or not | the next open repairs it: all that was acknowledged is there |
//! | bits of the file change | `Corrupt` for the key | a write of the key, or a backup |
//!
//! After a failed sync only the operator helps: the kernel may take pages for written that are not, so
//! trying again would acknowledge what is not on the disk. Check the disk, then start again.
//!
//! A flipped bit above the values can also make keys absent without a word, in about one of sixty files:
//! [`Options::check_on_open`] finds it. A file system that checks what it reads leaves nothing to find.
//!
//! # What it costs
//!
//! - A lone put writes about 28 KiB, for the path to it is copied; 256 in a batch write 5 KiB each.
//! - A store that was not [closed](Store::close) is repaired when it is opened next, which reads the whole
//!   file: some ten milliseconds for ten megabytes, minutes for tens of gigabytes. [`Progress`] tells how
//!   far it is, and [`Recovery::Fast`] makes it take no time.
//! - The file does not shrink. What is deleted makes room for what comes.
//! - [`Recovery::Scan`] tells a commit that was cut off from a whole one by a checksum that is not
//!   cryptographic. Where clients choose what is stored, and can also make the machine lose power at the
//!   moment they choose, take [`Recovery::Fast`].

mod file;
mod medium;
mod overlay;
mod progress;
mod session;
mod shared;
mod transaction;

#[cfg(feature = "testing")]
use std::io;
use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "testing")]
use redb::StorageBackend;

pub use progress::Progress;

use self::session::{Reader, Writer};
use self::shared::{Opener, Shared};
use super::clock::{Clock, SystemClock};
use super::fault::Fault;
use super::open_error::OpenError;
use super::operation::Durability;
use super::store::{Atomic, Capabilities, Session, Store};

const CAPABILITIES: Capabilities = Capabilities {
    name: "durable",
    durability_max: Durability::Synced,
    is_ordered: true,
    atomic: Atomic::Batch,
    lanes: 1,
    readers: 2,
    key_bytes_max: 8 * 1024,
    value_bytes_max: 16 * 1024 * 1024,
};

/// What is done at each commit for the next start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Recovery {
    /// Nothing: after a crash the whole file is read. One sync a commit.
    #[default]
    Scan,
    /// The map of free pages is written along: after a crash the store opens at once. Two syncs a
    /// commit. For stores above about 1 GiB.
    Fast,
}

/// How a [`Durable`] is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Memory for pages of the file, in bytes; 64 MiB by default.
    pub cache_bytes: usize,
    /// How it gets going after a crash.
    pub recovery: Recovery,
    /// Whether all of the file is checked when it is opened, also after it was closed in order. Reads
    /// the whole file. Off by default.
    pub check_on_open: bool,
    /// Where to show how far a repair has come.
    pub progress: Option<Arc<Progress>>,
    /// By which values expire.
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            cache_bytes: 64 * 1024 * 1024,
            recovery: Recovery::Scan,
            check_on_open: false,
            progress: None,
            clock: Arc::new(SystemClock),
        }
    }
}

/// A [`Store`] in one file, which survives the loss of power.
///
/// ```
/// use trine::storage::durable::{Durable, Options};
/// use trine::storage::Store;
///
/// # let folder = std::env::temp_dir().join(format!("trine-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// # let path = folder.join("store");
/// let store = Durable::open(&path, Options::default())?;
/// let writer = store.writer(0);
/// # drop(writer);
/// Box::new(store).close().expect("all was written");
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), trine::storage::OpenError>(())
/// ```
#[derive(Debug)]
pub struct Durable {
    shared: Arc<Shared>,
}

impl Durable {
    /// Opens the store in the file at `path`, or makes it. The folder must be there. Repairs it first, if
    /// it was not closed: that may take long, see [`Progress`].
    ///
    /// # Errors
    ///
    /// As [`OpenError`] says: in use, damaged, not a store, or what the system refuses.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Durable, OpenError> {
        let path = path.as_ref().to_owned();
        let file = path.clone();
        let opener: Opener = Box::new(move || file::open(&file));
        let shared = Arc::new(Shared::open(path, opener, options)?);
        Ok(Durable { shared })
    }

    /// Opens the store on what `medium` gives, each time that it is opened again: for tests of failures.
    ///
    /// # Errors
    ///
    /// As [`Durable::open`].
    #[cfg(feature = "testing")]
    pub fn open_on<M: StorageBackend>(
        medium: impl Fn() -> io::Result<M> + Send + Sync + 'static,
        options: Options,
    ) -> Result<Durable, OpenError> {
        let opener: Opener = Box::new(move || Ok(Arc::new(medium()?)));
        let shared = Arc::new(Shared::open("(a medium)".into(), opener, options)?);
        Ok(Durable { shared })
    }
}

impl Store for Durable {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn writer(&self, _lane: u16) -> Result<Box<dyn Session>, Fault> {
        Ok(Box::new(Writer::new(self.shared.clone())))
    }

    fn reader(&self) -> Result<Box<dyn Session>, Fault> {
        Ok(Box::new(Reader::new(self.shared.clone())))
    }

    fn close(self: Box<Self>) -> Result<(), Fault> {
        self.shared.close()
    }
}
