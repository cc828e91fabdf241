//! Each request is answered exactly once, whatever the service does.

mod trace;

use std::sync::atomic::Ordering;
use std::thread;

use trace::{DEFER, HELLO, Trace, get};
use trine::connection::CloseReason;
use trine::http::Response;

#[test]
fn a_deferred_answer_may_come_from_any_thread() {
    let mut trace = Trace::new();
    trace.reads(DEFER).is("waiting").answers(&[]);
    let deferred = trace.deferred.remove(0);
    thread::spawn(move || deferred.send(Response::text("elsewhere")))
        .join()
        .unwrap();
    assert_eq!(trace.wakes.load(Ordering::Relaxed), 1);
    trace.next_turn().answers(&["200 elsewhere"]).is("idle");
}

#[test]
fn a_deferred_answer_is_held_as_long_as_the_service_says() {
    let mut trace = Trace::new();
    trace.at(500).reads(get("/after?250") + HELLO).is("held");
    trace.at(749).next_turn().answers(&[]);
    trace.at(750).expires().answers(&["200 after", "200 hello"]);
}

#[test]
fn an_answer_deferred_and_sent_at_once_is_given_at_once() {
    Trace::new().reads(get("/after?0")).answers(&["200 after"]);
}

#[test]
fn a_held_answer_takes_the_place_of_the_handler_deadline() {
    Trace::new()
        .reads(get("/after?40000"))
        .at(40_000)
        .expires()
        .answers(&["200 after"]);
}

#[test]
fn a_deferred_answer_dropped_unsent_is_answered_500() {
    Trace::new()
        .reads(get("/dropped"))
        .answers(&["500 close Internal Server Error"])
        .ends_sending()
        .closes(CloseReason::Abandoned);

    let mut trace = Trace::new();
    trace.reads(DEFER);
    trace.deferred.clear();
    assert_eq!(trace.wakes.load(Ordering::Relaxed), 1);
    trace
        .next_turn()
        .answers(&["500 close Internal Server Error"]);
}

#[test]
fn a_panic_of_the_service_is_answered_500_behind_earlier_answers() {
    let mut trace = Trace::new();
    trace
        .reads([HELLO, &get("/panic"), HELLO].concat())
        .answers(&["200 hello", "500 close Internal Server Error"])
        .ends_sending()
        .closes(CloseReason::HandlerPanicked);
    assert_eq!(trace.served, 2);
}

#[test]
fn an_answer_given_before_a_panic_is_not_sent() {
    Trace::new()
        .reads(get("/answers_and_panics"))
        .answers(&["500 close Internal Server Error"]);
}

#[test]
fn a_proof_kept_from_another_request_does_not_deceive_the_connection() {
    let mut first = Trace::new();
    first.reads(get("/answers_and_panics"));
    let mut second = Trace::new();
    second.stale = first.stale.take();
    assert!(second.stale.is_some());
    second
        .reads(get("/stale"))
        .answers(&["500 close Internal Server Error"])
        .ends_sending()
        .closes(CloseReason::Unanswered);
}

#[test]
fn head_gets_no_content_even_with_an_error() {
    let head = "HEAD /defer HTTP/1.1\r\nHost: a\r\n\r\n";
    Trace::new()
        .reads(head)
        .at(30_000)
        .expires()
        .answers(&["504 close"]);
    Trace::new()
        .reads(head.replace("defer", "panic"))
        .answers(&["500 close"]);
}

#[test]
fn a_deferred_answer_is_cancelled_when_its_client_resets() {
    let mut trace = Trace::new();
    trace.reads(DEFER);
    assert!(!trace.deferred[0].is_cancelled());
    trace.resets().closes(CloseReason::PeerReset);
    assert!(trace.deferred[0].is_cancelled());
    trace.sends("nobody").answers(&[]);
}

#[test]
fn dropping_a_connection_cancels_its_deferred_answer() {
    let mut trace = Trace::new();
    trace.reads(DEFER);
    let deferred = trace.deferred.remove(0);
    drop(trace);
    assert!(deferred.is_cancelled());
}

#[test]
fn only_a_late_client_makes_a_deferred_answer_wait() {
    let mut trace = Trace::new();
    trace.takes(0).reads([HELLO, DEFER].concat());
    trace.is("waiting").sends("later").is("writing");
    trace
        .takes(usize::MAX)
        .answers(&["200 hello", "200 later"])
        .is("idle");
}

#[test]
fn an_interim_response_is_no_answer() {
    for path in ["/interim", "/interim_later"] {
        Trace::new()
            .reads(get(path))
            .answers(&["500 close Internal Server Error"])
            .ends_sending()
            .closes(CloseReason::Unanswered);
    }
}
