//! Bits of the durable store's file change: a wrong value is never returned.
//!
//! What cannot be promised is counted and printed: a bit in a page above the values may make keys
//! unreachable, and then they are absent; unless the file is checked when it is opened.

#![cfg(all(feature = "durable", feature = "testing"))]

mod disk;

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};

use disk::failing::Disk;
use disk::{Model, contents, get, one, put, rounds, run};
use trine::storage::durable::{Durable, Options};
use trine::storage::{Fault, Reply, Store};

const KEYS: u32 = 3_000;

/// What came of one flip.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// Everything is there.
    Harmless,
    /// The store does not open, or says that a key is damaged.
    Detected,
    /// The engine gave up, and the storage unit would have caught it.
    Panicked,
    /// Keys that were written are absent, and nobody says so.
    Absent,
    /// The whole of the last batch is absent.
    LastBatchAbsent,
}

fn open(image: Vec<u8>, check_on_open: bool) -> Result<Durable, trine::storage::OpenError> {
    let disk = Disk::with(image);
    let options = Options {
        check_on_open,
        ..Options::default()
    };
    Durable::open_on(move || Ok(disk.clone()), options)
}

/// A store as it is after closing it, or after its process was killed; what it held before the last batch,
/// and what it holds.
fn image(is_closed: bool) -> (Vec<u8>, Model, Model) {
    let disk = Disk::default();
    let on = disk.clone();
    let store = Durable::open_on(move || Ok(on.clone()), Options::default()).unwrap();
    let mut writer = store.writer(0).unwrap();
    let value = |n: u32| n.to_le_bytes().repeat(25);
    for first in (0..KEYS - 100).step_by(100) {
        let puts = (first..first + 100).map(|n| put(&n.to_be_bytes(), &value(n)));
        run(&mut *writer, puts.collect());
    }
    let before = contents(&mut *writer);
    let puts = (KEYS - 100..KEYS).map(|n| put(&n.to_be_bytes(), &value(n)));
    run(&mut *writer, puts.collect());
    let after = contents(&mut *writer);
    let image = disk.image();
    drop(writer);
    if !is_closed {
        return (image, before, after);
    }
    Box::new(store).close().unwrap();
    (disk.image(), before, after)
}

/// Reads everything, key by key and as pages; panics when a value is wrong.
fn read(store: &Durable, before: &Model, after: &Model) -> Fate {
    let mut reader = store.reader().unwrap();
    let (mut detected, mut found) = (0, Model::new());
    for (key, value) in after {
        match one(&mut *reader, get(key)) {
            Ok(Reply::Got(Some(entry))) => {
                assert_eq!(&entry.value[..], &value[..], "WRONG VALUE of {key:?}");
                found.insert(key.clone(), value.clone());
            }
            Ok(Reply::Got(None)) => {}
            Err(Fault::Corrupt | Fault::Fenced(_)) => detected += 1,
            outcome => panic!("{outcome:?}"),
        }
    }
    match disk::entries(&mut *reader) {
        Ok(entries) => {
            for entry in entries {
                let value = after.get(&entry.key[..]);
                assert_eq!(
                    value.map(|value| &value[..]),
                    Some(&entry.value[..]),
                    "WRONG VALUE"
                );
            }
        }
        Err(_) => detected += 1,
    }
    match detected {
        0 if found == *after => Fate::Harmless,
        0 if found == *before => Fate::LastBatchAbsent,
        0 => Fate::Absent,
        _ => Fate::Detected,
    }
}

fn flip(is_closed: bool, check_on_open: bool) -> Vec<(Fate, usize)> {
    let (good, before, after) = image(is_closed);
    let mut random = fastrand::Rng::with_seed(7);
    let mut fates = Vec::new();
    for _ in 0..rounds("TRINE_FLIPS", 60) {
        let mut image = good.clone();
        let bit = random.usize(0..image.len() * 8);
        image[bit / 8] ^= 1 << (bit % 8);
        let fate = catch_unwind(AssertUnwindSafe(|| match open(image, check_on_open) {
            Ok(store) => read(&store, &before, &after),
            Err(_) => Fate::Detected,
        }));
        fates.push(fate.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            assert!(!text.contains("WRONG VALUE"), "bit {bit}: {text}");
            Fate::Panicked
        }));
    }
    let count = |fate| (fate, fates.iter().filter(|found| **found == fate).count());
    let all = [
        Fate::Harmless,
        Fate::Detected,
        Fate::Panicked,
        Fate::Absent,
        Fate::LastBatchAbsent,
    ];
    all.map(count).to_vec()
}

#[test]
fn a_flipped_bit_never_becomes_a_value() {
    set_hook(Box::new(|_| {})); // the engine's panics are counted, not printed
    for is_closed in [true, false] {
        for check_on_open in [false, true] {
            let fates = flip(is_closed, check_on_open);
            println!("closed {is_closed}, checked {check_on_open}: {fates:?}");
            let silent = fates.iter().find(|(fate, _)| *fate == Fate::Absent);
            let panicked = fates.iter().find(|(fate, _)| *fate == Fate::Panicked);
            if check_on_open {
                assert_eq!((silent.unwrap().1, panicked.unwrap().1), (0, 0));
            }
        }
    }
}
