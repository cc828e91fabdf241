//! The storage unit: order, batches, what is turned away, and what becomes of a store that fails.

mod storage_fake;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use storage_fake::{Deed, Fake, Script, get, put, until};
use trine::concurrency::Bounds;
use trine::storage::{
    Completion, Fault, Health, Outcome, Reply, Request, StorageUnit, Store, Submission, UnitOptions,
};
use trine::time::{Span, Tick};

fn unit(fake: &Fake) -> StorageUnit {
    StorageUnit::start(Box::new(fake.clone()), UnitOptions::default()).unwrap()
}

/// Queues `request`; what comes of it arrives at the receiver.
fn queue(unit: &StorageUnit, request: Request) -> mpsc::Receiver<Outcome> {
    let (sender, receiver) = mpsc::channel();
    match unit.submit(request) {
        Submission::Done(outcome) => sender.send(outcome).unwrap(),
        Submission::Queued(place) => place.complete_with(Box::new(move |outcome| {
            let _ = sender.send(outcome);
        })),
    }
    receiver
}

fn wait(receiver: &mpsc::Receiver<Outcome>) -> Outcome {
    receiver.recv_timeout(Duration::from_secs(10)).unwrap()
}

fn value(outcome: Outcome) -> Option<Vec<u8>> {
    match outcome {
        Ok(Reply::Got(entry)) => entry.map(|entry| entry.value.to_vec()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_comes_while_a_batch_is_done_is_the_next_batch() {
    let fake = Fake::new();
    let (unit, gate) = (unit(&fake), fake.block_writes());
    let first = queue(&unit, put("a", "0"));
    until(|| fake.is_blocked());
    let rest: Vec<_> = (0..10).map(|_| queue(&unit, put("a", "1"))).collect();
    drop(gate);
    assert!(wait(&first).is_ok());
    assert!(rest.iter().all(|one| wait(one).is_ok()));
    assert_eq!(fake.batches(), [1, 10]);
}

#[test]
fn a_read_stands_behind_the_write_of_its_key_and_no_other_waits() {
    let fake = Fake::new();
    let (unit, gate) = (unit(&fake), fake.block_writes());
    let write = queue(&unit, put("a", "new"));
    until(|| fake.is_blocked());
    let behind = queue(&unit, get("a"));
    assert_eq!(value(wait(&queue(&unit, get("b")))), None);
    assert!(behind.recv_timeout(Duration::from_millis(50)).is_err());
    drop(gate);
    assert!(wait(&write).is_ok());
    assert_eq!(value(wait(&behind)), Some(b"new".to_vec()));
}

#[test]
fn a_write_does_not_overtake_a_read_of_its_key() {
    let fake = Fake::new();
    let unit = unit(&fake);
    assert!(unit.run(put("a", "old")).is_ok());
    let gate = fake.block_reads();
    let read = queue(&unit, get("a"));
    until(|| fake.is_blocked());
    let write = queue(&unit, put("a", "new"));
    assert!(write.recv_timeout(Duration::from_millis(50)).is_err());
    drop(gate);
    assert_eq!(value(wait(&read)), Some(b"old".to_vec()));
    assert!(wait(&write).is_ok());
}

#[test]
fn a_full_queue_turns_away_at_once() {
    let rows = [(2, 1 << 20), (100, 8)]; // two items, or eight bytes
    for (items_max, bytes_max) in rows {
        let fake = Fake::new();
        let options = UnitOptions {
            queue: Bounds {
                items_max,
                bytes_max,
            },
            ..UnitOptions::default()
        };
        let unit = StorageUnit::start(Box::new(fake.clone()), options).unwrap();
        let gate = fake.block_writes();
        let first = queue(&unit, put("abc", "d"));
        until(|| fake.is_blocked());
        let queued = [put("abc", "d"), put("abc", "d")].map(|write| queue(&unit, write));
        assert_eq!(wait(&queue(&unit, put("abc", "d"))), Err(Fault::BUSY));
        assert_eq!(unit.metrics().busy, 1);
        drop(gate);
        assert!(wait(&first).is_ok() && queued.iter().all(|one| wait(one).is_ok()));
    }
}

#[test]
fn a_place_that_is_not_used_is_free_again() {
    let fake = Fake::new();
    let options = UnitOptions {
        queue: Bounds {
            items_max: 1,
            bytes_max: 100,
        },
        ..UnitOptions::default()
    };
    let unit = StorageUnit::start(Box::new(fake), options).unwrap();
    let place = unit.submit(put("a", "1"));
    assert_eq!(wait(&queue(&unit, put("a", "2"))), Err(Fault::BUSY));
    drop(place);
    assert!(unit.run(put("a", "2")).is_ok());
}

#[test]
fn what_is_late_when_its_turn_comes_is_not_done() {
    let fake = Fake::new();
    let (unit, gate) = (unit(&fake), fake.block_writes());
    let first = queue(&unit, put("a", "1"));
    until(|| fake.is_blocked());
    let late = Request {
        deadline: Tick::ZERO.after(Span::from_millis(1)),
        ..put("a", "2")
    };
    let late = queue(&unit, late);
    drop(gate);
    assert!(wait(&first).is_ok());
    assert_eq!(wait(&late), Err(Fault::LATE));
    assert_eq!(value(unit.run(get("a"))), Some(b"1".to_vec()));
    assert_eq!(unit.metrics().late, 1);
}

/// Somebody who has left.
struct Left(Arc<AtomicBool>);

impl Completion for Left {
    fn is_cancelled(&self) -> bool {
        true
    }

    fn complete(self: Box<Self>, _: Outcome) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn what_nobody_waits_for_is_not_begun() {
    let fake = Fake::new();
    let unit = unit(&fake);
    let told = Arc::new(AtomicBool::new(false));
    match unit.submit(put("a", "1")) {
        Submission::Queued(place) => place.complete_with(Box::new(Left(Arc::clone(&told)))),
        Submission::Done(outcome) => panic!("{outcome:?}"),
    }
    until(|| unit.metrics().cancelled == 1);
    assert_eq!(value(unit.run(get("a"))), None);
    assert!(!told.load(Ordering::SeqCst) && fake.batches().is_empty());
}

#[test]
fn a_panic_is_unknown_and_the_session_is_reopened() {
    let fake = Fake::new();
    let unit = unit(&fake);
    fake.script([Script::Panic]);
    assert!(matches!(unit.run(put("a", "1")), Err(Fault::Unknown(_))));
    assert!(unit.run(put("a", "2")).is_ok());
    let metrics = unit.metrics();
    assert_eq!((metrics.panics, metrics.reopens), (1, 1));
}

#[test]
fn an_outcome_that_is_missing_is_unknown() {
    let fake = Fake::new();
    let unit = unit(&fake);
    fake.script([Script::Silence]);
    assert!(matches!(unit.run(put("a", "1")), Err(Fault::Unknown(_))));
    assert!(unit.run(put("a", "2")).is_ok());
}

#[test]
fn a_fenced_store_does_nothing_more_and_says_so() {
    let fake = Fake::new();
    let unit = unit(&fake);
    fake.script([Script::Unknown]);
    fake.reopen_with([Err(Fault::Fenced("sync failed"))]);
    assert!(matches!(unit.run(put("a", "1")), Err(Fault::Unknown(_))));
    until(|| unit.health() == Health::Fenced("sync failed"));
    for _ in 0..3 {
        let refused = unit.run(put("a", "1"));
        assert_eq!(refused, Err(Fault::Fenced("sync failed")));
    }
    assert_eq!(unit.metrics().reopens, 1);
    assert_eq!(value(unit.run(get("a"))), None); // reads go on
}

#[test]
fn a_store_that_cannot_be_reopened_yet_is_tried_again() {
    let fake = Fake::new();
    let unit = unit(&fake);
    let not_yet = Err(Fault::Retry {
        after: Span::ZERO,
        why: "no space",
    });
    fake.script([Script::Unknown]);
    fake.reopen_with([not_yet, not_yet]);
    assert!(matches!(unit.run(put("a", "1")), Err(Fault::Unknown(_))));
    until(|| unit.health() == Health::Reopening);
    assert!(matches!(unit.run(put("a", "1")), Err(Fault::Retry { .. })));
    until(|| unit.health() == Health::Ready); // nobody asks meanwhile
    assert!(unit.run(put("a", "1")).is_ok());
    assert_eq!(unit.metrics().reopens, 3);
}

#[test]
fn a_completion_that_panics_harms_nobody() {
    let fake = Fake::new();
    let unit = unit(&fake);
    match unit.submit(put("a", "1")) {
        Submission::Queued(place) => place.complete_with(Box::new(|_| panic!("asked to"))),
        Submission::Done(outcome) => panic!("{outcome:?}"),
    }
    assert!(unit.run(put("a", "2")).is_ok());
}

#[test]
fn while_a_store_is_opened_it_says_how_far_it_is() {
    let (sender, receiver) = mpsc::channel::<()>();
    let fake = Fake::new();
    let open = move || {
        let _ = receiver.recv();
        Ok::<Box<dyn Store>, Fault>(Box::new(fake))
    };
    let unit = StorageUnit::open(UnitOptions::default(), || 40, open).unwrap();
    assert_eq!(unit.health(), Health::Opening { percent: 40 });
    assert!(matches!(unit.run(get("a")), Err(Fault::Retry { .. })));
    drop(sender);
    until(|| unit.health() == Health::Ready);
    assert!(unit.run(put("a", "1")).is_ok());
}

#[test]
fn a_store_that_cannot_be_opened_says_why() {
    let open = || Err::<Box<dyn Store>, _>("no such folder");
    let unit = StorageUnit::open(UnitOptions::default(), || 0, open).unwrap();
    until(|| unit.health() == Health::Closed("no such folder".to_owned()));
    assert!(matches!(unit.run(get("a")), Err(Fault::Fenced(_))));
}

#[test]
fn closing_does_what_is_queued_and_lets_nothing_in() {
    let fake = Fake::new();
    let (unit, gate) = (unit(&fake), fake.block_writes());
    let writes: Vec<_> = (0..20).map(|_| queue(&unit, put("a", "1"))).collect();
    until(|| fake.is_blocked());
    let other = unit.clone();
    drop(gate);
    assert!(unit.close().is_err(), "there is a clone");
    assert!(writes.iter().all(|one| wait(one).is_ok()));
    assert!(matches!(other.run(get("a")), Err(Fault::Fenced(_))));
    assert!(!fake.has_done(Deed::Close));
    assert_eq!(other.close(), Ok(()));
    assert!(fake.has_done(Deed::Close));
}

#[test]
fn a_store_that_never_waits_is_run_by_whoever_asks() {
    let fake = Fake::in_place();
    let unit = unit(&fake);
    assert!(matches!(
        unit.submit(put("a", "1")),
        Submission::Done(Ok(_))
    ));
    assert_eq!(value(unit.run(get("a"))), Some(b"1".to_vec()));
    assert_eq!(unit.metrics().in_place, 2);
    assert!(!fake.has_done(Deed::Open), "it needs no thread");
}

#[test]
fn what_the_store_cannot_do_is_refused_before_it_is_queued() {
    let fake = Fake::new();
    let unit = unit(&fake);
    let long = "k".repeat(Fake::KEY_BYTES_MAX + 1);
    assert!(matches!(unit.run(get(&long)), Err(Fault::Refused(_))));
    assert_eq!(unit.metrics().accepted, 0);
}

#[test]
fn a_writer_is_asked_to_maintain_when_there_is_nothing_else_to_do() {
    let fake = Fake::new();
    let _unit = unit(&fake);
    until(|| fake.has_done(Deed::Maintain));
}

#[test]
fn every_operation_is_counted_once() {
    let fake = Fake::new();
    let unit = unit(&fake);
    for number in 0..100 {
        let request = match number % 2 {
            0 => put("a", "1"),
            _ => get("b"),
        };
        assert!(unit.run(request).is_ok());
    }
    let metrics = unit.metrics();
    assert_eq!((metrics.accepted, metrics.done), (100, 100));
    assert_eq!((metrics.queued, metrics.running), (0, 0));
}
