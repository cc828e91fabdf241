//! The durable store, used as it is meant: what is kept, what is counted, what is said when it is opened.

#![cfg(feature = "durable")]

mod disk;

use std::fs;
use std::sync::Arc;
use std::thread;

use disk::{
    Folder, HandClock, contents, delete, entries, get, one, put, put_for, put_if, revision, run,
    scan, touch, value,
};
use trine::storage::durable::{Durable, Options, Progress, Recovery};
use trine::storage::{
    Condition, Durability, Fault, OpenError, Outcomes, Reply, Request, Session, Store,
};
use trine::time::Span;

fn open(folder: &Folder) -> (Durable, Box<dyn Session>) {
    let store = Durable::open(folder.store(), Options::default()).unwrap();
    let writer = store.writer(0).unwrap();
    (store, writer)
}

fn at(clock: &Arc<HandClock>) -> Options {
    Options {
        clock: clock.clone(),
        ..Options::default()
    }
}

#[test]
fn what_was_written_is_there_after_closing_and_opening() {
    let folder = Folder::new();
    for round in 0..3_u8 {
        let (store, mut writer) = open(&folder);
        if round > 0 {
            assert_eq!(value(&mut *writer, b"key"), Some(vec![round - 1]));
        }
        one(&mut *writer, put(b"key", &[round])).unwrap();
        drop(writer);
        Box::new(store).close().unwrap();
    }
}

#[test]
fn an_operation_sees_those_before_it_in_the_batch() {
    let folder = Folder::new();
    let (_store, mut writer) = open(&folder);
    let outcomes = run(
        &mut *writer,
        vec![
            put_if(b"key", b"1", Condition::Absent),
            put_if(b"key", b"2", Condition::Absent),
            put_if(b"key", b"3", Condition::Present),
            get(b"key"),
            delete(b"key"),
            get(b"key"),
            delete(b"key"),
        ],
    );
    let first = revision(&outcomes[0]);
    assert_eq!(outcomes[1], Ok(Reply::Conflict(Some(first))));
    assert!(revision(&outcomes[2]) > first);
    let Ok(Reply::Got(Some(entry))) = &outcomes[3] else {
        panic!("{outcomes:?}")
    };
    assert_eq!(&entry.value[..], b"3");
    assert_eq!(outcomes[4], Ok(Reply::Deleted(true)));
    assert_eq!(outcomes[5], Ok(Reply::Got(None)));
    assert_eq!(outcomes[6], Ok(Reply::Deleted(false)));
}

#[test]
fn revisions_grow_through_restarts() {
    let folder = Folder::new();
    let mut last = 0;
    for _ in 0..4 {
        let (_store, mut writer) = open(&folder);
        for _ in 0..10 {
            let written = one(&mut *writer, put(b"key", b"value"));
            assert!(revision(&written).get() > last);
            last = revision(&written).get();
        }
    }
}

#[test]
fn what_has_expired_is_absent_at_once_and_swept_in_steps() {
    let folder = Folder::new();
    let clock = Arc::new(HandClock::at(1_000));
    let store = Durable::open(folder.store(), at(&clock)).unwrap();
    let mut writer = store.writer(0).unwrap();
    for batch in 0..12_u32 {
        let puts = (0..100_u32).map(|n| put_for(&(batch * 100 + n).to_be_bytes(), b"v", 500));
        run(&mut *writer, puts.collect());
    }
    one(&mut *writer, put(b"stays", b"v")).unwrap();
    assert_eq!(contents(&mut *writer).len(), 1_201);
    assert_eq!(writer.maintain(Span::ZERO), Ok(false));
    clock.advance(500);
    assert_eq!(contents(&mut *writer).len(), 1);
    assert_eq!(value(&mut *writer, &7_u32.to_be_bytes()), None);
    let more: Vec<_> = (0..4).map(|_| writer.maintain(Span::ZERO)).collect();
    assert_eq!(more, [Ok(true), Ok(true), Ok(false), Ok(false)]);
    // Even a clock that goes back finds nothing any more.
    clock.advance(0_u64.wrapping_sub(500));
    assert_eq!(contents(&mut *writer).len(), 1);
}

