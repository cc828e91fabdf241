//! Any descriptor as a source: terminals, pipes, sockets; registered once and never a ghost.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::{Errno, ioctl_fionbio};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use trine::reactor::{Context, Next, Readiness};
use trine::{EventLoop, Sources};

fn pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (ours, theirs)
}

/// Ends a loop that would wait for ever, with a panic of the test's own thread afterwards.
fn give_up_after<S: 'static>(events: &mut EventLoop<S>, patience: Duration) {
    let call = |_: &mut S, cx: &mut Context<'_, S>| cx.stop();
    events.call_after(patience, call).unwrap();
}

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_descriptor_inserted_twice_is_refused_and_its_first_source_goes_on() {
    let (ours, mut theirs) = pair();
    let ours = Arc::new(ours);
    let mut events = EventLoop::<Vec<u8>>::new().unwrap();
    let read = |bytes: &mut Vec<u8>,
                stream: &mut Arc<UnixStream>,
                _: Readiness,
                _: &mut Context<'_, Vec<u8>>| {
        let _ = stream.as_ref().read_to_end(bytes);
        Next::Wait
    };
    events.descriptor(Arc::clone(&ours), read).unwrap();
    for _ in 0..3 {
        let refused = events.descriptor(Arc::clone(&ours), read).unwrap_err();
        assert_eq!(
            std::io::Error::from(refused).kind(),
            ErrorKind::AlreadyExists
        );
        assert_eq!((events.len(), Arc::strong_count(&ours)), (1, 2));
    }
    let mut bytes = Vec::new();
    theirs.write_all(b"to the first").unwrap();
    let _ = events.turn_now(&mut bytes).unwrap();
    assert_eq!(bytes, b"to the first");
    // The slots of the refused ones were given back: the next source has the second.
    let next = events.call_after(PATIENCE, |_, _| {}).unwrap();
    assert_eq!(next.index(), 1);
}

#[test]
fn a_source_that_reads_one_byte_of_many_and_returns_again_is_called_for_all_of_them() {
    const BYTES: usize = 64 * 1024;
    let (ours, mut theirs) = pair();
    theirs.write_all(&vec![b'x'; BYTES]).unwrap();
    let mut events = EventLoop::<usize>::new().unwrap();
    give_up_after(&mut events, PATIENCE);
    let mut edges = 0;
    let read = move |count: &mut usize,
                     stream: &mut UnixStream,
                     ready: Readiness,
                     cx: &mut Context<'_, usize>| {
        edges += usize::from(ready.is_readable());
        *count += stream.read(&mut [0]).unwrap();
        if *count == BYTES {
            assert!(edges <= 1, "{edges} edges");
            cx.stop();
        }
        Next::Again
    };
    events.descriptor(ours, read).unwrap();
    let mut count = 0;
    events.run(&mut count).unwrap(); // sleeping would be for ever
    assert_eq!(count, BYTES);
}

#[test]
fn a_descriptor_that_lives_on_as_a_duplicate_brings_no_events_for_a_removed_source() {
    let (ours, mut theirs) = pair();
    let duplicate = ours.try_clone().unwrap();
    let mut events = EventLoop::<usize>::new().unwrap();
    give_up_after(&mut events, PATIENCE); // a loop without sources does not look
    let count =
        |calls: &mut usize, _: &mut UnixStream, _: Readiness, _: &mut Context<'_, usize>| {
            *calls += 1;
            Next::Wait
        };
    let removed = events.descriptor(ours, count).unwrap();
    let (other, mut other_end) = pair();
    let closing =
        |calls: &mut usize, _: &mut UnixStream, ready: Readiness, _: &mut Context<'_, usize>| {
            *calls += 1;
            match ready.contains(Readiness::READABLE) {
                true => Next::Close,
                false => Next::Wait,
            }
        };
    let other_duplicate = other.try_clone().unwrap();
    events.descriptor(other, closing).unwrap();
    let mut calls = 0;
    other_end.write_all(b"close").unwrap();
    let _ = events.turn_now(&mut calls).unwrap();
    assert!(events.context().remove(removed));
    assert_eq!(events.len(), 1);

    calls = 0;
    let turns = events.metrics().turns;
    for _ in 0..5 {
        theirs.write_all(b"a ghost?").unwrap();
        other_end.write_all(b"a ghost?").unwrap();
        let _ = events.turn_now(&mut calls).unwrap();
    }
    drop((theirs, other_end));
    let _ = events.turn_now(&mut calls).unwrap();
    assert_eq!(events.metrics().turns, turns + 6);
    assert_eq!((calls, events.metrics().stale_events), (0, 0));
    drop((duplicate, other_duplicate));
}

