//! The durable store on a disk that loses power, or that fails at each of its I/Os in turn.
//!
//! What was acknowledged is there; a batch is there as a whole or not at all; what was never submitted
//! is not there. The disk is in memory, so a round takes milliseconds.

#![cfg(all(feature = "durable", feature = "testing"))]

mod disk;

use std::thread;

use disk::failing::{Disk, Failure};
use disk::{
    Model, apply, brief, contents, delete, get, one, put, put_if, random_batch, rounds, run, scan,
};
use trine::storage::durable::{Durable, Options, Recovery};
use trine::storage::{Condition, Fault, OpenError, Operation, Outcome, Session, Store};
use trine::time::Span;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

fn options(recovery: Recovery) -> Options {
    Options {
        cache_bytes: 16 * 1024, // so that most pages are written and read in the middle of things
        recovery,
        ..Options::default()
    }
}

fn open(disk: &Disk, recovery: Recovery) -> Result<Durable, OpenError> {
    let disk = disk.clone();
    Durable::open_on(move || Ok(disk.clone()), options(recovery))
}

/// What may be in the store: what is acknowledged, and perhaps one batch more.
#[derive(Clone, Default)]
struct Expected {
    acknowledged: Model,
    unknown: Option<Model>,
}

impl Expected {
    /// Learns from the outcomes of `batch`, which must be of one kind for all of it.
    fn learn(&mut self, batch: &[Operation], outcomes: &[Outcome]) {
        let mut after = self.acknowledged.clone();
        apply(&mut after, batch);
        if outcomes.iter().all(Result::is_ok) {
            self.acknowledged = after;
            self.unknown = None;
        } else if outcomes
            .iter()
            .all(|outcome| matches!(outcome, Err(Fault::Unknown(_))))
        {
            assert!(self.unknown.is_none(), "work after an unknown outcome");
            self.unknown = Some(after);
        } else {
            let fenced = |outcome: &Outcome| matches!(outcome, Err(Fault::Fenced(_)));
            assert!(outcomes.iter().all(fenced), "{outcomes:?}");
        }
    }

    /// Checks what is there, and takes it for acknowledged.
    fn settle(&mut self, found: Model, context: &str) {
        let is_expected = found == self.acknowledged || Some(&found) == self.unknown.as_ref();
        assert!(
            is_expected,
            "{context}:\n{}\nis not\n{}\nnor {:?}",
            brief(&found),
            brief(&self.acknowledged),
            self.unknown.as_ref().map(brief)
        );
        self.acknowledged = found;
        self.unknown = None;
    }
}

fn read_all(store: &Durable) -> Model {
    contents(&mut *store.reader().unwrap())
}

#[test]
fn power_loss_keeps_what_was_acknowledged_and_nothing_by_halves() {
    let (mut unknown, mut kept) = (0, 0);
    for seed in 0..rounds("TRINE_POWER_SEEDS", 300) {
        let mut random = fastrand::Rng::with_seed(seed);
        let recovery = [Recovery::Scan, Recovery::Fast][random.usize(0..2)];
        let mut image = new_image(recovery);
        let mut expected = Expected::default();
        for life in 0..3 {
            let context = format!("seed {seed}, life {life}");
            let disk = Disk::with(image);
            // Also while it is opened and repaired.
            disk.plan(random.u64(0..400), Failure::Power);
            if let Ok(store) = open(&disk, recovery) {
                let mut writer = store.writer(0).unwrap();
                if disk.failed().is_none() {
                    expected.settle(read_all_unless_failed(&store, &disk, &expected), &context);
                }
                for number in 0..40 {
                    let batch = random_batch(&mut random, number, 3_000);
                    let outcomes = run(&mut *writer, batch.clone());
                    expected.learn(&batch, &outcomes);
                    if disk.failed().is_some() {
                        break;
                    }
                }
            }
            image = disk.image_after_power_loss(&mut random);
            let copy = Disk::with(image.clone());
            let store = open(&copy, recovery).unwrap_or_else(|error| panic!("{context}: {error}"));
            let found = read_all(&store);
            unknown += u32::from(expected.unknown.is_some());
            kept += u32::from(expected.unknown.as_ref() == Some(&found));
            // The next life begins with the image as it was before this repair.
            expected.settle(found, &context);
        }
    }
    println!("{unknown} batches were cut by the power, {kept} of them are there");
}

