//! The flight recorder: whole lives of connections, word for word, in virtual time.
#![cfg(feature = "testing")]

use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Metadata, Subscriber};
use trine::Response;
use trine::http::Request;
use trine::server::{Server, ServerHandle};
use trine::service::{Answered, Reply};
use trine::testing::{Client, Sim};
use trine::time::Span;

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

type Site = fn(&Request<'_>, Reply<'_>, &mut ()) -> Answered;

fn site(request: &Request<'_>, reply: Reply<'_>, (): &mut ()) -> Answered {
    match request.path() {
        "/panic" => panic!("asked to"),
        "/drop" => reply.defer().1,
        "/later" => {
            let (deferred, answered) = reply.defer();
            deferred.send_after(Span::from_millis(1_500), Response::text("late"));
            answered
        }
        "/large" => reply.send(Response::bytes(vec![b'x'; 8 << 20])),
        "/echo" => reply.send(Response::bytes(request.body().to_vec())),
        _ => reply.text("ok"),
    }
}

/// A simulated server that records.
struct Recorded {
    sim: Sim,
    address: SocketAddr,
    handle: ServerHandle<(), Site>,
}

fn recorded(configure: impl FnOnce(Server) -> Server) -> Recorded {
    let mut sim = Sim::seeded(1);
    let server = configure(sim.server().flight_recorder(16));
    let (address, handle) = sim.attach(server, site as Site);
    Recorded {
        sim,
        address,
        handle,
    }
}

impl Recorded {
    fn client(&mut self) -> Client {
        self.sim.connect(self.address)
    }

    fn asks(&mut self, bytes: impl AsRef<[u8]>) -> Client {
        let mut client = self.client();
        client.send(bytes);
        self.sim.settle();
        client
    }

    fn advance(&mut self, millis: u64) {
        self.sim.advance(Duration::from_millis(millis));
    }

    /// The life of a connection, line by line.
    fn explain(&mut self, connection: u64) -> Vec<String> {
        let handle = self.handle;
        let life = self
            .sim
            .with(|events, ()| handle.explain(&mut events.context(), connection));
        let life = life.unwrap_or_else(|| panic!("nothing of connection {connection}"));
        format!("{life:#}").lines().map(str::to_owned).collect()
    }
}

/// Looks whether the life of `connection` is `expected`, line by line.
#[track_caller]
fn lived(server: &mut Recorded, connection: u64, expected: &[&str]) {
    let said = server.explain(connection);
    assert!(said[0].starts_with(&format!("connection {connection} of 198.51.100.0:")));
    assert_eq!(said[1], "+0.0 ms accepted");
    assert_eq!(said[2..], *expected, "{said:#?}");
}

#[test]
fn a_head_that_drips_is_told_from_its_first_byte_to_the_408() {
    let mut server = recorded(|server| server);
    let mut client = server.asks(&GET[..14]);
    for octet in &GET[14..24] {
        server.advance(500);
        client.send([*octet]);
    }
    server.advance(7_000);
    lived(
        &mut server,
        1,
        &[
            "+0.0 ms resumed: read 14 bytes -> head",
            "+500.0 ms to +5000.0 ms ready: read 10 bytes -> head",
            "+10000.0 ms deadline: answered 408, wrote 164 bytes -> lingering, head timeout",
            "+12000.0 ms deadline -> closed, head timeout",
            "+12000.0 ms gone: head timeout",
        ],
    );
}

#[test]
fn a_client_that_never_speaks_leaves_nothing_but_its_deadline() {
    let mut server = recorded(|server| server);
    let _client = server.client();
    server.advance(12_000);
    let expected = [
        "+10000.0 ms deadline -> closed, never spoke",
        "+10000.0 ms gone: never spoke",
    ];
    lived(&mut server, 1, &expected);
}

#[test]
fn requests_on_a_connection_kept_alive_share_one_record() {
    let mut server = recorded(|server| server);
    let mut client = server.asks(GET);
    for _ in 0..300 {
        server.advance(100);
        client.send(GET);
    }
    server.advance(80_000);
    lived(
        &mut server,
        1,
        &[
            "+0.0 ms resumed: read 27 bytes, 1 request, wrote 118 bytes -> idle",
            "+100.0 ms to +30000.0 ms ready: read 8100 bytes, 300 requests, wrote 35400 bytes -> idle",
            "+105000.0 ms deadline -> closed, idle timeout",
            "+105000.0 ms gone: idle timeout",
        ],
    );
}

