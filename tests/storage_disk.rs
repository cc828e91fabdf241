//! Stores in files on a disk that is full, that fails to sync, or that takes its time: by the system itself.
//!
//! These need a small file system or strace, and are run by `.ci/storage_faults`. Where strace is needed,
//! the test starts this binary again below it.

#![cfg(any(feature = "durable", feature = "fjall"))]

mod disk;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use disk::{Folder, Kind, Model, apply, contents, entries, get, one, put, run};
use trine::storage::{Fault, Operation, Outcome, Session, Store};

/// Says to a process below strace where to write, and to what.
const PATH: &str = "TRINE_TRACED_STORE";
const KIND: &str = "TRINE_TRACED_KIND";
/// A file system of about 40 MiB.
const SMALL: &str = "TRINE_SMALL_DISK";

/// What was acknowledged, and what may be there as well.
#[derive(Default)]
struct Written {
    acknowledged: Model,
    unknown: Vec<Operation>,
}

impl Written {
    /// Puts batches until one of them fails: its outcomes, which are all of one kind.
    fn until_it_fails(&mut self, writer: &mut dyn Session, value_bytes: usize) -> Vec<Outcome> {
        let mut random = fastrand::Rng::with_seed(1);
        for number in 0..1_000_000_u32 {
            let mut value = vec![0; value_bytes];
            random.fill(&mut value);
            let keys = (0..4).map(|part| [&number.to_be_bytes()[..], &[part]].concat());
            let batch: Vec<_> = keys.map(|key| put(&key, &value)).collect();
            let outcomes = run(writer, batch.clone());
            if outcomes.iter().all(Result::is_ok) {
                apply(&mut self.acknowledged, &batch);
                continue;
            }
            assert!(
                outcomes.iter().all(Result::is_err),
                "half a batch: {outcomes:?}"
            );
            self.unknown.extend(batch);
            return outcomes;
        }
        panic!("nothing failed");
    }

    /// All that was acknowledged is there, and besides it at most what is unknown.
    fn check(&self, found: &Model) {
        for (key, value) in &self.acknowledged {
            assert_eq!(found.get(key), Some(value), "{key:?} was acknowledged");
        }
        let mut most = self.acknowledged.clone();
        apply(&mut most, &self.unknown);
        assert!(
            found
                .iter()
                .all(|(key, value)| most.get(key) == Some(value))
        );
    }
}

fn read_all(store: &dyn Store) -> Model {
    let mut reader = store.reader().unwrap();
    if entries(&mut *reader).is_err() {
        reader.reopen().unwrap();
    }
    contents(&mut *reader)
}

#[test]
#[ignore = "needs a small file system, see .ci/storage_faults"]
fn a_full_disk_fails_writes_until_there_is_space_and_loses_nothing() {
    let small = PathBuf::from(env::var(SMALL).expect("a small file system"));
    for kind in Kind::ALL {
        let path = small.join(kind.name());
        let ballast = small.join("ballast");
        fs::write(&ballast, vec![7; 16 << 20]).unwrap();
        let store = kind.open(&path).unwrap();
        let mut writer = store.writer(0).unwrap();
        let mut written = Written::default();
        let outcomes = written.until_it_fails(&mut *writer, 4_000);
        println!(
            "{}: {:?} after {} values",
            kind.name(),
            outcomes[0],
            written.acknowledged.len()
        );
        let unsure =
            |outcome: &Outcome| matches!(outcome, Err(Fault::Unknown(_) | Fault::Fenced(_)));
        assert!(outcomes.iter().all(unsure), "{outcomes:?}");
        let again = one(&mut *writer, put(b"again", &[7; 100_000]));
        assert!(again.is_err(), "{again:?}");
        println!(
            "{}: reopened while it is full: {:?}",
            kind.name(),
            writer.reopen()
        );
        fs::remove_file(&ballast).unwrap();
        writer.reopen().unwrap();
        written.check(&read_all(&*store));
        one(&mut *writer, put(b"after", b"there is space")).unwrap();
        assert!(one(&mut *writer, get(b"after")).is_ok());
        drop(writer);
        store.close().unwrap();
        remove(&path);
    }
}

