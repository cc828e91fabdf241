//! Every state of a connection ends in time, and says what the client did wrong.

mod trace;

use std::sync::atomic::Ordering;

use trace::{DEFER, HELLO, Trace, get};
use trine::connection::CloseReason;
use trine::time::Tick;

#[test]
fn an_idle_connection_closes_silently_75_s_after_the_last_answer_was_written() {
    Trace::new()
        .at(1_000)
        .reads(HELLO)
        .answers(&["200 hello"])
        .is("idle")
        .at(76_000)
        .expires()
        .answers(&[])
        .closes(CloseReason::IdleTimeout);
}

#[test]
fn a_connection_that_never_speaks_closes_silently_after_10_s() {
    Trace::new()
        .at(10_000)
        .expires()
        .answers(&[])
        .closes(CloseReason::NeverSpoke);
}

#[test]
fn bytes_do_not_extend_the_10_s_of_the_first_head() {
    let mut trace = Trace::new();
    trace.at(0).reads("GET / HTTP/1.1\r\n");
    for second in 1..10 {
        trace.at(second * 1_000).reads("a: b\r\n").lives();
    }
    trace
        .at(10_000)
        .expires()
        .answers(&["408 close Request Timeout"])
        .is("lingering");
}

#[test]
fn a_later_head_has_10_s_from_its_first_bytes() {
    Trace::new()
        .reads(HELLO)
        .answers(&["200 hello"])
        .at(60_000)
        .reads("GET")
        .at(69_999)
        .reads(" ")
        .at(70_000)
        .expires()
        .answers(&["408 close Request Timeout"]);
}

#[test]
fn a_connection_for_one_request_has_the_deadline_of_its_head_all_the_same() {
    Trace::with(|config| config.requests_per_connection_max = 1)
        .reads("GET / HTTP/1.1\r\n")
        .at(10_000)
        .expires()
        .answers(&["408 close Request Timeout"]);
}

#[test]
fn empty_lines_between_requests_extend_nothing() {
    Trace::new()
        .reads(HELLO)
        .answers(&["200 hello"])
        .at(74_000)
        .reads("\r\n")
        .is("idle")
        .at(75_000)
        .expires()
        .closes(CloseReason::IdleTimeout);
}

#[test]
fn a_deadline_that_comes_early_changes_nothing() {
    let mut trace = Trace::new();
    let deadline = trace.connection.deadline();
    trace.at(9_999);
    let mut turn_pools = trine::connection::Pools::default();
    let date = trine::http::HttpDate::from_unix(0);
    let now = trine::time::Tick(9_999);
    let mut turn = trine::connection::Turn::new(now, &date, &trace.config, &mut turn_pools);
    trace.connection.handle_deadline(&mut turn);
    assert_eq!(trace.connection.deadline(), deadline);
    trace.is("head");
}

