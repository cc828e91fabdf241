//! Pipelining, persistence and fairness: answers in order, few writes, nobody starved.

mod trace;

use trace::{DEFER, HELLO, Trace, get};
use trine::connection::CloseReason;

const HELLO_10: &str = "GET /hello HTTP/1.0\r\n\r\n";

#[test]
fn answers_to_pipelined_requests_leave_in_order_in_one_write() {
    let mut trace = Trace::new();
    trace
        .reads([get("/1"), get("/2"), get("/3")].concat())
        .answers(&["200 1", "200 2", "200 3"])
        .is("idle");
    assert_eq!(trace.writes, 1);
}

#[test]
fn a_body_belongs_to_its_own_request_alone() {
    let posts = [
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ];
    let echo = get("/echo");
    for post in posts {
        let mut trace = Trace::new();
        trace
            .reads([post, &echo, post, &echo].concat())
            .answers(&["200 abc", "200", "200 abc", "200"]);
        trace.reads(post).answers(&["200 abc"]);
        trace.reads(&echo).answers(&["200"]); // in the same buffer, back from the pool
    }
}

#[test]
fn answers_go_out_before_the_rest_of_a_partial_request_is_awaited() {
    Trace::new()
        .reads([HELLO, "GET /hel"].concat())
        .answers(&["200 hello"])
        .is("head")
        .at(9_000)
        .reads("lo HTTP/1.1\r\nHost: a\r\n\r\n")
        .answers(&["200 hello"]);
}

#[test]
fn a_request_cut_at_any_octet_is_answered_the_same() {
    let message = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nt: u\r\n\r\n";
    for cut in 1..message.len() {
        let mut trace = Trace::new();
        trace.reads(&message[..cut]).answers(&[]);
        trace.reads(&message[cut..]).answers(&["200 abcde"]);
        trace.reads(HELLO).answers(&["200 hello"]);
    }
}

#[test]
fn bytes_behind_an_upgrade_that_is_not_taken_are_the_next_request() {
    let offer = "GET /hello HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
    Trace::new()
        .reads([offer, HELLO].concat())
        .answers(&["200 hello", "200 hello"]);
    Trace::new()
        .reads([offer, "x of its own\r\n"].concat())
        .answers(&["200 hello", "400 close Bad Request"]);
}

#[test]
fn bytes_behind_a_request_without_a_length_are_the_next_request() {
    Trace::new()
        .reads([get("/a").as_str(), HELLO].concat())
        .answers(&["200 a", "200 hello"]);
}

#[test]
fn earlier_answers_do_not_wait_for_a_deferred_one_and_later_ones_do() {
    Trace::new()
        .reads([HELLO, DEFER, HELLO].concat())
        .answers(&["200 hello"])
        .is("waiting")
        .at(5_000)
        .sends("later")
        .answers(&["200 later", "200 hello"])
        .is("idle");
}

#[test]
fn sixteen_requests_a_turn_then_others_have_theirs() {
    let mut trace = Trace::new();
    trace.turns_follow = false;
    trace.reads(HELLO.repeat(40));
    assert_eq!((trace.served, trace.writes), (16, 1));
    assert!(trace.wants_a_turn());
    trace.next_turn();
    assert_eq!((trace.served, trace.writes), (32, 2));
    trace.next_turn();
    assert_eq!((trace.served, trace.writes), (40, 3));
    assert!(!trace.wants_a_turn());
    trace.is("idle");
}

#[test]
fn one_connection_reads_64_kib_a_turn_and_not_much_more() {
    let mut trace = Trace::new();
    trace.turns_follow = false;
    trace.reads("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n");
    trace.reads(vec![b'x'; 300_000]);
    assert!(trace.wants_a_turn());
    let mut turns = 1;
    while trace.wants_a_turn() {
        trace.next_turn();
        turns += 1;
    }
    trace.answers(&["200 (300000 bytes)"]);
    assert!((3..=5).contains(&turns), "{turns} turns");
}

#[test]
fn with_64_kib_unread_no_further_request_is_looked_at() {
    let mut trace = Trace::new();
    trace.takes(0).reads(get("/big?40000").repeat(10));
    assert_eq!(trace.served, 2);
    assert!(trace.connection.memory() < 256 * 1024);
    trace.at(1_000).takes(80_000);
    assert_eq!(trace.served, 2, "what is left is written first");
    trace.at(2_000).takes(usize::MAX).is("idle");
    assert_eq!(trace.served, 10);
}

#[test]
fn http_1_0_closes_after_one_answer() {
    let mut trace = Trace::new();
    trace
        .reads(HELLO_10)
        .answers(&["200 close hello"])
        .closes(CloseReason::CloseRequested);
    assert_eq!(
        trace.shutdowns, 0,
        "nothing is unread, so nothing is awaited"
    );
}

#[test]
fn http_1_0_stays_open_when_asked_to() {
    Trace::new()
        .reads("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .answers(&["200 hello"])
        .is("idle");
}

#[test]
fn what_follows_a_request_to_close_is_never_looked_at() {
    let close = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let mut trace = Trace::new();
    trace
        .reads([HELLO, close, HELLO, "BAD\r\n"].concat())
        .answers(&["200 hello", "200 close last"])
        .is("lingering");
    assert_eq!((trace.served, trace.writes, trace.shutdowns), (2, 1, 1));
}

#[test]
fn the_answer_to_the_last_request_allowed_says_so() {
    let mut trace = Trace::with(|config| config.requests_per_connection_max = 3);
    trace
        .reads(HELLO.repeat(5))
        .answers(&["200 hello", "200 hello", "200 close hello"])
        .is("lingering")
        .ends_sending()
        .closes(CloseReason::RequestCap);
    assert_eq!(trace.served, 3);
}

#[test]
fn a_cap_of_zero_is_a_cap_of_one() {
    Trace::with(|config| config.requests_per_connection_max = 0)
        .reads(HELLO)
        .answers(&["200 close hello"]);
}

#[test]
fn a_budget_of_zero_still_makes_progress() {
    let mut trace = Trace::with(|config| {
        config.requests_per_turn_max = 0;
        config.bytes_per_turn_max = 0;
        config.output_bytes_high = 1;
    });
    trace
        .reads(HELLO.repeat(3))
        .answers(&["200 hello", "200 hello", "200 hello"]);
}
