//! Limits: of a request, and of the server as a whole, however many loops it has.

use std::time::Duration;

use trine::Server;
use trine::connection::CloseReason;
use trine::server::Ladder;
use trine::time::Span;

use crate::Behaviour;
use crate::combination::{Combination, LOOPS, Running};
use crate::support::client::{Client, get};
use crate::support::eventually;

/// Clients that are told at one time that there is no room.
const REFUSALS: usize = 64;

pub const GROUP: &[Behaviour] = &[
    (
        "a head that is too long gets 431",
        a_head_that_is_too_long_gets_431,
    ),
    (
        "a body that is too long gets 413",
        a_body_that_is_too_long_gets_413,
    ),
    (
        "a connection has so many requests",
        a_connection_has_so_many_requests,
    ),
    (
        "clients beyond the limit get 503",
        clients_beyond_the_limit_get_503,
    ),
    ("whoever is idle makes room", whoever_is_idle_makes_room),
    (
        "a place that comes free is taken",
        a_place_that_comes_free_is_taken,
    ),
    (
        "who waits gets the place that comes free",
        who_waits_gets_the_place_that_comes_free,
    ),
];

fn a_head_that_is_too_long_gets_431(combination: &Combination) {
    let server = combination.start();
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX: ");
    client.try_send("x".repeat(20_000));
    assert_eq!(client.answer().status, 431);
}

fn a_body_that_is_too_long_gets_413(combination: &Combination) {
    let server = combination.start_with(|server| server.body_bytes_max(100));
    let mut client = server.client();
    client.send("POST /collected HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n");
    assert_eq!(client.answer().status, 413);
    let mut client = server.client();
    client.send("POST /collected HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(format!("65\r\n{}\r\n0\r\n\r\n", "x".repeat(101)));
    assert_eq!(client.answer().status, 413);
}

fn a_connection_has_so_many_requests(combination: &Combination) {
    let server = combination.start_with(|server| server.requests_per_connection_max(3));
    let mut client = server.client();
    for number in 1..=3 {
        let is_last = client.get("/").says("Connection: close");
        assert_eq!(is_last, number == 3);
    }
    server.awaits_closed(CloseReason::RequestCap, 1);
}

/// Clients that wait for an answer, so that none of them makes room, and the threads that serve them: as
/// many as the server takes. More come, as the kernel spreads them, until each loop has what it may.
fn fill(combination: &Combination, server: &Running, places: usize) -> Vec<(Client, String)> {
    let mut served = Vec::new();
    for _ in 0..places * 50 {
        let mut client = server.client();
        client.send([get("/thread"), get("/held"), get("/")].concat());
        let answer = client.answer();
        if answer.status == 200 {
            served.push((client, answer.text().to_owned()));
            let count = served.len();
            eventually("it is held", || server.gate().held() == count);
        } else {
            assert_eq!(answer.status, 503);
            assert!(
                !combination.is_even(),
                "refused with {} of {places} served",
                served.len()
            );
        }
        if served.len() == places {
            return served;
        }
    }
    panic!("{} of {places} served", served.len());
}

fn clients_beyond_the_limit_get_503(combination: &Combination) {
    let places = 2 * LOOPS;
    let server = combination.start_with(|server| server.connections_max(places));
    assert_eq!(server.counted().connections_max, places);
    let served = fill(combination, &server, places);
    for _ in 0..5 {
        let mut client = server.client();
        let answer = client.get("/");
        assert_eq!(answer.status, 503);
        assert!(answer.says("Connection: close"));
    }
    server.gate().open();
    for (mut client, _) in served {
        assert_eq!(client.answer().text(), "late");
        assert_eq!(client.answer().status, 200);
    }
    eventually("they are counted", || {
        server.counted().closed(CloseReason::Overloaded) >= 5
    });
}

fn whoever_is_idle_makes_room(combination: &Combination) {
    let places = 2 * LOOPS;
    let ladder = Ladder {
        idle_min: Span::from_millis(1),
        ..Ladder::default()
    };
    let configure = |server: Server| server.connections_max(places).overload(ladder);
    let server = combination.start_with(configure);
    let mut clients = Vec::new();
    for _ in 0..3 * places {
        let mut client = server.client();
        assert_eq!(client.get("/").status, 200);
        clients.push(client);
        std::thread::sleep(Duration::from_millis(10));
    }
    eventually("so many have made room", || {
        let counted = server.meter().read();
        let evicted = counted.closed(CloseReason::Evicted) as usize;
        evicted >= 2 * places && counted.connections + evicted == 3 * places
    });
}

fn a_place_that_comes_free_is_taken(combination: &Combination) {
    let places = LOOPS;
    let server = combination.start_with(|server| server.connections_max(places));
    for _ in 0..3 {
        server.gate().shut();
        let served = fill(combination, &server, places);
        served.into_iter().for_each(|(client, _)| client.reset());
        eventually("all have left", || server.counted().connections == 0);
    }
}

/// Where one loop accepts for all, it is told of the place by another one.
fn who_waits_gets_the_place_that_comes_free(combination: &Combination) {
    let places = 2 * LOOPS;
    let server = combination.start_with(|mut server| {
        server.config_mut().deadlines.linger = Span::from_secs(60);
        server.connections_max(places)
    });
    let mut served = fill(combination, &server, places);
    if !combination.is_even() {
        return; // who waits for which loop is the kernel's choice
    }
    // As many as are told so at a time: they stay.
    let told: Vec<_> = (0..REFUSALS)
        .map(|_| {
            let mut client = server.client();
            assert_eq!(client.get("/").status, 503);
            client
        })
        .collect();
    let mut waiting = server.client();
    waiting.send(get("/"));
    eventually("nobody more is accepted", || {
        let counted = server.counted();
        counted.connections >= places + REFUSALS
    });
    let last = served.iter().map(|(_, thread)| thread).max().cloned();
    let of_the_last = served
        .iter()
        .position(|(_, thread)| Some(thread) == last.as_ref());
    served.swap_remove(of_the_last.unwrap()).0.reset();
    assert_eq!(waiting.answer().status, 200);
    drop(told);
}
