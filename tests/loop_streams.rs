//! Byte streams: their ends, their halves, and peers that do not read.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::{SendFlags, send};
use socket2::SockRef;

use trine::reactor::{
    Context, Link, StreamEnd, StreamHandler, StreamListener, StreamOptions, write_to,
};
use trine::slab::Token;
use trine::{EventLoop, Sources};

/// Turns after which something that should have happened is not going to.
const TURNS_MAX: usize = 20_000;

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
    panics_when_closed: bool,
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
        assert!(!self.panics_when_closed);
    }
}

/// A loop with a listener, and what it saw.
struct Fixture {
    events: EventLoop<Seen>,
    seen: Seen,
    address: SocketAddr,
}

fn listen(answer: usize) -> Fixture {
    listen_with(
        StreamOptions::default(),
        Recorder {
            answer,
            panics_when_closed: false,
        },
    )
}

/// For answers that no other test would let pile up.
fn listen_to_many_bytes(answer: usize) -> Fixture {
    let options = StreamOptions {
        output_max: 2 * answer,
        ..StreamOptions::default()
    };
    let recorder = Recorder {
        answer,
        panics_when_closed: false,
    };
    listen_with(options, recorder)
}

fn listen_with(options: StreamOptions, handler: Recorder) -> Fixture {
    let mut events = EventLoop::new().unwrap();
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = StreamListener::bind_tcp(anywhere).unwrap();
    let address = listener.local_address().unwrap();
    events.streams(listener, options, handler).unwrap();
    let mut fixture = Fixture {
        events,
        seen: Seen::default(),
        address,
    };
    fixture.turn();
    fixture
}

impl Fixture {
    fn turn(&mut self) {
        let _ = self.events.turn_now(&mut self.seen).unwrap();
    }

