//! Several threads at once, each with a session of its own where the store has that many.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bytes::Bytes;

use super::linearizable::{Event, is_linearizable};
use super::random::Random;
use super::subject::{
    Subject, delete, delete_if, get, outcomes_of, put, put_if, request, run_one, touch,
};
use super::{Harness, Verdict};
use crate::storage::{Condition, Entry, Operation, Reply, Session, Store};

const THREADS: usize = 4;

/// What the threads run their operations with.
enum Hands<'a> {
    /// The sessions of one lane, at least one.
    Sessions(Vec<Mutex<Box<dyn Session>>>),
    InPlace(&'a dyn Store),
}

impl Hands<'_> {
    /// As many sessions for the lane of `key` as there are threads, or as there may be.
    fn of_sessions(subject: &Subject<'_>, key: &[u8]) -> Hands<'static> {
        let mut sessions = Vec::new();
        for _ in 0..THREADS {
            match subject.another_writer(key) {
                Ok(session) => sessions.push(Mutex::new(session)),
                Err(_) if !sessions.is_empty() => break,
                Err(fault) => panic!("there is no writer: {fault}"),
            }
        }
        Hands::Sessions(sessions)
    }

    fn run(&self, thread: usize, operation: Operation) -> Reply {
        match self {
            Hands::Sessions(sessions) => {
                let session = &sessions[thread % sessions.len()];
                let mut session = session.lock().expect("no other thread has failed");
                run_one(&mut **session, operation)
            }
            Hands::InPlace(store) => {
                let store = store.in_place().expect("it ran in place before");
                let batch = [request(operation)];
                let mut outcomes = outcomes_of(1, |outcomes| store.run(&batch, outcomes));
                let outcome = outcomes.pop().expect("one operation has one outcome");
                outcome.unwrap_or_else(|fault| panic!("{:?}: {fault}", batch[0].operation))
            }
        }
    }

    fn got(&self, thread: usize, key: &Bytes) -> Option<Entry> {
        match self.run(thread, get(key)) {
            Reply::Got(entry) => entry,
            other => panic!("a get was answered {other:?}"),
        }
    }
}

/// Runs `work` on each of the threads at the same time, and gives what they return.
fn on_threads<T: Send>(work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || work(thread)))
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

pub(super) fn what_one_session_wrote_every_other_sees(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    let key = subject.key();
    let Hands::Sessions(sessions) = Hands::of_sessions(&subject, &key) else {
        return Verdict::Skipped("the store has no sessions");
    };
    for round in 0..3 * sessions.len() {
        let mut writer = sessions[round % sessions.len()]
            .lock()
            .expect("nobody else has it");
        let operation = match round % 4 {
            0 | 1 => put(&key, format!("{round}")),
            2 => touch(&key, Some(3_600_000)),
            _ => delete(&key),
        };
        run_one(&mut **writer, operation);
        let seen = run_one(&mut **writer, get(&key));
        drop(writer);
        for other in &sessions {
            let mut other = other.lock().expect("nobody else has it");
            assert_eq!(run_one(&mut **other, get(&key)), seen, "round {round}");
        }
        assert_eq!(subject.read(get(&key)), seen, "a reader, round {round}");
    }
    Verdict::Held
}

pub(super) fn no_increment_by_compare_and_set_is_lost(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    let key = subject.key();
    let hands = Hands::of_sessions(&subject, &key);
    increment(&hands, &key);
    drop(hands);
    assert_eq!(subject.value(&key), Some(format!("{TOTAL}").into()));
    Verdict::Held
}

pub(super) fn no_increment_in_place_is_lost(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    if !subject.run_in_place() {
        return Verdict::Skipped("the store does not run in place");
    }
    let key = subject.key();
    increment(&Hands::InPlace(subject.store()), &key);
    assert_eq!(subject.value(&key), Some(format!("{TOTAL}").into()));
    Verdict::Held
}

/// Increments of each thread.
const EACH: usize = 40;
const TOTAL: usize = EACH * THREADS;

/// Counts up to [`TOTAL`], on all threads.
fn increment(hands: &Hands<'_>, key: &Bytes) {
    let reached = on_threads(|thread| {
        let mut reached = Vec::new();
        while reached.len() < EACH {
            let entry = hands.got(thread, key);
            let (count, condition) = match &entry {
                None => (0, Condition::Absent),
                Some(entry) => {
                    let text = std::str::from_utf8(&entry.value).expect("decimal digits");
                    let count: u64 = text.parse().expect("a number was written");
                    (count, Condition::Revision(entry.revision))
                }
            };
            let swap = put_if(key, format!("{}", count + 1), condition);
            match hands.run(thread, swap) {
                Reply::Written(_) => reached.push(count + 1),
                Reply::Conflict(told) => assert_ne!(
                    told,
                    entry.map(|entry| entry.revision),
                    "a conflict with the revision that was expected"
                ),
                other => panic!("a put was answered {other:?}"),
            }
        }
        reached
    });
    let all: Vec<u64> = reached.into_iter().flatten().collect();
    let different: HashSet<u64> = all.iter().copied().collect();
    assert_eq!(different.len(), TOTAL, "two threads made the same step");
}

pub(super) fn only_one_of_many_creates_a_key(harness: &mut dyn Harness) -> Verdict {
    let subject = Subject::open(harness);
    let keys = subject.keys(30);
    let hands = Hands::of_sessions(&subject, &keys[0]);
    let created = on_threads(|thread| {
        let creates = |key: &&Bytes| {
            let create = put_if(key, format!("{thread}"), Condition::Absent);
            matches!(hands.run(thread, create), Reply::Written(_))
        };
        keys.iter().filter(creates).count()
    });
    assert_eq!(created.iter().sum::<usize>(), keys.len(), "{created:?}");
    Verdict::Held
}

pub(super) fn what_threads_see_of_a_key_is_explained_by_some_order(
    harness: &mut dyn Harness,
) -> Verdict {
    let subject = Subject::open(harness);
    let keys = subject.keys(40);
    let hands = Hands::of_sessions(&subject, &keys[0]);
    let clock = AtomicU64::new(1);
    for (round, key) in keys.iter().enumerate() {
        let histories = on_threads(|thread| {
            let mut random = Random::new((round * THREADS + thread) as u64);
            let mut last = None;
            let mut events = Vec::new();
            for step in 0..8 {
                let value = format!("{thread}.{step}");
                let known = last.map_or(Condition::Absent, Condition::Revision);
                let operation = match random.below(8) {
                    0..=2 => get(key),
                    3 => put(key, value),
                    4 | 5 => put_if(key, value, known),
                    6 => delete(key),
                    _ => delete_if(key, known),
                };
                let called = clock.fetch_add(1, Ordering::SeqCst);
                let reply = hands.run(thread, operation.clone());
                let returned = clock.fetch_add(1, Ordering::SeqCst);
                last = match &reply {
                    Reply::Got(entry) => entry.as_ref().map(|entry| entry.revision),
                    Reply::Written(written) => Some(written.revision),
                    Reply::Conflict(told) => *told,
                    _ => None,
                };
                events.push(Event {
                    called,
                    returned,
                    operation,
                    reply,
                });
            }
            events
        });
        let mut history: Vec<Event> = histories.into_iter().flatten().collect();
        history.sort_by_key(|event| event.called);
        assert!(
            is_linearizable(&history),
            "no order explains round {round}: {history:#?}"
        );
    }
    Verdict::Held
}
