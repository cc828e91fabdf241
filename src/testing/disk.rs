//! A disk of a simulated machine.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use crate::reactor::simulated::Network;

/// The longest time for which a disk is full, in nanoseconds.
const FULL_NANOS: usize = 1_000_000_000;
/// What a disk writes as a whole, when the power goes: sectors of either size.
const SECTOR_BYTES: [usize; 2] = [512, 4096];

/// A file on a disk in memory, for a store that does its I/O through this; clones are the same one.
///
/// It is as unreliable as the [`Faults`](super::Faults) of its machine say: it fails, is full, or takes
/// its time, which passes for the thread that waits for it, not for the loop. When the power goes
/// ([`lose_power`](Disk::lose_power)), what was synced is there, and of what was written since, any
/// part, cut at any sector.
///
/// With the feature `durable` it is a `redb::StorageBackend`, on which `Durable::open_on` opens a
/// store.
///
/// ```
/// use trine::testing::Sim;
///
/// let sim = Sim::seeded(1);
/// let disk = sim.disk();
/// disk.write_at(0, b"kept").unwrap();
/// disk.sync().unwrap();
/// disk.write_at(4, b"or not").unwrap();
/// disk.lose_power();
/// assert!(disk.write_at(10, b"too late").is_err());
///
/// let image = disk.image_after_power_loss(); // of the next machine
/// assert_eq!(&image[..4], b"kept");
/// let disk = sim.disk_with(image);
/// ```
#[derive(Clone)]
pub struct Disk {
    network: Network,
    content: Arc<Mutex<Content>>,
}

#[derive(Default)]
struct Content {
    /// As every reader sees it.
    now: Vec<u8>,
    /// What the loss of power leaves.
    kept: Vec<u8>,
    /// Since the last sync.
    changes: Vec<Change>,
    ios: u64,
    syncs: u64,
    /// I/O number so and so finds no power, and so do all behind it.
    power_until: Option<u64>,
    full_until: u64,
    failed: Option<&'static str>,
}

/// One I/O that changed something.
enum Change {
    Write(usize, Vec<u8>),
    Size(usize),
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Change::Size(size) => image.resize(*size, 0),
            Change::Write(offset, bytes) => put(image, *offset, bytes),
        }
    }
}

fn put(image: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[offset..end].copy_from_slice(bytes);
}

/// `bytes` at `offset`, cut at multiples of `unit`.
fn sectors(offset: usize, bytes: &[u8], unit: usize) -> impl Iterator<Item = &[u8]> {
    let (first, rest) = bytes.split_at(bytes.len().min(unit - offset % unit));
    std::iter::once(first).chain(rest.chunks(unit))
}

fn error(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw_os_error())
}

fn usize_of(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| error(Errno::FBIG))
}

