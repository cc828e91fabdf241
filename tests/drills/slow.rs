//! Clients that take their time: nothing said, a head or a body that drips, an answer nobody reads.

use std::time::Duration;

use super::bars::{LATE, gate, scale};
use super::crowd::{Crowd, Cuts, End, Habit};
use super::drill::Drill;

const HALF_A_SECOND: Duration = Duration::from_millis(500);
const DEADLINE: Duration = Duration::from_secs(2);

fn habit(first: &str, drip: Option<&'static [u8]>, reads: bool) -> Habit {
    Habit {
        first: first.as_bytes().to_vec(),
        drip: drip.map(|words| (words, HALF_A_SECOND)),
        reads,
    }
}

fn dripping_head() -> Habit {
    habit(
        "GET /hello HTTP/1.1\r\nHost: a.test\r\n",
        Some(b"a: b\r\n"),
        true,
    )
}

fn dripping_body() -> Habit {
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

fn unread() -> Habit {
    habit(
        "GET /bytes/8388608 HTTP/1.1\r\nHost: a.test\r\n\r\n",
        None,
        false,
    )
}

/// All were cut, none before the deadline, and none long after it.
fn judge(drill: &Drill, what: &str, cuts: &Cuts, deadline: Duration) {
    let bar = (deadline + LATE).as_secs_f64();
    let (first, last) = (cuts.first().as_secs_f64(), cuts.last().as_secs_f64());
    let count = cuts.after.len();
    drill.say(&format!(
        "{count} of {} {what} cut after {first:.3} to {last:.3} s (bar {:.1} to {bar:.1})",
        count + cuts.left,
        deadline.as_secs_f64(),
    ));
    assert_eq!(cuts.left, 0, "{what}: not cut");
    assert!(
        cuts.first() >= deadline,
        "{what}: cut after {:?}",
        cuts.first()
    );
    assert!(
        cuts.last() <= deadline + gate(LATE),
        "{what}: cut after {:?}",
        cuts.last()
    );
}

fn ended(cuts: &Cuts, words: &str, end: End) -> usize {
    let key = (words.to_owned(), end);
    cuts.ends.get(&key).copied().unwrap_or(0)
}

fn drip(name: &'static str, habit: Habit, deadline: Duration, words: &str) {
    let drill = Drill::begin(name, &[]);
    let count = 500 * scale();
    let cuts = Crowd::gather(drill.address(), &[(count, habit)]).until_cut(deadline * 4);
    judge(&drill, "clients", &cuts, deadline);
    assert_eq!(ended(&cuts, words, End::Closed), count, "{:?}", cuts.ends);
    drill.end();
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn heads_that_drip_are_cut_at_their_deadline() {
    drip(
        "heads that drip",
        dripping_head(),
        DEADLINE,
        "HTTP/1.1 408 Request Timeout",
    );
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn clients_that_never_speak_are_cut_at_the_deadline_of_a_head() {
    drip("silent clients", silent(), DEADLINE, "");
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn bodies_that_drip_are_cut_at_their_deadline() {
    drip(
        "bodies that drip",
        dripping_body(),
        DEADLINE,
        "HTTP/1.1 408 Request Timeout",
    );
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn chunks_of_one_octet_are_cut_at_the_deadline_of_a_body() {
    drip(
        "chunks that drip",
        dripping_chunks(),
        DEADLINE,
        "HTTP/1.1 408 Request Timeout",
    );
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn idle_connections_are_cut_at_their_deadline_and_cost_little() {
    let drill = Drill::begin("idle connections", &[]);
    let count = 1250 * scale();
    let habit = habit("GET /hello HTTP/1.1\r\nHost: a.test\r\n\r\n", None, true);
    let crowd = Crowd::gather(drill.address(), &[(count, habit)]);
    let deadline = Duration::from_secs(3);
    let cuts = crowd.until_cut(deadline * 3);
    judge(&drill, "idle", &cuts, deadline);
    assert_eq!(ended(&cuts, "HTTP/1.1 200 OK", End::Closed), count);
    let report = drill.end();
    let each = (report.peak - report.base.resident) / count;
    println!("idle connections: {each} bytes of memory each (bar 4096)");
    assert!(each <= 4096);
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn clients_that_do_not_read_are_reset_and_are_not_produced_for() {
    let drill = Drill::begin("nothing read", &[]);
    let count = 250 * scale();
    let cuts = Crowd::gather(drill.address(), &[(count, unread())]).until_cut(DEADLINE * 5);
    let bar = Duration::from_millis(300);
    judge_unread(&drill, &cuts, bar);
    let report = drill.end();
    let each = (report.peak - report.base.resident) / count;
    println!(
        "nothing read: {} KiB of memory each at the peak (bar 128)",
        each >> 10
    );
    assert!(each <= 128 << 10);
}

/// A client that does not read is judged from the moment its socket is full.
fn judge_unread(drill: &Drill, cuts: &Cuts, bar: Duration) {
    judge(drill, "unread", cuts, DEADLINE);
    assert!(cuts.last() <= DEADLINE + gate(bar));
    assert_eq!(
        ended(cuts, "", End::Reset),
        cuts.after.len(),
        "{:?}",
        cuts.ends
    );
}

#[test]
#[ignore = "a drill: .ci/drills"]
fn thousands_of_slow_clients_of_every_kind_are_cut_while_a_bystander_is_served() {
    let drill = Drill::begin("slow in every way", &["--max-connections", "9000"]);
    let each = 250 * scale();
    let kinds = [
        dripping_head(),
        dripping_body(),
        dripping_chunks(),
        unread(),
    ];
    let habits = kinds.map(|habit| (each, habit));
    let cuts = Crowd::gather(drill.address(), &habits).until_cut(DEADLINE * 5);
    judge(&drill, "slow clients", &cuts, DEADLINE);
    let late = ended(&cuts, "HTTP/1.1 408 Request Timeout", End::Closed);
    assert_eq!((late, ended(&cuts, "", End::Reset)), (3 * each, each));
    drill.end();
}
