//! The memory store: a cache that says what it weighs.
//!
//! It never waits, so its operations run in place, on the thread that asks. Keys are spread over
//! shards by a keyed hash (SipHash with a random key for each store: whoever chooses keys cannot
//! choose who collides); each shard has its own lock, held for one operation.
//!
//! ```text
//!   operation ── hash ──> shard ──┬── table of hashes ──> slot: key, value, revision, end
//!                                 ├── queues: S3-FIFO, what goes when room is needed
//!                                 └── timer wheel: what has expired and is not looked at
//! ```
//!
//! *Time to live* is exact: a value is absent from its millisecond on, whether its memory was freed or
//! not. It is counted on the monotonic clock, so setting the time of day expires nothing. Values that
//! were written together and would be asked for again together can be given ends that differ, with
//! [`Options::jitter_percent`]; that is for caches, and breaks the word of the time asked for, so
//! it is off unless asked for. Memory is freed by [`InPlace::maintain`] in steps of bounded length
//! whether ends differ or not, and before anything is evicted; but a slot of the wheel is sorted at
//! once, which takes some milliseconds for each hundred thousand values of a shard whose ends are in
//! the same minute.
//!
//! *Memory* is bounded by [`Options::bytes_max`], which counts what the allocator gives for keys
//! and values, their slots, the tables and the wheel, not only the values. Keys and values are copied
//! when they are written: a few octets of a large input buffer would else keep the whole of it. What
//! answers under way still hold, after it was overwritten or evicted, is not counted.
//!
//! *Order*: scans have none. A sorted index would cost each write a descent and each key another copy
//! of itself. A scan goes through slots, which entries never leave while they are there, so paging
//! stays right while everything grows; ranges work, by looking at every key, at most 4,096 a page.

mod counters;
mod ghost;
mod packed;
mod page_mark;
mod queues;
mod shard;
mod slots;
mod terms;

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{
    Atomic, Capabilities, Clock, Durability, Fault, InPlace, Operation, Outcome, Outcomes, Page,
    Reply, Request, Revision, Session, Store, SystemClock,
};
use crate::time::Span;
use page_mark::PageMark;
use shard::{Key, Shard};
use terms::Terms;

pub use counters::Counters;

/// A shard has at least so many bytes, so that the largest key and value fit an empty one.
const SHARD_BYTES_MIN: usize = 256 << 10;

/// Slots looked at for one page.
const LOOKS_MAX: u32 = 4_096;

/// Expired values removed under one lock, and between two looks at the clock.
const EXPIRED_IN_A_STEP: usize = 256;

/// Steps of maintenance in each millisecond of its budget: one takes some 0.1 ms.
const STEPS_PER_MILLISECOND: u64 = 8;

/// What happens to a write for which there is no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhenFull {
    /// Others go for it, by S3-FIFO.
    Evict,
    /// It is answered [`Fault::Retry`]; nothing ever goes that was not deleted and has not expired.
    Refuse,
}

/// How large a [`Memory`] store may be, and what it does then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Bytes of memory for keys, values and everything about them; at least 256 KiB, which is what less
    /// becomes. For the time of a write there may be that value more, and the old one of a table that
    /// grows.
    pub bytes_max: usize,
    /// What to do at that.
    pub when_full: WhenFull,
    /// Parts that threads use side by side; fewer when each would have less than 256 KiB. Each may
    /// hold its part of the bytes, and a value no more than half of that.
    pub shards: u16,
    /// By how many hundredths of its time to live a value may go earlier, by chance: 0 to 100.
    pub jitter_percent: u8,
}

impl Default for Options {
    /// 256 MiB in 16 shards, evicting, without jitter.
    fn default() -> Options {
        Options {
            bytes_max: 256 << 20,
            when_full: WhenFull::Evict,
            shards: 16,
            jitter_percent: 0,
        }
    }
}

/// A store in memory. Clones are the same store.
///
/// ```
/// use trine::storage::memory::{Memory, Options};
/// use trine::storage::{Operation, Outcomes, Reply, Request, Store};
///
/// let memory = Memory::new(Options::default());
/// let get = Operation::Get { key: "tea".into() };
/// let mut outcome = [None];
/// let in_place = memory.in_place().expect("it never waits");
/// in_place.run(&[Request::new(get)], &mut Outcomes::new(&mut outcome));
/// assert_eq!(outcome, [Some(Ok(Reply::Got(None)))]);
/// assert_eq!(memory.counters().misses, 1);
/// ```
#[derive(Clone)]
pub struct Memory {
    shared: Arc<Shared>,
}

