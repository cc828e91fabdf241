//! The memory store beside a plain map behind a lock, and beside other caches.
//!
//! Keys of 16 octets, values of 100, in random order. The store is asked as the storage unit asks
//! it, with requests, one or sixteen at a time; the peers by their own calls. A plain map knows no
//! limit, no time to live and no revisions: it is the floor. All peers of a round run one after
//! another, rounds are repeated, and what is measured is the time on the processor: compare rows of
//! one run only. Everybody copies what is put: whoever shares it keeps the buffer it was read into.
//!
//! ```text
//! cargo bench --bench storage_memory [-- [--quick] [part of a peer's name]]
//! ```

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use trine::storage::memory::{Memory, Options};
use trine::storage::{
    Condition, Durability, InPlace, Operation, Outcome, Outcomes, Reply, Request,
};
use trine::time::Tick;

/// Keys that are there.
const KEYS: usize = 100_000;
const VALUE: usize = 100;
/// What the caches may hold when they have to evict: some 100,000 entries.
const BYTES_MAX: usize = 24 << 20;

/// Those of them that are asked for when everything is in the processor's caches.
const HOT: usize = 1_000;

const HEADINGS: [&str; COLUMNS] = [
    "get, hot",
    "get, hit",
    "get, miss",
    "put, hot",
    "put, over",
    "put, evicting",
];
const COLUMNS: usize = 6;

/// What is measured.
trait Cache {
    /// Room for everything, or only for [`BYTES_MAX`].
    fn new(evicts: bool) -> Self;
    /// Gets all of `keys`, in order; how many were there.
    fn get(&self, keys: &[Bytes]) -> usize;
    fn put(&self, keys: &[Bytes], value: &Bytes);
}

struct Store<const BATCH: usize> {
    memory: Memory,
}

impl<const BATCH: usize> Store<BATCH> {
    fn run(&self, keys: &[Bytes], operation: impl Fn(Bytes) -> Operation) -> usize {
        let mut outcomes: [Option<Outcome>; BATCH] = [const { None }; BATCH];
        let mut batch = Vec::with_capacity(BATCH);
        let mut found = 0;
        for keys in keys.chunks_exact(BATCH) {
            batch.clear();
            batch.extend(keys.iter().map(|key| Request {
                operation: operation(key.clone()),
                durability: Durability::Memory,
                deadline: Tick::NEVER,
            }));
            InPlace::run(&self.memory, &batch, &mut Outcomes::new(&mut outcomes));
            for outcome in &mut outcomes {
                let is_found = matches!(outcome.take(), Some(Ok(Reply::Got(Some(_)))));
                found += usize::from(is_found);
            }
        }
        found
    }
}

impl<const BATCH: usize> Cache for Store<BATCH> {
    fn new(evicts: bool) -> Self {
        let bytes_max = if evicts { BYTES_MAX } else { 1 << 30 };
        let options = Options {
            bytes_max,
            ..Options::default()
        };
        Store {
            memory: Memory::new(options),
        }
    }

    fn get(&self, keys: &[Bytes]) -> usize {
        self.run(keys, |key| Operation::Get { key })
    }

    fn put(&self, keys: &[Bytes], value: &Bytes) {
        self.run(keys, |key| Operation::Put {
            key,
            value: value.clone(),
            ttl: None,
            condition: Condition::Any,
        });
    }
}