/// A store without values, which was closed. That it is made whole or not at all is for the file system.
fn new_image(recovery: Recovery) -> Vec<u8> {
    let disk = Disk::default();
    Box::new(open(&disk, recovery).unwrap()).close().unwrap();
    disk.image()
}

/// What a reader finds, or what it should find, if the power goes while it reads.
fn read_all_unless_failed(store: &Durable, disk: &Disk, expected: &Expected) -> Model {
    let mut reader = store.reader().unwrap();
    match disk::entries(&mut *reader) {
        Ok(entries) => {
            let pairs = entries.into_iter();
            pairs
                .map(|entry| (entry.key.to_vec(), entry.value.to_vec()))
                .collect()
        }
        Err(fault) => {
            assert!(disk.failed().is_some(), "{fault}");
            expected.acknowledged.clone()
        }
    }
}

/// The same work each time, on a disk that fails at I/O number `at`; how many I/Os there were.
fn work(at: u64, failure: Failure, recovery: Recovery) -> u64 {
    let context = format!("{failure:?} at {at}, {recovery:?}");
    let disk = Disk::default();
    let store = open(&disk, recovery).unwrap();
    let mut writer = store.writer(0).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let mut expected = Expected::default();
    let begun = disk.count();
    disk.plan(at, failure);
    for number in 0..6 {
        let batch = random_batch(&mut random, number, 2_000);
        let outcomes = run(&mut *writer, batch.clone());
        expected.learn(&batch, &outcomes);
        if outcomes.iter().all(Result::is_ok) {
            continue;
        }
        disk.recover();
        let (what, errno) = disk.failed().unwrap();
        let is_lost = what == "sync" || (errno == EIO && (what == "write" || what == "set_len"));
        if is_lost {
            check_fence(&store, &mut *writer, expected.clone(), &context);
            break;
        }
        assert_eq!(writer.reopen(), Ok(()), "{context}");
        expected.settle(read_all(&store), &context);
    }
    let count = disk.count() - begun;
    drop((writer, store));
    for image in [disk.image(), disk.image_after_power_loss(&mut random)] {
        let again = open(&Disk::with(image), recovery).unwrap();
        expected.clone().settle(read_all(&again), &context);
    }
    count
}

/// After a write that may be lost: nothing is written any more, and what was acknowledged can be read.
///
/// With two syncs a commit, the first of them may have kept the batch whole, and then it is seen.
fn check_fence(store: &Durable, writer: &mut dyn Session, mut expected: Expected, context: &str) {
    let mut reader = store.reader().unwrap();
    for _ in 0..2 {
        assert!(
            matches!(writer.reopen(), Err(Fault::Fenced(_))),
            "{context}"
        );
        let outcome = one(writer, put(b"key", b"after the end"));
        assert!(
            matches!(outcome, Err(Fault::Fenced(_))),
            "{context}: {outcome:?}"
        );
        if disk::entries(&mut *reader).is_err() {
            reader.reopen().unwrap();
        }
        expected.settle(contents(&mut *reader), context);
    }
}

/// Lets each I/O fail in its turn.
fn fail_everywhere(recovery: Recovery) {
    let all = work(u64::MAX / 2, Failure::Once(EIO), recovery);
    assert!(all > 60, "{all}");
    for failure in [
        Failure::Once(EIO),
        Failure::Once(ENOSPC),
        Failure::Writes(ENOSPC),
    ] {
        for at in 0..all {
            work(at, failure, recovery);
        }
    }
    println!("{recovery:?}: each of {all} I/Os failed in three ways");
}

#[test]
fn a_failure_at_any_io_loses_nothing_acknowledged_and_acknowledges_nothing_lost() {
    fail_everywhere(Recovery::Scan);
}

#[test]
fn with_fast_recovery_a_failure_at_any_io_is_as_harmless() {
    fail_everywhere(Recovery::Fast);
}

