//! The durable store beside the engine below it, with the same batches.
//!
//! One thread overwrites random keys of 100,000; keys have 16 bytes and values 100. A batch is one commit
//! with one sync, in both. What the store adds is the envelope with its checksum, revisions, conditions
//! and outcomes; its unit, the queue and a thread. Peers take turns, because a shared disk is slow for minutes at a time: the ratio of each
//! turn counts, and of those the median. The file is in the folder for temporary files; on a disk in memory
//! syncs cost nothing, and the ratio is that of the processor alone.
//!
//! ```text
//! cargo bench --bench storage_durable [--features fjall] [-- [--quick]]
//! ```

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use redb::TableDefinition;
use trine::storage::durable::{Durable, Options};
use trine::storage::{
    Condition, Operation, Outcome, Outcomes, Request, Session, StorageUnit, Store, Submission,
    UnitOptions,
};

const KEYS: u64 = 100_000;
const VALUE_BYTES: usize = 100;
const CACHE_BYTES: usize = 64 * 1024 * 1024;
const BATCHES: [usize; 3] = [1, 32, 256];
const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("values");

/// Somebody who keeps batches of puts.
trait Peer {
    fn name(&self) -> &'static str;

    /// Puts all of `pairs` and syncs once.
    fn put(&mut self, pairs: &[(Bytes, Bytes)]) -> Result<(), Box<dyn Error>>;
}

struct RawRedb(redb::Database);

impl Peer for RawRedb {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn put(&mut self, pairs: &[(Bytes, Bytes)]) -> Result<(), Box<dyn Error>> {
        let transaction = self.0.begin_write()?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (key, value) in pairs {
                table.insert(&key[..], &value[..])?;
            }
        }
        Ok(transaction.commit()?)
    }
}

struct Ours {
    name: &'static str,
    session: Box<dyn Session>,
    batch: Vec<Request>,
    places: Vec<Option<Outcome>>,
}

impl Ours {
    fn new(store: &dyn Store) -> Result<Ours, Box<dyn Error>> {
        Ok(Ours {
            name: store.capabilities().name,
            session: store.writer(0)?,
            batch: Vec::new(),
            places: Vec::new(),
        })
    }
}

impl Peer for Ours {
    fn name(&self) -> &'static str {
        self.name
    }

    fn put(&mut self, pairs: &[(Bytes, Bytes)]) -> Result<(), Box<dyn Error>> {
        self.batch.clear();
        let puts = pairs.iter().map(|(key, value)| Operation::Put {
            key: key.clone(),
            value: value.clone(),
            ttl: None,
            condition: Condition::Any,
        });
        self.batch.extend(puts.map(Request::new));
        self.places.resize(pairs.len(), None);
        let mut outcomes = Outcomes::new(&mut self.places);
        self.session.run(&self.batch, &mut outcomes);
        for place in &mut self.places {
            place.take().ok_or("no outcome")??;
        }
        Ok(())
    }
}

/// The same store behind a storage unit, as the server has it: while a batch is synced, the next one
/// gathers in the queue of the thread that has the session.
struct Behind {
    unit: StorageUnit,
    /// Told of the last operation of each batch, as a loop is woken once for one.
    batches: (Sender<Outcome>, Receiver<Outcome>),
    failed: Arc<AtomicBool>,
    under_way: usize,
}

