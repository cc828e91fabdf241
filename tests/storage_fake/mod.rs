//! A store that does as a test says: blocks, fails, panics, keeps silent.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU64;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use trine::storage::{
    Atomic, Capabilities, Condition, Durability, Entry, Fault, InPlace, Operation, Outcome,
    Outcomes, Reply, Request, Session, Store, Written,
};
use trine::time::Span;

pub fn put(key: &str, value: &str) -> Request {
    Request::new(Operation::Put {
        key: key.to_owned().into(),
        value: value.to_owned().into(),
        ttl: None,
        condition: Condition::Any,
    })
}

pub fn get(key: &str) -> Request {
    Request::new(Operation::Get {
        key: key.to_owned().into(),
    })
}

/// Waits until it is so.
pub fn until(mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < end, "it never came to pass");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What the next batch of writes is met with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Script {
    Panic,
    Silence,
    Unknown,
    Fenced,
}

/// What comes of the next time it is asked to maintain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Upkeep {
    /// There is more to do.
    More,
    Fails,
    Panics,
}

/// What was asked of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Deed {
    Open,
    Maintain,
    Close,
}

#[derive(Default)]
struct Inside {
    values: BTreeMap<Vec<u8>, (Vec<u8>, u64)>,
    revision: u64,
    batches: Vec<usize>,
    script: VecDeque<Script>,
    reopening: VecDeque<Result<(), Fault>>,
    deeds: BTreeMap<Deed, usize>,
    upkeep: VecDeque<Upkeep>,
    without_readers: bool,
    blocked: Option<Kind>,
    waiting: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Reads,
    Writes,
}

/// Clones are the same.
#[derive(Clone)]
pub struct Fake {
    inside: Arc<(Mutex<Inside>, Condvar)>,
    is_in_place: bool,
}

/// While it lives, sessions wait.
pub struct Gate(Fake);

impl Drop for Gate {
    fn drop(&mut self) {
        self.0.lock().blocked = None;
        self.0.inside.1.notify_all();
    }
}

impl Fake {
    pub const KEY_BYTES_MAX: usize = 100;

    pub fn new() -> Fake {
        Fake {
            inside: Arc::default(),
            is_in_place: false,
        }
    }

    pub fn in_place() -> Fake {
        Fake {
            is_in_place: true,
            ..Fake::new()
        }
    }

    pub fn block_writes(&self) -> Gate {
        self.lock().blocked = Some(Kind::Writes);
        Gate(self.clone())
    }

    pub fn block_reads(&self) -> Gate {
        self.lock().blocked = Some(Kind::Reads);
        Gate(self.clone())
    }

    /// Whether a session waits.
    pub fn is_blocked(&self) -> bool {
        self.lock().waiting > 0
    }

    pub fn script<const N: usize>(&self, script: [Script; N]) {
        self.lock().script.extend(script);
    }

    pub fn reopen_with<const N: usize>(&self, results: [Result<(), Fault>; N]) {
        self.lock().reopening.extend(results);
    }

    /// How many operations each batch of the writer had.
    pub fn batches(&self) -> Vec<usize> {
        self.lock().batches.clone()
    }

    pub fn has_done(&self, deed: Deed) -> bool {
        self.times(deed) > 0
    }

    /// How often it was asked.
    pub fn times(&self, deed: Deed) -> usize {
        self.lock().deeds.get(&deed).copied().unwrap_or(0)
    }

    pub fn maintain_with<const N: usize>(&self, upkeep: [Upkeep; N]) {
        self.lock().upkeep.extend(upkeep);
    }

    /// No session for reading is to be had.
    pub fn refuse_readers(&self) {
        self.lock().without_readers = true;
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_at_the_gate(&self, kind: Kind) {
        let mut inside = self.lock();
        inside.waiting += 1;
        while inside.blocked == Some(kind) {
            inside = self.inside.1.wait(inside).unwrap();
        }
        inside.waiting -= 1;
    }
}

impl Inside {
    fn note(&mut self, deed: Deed) {
        *self.deeds.entry(deed).or_default() += 1;
    }