/// A terminal: the end of its program, non-blocking, and the end of its user.
fn terminal() -> (OwnedFd, OwnedFd) {
    let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&user).unwrap();
    unlockpt(&user).unwrap();
    let path = ptsname(&user, Vec::new()).unwrap();
    let path = path.into_string().unwrap();
    let program = OpenOptions::new().read(true).write(true).open(path);
    let program = OwnedFd::from(program.unwrap());
    ioctl_fionbio(&program, true).unwrap();
    (program, user)
}

#[test]
fn a_terminal_that_gives_one_line_a_read_is_read_to_its_end_in_one_call() {
    let (program, user) = terminal();
    let mut events = EventLoop::<Vec<Vec<u8>>>::new().unwrap();
    give_up_after(&mut events, PATIENCE);
    let read = |lines: &mut Vec<Vec<u8>>, fd: &mut OwnedFd, _: Readiness, cx: &mut Context<_>| {
        let mut buffer = [0; 4096];
        loop {
            match rustix::io::read(fd.as_fd(), &mut buffer) {
                Ok(len) => lines.push(buffer[..len].to_vec()),
                Err(Errno::AGAIN) => break,
                Err(error) => panic!("{error}"),
            }
        }
        if lines.len() >= 3 {
            cx.stop();
        }
        Next::Wait
    };
    rustix::io::write(&user, b"one\ntwo\nthree\n").unwrap();
    events.descriptor(program, read).unwrap();
    let mut lines = Vec::new();
    events.run(&mut lines).unwrap();
    assert_eq!(lines, [&b"one\n"[..], b"two\n", b"three\n"]);
}

#[test]
fn a_pipe_whose_reader_returns_again_after_short_reads_is_read_to_its_end_of_file() {
    let (reader, writer) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).unwrap();
    let mut events = EventLoop::<Vec<u8>>::new().unwrap();
    let read =
        |bytes: &mut Vec<u8>, fd: &mut OwnedFd, _: Readiness, _: &mut Context<'_, Vec<u8>>| {
            let mut buffer = [0; 3];
            match rustix::io::read(fd.as_fd(), &mut buffer) {
                Ok(0) => return Next::Close,
                Ok(len) => bytes.extend_from_slice(&buffer[..len]),
                Err(Errno::AGAIN) => return Next::Wait,
                Err(error) => panic!("{error}"),
            }
            Next::Again
        };
    events.descriptor(reader, read).unwrap();
    let mut bytes = Vec::new();
    let _ = events.turn_now(&mut bytes).unwrap();
    rustix::io::write(&writer, b"data and ").unwrap();
    let _ = events.turn_now(&mut bytes).unwrap();
    rustix::io::write(&writer, b"the end").unwrap();
    drop(writer);
    for _ in 0..20 {
        let _ = events.turn_now(&mut bytes).unwrap();
    }
    assert_eq!(bytes, b"data and the end");
    assert!(events.is_empty());
}

#[test]
fn datagrams_of_any_length_are_all_taken_for_one_event() {
    let mut events = EventLoop::<Vec<usize>>::new().unwrap();
    give_up_after(&mut events, PATIENCE);
    let address = events
        .udp("127.0.0.1:0", |lengths: &mut Vec<usize>, datagram, cx| {
            lengths.push(datagram.bytes.len());
            if lengths.len() == 5 {
                cx.stop();
            }
        })
        .unwrap();
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let lengths = [3, 0, 1400, 1, 9000];
    for length in lengths {
        client.send_to(&vec![b'x'; length], address).unwrap();
    }
    let mut received = Vec::new();
    events.run(&mut received).unwrap();
    assert_eq!(received, lengths);
}

/// Fills `stream` until it would block; how much went in.
fn fill(stream: &mut UnixStream) -> usize {
    let mut total = 0;
    while let Ok(len) = stream.write(&[b'x'; 4096]) {
        total += len;
    }
    total
}

#[test]
fn a_writer_that_is_blocked_costs_nothing_and_gets_one_event_when_its_peer_has_read() {
    let (ours, mut theirs) = pair();
    let mut events = EventLoop::<usize>::new().unwrap();
    let write =
        |total: &mut usize, stream: &mut UnixStream, _: Readiness, _: &mut Context<'_, usize>| {
            *total += fill(stream);
            Next::Wait
        };
    events.descriptor(ours, write).unwrap();
    let mut total = 0;
    for _ in 0..2 {
        let _ = events.turn_now(&mut total).unwrap();
    }
    for _ in 0..3 {
        let blocked = events.metrics().events;
        for _ in 0..20 {
            let _ = events.turn_now(&mut total).unwrap();
        }
        assert_eq!(
            events.metrics().events,
            blocked,
            "a blocked writer was called"
        );
        let mut taken = vec![0; total];
        theirs.read_exact(&mut taken).unwrap();
        total = 0;
        let _ = events.turn_now(&mut total).unwrap();
        assert_eq!(events.metrics().events, blocked + 1);
        assert!(total > 0);
    }
}
