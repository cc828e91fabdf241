//! Nobody waits longer than a counted number of turns, however busy the others are.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::event::{EventfdFlags, eventfd};

use trine::reactor::{Context, Link, Next, Readiness};
use trine::{EventLoop, Response, Server, Sources};

/// A path for a Unix socket that no other test uses. Unix sockets deliver at once, so turns can
/// be counted.
fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("trine-{}-{name}", std::process::id()))
}

/// Bytes one stream may read in a turn: in the I/O phase, and again among the leftovers.
const READ_PER_TURN_MAX: usize = 2 * 64 * 1024;

#[test]
fn ninety_nine_talkers_are_answered_within_a_turn_beside_a_stream_that_never_pauses() {
    let path = path("firehose");
    let mut events = EventLoop::<usize>::new().unwrap();
    let talk = |poured: &mut usize, link: &mut Link<'_, '_, usize>, bytes: &[u8]| {
        if bytes.starts_with(b"ping") {
            link.write(b"pong");
        } else {
            *poured += bytes.len();
        }
    };
    events.unix(&path, talk).unwrap();
    let mut poured = 0;
    let _ = events.turn_now(&mut poured).unwrap();
    let mut hose = UnixStream::connect(&path).unwrap();
    hose.set_nonblocking(true).unwrap();
    let connect = |_| {
        let client = UnixStream::connect(&path).unwrap();
        client.set_nonblocking(true).unwrap();
        client
    };
    let mut clients: Vec<UnixStream> = (0..99).map(connect).collect();
    for _ in 0..4 {
        let _ = events.turn_now(&mut poured).unwrap();
    }
    let mut total = 0;
    for _ in 0..50 {
        while hose.write(&[b'x'; 32 * 1024]).is_ok() {}
        for client in &mut clients {
            client.write_all(b"ping").unwrap();
        }
        poured = 0;
        let _ = events.turn_now(&mut poured).unwrap();
        assert!(0 < poured && poured <= READ_PER_TURN_MAX, "{poured}");
        total += poured;
        for client in &mut clients {
            let mut answer = [0; 4];
            client.read_exact(&mut answer).unwrap(); // it would block
            assert_eq!(&answer, b"pong");
        }
    }
    assert!(
        total >= 50 * 64 * 1024,
        "the stream itself starves: {total}"
    );
}

/// Descriptors that are ready again as soon as they were served.
const READY: usize = 3_000;
/// Events that one wait brings at most.
const BATCH: usize = 1_024;

#[test]
fn with_more_descriptors_ready_than_one_wait_reports_each_is_served_in_its_round() {
    /// The turn, and when each was served last.
    struct Served {
        turn: usize,
        last: Vec<usize>,
        longest_gap: usize,
    }
    let mut events = EventLoop::<Served>::new().unwrap();
    for number in 0..READY {
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        let ready = eventfd(1, flags).unwrap();
        let serve = move |served: &mut Served,
                          fd: &mut OwnedFd,
                          ready: Readiness,
                          _: &mut Context<'_, Served>| {
            if ready.contains(Readiness::READABLE) {
                let gap = served.turn - served.last[number];
                served.longest_gap = served.longest_gap.max(gap);
                served.last[number] = served.turn;
                rustix::io::read(&*fd, &mut [0; 8]).unwrap();
                rustix::io::write(&*fd, &1_u64.to_ne_bytes()).unwrap();
            }
            Next::Wait
        };
        events.descriptor(ready, serve).unwrap();
    }
    let mut served = Served {
        turn: 0,
        last: vec![0; READY],
        longest_gap: 0,
    };
    for _ in 0..40 {
        served.turn += 1;
        let _ = events.turn_now(&mut served).unwrap();
    }
    let round = READY.div_ceil(BATCH);
    assert!(served.last.iter().all(|last| served.turn - last < round));
    assert_eq!(served.longest_gap, round);
}

#[test]
fn a_request_that_waits_when_its_connection_is_accepted_is_answered_in_the_same_turn() {
    let path = path("queued");
    let mut events = EventLoop::<()>::new().unwrap();
    let server = Server::bind_unix(&path).unwrap();
    let service = trine::service::respond(|_| Response::text("at once"));
    server.attach(&mut events, service).unwrap();
    let _ = events.turn_now(&mut ()).unwrap();
    for _ in 0..10 {
        let mut client = UnixStream::connect(&path).unwrap();
        client.set_nonblocking(true).unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n";
        client.write_all(request).unwrap();
        let turns = events.metrics().turns;
        let _ = events.turn_now(&mut ()).unwrap();
        let mut answer = [0; 1024];
        let len = client.read(&mut answer).unwrap(); // it would block
        assert!(answer[..len].starts_with(b"HTTP/1.1 200 OK\r\n"));
        assert!(answer[..len].ends_with(b"at once"));
        assert_eq!(events.metrics().turns, turns + 1);
    }
}
