//! A write to a peer that is gone is an error and never a signal. The only test of its process, for
//! the disposition of SIGPIPE is the process's.

use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::SIGPIPE;

use trine::reactor::{Context, Link, Stream, StreamEnd, StreamHandler, StreamListener};
use trine::{EventLoop, Sources};

/// Answers, and keeps how the stream ended.
struct Answerer;

impl StreamHandler<Vec<StreamEnd>> for Answerer {
    fn received(
        &mut self,
        bytes: &[u8],
        link: &mut Link<'_, '_, Vec<StreamEnd>>,
        _: &mut Vec<StreamEnd>,
    ) -> usize {
        link.write(b"is there anybody?");
        bytes.len()
    }

    fn closed(
        &mut self,
        why: StreamEnd,
        ends: &mut Vec<StreamEnd>,
        _: &mut Context<'_, Vec<StreamEnd>>,
    ) {
        ends.push(why);
    }
}

#[test]
fn a_write_to_a_peer_that_is_gone_raises_no_signal_where_the_program_does_not_ignore_it() {
    // The standard library ignores SIGPIPE; here it is caught, so that it would be seen.
    let raised = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGPIPE, Arc::clone(&raised)).unwrap();
    let (peer, stream) = UnixStream::pair().unwrap();
    drop(peer);
    let plain = rustix::io::write(&stream, b"x").unwrap_err();
    assert_eq!(plain, rustix::io::Errno::PIPE);
    assert!(raised.swap(false, Ordering::SeqCst), "it can be seen");

    let stream = Stream::from(OwnedFd::from(stream));
    let error = stream.write(b"x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert!(!raised.load(Ordering::SeqCst));

    // And so in a loop, whose answer finds nobody.
    let path = std::env::temp_dir().join(format!("trine-{}-pipe", std::process::id()));
    let mut events = EventLoop::new().unwrap();
    let listener = StreamListener::bind_unix(&path).unwrap();
    events
        .streams(listener, Default::default(), Answerer)
        .unwrap();
    let mut ends = Vec::new();
    let _ = events.turn_now(&mut ends).unwrap();
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"?").unwrap();
    drop(client);
    for _ in 0..3 {
        let _ = events.turn_now(&mut ends).unwrap();
    }
    assert_eq!(ends, [StreamEnd::Broken]);
    assert!(!raised.load(Ordering::SeqCst));
}
