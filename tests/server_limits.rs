//! The limit on connections: who is beyond it, and how room is found again.

mod support;

use std::sync::mpsc::channel;
use std::time::Duration;

use support::client::{Client, get};
use support::{PATIENCE, Running, eventually, site, start};
use trine::Server;
use trine::connection::CloseReason;
use trine::http::Request;
use trine::server::Ladder;
use trine::service::Reply;

/// Clients that are told 503 at one time; more wait in the kernel's queue.
const REFUSALS: usize = 64;

fn connections(server: &Running) -> usize {
    server.counters().server.connections
}

/// Clients that have been answered and stay.
fn served(server: &Running, count: usize) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..count).map(|_| server.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    clients
}

/// With so many connections at most, and nobody idle who goes for a newcomer: however slow the machine
/// that runs the test is.
fn cap(server: Server, connections: usize) -> Server {
    server.connections_max(connections).overload(Ladder::off())
}

#[test]
fn clients_beyond_the_limit_are_refused_and_those_within_it_are_served() {
    let server = start(|server| cap(server, 10), site);
    let mut within = served(&server, 10);
    let mut beyond: Vec<Client> = (0..30).map(|_| server.client()).collect();
    for client in &mut beyond {
        assert_eq!(client.answer().status, 503);
    }
    for client in &mut within {
        assert_eq!(client.get("/").status, 200);
    }
    drop(beyond);
    server.awaits_closed(CloseReason::Overloaded, 30);
    assert_eq!(connections(&server), 10);
}

#[test]
fn a_closed_connection_makes_room_for_a_new_one() {
    let server = start(|server| cap(server, 5), site);
    for _ in 0..20 {
        let clients = served(&server, 5);
        drop(clients);
        eventually("room", || connections(&server) == 0);
    }
    assert_eq!(server.stop().server.closed(CloseReason::Overloaded), 0);
}

#[test]
fn more_clients_than_can_be_refused_at_once_wait_and_are_let_in_when_there_is_room() {
    let server = start(
        |mut server| {
            // Refused clients that do not close take their place for a while.
            server.config_mut().deadlines.linger = trine::time::Span::from_secs(60);
            cap(server, 4)
        },
        site,
    );
    let within = served(&server, 4);
    let mut refused: Vec<Client> = (0..REFUSALS).map(|_| server.client()).collect();
    eventually("all places are taken", || {
        connections(&server) == 4 + REFUSALS
    });
    let mut waiting: Vec<Client> = (0..40).map(|_| server.client()).collect();
    for client in &mut waiting {
        client.send(get("/"));
    }
    assert!(waiting[0].is_silent_for(Duration::from_millis(30)));
    // Once the events of all those arrivals are over: asking costs a turn or two itself.
    eventually("a full server is still", || {
        let turns = server.counters().turns;
        assert!(waiting[0].is_silent_for(Duration::from_millis(30)));
        server.counters().turns - turns < 5
    });
    assert_eq!(
        connections(&server),
        4 + REFUSALS,
        "and holds no more than that"
    );
    for client in &mut refused {
        assert_eq!(client.answer().status, 503);
    }
    drop((within, refused)); // no new client comes: those in the queue must be noticed
    for client in &mut waiting {
        let status = client.answer().status;
        assert!([200, 503].contains(&status), "{status}");
    }
    drop(waiting);
    eventually("empty", || connections(&server) == 0);
    let counters = server.stop().server;
    assert_eq!(counters.accepted, counters.closed_total());
    assert_eq!(counters.accepted, (4 + REFUSALS + 40) as u64);
}

#[test]
fn a_burst_of_connections_is_accepted_in_parts_and_others_have_their_turn_between() {
    const BURST: usize = 1_000;
    let (release, held) = channel::<()>();
    let (note, order) = channel();
    let service = move |request: &Request<'_>, reply: Reply<'_>, state: &mut ()| {
        note.send(request.path().to_owned()).unwrap();
        if request.path() == "/hold" {
            let _ = held.recv_timeout(PATIENCE); // the whole loop stands still
        }
        site(request, reply, state)
    };
    let server = start(|server| server, service);
    let mut established = server.client();
    assert_eq!(established.get("/established").status, 404);
    let mut holder = server.client();
    holder.send(get("/hold"));
    let mut burst: Vec<Client> = (0..BURST).map(|_| server.client()).collect();
    for client in &mut burst {
        client.send(get("/burst"));
    }
    established.send(get("/established"));
    release.send(()).unwrap();
    assert_eq!(established.answer().status, 404);
    for client in &mut burst {
        assert_eq!(client.answer().status, 404);
    }
    let mut order = order.try_iter().skip_while(|path| path != "/hold");
    let before = order.position(|path| path == "/established").unwrap();
    // Parts of 64; by operations its bytes come a turn or two after its readiness.
    assert!(before <= 4 * 64, "{before} of the burst were served first");
    assert_eq!(server.counters().server.accepted as usize, 2 + BURST);
}

#[test]
fn a_server_of_one_connection_serves_one_after_another() {
    let server = start(|server| cap(server, 1), site);
    for _ in 0..50 {
        let mut client = server.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let status = client.answer().status;
        drop(client);
        eventually("room", || connections(&server) == 0);
        assert_eq!(status, 200);
    }
}

#[test]
fn a_refused_client_that_stays_takes_no_place_from_one_that_can_be_served() {
    let server = start(
        |mut server| {
            server.config_mut().deadlines.linger = trine::time::Span::from_secs(60);
            cap(server, 1)
        },
        site,
    );
    let within = served(&server, 1);
    let mut refused = server.client();
    assert_eq!(refused.answer().status, 503);
    drop(within);
    eventually("room", || connections(&server) == 1);
    assert_eq!(server.client().get("/").status, 200);
}