#[test]
fn a_full_disk_is_retried_until_there_is_space() {
    let disk = Disk::default();
    let store = open(&disk, Recovery::Scan).unwrap();
    let mut writer = store.writer(0).unwrap();
    one(&mut *writer, put(b"key", b"before")).unwrap();
    disk.plan(0, Failure::Writes(ENOSPC));
    let outcome = one(&mut *writer, put(b"key", b"full"));
    // Whether it comes to the commit depends on what the engine has to write before.
    assert!(outcome.unwrap_err().to_string().contains("full"));
    for _ in 0..3 {
        let outcome = one(&mut *writer, put(b"key", b"full"));
        assert!(
            matches!(outcome, Err(Fault::Fenced(why) | Fault::Retry { why, .. }) if why.contains("full")),
            "{outcome:?}"
        );
        let again = writer.reopen();
        assert!(matches!(again, Err(Fault::Retry { .. })), "{again:?}");
    }
    disk.recover();
    writer.reopen().unwrap();
    let found = disk::value(&mut *writer, b"key").unwrap();
    assert!(found == b"before" || found == b"full", "{found:?}");
    one(&mut *writer, put(b"key", b"after")).unwrap();
    assert_eq!(disk::value(&mut *writer, b"key").unwrap(), b"after");
    Box::new(store).close().unwrap();
}

#[test]
fn after_a_failed_sync_reads_go_on_without_what_it_was_to_keep() {
    let disk = Disk::default();
    let store = open(&disk, Recovery::Scan).unwrap();
    let (mut writer, mut reader) = (store.writer(0).unwrap(), store.reader().unwrap());
    let puts = (0..1_500_u32).map(|n| put(&n.to_be_bytes(), &[7; 200]));
    run(&mut *writer, puts.collect());
    disk.plan(0, Failure::Sync(EIO));
    let outcome = one(&mut *writer, put(b"new", b"unknown"));
    assert!(
        matches!(outcome, Err(Fault::Unknown(why)) if why.contains("restart")),
        "{outcome:?}"
    );
    // What the engine has in memory is served at once, the rest after the reader has reopened.
    let before = disk::entries(&mut *reader);
    assert!(
        matches!(before, Err(Fault::Fenced(_))),
        "{} entries",
        before.unwrap().len()
    );
    reader.reopen().unwrap();
    let writes = disk.syncs();
    assert_eq!(contents(&mut *reader).len(), 1_500);
    assert_eq!(disk::value(&mut *reader, b"new"), None);
    assert!(matches!(writer.reopen(), Err(Fault::Fenced(_))));
    assert!(matches!(writer.maintain(Span::ZERO), Err(Fault::Fenced(_))));
    assert_eq!(disk.syncs(), writes);
    assert!(matches!(Box::new(store).close(), Err(Fault::Fenced(_))));
}

#[test]
fn a_batch_costs_one_sync_and_one_that_changes_nothing_costs_none() {
    for (recovery, syncs) in [(Recovery::Scan, 1..=1), (Recovery::Fast, 2..=3)] {
        let disk = Disk::default();
        let store = open(&disk, recovery).unwrap();
        let mut writer = store.writer(0).unwrap();
        run(
            &mut *writer,
            (0..256_u32)
                .map(|n| put(&n.to_be_bytes(), b"value"))
                .collect(),
        );
        let begun = disk.syncs();
        run(
            &mut *writer,
            (0..256_u32)
                .map(|n| put(&n.to_be_bytes(), b"again"))
                .collect(),
        );
        let count = disk.syncs() - begun;
        assert!(syncs.contains(&count), "{recovery:?}: {count}");
        let idle = vec![
            put_if(&1_u32.to_be_bytes(), b"value", Condition::Absent),
            put_if(b"none", b"value", Condition::Present),
            delete(b"none"),
            put(&[7; 100_000], b"too long a key"),
            get(&1_u32.to_be_bytes()),
        ];
        let begun = disk.syncs();
        run(&mut *writer, idle);
        run(&mut *writer, vec![get(b"none"), scan(b"", 10)]);
        writer.maintain(Span::ZERO).unwrap();
        assert_eq!(disk.syncs(), begun, "{recovery:?}");
    }
}

#[test]
fn reads_go_on_while_a_sync_takes_its_time() {
    let disk = Disk::default();
    let store = open(&disk, Recovery::Scan).unwrap();
    let (mut writer, mut reader) = (store.writer(0).unwrap(), store.reader().unwrap());
    one(&mut *writer, put(b"key", b"before")).unwrap();
    disk.hold_syncs();
    let writing = thread::spawn(move || one(&mut *writer, put(b"key", b"after")));
    disk.wait_for_held_sync();
    for _ in 0..100 {
        assert_eq!(disk::value(&mut *reader, b"key").unwrap(), b"before");
    }
    assert!(!writing.is_finished());
    disk.release_syncs();
    assert!(writing.join().unwrap().is_ok());
    assert_eq!(disk::value(&mut *reader, b"key").unwrap(), b"after");
}