#[test]
fn a_value_written_or_touched_anew_is_not_swept_by_its_old_expiry() {
    let folder = Folder::new();
    let clock = Arc::new(HandClock::at(1_000));
    let store = Durable::open(folder.store(), at(&clock)).unwrap();
    let mut writer = store.writer(0).unwrap();
    for key in [b"a", b"b", b"c", b"d"] {
        one(&mut *writer, put_for(key, b"old", 100)).unwrap();
    }
    one(&mut *writer, put(b"a", b"new")).unwrap();
    one(&mut *writer, touch(b"b", None)).unwrap();
    one(&mut *writer, touch(b"c", Some(1_000))).unwrap();
    clock.advance(200);
    assert_eq!(writer.maintain(Span::ZERO), Ok(false));
    assert_eq!(contents(&mut *writer).len(), 3);
    assert_eq!(
        one(&mut *writer, touch(b"d", None)),
        Ok(Reply::Conflict(None))
    );
    clock.advance(1_000);
    assert_eq!(contents(&mut *writer).len(), 2);
}

#[test]
fn a_page_is_bounded_and_the_next_goes_on_where_it_ended() {
    let folder = Folder::new();
    let (_store, mut writer) = open(&folder);
    let puts = (0..1_500_u32).map(|n| put(&n.to_be_bytes(), &[7; 1_000]));
    run(&mut *writer, puts.collect());
    let Ok(Reply::Page(page)) = one(&mut *writer, scan(b"", u32::MAX)) else {
        panic!("no page")
    };
    assert!(page.entries.len() <= 1_024, "{}", page.entries.len());
    assert_eq!(
        page.next.unwrap()[..],
        (page.entries.len() as u32).to_be_bytes()
    );
    let keys: Vec<_> = entries(&mut *writer)
        .unwrap()
        .into_iter()
        .map(|entry| entry.key)
        .collect();
    assert_eq!(keys.len(), 1_500);
    assert!(keys.is_sorted());
}

#[test]
fn less_durability_than_synced_is_given_more_and_more_is_refused() {
    let folder = Folder::new();
    let (store, mut writer) = open(&folder);
    assert_eq!(store.capabilities().durability_max, Durability::Synced);
    let asked = [
        Durability::Memory,
        Durability::Os,
        Durability::Synced,
        Durability::Replicated(1),
    ];
    let batch = asked.map(|durability| Request {
        durability,
        ..Request::new(put(b"key", b"value"))
    });
    let mut places = [const { None }; 4];
    writer.run(&batch, &mut Outcomes::new(&mut places));
    assert!(
        places[..3]
            .iter()
            .all(|place| matches!(place, Some(Ok(Reply::Written(_)))))
    );
    assert!(matches!(places[3], Some(Err(Fault::Refused(_)))));
}

#[test]
fn readers_see_whole_commits_only_while_the_writer_writes() {
    let folder = Folder::new();
    let (store, mut writer) = open(&folder);
    let both = |n: u32| vec![put(b"a", &n.to_le_bytes()), put(b"z", &n.to_le_bytes())];
    run(&mut *writer, both(0));
    let mut reader = store.reader().unwrap();
    let reading = thread::spawn(move || {
        let mut seen = 0;
        while seen < 199 {
            let both = run(&mut *reader, vec![get(b"a"), get(b"z")]);
            let [Ok(Reply::Got(Some(a))), Ok(Reply::Got(Some(z)))] = &both[..] else {
                panic!("{both:?}")
            };
            assert_eq!(a.value, z.value);
            let number = u32::from_le_bytes(a.value[..].try_into().unwrap());
            assert!(number >= seen, "{number} after {seen}");
            seen = number;
        }
    });
    for n in 1..200 {
        run(&mut *writer, both(n));
    }
    reading.join().unwrap();
}

