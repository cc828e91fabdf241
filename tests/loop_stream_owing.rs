//! Streams whose handler has something to say later: what waits for it, and what does not.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use trine::reactor::{
    Context, Link, StreamEnd, StreamHandler, StreamListener, StreamOptions, Waker,
};
use trine::time::Span;
use trine::{EventLoop, Sources};

const PATIENCE: Duration = Duration::from_secs(10);

/// What happened to the one stream of a test.
#[derive(Default)]
struct Seen {
    waker: Option<Waker>,
    received: usize,
    closed: Option<StreamEnd>,
    /// Whether the answer to what was received may be given.
    may_answer: bool,
}

/// Echoes, but only when the test says so.
struct Later {
    pauses: bool,
}

impl Later {
    fn turn(&mut self, bytes: &[u8], link: &mut Link<'_, '_, Seen>, seen: &mut Seen) -> usize {
        seen.waker = Some(link.waker());
        if seen.may_answer {
            link.write(bytes);
            return bytes.len();
        }
        match self.pauses {
            true => link.pause(),
            false => link.owe(),
        }
        0
    }
}

impl StreamHandler<Seen> for Later {
    fn received(&mut self, bytes: &[u8], link: &mut Link<'_, '_, Seen>, seen: &mut Seen) -> usize {
        seen.received = bytes.len();
        self.turn(bytes, link, seen)
    }

    fn resumed(&mut self, bytes: &[u8], link: &mut Link<'_, '_, Seen>, seen: &mut Seen) -> usize {
        self.turn(bytes, link, seen)
    }

    fn closed(&mut self, why: StreamEnd, seen: &mut Seen, _: &mut Context<'_, Seen>) {
        seen.closed = Some(why);
    }
}

struct Fixture {
    events: EventLoop<Seen>,
    seen: Seen,
    address: SocketAddr,
}

fn listen(options: StreamOptions, handler: impl StreamHandler<Seen>) -> Fixture {
    let mut events = EventLoop::new().unwrap();
    let listener = StreamListener::bind_tcp("127.0.0.1:0").unwrap();
    let address = listener.local_address().unwrap();
    events.streams(listener, options, handler).unwrap();
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
    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }

    fn until(&mut self, mut is_so: impl FnMut(&Seen) -> bool) {
        let began = Instant::now();
        while !is_so(&self.seen) {
            assert!(began.elapsed() < PATIENCE, "it never came to pass");
            let _ = self.events.turn(&mut self.seen).unwrap();
        }
    }

    fn some_turns(&mut self) {
        for _ in 0..20 {
            let _ = self.events.turn(&mut self.seen).unwrap();
        }
    }

    /// Lets the handler answer, from a thread.
    fn answer(&mut self) {
        self.seen.may_answer = true;
        let waker = self.seen.waker.clone().unwrap();
        thread::spawn(move || waker.wake()).join().unwrap();
    }
}

/// Reads to the end on a thread.
fn read_all(mut client: TcpStream) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        all
    })
}

#[test]
fn a_stream_that_is_owed_something_gets_it_after_its_peers_end_of_file() {
    for pauses in [false, true] {
        let mut fixture = listen(StreamOptions::default(), Later { pauses });
        let mut client = fixture.connect();
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        fixture.until(|seen| seen.received == 8);
        fixture.some_turns();
        assert_eq!(fixture.seen.closed, None);
        fixture.answer();
        let heard = read_all(client);
        fixture.until(|seen| seen.closed == Some(StreamEnd::PeerClosed));
        assert_eq!(heard.join().unwrap(), b"question");
    }
}

#[test]
fn a_drain_waits_for_what_a_stream_is_owed() {
    let mut fixture = listen(StreamOptions::default(), Later { pauses: false });
    let mut client = fixture.connect();
    client.write_all(b"question").unwrap();
    fixture.until(|seen| seen.received == 8);
    fixture.events.context().drain(PATIENCE);
    fixture.some_turns();
    assert_eq!(fixture.seen.closed, None);
    fixture.answer();
    let heard = read_all(client);
    fixture.until(|seen| seen.closed == Some(StreamEnd::Drained));
    assert_eq!(heard.join().unwrap(), b"question");
}

#[test]
fn a_stream_that_is_owed_something_is_not_idle() {
    let options = StreamOptions {
        idle: Span::from_millis(30),
        write_window: Span::from_millis(30),
        ..StreamOptions::default()
    };
    let mut fixture = listen(options, Later { pauses: false });
    let mut client = fixture.connect();
    client.write_all(b"question").unwrap();
    fixture.until(|seen| seen.received == 8);
    let until = Instant::now() + Duration::from_millis(150);
    fixture.until(|_| Instant::now() > until);
    assert_eq!(fixture.seen.closed, None);
    fixture.answer();
    fixture.until(|seen| seen.closed == Some(StreamEnd::Idle));
    assert_eq!(read_all(client).join().unwrap(), b"question");
}

#[test]
fn a_paused_stream_is_not_read_and_may_hold_more_than_an_unfinished_message() {
    let options = StreamOptions {
        input_max: 4,
        ..StreamOptions::default()
    };
    let mut fixture = listen(options, Later { pauses: true });
    let mut client = fixture.connect();
    client.write_all(b"first").unwrap();
    fixture.until(|seen| seen.received == 5);
    client.write_all(b", second").unwrap();
    fixture.some_turns();
    assert_eq!(fixture.seen.received, 5);
    fixture.answer();
    fixture.until(|seen| seen.received > 5);
    let mut heard = [0; 13];
    client.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"first, second");
}

/// Answers each byte with a piece that is more than the mark, one at a time.
struct Pieces;

const PIECE: usize = 256 * 1024;

impl StreamHandler<Seen> for Pieces {
    fn received(&mut self, bytes: &[u8], link: &mut Link<'_, '_, Seen>, seen: &mut Seen) -> usize {
        seen.received += 1;
        link.write(&vec![b'x'; PIECE]);
        if bytes.len() > 1 {
            link.pause();
        }
        1
    }

    fn resumed(&mut self, bytes: &[u8], link: &mut Link<'_, '_, Seen>, seen: &mut Seen) -> usize {
        assert!(link.queued() < StreamOptions::default().output_high);
        self.received(bytes, link, seen)
    }
}

#[test]
fn a_stream_that_pauses_because_its_peer_has_much_to_take_goes_on_when_it_has_taken_it() {
    const COUNT: usize = 100;
    let mut fixture = listen(StreamOptions::default(), Pieces);
    let mut client = fixture.connect();
    client.write_all(&[b'?'; COUNT]).unwrap();
    fixture.until(|seen| seen.received > 0);
    fixture.some_turns();
    assert!(fixture.seen.received < COUNT, "nobody has read yet");
    let reading = thread::spawn(move || {
        let mut taken = vec![0; COUNT * PIECE];
        client.read_exact(&mut taken).map(|()| client)
    });
    fixture.until(|seen| seen.received == COUNT);
    fixture.until(|_| reading.is_finished());
    reading.join().unwrap().unwrap();
}
