//! The limits of byte streams, each by the end that it brings, and what a drain makes of them.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::SockRef;

use trine::reactor::{
    Context, ErrorKind as Kind, Link, StreamEnd, StreamHandler, StreamListener, StreamOptions,
};
use trine::time::Span;
use trine::{EventLoop, Sources};

/// What happened to the streams of a test.
#[derive(Default)]
struct Seen {
    opened: usize,
    received: usize,
    closed: Vec<StreamEnd>,
}

/// Answers each line with `answer` bytes for each of its own; a line has no end of its own but its
/// line feed.
struct Lines {
    answer: usize,
}

impl StreamHandler<Seen> for Lines {
    fn opened(&mut self, _: &mut Link<'_, '_, Seen>, seen: &mut Seen) {
        seen.opened += 1;
    }

    fn received(&mut self, bytes: &[u8], link: &mut Link<'_, '_, Seen>, seen: &mut Seen) -> usize {
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        let len = end.map_or(0, |at| at + 1);
        seen.received += len;
        link.write(&vec![b'x'; self.answer * len]);
        len
    }

    fn closed(&mut self, why: StreamEnd, seen: &mut Seen, _: &mut Context<'_, Seen>) {
        seen.closed.push(why);
    }
}

const PATIENCE: Duration = Duration::from_secs(10);

struct Fixture {
    events: EventLoop<Seen>,
    seen: Seen,
    address: SocketAddr,
}

fn listen(options: StreamOptions, answer: usize) -> Fixture {
    let mut events = EventLoop::new().unwrap();
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = StreamListener::bind_tcp(anywhere).unwrap();
    let address = listener.local_address().unwrap();
    events.streams(listener, options, Lines { answer }).unwrap();
    // So that every wait ends.
    let tick = |_: &mut Seen, _, _: &mut Context<'_, Seen>| ();
    events.every(Duration::from_millis(5), tick).unwrap();
    Fixture {
        events,
        seen: Seen::default(),
        address,
    }
}

impl Fixture {
    fn until(&mut self, is_done: impl Fn(&Seen) -> bool) {
        let began = Instant::now();
        while !is_done(&self.seen) {
            assert!(began.elapsed() < PATIENCE, "{:?}", self.seen.closed);
            let _ = self.events.turn(&mut self.seen).unwrap();
        }
    }

    /// A client that is connected.
    fn connect(&mut self) -> TcpStream {
        let client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let opened = self.seen.opened;
        self.until(|seen| seen.opened > opened);
        client
    }

    /// Runs until nothing has been received for some turns; how much there was.
    fn received_in_the_end(&mut self) -> usize {
        let mut still = 0;
        while still < 20 {
            let before = self.seen.received;
            let _ = self.events.turn(&mut self.seen).unwrap();
            still = if self.seen.received == before {
                still + 1
            } else {
                0
            };
        }
        self.seen.received
    }
}

/// How `client` sees its end, after what it was sent.
fn end_of(client: &mut TcpStream) -> Result<usize, ErrorKind> {
    let read = client.read_to_end(&mut Vec::new());
    read.map_err(|error| error.kind())
}

#[test]
fn a_stream_that_is_silent_for_too_long_is_closed_as_idle_in_order_and_not_early() {
    let idle = Duration::from_millis(80);
    let options = StreamOptions {
        idle: Span::from(idle),
        ..StreamOptions::default()
    };
    let mut fixture = listen(options, 1);
    let mut client = fixture.connect();
    let asked = Instant::now();
    client.write_all(b"a\n").unwrap();
    fixture.until(|seen| seen.closed == [StreamEnd::Idle]);
    assert!(asked.elapsed() >= idle, "what it says begins it anew");
    assert_eq!(end_of(&mut client), Ok(2));
}

#[test]
fn a_peer_that_takes_nothing_for_a_whole_window_is_cut_as_a_slow_reader() {
    const ANSWER: usize = 32 * 1024 * 1024; // more than the sockets hold
    let window = Duration::from_millis(80);
    let options = StreamOptions {
        output_max: 2 * ANSWER,
        write_window: Span::from(window),
        ..StreamOptions::default()
    };
    let mut fixture = listen(options, ANSWER / 2);
    let mut client = fixture.connect();
    let asked = Instant::now();
    client.write_all(b"a\n").unwrap();
    fixture.until(|seen| seen.closed == [StreamEnd::SlowReader]);
    assert!(asked.elapsed() >= window);
    assert_eq!(end_of(&mut client), Err(ErrorKind::ConnectionReset));
}

