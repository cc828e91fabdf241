//! A store under test: its sessions, its time, and short words for what is asked of it.

use std::ops::RangeInclusive;

use bytes::Bytes;

use super::{Harness, Time};
use crate::storage::{
    Capabilities, Clock, Condition, Durability, Entry, Fault, Operation, Outcome, Outcomes, Page,
    Reply, Request, Revision, Session, Store, SystemClock,
};
use crate::time::{Span, Tick};

pub(super) fn get(key: &Bytes) -> Operation {
    Operation::Get { key: key.clone() }
}

pub(super) fn put(key: &Bytes, value: impl Into<Bytes>) -> Operation {
    put_if(key, value, Condition::Any)
}

pub(super) fn put_if(key: &Bytes, value: impl Into<Bytes>, condition: Condition) -> Operation {
    Operation::Put {
        key: key.clone(),
        value: value.into(),
        ttl: None,
        condition,
    }
}

/// A put of a value that is there for `millis`.
pub(super) fn put_for(key: &Bytes, value: impl Into<Bytes>, millis: u64) -> Operation {
    Operation::Put {
        key: key.clone(),
        value: value.into(),
        ttl: Some(Span::from_millis(millis)),
        condition: Condition::Any,
    }
}

pub(super) fn delete(key: &Bytes) -> Operation {
    delete_if(key, Condition::Any)
}

pub(super) fn delete_if(key: &Bytes, condition: Condition) -> Operation {
    Operation::Delete {
        key: key.clone(),
        condition,
    }
}

/// A touch after which the value is there for `millis`, or for ever.
pub(super) fn touch(key: &Bytes, millis: Option<u64>) -> Operation {
    Operation::Touch {
        key: key.clone(),
        ttl: millis.map(Span::from_millis),
    }
}

/// A request that any store can fulfil.
pub(super) fn request(operation: Operation) -> Request {
    Request {
        operation,
        durability: Durability::Memory,
        deadline: Tick::NEVER,
    }
}

/// Runs a batch; panics when an operation is left without an outcome.
pub(super) fn outcomes_of(len: usize, run: impl FnOnce(&mut Outcomes<'_>)) -> Vec<Outcome> {
    let mut places = vec![None; len];
    run(&mut Outcomes::new(&mut places));
    let told = places.into_iter().enumerate();
    told.map(|(index, place)| place.unwrap_or_else(|| panic!("operation {index} has no outcome")))
        .collect()
}

/// Runs one operation, which must not fail.
pub(super) fn run_one(session: &mut dyn Session, operation: Operation) -> Reply {
    let batch = [request(operation)];
    let mut outcomes = outcomes_of(1, |outcomes| session.run(&batch, outcomes));
    let outcome = outcomes.pop().expect("one operation has one outcome");
    outcome.unwrap_or_else(|fault| panic!("{:?}: {fault}", batch[0].operation))
}

/// An open store and the sessions that the cases use.
pub(super) struct Subject<'a> {
    harness: &'a mut dyn Harness,
    time: Time,
    /// Before the store, so that they are gone when it is dropped.
    writers: Vec<Option<Box<dyn Session>>>,
    reader: Option<Box<dyn Session>>,
    store: Box<dyn Store>,
    capabilities: Capabilities,
    is_in_place: bool,
}

