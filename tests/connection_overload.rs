//! A connection of a server that is short of something: who gives up its place, whose answer is the
//! last, whose request is refused, and what one may hold at most.

mod trace;

use trace::{DEFER, HELLO, Trace, get};
use trine::connection::{CloseReason, Deadlines, Pools};
use trine::time::{Span, Tick};

const KIB: usize = 1024;

fn post(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

#[test]
fn an_idle_connection_gives_up_its_place_without_a_word() {
    let mut trace = Trace::new();
    trace
        .at(5)
        .is_asked_for_place()
        .answers(&[])
        .closes(CloseReason::Evicted);
    let mut trace = Trace::new();
    trace
        .reads(HELLO)
        .answers(&["200 hello"])
        .is_asked_for_place();
    trace.answers(&[]).closes(CloseReason::Evicted);
}

#[test]
fn one_that_has_begun_a_request_or_is_owed_an_answer_keeps_its_place() {
    let mut trace = Trace::new();
    trace.reads("G").is_asked_for_place().lives();
    trace.reads(&HELLO[1..]).answers(&["200 hello"]).lives();
    trace
        .reads(DEFER)
        .is_asked_for_place()
        .lives()
        .sends("later");
    trace.answers(&["200 later"]).lives();
    trace.takes(0).reads(HELLO).is_asked_for_place().lives();
    trace.takes(usize::MAX).answers(&["200 hello"]);
    trace
        .reads(post("/echo", 3))
        .reads("ab")
        .is_asked_for_place()
        .lives();
    trace.reads("c").answers(&["200 abc"]).is("idle");
    // What it was asked before is forgotten.
    assert!(!trace.connection.is_asked_for_place());
}

#[test]
fn a_connection_is_idle_since_accept_or_its_last_answer_and_not_while_it_is_busy() {
    let mut trace = Trace::new();
    let since = |trace: &Trace| {
        let deadlines = &trace.config.deadlines;
        trace.connection.idle_since(Tick(100), deadlines, None)
    };
    assert_eq!(since(&trace), Some(Tick(0)));
    trace.at(70).reads("GET").at(80);
    assert_eq!(since(&trace), None);
    trace.reads(&HELLO[3..]);
    assert_eq!(since(&trace), Some(Tick(80)));
    trace.at(90).reads(DEFER);
    assert_eq!(since(&trace), None);
    trace.at(95).sends("later");
    assert_eq!(since(&trace), Some(Tick(95)));
}

#[test]
fn after_a_reload_nobody_is_taken_for_older_than_he_is() {
    let mut trace = Trace::new();
    trace.at(1_000).reads(HELLO);
    let ran_under = trace.config.deadlines;
    let with = |millis| Deadlines {
        idle: Span::from_millis(millis),
        ..ran_under
    };
    let since = |now, deadlines: &Deadlines| {
        let before = Some(&ran_under);
        trace.connection.idle_since(Tick(now), deadlines, before)
    };
    // Shorter: the beginning by the new ones lies in the future, and is not believed.
    assert_eq!(since(2_000, &with(10)), Some(Tick(1_000)));
    // Longer: by the new ones it would have been idle before it was accepted.
    assert_eq!(since(2_000, &with(100_000_000)), Some(Tick(1_000)));
}

#[test]
fn the_next_answer_of_one_that_is_not_to_be_kept_is_the_last_and_says_so() {
    let mut trace = Trace::new();
    trace.is_not_to_be_kept().lives();
    trace.reads([HELLO, HELLO].concat());
    trace.answers(&["200 close hello"]).ends_sending();
    trace.closes(CloseReason::Shed);
    assert_eq!(trace.served, 1);
    // One that waits for its answer already, and one whose answer comes in pieces.
    let mut trace = Trace::new();
    trace.reads(DEFER).is_not_to_be_kept().sends("later");
    trace.answers(&["200 close later"]).ends_sending();
    trace.closes(CloseReason::Shed);
}

#[test]
fn one_that_is_not_to_be_kept_gives_up_its_place_while_it_is_idle() {
    let mut trace = Trace::new();
    trace.reads("G").is_not_to_be_kept().is_asked_for_place();
    trace.reads(&HELLO[1..]).answers(&["200 close hello"]);
    let mut trace = Trace::new();
    trace
        .is_not_to_be_kept()
        .is_asked_for_place()
        .closes(CloseReason::Evicted);
    let mut trace = Trace::new();
    trace.connection.ask_for_place();
    trace.connection.handle_no_keep_alive();
    assert!(
        trace.connection.is_asked_for_place(),
        "one wish replaces the other"
    );
}

#[test]
fn one_whose_requests_are_used_up_ends_for_that() {
    let mut trace = Trace::with(|config| config.requests_per_connection_max = 2);
    trace
        .reads(HELLO)
        .is_not_to_be_kept()
        .reads(HELLO)
        .ends_sending();
    trace
        .answers(&["200 hello", "200 close hello"])
        .closes(CloseReason::RequestCap);
}

#[test]
fn a_refused_request_is_answered_503_with_a_time_to_come_again_and_never_served() {
    for request in [
        HELLO.to_owned(),
        post("/echo", 3),
        post("/stream", 1 << 30),
        get("/stream"),
    ] {
        let mut trace = Trace::new();
        trace.refuses = true;
        trace.reads(&request);
        let answer = trace.takes_all();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("\r\nRetry-After: 1\r\n"), "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        trace.ends_sending().closes(CloseReason::Refused);
        assert_eq!((trace.served, trace.pieces.is_some()), (0, false));
    }
}

#[test]
fn a_refused_head_request_gets_no_content() {
    let mut trace = Trace::new();
    trace.refuses = true;
    trace.reads("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(trace.takes_all().ends_with("\r\n\r\n"));
}

#[test]
fn a_body_that_would_go_beyond_the_memory_of_the_server_is_answered_503() {
    let mut trace = Trace::new();
    trace.pools = Pools::within(256 * KIB);
    trace.reads(post("/echo", 1_000_000));
    for _ in 0..1_000 {
        trace.reads([b'x'; 1_000]);
        assert!(trace.pools.memory() <= 256 * KIB);
    }
    trace
        .answers(&["503 close Service Unavailable"])
        .ends_sending();
    trace.closes(CloseReason::MemoryLimit);
    assert_eq!((trace.served, trace.pools.memory()), (0, 0));
    // One that fits is served.
    let mut trace = Trace::new();
    trace.pools = Pools::within(256 * KIB);
    trace
        .reads(post("/hello", 200_000))
        .reads(vec![b'x'; 200_000]);
    trace.answers(&["200 hello"]);
}

#[test]
fn pools_within_little_memory_keep_an_eighth_of_it_unused_at_most() {
    let mut pools = Pools::within(1024 * KIB);
    let config = Trace::new().config;
    let mut connections: Vec<_> = (0..100)
        .map(|_| trine::connection::Connection::new(Tick(0), &config))
        .collect();
    for connection in &mut connections {
        let _ = connection.input_space(&mut pools);
    }
    assert_eq!(pools.memory(), 100 * 16 * KIB);
    for connection in &mut connections {
        connection.handle_blocked(&mut pools);
    }
    assert_eq!((pools.memory(), pools.spare_memory()), (0, 64 * KIB));
    assert_eq!(Pools::within(0).spare_memory(), 0);
}

/// Looked at after each read by the trace: what is held is at most what the configuration says. Here
/// it is nearly as much, by the worst that a client can do.
#[test]
fn a_connection_never_holds_more_than_the_configuration_says_whatever_the_client_does() {
    let mut most_by = Vec::new();
    let attacks: [(&str, &str, usize); 4] = [
        ("GET / HTTP/1.1\r\nHost: a\r\n", "X: yyyyyyyy\r\n", 20_000),
        (
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            "5\r\nxxxxx\r\n",
            1 << 20,
        ),
        (
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n",
            "xxxxxxxxxxx",
            1 << 20,
        ),
        ("", "GET /big?60000 HTTP/1.1\r\nHost: a\r\n\r\n", 1_000_000),
    ];
    for (beginning, piece, length) in attacks {
        let mut trace = Trace::new();
        trace.takes(0).reads(beginning);
        let mut most = 0;
        let part = piece.repeat(900);
        for _ in 0..length / part.len() * piece.len() {
            if trace.ended.is_some() || trace.unread() > 1 << 20 {
                break;
            }
            trace.reads(&part);
            most = most.max(trace.connection.memory());
        }
        most_by.push(most);
    }
    let max = Trace::new().config.connection_memory_max();
    let most = most_by.iter().max().copied().unwrap_or(0);
    assert!(most > max / 4, "{most_by:?} of {max}");
}