/// What a store asks of it.
impl Disk {
    /// How many bytes it has.
    ///
    /// # Errors
    ///
    /// When the power is gone.
    pub fn size(&self) -> io::Result<u64> {
        Ok(self.begin("size", 0, &[])?.now.len() as u64)
    }

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when there is less; those of the faults.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let content = self.begin("read", offset, &[])?;
        if self.network.strikes(|faults| faults.disk_errors) {
            return Err(failed(content, "read", Errno::IO));
        }
        let from = usize_of(offset)?;
        let there = content.now.get(from..from.saturating_add(buffer.len()));
        buffer.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    /// Writes `bytes` at `offset`; what lies between the end and that becomes zeros.
    ///
    /// # Errors
    ///
    /// Those of the faults. A part may have been written then.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut content = self.begin("write", offset, bytes)?;
        self.refuse_full(&mut content)?;
        let mut len = bytes.len();
        let fails = self.network.strikes(|faults| faults.disk_errors);
        if fails {
            len = self.network.throw(|dice| dice.below(len + 1));
        }
        content.change(Change::Write(usize_of(offset)?, bytes[..len].to_vec()));
        match fails {
            true => Err(failed(content, "write", Errno::IO)),
            false => Ok(()),
        }
    }

    /// Cuts it, or has it grow by zeros.
    ///
    /// # Errors
    ///
    /// Those of the faults.
    pub fn set_size(&self, size: u64) -> io::Result<()> {
        let mut content = self.begin("set size", size, &[])?;
        self.refuse_full(&mut content)?;
        content.change(Change::Size(usize_of(size)?));
        Ok(())
    }

    /// Makes what was written outlast the loss of power (`fdatasync`).
    ///
    /// # Errors
    ///
    /// Those of the faults. As on Linux, what was written and is not on the disk then never will be,
    /// and a later sync that succeeds says nothing of it.
    pub fn sync(&self) -> io::Result<()> {
        let mut content = self.begin("sync", 0, &[])?;
        let changes = std::mem::take(&mut content.changes);
        if self.network.strikes(|faults| faults.sync_errors) {
            self.keep_by_chance(&changes, &mut content.kept);
            return Err(failed(content, "sync", Errno::IO));
        }
        for change in &changes {
            change.apply(&mut content.kept);
        }
        content.syncs += 1;
        Ok(())
    }

    fn begin(
        &self,
        what: &'static str,
        offset: u64,
        bytes: &[u8],
    ) -> io::Result<MutexGuard<'_, Content>> {
        self.network.begin_io(what.len() as u64, offset, bytes);
        let mut content = self.content();
        let number = content.ios;
        content.ios += 1;
        match content.power_until.is_some_and(|until| number >= until) {
            true => Err(failed(content, what, Errno::IO)),
            false => Ok(content),
        }
    }

    fn refuse_full(&self, content: &mut Content) -> io::Result<()> {
        let now = self.network.now_nanos();
        if self.network.strikes(|faults| faults.disk_full) {
            let lasts = self.network.throw(|dice| dice.below(FULL_NANOS));
            content.full_until = now + lasts as u64;
        }
        let can_be_full = self.network.faults(|faults| faults.disk_full) > 0.0;
        match can_be_full && now < content.full_until {
            true => Err(error(Errno::NOSPC)),
            false => Ok(()),
        }
    }

    /// Applies a part of `changes` to `image`, cut where a disk cuts.
    fn keep_by_chance(&self, changes: &[Change], image: &mut Vec<u8>) {
        self.network.throw(|dice| {
            let unit = SECTOR_BYTES[dice.below(SECTOR_BYTES.len())];
            let kept = [0.0, 0.1, 0.5, 0.9, 1.0][dice.below(5)];
            for change in changes {
                match change {
                    Change::Size(_) if dice.happens(kept) => change.apply(image),
                    Change::Size(_) => {}
                    Change::Write(offset, bytes) => {
                        let mut at = *offset;
                        for part in sectors(at, bytes, unit) {
                            if dice.happens(kept) {
                                put(image, at, part);
                            }
                            at += part.len();
                        }
                    }
                }
            }
        });
    }
}

fn failed(mut content: MutexGuard<'_, Content>, what: &'static str, errno: Errno) -> io::Error {
    content.failed.get_or_insert(what);
    error(errno)
}

impl Content {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.changes.push(change);
    }
}

/// What a test asks of it.
impl Disk {
    pub(super) fn new(network: Network, image: Vec<u8>) -> Disk {
        let content = Content {
            now: image.clone(),
            kept: image,
            ..Content::default()
        };
        Disk {
            network,
            content: Arc::new(Mutex::new(content)),
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The power goes: nothing can be read or written any more.
    pub fn lose_power(&self) {
        self.lose_power_after(0);
    }

    /// The power goes when `ios` more I/Os have been done: in the middle of whatever that is.
    pub fn lose_power_after(&self, ios: u64) {
        let mut content = self.content();
        content.power_until = Some(content.ios + ios);
    }

    /// Whether it has power. Gone at a number of I/Os, it is gone when one more is tried.
    #[must_use]
    pub fn has_power(&self) -> bool {
        let content = self.content();
        content.power_until.is_none_or(|until| content.ios <= until)
    }

    /// As it is now: what is left when only the process ends.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        self.content().now.clone()
    }

    /// What is left when the power goes: what was synced, and what chance kept of the rest.
    #[must_use]
    pub fn image_after_power_loss(&self) -> Vec<u8> {
        let content = self.content();
        let mut image = content.kept.clone();
        self.keep_by_chance(&content.changes, &mut image);
        image
    }

    /// How many I/Os were tried.
    #[must_use]
    pub fn ios(&self) -> u64 {
        self.content().ios
    }

    /// How many syncs have succeeded.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.content().syncs
    }

    /// What failed first, except for want of space: "read", "write", "sync", or whatever met no power.
    #[must_use]
    pub fn failed(&self) -> Option<&'static str> {
        self.content().failed
    }
}

#[cfg(feature = "durable")]
impl redb::StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.size()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.set_size(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.write_at(offset, data)
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = self.content();
        f.debug_struct("Disk")
            .field("bytes", &content.now.len())
            .field("ios", &content.ios)
            .field("syncs", &content.syncs)
            .finish_non_exhaustive()
    }
}