    /// Runs turns until `is_done`. Packets of the loopback interface may take a moment.
    fn until(&mut self, is_done: impl Fn(&Seen) -> bool) {
        for turn in 0..TURNS_MAX {
            if is_done(&self.seen) {
                return;
            }
            self.turn();
            if turn > 100 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        panic!("nothing more happens: {:?}", self.seen.closed);
    }

    /// A client whose connection is open, and has had its say.
    fn connect(&mut self) -> TcpStream {
        let client = TcpStream::connect(self.address).unwrap();
        client.set_nodelay(true).unwrap();
        let opened = self.seen.opened.len();
        self.until(|seen| seen.opened.len() > opened);
        self.turn();
        client
    }

    /// How many events the next turns dispatch, when nobody does anything.
    fn events_of_idle_turns(&mut self) -> u64 {
        self.turn();
        self.turn();
        let before = self.events.metrics().events;
        for _ in 0..20 {
            self.turn();
        }
        self.events.metrics().events - before
    }
}

/// Reads `client` to its end while the loop runs; how much there was.
fn read_to_end(fixture: &mut Fixture, client: &mut TcpStream) -> usize {
    client.set_nonblocking(true).unwrap();
    let mut buffer = vec![0; 64 * 1024];
    let mut total = 0;
    for turn in 0..TURNS_MAX {
        match client.read(&mut buffer) {
            Ok(0) => return total,
            Ok(len) => total += len,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        fixture.turn();
        if turn > 5_000 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    panic!("{total} bytes, and no end");
}

#[test]
fn data_and_the_end_of_file_that_come_together_are_both_seen() {
    let mut fixture = listen(0);
    let mut client = fixture.connect();
    client.write_all(b"last words").unwrap();
    drop(client);
    fixture.until(|seen| !seen.closed.is_empty());
    assert_eq!(fixture.seen.received, b"last words");
    assert_eq!(fixture.seen.closed, [StreamEnd::PeerClosed]);
}

#[test]
fn the_end_of_file_after_a_short_read_is_an_edge_of_its_own() {
    let mut fixture = listen(0);
    let mut client = fixture.connect();
    client.write_all(b"a short read").unwrap();
    fixture.until(|seen| seen.received == b"a short read");
    assert_eq!(fixture.events_of_idle_turns(), 0);
    drop(client);
    fixture.until(|seen| seen.closed == [StreamEnd::PeerClosed]);
    let deadlines = fixture.events.metrics().lag.count();
    assert_eq!(deadlines, 0, "a timeout ended it");
}

#[test]
fn a_client_that_half_closes_gets_its_whole_answer_and_no_turn_is_spent_waiting_for_it() {
    const BYTES: usize = 32 * 1024 * 1024; // more than the sockets hold
    let mut fixture = listen_to_many_bytes(BYTES);
    let mut client = fixture.connect();
    client.write_all(b"?").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    fixture.until(|seen| !seen.received.is_empty());
    assert_eq!(read_to_end(&mut fixture, &mut client), BYTES);
    assert_eq!(fixture.seen.closed, [StreamEnd::PeerClosed]);
    assert_eq!(fixture.events_of_idle_turns(), 0);
}

#[test]
fn a_half_closed_client_that_does_not_read_and_then_resets_spins_neither_before_nor_after() {
    let mut fixture = listen_to_many_bytes(32 * 1024 * 1024);
    let mut client = fixture.connect();
    client.write_all(b"?").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    fixture.until(|seen| !seen.received.is_empty());
    for _ in 0..100 {
        fixture.turn(); // until both sockets are full
    }
    assert_eq!(fixture.events_of_idle_turns(), 0);
    assert!(fixture.seen.closed.is_empty());

    let linger = Some(Duration::ZERO);
    SockRef::from(&client).set_linger(linger).unwrap();
    drop(client); // RST: the server sees HUP and ERR
    fixture.until(|seen| seen.closed == [StreamEnd::Broken]);
    assert_eq!(fixture.events_of_idle_turns(), 0);
    assert_eq!(fixture.events.len(), 1, "only the listener is left");
}

#[test]
fn urgent_data_in_the_middle_does_not_stall_a_stream() {
    let mut fixture = listen(0);
    let mut client = fixture.connect();
    let mut sent = Vec::new();
    for _ in 0..10 {
        client.write_all(b"before ").unwrap();
        send(&client, b"!", SendFlags::OOB).unwrap();
        client.write_all(b" after ").unwrap();
        sent.extend_from_slice(b"before ! after ");
        let expected = sent.clone();
        fixture.until(|seen| seen.received == expected);
        assert_eq!(fixture.events_of_idle_turns(), 0);
    }
    drop(client);
    fixture.until(|seen| seen.closed == [StreamEnd::PeerClosed]);
}

#[test]
fn a_stream_is_read_on_after_its_peer_has_taken_what_kept_it_from_being_read() {
    const BYTES: usize = 200_000;
    let mut fixture = listen(1);
    let mut client = fixture.connect();
    client.write_all(&vec![b'?'; BYTES]).unwrap(); // the sockets hold it
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut fixture, &mut client), BYTES);
}

#[test]
fn a_slow_reader_that_is_cut_is_not_kept_alive_by_what_others_write_to_it() {
    let mut fixture = listen(0);
    let client = fixture.connect();
    let token = fixture.seen.opened[0];
    let piece = vec![b'x'; 512 * 1024];
    let mut pieces = 0;
    while write_to(&mut fixture.events.context(), token, &piece) {
        pieces += 1;
        assert!(pieces < 1_000, "it is never cut");
        fixture.turn();
    }
    // In the same turn, something that would fit.
    assert!(!write_to(&mut fixture.events.context(), token, b"more"));
    fixture.until(|seen| seen.closed == [StreamEnd::SlowReader]);
    assert!(!write_to(&mut fixture.events.context(), token, b"more"));
    drop(client);
}

#[test]
fn a_handler_that_panics_at_the_end_of_a_stream_does_not_keep_the_next_client_out() {
    let options = StreamOptions {
        connections_max: 1,
        ..StreamOptions::default()
    };
    let recorder = Recorder {
        answer: 0,
        panics_when_closed: true,
    };
    let mut fixture = listen_with(options, recorder);
    let first = fixture.connect();
    let _second = TcpStream::connect(fixture.address).unwrap();
    for _ in 0..100 {
        fixture.turn();
    }
    assert_eq!(fixture.seen.opened.len(), 1);
    drop(first);
    fixture.until(|seen| seen.opened.len() == 2);
    assert_eq!(fixture.events.metrics().panics, 1);
}

#[test]
fn a_stream_that_is_closed_with_bytes_unread_still_delivers_all_it_said() {
    const SAID: usize = 900_000;
    let mut events = EventLoop::<()>::new().unwrap();
    let say_and_close = |(): &mut (), link: &mut Link<'_, '_, ()>, _: &[u8]| {
        link.write(&vec![b'x'; SAID]);
        link.close();
    };
    let address = events.tcp("127.0.0.1:0", say_and_close).unwrap();
    let client = std::thread::spawn(move || {
        let mut client = TcpStream::connect(address).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        client.write_all(b"say").unwrap();
        std::thread::sleep(Duration::from_millis(50));
        client.write_all(&[b'y'; 1_000]).unwrap(); // nobody reads it
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).map(|_| heard.len())
    });
    while !client.is_finished() {
        let _ = events.turn_now(&mut ()).unwrap();
    }
    assert_eq!(client.join().unwrap().unwrap(), SAID);
}
