//! Connecting without waiting: what becomes of `connect` and its EINPROGRESS, by the loop and by the
//! proactor.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use trine::proactor::{Outcome, Pattern, Proactor, ProactorOptions};
use trine::reactor::{ErrorKind as Kind, Stream};
use trine::{Context, Event, EventLoop, EventSource, Next, Sources};

const PATIENCE: Duration = Duration::from_secs(10);
/// Of a connect that is to run out of time.
const SHORT: Duration = Duration::from_millis(60);

/// What a loop that only connects was told, and how often.
type Told = Vec<trine::Result<Stream>>;

/// Connects, and gives up the test after [`PATIENCE`].
fn connect(address: SocketAddr, timeout: Duration) -> Told {
    let mut events = EventLoop::<Told>::new().unwrap();
    let tell = |told: &mut Told, result, cx: &mut Context<'_, Told>| {
        told.push(result);
        cx.stop();
    };
    events.connect(address, timeout, tell).unwrap();
    events.call_after(PATIENCE, |_, cx| cx.stop()).unwrap();
    let mut told = Told::new();
    events.run(&mut told).unwrap();
    assert_eq!(events.len(), 1, "the connector is gone, the timer is left");
    told
}

/// A port of this machine where nobody listens.
fn deserted() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// A listener that never accepts, with its queue full: what else would connect is not answered at all.
struct Overrun {
    address: SocketAddr,
    _listener: Socket,
    _queued: Vec<TcpStream>,
}

fn overrun() -> Overrun {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    listener.bind(&SockAddr::from(any)).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    // One finds room in a queue of none; how many more the kernel decides.
    while let Ok(stream) = TcpStream::connect_timeout(&address, SHORT) {
        queued.push(stream);
        assert!(queued.len() < 100, "the queue of {address} has no end");
    }
    Overrun {
        address,
        _listener: listener,
        _queued: queued,
    }
}

#[test]
fn a_listener_that_accepts_gives_a_stream_that_another_source_can_have() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let echo = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut word = [0; 5];
        peer.read_exact(&mut word).unwrap();
        peer.write_all(&word).unwrap();
    });
    let mut events = EventLoop::<Vec<u8>>::new().unwrap();
    events
        .connect(address, PATIENCE, |_, stream, cx| {
            let stream = stream.unwrap();
            let option = SockRef::from(&stream).tcp_nodelay();
            assert!(option.unwrap(), "it has the options of an accepted one");
            stream.write(b"hello").unwrap();
            cx.descriptor(stream, |heard: &mut Vec<u8>, stream, _, _| {
                let mut bytes = [0; 16];
                match stream.read(&mut bytes) {
                    Ok(len) => heard.extend(&bytes[..len]),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
                if heard.len() < 5 {
                    Next::Wait
                } else {
                    Next::Close
                }
            })
            .unwrap();
        })
        .unwrap();
    let mut heard = Vec::new();
    events.run(&mut heard).unwrap();
    assert_eq!(heard, b"hello");
    echo.join().unwrap();
}

#[test]
fn a_port_where_nobody_listens_refuses_and_the_error_says_whom_and_what_to_do() {
    let address = deserted();
    let mut told = connect(address, PATIENCE);
    assert_eq!(told.len(), 1);
    let error = told.pop().unwrap().unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains(&format!("cannot connect to {address}")),
        "{said}"
    );
    assert!(
        said.contains("start the program that listens there"),
        "{said}"
    );
    assert_eq!(error.kind(), Kind::Io);
    assert_eq!(io::Error::from(error).kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_listener_that_never_answers_is_given_up_at_the_deadline_and_not_before() {
    let silent = overrun();
    let began = Instant::now();
    let mut told = connect(silent.address, SHORT);
    let waited = began.elapsed();
    assert_eq!(told.len(), 1);
    let error = io::Error::from(told.pop().unwrap().unwrap_err());
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(waited >= SHORT, "given up after {waited:?}");
    assert!(waited < PATIENCE, "the kernel's own time limit: {waited:?}");
}

#[test]
fn a_connect_that_is_under_way_when_the_loop_drains_is_told_so() {
    let silent = overrun();
    let mut events = EventLoop::<Told>::new().unwrap();
    let tell = |told: &mut Told, result, _: &mut Context<'_, Told>| told.push(result);
    events.connect(silent.address, PATIENCE, tell).unwrap();
    let drain = |_: &mut Told, cx: &mut Context<'_, Told>| cx.drain(PATIENCE);
    events.call_after(Duration::from_millis(5), drain).unwrap();
    let mut told = Told::new();
    events.run(&mut told).unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].as_ref().unwrap_err().kind(), Kind::Draining);
}

#[test]
fn a_connect_that_is_removed_tells_nobody_and_closes_its_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut events = EventLoop::<Told>::new().unwrap();
    let tell = |told: &mut Told, result, _: &mut Context<'_, Told>| told.push(result);
    let address = listener.local_addr().unwrap();
    let token = events.connect(address, PATIENCE, tell).unwrap();
    assert!(events.context().remove(token));
    let mut told = Told::new();
    events.run(&mut told).unwrap();
    assert_eq!((told.len(), events.len()), (0, 0));
    let (mut peer, _) = listener.accept().unwrap();
    assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0, "it was closed");
}

/// Connects by an operation, and cancels it when it takes too long.
struct Asking {
    proactor: Proactor,
    address: SocketAddr,
}

/// What came of it.
#[derive(PartialEq, Debug)]
enum Came {
    Connected,
    Failed(ErrorKind),
    Cancelled,
}

impl EventSource<Vec<Came>> for Asking {
    fn handle(
        &mut self,
        event: Event,
        came: &mut Vec<Came>,
        cx: &mut Context<'_, Vec<Came>>,
    ) -> Next {
        match event {
            Event::Resumed => {
                let id = self.proactor.connect(cx, self.address).unwrap();
                let proactor = self.proactor;
                let give_up = move |_: &mut _, cx: &mut Context<'_, _>| {
                    proactor.cancel(cx, id);
                };
                cx.call_after(SHORT, give_up).unwrap();
                Next::Wait
            }
            Event::Completed(completed) => {
                let done = self.proactor.take(cx, completed).unwrap();
                came.push(match done.outcome {
                    Outcome::Connected(_) => Came::Connected,
                    Outcome::Failed(error, _) => Came::Failed(error.kind()),
                    Outcome::Cancelled(_) => Came::Cancelled,
                    other => panic!("{other:?}"),
                });
                cx.stop();
                Next::Close
            }
            _ => Next::Wait,
        }
    }
}

#[test]
fn the_proactor_knows_the_same_three_ends_with_either_driver() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = overrun();
    let refused = Came::Failed(ErrorKind::ConnectionRefused);
    for pattern in [Pattern::Emulated, Pattern::IoUring] {
        for (address, expected) in [
            (listener.local_addr().unwrap(), &Came::Connected),
            (deserted(), &refused),
            (silent.address, &Came::Cancelled),
        ] {
            let mut events = EventLoop::new().unwrap();
            let options = ProactorOptions {
                pattern,
                ..ProactorOptions::default()
            };
            let proactor = Proactor::new(&mut events, options).unwrap();
            events.insert(Asking { proactor, address }).unwrap();
            let mut came = Vec::new();
            events.run(&mut came).unwrap();
            assert_eq!(
                came.as_slice(),
                std::slice::from_ref(expected),
                "{pattern:?}"
            );
        }
    }
}
