//! How connections end: by the client, by a draining server, by force.

mod trace;

use trace::{DEFER, HELLO, Trace, get};
use trine::connection::{CloseReason, Connection, Pools, Step, Turn};
use trine::http::HttpDate;
use trine::time::Tick;

const HALF_HEAD: &str = "GET /hello HTTP/1.1\r\nHo";
const HALF_BODY: &str = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab";

#[test]
fn a_client_that_closes_between_messages_is_left_in_peace() {
    Trace::new()
        .ends_sending()
        .answers(&[])
        .closes(CloseReason::PeerClosed);
    Trace::new()
        .reads(HELLO)
        .answers(&["200 hello"])
        .ends_sending()
        .closes(CloseReason::PeerClosed);
}

#[test]
fn a_half_closed_client_gets_all_its_answers() {
    let mut trace = Trace::new();
    trace
        .takes(0)
        .reads([HELLO, DEFER].concat())
        .ends_sending()
        .is("waiting");
    trace
        .at(3_000)
        .sends("later")
        .takes(usize::MAX)
        .answers(&["200 hello", "200 later"])
        .closes(CloseReason::PeerClosed);
    assert_eq!(trace.shutdowns, 0);
}

#[test]
fn a_client_that_closes_inside_a_message_is_told_so_and_not_awaited() {
    for half in [HALF_HEAD, HALF_BODY] {
        let mut trace = Trace::new();
        trace
            .reads([HELLO, half].concat())
            .ends_sending()
            .answers(&["200 hello", "400 close Bad Request"])
            .closes(CloseReason::Truncated);
        assert_eq!(trace.shutdowns, 0);
    }
}