struct Shared {
    capabilities: Capabilities,
    jitter_percent: u8,
    clock: Arc<dyn Clock>,
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
    /// From ticks to milliseconds since 1970.
    wall_offset: AtomicI64,
    page_tag: [u8; 16],
}

impl Memory {
    /// An empty store on the clocks of the machine.
    #[must_use]
    pub fn new(options: Options) -> Memory {
        Memory::with_clock(options, Arc::new(SystemClock))
    }

    /// An empty store that takes the time from `clock`.
    #[must_use]
    pub fn with_clock(options: Options, clock: Arc<dyn Clock>) -> Memory {
        let fit = options.bytes_max / SHARD_BYTES_MIN;
        let count = usize::from(options.shards).min(fit).max(1);
        let bytes_max = (options.bytes_max / count).max(SHARD_BYTES_MIN);
        let now = clock.now();
        // After a restart no revision is that of another value before it, unless a million values
        // were written in each millisecond.
        let revision = Revision::new(clock.unix_millis() << 20).unwrap_or(Revision::MIN);
        let shard = || Mutex::new(Shard::new(bytes_max, options.when_full, revision, now));
        let hasher = RandomState::new();
        let tag = [hasher.hash_one(1), hasher.hash_one(2)].map(u64::to_be_bytes);
        let mut page_tag = [0; 16];
        page_tag.copy_from_slice(tag.as_flattened());
        Memory {
            shared: Arc::new(Shared {
                capabilities: capabilities(bytes_max),
                jitter_percent: options.jitter_percent.min(100),
                wall_offset: AtomicI64::new(wall_offset(&*clock)),
                clock,
                hasher,
                shards: (0..count).map(|_| shard()).collect(),
                page_tag,
            }),
        }
    }

    /// What was counted, and what is there. Takes each shard's lock in turn.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut all = Counters::default();
        for shard in &self.shared.shards {
            let shard = lock(shard);
            all.add(&Counters {
                entries: shard.len(),
                bytes: shard.bytes(),
                ..shard.counters
            });
        }
        all
    }

    /// Asserts the invariants. Takes time for every entry, so it is for tests.
    ///
    /// # Panics
    ///
    /// When one does not hold.
    #[doc(hidden)]
    pub fn check(&self) {
        self.shared
            .shards
            .iter()
            .for_each(|shard| lock(shard).check());
    }
}

/// What a store can do whose shards have so many bytes.
fn capabilities(shard_bytes_max: usize) -> Capabilities {
    let half = (shard_bytes_max / 2).min(512 << 20);
    Capabilities {
        name: "memory",
        durability_max: Durability::Memory,
        is_ordered: false,
        atomic: Atomic::Operation,
        lanes: 1,
        readers: 0,
        key_bytes_max: u32::from(u16::MAX),
        value_bytes_max: u32::try_from(half).unwrap_or(u32::MAX),
    }
}

/// What to add to a tick to get milliseconds since 1970.
fn wall_offset(clock: &dyn Clock) -> i64 {
    let mut now = clock.now();
    let mut unix = clock.unix_millis();
    // A thread that was put aside between the two would be wrong for as long.
    for _ in 0..8 {
        match clock.now() {
            after if after == now => break,
            after => (now, unix) = (after, clock.unix_millis()),
        }
    }
    i64::try_from(i128::from(unix) - i128::from(now.0)).unwrap_or_default()
}

