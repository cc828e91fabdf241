//! A team of threads whose log is listened to by somebody who panics. Alone in its process: the threads of
//! a team report to the listener of the process.

mod support;

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Once;
use std::time::Duration;

use support::client::Client;
use support::team::start;
use support::{PATIENCE, eventually, site};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber};
use trine::concurrency::{Handler, LeaderFollowers, TeamContext, TeamOptions};
use trine::{Event, EventLoop, Next};

/// Panics at whatever is a warning or worse.
struct Nervous;

impl Subscriber for Nervous {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("trine") && *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        panic!("bad news");
    }
}

fn listen_nervously() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Nervous).unwrap());
}

#[test]
fn a_listener_to_the_log_that_panics_costs_a_server_on_a_team_no_place() {
    listen_nervously();
    let server = start(2, |server| server.flight_recorder(4), || site);
    let mut other = server.client();
    for _ in 0..8 {
        let mut client: Client = server.client();
        client.send(support::client::get("/panic"));
        let _ = client.rest(); // with or without an answer: it ends
        assert_eq!(other.get("/").status, 200);
    }
    drop(other);
    eventually("all are gone", || server.counters().server.connections == 0);
    let counted = server.counters().server;
    assert_eq!((counted.accepted, counted.closed_total()), (9, 9));
}

/// Panics at first, or sends back what it gets.
enum Guest {
    Panics(UnixStream),
    Echoes(UnixStream),
}

impl Handler<()> for Guest {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Guest::Panics(stream) | Guest::Echoes(stream) => Some(stream.as_fd()),
        }
    }

    fn handle(&mut self, event: Event, (): &mut (), _: &TeamContext<'_>) -> Next {
        let Guest::Echoes(stream) = self else {
            panic!("asked to");
        };
        if let Event::Drain = event {
            return Next::Close;
        }
        let mut bytes = [0; 64];
        while let Ok(len @ 1..) = stream.read(&mut bytes) {
            stream.write_all(&bytes[..len]).unwrap();
        }
        Next::Wait
    }
}

#[test]
fn a_listener_to_the_log_that_panics_costs_a_team_no_thread() {
    listen_nervously();
    let mut events = EventLoop::<()>::new().unwrap();
    let options = TeamOptions {
        threads: 2,
        handlers_max: 64,
    };
    let team = LeaderFollowers::attach(&mut events, options, |_| ()).unwrap();
    let pair = || {
        let (client, server) = UnixStream::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        (client, server)
    };
    for _ in 0..8 {
        let (mut client, server) = pair();
        assert!(team.insert(Guest::Panics(server)).is_ok());
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "it is closed");
    }
    let (mut client, server) = pair();
    assert!(team.insert(Guest::Echoes(server)).is_ok());
    client.write_all(b"x").unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 1);
    eventually("only that one", || team.metrics().live == 1);
    events.context().drain(Duration::from_secs(60));
    events.run(&mut ()).unwrap();
}
