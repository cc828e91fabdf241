//! Exchanges in pieces: bounded memory, back-pressure both ways, and an end for each way to fail.

mod trace;

use std::sync::atomic::Ordering;

use trace::{HELLO, Trace, get};
use trine::connection::{CloseReason, Config, Connection, FlowError, Pools, Step, Turn};
use trine::http::HttpDate;
use trine::time::Tick;

fn post(path: &str, framing: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n")
}

fn chunked(path: &str) -> String {
    post(path, "Transfer-Encoding: chunked")
}

fn with_length(path: &str, len: usize) -> String {
    post(path, &format!("Content-Length: {len}"))
}

#[test]
fn a_body_is_given_away_as_it_comes_and_the_answer_goes_out_as_it_is_made() {
    for head in [with_length("/pieces/echo", 6), chunked("/pieces/echo")] {
        let pieces = match head.contains("chunked") {
            true => ["3\r\nabc\r", "\n3;x=y\r\ndef\r\n0\r\n", "\r\n"],
            false => ["abc", "de", "f"],
        };
        let mut trace = Trace::new();
        trace.reads(&head).is("streaming");
        for piece in pieces {
            trace.reads(piece);
        }
        trace.answers(&["200 chunked (6 bytes)"]).is("idle");
        trace.reads(HELLO).answers(&["200 hello"]); // the connection is of further use
        let all = [&head, pieces.concat().as_str(), HELLO].concat();
        Trace::new()
            .reads(&all)
            .answers(&["200 chunked (6 bytes)", "200 hello"]);
        let mut dripped = Trace::new();
        for octet in all.chars() {
            dripped.reads(octet.to_string());
        }
        dripped.answers(&["200 chunked (6 bytes)", "200 hello"]);
    }
}

