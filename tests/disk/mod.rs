//! What the tests of stores in files share: a folder that goes away, operations in short, and disks that
//! fail.

#![allow(dead_code, reason = "each test file uses a part of it")]

#[cfg(all(feature = "durable", feature = "testing"))]
pub mod failing;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use bytes::Bytes;
use trine::storage::{
    Clock, Condition, Entry, Fault, OpenError, Operation, Outcome, Outcomes, Reply, Request,
    Revision, Session, Store,
};
use trine::time::{Span, Tick};

/// What a store holds, as a test believes.
pub type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// A folder of its own, removed at the end.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("trine-storage-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn store(&self) -> PathBuf {
        self.0.join("store")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Which store in files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    #[cfg(feature = "durable")]
    Durable,
    #[cfg(feature = "fjall")]
    Fjall,
}

impl Kind {
    /// Those that this build has.
    pub const ALL: &[Kind] = &[
        #[cfg(feature = "durable")]
        Kind::Durable,
        #[cfg(feature = "fjall")]
        Kind::Fjall,
    ];

    pub fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "durable")]
            Kind::Durable => "durable",
            #[cfg(feature = "fjall")]
            Kind::Fjall => "fjall",
        }
    }

    pub fn from_name(name: &str) -> Kind {
        let mut all = Kind::ALL.iter();
        *all.find(|kind| kind.name() == name).unwrap()
    }

    pub fn open(self, path: &Path) -> Result<Box<dyn Store>, OpenError> {
        match self {
            #[cfg(feature = "durable")]
            Kind::Durable => {
                use trine::storage::durable::{Durable, Options};
                Ok(Box::new(Durable::open(path, Options::default())?))
            }
            #[cfg(feature = "fjall")]
            Kind::Fjall => {
                use trine::storage::fjall::{Fjall, Options};
                Ok(Box::new(Fjall::open(path, Options::default())?))
            }
        }
    }
}

/// A clock that tests move.
#[derive(Debug)]
pub struct HandClock(AtomicU64);

impl HandClock {
    pub fn at(millis: u64) -> HandClock {
        HandClock(AtomicU64::new(millis))
    }

    pub fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Tick {
        Tick(self.0.load(Ordering::SeqCst))
    }

    fn unix_millis(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// How often something is done: by the environment, or `default`.
pub fn rounds(variable: &str, default: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(default, |given| given.parse().unwrap())
}

pub fn put(key: &[u8], value: &[u8]) -> Operation {
    put_if(key, value, Condition::Any)
}

pub fn put_if(key: &[u8], value: &[u8], condition: Condition) -> Operation {
    Operation::Put {
        key: Bytes::copy_from_slice(key),
        value: Bytes::copy_from_slice(value),
        ttl: None,
        condition,
    }
}

pub fn put_for(key: &[u8], value: &[u8], millis: u64) -> Operation {
    Operation::Put {
        key: Bytes::copy_from_slice(key),
        value: Bytes::copy_from_slice(value),
        ttl: Some(Span::from_millis(millis)),
        condition: Condition::Any,
    }
}

pub fn get(key: &[u8]) -> Operation {
    Operation::Get {
        key: Bytes::copy_from_slice(key),
    }
}

pub fn delete(key: &[u8]) -> Operation {
    Operation::Delete {
        key: Bytes::copy_from_slice(key),
        condition: Condition::Any,
    }
}

pub fn touch(key: &[u8], millis: Option<u64>) -> Operation {
    Operation::Touch {
        key: Bytes::copy_from_slice(key),
        ttl: millis.map(Span::from_millis),
    }
}

pub fn scan(from: &[u8], limit: u32) -> Operation {
    Operation::Scan {
        from: Bytes::copy_from_slice(from),
        until: None,
        limit,
        keys_only: false,
    }
}

/// Runs `operations` as one batch.
pub fn run(session: &mut dyn Session, operations: Vec<Operation>) -> Vec<Outcome> {
    let batch: Vec<_> = operations.into_iter().map(Request::new).collect();
    let mut places = vec![None; batch.len()];
    session.run(&batch, &mut Outcomes::new(&mut places));
    let outcomes = places.into_iter();
    outcomes.map(|place| place.expect("an outcome")).collect()
}

/// Runs one operation.
pub fn one(session: &mut dyn Session, operation: Operation) -> Outcome {
    run(session, vec![operation]).remove(0)
}

pub fn value(session: &mut dyn Session, key: &[u8]) -> Option<Vec<u8>> {
    match one(session, get(key)) {
        Ok(Reply::Got(entry)) => entry.map(|entry| entry.value.to_vec()),
        outcome => panic!("{outcome:?}"),
    }
}

pub fn revision(outcome: &Outcome) -> Revision {
    match outcome {
        Ok(Reply::Written(written)) => written.revision,
        outcome => panic!("{outcome:?}"),
    }
}

/// All entries, page by page.
///
/// # Errors
///
/// That of the first page that fails.
pub fn entries(session: &mut dyn Session) -> Result<Vec<Entry>, Fault> {
    let mut found = Vec::new();
    let mut from = Some(Bytes::new());
    while let Some(begin) = from {
        match one(session, scan(&begin, 1_000))? {
            Reply::Page(page) => {
                found.extend(page.entries);
                from = page.next;
            }
            reply => panic!("{reply:?}"),
        }
    }
    Ok(found)
}

/// All that is there.
pub fn contents(session: &mut dyn Session) -> Model {
    let entries = entries(session).unwrap();
    let pairs = entries.into_iter();
    pairs
        .map(|entry| (entry.key.to_vec(), entry.value.to_vec()))
        .collect()
}

/// `model` in a line: the keys, and how the values begin.
pub fn brief(model: &Model) -> String {
    let pair = |(key, value): (&Vec<u8>, &Vec<u8>)| {
        let begin = String::from_utf8_lossy(&value[..value.len().min(3)]).into_owned();
        format!("{}={begin:?}+{}", String::from_utf8_lossy(key), value.len())
    };
    model.iter().map(pair).collect::<Vec<_>>().join(" ")
}

/// What `operations` make of `model`.
pub fn apply(model: &mut Model, operations: &[Operation]) {
    for operation in operations {
        match operation {
            Operation::Put { key, value, .. } => {
                model.insert(key.to_vec(), value.to_vec());
            }
            Operation::Delete { key, .. } => {
                model.remove(&key[..]);
            }
            operation => panic!("{operation:?} is not for the model"),
        }
    }
}

/// A batch of puts and deletes on few keys; values are of any length up to `bytes_max`.
pub fn random_batch(random: &mut fastrand::Rng, number: u64, bytes_max: usize) -> Vec<Operation> {
    let mut batch = Vec::new();
    for _ in 0..random.usize(1..12) {
        let key = format!("key {:02}", random.u32(0..40));
        if random.u32(0..5) == 0 {
            batch.push(delete(key.as_bytes()));
        } else {
            let mut value = format!("{number} ").into_bytes();
            value.resize(random.usize(8..bytes_max), random.u8(..));
            batch.push(put(key.as_bytes(), &value));
        }
    }
    batch
}