impl Peer for Behind {
    fn name(&self) -> &'static str {
        "its unit"
    }

    fn put(&mut self, pairs: &[(Bytes, Bytes)]) -> Result<(), Box<dyn Error>> {
        for (index, (key, value)) in pairs.iter().enumerate() {
            let put = Operation::Put {
                key: key.clone(),
                value: value.clone(),
                ttl: None,
                condition: Condition::Any,
            };
            let Submission::Queued(place) = self.unit.submit(Request::new(put)) else {
                return Err("turned away".into());
            };
            let batch = (index == pairs.len() - 1).then(|| self.batches.0.clone());
            let failed = Arc::clone(&self.failed);
            place.complete_with(Box::new(move |outcome: Outcome| {
                failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
                if let Some(batch) = batch {
                    let _ = batch.send(outcome); // nobody listens at the end
                }
            }));
        }
        self.under_way += 1;
        if self.under_way > 1 {
            self.batches.1.recv()??;
            self.under_way -= 1;
        }
        match self.failed.load(Ordering::Relaxed) {
            true => Err("a put failed".into()),
            false => Ok(()),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (turns, turn) = match quick {
        true => (3, Duration::from_millis(300)),
        false => (9, Duration::from_secs(1)),
    };
    let folder = std::env::temp_dir().join(format!("trine-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let result = compare(&folder, turns, turn);
    fs::remove_dir_all(&folder)?;
    result
}

fn compare(folder: &Path, turns: usize, turn: Duration) -> Result<(), Box<dyn Error>> {
    let path = |name: &str| -> PathBuf { folder.join(name) };
    let mut builder = redb::Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    let options = Options {
        cache_bytes: CACHE_BYTES,
        ..Options::default()
    };
    let mut peers: Vec<Box<dyn Peer>> = vec![
        Box::new(RawRedb(builder.create(path("redb"))?)),
        Box::new(Ours::new(&Durable::open(
            path("durable"),
            options.clone(),
        )?)?),
        Box::new(Behind {
            unit: unit(&path("unit"), options)?,
            batches: channel(),
            failed: Arc::default(),
            under_way: 0,
        }),
    ];
    peers.extend(write_heavy(&path("fjall"))?);
    let mut random = fastrand::Rng::with_seed(1);
    for peer in &mut peers {
        for first in (0..KEYS).step_by(1_000) {
            let numbers = first..first + 1_000;
            peer.put(
                &numbers
                    .map(|number| pair(number, &mut random))
                    .collect::<Vec<_>>(),
            )?;
        }
    }
    println!("puts a second, median of {turns} turns of {turn:?}; ratio to redb in the same turn");
    for size in BATCHES {
        let mut rates = vec![Vec::new(); peers.len()];
        for _ in 0..turns {
            for (peer, rates) in peers.iter_mut().zip(&mut rates) {
                rates.push(rate(&mut **peer, size, turn, &mut random)?);
            }
        }
        for (peer, own) in peers.iter().zip(&rates) {
            let ratios = own.iter().zip(&rates[0]).map(|(own, raw)| own / raw);
            let (name, ratio) = (peer.name(), median(ratios.collect()));
            println!(
                "{size:>4} a commit  {name:<8} {:>9.0}  {ratio:.2}",
                median(own.clone())
            );
        }
    }
    Ok(())
}

fn unit(path: &Path, options: Options) -> Result<StorageUnit, Box<dyn Error>> {
    let store = Durable::open(path, options)?;
    Ok(StorageUnit::start(Box::new(store), UnitOptions::default())?)
}

#[cfg(feature = "fjall")]
fn write_heavy(path: &Path) -> Result<Vec<Box<dyn Peer>>, Box<dyn Error>> {
    use trine::storage::fjall::{Fjall, Options};
    let store = Fjall::open(path, Options::default())?;
    Ok(vec![Box::new(Ours::new(&store)?)])
}

#[cfg(not(feature = "fjall"))]
fn write_heavy(_path: &Path) -> Result<Vec<Box<dyn Peer>>, Box<dyn Error>> {
    Ok(Vec::new())
}

/// Puts a second of `peer`, for about `turn`.
fn rate(
    peer: &mut dyn Peer,
    size: usize,
    turn: Duration,
    random: &mut fastrand::Rng,
) -> Result<f64, Box<dyn Error>> {
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < turn {
        let pairs = (0..size).map(|_| pair(random.u64(0..KEYS), random));
        peer.put(&pairs.collect::<Vec<_>>())?;
        count += size;
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

fn pair(number: u64, random: &mut fastrand::Rng) -> (Bytes, Bytes) {
    let key = format!("{number:016}");
    let mut value = vec![0; VALUE_BYTES];
    random.fill(&mut value);
    (key.into(), value.into())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