impl<'a> Subject<'a> {
    /// A new store.
    pub(super) fn open(harness: &'a mut dyn Harness) -> Subject<'a> {
        let store = harness.open();
        Subject::of(harness, store)
    }

    fn of(harness: &'a mut dyn Harness, store: Box<dyn Store>) -> Subject<'a> {
        let capabilities = store.capabilities();
        assert!(capabilities.lanes > 0, "a store has at least one lane");
        Subject {
            time: harness.time(),
            harness,
            writers: (0..capabilities.lanes).map(|_| None).collect(),
            reader: None,
            store,
            capabilities,
            is_in_place: false,
        }
    }

    /// Runs everything in place from now on; whether the store can.
    pub(super) fn run_in_place(&mut self) -> bool {
        self.is_in_place = self.store.in_place().is_some();
        self.is_in_place
    }

    /// Closes the store, or just drops it, and opens it again.
    pub(super) fn reopen(self, is_closed: bool) -> Option<Subject<'a>> {
        drop((self.writers, self.reader));
        if is_closed {
            let closed = self.store.close();
            closed.unwrap_or_else(|fault| panic!("the store does not close: {fault}"));
        } else {
            drop(self.store);
        }
        let store = self.harness.reopen()?;
        Some(Subject::of(self.harness, store))
    }

    pub(super) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(super) fn has_manual_time(&self) -> bool {
        matches!(self.time, Time::Manual(_))
    }

    /// How long after its end a value may be seen.
    pub(super) fn late(&self) -> Span {
        match self.time {
            Time::Manual(_) => Span::ZERO,
            Time::Real { late } => late,
        }
    }

    /// Lets `millis` pass, or a little more.
    pub(super) fn pass(&self, millis: u64) {
        match &self.time {
            Time::Manual(clock) => clock.pass(Span::from_millis(millis)),
            Time::Real { .. } => std::thread::sleep(Span::from_millis(millis).into()),
        }
    }

    pub(super) fn unix_millis(&self) -> u64 {
        match &self.time {
            Time::Manual(clock) => clock.unix_millis(),
            Time::Real { .. } => SystemClock.unix_millis(),
        }
    }

    /// From `start` until now. On the machine's clocks a millisecond more at both ends: two clocks do
    /// not begin their milliseconds together.
    pub(super) fn moment_since(&self, start: u64) -> RangeInclusive<u64> {
        let unsure = u64::from(!self.has_manual_time());
        start - unsure..=self.unix_millis() + unsure
    }

    /// One more session that writes `key`. The store may have none: a lane needs only one.
    pub(super) fn another_writer(&self, key: &[u8]) -> Result<Box<dyn Session>, Fault> {
        self.store.writer(self.lane(key))
    }

    pub(super) fn lane(&self, key: &[u8]) -> u16 {
        let lane = self.store.lane(key);
        assert!(
            lane < self.capabilities.lanes,
            "{key:?} belongs to lane {lane} of {}",
            self.capabilities.lanes
        );
        assert_eq!(lane, self.store.lane(key), "the lane of {key:?} changes");
        lane
    }

    /// `count` keys of one lane, which may be in one batch.
    pub(super) fn keys(&self, count: usize) -> Vec<Bytes> {
        let names = (0..).map(|number| Bytes::from(format!("key-{number}")));
        let lane = self.lane(b"key-0");
        let of_lane = names.filter(|name| self.lane(name) == lane);
        of_lane.take(count).collect()
    }

    pub(super) fn key(&self) -> Bytes {
        Bytes::from_static(b"key-0")
    }

    /// The session that writes `lane`.
    pub(super) fn writer(&mut self, lane: u16) -> &mut dyn Session {
        let place = &mut self.writers[usize::from(lane)];
        let session = match place.take() {
            Some(session) => session,
            None => self
                .store
                .writer(lane)
                .unwrap_or_else(|fault| panic!("there is no writer of lane {lane}: {fault}")),
        };
        &mut **place.insert(session)
    }

    /// The session that reads what begins at `from`: it cannot write, if the store has such.
    pub(super) fn reader(&mut self, from: &[u8]) -> &mut dyn Session {
        if self.capabilities.readers == 0 {
            let lane = self.lane(from);
            return self.writer(lane);
        }
        let session = match self.reader.take() {
            Some(session) => session,
            None => self
                .store
                .reader()
                .unwrap_or_else(|fault| panic!("there is no reader: {fault}")),
        };
        &mut **self.reader.insert(session)
    }

    /// Runs `batch`, whose keys are all of one lane.
    pub(super) fn run_batch(&mut self, batch: &[Request]) -> Vec<Outcome> {
        let Some(first) = batch.first() else {
            return Vec::new();
        };
        let lane = self.lane(first.operation.key());
        outcomes_of(batch.len(), |outcomes| {
            match self.store.in_place().filter(|_| self.is_in_place) {
                Some(store) => store.run(batch, outcomes),
                None => self.writer(lane).run(batch, outcomes),
            }
        })
    }

    /// As [`Subject::run_batch`], with the least durability.
    pub(super) fn run_all(&mut self, operations: Vec<Operation>) -> Vec<Outcome> {
        let batch: Vec<Request> = operations.into_iter().map(request).collect();
        self.run_batch(&batch)
    }

    pub(super) fn run(&mut self, operation: Operation) -> Outcome {
        let mut outcomes = self.run_all(vec![operation]);
        outcomes.pop().expect("one operation has one outcome")
    }

    /// What a read gives that goes to the readers, if there are any.
    pub(super) fn read(&mut self, operation: Operation) -> Reply {
        let key = operation.key().clone();
        if self.is_in_place {
            return self.done(operation);
        }
        run_one(self.reader(&key), operation)
    }

    /// The reply to an operation that must not fail.
    pub(super) fn done(&mut self, operation: Operation) -> Reply {
        let outcome = self.run(operation.clone());
        outcome.unwrap_or_else(|fault| panic!("{operation:?}: {fault}"))
    }

    /// The revision that a write made, which must happen.
    pub(super) fn written(&mut self, operation: Operation) -> Revision {
        match self.done(operation.clone()) {
            Reply::Written(written) => written.revision,
            other => panic!("{operation:?} was answered {other:?}"),
        }
    }

    /// What is there of `key`.
    pub(super) fn got(&mut self, key: &Bytes) -> Option<Entry> {
        let replies = [self.done(get(key)), self.read(get(key))];
        assert_eq!(replies[0], replies[1], "a reader and a writer differ");
        match &replies[0] {
            Reply::Got(entry) => entry.clone(),
            other => panic!("a get was answered {other:?}"),
        }
    }

    pub(super) fn value(&mut self, key: &Bytes) -> Option<Bytes> {
        self.got(key).map(|entry| entry.value)
    }

    /// One page.
    pub(super) fn page(&mut self, scan: Operation) -> Page {
        match self.read(scan) {
            Reply::Page(page) => page,
            other => panic!("a scan was answered {other:?}"),
        }
    }

    /// All entries from `from` to `until`, page by page, in the order they came.
    pub(super) fn scan(&mut self, from: &Bytes, until: Option<&Bytes>, limit: u32) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut next = Some(from.clone());
        let mut pages = 0;
        while let Some(from) = next {
            let page = self.page(Operation::Scan {
                from,
                until: until.cloned(),
                limit,
                keys_only: false,
            });
            assert!(
                page.entries.len() <= limit as usize,
                "{} entries in a page of {limit}",
                page.entries.len()
            );
            entries.extend(page.entries);
            next = page.next;
            pages += 1;
            assert!(pages < 100_000, "the pages do not end");
        }
        entries
    }
}