#[test]
fn a_session_that_only_reads_refuses_to_write() {
    let folder = Folder::new();
    let (store, _writer) = open(&folder);
    let outcome = one(&mut *store.reader().unwrap(), put(b"key", b"value"));
    assert!(matches!(outcome, Err(Fault::Refused(_))), "{outcome:?}");
}

#[test]
fn a_second_opener_is_told_that_the_store_is_in_use() {
    let folder = Folder::new();
    let (store, writer) = open(&folder);
    let error = Durable::open(folder.store(), Options::default()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(folder.store().to_str().unwrap()), "{text}");
    assert!(text.contains("stop the process"), "{text}");
    drop(writer);
    Box::new(store).close().unwrap();
    open(&folder);
}

#[test]
fn what_is_not_a_store_is_left_alone() {
    let folder = Folder::new();
    let text = b"to be, or not to be".repeat(1_000);
    fs::write(folder.store(), &text).unwrap();
    let error = Durable::open(folder.store(), Options::default()).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    assert_eq!(fs::read(folder.store()).unwrap(), text);

    let path = folder.path().join("other");
    let other = redb::Database::create(&path).unwrap();
    let table = redb::TableDefinition::<u64, u64>::new("theirs");
    let transaction = other.begin_write().unwrap();
    transaction.open_table(table).unwrap().insert(1, 2).unwrap();
    transaction.commit().unwrap();
    drop(other);
    let error = Durable::open(&path, Options::default()).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
}

#[test]
fn a_store_whose_making_was_cut_off_is_made_anew() {
    let folder = Folder::new();
    fs::write(folder.path().join("store.new"), [7; 5_000]).unwrap();
    fs::write(folder.store(), []).unwrap();
    let (_store, mut writer) = open(&folder);
    one(&mut *writer, put(b"key", b"value")).unwrap();
    let names = fs::read_dir(folder.path()).unwrap();
    assert_eq!(names.count(), 1);
}

#[test]
fn a_store_that_somebody_else_is_making_is_in_use() {
    let folder = Folder::new();
    let beside = fs::File::create(folder.path().join("store.new")).unwrap();
    beside.lock().unwrap();
    let error = Durable::open(folder.store(), Options::default()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
}

#[test]
fn a_folder_that_is_missing_or_in_the_way_is_named() {
    let folder = Folder::new();
    let missing = folder.path().join("missing/store");
    let error = Durable::open(&missing, Options::default()).unwrap_err();
    assert!(error.to_string().contains("make it first"), "{error}");
    assert_eq!(error.path(), missing);
    let error = Durable::open(folder.path(), Options::default()).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
}

#[test]
fn a_store_that_was_not_closed_is_repaired_with_progress_unless_it_recovers_fast() {
    for (recovery, repairs) in [(Recovery::Scan, 1), (Recovery::Fast, 0)] {
        let folder = Folder::new();
        let options = || Options {
            recovery,
            ..Options::default()
        };
        let store = Durable::open(folder.store(), options()).unwrap();
        let mut writer = store.writer(0).unwrap();
        let puts = (0..500_u32).map(|n| put(&n.to_be_bytes(), &[7; 100]));
        run(&mut *writer, puts.collect());
        let copy = folder.path().join("as it was when the process was killed");
        fs::copy(folder.store(), &copy).unwrap();
        let progress = Arc::new(Progress::default());
        let watched = Options {
            progress: Some(progress.clone()),
            ..options()
        };
        let store = Durable::open(&copy, watched).unwrap();
        assert_eq!(
            (progress.repairs(), progress.permille()),
            (repairs, 1_000),
            "{recovery:?}"
        );
        assert_eq!(contents(&mut *store.reader().unwrap()).len(), 500);
    }
}

#[test]
fn after_closing_sessions_are_fenced() {
    let folder = Folder::new();
    let (store, mut writer) = open(&folder);
    Box::new(store).close().unwrap();
    let outcome = one(&mut *writer, put(b"key", b"value"));
    assert!(matches!(outcome, Err(Fault::Fenced(_))), "{outcome:?}");
    assert!(matches!(writer.reopen(), Err(Fault::Fenced(_))));
}
