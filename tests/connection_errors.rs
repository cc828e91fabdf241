//! What is not a request: the answer that says why, then silence.

mod trace;

use trace::{HELLO, Trace, get};
use trine::connection::CloseReason::{self, BadRequest, TooLarge};

fn head(fields: &str) -> String {
    format!("POST /echo HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")
}

#[test]
fn each_error_has_its_status_and_ends_the_connection() {
    let long = "x".repeat(20_000);
    let cases: &[(String, &str, CloseReason)] = &[
        (
            "GET / HTTP/1.1\r\n\r\n".into(),
            "400 close Bad Request",
            BadRequest,
        ),
        (
            head("Content-Length: 5\r\nTransfer-Encoding: chunked"),
            "400 close Bad Request",
            BadRequest,
        ),
        (
            head("Content-Length: 2000000"),
            "413 close Content Too Large",
            TooLarge,
        ),
        (
            head("Transfer-Encoding: chunked") + "200000\r\n",
            "413 close Content Too Large",
            TooLarge,
        ),
        (get(&format!("/{long}")), "414 close URI Too Long", TooLarge),
        (
            head("Content-Length: 3\r\nExpect: wonders"),
            "417 close Expectation Failed",
            BadRequest,
        ),
        (
            head(&format!("a: {long}")),
            "431 close Request Header Fields Too Large",
            TooLarge,
        ),
        (
            head("Transfer-Encoding: gzip, chunked"),
            "501 close Not Implemented",
            BadRequest,
        ),
        (
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n".into(),
            "505 close HTTP Version Not Supported",
            BadRequest,
        ),
    ];
    for (bytes, answer, reason) in cases {
        let mut trace = Trace::new();
        trace.reads(bytes).answers(&[answer]).is("lingering");
        trace.at(1).reads(HELLO).answers(&[]);
        trace.at(2_000).expires().closes(*reason);
        assert_eq!((trace.served, trace.shutdowns), (0, 1), "{answer}");
    }
}

#[test]
fn answers_to_requests_before_an_error_leave_first() {
    let mut trace = Trace::new();
    trace
        .reads([&get("/1"), &get("/2"), "NO\r\n\r\n", HELLO].concat())
        .answers(&["200 1", "200 2", "400 close Bad Request"]);
    assert_eq!((trace.served, trace.writes), (2, 1));
}

#[test]
fn nothing_of_the_request_is_kept_behind_its_refusal() {
    let mut trace = Trace::new();
    trace
        .takes(0)
        .reads(head("Transfer-Encoding: chunked") + "NO\r\n");
    assert_eq!(trace.pools.spare().0, 1, "the input went back");
    trace.takes(usize::MAX).ends_sending().closes(BadRequest);
    let mut next = Trace::new();
    std::mem::swap(&mut next.pools, &mut trace.pools);
    next.reads(HELLO).answers(&["200 hello"]);
}

#[test]
fn nothing_is_read_while_an_error_answer_waits_to_be_taken() {
    let mut trace = Trace::new();
    trace
        .takes(0)
        .reads("NO\r\n\r\n")
        .reads(HELLO)
        .is("writing");
    trace
        .at(4_000)
        .takes(usize::MAX)
        .answers(&["400 close Bad Request"]);
    assert_eq!(trace.served, 0);
}

#[test]
fn a_client_that_waits_is_told_to_go_on() {
    Trace::new()
        .reads(head("Content-Length: 5\r\nExpect: 100-continue"))
        .answers(&["100"])
        .is("body")
        .reads("abcde")
        .answers(&["200 abcde"]);
}

#[test]
fn a_client_that_did_not_wait_is_not_told_to_go_on() {
    Trace::new()
        .reads(head("Content-Length: 5\r\nExpect: 100-continue") + "a")
        .answers(&[])
        .reads("bcde")
        .answers(&["200 abcde"]);
}

#[test]
fn http_1_0_and_requests_without_a_body_are_never_told_to_go_on() {
    Trace::new()
        .reads("GET /hello HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n")
        .answers(&["200 hello"])
        .reads("POST /echo HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
        .answers(&[])
        .reads("x")
        .answers(&["200 close x"]);
}

#[test]
fn a_body_too_large_is_refused_before_it_is_read_and_instead_of_going_on() {
    Trace::new()
        .reads(head("Content-Length: 1048577\r\nExpect: 100-continue"))
        .answers(&["413 close Content Too Large"]);
}

#[test]
fn the_body_deadline_runs_from_the_leave_to_go_on() {
    Trace::new()
        .at(3_000)
        .reads(head("Content-Length: 5\r\nExpect: 100-continue"))
        .answers(&["100"])
        .at(8_000)
        .expires()
        .answers(&["408 close Request Timeout"]);
}

#[test]
fn an_endless_head_and_an_endless_body_stop_at_their_limit() {
    let mut trace = Trace::new();
    trace.reads("GET / HTTP/1.1\r\na: ");
    trace.reads(vec![b'x'; 1_000_000]);
    trace.answers(&["431 close Request Header Fields Too Large"]);
    trace.closes(TooLarge);

    let mut trace = Trace::new();
    trace.reads(head("Transfer-Encoding: chunked"));
    trace.reads("1000\r\n".to_owned() + &"x".repeat(4096) + "\r\n");
    for _ in 0..1_000 {
        trace.reads("1;".to_owned() + &"e".repeat(200) + "\r\nx\r\n");
        assert!(trace.connection.memory() <= 64 * 1024);
    }
    trace.answers(&["413 close Content Too Large"]);
}
