//! A conversation without a socket, and a store that a test can stop.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use trine::buffer::Buffer;
use trine::connection::Wake;
use trine::reactor::Peer;
use trine::resp::{Backend, Conversation, RespOptions, RespTurn, Want};
use trine::storage::{
    Atomic, Capabilities, Clock, Durability, Entry, Fault, InPlace, Operation, Outcome, Outcomes,
    Page, Reply, Request, Session, StorageUnit, Store, UnitOptions, Written,
};
use trine::time::{Span, Tick};

/// Waits until it is so.
#[track_caller]
pub fn until(mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < end, "it never came to pass");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A clock that a test sets, in milliseconds since 1970.
#[derive(Clone, Debug)]
pub struct Hand(pub Arc<AtomicU64>);

impl Hand {
    pub fn new() -> Hand {
        Hand(Arc::new(AtomicU64::new(1_000_000_000_000)))
    }

    pub fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Tick {
        Tick::ZERO
    }

    fn unix_millis(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[derive(Default)]
struct Inside {
    /// Value, revision, when it goes.
    values: BTreeMap<Vec<u8>, (Vec<u8>, u64, Option<u64>)>,
    revision: u64,
    /// Operations in the order in which they were done.
    log: Vec<String>,
    /// Lanes that do nothing now.
    stopped: Vec<u16>,
    faults: Vec<Fault>,
    /// Sessions that wait for a lane to go on.
    waiting: usize,
    /// Writes that somebody else does first.
    interference: usize,
}

/// Keys in order; in place, or with a thread for each lane: the lane of a key is its first byte minus
/// `a`. Clones are the same.
#[derive(Clone)]
pub struct Shelf {
    inside: Arc<(Mutex<Inside>, Condvar)>,
    clock: Hand,
    lanes: Option<u16>,
}

/// What reads are stopped by.
pub const READERS: u16 = u16::MAX;

impl Shelf {
    pub fn in_place() -> Shelf {
        Shelf {
            inside: Arc::default(),
            clock: Hand::new(),
            lanes: None,
        }
    }

    pub fn with_lanes(lanes: u16) -> Shelf {
        Shelf {
            lanes: Some(lanes),
            ..Shelf::in_place()
        }
    }

    pub fn unit(&self) -> StorageUnit {
        let options = UnitOptions {
            clock: Arc::new(self.clock.clone()),
            ..UnitOptions::default()
        };
        StorageUnit::start(Box::new(self.clone()), options).unwrap()
    }

    pub fn clock(&self) -> &Hand {
        &self.clock
    }

    pub fn stop(&self, lane: u16) {
        self.lock().stopped.push(lane);
    }

    pub fn go_on(&self, lane: u16) {
        self.lock().stopped.retain(|stopped| *stopped != lane);
        self.inside.1.notify_all();
    }

    /// Whether somebody waits for a lane to go on.
    pub fn is_waited_for(&self) -> bool {
        self.lock().waiting > 0
    }

    /// The next operation fails.
    pub fn fail(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    /// Somebody else writes first, so often.
    pub fn interfere(&self, times: usize) {
        self.lock().interference = times;
    }

    pub fn log(&self) -> Vec<String> {
        self.lock().log.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.0.lock().unwrap()
    }

    fn run_all(&self, batch: &[Request], outcomes: &mut Outcomes<'_>, lane: Option<u16>) {
        let mut inside = self.lock();
        inside.waiting += 1;
        while lane.is_some_and(|lane| inside.stopped.contains(&lane)) {
            inside = self.inside.1.wait(inside).unwrap();
        }
        inside.waiting -= 1;
        for (index, request) in batch.iter().enumerate() {
            let outcome = match inside.faults.pop() {
                Some(fault) => Err(fault),
                None => inside.apply(&request.operation, self.clock.unix_millis()),
            };
            outcomes.set(index, outcome);
        }
    }
}

impl Inside {
    fn apply(&mut self, operation: &Operation, now: u64) -> Outcome {
        self.values
            .retain(|_, (_, _, expires)| expires.is_none_or(|expires| expires > now));
        let name = match operation {
            Operation::Get { .. } => "get",
            Operation::Put { .. } => "put",
            Operation::Delete { .. } => "delete",
            Operation::Touch { .. } => "touch",
            Operation::Scan { .. } => "scan",
        };
        let key = operation.key();
        self.log.push(format!("{name} {}", key.escape_ascii()));
        if self.interference > 0 && operation.is_write() {
            self.interference -= 1;
            self.revision += 1;
            let revision = self.revision;
            let value = self.values.entry(key.to_vec());
            value.or_insert((b"0".to_vec(), 0, None)).1 = revision;
        }
        let present = self.values.get(&key[..]);
        let revision = present.and_then(|(_, revision, _)| NonZeroU64::new(*revision));
        self.revision += 1;
        let written = Written {
            revision: NonZeroU64::new(self.revision).unwrap(),
            replaced: revision.is_some(),
        };
        let expires = |ttl: &Option<Span>| ttl.map(|ttl| now + ttl.as_millis());
        Ok(match operation {
            Operation::Get { key } => Reply::Got(present.map(|found| entry(key, found))),
            Operation::Put { condition, .. } | Operation::Delete { condition, .. }
                if !condition.holds(revision) =>
            {
                Reply::Conflict(revision)
            }
            Operation::Put { value, ttl, .. } => {
                let value = (value.to_vec(), self.revision, expires(ttl));
                self.values.insert(key.to_vec(), value);
                Reply::Written(written)
            }
            Operation::Delete { .. } => Reply::Deleted(self.values.remove(&key[..]).is_some()),
            Operation::Touch { ttl, .. } => match self.values.get_mut(&key[..]) {
                Some(found) => {
                    (found.1, found.2) = (self.revision, expires(ttl));
                    Reply::Written(written)
                }
                None => Reply::Conflict(None),
            },
            Operation::Scan {
                from, until, limit, ..
            } => {
                let from = from.to_vec();
                let until = until.as_ref().map(|until| until.to_vec());
                let meant = self.values.range(from..);
                let mut meant =
                    meant.take_while(|(key, _)| until.as_ref().is_none_or(|u| *key < u));
                let entries = meant.by_ref().take(*limit as usize);
                let entries = entries.map(|(key, found)| entry(key, found)).collect();
                let next = meant.next().map(|(key, _)| key.clone().into());
                Reply::Page(Page { entries, next })
            }
        })
    }
}

fn entry(key: &[u8], (value, revision, expires): &(Vec<u8>, u64, Option<u64>)) -> Entry {
    Entry {
        key: key.to_vec().into(),
        value: value.clone().into(),
        revision: NonZeroU64::new(*revision).unwrap(),
        expires: *expires,
    }
}

struct ShelfSession {
    shelf: Shelf,
    lane: u16,
}

impl Session for ShelfSession {
    fn run(&mut self, batch: &[Request], outcomes: &mut Outcomes<'_>) {
        self.shelf.run_all(batch, outcomes, Some(self.lane));
    }

    fn reopen(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

impl InPlace for Shelf {
    fn run(&self, batch: &[Request], outcomes: &mut Outcomes<'_>) {
        self.run_all(batch, outcomes, None);
    }
}

impl Store for Shelf {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "shelf",
            durability_max: Durability::Memory,
            is_ordered: true,
            atomic: Atomic::Operation,
            lanes: self.lanes.unwrap_or(1),
            readers: 1,
            key_bytes_max: 1_000,
            value_bytes_max: 16 << 20,
        }
    }

    fn lane(&self, key: &[u8]) -> u16 {
        let first = key.first().copied().unwrap_or(b'a');
        u16::from(first.wrapping_sub(b'a')) % self.lanes.unwrap_or(1)
    }

    fn writer(&self, lane: u16) -> Result<Box<dyn Session>, Fault> {
        let shelf = self.clone();
        Ok(Box::new(ShelfSession { shelf, lane }))
    }

    fn reader(&self) -> Result<Box<dyn Session>, Fault> {
        let shelf = self.clone();
        let lane = READERS;
        Ok(Box::new(ShelfSession { shelf, lane }))
    }

    fn in_place(&self) -> Option<&dyn InPlace> {
        self.lanes.is_none().then_some(self as &dyn InPlace)
    }

    fn close(self: Box<Self>) -> Result<(), Fault> {
        Ok(())
    }
}

/// A conversation, its client and the loop that would move it.
pub struct Talk {
    pub conversation: Conversation,
    pub backend: Backend,
    pub output: Buffer,
    /// Sent, and not consumed.
    pub input: Vec<u8>,
    pub want: Want,
    wakes: Arc<AtomicUsize>,
    seen: usize,
}

impl Talk {
    pub fn new(shelf: &Shelf) -> Talk {
        Talk::with(shelf, RespOptions::default())
    }

    pub fn with(shelf: &Shelf, options: RespOptions) -> Talk {
        let clock = Arc::new(shelf.clock().clone());
        Talk {
            conversation: Conversation::new(7),
            backend: Backend::new(shelf.unit(), RespOptions { clock, ..options }),
            output: Buffer::default(),
            input: Vec::new(),
            want: Want::Bytes,
            wakes: Arc::default(),
            seen: 0,
        }
    }

    /// Bytes come. What is answered at once stays in the output.
    pub fn hear(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.turn();
    }

    /// It is called without news of its client.
    pub fn turn(&mut self) {
        let wakes = Arc::clone(&self.wakes);
        let advance = self.conversation.handle(
            &self.input,
            &mut RespTurn {
                output: &mut self.output,
                backend: &mut self.backend,
                now: Tick::ZERO,
                peer: &Peer::Local,
                wake: &|| {
                    let wakes = Arc::clone(&wakes);
                    let count = move || {
                        wakes.fetch_add(1, Ordering::SeqCst);
                    };
                    Box::new(count) as Box<dyn Wake>
                },
            },
        );
        self.input.drain(..advance.consumed);
        self.want = advance.want;
    }

    /// What there is for the client.
    pub fn take(&mut self) -> String {
        let text = self.output.data().escape_ascii().to_string();
        self.output.clear();
        text.replace("\\r\\n", "|").replace("\\'", "'")
    }

    /// The replies to `bytes` of a store that does everything in place, with `|` for each line end.
    pub fn say(&mut self, bytes: &[u8]) -> String {
        self.hear(bytes);
        self.take()
    }

    /// The reply to a command of one line.
    pub fn ask(&mut self, line: &str) -> String {
        self.say(format!("{line}\r\n").as_bytes())
    }

    /// Has a turn whenever it is woken, until it is so.
    #[track_caller]
    pub fn until(&mut self, mut is_so: impl FnMut(&Talk) -> bool) {
        let end = Instant::now() + Duration::from_secs(10);
        while !is_so(self) {
            assert!(Instant::now() < end, "{:?} {:?}", self.want, self.output);
            let wakes = self.wakes.load(Ordering::SeqCst);
            if wakes != self.seen {
                self.seen = wakes;
                self.turn();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The replies when nothing is owed any more.
    #[track_caller]
    pub fn finish(&mut self) -> String {
        self.until(|talk| !talk.conversation.is_owing() && talk.want != Want::Room);
        self.take()
    }
}

/// A command as clients send it.
pub fn array<const N: usize>(arguments: [&str; N]) -> Vec<u8> {
    let mut bytes = format!("*{N}\r\n");
    for argument in arguments {
        bytes += &format!("${}\r\n{argument}\r\n", argument.len());
    }
    bytes.into_bytes()
}