/// A shard that a panic has left is used on: no code but ours runs under its lock.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn terms(&self) -> Terms<'_> {
        let wall_offset = self.wall_offset.load(Ordering::Relaxed);
        Terms::new(&*self.clock, wall_offset, self.jitter_percent)
    }

    /// The shard of `key`, locked, and the key with its hash in it.
    #[inline]
    fn at<'k>(&self, key: &'k [u8]) -> (MutexGuard<'_, Shard>, Key<'k>) {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        let hash = hasher.finish();
        // The upper half chooses the shard, the lower one the place in its table.
        let index = ((hash >> 32) * self.shards.len() as u64) >> 32;
        let key = Key {
            octets: key,
            hash: hash as u32,
        };
        (lock(&self.shards[index as usize]), key)
    }

    #[inline]
    fn run_one(&self, request: &Request, terms: &mut Terms<'_>) -> Outcome {
        self.capabilities.check(request)?;
        match &request.operation {
            Operation::Get { key } => {
                let (mut shard, key) = self.at(key);
                Ok(shard.get(key, terms))
            }
            Operation::Put {
                key,
                value,
                ttl,
                condition,
            } => {
                let (mut shard, key) = self.at(key);
                shard.put(key, value, *condition, terms.with_ttl(*ttl))
            }
            Operation::Delete { key, condition } => {
                let (mut shard, key) = self.at(key);
                Ok(shard.delete(key, *condition, terms))
            }
            Operation::Touch { key, ttl } => {
                let (mut shard, key) = self.at(key);
                shard.touch(key, terms.with_ttl(*ttl))
            }
            Operation::Scan {
                from,
                until,
                limit,
                keys_only,
            } => Ok(Reply::Page(self.page(
                from,
                until.as_ref(),
                (*limit, *keys_only),
                terms,
            ))),
        }
    }

    fn page(
        &self,
        from: &Bytes,
        until: Option<&Bytes>,
        (limit, keys_only): (u32, bool),
        terms: &Terms<'_>,
    ) -> Page {
        let mut mark = PageMark::read(from, &self.page_tag);
        let mut entries = Vec::new();
        let mut looks = LOOKS_MAX;
        while let Some(shard) = self.shards.get(usize::from(mark.shard)) {
            let least = &mark.from;
            let next = lock(shard).scan(mark.slot, &mut looks, terms, |mut entry| {
                if entry.key >= least && until.is_none_or(|until| entry.key < until) {
                    if keys_only {
                        entry.value = Bytes::new();
                    }
                    entries.push(entry);
                }
                entries.len() < limit as usize
            });
            match next {
                Some(slot) => {
                    mark.slot = slot;
                    let next = Some(mark.write(&self.page_tag));
                    return Page { entries, next };
                }
                None => (mark.shard, mark.slot) = (mark.shard + 1, 0),
            }
        }
        Page {
            entries,
            next: None,
        }
    }

    /// Follows the time of day when somebody sets it. Small differences are left, so that the end of
    /// a value is told the same each time.
    fn follow_wall_clock(&self) {
        let offset = wall_offset(&*self.clock);
        if offset.abs_diff(self.wall_offset.load(Ordering::Relaxed)) > 1_000 {
            self.wall_offset.store(offset, Ordering::Relaxed);
        }
    }
}

impl InPlace for Memory {
    fn run(&self, batch: &[Request], outcomes: &mut Outcomes<'_>) {
        let mut terms = self.shared.terms();
        for (index, request) in batch.iter().enumerate() {
            outcomes.set(index, self.shared.run_one(request, &mut terms));
        }
    }

    /// Frees the memory of values that have expired, some two thousand in a millisecond.
    fn maintain(&self, budget: Span) -> bool {
        self.shared.follow_wall_clock();
        let clock = &self.shared.clock;
        let start = clock.now();
        let mut steps = budget
            .as_millis()
            .max(1)
            .saturating_mul(STEPS_PER_MILLISECOND);
        let mut is_more = true;
        while is_more {
            is_more = false;
            for shard in &self.shared.shards {
                let now = clock.now();
                if steps == 0 || now.since(start) > budget {
                    return true;
                }
                let is_left = lock(shard).expire(EXPIRED_IN_A_STEP, now);
                steps -= u64::from(is_left);
                is_more |= is_left;
            }
        }
        false
    }
}

impl Store for Memory {
    fn capabilities(&self) -> Capabilities {
        self.shared.capabilities
    }

    fn writer(&self, _lane: u16) -> Result<Box<dyn Session>, Fault> {
        Ok(Box::new(self.clone()))
    }

    fn reader(&self) -> Result<Box<dyn Session>, Fault> {
        Ok(Box::new(self.clone()))
    }

    fn in_place(&self) -> Option<&dyn InPlace> {
        Some(self)
    }

    fn close(self: Box<Self>) -> Result<(), Fault> {
        Ok(())
    }
}

/// A session is no more than a handle.
impl Session for Memory {
    fn run(&mut self, batch: &[Request], outcomes: &mut Outcomes<'_>) {
        InPlace::run(self, batch, outcomes);
    }

    fn reopen(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn maintain(&mut self, budget: Span) -> Result<bool, Fault> {
        Ok(InPlace::maintain(self, budget))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("shards", &self.shared.shards.len())
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}
