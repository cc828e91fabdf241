//! The protocol of Redis on sockets: what a client meets at the end, at a drain, and when it or the
//! store is slow.

mod resp_support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use resp_support::{Shelf, array, until};
use trine::reactor::{InboxSender, Mail};
use trine::resp::RespServer;
use trine::{EventLoop, Sources};

const PATIENCE: Duration = Duration::from_secs(10);

/// A server that runs on a thread of its own.
struct Running {
    address: SocketAddr,
    drain: InboxSender<Duration>,
    thread: JoinHandle<trine::Result<()>>,
}

fn start(shelf: &Shelf, configure: impl FnOnce(RespServer) -> RespServer) -> Running {
    let server = configure(RespServer::bind("127.0.0.1:0").unwrap());
    let address = server.local_address().unwrap();
    let unit = shelf.unit();
    let (give, take) = channel();
    let thread = thread::spawn(move || {
        let mut event_loop = EventLoop::new()?;
        server.attach(&mut event_loop, unit)?;
        let drain = event_loop.inbox(1, |(): &mut (), mail, cx| match mail {
            Mail::Message(grace) => cx.drain(grace),
            Mail::Closed => cx.stop(),
        })?;
        give.send(drain).unwrap();
        event_loop.run(&mut ())
    });
    Running {
        address,
        drain: take.recv_timeout(PATIENCE).unwrap(),
        thread,
    }
}

impl Running {
    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.set_nodelay(true).unwrap();
        client
    }

    fn ended(self) -> trine::Result<()> {
        until(|| self.thread.is_finished());
        self.thread.join().unwrap()
    }
}