#[test]
fn an_unfinished_message_of_more_than_its_limit_is_cut_and_one_of_just_so_much_is_not() {
    const MAX: usize = 1_000;
    let options = StreamOptions {
        input_max: MAX,
        ..StreamOptions::default()
    };
    let mut fixture = listen(options, 0);
    let mut client = fixture.connect();
    let mut line = vec![b'a'; MAX];
    for _ in 0..3 {
        client.write_all(&line).unwrap();
        assert_eq!(fixture.received_in_the_end() % (MAX + 1), 0);
        client.write_all(b"\n").unwrap();
        let before = fixture.seen.received;
        fixture.until(|seen| seen.received == before + MAX + 1);
    }
    line.push(b'a');
    client.write_all(&line).unwrap();
    fixture.until(|seen| seen.closed == [StreamEnd::MessageTooLong]);
    assert_eq!(end_of(&mut client), Err(ErrorKind::ConnectionReset));
}

#[test]
fn a_peer_that_does_not_read_is_not_read_from_until_it_has_taken_what_waits_for_it() {
    const LINES: usize = 100_000;
    let options = StreamOptions {
        output_high: 32 * 1024,
        output_max: 1024 * 1024 * 1024, // it is not cut for what one read leads to
        ..StreamOptions::default()
    };
    let mut fixture = listen(options, 100); // each line is 200 bytes to take
    let mut client = fixture.connect();
    let room = 16 * 1024;
    SockRef::from(&client).set_recv_buffer_size(room).unwrap();
    let mut sender = client.try_clone().unwrap();
    let sending = std::thread::spawn(move || sender.write_all(&b"a\n".repeat(LINES)));
    let received = fixture.received_in_the_end();
    // What the sockets hold, and one read over the mark.
    assert!(0 < received && received < LINES, "{received}");
    assert!(fixture.seen.closed.is_empty());

    let reading = std::thread::spawn(move || {
        let mut taken = vec![0; LINES * 200];
        client.read_exact(&mut taken).map(|()| client)
    });
    fixture.until(|seen| seen.received == 2 * LINES);
    while !reading.is_finished() {
        let _ = fixture.events.turn(&mut fixture.seen).unwrap();
    }
    sending.join().unwrap().unwrap();
    drop(reading.join().unwrap().unwrap());
    fixture.until(|seen| seen.closed == [StreamEnd::PeerClosed]);
}

/// Nothing is under way: a peer that keeps its half open until the drain is cut costs nobody
/// anything.
#[test]
fn a_drain_in_which_only_lingering_streams_are_left_is_complete() {
    for grace in [Duration::from_millis(100), Duration::ZERO] {
        let mut fixture = listen(StreamOptions::default(), 1);
        let mut client = fixture.connect();
        client.write_all(b"a\n").unwrap();
        fixture.until(|seen| seen.received == 2);
        fixture.events.context().drain(PATIENCE);
        let _ = fixture.events.turn(&mut fixture.seen).unwrap();
        let force = move |_: &mut Seen, cx: &mut Context<'_, Seen>| cx.force();
        fixture.events.call_after(grace, force).unwrap();
        fixture.events.run(&mut fixture.seen).unwrap();
        assert_eq!(fixture.seen.closed, [StreamEnd::Drained]);
        assert_eq!(end_of(&mut client), Ok(2));
    }
}

#[test]
fn an_option_of_zero_that_would_serve_nobody_is_refused_by_its_name() {
    for name in ["connections_max", "output_high", "idle", "write_window"] {
        let mut options = StreamOptions::default();
        match name {
            "connections_max" => options.connections_max = 0,
            "output_high" => options.output_high = 0,
            "idle" => options.idle = Span::ZERO,
            _ => options.write_window = Span::ZERO,
        }
        let mut events = EventLoop::<Seen>::new().unwrap();
        let listener = StreamListener::bind_tcp("127.0.0.1:0").unwrap();
        let refused = events.streams(listener, options, Lines { answer: 0 });
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains(name), "{error}");
        assert!(events.is_empty());
    }
}