#[test]
fn a_body_that_is_too_slow_is_told_with_what_came_after_the_verdict() {
    let mut server = recorded(|server| server);
    let mut client =
        server.asks("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\nhel");
    for _ in 0..60 {
        server.advance(100);
        client.send("x");
    }
    server.advance(10_000);
    lived(
        &mut server,
        1,
        &[
            "+0.0 ms resumed: read 57 bytes -> body",
            "+100.0 ms to +4900.0 ms ready: read 49 bytes -> body",
            "+5000.0 ms deadline: answered 408, wrote 164 bytes -> lingering, body too slow",
            "+5000.0 ms to +6000.0 ms ready: read 11 bytes -> lingering, body too slow",
            "+7000.0 ms deadline -> closed, body too slow",
            "+7000.0 ms gone: body too slow",
        ],
    );
}

#[test]
fn a_panic_is_told_with_what_was_answered_before_it() {
    let mut server = recorded(|server| server);
    let mut client = server.asks([GET, b"GET /panic HTTP/1.1\r\nhost: x\r\n\r\n"].concat());
    client.finish();
    server.advance(10);
    lived(
        &mut server,
        1,
        &[
            "+0.0 ms resumed: read 59 bytes, 2 requests, answered 500, wrote 294 bytes -> lingering, handler panicked",
            "+0.0 ms ready -> closed, handler panicked",
            "+0.0 ms gone: handler panicked",
        ],
    );
}

#[test]
fn an_answer_that_comes_later_and_the_end_by_force_are_told() {
    let mut server = recorded(|server| server);
    let mut client = server.asks("GET /later HTTP/1.1\r\nhost: x\r\n\r\n");
    server.advance(2_000);
    client.send("GET /later HTTP/1.1\r\nhost: x\r\n\r\n");
    server.sim.settle();
    server
        .sim
        .with(|events, ()| events.context().drain(Duration::from_secs(1)));
    server.advance(5_000);
    lived(
        &mut server,
        1,
        &[
            "+0.0 ms resumed: read 32 bytes, 1 request -> held",
            "+1500.0 ms deadline: wrote 120 bytes -> idle",
            "+2000.0 ms ready: read 32 bytes, 1 request -> held",
            "+3000.0 ms gone: forced",
        ],
    );
}

#[test]
fn a_reader_that_takes_nothing_and_one_that_resets_are_told_apart() {
    let mut server = recorded(|server| server);
    let mut clients: Vec<Client> = (0..2).map(|_| server.client()).collect();
    for client in &mut clients {
        client.pause();
        client.send("GET /large HTTP/1.1\r\nhost: x\r\n\r\n");
    }
    server.advance(1_000);
    clients[1].reset();
    server.advance(60_000);
    let begin = "+0.0 ms resumed: read 32 bytes, 1 request, wrote 65536 bytes -> streaming";
    let slow = [
        "+60000.0 ms deadline -> closed, write timeout",
        "+60000.0 ms gone: write timeout",
    ];
    lived(&mut server, 1, &[&[begin], &slow[..]].concat());
    let reset = [
        "+1000.0 ms ready -> closed, peer reset",
        "+1000.0 ms gone: peer reset",
    ];
    lived(&mut server, 2, &[&[begin], &reset[..]].concat());
}

#[test]
fn a_refused_request_is_told_with_its_status() {
    let mut server = recorded(|server| server);
    let _client = server.asks("rubbish\r\n\r\n");
    server.advance(5_000);
    lived(
        &mut server,
        1,
        &[
            "+0.0 ms resumed: read 11 bytes, answered 400, wrote 156 bytes -> lingering, bad request",
            "+2000.0 ms deadline -> closed, bad request",
            "+2000.0 ms gone: bad request",
        ],
    );
}

/// Sends a message in pieces, each of which is a record: the state changes with each.
fn pieces(server: &mut Recorded, count: usize) -> Client {
    let mut client = server.client();
    for _ in 0..count {
        client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
        server.advance(1);
        client.send("abc");
        server.advance(1);
    }
    client
}

#[test]
fn of_more_records_than_there_is_room_for_the_latest_are_kept_and_the_loss_is_told() {
    let mut server = recorded(|server| server.flight_recorder(3));
    let _client = pieces(&mut server, 4);
    lived(
        &mut server,
        1,
        &[
            "(5 records lost)",
            "+5.0 ms ready: read 3 bytes, 1 request, wrote 78 bytes -> idle",
            "+6.0 ms ready: read 51 bytes -> body",
            "+7.0 ms ready: read 3 bytes, 1 request, wrote 78 bytes -> idle",
        ],
    );
}

#[test]
fn a_ring_of_one_record_holds_the_latest() {
    let mut server = recorded(|server| server.flight_recorder(1));
    let mut client = pieces(&mut server, 1);
    client.reset();
    server.advance(1);
    let expected = [
        "(2 records lost)",
        "+2.0 ms ready -> closed, peer reset",
        "+2.0 ms gone: peer reset",
    ];
    lived(&mut server, 1, &expected);
}

