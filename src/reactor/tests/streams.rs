//! Streams on real sockets whose readiness is scripted: what the kernel says seldom, said often.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::super::{
    Context, EventLoop, Link, Readiness, Sources, StreamEnd, StreamHandler, StreamListener,
    StreamOptions,
};
use super::virtual_loop::{machine, virtual_loop};
use crate::slab::Token;

/// What happened to the streams of a test.
#[derive(Default)]
struct Seen {
    opened: Vec<Token>,
    received: Vec<u8>,
    closed: Vec<StreamEnd>,
}

/// Answers each byte with `answer` of them.
struct Recorder {
    answer: usize,
}

impl StreamHandler<Seen> for Recorder {
    fn opened(&mut self, link: &mut Link<'_, '_, Seen>, seen: &mut Seen) {
        seen.opened.push(link.token());
    }

    fn received(&mut self, bytes: &[u8], link: &mut Link<'_, '_, Seen>, seen: &mut Seen) -> usize {
        seen.received.extend_from_slice(bytes);
        link.write(&vec![b'x'; self.answer * bytes.len()]);
        bytes.len()
    }

    fn closed(&mut self, why: StreamEnd, seen: &mut Seen, _: &mut Context<'_, Seen>) {
        seen.closed.push(why);
    }
}

/// A loop with one listener that has looked at its empty queue.
fn listening(name: &str, answer: usize) -> (EventLoop<Seen>, PathBuf) {
    let path = std::env::temp_dir().join(format!("trine-{}-{name}", std::process::id()));
    let mut events = virtual_loop();
    let listener = StreamListener::bind_unix(&path).unwrap();
    let options = StreamOptions {
        output_max: 16 * 1024 * 1024,
        ..StreamOptions::default()
    };
    events
        .streams(listener, options, Recorder { answer })
        .unwrap();
    let _ = events.turn_now(&mut Seen::default()).unwrap();
    (events, path)
}

/// A turn in which the kernel says `readiness` of `token`.
fn report(events: &mut EventLoop<Seen>, seen: &mut Seen, token: Token, readiness: Readiness) {
    let batch = vec![(token, readiness)];
    machine(events).script.push_back(batch);
    let _ = events.turn_now(seen).unwrap();
}

/// Index 0 is the listener's: the first source of the loop.
fn accept(events: &mut EventLoop<Seen>, seen: &mut Seen) -> Token {
    let listener = events.context().core.token_at(0).unwrap();
    report(events, seen, listener, Readiness::READABLE);
    *seen.opened.last().unwrap()
}

#[test]
fn readiness_with_nothing_behind_it_is_silent() {
    let (mut events, path) = listening("spurious", 0);
    let mut seen = Seen::default();
    let mut client = UnixStream::connect(path).unwrap();
    let token = accept(&mut events, &mut seen);
    for bits in [
        Readiness::READABLE,
        Readiness::WRITABLE,
        Readiness::READABLE.union(Readiness::WRITABLE),
        Readiness::PRIORITY,
        Readiness::READ_CLOSED,
        Readiness::ERROR,
    ] {
        report(&mut events, &mut seen, token, bits);
        assert!(!events.context().core.has_leftovers(), "{bits:?} spins");
    }
    assert!(seen.received.is_empty() && seen.closed.is_empty());
    client.write_all(b"still here").unwrap();
    report(&mut events, &mut seen, token, Readiness::READABLE);
    assert_eq!(seen.received, b"still here");
}

#[test]
fn an_error_reported_for_a_stream_that_cannot_be_written_does_not_loop() {
    let (mut events, path) = listening("error", 4 * 1024 * 1024);
    let mut seen = Seen::default();
    let mut client = UnixStream::connect(path).unwrap();
    let token = accept(&mut events, &mut seen);
    client.write_all(b"?").unwrap();
    report(&mut events, &mut seen, token, Readiness::READABLE);
    let all = Readiness::ERROR
        .union(Readiness::WRITABLE)
        .union(Readiness::WRITE_CLOSED);
    report(&mut events, &mut seen, token, all);
    assert!(events.context().contains(token));
    assert!(!events.context().core.has_leftovers());
}

#[test]
fn a_stream_is_registered_once_whatever_its_peer_makes_it_wait_for() {
    let (mut events, path) = listening("once", 1024 * 1024);
    let mut seen = Seen::default();
    let mut client = UnixStream::connect(path).unwrap();
    client.set_nonblocking(true).unwrap();
    let token = accept(&mut events, &mut seen);
    let mut taken = 0;
    let mut buffer = vec![0; 64 * 1024];
    for _ in 0..3 {
        client.write_all(b"?").unwrap();
        report(&mut events, &mut seen, token, Readiness::READABLE);
        while taken < seen.received.len() * 1024 * 1024 {
            match client.read(&mut buffer) {
                Ok(len) => taken += len,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    report(&mut events, &mut seen, token, Readiness::WRITABLE);
                }
            }
        }
    }
    assert_eq!(taken, 3 * 1024 * 1024);
    // The listener and the stream; the machine knows no way to change a registration.
    assert_eq!(machine(&mut events).registered.get(), 2);
    drop(client);
    report(&mut events, &mut seen, token, Readiness::READ_CLOSED);
    assert_eq!(seen.closed, [StreamEnd::PeerClosed]);
    assert_eq!(machine(&mut events).deregistered.get(), 1);
}

#[test]
fn a_connection_found_by_the_drain_is_opened_before_it_is_closed() {
    let (mut events, path) = listening("drain", 0);
    let mut seen = Seen::default();
    let client = UnixStream::connect(path).unwrap();
    events.context().drain(Duration::from_secs(1));
    for _ in 0..3 {
        let _ = events.turn_now(&mut seen).unwrap();
    }
    assert_eq!(seen.opened.len(), 1);
    assert!(
        seen.closed.is_empty(),
        "it has been told, and may be sending still"
    );
    drop(client);
    let token = seen.opened[0];
    report(&mut events, &mut seen, token, Readiness::READ_CLOSED);
    assert_eq!(seen.closed, [StreamEnd::Drained]);
}
