//! The store for many writes: a log-structured tree in a folder, for one process.
//!
//! [`Fjall`] appends each batch to a journal and sorts later, in threads of the engine
//! ([fjall](https://docs.rs/fjall)): several times as many puts as the [durable](super::durable) store on
//! the same disk, and it gives what was asked for: [`Memory`](Durability::Memory) stays in the process,
//! [`Os`](Durability::Os) is handed to the kernel, [`Synced`](Durability::Synced) is on the disk. A batch
//! is all or nothing, and as durable as the most that one of its writes asks for. It is seen by others
//! when it is as durable as that, not before.
//!
//! There is one lane. The journal of the engine takes one batch at a time anyway, and conditions,
//! revisions and the expiry index need no locks that way.
//!
//! # What it costs
//!
//! - When the engine falls behind with sorting, it delays the writer by 10 to 100 ms at a time.
//! - Opening after a crash replays the journal, up to 512 MiB.
//! - After the loss of power in the middle of a batch of more than a page, the store may refuse to open:
//!   the engine cannot tell a page that was lost from damage. The durable store has no such case.
//! - Damage of the journal's end looks to the engine like its end: what comes after is dropped silently.
//!
//! # When the disk fails
//!
//! | what | the batch | then |
//! |---|---|---|
//! | no space | `Unknown` | writes are `Fenced` until `reopen` finds space; reads go on |
//! | an error of sync or of a write | `Unknown` | writes are `Fenced` for good; reads go on |
//! | the engine failed in the background | `Fenced` | as no space if there is none left, else for good |
//! | bits change | `Corrupt` for the key | a write of the key, or a backup |

mod session;
mod shared;
mod transaction;

use std::path::Path;
use std::sync::Arc;

use self::session::{Reader, Writer};
use self::shared::Shared;
use super::clock::{Clock, SystemClock};
use super::fault::Fault;
use super::open_error::OpenError;
use super::operation::Durability;
use super::store::{Atomic, Capabilities, Session, Store};

const CAPABILITIES: Capabilities = Capabilities {
    name: "fjall",
    durability_max: Durability::Synced,
    is_ordered: true,
    atomic: Atomic::Batch,
    lanes: 1,
    readers: 2,
    key_bytes_max: 8 * 1024,
    value_bytes_max: 16 * 1024 * 1024,
};

/// How a [`Fjall`] is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Memory for blocks of the files, in bytes; 64 MiB by default. What is not yet sorted comes on top.
    pub cache_bytes: u64,
    /// By which values expire.
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            cache_bytes: 64 * 1024 * 1024,
            clock: Arc::new(SystemClock),
        }
    }
}

/// A [`Store`] in a folder of its own.
#[derive(Debug)]
pub struct Fjall {
    shared: Arc<Shared>,
}

impl Fjall {
    /// Opens the store in the folder `path`, or makes it.
    ///
    /// # Errors
    ///
    /// As [`OpenError`] says: in use, damaged, not a store, or what the system refuses.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Fjall, OpenError> {
        let shared = Arc::new(Shared::open(path.as_ref().to_owned(), options)?);
        Ok(Fjall { shared })
    }
}

impl Store for Fjall {
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