#[test]
fn an_answer_in_pieces_has_a_declared_length_or_chunks_or_ends_with_the_connection() {
    let mut trace = Trace::new();
    trace
        .reads(get("/pieces/declared/300000"))
        .answers(&["200 (300000 bytes)"]);
    trace
        .reads(get("/pieces/count/300000"))
        .answers(&["200 chunked (300000 bytes)"]);
    trace
        .reads(get("/pieces/declared/0"))
        .answers(&["200"])
        .is("idle");
    trace
        .reads("HEAD /pieces/declared/70 HTTP/1.1\r\nHost: a\r\n\r\n")
        .answers_heads(&["200"])
        .is("idle");
    trace
        .reads("GET /pieces/count/5 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .ends_sending()
        .closes(CloseReason::CloseRequested);
    assert!(trace.takes_all().ends_with("\r\n\r\nxxxxx"));
}

#[test]
fn a_client_that_does_not_read_is_not_produced_for_and_not_read_from() {
    let mut trace = Trace::new();
    trace
        .takes(0)
        .reads(get("/pieces/count/100000000"))
        .is("streaming");
    assert!(trace.connection.output().len() <= 64 * 1024);
    let mut echo = Trace::new();
    let body = "x".repeat(1_000_000);
    echo.takes(0)
        .reads(with_length("/pieces/echo", body.len()) + &body);
    assert!(echo.unread() > 900_000, "{} unread", echo.unread());
    assert!(echo.connection.memory() <= 200 * 1024);
    echo.takes(usize::MAX)
        .answers(&["200 chunked (1000000 bytes)"])
        .is("idle");
}

#[test]
fn a_body_that_nobody_takes_is_not_read_and_its_service_is_late_after_30_s() {
    let mut trace = Trace::new();
    trace.reads(with_length("/pieces/stuck", 1_000_000) + &"x".repeat(500_000));
    assert!(trace.unread() > 400_000, "{} unread", trace.unread());
    trace.wakes();
    assert!(trace.unread() > 400_000, "it is offered again, in vain");
    trace
        .at(30_000)
        .expires()
        .answers(&["504 close Gateway Timeout"])
        .ends_sending()
        .closes(CloseReason::HandlerTimeout);
}

#[test]
fn the_end_of_a_body_is_told_with_its_trailers() {
    let mut trace = Trace::new();
    trace
        .reads(chunked("/pieces/sink") + "5\r\nabcde\r\n0\r\nX-Sum: 1\r\nX-Too: 2\r\n\r\n")
        .answers(&["200 5 X-Sum X-Too"]);
    trace
        .reads(with_length("/pieces/sink", 3) + "abc")
        .answers(&["200 3"])
        .is("idle");
}

#[test]
fn a_client_that_waits_for_leave_is_given_it_before_the_answer() {
    let head = post("/pieces/sink", "Content-Length: 3\r\nExpect: 100-continue");
    Trace::new()
        .reads(head)
        .answers(&["100"])
        .reads("abc")
        .answers(&["200 3"]);
}

#[test]
fn what_an_early_answer_leaves_unread_is_read_for_nobody_within_limits() {
    let mut little = Trace::new();
    little
        .reads(with_length("/pieces/early", 10))
        .answers(&["200 early"])
        .reads("0123456789")
        .reads(HELLO)
        .answers(&["200 hello"]);
    let mut much = Trace::new();
    much.reads(chunked("/pieces/early"))
        .answers(&["200 early"])
        .reads(format!("{:x}\r\n", 100_000) + &"x".repeat(70_000))
        .is("lingering")
        .ends_sending()
        .closes(CloseReason::Unread);
}

#[test]
fn an_answer_given_up_is_500_before_it_began_and_a_reset_after() {
    assert!(CloseReason::Aborted.resets());
    Trace::new()
        .reads(get("/pieces/silent/"))
        .answers(&["500 close Internal Server Error"])
        .ends_sending()
        .closes(CloseReason::Unanswered);
    Trace::new()
        .reads(get("/pieces/short/"))
        .closes(CloseReason::Aborted);
}

#[test]
fn a_panic_of_an_exchange_is_500_before_the_answer_began() {
    Trace::new()
        .reads(with_length("/pieces/panics", 3) + "abc")
        .answers(&["500 close Internal Server Error"])
        .ends_sending()
        .closes(CloseReason::HandlerPanicked);
    Trace::new()
        .reads(with_length("/opens_and_panics", 3))
        .answers(&["500 close Internal Server Error"])
        .ends_sending()
        .closes(CloseReason::HandlerPanicked);
}

#[test]
fn a_body_in_pieces_has_a_lowest_rate_and_no_end() {
    let mut trace = Trace::new();
    trace.reads(with_length("/pieces/sink", 1_000_000));
    for second in 1..200 {
        trace.at(second * 1_000 - 1).reads("x".repeat(500));
        if second % 5 == 0 {
            trace.at(second * 1_000).expires().lives();
        }
    }
    trace
        .at(200_000)
        .expires()
        .answers(&["408 close Request Timeout"])
        .ends_sending()
        .closes(CloseReason::BodyTooSlow);
}

/// The time in which its own answer is written does not count for it, and does not help it either.
#[test]
fn a_drip_is_too_slow_even_if_each_octet_is_answered() {
    let mut trace = Trace::new();
    trace.reads(chunked("/pieces/echo"));
    trace.at(2_000).reads("1\r\nx\r\n").lives();
    trace.at(4_000).reads("1\r\nx\r\n").lives();
    trace
        .at(5_000)
        .expires()
        .is("lingering")
        .ends_sending()
        .closes(CloseReason::BodyTooSlow);
}

#[test]
fn a_client_that_takes_nothing_of_an_answer_in_pieces_is_reset() {
    Trace::new()
        .takes(0)
        .reads(get("/pieces/count/1000000"))
        .at(60_000)
        .expires()
        .closes(CloseReason::WriteTimeout);
    let mut steady = Trace::new();
    steady.takes(0).reads(get("/pieces/count/1000000"));
    for minute in 1..5 {
        steady.takes(30_000).at(minute * 60_000).expires().lives();
    }
}

#[test]
fn a_body_that_is_too_long_is_refused_declared_or_not() {
    let limited = || Trace::with(|config| config.limits.streamed_bytes_max = 2_000_000);
    limited()
        .reads(with_length("/pieces/echo", 2_000_001))
        .answers(&["413 close Content Too Large"])
        .ends_sending()
        .closes(CloseReason::TooLarge);
    limited()
        .reads(chunked("/pieces/sink") + "1e8480\r\n") // 2,000,000
        .reads("x".repeat(2_000_000) + "\r\n1\r\n")
        .answers(&["413 close Content Too Large"])
        .ends_sending()
        .closes(CloseReason::TooLarge);
    // Collected, the smaller limit holds.
    limited()
        .reads(with_length("/echo", 1_048_577))
        .answers(&["413 close Content Too Large"])
        .ends_sending()
        .closes(CloseReason::TooLarge);
}

#[test]
fn a_body_that_breaks_off_or_the_rules_ends_the_exchange() {
    Trace::new()
        .reads(with_length("/pieces/sink", 10) + "abc")
        .ends_sending()
        .answers(&["400 close Bad Request"])
        .closes(CloseReason::Truncated);
    Trace::new()
        .reads(chunked("/pieces/sink") + "x\r\n")
        .answers(&["400 close Bad Request"])
        .ends_sending()
        .closes(CloseReason::BadRequest);
    // The answer has begun: it breaks off, without its last chunk.
    let mut begun = Trace::new();
    begun
        .reads(chunked("/pieces/echo") + "1\r\na\r\nx\r\n")
        .ends_sending();
    begun.closes(CloseReason::BadRequest);
    assert!(!begun.takes_all().contains("0\r\n\r\n"));
}

#[test]
fn an_exchange_under_way_is_finished_by_a_draining_server() {
    let mut trace = Trace::new();
    trace.reads(with_length("/pieces/echo", 3) + "a").drains();
    trace
        .reads("bc")
        .answers(&["200 chunked (3 bytes)"])
        .is("idle") // its head did not say that it was the last
        .at(75)
        .expires()
        .ends_sending()
        .closes(CloseReason::DrainedIdle);
    let mut unanswered = Trace::new();
    unanswered
        .reads(with_length("/pieces/sink", 3) + "a")
        .drains();
    unanswered.reads("bc").answers(&["200 close 3"]);
}

#[test]
fn a_client_that_is_gone_ends_the_exchange() {
    Trace::new()
        .reads(with_length("/pieces/echo", 3))
        .resets()
        .closes(CloseReason::PeerReset);
    Trace::new()
        .reads(with_length("/pieces/stuck", 3))
        .aborts()
        .closes(CloseReason::Forced);
}

#[test]
fn an_answer_that_is_given_up_is_never_taken_for_a_whole_one() {
    Trace::new()
        .reads(get("/pieces/aborts/0"))
        .answers(&["500 close Internal Server Error"])
        .ends_sending()
        .closes(CloseReason::Unanswered);
    Trace::new()
        .reads(get("/pieces/aborts/1"))
        .closes(CloseReason::Aborted);
    // Where the end of the connection is the end of the content, a deadline cuts by a reset too.
    let head = "POST /pieces/echo HTTP/1.0\r\nContent-Length: 9\r\n\r\nabc";
    let mut old = Trace::new();
    old.reads(head).at(5_000).expires();
    old.closes(CloseReason::Aborted);
}

#[test]
fn an_answer_begins_once_and_is_no_interim_one() {
    Trace::new()
        .reads(get("/pieces/insists/"))
        .answers(&["200 once"])
        .is("idle");
    for error in [FlowError::HasBegun, FlowError::Informational] {
        assert!(error.to_string().contains("answer"), "{error}");
    }
}

#[test]
fn a_status_without_content_has_none_whatever_is_written() {
    for status in [204, 205, 304] {
        let mut trace = Trace::new();
        trace.reads(get(&format!("/pieces/status/{status}")));
        trace.answers(&[&status.to_string()]).is("idle");
    }
    let mut trace = Trace::new();
    trace.reads(get("/pieces/status/201")).answers(&["201 abc"]);
}

#[test]
fn an_exchange_is_asked_again_after_each_wake_up() {
    let mut trace = Trace::new();
    trace.reads(get("/pieces/sleeps/")).answers(&[]);
    trace.wakes().answers(&[]);
    trace.wakes().answers(&["200 awake"]).is("idle");
    assert_eq!(trace.wakes.load(Ordering::Relaxed), 3);
}

#[test]
fn a_service_that_is_never_asked_is_late_all_the_same() {
    let (date, mut pools) = (HttpDate::from_unix(0), Pools::default());
    let config = Config::default();
    for (head, step) in [
        (HELLO, Step::Request),
        (&with_length("/", 5), Step::Announced),
    ] {
        let mut connection = Connection::new(Tick(0), &config);
        let mut turn = Turn::new(Tick(0), &date, &config, &mut pools);
        connection.input_space(turn.pools)[..head.len()].copy_from_slice(head.as_bytes());
        assert_eq!(connection.handle_input(head.len(), &mut turn), step);
        assert_eq!(connection.poll(&mut turn), step, "it is said again");
        assert!(!connection.is_reading() && !connection.is_settled());
        let mut turn = Turn::new(Tick(30_000), &date, &config, &mut pools);
        connection.handle_deadline(&mut turn);
        assert_eq!(connection.poll(&mut turn), Step::Write);
        assert!(connection.output().starts_with(b"HTTP/1.1 504 "));
        connection.handle_abort(&mut pools);
        assert!(connection.is_settled());
    }
}

#[test]
fn a_request_without_content_has_an_end_too() {
    for request in [
        get("/pieces/echo"),
        with_length("/pieces/echo", 0),
        chunked("/pieces/echo") + "0\r\n\r\n",
    ] {
        Trace::new()
            .reads(&request)
            .answers(&["200 chunked (0 bytes)"])
            .is("idle");
    }
}

#[test]
fn the_last_answer_in_pieces_is_followed_by_a_linger() {
    let last = |head: String| head.replace("Host: a", "Host: a\r\nConnection: close");
    // Much of it may be in the kernel, and closing on bytes not read would cost the client that.
    let mut trace = Trace::new();
    trace.reads(last(get("/pieces/count/100"))).is("lingering");
    assert_eq!(trace.shutdowns, 1);
    trace.ends_sending().closes(CloseReason::CloseRequested);
    Trace::new()
        .reads(last(get("/big?1000000")))
        .is("lingering");
    // Nobody waits for the rest of a body on a connection that ends.
    Trace::new()
        .reads(last(with_length("/pieces/early", 1_000)))
        .answers(&["200 close early"])
        .is("lingering");
    Trace::new()
        .reads(with_length("/pieces/early", 1_000))
        .answers(&["200 early"])
        .is("streaming")
        .drains()
        .is("lingering")
        .ends_sending()
        .closes(CloseReason::Drained);
    // Nor for more than is read for nobody.
    Trace::new()
        .reads(with_length("/pieces/early", 100_000))
        .answers(&["200 early"])
        .is("lingering")
        .ends_sending()
        .closes(CloseReason::Unread);
}

#[test]
fn a_client_that_waits_for_leave_and_gets_an_answer_is_not_told_to_go_on() {
    let head = post("/pieces/early", "Content-Length: 3\r\nExpect: 100-continue");
    Trace::new()
        .reads(head)
        .answers(&["200 early"])
        .is("lingering")
        .ends_sending()
        .closes(CloseReason::Unread);
}

#[test]
fn an_exchange_that_gives_little_at_a_time_has_its_share_of_a_turn() {
    let mut trace = Trace::new();
    trace.turns_follow = false;
    trace.reads(get("/pieces/drip/1000"));
    assert!(
        trace.wants_a_turn() && trace.writes <= 64,
        "{} writes",
        trace.writes
    );
    trace.turns_follow = true;
    trace.next_turn().answers(&["200 (1000 bytes)"]).is("idle");
}

#[test]
fn what_is_left_of_a_piece_is_offered_again_while_there_is_room() {
    Trace::new()
        .reads(with_length("/pieces/half", 1_000) + &"x".repeat(1_000))
        .answers(&["200 1000"])
        .is("idle");
}

#[test]
fn a_service_that_takes_a_little_after_each_wake_up_is_not_late() {
    let mut trace = Trace::new();
    trace.reads(with_length("/pieces/nibble", 100) + &"x".repeat(100));
    for second in 1..100 {
        trace.at(second * 1_000).wakes().lives();
    }
    let until = trace.deadline();
    trace
        .at(until.0)
        .expires()
        .answers(&["504 close Gateway Timeout"]);
}

#[test]
fn a_large_answer_of_an_exchange_is_not_copied_before_it_is_taken() {
    let mut trace = Trace::new();
    trace.takes(0).reads(get("/pieces/whole/5000000"));
    assert!(trace.connection.memory() <= 160 * 1024);
    trace
        .takes(usize::MAX)
        .answers(&["200 (5000000 bytes)"])
        .is("idle");
}

/// What the kernel took at once says nothing of the client.
#[test]
fn the_window_for_a_slow_reader_begins_when_the_socket_is_full() {
    for path in ["/pieces/count/10000000", "/big?10000000"] {
        Trace::new()
            .at(500)
            .takes(1_000_000)
            .reads(get(path))
            .at(60_500)
            .expires()
            .closes(CloseReason::WriteTimeout);
    }
    Trace::new()
        .takes(40_000)
        .reads(get("/big?60000"))
        .at(60_000)
        .expires()
        .closes(CloseReason::WriteTimeout);
}