    fn apply(&mut self, operation: &Operation) -> Outcome {
        Ok(match operation {
            Operation::Get { key } => {
                let found = self.values.get(&key[..]);
                Reply::Got(found.map(|(value, revision)| Entry {
                    key: key.clone(),
                    value: value.clone().into(),
                    revision: NonZeroU64::new(*revision).unwrap(),
                    expires: None,
                }))
            }
            Operation::Put {
                key,
                value,
                condition,
                ..
            } => {
                let present = self.values.get(&key[..]).map(|(_, revision)| *revision);
                let present = present.and_then(NonZeroU64::new);
                if !condition.holds(present) {
                    return Ok(Reply::Conflict(present));
                }
                self.revision += 1;
                let written = (value.to_vec(), self.revision);
                self.values.insert(key.to_vec(), written);
                Reply::Written(Written {
                    revision: NonZeroU64::new(self.revision).unwrap(),
                    replaced: present.is_some(),
                })
            }
            Operation::Delete { key, .. } => Reply::Deleted(self.values.remove(&key[..]).is_some()),
            other => panic!("the fake does not know {other:?}"),
        })
    }
}

struct FakeSession {
    fake: Fake,
    kind: Kind,
}

impl Session for FakeSession {
    fn run(&mut self, batch: &[Request], outcomes: &mut Outcomes<'_>) {
        self.fake.wait_at_the_gate(self.kind);
        let mut inside = self.fake.lock();
        if self.kind == Kind::Writes {
            inside.batches.push(batch.len());
            match inside.script.pop_front() {
                Some(Script::Panic) => {
                    drop(inside);
                    panic!("asked to");
                }
                Some(Script::Silence) => return,
                Some(Script::Fenced) => return outcomes.fail_rest(Fault::Fenced("asked to")),
                Some(Script::Unknown) => return outcomes.fail_rest(Fault::Unknown("asked to")),
                None => {}
            }
        }
        for (index, request) in batch.iter().enumerate() {
            outcomes.set(index, inside.apply(&request.operation));
        }
    }

    fn reopen(&mut self) -> Result<(), Fault> {
        self.fake.lock().reopening.pop_front().unwrap_or(Ok(()))
    }

    fn maintain(&mut self, _: Span) -> Result<bool, Fault> {
        let mut inside = self.fake.lock();
        inside.note(Deed::Maintain);
        match inside.upkeep.pop_front() {
            None => Ok(false),
            Some(Upkeep::More) => Ok(true),
            Some(Upkeep::Fails) => Err(Fault::Unknown("asked to")),
            Some(Upkeep::Panics) => {
                drop(inside);
                panic!("asked to");
            }
        }
    }
}

impl InPlace for Fake {
    fn run(&self, batch: &[Request], outcomes: &mut Outcomes<'_>) {
        for (index, request) in batch.iter().enumerate() {
            outcomes.set(index, self.lock().apply(&request.operation));
        }
    }
}

impl Store for Fake {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "fake",
            durability_max: Durability::Synced,
            is_ordered: true,
            atomic: Atomic::Batch,
            lanes: 1,
            readers: 1,
            key_bytes_max: Fake::KEY_BYTES_MAX as u32,
            value_bytes_max: 1000,
        }
    }

    fn writer(&self, _: u16) -> Result<Box<dyn Session>, Fault> {
        self.lock().note(Deed::Open);
        Ok(Box::new(FakeSession {
            fake: self.clone(),
            kind: Kind::Writes,
        }))
    }

    fn reader(&self) -> Result<Box<dyn Session>, Fault> {
        if self.lock().without_readers {
            return Err(Fault::Retry {
                after: Span::ZERO,
                why: "no reader",
            });
        }
        Ok(Box::new(FakeSession {
            fake: self.clone(),
            kind: Kind::Reads,
        }))
    }

    fn in_place(&self) -> Option<&dyn InPlace> {
        self.is_in_place.then_some(self as &dyn InPlace)
    }

    fn close(self: Box<Self>) -> Result<(), Fault> {
        self.lock().note(Deed::Close);
        Ok(())
    }
}
