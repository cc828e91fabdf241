//! Exchanges in pieces over real sockets: much data, wake-ups from threads, and who is gone.

mod support;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use support::client::{Client, End, get};
use support::{eventually, start};
use trine::Response;
use trine::connection::CloseReason;
use trine::http::{Request, Trailers};
use trine::service::{Answered, Exchange, Flow, Reply, Service};

/// Counts the exchanges that live.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Alive {
        count.fetch_add(1, Ordering::SeqCst);
        Alive(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Sends back what it gets.
struct Echo {
    _alive: Alive,
}

impl Exchange for Echo {
    fn produce(&mut self, flow: &mut Flow<'_>, (): &mut ()) {
        let _ = flow.respond(&Response::bytes(""), None);
    }

    fn piece(&mut self, piece: &[u8], flow: &mut Flow<'_>, (): &mut ()) -> usize {
        assert!(!piece.starts_with(b"panic"), "asked to");
        flow.write(piece)
    }

    fn end(&mut self, _: Trailers<'_>, flow: &mut Flow<'_>, (): &mut ()) {
        flow.finish();
    }
}

/// Passes on what a thread says.
struct Feed {
    from: Receiver<String>,
}

impl Feed {
    fn start(flow: &Flow<'_>) -> Feed {
        let (give, from) = channel();
        let waker = flow.waker();
        thread::spawn(move || {
            for number in 0..20 {
                thread::sleep(Duration::from_millis(2));
                if give.send(format!("{number} ")).is_err() {
                    return;
                }
                waker.wake();
            }
            drop(give);
            waker.wake();
        });
        Feed { from }
    }
}

/// Begins its thread when it is first asked.
struct Lazy(Option<Feed>);

impl Exchange for Lazy {
    fn produce(&mut self, flow: &mut Flow<'_>, (): &mut ()) {
        let _ = flow.respond(&Response::text(""), None);
        let feed = self.0.get_or_insert_with(|| Feed::start(flow));
        loop {
            match feed.from.try_recv() {
                Ok(text) => assert_eq!(flow.write(text.as_bytes()), text.len()),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => return flow.finish(),
            }
        }
    }
}

struct Site {
    alive: Arc<AtomicUsize>,
}

impl Service for Site {
    fn open(&mut self, head: &Request<'_>, (): &mut ()) -> Option<Box<dyn Exchange>> {
        match head.path() {
            "/echo" => Some(Box::new(Echo {
                _alive: Alive::new(&self.alive),
            })),
            "/feed" => Some(Box::new(Lazy(None))),
            _ => None,
        }
    }

    fn call(&mut self, _: &Request<'_>, reply: Reply<'_>, (): &mut ()) -> Answered {
        reply.text("whole")
    }
}

fn site() -> (Site, Arc<AtomicUsize>) {
    let alive = Arc::new(AtomicUsize::new(0));
    let site = Site {
        alive: Arc::clone(&alive),
    };
    (site, alive)
}

/// The content of chunks.
fn dechunked(mut octets: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let end = octets.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = std::str::from_utf8(&octets[..end]).unwrap();
        let len = usize::from_str_radix(size, 16).unwrap();
        content.extend_from_slice(&octets[end + 2..end + 2 + len]);
        octets = &octets[end + 4 + len..];
        if len == 0 {
            return content;
        }
    }
}

#[test]
fn a_large_body_comes_back_whole_while_it_is_sent() {
    let (service, alive) = site();
    let server = start(|server| server, service);
    let stream = std::net::TcpStream::connect(server.address()).unwrap();
    let body: Vec<u8> = (0..30_000_000_u32)
        .map(|number| (number >> 8) as u8)
        .collect();
    let (mut sending, sent) = (stream.try_clone().unwrap(), body.clone());
    let sender = thread::spawn(move || {
        let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        sending.write_all(head.as_bytes()).unwrap();
        for piece in sent.chunks(100_000) {
            write!(sending, "{:x}\r\n", piece.len()).unwrap();
            sending.write_all(piece).unwrap();
            sending.write_all(b"\r\n").unwrap();
        }
        sending.write_all(b"0\r\n\r\n").unwrap();
        sending.shutdown(Shutdown::Write).unwrap();
    });
    let mut answer = Vec::new();
    (&stream).read_to_end(&mut answer).unwrap();
    sender.join().unwrap();
    let head_len = answer
        .windows(4)
        .position(|end| end == b"\r\n\r\n")
        .unwrap()
        + 4;
    assert!(dechunked(&answer[head_len..]) == body, "not what was sent");
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[test]
fn a_thread_feeds_an_answer_by_wake_ups() {
    let server = start(|server| server, site().0);
    let mut client = server.client();
    client.send("GET /feed HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let (octets, end) = client.rest();
    assert_eq!(end, End::Closed);
    let head_len = octets
        .windows(4)
        .position(|end| end == b"\r\n\r\n")
        .unwrap()
        + 4;
    let said = String::from_utf8(dechunked(&octets[head_len..])).unwrap();
    let expected: String = (0..20).map(|number| format!("{number} ")).collect();
    assert_eq!(said, expected);
}

#[test]
fn a_connection_goes_on_after_an_exchange_in_pieces() {
    let server = start(|server| server, site().0);
    let mut client = server.client();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab");
    client.send(get("/"));
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let (octets, _) = client.rest();
    let text = String::from_utf8(octets).unwrap();
    assert_eq!(text.matches("whole").count(), 2, "{text}");
    assert!(
        text.contains("\r\n\r\n2\r\nab\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"),
        "{text}"
    );
}

#[test]
fn an_exchange_is_dropped_when_its_client_is_gone() {
    let (service, alive) = site();
    let server = start(|server| server, service);
    let clients: Vec<Client> = (0..20).map(|_| server.client()).collect();
    let mut clients = clients.into_iter().map(|mut client| {
        client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nab");
        client
    });
    let (first, mut others): (Vec<_>, Vec<_>) =
        (clients.by_ref().take(10).collect(), clients.collect());
    eventually("twenty exchanges", || alive.load(Ordering::SeqCst) == 20);
    first.into_iter().for_each(Client::reset);
    for client in &mut others {
        client.finish();
        let (octets, _) = client.rest();
        assert!(!octets.ends_with(b"0\r\n\r\n"), "a whole answer");
    }
    eventually("no exchange", || alive.load(Ordering::SeqCst) == 0);
    server.awaits_closed(CloseReason::PeerReset, 10);
    server.awaits_closed(CloseReason::Truncated, 10);
}

#[test]
fn a_panic_in_an_exchange_cuts_its_own_connection_and_no_other() {
    let (service, alive) = site();
    let server = start(|server| server, service);
    let mut other = server.client();
    other.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
    let mut client = server.client();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\npanic now");
    let (octets, _) = client.rest();
    assert!(!octets.ends_with(b"0\r\n\r\n"), "a whole answer");
    server.awaits_closed(CloseReason::HandlerPanicked, 1);
    other.send("cd");
    other.finish();
    let (octets, _) = other.rest();
    assert!(octets.ends_with(b"2\r\ncd\r\n0\r\n\r\n"));
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}