#[track_caller]
fn hears(client: &mut TcpStream, expected: &[u8]) {
    let mut heard = vec![0; expected.len()];
    client.read_exact(&mut heard).unwrap();
    assert_eq!(
        heard.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
}

/// What comes until the server has ended the connection, on a thread.
fn read_all(mut client: TcpStream) -> Receiver<Vec<u8>> {
    let (give, take) = channel();
    thread::spawn(move || {
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        let _ = give.send(all);
    });
    take
}

#[test]
fn clients_are_served_side_by_side_and_quit() {
    let shelf = Shelf::in_place();
    let running = start(&shelf, |server| server);
    let (mut one, mut other) = (running.connect(), running.connect());
    one.write_all(&array(["SET", "a", "1"])).unwrap();
    hears(&mut one, b"+OK\r\n");
    other.write_all(b"GET a\r\nCLIENT ID\r\n").unwrap();
    hears(&mut other, b"$1\r\n1\r\n:2\r\n");
    one.write_all(b"PING\r\nQUIT\r\nPING\r\n").unwrap();
    assert_eq!(read_all(one).recv().unwrap(), b"+PONG\r\n+OK\r\n");
    other.write_all(b"*x\r\n").unwrap();
    let expected = b"-ERR Protocol error: invalid multibulk length\r\n";
    assert_eq!(read_all(other).recv().unwrap(), expected);
}

#[test]
fn a_client_that_half_closes_gets_all_its_replies_however_late() {
    for shelf in [Shelf::in_place(), Shelf::with_lanes(2)] {
        let running = start(&shelf, |server| server);
        shelf.stop(0);
        let mut client = running.connect();
        client
            .write_all(&array(["SET", "k", "v"]).repeat(1_000))
            .unwrap();
        client.write_all(b"GET k\r\nPING").unwrap(); // the last one is not a command
        client.shutdown(Shutdown::Write).unwrap();
        let heard = read_all(client);
        until(|| shelf.is_waited_for() || !shelf.log().is_empty());
        shelf.go_on(0);
        let expected = [&b"+OK\r\n".repeat(1_000)[..], b"$1\r\nv\r\n"].concat();
        assert_eq!(heard.recv().unwrap(), expected);
    }
}

#[test]
fn a_store_that_stands_still_keeps_only_those_waiting_who_need_it() {
    let shelf = Shelf::with_lanes(2);
    let running = start(&shelf, |server| server);
    shelf.stop(0);
    let (mut one, mut other) = (running.connect(), running.connect());
    one.write_all(b"SET a 1\r\nPING\r\n").unwrap();
    other.write_all(b"PING\r\nSET b 1\r\nGET b\r\n").unwrap();
    hears(&mut other, b"+PONG\r\n+OK\r\n$1\r\n1\r\n");
    one.set_nonblocking(true).unwrap();
    let early = one.read(&mut [0; 10]).unwrap_err();
    assert_eq!(early.kind(), ErrorKind::WouldBlock);
    one.set_nonblocking(false).unwrap();
    shelf.go_on(0);
    hears(&mut one, b"+OK\r\n+PONG\r\n");
}

#[test]
fn a_drain_answers_what_was_received_and_then_closes() {
    let shelf = Shelf::with_lanes(1);
    let running = start(&shelf, |server| server);
    shelf.stop(0);
    let mut busy = running.connect();
    let mut idle = running.connect();
    idle.write_all(b"PING\r\n").unwrap();
    hears(&mut idle, b"+PONG\r\n");
    busy.write_all(&array(["SET", "k", "v"]).repeat(200))
        .unwrap();
    until(|| shelf.is_waited_for());
    running.drain.try_send(PATIENCE).unwrap();
    assert_eq!(read_all(idle).recv().unwrap(), b"");
    assert!(!running.thread.is_finished());
    shelf.go_on(0);
    assert_eq!(read_all(busy).recv().unwrap(), b"+OK\r\n".repeat(200));
    running.ended().unwrap();
}

#[test]
fn a_client_that_asks_and_does_not_read_costs_little_and_is_cut() {
    let shelf = Shelf::in_place();
    let window = Duration::from_millis(200);
    let running = start(&shelf, |server| server.write_rate(1_000, window));
    let mut client = running.connect();
    client
        .write_all(&array(["SET", "k", &"x".repeat(1 << 20)]))
        .unwrap();
    hears(&mut client, b"+OK\r\n");
    let before = shelf.log().len();
    client.write_all(&array(["GET", "k"]).repeat(500)).unwrap();
    thread::sleep(window / 2);
    let done = shelf.log().len() - before;
    assert!(done < 50, "{done} values for nobody");
    thread::sleep(3 * window);
    let end = client.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(end.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_client_that_reads_slowly_gets_everything() {
    let shelf = Shelf::in_place();
    let running = start(&shelf, |server| server);
    let mut client = running.connect();
    let value = "x".repeat(1 << 20);
    client.write_all(&array(["SET", "k", &value])).unwrap();
    hears(&mut client, b"+OK\r\n");
    client
        .write_all(&array(["MGET", "k", "k", "k", "k"]).repeat(10))
        .unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    thread::sleep(Duration::from_millis(50));
    let one = format!("$1048576\r\n{value}\r\n").repeat(4);
    let expected = format!("*4\r\n{one}").repeat(10);
    let mut heard = Vec::new();
    let mut piece = vec![0; 300_000];
    while let Ok(len @ 1..) = client.read(&mut piece) {
        heard.extend_from_slice(&piece[..len]);
    }
    assert!(heard == expected.as_bytes(), "{} bytes", heard.len());
}

#[test]
fn a_silent_client_is_closed_and_one_too_many_waits() {
    let shelf = Shelf::in_place();
    let idle = Duration::from_millis(150);
    let running = start(&shelf, |server| {
        server.idle_timeout(idle).connections_max(1)
    });
    let first = running.connect();
    let mut second = running.connect();
    second.write_all(b"PING\r\n").unwrap();
    let began = Instant::now();
    assert_eq!(read_all(first).recv().unwrap(), b"");
    hears(&mut second, b"+PONG\r\n");
    assert!(began.elapsed() < PATIENCE);
}

#[test]
fn a_unix_socket_does_as_well() {
    let path = std::env::temp_dir().join(format!("trine-resp-{}.sock", std::process::id()));
    let shelf = Shelf::in_place();
    let server = RespServer::bind_unix(&path).unwrap();
    let mut event_loop = EventLoop::new().unwrap();
    server.attach(&mut event_loop, shelf.unit()).unwrap();
    let client = thread::spawn(move || {
        let mut client = std::os::unix::net::UnixStream::connect(path).unwrap();
        client.write_all(b"SET a 1\r\nQUIT\r\n").unwrap();
        let mut heard = String::new();
        client.read_to_string(&mut heard).unwrap();
        heard
    });
    event_loop
        .every(Duration::from_millis(5), |(): &mut (), _, _| ())
        .unwrap();
    until(|| {
        let _ = event_loop.turn(&mut ()).unwrap();
        client.is_finished()
    });
    assert_eq!(client.join().unwrap(), "+OK\r\n+OK\r\n");
}