#[test]
fn the_last_64_that_ended_are_kept_and_those_before_are_not() {
    let mut server = recorded(|server| server);
    for _ in 0..100 {
        server.asks(GET).finish();
        server.sim.settle();
    }
    let _live = server.asks(GET);
    let handle = server.handle;
    let all = server
        .sim
        .with(|events, ()| handle.timelines(&mut events.context()));
    let numbers: Vec<u64> = all.iter().map(|life| life.connection).collect();
    let kept: Vec<u64> = (38..=101).collect(); // accepting the last one took the ring of the oldest
    assert_eq!(numbers, kept);
    let open = all.iter().filter(|life| life.end.is_none()).count();
    assert_eq!(open, 1);
    let gone = server
        .sim
        .with(|events, ()| handle.explain(&mut events.context(), 37));
    assert_eq!(gone, None);
}

#[test]
fn no_more_than_64_are_kept_when_hundreds_end_together() {
    let mut server = recorded(|server| server);
    let clients: Vec<Client> = (0..200).map(|_| server.asks(GET)).collect();
    drop(clients);
    server.sim.settle();
    let handle = server.handle;
    let all = server
        .sim
        .with(|events, ()| handle.timelines(&mut events.context()));
    assert_eq!(all.len(), 64);
    assert!(all.iter().all(|life| life.end.is_some()));
}

#[test]
fn a_life_begins_anew_in_a_slot_that_is_used_again() {
    let mut server = recorded(|server| server);
    drop(server.asks(&GET[..5]));
    server.advance(1);
    let _client = server.asks(&GET[..6]);
    lived(&mut server, 2, &["+0.0 ms resumed: read 6 bytes -> head"]);
}

#[test]
fn without_a_recorder_there_is_nothing_to_explain() {
    let mut server = recorded(|server| server.flight_recorder(0));
    let _client = server.asks(GET);
    let handle = server.handle;
    server.sim.with(|events, ()| {
        assert_eq!(handle.explain(&mut events.context(), 1), None);
        assert_eq!(handle.timelines(&mut events.context()), []);
    });
}

#[test]
fn a_recorder_that_would_fill_the_memory_is_refused() {
    let server = Server::bind("127.0.0.1:0").unwrap().flight_recorder(65_537);
    let error = server.serve(|_| Response::text("")).unwrap_err();
    assert!(error.to_string().contains("flight recorder"), "{error}");
}

thread_local! {
    /// What was logged on this thread about ends of connections: level, and the life.
    static LOGGED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// For all threads, as subscribers that come and go change what is enabled for others.
struct Log;

struct Lives(tracing::Level);

impl Visit for Lives {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "life" {
            let line = format!("{}: {value:?}", self.0);
            LOGGED.with_borrow_mut(|logged| logged.push(line));
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Lives(*event.metadata().level()));
    }
}

fn logged(f: impl FnOnce(&mut Recorded)) -> Vec<String> {
    let _ = tracing::subscriber::set_global_default(Log); // another test may have been quicker
    f(&mut recorded(|server| server));
    LOGGED.take()
}

#[test]
fn a_bad_end_is_logged_in_one_line_louder_when_the_server_is_to_blame() {
    let lines = logged(|server| {
        let _refused = server.asks("rubbish\r\n\r\n");
        let _failed = server.asks("GET /drop HTTP/1.1\r\nhost: x\r\n\r\n");
        server.advance(5_000);
    });
    assert_eq!(
        lines,
        [
            "INFO: connection 1 of 198.51.100.0:1024: +0.0 ms accepted; \
             +0.0 ms resumed: read 11 bytes, answered 400, wrote 156 bytes -> lingering, bad request; \
             +2000.0 ms deadline -> closed, bad request; +2000.0 ms gone: bad request",
            "WARN: connection 2 of 198.51.100.0:1025: +0.0 ms accepted; \
             +0.0 ms resumed: read 31 bytes, 1 request, answered 500, wrote 176 bytes -> lingering, abandoned; \
             +2000.0 ms deadline -> closed, abandoned; +2000.0 ms gone: abandoned",
        ]
    );
}

#[test]
fn the_ordinary_end_of_a_connection_is_not_logged() {
    let lines = logged(|server| {
        server.asks(GET).finish();
        let mut leaves = server.asks(GET);
        leaves.reset(); // between two messages
        let _stays = server.asks(GET);
        let _asks = server.asks("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        server.advance(100_000);
    });
    assert_eq!(lines, [""; 0]);
}

#[test]
fn a_reset_in_the_middle_of_an_exchange_is_logged() {
    let lines = logged(|server| {
        let mut waits = server.asks("GET /later HTTP/1.1\r\nhost: x\r\n\r\n");
        waits.reset();
        server.advance(10);
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with("INFO: ") && lines[0].ends_with("gone: peer reset"),
        "{lines:?}"
    );
}
