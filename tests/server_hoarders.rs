//! Thousands of clients that hold connections and say nothing, against a server with few descriptors:
//! those who have something to ask are answered. The server is a process of its own with a low limit,
//! which is this file itself.

mod support;

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::client::Client;
use support::own_process::OwnProcess;
use support::{eventually, site, start};
use trine::CloseReason;

/// Set in the process that is to be the server, to how many connections it may have.
const SERVE: &str = "TRINE_TEST_SERVE_HOARDERS";
/// Descriptors of the server's process.
const LIMIT: u64 = 512;
const HOARDERS: usize = 5_000;

/// Not a test of its own: the server, when this file runs itself.
#[test]
fn serve_with_few_descriptors() {
    let Ok(connections_max) = std::env::var(SERVE) else {
        return;
    };
    let limit = Rlimit {
        current: Some(LIMIT),
        maximum: Some(LIMIT),
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let connections_max = connections_max.parse().unwrap();
    let server = start(|server| server.connections_max(connections_max), site);
    println!("\nlistening {}", server.address());
    for _ in std::io::stdin().lines() {
        let counted = server.counters().server;
        let evicted = counted.closed(CloseReason::Evicted);
        let overloaded = counted.closed(CloseReason::Overloaded) + counted.turned_away;
        let is_short = File::open("/dev/null").is_err();
        println!(
            "counted {} {evicted} {overloaded} {is_short}",
            counted.connections
        );
    }
}

struct Process {
    process: OwnProcess,
    address: SocketAddr,
}

impl Process {
    fn start(connections_max: usize) -> Process {
        let mut process = OwnProcess::start(
            "serve_with_few_descriptors",
            SERVE,
            connections_max.to_string(),
        );
        let address = process.said("listening ").parse().unwrap();
        Process { process, address }
    }

    /// Connections; how many were evicted, and refused or turned away; whether no descriptor is left.
    fn count(&mut self) -> (usize, u64, u64, bool) {
        let counted = self.process.order("count", "counted ");
        let words: Vec<&str> = counted.split(' ').collect();
        let number = |at: usize| words[at].parse().unwrap();
        (number(0) as usize, number(1), number(2), words[3] == "true")
    }
}

/// This process has to hold the other ends.
fn with_many_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

/// Bystanders, one after another on connections of their own: how long each waited for its answer.
fn bystanders(address: SocketAddr, count: usize) -> Vec<Duration> {
    let each = (0..count).map(|_| {
        thread::sleep(Duration::from_millis(10));
        let began = Instant::now();
        let answered = Client::connect(address).get("/").status == 200;
        assert!(answered, "a bystander was refused");
        began.elapsed()
    });
    each.collect()
}

fn hoarded(connections_max: usize) -> Process {
    with_many_descriptors();
    let mut process = Process::start(connections_max);
    let address = process.address;
    let mut hoard = Vec::new();
    for _ in 0..HOARDERS / 100 {
        hoard.extend((0..100).map(|_| TcpStream::connect(address).unwrap()));
        thread::sleep(Duration::from_millis(20));
    }
    eventually("everybody was accepted", || {
        let (connections, evicted, refused, _) = process.count();
        connections as u64 + evicted + refused >= HOARDERS as u64
    });
    let mut waited = bystanders(address, 100);
    waited.sort();
    eprintln!(
        "median {:?}, p99 {:?}; {:?}",
        waited[50],
        waited[98],
        process.count()
    );
    assert!(waited[98] < Duration::from_secs(2), "p99 {:?}", waited[98]);
    let (connections, evicted, ..) = process.count();
    let told = 64; // that there is no room, and not gone yet
    assert!(connections <= (connections_max + told).min(LIMIT as usize));
    assert!(
        evicted >= (HOARDERS - LIMIT as usize) as u64 / 2,
        "{evicted} evicted"
    );
    drop(hoard);
    eventually("all are gone", || process.count().0 == 0);
    process
}

#[test]
fn bystanders_are_answered_while_thousands_of_idle_clients_hold_every_descriptor() {
    hoarded(10_000);
}

#[test]
fn bystanders_are_answered_while_thousands_of_idle_clients_hold_every_connection() {
    hoarded(200);
}
