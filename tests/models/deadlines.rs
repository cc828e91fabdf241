//! Deadlines: whoever is too slow is cut, when and as is said, and nobody else.

use std::time::{Duration, Instant};

use trine::connection::CloseReason;

use crate::Behaviour;
use crate::combination::Combination;
use crate::support::SHORT;
use crate::support::client::{End, get};

pub const GROUP: &[Behaviour] = &[
    ("an idle client is closed", an_idle_client_is_closed),
    ("a slow head gets 408", a_slow_head_gets_408),
    ("a slow body gets 408", a_slow_body_gets_408),
    (
        "a service that is too slow makes a 504",
        a_service_that_is_too_slow_makes_a_504,
    ),
    (
        "a client that reads nothing is reset",
        a_client_that_reads_nothing_is_reset,
    ),
];

/// A deadline is never early, and on a loaded machine not much later.
fn assert_in_time(began: Instant) {
    let took = began.elapsed();
    assert!(took >= SHORT, "{took:?}");
    assert!(took < SHORT + Duration::from_secs(4), "{took:?}");
}

fn an_idle_client_is_closed(combination: &Combination) {
    let server = combination.start_with(|server| server.idle_timeout(SHORT));
    let mut clients: Vec<_> = (0..12).map(|_| server.client()).collect();
    let began = Instant::now();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    for client in &mut clients {
        client.ends(End::Closed);
    }
    assert_in_time(began);
    server.awaits_closed(CloseReason::IdleTimeout, 12);
}

fn a_slow_head_gets_408(combination: &Combination) {
    let server = combination.start_with(|server| server.head_timeout(SHORT));
    let began = Instant::now();
    let mut clients: Vec<_> = (0..12).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send("GET / HT");
    }
    for client in &mut clients {
        assert_eq!(client.answer().status, 408);
    }
    assert_in_time(began);
    drop(clients);
    server.awaits_closed(CloseReason::HeadTimeout, 12);
}

fn a_slow_body_gets_408(combination: &Combination) {
    let server = combination.start_with(|server| server.body_timeout(SHORT));
    let began = Instant::now();
    let mut client = server.client();
    client.send("POST /collected HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nslow");
    assert_eq!(client.answer().status, 408);
    assert_in_time(began);
    drop(client);
    server.awaits_closed(CloseReason::BodyTimeout, 1);
}

fn a_service_that_is_too_slow_makes_a_504(combination: &Combination) {
    let server = combination.start_with(|server| server.handler_timeout(SHORT));
    let began = Instant::now();
    let mut client = server.client();
    client.send(get("/later/1500"));
    assert_eq!(client.answer().status, 504);
    assert_in_time(began);
    drop(client);
    server.awaits_closed(CloseReason::HandlerTimeout, 1);
}

fn a_client_that_reads_nothing_is_reset(combination: &Combination) {
    let server = combination.start_with(|server| server.write_rate(1_000_000, SHORT));
    let began = Instant::now();
    let mut client = server.client();
    client.send(get("/shared"));
    server.awaits_closed(CloseReason::WriteTimeout, 1);
    assert_in_time(began);
    assert_eq!(client.rest().1, End::Reset);
}
