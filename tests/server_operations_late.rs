//! Clients of a server by operations that are about to be judged: what came, or was taken, in time counts,
//! though the loop was late and nobody has told of it. On each driver of the proactor that this build has.
//!
//! The loop turns only when a test says so, so it is as late as the test wants.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;

use support::client::get;
use support::{SHORT, eventually, run, site};
use trine::proactor::{Pattern, ProactorOptions};
use trine::server::ServerHandle;
use trine::service::Service;
use trine::{EventLoop, Server};

/// More than the sockets between two ends hold.
const LARGE: usize = 24_000_000;
/// Less than makes the kernel say of a send buffer of its least size (2.5 MB) that there is room: a third.
const SLOW: usize = 200_000;

/// Runs `test` with each driver.
fn on_each(test: impl Fn(ProactorOptions)) {
    let patterns: &[Pattern] = match cfg!(feature = "io-uring") {
        true => &[Pattern::Emulated, Pattern::IoUring],
        false => &[Pattern::Emulated],
    };
    for pattern in patterns {
        println!("{pattern:?}");
        test(ProactorOptions {
            pattern: *pattern,
            ..ProactorOptions::default()
        });
    }
}

/// A client of `server` on `events`, seated.
fn seated(
    server: Server,
    events: &mut EventLoop<()>,
) -> (TcpStream, ServerHandle<(), impl Service<()> + use<>>) {
    let address = server.local_address().unwrap();
    let handle = server.attach(events, site).unwrap();
    let client = TcpStream::connect(address).unwrap();
    eventually("it is seated", || {
        let _ = events.turn_now(&mut ()).unwrap();
        !handle.connections(&mut events.context()).is_empty()
    });
    turns(10, events);
    (client, handle)
}

fn turns(count: usize, events: &mut EventLoop<()>) {
    for _ in 0..count {
        let _ = events.turn_now(&mut ()).unwrap();
    }
}

/// The first line of what `client` is told.
fn first_line(client: &mut TcpStream, events: &mut EventLoop<()>) -> String {
    client.set_nonblocking(true).unwrap();
    let mut told = Vec::new();
    eventually("it is told something", || {
        turns(1, events);
        let mut space = [0; 1024];
        match client.read(&mut space) {
            Ok(len) => told.extend_from_slice(&space[..len]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        told.contains(&b'\n')
    });
    let told = String::from_utf8(told).unwrap();
    told.lines().next().unwrap().to_owned()
}

#[test]
fn a_head_that_came_in_time_is_answered_though_it_is_longer_than_a_buffer() {
    on_each(|options| {
        let small = ProactorOptions {
            buffer_bytes: 64,
            ..options
        };
        let server = Server::bind("127.0.0.1:0").unwrap().head_timeout(SHORT);
        let mut events = EventLoop::new().unwrap();
        let (mut client, _) = seated(server.proactor(small), &mut events);
        let long = "x".repeat(4_000);
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nLong: {long}\r\n\r\n");
        client.write_all(request.as_bytes()).unwrap();
        thread::sleep(2 * SHORT); // the loop is late, not the client
        let line = first_line(&mut client, &mut events);
        assert_eq!(line, "HTTP/1.1 200 OK");
    });
}

#[test]
fn a_head_that_did_not_come_whole_in_time_is_told_so() {
    on_each(|options| {
        let server = Server::bind("127.0.0.1:0").unwrap().head_timeout(SHORT);
        let mut events = EventLoop::new().unwrap();
        let (mut client, _) = seated(server.proactor(options), &mut events);
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").unwrap();
        thread::sleep(2 * SHORT);
        let line = first_line(&mut client, &mut events);
        assert_eq!(line, "HTTP/1.1 408 Request Timeout");
    });
}

#[test]
fn who_takes_a_little_more_than_the_least_is_not_cut() {
    on_each(|options| {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let server = server.write_rate(1_000, SHORT).proactor(options);
        let mut events = EventLoop::new().unwrap();
        let (mut client, handle) = seated(server, &mut events);
        client.write_all(&get(&format!("/bytes/{LARGE}"))).unwrap();
        turns(200, &mut events); // the sockets are full
        let mut taken = vec![0; SLOW];
        for window in 0..4 {
            client.read_exact(&mut taken).unwrap();
            thread::sleep(2 * SHORT);
            turns(3, &mut events);
            let seated = handle.connections(&mut events.context()).len();
            assert_eq!(seated, 1, "cut at the end of window {window}");
        }
    });
}

#[test]
fn more_connections_than_at_the_start_have_room_for_their_operations() {
    on_each(|options| {
        let few = ProactorOptions {
            operations_max: 1,
            ..options
        };
        let server = Server::bind("127.0.0.1:0").unwrap();
        let server = run(server.connections_max(1).proactor(few), site);
        server.reload(|live| live.connections_max = 200);
        let mut clients: Vec<_> = (0..180).map(|_| server.client()).collect();
        for client in &mut clients {
            assert_eq!(client.get("/").text(), "Hello, World!");
        }
        assert_eq!(server.counters().server.connections, 180);
    });
}
