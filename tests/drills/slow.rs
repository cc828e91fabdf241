//! Clients that take their time: nothing said, a head or a body that drips, an answer nobody reads.

use std::thread;
use std::time::Duration;

use super::bars::{LATE, gate, scale};
use super::crowd::{Cuts, End, Habit, crowd};
use super::drill::{Drill, command};

const HALF_A_SECOND: Duration = Duration::from_millis(500);
const DEADLINE: Duration = Duration::from_secs(2);

fn habit(first: &str, drip: Option<&'static [u8]>, reads: bool) -> Habit {
    Habit {
        first: first.as_bytes().to_vec(),
        drip: drip.map(|words| (words, HALF_A_SECOND)),
        reads,
    }
}

pub fn dripping_head() -> Habit {
    habit(
        "GET /hello HTTP/1.1\r\nHost: a.test\r\n",
        Some(b"a: b\r\n"),
        true,
    )
}

pub fn dripping_body() -> Habit {
    let head = "POST /anything HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\n";
    habit(head, Some(b"x"), true)
}

fn dripping_chunks() -> Habit {
    let head = "POST /anything HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    habit(head, Some(b"1\r\nx\r\n"), true)
}

fn silent() -> Habit {
    habit("", None, true)
}

pub fn unread() -> Habit {
    habit(
        "GET /bytes/8388608 HTTP/1.1\r\nHost: a.test\r\n\r\n",
        None,
        false,
    )
}

/// A deadline counts from the loop's cached present, which lags by what the callbacks since then took.
const CACHED: Duration = Duration::from_millis(10);

/// All were cut, none before the deadline, and none later than it by more than `late`.
fn judge(drill: &Drill, cuts: &Cuts, deadline: Duration, late: Duration) {
    let bar = (deadline + late).as_secs_f64();
    let (first, last) = (cuts.first().as_secs_f64(), cuts.last().as_secs_f64());
    let (count, all) = (cuts.after.len(), cuts.after.len() + cuts.left);
    drill.say(&format!(
        "{count} of {all} cut after {first:.3} to {last:.3} s (bar {:.1} to {bar:.1}), {} at once at most",
        deadline.as_secs_f64(),
        cuts.most,
    ));
    assert_eq!(cuts.left, 0, "not cut");
    assert!(
        cuts.first() + CACHED >= deadline,
        "cut after {:?}",
        cuts.first()
    );
    assert!(
        cuts.last() <= deadline + gate(late) + drill.starved(),
        "cut after {:?}",
        cuts.last()
    );
}

fn ended(cuts: &Cuts, words: &str, end: End) -> usize {
    let key = (words.to_owned(), end);
    cuts.ends.get(&key).copied().unwrap_or(0)
}

const PATIENCE: Duration = Duration::from_secs(15);

/// So many clients of one kind: as many at once as come within their deadline.
fn drip(name: &'static str, habit: &Habit, words: &str) {
    let drill = Drill::begin(name, &[]);
    let count = 500 * scale();
    let cuts = crowd(drill.address(), habit, count, count, PATIENCE);
    judge(&drill, &cuts, DEADLINE, LATE);
    assert_eq!(ended(&cuts, words, End::Closed), count, "{:?}", cuts.ends);
    drill.end();
}

const TIMEOUT: &str = "HTTP/1.1 408 Request Timeout";

#[test]
#[ignore = "a drill: .ci/drills"]
fn heads_that_drip_are_cut_at_their_deadline() {
    drip("heads that drip", &dripping_head(), TIMEOUT);
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn clients_that_never_speak_are_cut_at_the_deadline_of_a_head() {
    drip("silent clients", &silent(), "");
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn bodies_that_drip_are_cut_at_their_deadline() {
    drip("bodies that drip", &dripping_body(), TIMEOUT);
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn chunks_of_one_octet_are_cut_at_the_deadline_of_a_body() {
    drip("chunks that drip", &dripping_chunks(), TIMEOUT);
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn idle_connections_are_cut_at_their_deadline_and_cost_little() {
    let count = 1000 * scale();
    let drill = Drill::begin("idle connections", &["--max-connections", "9000"]);
    let habit = habit("GET /hello HTTP/1.1\r\nHost: a.test\r\n\r\n", None, true);
    let cuts = crowd(drill.address(), &habit, count, count / 2, PATIENCE);
    judge(&drill, &cuts, Duration::from_secs(3), LATE);
    assert_eq!(ended(&cuts, "HTTP/1.1 200 OK", End::Closed), count);
    let report = drill.end();
    let each = (report.peak - report.base.resident) / count;
    println!("idle connections: {each} bytes of memory each (bar 4096)");
    assert!(each <= 4096);
}

/// By itself the allocator of glibc keeps for the next time what it once had in pieces of less than 128 KiB.
const RETURNED: &str = "glibc.malloc.mmap_threshold=32768";

/// They are judged from when their socket is full, which they cannot see.
const LATE_UNREAD: Duration = Duration::from_millis(500);

#[test]
#[ignore = "a drill: .ci/drills"]
fn clients_that_do_not_read_are_reset_and_are_not_produced_for() {
    let mut command = command(&[], &[]);
    command.env("GLIBC_TUNABLES", RETURNED);
    let drill = Drill::of("nothing read", &mut command);
    let count = 250 * scale();
    let cuts = crowd(drill.address(), &unread(), count, count, PATIENCE);
    judge(&drill, &cuts, DEADLINE, LATE_UNREAD);
    assert_eq!(ended(&cuts, "", End::Reset), count, "{:?}", cuts.ends);
    let report = drill.end();
    report.is_back_at(report.base.resident);
    let each = (report.peak - report.base.resident) / count;
    println!(
        "nothing read: {} KiB of memory each at the peak (bar 128)",
        each >> 10
    );
    assert!(each <= 128 << 10);
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn slow_clients_of_every_kind_are_cut_while_a_bystander_is_served() {
    let drill = Drill::begin("slow in every way", &["--max-connections", "9000"]);
    let each = 250 * scale();
    let kinds = [
        dripping_head(),
        dripping_body(),
        dripping_chunks(),
        unread(),
    ];
    slow_in_every_way(&drill, each, &kinds);
    let warm = drill.warm();
    slow_in_every_way(&drill, each, &kinds);
    drill.end().is_back_at(warm);
}

/// Clients of all kinds at once; the last kind does not read.
fn slow_in_every_way(drill: &Drill, each: usize, kinds: &[Habit]) {
    let address = drill.address();
    let crowds = thread::scope(|scope| {
        let start = |habit| scope.spawn(move || crowd(address, habit, each, each / 2, PATIENCE));
        let started: Vec<_> = kinds.iter().map(start).collect();
        let ended = started.into_iter().map(|crowd| crowd.join().unwrap());
        ended.collect::<Vec<_>>()
    });
    let (unread, drips) = crowds.split_last().unwrap();
    for cuts in drips {
        judge(drill, cuts, DEADLINE, LATE);
        assert_eq!(ended(cuts, TIMEOUT, End::Closed), each, "{:?}", cuts.ends);
    }
    judge(drill, unread, DEADLINE, LATE_UNREAD);
    assert_eq!(ended(unread, "", End::Reset), each, "{:?}", unread.ends);
}