#[test]
fn a_reset_ends_every_state_at_once() {
    let states = [
        ("head", ""),
        ("head", HALF_HEAD),
        ("body", HALF_BODY),
        ("idle", HELLO),
        ("waiting", DEFER),
        ("held", "GET /after?9 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ];
    for (state, bytes) in states {
        let mut trace = Trace::new();
        trace.reads(bytes).is(state);
        trace.resets().closes(CloseReason::PeerReset);
        trace.aborts().closes(CloseReason::PeerReset); // the first reason stands
    }
    let mut writing = Trace::new();
    writing.takes(0).reads(HELLO).is("writing");
    writing.resets().closes(CloseReason::PeerReset);
    let mut lingering = Trace::new();
    lingering.reads("NO\r\n").is("lingering");
    lingering.resets().closes(CloseReason::BadRequest);
}

#[test]
fn a_draining_server_closes_idle_connections_unless_they_ask_once_more_within_75_ms() {
    Trace::new()
        .reads(HELLO)
        .answers(&["200 hello"])
        .drains()
        .is("idle") // a request may be on its way
        .at(75)
        .expires()
        .answers(&[])
        .is("lingering") // its end is said; its answer may still be on its way
        .ends_sending()
        .closes(CloseReason::DrainedIdle);
    Trace::new()
        .reads(HELLO)
        .answers(&["200 hello"])
        .drains()
        .at(74)
        .reads(HELLO)
        .answers(&["200 close hello"])
        .ends_sending()
        .closes(CloseReason::Drained);
    // What only looks like news puts nothing off, and neither does the drain a deadline.
    Trace::new()
        .reads(HELLO)
        .answers(&["200 hello"])
        .drains()
        .at(50)
        .drains()
        .at(75)
        .expires()
        .is("lingering");
    Trace::new()
        .reads(HELLO)
        .answers(&["200 hello"])
        .at(74_990)
        .drains()
        .at(75_000)
        .expires()
        .is("lingering")
        .ends_sending()
        .closes(CloseReason::DrainedIdle);
}

#[test]
fn a_draining_server_hears_a_client_that_has_just_connected_for_a_quarter_of_a_second() {
    Trace::new()
        .drains()
        .answers(&[])
        .at(250)
        .expires()
        .answers(&[])
        .closes(CloseReason::DrainedIdle);
    Trace::new()
        .reads("\r\n")
        .at(1_000)
        .drains()
        .at(1_250)
        .expires()
        .answers(&[])
        .closes(CloseReason::DrainedIdle);
    Trace::new()
        .drains()
        .at(249)
        .reads(HELLO)
        .answers(&["200 close hello"])
        .ends_sending()
        .closes(CloseReason::Drained);
    // The deadline of the first head is not put off.
    Trace::new()
        .at(9_900)
        .drains()
        .at(10_000)
        .expires()
        .closes(CloseReason::DrainedIdle);
}

#[test]
fn a_draining_server_answers_what_has_begun_and_says_close() {
    let mut head = Trace::new();
    head.reads(HALF_HEAD).drains().lives();
    head.at(5_000)
        .reads("st: a\r\n\r\n")
        .answers(&["200 close hello"]);

    let mut body = Trace::new();
    body.reads(HALF_BODY).drains().lives();
    body.reads("cd").answers(&["200 close abcd"]);

    let mut waiting = Trace::new();
    waiting.reads(DEFER).drains().is("waiting");
    waiting.sends("later").answers(&["200 close later"]);

    let mut held = Trace::new();
    held.reads(get("/after?10")).drains().is("held");
    held.at(10).expires().answers(&["200 close after"]);

    for mut trace in [head, body, waiting, held] {
        trace.is("lingering").ends_sending();
        trace.closes(CloseReason::Drained);
    }
}

#[test]
fn a_draining_server_drops_what_is_pipelined_behind_the_last_answer() {
    let mut trace = Trace::new();
    trace.reads([DEFER, HELLO, HELLO].concat()).drains();
    trace
        .sends("last")
        .answers(&["200 close last"])
        .is("lingering");
    assert_eq!(trace.served, 1);
}

#[test]
fn a_draining_server_finishes_writing() {
    let mut trace = Trace::new();
    trace.takes(10).reads(HELLO).is("writing").drains().lives();
    trace
        .takes(usize::MAX)
        .answers(&["200 hello"])
        .is("idle")
        .at(75)
        .expires()
        .is("lingering")
        .ends_sending()
        .closes(CloseReason::DrainedIdle);
}

#[test]
fn a_draining_server_still_has_deadlines() {
    Trace::new()
        .reads(HALF_HEAD)
        .drains()
        .at(10_000)
        .expires()
        .answers(&["408 close Request Timeout"]);
}

#[test]
fn force_ends_what_a_drain_could_not() {
    assert!(CloseReason::Forced.resets());
    let mut trace = Trace::new();
    trace.reads(DEFER).drains().is("waiting");
    trace.aborts().answers(&[]).closes(CloseReason::Forced);
    assert!(trace.deferred[0].is_cancelled());
}

#[test]
fn a_server_that_is_full_says_503_and_closes() {
    let (config, date, mut pools) = (Default::default(), HttpDate::from_unix(0), Pools::default());
    let mut turn = Turn::new(Tick(0), &date, &config, &mut pools);
    let mut connection = Connection::refused(&mut turn);
    assert_eq!(connection.poll(&mut turn), Step::Write);
    assert!(connection.output().starts_with(b"HTTP/1.1 503 "));
    let step = connection.handle_written(connection.output().len(), &mut turn);
    assert_eq!(step, Step::Shutdown);
    assert_eq!(connection.poll(&mut turn), Step::Read);
    connection.handle_eof(turn.pools);
    assert_eq!(
        connection.poll(&mut turn),
        Step::Close(CloseReason::Overloaded)
    );
}

#[test]
fn facts_about_a_closed_connection_change_nothing() {
    let mut trace = Trace::new();
    trace.resets().closes(CloseReason::PeerReset);
    trace.drains().ends_sending().reads(HELLO).aborts();
    trace.closes(CloseReason::PeerReset);
    assert_eq!(trace.served, 0);
}

#[test]
fn reasons_count_from_zero_without_gaps_and_have_different_names() {
    let mut names: Vec<String> = Vec::new();
    for (index, reason) in CloseReason::ALL.iter().enumerate() {
        assert_eq!(reason.index(), index);
        names.push(reason.to_string());
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), CloseReason::ALL.len());
}