fn post(length: usize) -> String {
    format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

#[test]
fn a_body_below_500_bytes_a_second_is_cut_after_5_s() {
    let mut trace = Trace::new();
    trace.reads(post(100_000));
    for second in 1..5 {
        trace.at(second * 1_000).reads([b'x'; 499]);
    }
    trace
        .at(5_000)
        .expires()
        .answers(&["408 close Request Timeout"])
        .at(7_000)
        .expires()
        .closes(CloseReason::BodyTooSlow);
}

#[test]
fn a_body_that_is_fast_enough_is_cut_after_60_s_all_the_same() {
    let mut trace = Trace::new();
    trace.reads(post(1_000_000));
    for window in 1..12 {
        let end = window * 5_000;
        trace.at(end - 1).reads(vec![b'x'; 2_500]);
        trace.at(end).expires().lives();
    }
    trace.at(59_000).reads(vec![b'x'; 2_500]);
    trace
        .at(60_000)
        .expires()
        .answers(&["408 close Request Timeout"])
        .at(62_000)
        .expires()
        .closes(CloseReason::BodyTimeout);
}

#[test]
fn one_byte_chunks_are_as_slow_as_any_other_body() {
    let mut trace = Trace::new();
    trace.reads("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for second in 1..5 {
        trace.at(second * 1_000).reads("1\r\nx\r\n");
    }
    trace
        .at(5_000)
        .expires()
        .answers(&["408 close Request Timeout"]);
}

#[test]
fn a_slow_service_is_answered_504_after_30_s_and_its_late_answer_meets_nobody() {
    let mut trace = Trace::new();
    trace.at(1_000).reads(DEFER).is("waiting");
    assert!(!trace.deferred[0].is_cancelled());
    trace
        .at(31_000)
        .expires()
        .answers(&["504 close Gateway Timeout"]);
    assert!(trace.deferred[0].is_cancelled());
    trace.sends("late").answers(&[]);
    assert_eq!(trace.wakes.load(Ordering::Relaxed), 1);
    trace
        .at(33_000)
        .expires()
        .closes(CloseReason::HandlerTimeout);
}

#[test]
fn a_client_that_never_reads_is_reset_after_60_s() {
    assert!(CloseReason::WriteTimeout.resets());
    let mut trace = Trace::new();
    trace.takes(0).at(1_000).reads(HELLO).is("writing");
    trace.at(61_000).expires().closes(CloseReason::WriteTimeout);
    assert_eq!(trace.shutdowns, 0);
}

#[test]
fn a_client_that_reads_500_bytes_a_second_gets_its_answer() {
    let mut trace = Trace::new();
    trace.takes(0).reads(get("/big?59000"));
    trace.at(59_999).takes(30_000);
    trace.at(60_000).expires().lives();
    trace.at(119_999).takes(28_999).is("writing");
    trace
        .at(120_000)
        .expires()
        .closes(CloseReason::WriteTimeout);
}

/// A kernel that opens the window in steps of 64 KiB shows nothing of a client that takes 2 kB a
/// second for half a minute.
#[test]
fn a_client_whose_kernel_takes_in_large_steps_gets_its_answer() {
    let mut trace = Trace::new();
    trace.takes(0).reads(get("/big?400000"));
    for step in 1..6 {
        let at = step * 33_000;
        while trace.deadline() < Tick(at) {
            let due = trace.deadline();
            trace.at(due.0).expires().lives();
        }
        trace.at(at).takes(65_536).lives();
    }
}

/// The driver counts what the client has taken before it lets the deadline judge.
#[test]
fn a_client_that_takes_the_last_bytes_in_the_moment_of_the_deadline_is_not_slow() {
    let mut trace = Trace::new();
    trace.takes(10).reads(HELLO).is("writing");
    trace.at(60_000).takes(usize::MAX).lives().is("idle");
    let mut last = Trace::new();
    last.takes(10).reads("BAD\r\n").is("writing");
    last.at(60_000).takes(usize::MAX).lives().is("lingering");
    assert_eq!(last.shutdowns, 1);
}

#[test]
fn a_client_that_does_not_read_its_refusal_is_reset_too() {
    Trace::new()
        .takes(0)
        .reads("BAD\r\n")
        .at(60_000)
        .expires()
        .closes(CloseReason::WriteTimeout);
}

#[test]
fn lingering_ends_after_2_s() {
    let mut trace = Trace::new();
    trace
        .at(500)
        .reads("BAD\r\n")
        .is("lingering")
        .at(2_000)
        .reads("more")
        .lives()
        .at(2_500)
        .expires()
        .closes(CloseReason::BadRequest);
    assert_eq!(trace.shutdowns, 1);
}

#[test]
fn lingering_ends_after_64_kib() {
    Trace::new()
        .reads("BAD\r\n")
        .reads(vec![b'x'; 64 * 1024 - 1])
        .lives()
        .reads("x")
        .closes(CloseReason::BadRequest);
}

#[test]
fn lingering_ends_when_the_client_closes() {
    Trace::new()
        .reads("BAD\r\n")
        .is("lingering")
        .ends_sending()
        .closes(CloseReason::BadRequest);
}