fn remove(path: &Path) {
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

/// Runs the test called `name` below strace, which does `inject` to syncs, for each store.
fn run_traced(name: &str, inject: &str) {
    for kind in Kind::ALL {
        let folder = Folder::new();
        let status = Command::new("strace")
            .args(["-f", "-q", "--seccomp-bpf", "-o", "/dev/null"])
            .args(["-e", "trace=fsync,fdatasync"])
            .args(["-e", &format!("inject=fsync,fdatasync:{inject}")])
            .arg(env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(PATH, folder.store())
            .env(KIND, kind.name())
            .status()
            .expect("strace");
        assert!(status.success(), "{}: {status}", kind.name());
    }
}

/// The store to write to below strace, if this is such a process.
fn traced() -> Option<(Kind, PathBuf, Box<dyn Store>)> {
    let path = PathBuf::from(env::var(PATH).ok()?);
    let kind = Kind::from_name(&env::var(KIND).unwrap());
    let store = kind.open(&path).unwrap();
    Some((kind, path, store))
}

#[test]
#[ignore = "needs strace, see .ci/storage_faults"]
fn a_failed_sync_ends_writing_for_good() {
    run_traced("below_strace_a_sync_fails", "error=EIO:when=60");
}

#[test]
fn below_strace_a_sync_fails() {
    let Some((kind, path, store)) = traced() else {
        return;
    };
    let mut writer = store.writer(0).unwrap();
    let mut written = Written::default();
    let outcomes = written.until_it_fails(&mut *writer, 100);
    println!(
        "{}: {:?} after {} values",
        kind.name(),
        outcomes[0],
        written.acknowledged.len()
    );
    assert!(
        matches!(outcomes[0], Err(Fault::Unknown(_))),
        "{outcomes:?}"
    );
    for _ in 0..3 {
        let outcome = one(&mut *writer, put(b"key", b"after the end"));
        assert!(matches!(outcome, Err(Fault::Fenced(_))), "{outcome:?}");
        assert!(matches!(writer.reopen(), Err(Fault::Fenced(_))));
    }
    written.check(&read_all(&*store));
    drop(writer);
    assert!(store.close().is_err());
    // The operator has looked at the disk and starts it again.
    let store = kind.open(&path).unwrap();
    written.check(&read_all(&*store));
    one(&mut *store.writer(0).unwrap(), put(b"key", b"value")).unwrap();
}

#[test]
#[ignore = "needs strace, see .ci/storage_faults"]
fn reads_go_on_while_a_sync_takes_two_seconds() {
    run_traced("below_strace_a_sync_is_slow", "delay_enter=2000000:when=60");
}

#[test]
fn below_strace_a_sync_is_slow() {
    let Some((kind, _, store)) = traced() else {
        return;
    };
    let (mut writer, mut reader) = (store.writer(0).unwrap(), store.reader().unwrap());
    one(&mut *writer, put(b"key", b"value")).unwrap();
    let is_done = AtomicBool::new(false);
    let mut reads = BTreeMap::<u128, u64>::new();
    let slowest_write = thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let writes = (0..120_u32).map(|number| {
                let began = Instant::now();
                one(&mut *writer, put(&number.to_be_bytes(), b"value")).unwrap();
                began.elapsed()
            });
            let slowest = writes.max();
            is_done.store(true, Ordering::Release);
            slowest.unwrap()
        });
        while !is_done.load(Ordering::Acquire) {
            let began = Instant::now();
            one(&mut *reader, get(b"key")).unwrap();
            *reads.entry(began.elapsed().as_micros()).or_default() += 1;
            thread::sleep(Duration::from_micros(200));
        }
        writing.join().unwrap()
    });
    let all: u64 = reads.values().sum();
    let mut below = 0;
    let p99 = reads.iter().find_map(|(micros, count)| {
        below += count;
        (below * 100 >= all * 99).then_some(*micros)
    });
    let p99 = Duration::from_micros(p99.unwrap() as u64);
    println!(
        "{}: a write took {slowest_write:?}, 99 % of {all} reads {p99:?}",
        kind.name()
    );
    assert!(slowest_write > Duration::from_millis(1_900));
    assert!(p99 < Duration::from_millis(50), "{p99:?}");
}
