//! How connections end other than by an error answer: half-close, reset, silence, slow readers.

mod support;

use std::thread;
use std::time::{Duration, Instant};

use support::client::{End, get};
use support::{Running, SHORT, eventually, shares_per_turn, site, start};
use trine::connection::{CloseReason, Rate};
use trine::time::Span;

#[test]
fn a_client_that_shuts_its_half_gets_all_its_answers_then_the_end() {
    let server = start(|server| server, site);
    for _ in 0..20 {
        let mut client = server.client();
        client.send([get("/"), get("/bytes/300000"), get("/")].concat());
        client.finish();
        assert_eq!(client.answer().text(), "Hello, World!");
        assert_eq!(client.answer().body.len(), 300_000);
        assert_eq!(client.answer().text(), "Hello, World!");
        client.ends(End::Closed);
    }
    server.awaits_closed(CloseReason::PeerClosed, 20);
}

#[test]
fn a_client_that_shuts_its_half_inside_a_message_is_told_400() {
    let server = start(|server| server, site);
    let begun = [
        "GET / HT",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ];
    for begun in begun {
        let mut client = server.client();
        client.send(begun);
        client.finish();
        assert_eq!(client.answer().status, 400, "{begun:?}");
        client.ends(End::Closed);
    }
    server.awaits_closed(CloseReason::Truncated, begun.len() as u64);
    assert_eq!(server.stop().server.requests, 0);
}

#[test]
fn a_client_that_leaves_without_a_word_is_forgotten() {
    let server = start(|server| server, site);
    drop(server.client());
    server.awaits_closed(CloseReason::PeerClosed, 1);
    server.client().reset();
    eventually("gone", || server.counters().server.closed_total() == 2);
}

#[test]
fn resets_at_any_moment_leave_nothing_behind() {
    let server = start(|server| server, site);
    let sources = server.counters().sources; // the listener, the inbox, and what serves all
    server.client().get("/"); // warm
    let large = get("/bytes/4000000");
    let moments: [&[u8]; 5] = [
        b"",
        b"GET / HT",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf",
        &get("/"),
        &large,
    ];
    for round in 0..40 {
        for moment in moments {
            let mut client = server.client();
            client.send(moment);
            if round % 2 == 0 {
                thread::yield_now();
            }
            client.reset();
        }
    }
    eventually("all have come and gone", || {
        let counted = server.counters().server;
        (counted.accepted, counted.connections) == (201, 0)
    });
    let counters = server.counters();
    assert_eq!(counters.server.closed_total(), 201);
    assert_eq!(counters.sources, sources);
}

#[test]
fn silence_ends_a_connection_silently() {
    let server = start(
        |server| server.head_timeout(SHORT).idle_timeout(SHORT),
        site,
    );
    let mut silent = server.client();
    let mut idle = server.client();
    assert_eq!(idle.get("/").status, 200);
    silent.ends(End::Closed);
    idle.ends(End::Closed);
    server.awaits_closed(CloseReason::NeverSpoke, 1);
    server.awaits_closed(CloseReason::IdleTimeout, 1);
}

#[test]
fn a_deadline_is_never_early() {
    let server = start(|server| server.idle_timeout(2 * SHORT), site);
    let mut client = server.client();
    let mut begun = Instant::now();
    for _ in 0..4 {
        thread::sleep(SHORT / 8);
        begun = Instant::now();
        assert_eq!(client.get("/").status, 200);
    }
    client.ends(End::Closed);
    assert!(begun.elapsed() >= 2 * SHORT, "each answer begins it anew");
    server.awaits_closed(CloseReason::IdleTimeout, 1);
}

fn slow_rates(bytes_min: u32) -> Rate {
    Rate {
        bytes_min,
        window: Span::from(SHORT),
    }
}

#[test]
fn a_body_that_comes_too_slowly_is_answered_408() {
    let server = start(|server| server.body_rate(1_000, SHORT), site);
    let mut client = server.client();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\nx");
    assert_eq!(client.answer().status, 408);
    client.ends(End::Closed);
    drop(client);
    server.awaits_closed(CloseReason::BodyTooSlow, 1);
}

#[test]
fn a_client_that_does_not_take_its_answer_is_reset() {
    let server = start(
        |mut server| {
            server.config_mut().deadlines.write_rate = slow_rates(1_000);
            server
        },
        site,
    );
    let mut client = server.client();
    client.send(get("/bytes/30000000"));
    server.awaits_closed(CloseReason::WriteTimeout, 1);
    let (taken, end) = client.rest();
    assert_eq!(end, End::Reset);
    assert!(taken.len() < 30_000_000);
}

#[test]
fn a_client_that_takes_its_answer_slowly_but_steadily_gets_all_of_it() {
    let server = start(
        |mut server| {
            server.config_mut().deadlines.write_rate = slow_rates(1);
            server
        },
        site,
    );
    let mut client = server.client();
    client.send(get("/bytes/20000000"));
    let mut took = 0;
    let head = client.head();
    while took < 20_000_000 {
        took += client.take(2_000_000.min(20_000_000 - took));
        thread::sleep(Duration::from_millis(40)); // more than one window in all
    }
    assert_eq!((head.status, took), (200, 20_000_000));
}

#[test]
fn a_client_that_pipelines_and_never_reads_stops_the_parser() {
    let server = start(
        |mut server| {
            server.config_mut().requests_per_connection_max = 100_000;
            server
        },
        site,
    );
    let mut client = server.client();
    client.send(get("/bytes/65536").repeat(1_000));
    let served = |server: &Running| server.counters().server.requests;
    eventually("it begins", || served(&server) > 0);
    let mut before = 0;
    eventually("it stands still", || {
        thread::sleep(Duration::from_millis(20));
        let now = served(&server);
        std::mem::replace(&mut before, now) == now
    });
    assert!(before < 500, "{before} of 1000 answered for nobody");
    for _ in 0..1_000 {
        assert_eq!(client.answer().body.len(), 65_536);
    }
}

#[test]
fn a_flood_of_pipelined_requests_does_not_keep_others_waiting() {
    let server = start(
        |mut server| {
            server.config_mut().requests_per_connection_max = u32::MAX;
            server
        },
        site,
    );
    let mut flood = server.client();
    let mut other = server.client();
    assert_eq!(other.get("/").status, 200);
    flood.send(get("/").repeat(1_000));
    let before = server.counters();
    assert_eq!(other.get("/").status, 200);
    let after = server.counters();
    // 16 requests of the flood are answered in a turn, and then everybody else has theirs.
    let turns = after.turns - before.turns;
    let requests = after.server.requests - before.server.requests;
    assert!(
        requests <= 16 * shares_per_turn() * (turns + 1) + 1,
        "{requests} in {turns} turns"
    );
    for _ in 0..1_000 {
        assert_eq!(flood.answer().status, 200);
    }
}

#[test]
fn a_drain_in_the_middle_of_an_answer_delivers_all_of_it_whatever_is_pipelined_behind() {
    const SIZE: usize = 12_000_000;
    let server = start(|server| server, site);
    let mut client = server.client();
    client.send(get(&format!("/bytes/{SIZE}")));
    assert!(client.take(1_000) > 0, "it has begun");
    client.send(get("/")); // behind it, and perhaps never read
    server.drain(Duration::from_secs(10));
    let (rest, end) = client.rest();
    assert_eq!(end, End::Closed, "after {} bytes", rest.len());
    assert!(rest.len() > SIZE - 1_000);
    drop(client);
    server.ended().unwrap();
}
