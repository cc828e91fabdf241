//! Processes that write to a store are killed at any moment: what they acknowledged is there, and each
//! batch is there as a whole or not at all.
//!
//! This binary starts itself again as the process to be killed. It writes one batch after the other and
//! says so after each. A batch writes the keys of one slot; the slots come round again and again, so that
//! a store stays small while it is overwritten.

#![cfg(any(feature = "durable", feature = "fjall"))]

mod disk;

use std::env;
use std::io::{BufRead, BufReader, Write, stdout};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use disk::{Folder, Kind, contents, put, rounds};
use trine::storage::{Durability, Outcomes, Request, Session};

/// Batches until the first slot is written again.
const SLOTS: u64 = 300;
/// Keys of a slot.
const KEYS: u64 = 12;
/// Says to the child which store to write to.
const PATH: &str = "TRINE_KILLED_STORE";
const KIND: &str = "TRINE_KILLED_KIND";
const DURABILITY: &str = "TRINE_KILLED_DURABILITY";
const FIRST: &str = "TRINE_KILLED_FIRST";

fn key(slot: u64, number: u64) -> String {
    format!("{slot:03} {number:02}")
}

fn batch(number: u64, durability: Durability) -> Vec<Request> {
    let value = format!("{number} {}", "x".repeat((number % 200) as usize));
    let puts = (0..KEYS).map(|key_number| {
        let key = key(number % SLOTS, key_number);
        put(key.as_bytes(), value.as_bytes())
    });
    let requests = puts.map(Request::new);
    requests
        .map(|request| Request {
            durability,
            ..request
        })
        .collect()
}

fn acknowledged(session: &mut dyn Session, batch: &[Request]) -> bool {
    let mut places = vec![None; batch.len()];
    session.run(batch, &mut Outcomes::new(&mut places));
    places.iter().all(|place| matches!(place, Some(Ok(_))))
}

/// Writes until it is killed; does nothing unless it is told where.
#[test]
fn the_process_that_is_to_be_killed() {
    let Ok(path) = env::var(PATH) else { return };
    let kind = Kind::from_name(&env::var(KIND).unwrap());
    let durability = match &env::var(DURABILITY).unwrap()[..] {
        "os" => Durability::Os,
        _ => Durability::Synced,
    };
    let store = kind.open(Path::new(&path)).unwrap();
    let mut writer = store.writer(0).unwrap();
    let mut out = stdout().lock();
    writeln!(out, "\nready").unwrap();
    for number in env::var(FIRST).unwrap().parse::<u64>().unwrap().. {
        assert!(acknowledged(&mut *writer, &batch(number, durability)));
        writeln!(out, "ack {number}").unwrap();
        out.flush().unwrap();
    }
}

/// Runs such a process and kills it `after` it is ready; the last batch that it acknowledged.
fn run_and_kill(
    kind: Kind,
    path: &Path,
    durability: &str,
    first: u64,
    after: Duration,
) -> Option<u64> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "the_process_that_is_to_be_killed", "--nocapture"])
        .env(PATH, path)
        .env(KIND, kind.name())
        .env(DURABILITY, durability)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while line.trim() != "ready" {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "the child ended");
    }
    let reading = std::thread::spawn(move || {
        let acknowledged = out.lines().map_while(Result::ok);
        let numbers = acknowledged.filter_map(|line| line.strip_prefix("ack ")?.parse().ok());
        numbers.last()
    });
    std::thread::sleep(after);
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    reading.join().unwrap()
}

/// Checks what is there after batch `last` was acknowledged, the one after it perhaps not; whether it is.
fn check(kind: Kind, path: &Path, last: Option<u64>) -> bool {
    let store = kind.open(path).unwrap();
    let found = contents(&mut *store.reader().unwrap());
    let mut next_is_there = false;
    let next = last.map_or(0, |last| last + 1);
    for slot in 0..SLOTS {
        // The last batch of this slot that was acknowledged, if there was one.
        let newest = next.checked_sub(1).and_then(|last| {
            let back = (last + SLOTS - slot) % SLOTS;
            last.checked_sub(back)
        });
        let mut values = (0..KEYS).map(|number| found.get(key(slot, number).as_bytes()));
        let first = values.next().unwrap();
        assert!(
            values.all(|value| value == first),
            "slot {slot} is there by halves"
        );
        let number = first.map(|value| {
            let text = std::str::from_utf8(value).unwrap();
            text.split(' ').next().unwrap().parse::<u64>().unwrap()
        });
        let is_next = slot == next % SLOTS && number == Some(next);
        next_is_there |= is_next;
        assert!(
            is_next || number == newest,
            "slot {slot}: {number:?}, acknowledged {newest:?}"
        );
    }
    store.close().unwrap();
    next_is_there
}

fn kill_again_and_again(kind: Kind, durability: &str, rounds: u64) {
    let folder = Folder::new();
    let mut random = fastrand::Rng::with_seed(rounds);
    let (mut last, mut unacknowledged, mut slowest) = (None, 0, Duration::ZERO);
    for _ in 0..rounds {
        let first = last.map_or(0, |last: u64| last + 1);
        let after = Duration::from_millis(random.u64(60..400));
        let path = folder.store();
        last = run_and_kill(kind, &path, durability, first, after).or(last);
        let began = Instant::now();
        if check(kind, &path, last) {
            unacknowledged += 1;
            last = Some(last.map_or(0, |last| last + 1));
        }
        slowest = slowest.max(began.elapsed());
    }
    println!(
        "{} {durability}: {rounds} kills, {} batches of {KEYS}, none lost, {unacknowledged} there \
         without an answer, opened and read in {slowest:?} at most",
        kind.name(),
        last.map_or(0, |last| last + 1),
    );
}

#[cfg(feature = "durable")]
#[test]
fn what_the_durable_store_acknowledged_is_there_after_a_kill() {
    kill_again_and_again(Kind::Durable, "synced", rounds("TRINE_KILL_ROUNDS", 10));
}

#[cfg(feature = "fjall")]
#[test]
fn what_the_store_for_many_writes_acknowledged_is_there_after_a_kill() {
    let rounds = rounds("TRINE_KILL_ROUNDS", 10).div_ceil(8);
    kill_again_and_again(Kind::Fjall, "synced", rounds);
    kill_again_and_again(Kind::Fjall, "os", rounds);
}