fn copied(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// A map that never lets go.
struct Map(Mutex<HashMap<Bytes, Bytes>>);

impl Cache for Map {
    fn new(_: bool) -> Self {
        Map(Mutex::new(HashMap::new()))
    }

    fn get(&self, keys: &[Bytes]) -> usize {
        let value = |key| self.0.lock().expect("one thread").get(key).cloned();
        keys.iter()
            .filter(|key| black_box(value(*key)).is_some())
            .count()
    }

    fn put(&self, keys: &[Bytes], value: &Bytes) {
        for key in keys {
            let mut map = self.0.lock().expect("one thread");
            map.insert(copied(key), copied(value));
        }
    }
}

/// S3-FIFO too, with weights.
struct QuickCache(quick_cache::sync::Cache<Bytes, Bytes, Weight>);

#[derive(Clone)]
struct Weight;

impl quick_cache::Weighter<Bytes, Bytes> for Weight {
    fn weight(&self, key: &Bytes, value: &Bytes) -> u64 {
        (key.len() + value.len()) as u64
    }
}

impl Cache for QuickCache {
    fn new(evicts: bool) -> Self {
        let entries = if evicts { KEYS } else { 4 * KEYS };
        let bytes = (entries * (VALUE + 16)) as u64;
        QuickCache(quick_cache::sync::Cache::with_weighter(
            entries, bytes, Weight,
        ))
    }

    fn get(&self, keys: &[Bytes]) -> usize {
        keys.iter()
            .filter(|key| black_box(self.0.get(*key)).is_some())
            .count()
    }

    fn put(&self, keys: &[Bytes], value: &Bytes) {
        for key in keys {
            self.0.insert(copied(key), copied(value));
        }
    }
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let wanted = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let (rounds, operations) = if quick { (3, 400_000) } else { (7, 2_000_000) };
    type Run = fn(usize) -> [f64; COLUMNS];
    let mut peers: Vec<(&str, Run)> = vec![
        ("trine Memory, one at a time", run::<Store<1>>),
        ("trine Memory, 16 at a time", run::<Store<16>>),
        ("Mutex<HashMap<Bytes, Bytes>>", run::<Map>),
        ("quick_cache", run::<QuickCache>),
    ];
    peers.retain(|(name, _)| wanted.as_deref().is_none_or(|part| name.contains(part)));
    let mut figures = vec![Vec::new(); peers.len()];
    for _ in 0..rounds {
        for (peer, (_, run)) in peers.iter().enumerate() {
            figures[peer].push(run(operations));
        }
    }
    println!("\nbest of {rounds} rounds / median; ns an operation");
    print!("{:30}", "");
    HEADINGS.iter().for_each(|heading| print!("{heading:>17}"));
    println!();
    for (peer, (name, _)) in peers.iter().enumerate() {
        print!("{name:30}");
        for column in 0..HEADINGS.len() {
            let mut all: Vec<f64> = figures[peer].iter().map(|row| row[column]).collect();
            all.sort_by(f64::total_cmp);
            let text = format!("{:.0} / {:.0}", all[0], all[all.len() / 2]);
            print!("{text:>17}");
        }
        println!();
    }
}

/// All workloads on one peer.
fn run<C: Cache>(operations: usize) -> [f64; COLUMNS] {
    let value = Bytes::from(vec![7; VALUE]);
    let key = |number: usize| Bytes::from(format!("key:{number:012}"));
    let there: Vec<Bytes> = (0..KEYS).map(key).collect();
    let absent: Vec<Bytes> = (KEYS..2 * KEYS).map(key).collect();
    let mut random = fastrand::Rng::with_seed(3);
    // As if they came in one stream: cut from one buffer, one after another.
    let mut some_of = |keys: &[Bytes]| -> Vec<Bytes> {
        let some = (0..operations).map(|_| &keys[random.usize(..keys.len())][..]);
        let stream = Bytes::from(some.collect::<Vec<_>>().concat());
        let cut = (0..operations).map(|number| stream.slice(number * 16..(number + 1) * 16));
        cut.collect()
    };
    let (asked, hot, missing) = (some_of(&there), some_of(&there[..HOT]), some_of(&absent));

    let cache = C::new(false);
    cache.put(&there, &value);
    let get_hot = timed(operations, || assert_eq!(cache.get(&hot), operations));
    let hit = timed(operations, || assert_eq!(cache.get(&asked), operations));
    let miss = timed(operations, || assert_eq!(cache.get(&missing), 0));
    let put_hot = timed(operations, || cache.put(&hot, &value));
    let over = timed(operations, || cache.put(&asked, &value));
    drop(cache);

    let cache = C::new(true);
    cache.put(&there, &value);
    let new: Vec<Bytes> = (0..operations)
        .map(|number| key(2 * KEYS + number))
        .collect();
    let evicting = timed(operations, || cache.put(&new, &value));
    [get_hot, hit, miss, put_hot, over, evicting]
}

/// Nanoseconds on the processor that each of `operations` takes.
fn timed(operations: usize, work: impl FnOnce()) -> f64 {
    let start = on_cpu();
    work();
    (on_cpu() - start).as_nanos() as f64 / operations as f64
}

/// How long this thread has run. Unlike a clock it stands still while another program runs.
fn on_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a thread has not run for less than no time")
}
