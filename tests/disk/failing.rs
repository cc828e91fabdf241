//! A disk in memory that fails when told to, and forgets what was not synced.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use redb::StorageBackend;

/// What happens at one I/O, counted from zero.
#[derive(Clone, Copy, Debug)]
pub enum Failure {
    /// This one fails with this errno, the others work.
    Once(i32),
    /// This one and those that write after it fail, until [`Disk::recover`].
    Writes(i32),
    /// The first sync from this one on fails.
    Sync(i32),
    /// The power goes: this one and all after it fail.
    Power,
}

/// One I/O that changed something since the last sync.
#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

#[derive(Debug, Default)]
struct State {
    /// As every reader sees it.
    now: Vec<u8>,
    /// As of the last sync.
    synced: Vec<u8>,
    changes: Vec<Change>,
    count: u64,
    syncs: u64,
    plan: Option<(u64, Failure)>,
    failed: Option<(&'static str, i32)>,
    holds_syncs: bool,
    held_syncs: u32,
}

/// The disk; clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<(Mutex<State>, Condvar)>);

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    /// Syncs take for ever, until they are released.
    pub fn hold_syncs(&self) {
        self.state().holds_syncs = true;
    }

    /// Lets all syncs go on.
    pub fn release_syncs(&self) {
        self.state().holds_syncs = false;
        self.0.1.notify_all();
    }

    /// Waits until somebody waits for a sync.
    pub fn wait_for_held_sync(&self) {
        let held = self
            .0
            .1
            .wait_while(self.state(), |state| state.held_syncs == 0);
        drop(held.unwrap());
    }

    /// A disk whose content is `image`, all of it synced.
    pub fn with(image: Vec<u8>) -> Disk {
        let disk = Disk::default();
        disk.state().now.clone_from(&image);
        disk.state().synced = image;
        disk
    }

    /// I/O number `after` from now on fails.
    pub fn plan(&self, after: u64, failure: Failure) {
        let mut state = self.state();
        state.plan = Some((state.count + after, failure));
    }

    /// The disk works again.
    pub fn recover(&self) {
        self.state().plan = None;
    }

    /// I/Os so far.
    pub fn count(&self) -> u64 {
        self.state().count
    }

    /// Syncs so far.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// What failed first.
    pub fn failed(&self) -> Option<(&'static str, i32)> {
        self.state().failed
    }

    /// As it is now: what is left after the process is killed.
    pub fn image(&self) -> Vec<u8> {
        self.state().now.clone()
    }

    /// What is left when the power goes: what was synced, and a random part of what was written since,
    /// cut where a disk cuts.
    pub fn image_after_power_loss(&self, random: &mut fastrand::Rng) -> Vec<u8> {
        let state = self.state();
        let unit = [512, 4096][random.usize(0..2)];
        let kept = [0.0, 0.1, 0.5, 0.9, 1.0][random.usize(0..5)];
        let mut image = state.synced.clone();
        for change in &state.changes {
            match change {
                Change::SetLen(len) if random.f64() < kept => image.resize(*len as usize, 0),
                Change::SetLen(_) => {}
                Change::Write(offset, data) => {
                    let mut at = *offset as usize;
                    for part in units(at, data, unit) {
                        if random.f64() < kept {
                            if image.len() < at + part.len() {
                                image.resize(at + part.len(), 0);
                            }
                            image[at..at + part.len()].copy_from_slice(part);
                        }
                        at += part.len();
                    }
                }
            }
        }
        image
    }

    fn io(&self, what: &'static str) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        let number = state.count;
        state.count += 1;
        let is_write = what != "read" && what != "len";
        let errno = match state.plan {
            Some((at, Failure::Once(errno))) if number == at => Some(errno),
            Some((at, Failure::Writes(errno))) if number >= at && is_write => Some(errno),
            Some((at, Failure::Sync(errno))) if number >= at && what == "sync" => Some(errno),
            Some((at, Failure::Power)) if number >= at => Some(5),
            _ => None,
        };
        let Some(errno) = errno else { return Ok(state) };
        state.failed = state.failed.or(Some((what, errno)));
        if matches!(state.plan, Some((_, Failure::Sync(_)))) {
            state.plan = None;
        }
        Err(io::Error::from_raw_os_error(errno))
    }
}

/// `data` at `offset`, cut at multiples of `unit`.
fn units(offset: usize, data: &[u8], unit: usize) -> impl Iterator<Item = &[u8]> {
    let (first, rest) = data.split_at(data.len().min(unit - offset % unit));
    std::iter::once(first).chain(rest.chunks(unit))
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.io("len")?.now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.io("read")?;
        let from = offset as usize;
        let there = state.now.get(from..from + out.len());
        out.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.io("set_len")?;
        state.now.resize(len as usize, 0);
        state.changes.push(Change::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.io("sync")?;
        if state.holds_syncs {
            state.held_syncs += 1;
            self.0.1.notify_all();
            state = self
                .0
                .1
                .wait_while(state, |state| state.holds_syncs)
                .unwrap();
        }
        state.synced = state.now.clone();
        state.changes.clear();
        state.syncs += 1;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.io("write")?;
        let from = offset as usize;
        if state.now.len() < from + data.len() {
            state.now.resize(from + data.len(), 0);
        }
        state.now[from..from + data.len()].copy_from_slice(data);
        state.changes.push(Change::Write(offset, data.to_vec()));
        Ok(())
    }
}
