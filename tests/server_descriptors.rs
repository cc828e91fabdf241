//! A server that runs out of descriptors, in a process of its own with a low limit: accepting
//! pauses, nothing spins, and it goes on by itself when descriptors are free again.
//!
//! This file runs itself as the server, which takes orders line by line: `count`, `hog` (take all
//! descriptors there are), `free` (give them back).

mod support;

use std::fs::File;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use support::client::{Client, get};
use support::own_process::OwnProcess;
use support::{eventually, site, start};
use trine::Server;
use trine::server::Ladder;

/// Set in the process that is to be the server.
const SERVE: &str = "TRINE_TEST_SERVE";

/// Descriptors of the server's process.
const LIMIT: u64 = 64;

/// Not a test of its own: the server, when this file runs itself.
#[test]
fn serve_with_few_descriptors() {
    if std::env::var_os(SERVE).is_none() {
        return;
    }
    let limit = Rlimit {
        current: Some(LIMIT),
        maximum: Some(LIMIT),
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    // Nobody who is served is to go for one who waits.
    let roomy = |server: Server| server.connections_max(1_000).overload(Ladder::off());
    let server = start(roomy, site);
    println!("\nlistening {}", server.address());
    let mut hog: Vec<File> = Vec::new();
    for order in std::io::stdin().lines() {
        match order.unwrap().as_str() {
            "hog" => hog.extend(std::iter::from_fn(|| File::open("/dev/null").ok())),
            "free" => hog.clear(),
            _ => {}
        }
        let counters = server.counters();
        let (turns, accepted) = (counters.turns, counters.server.accepted);
        println!("counted {turns} {accepted} {}", counters.server.connections);
    }
}

/// The server's process, seen from outside.
struct Process {
    process: OwnProcess,
    address: SocketAddr,
}

struct Counted {
    turns: u64,
    accepted: u64,
    connections: u64,
}

impl Process {
    fn start() -> Process {
        let mut process = OwnProcess::start("serve_with_few_descriptors", SERVE, "yes");
        let address = process.said("listening ").parse().unwrap();
        Process { process, address }
    }

    fn order(&mut self, order: &str) -> Counted {
        let numbers = self.process.order(order, "counted ");
        let mut numbers = numbers.split(' ').map(|text| text.parse().unwrap());
        let mut next = || numbers.next().unwrap();
        Counted {
            turns: next(),
            accepted: next(),
            connections: next(),
        }
    }

    fn client(&self) -> Client {
        Client::connect(self.address)
    }
}

#[test]
fn a_server_without_descriptors_is_still_and_serves_those_it_has() {
    let mut server = Process::start();
    let mut established = server.client();
    assert_eq!(established.get("/").status, 200);
    let before = server.order("hog");
    let mut waiting: Vec<Client> = (0..20).map(|_| server.client()).collect();
    for client in &mut waiting {
        client.try_send(get("/"));
    }
    thread::sleep(Duration::from_millis(500));
    assert_eq!(established.get("/").status, 200);
    let after = server.order("count");
    assert_eq!(after.accepted, before.accepted);
    // Ten tries a second; a loop that spins makes thousands of turns.
    let turns = after.turns - before.turns;
    assert!(turns < 50, "{turns} turns");
    drop(waiting);
    server.order("free");
    assert_eq!(server.client().get("/").status, 200);
}

#[test]
fn clients_that_cannot_be_accepted_for_long_are_turned_away_and_do_not_hang() {
    let mut server = Process::start();
    server.order("hog");
    let mut waiting: Vec<Client> = (0..20).map(|_| server.client()).collect();
    for client in &mut waiting {
        assert!(client.answer_or_end().is_none());
    }
    // The descriptor kept in reserve is there again, for as often as it is needed.
    for _ in 0..3 {
        assert!(server.client().answer_or_end().is_none());
    }
    server.order("free");
    assert_eq!(server.client().get("/").status, 200);
}

#[test]
fn accepting_goes_on_by_itself_when_descriptors_are_free_again() {
    let mut server = Process::start();
    // A client is turned away when it has waited too long, which a loaded machine may cause.
    eventually(
        "a client in the queue is served without another's coming",
        || {
            eventually("all gone", || server.order("count").connections == 0);
            // The pause begins anew with it; and it stays, for a connection that closes would
            // have the listener look at once.
            let mut established = server.client();
            assert_eq!(established.get("/").status, 200);
            server.order("hog");
            let mut client = server.client();
            client.try_send(get("/"));
            let counted = server.order("count"); // a turn in which the client was not accepted
            assert_eq!(counted.connections, 1);
            server.order("free");
            let answer = client.answer_or_end();
            drop(established);
            answer.is_some_and(|answer| answer.status == 200)
        },
    );
    eventually("all gone", || server.order("count").connections == 0);
}

#[test]
fn connections_that_end_give_their_descriptors_back() {
    let mut server = Process::start();
    for _ in 0..5 {
        // Together far more than the limit, at no time near it.
        let mut clients: Vec<Client> = (0..30).map(|_| server.client()).collect();
        for client in &mut clients {
            assert_eq!(client.get("/").status, 200);
        }
        drop(clients);
        eventually("all gone", || server.order("count").connections == 0);
    }
    assert_eq!(server.order("count").accepted, 150);
}
