//! A panic in a service, wherever it is: 500, or a cut if the answer has begun; the connection ends, it
//! is counted, and nobody else is harmed.

mod support;
mod workers;

use std::panic::panic_any;
use std::sync::Once;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use support::client::{Client, End, get};
use support::{eventually, start};
use trine::connection::CloseReason;
use trine::http::{Request, Trailers};
use trine::service::{Answered, Exchange, Flow, Reply, Service};
use trine::storage::memory::{Memory, Options};
use trine::storage::{
    self, Condition, Durability, Operation, StorageUnit, Submission, UnitOptions,
};
use trine::{EventLoop, Response, Server, Sources};
use workers::works;

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(thread::panicking(), "dropped"); // a second panic would end the process
    }
}

impl AsRef<[u8]> for Bomb {
    fn as_ref(&self) -> &[u8] {
        b"a body that does not go quietly"
    }
}

/// Panics in the method that its path names.
struct Fragile {
    panics_in: String,
    /// Dropped with it.
    _end: Option<Bomb>,
}

impl Fragile {
    fn may_panic(&self, place: &str) {
        assert!(self.panics_in != place, "asked to");
    }
}

impl Exchange for Fragile {
    fn produce(&mut self, flow: &mut Flow<'_>, (): &mut ()) {
        self.may_panic("produce");
        if self.panics_in == "late" {
            let _ = flow.respond(&Response::bytes(""), None);
        }
    }

    fn piece(&mut self, piece: &[u8], _: &mut Flow<'_>, (): &mut ()) -> usize {
        self.may_panic("piece");
        self.may_panic("late");
        piece.len()
    }

    fn end(&mut self, _: Trailers<'_>, flow: &mut Flow<'_>, (): &mut ()) {
        self.may_panic("end");
        if self.panics_in != "never" {
            let _ = flow.send(&Response::text("whole"));
        }
    }
}

/// `/open` and `/call` panic there, `/call/twice` with a payload that panics, `/exchange/PLACE` in a
/// method of an exchange, `/bomb` and `/bomb/later` when their answer's body is dropped, `/lost` on the
/// thread that was to answer.
struct Site;

impl Service for Site {
    fn open(&mut self, head: &Request<'_>, (): &mut ()) -> Option<Box<dyn Exchange>> {
        assert!(head.path() != "/open", "asked to");
        let panics_in = head.path().strip_prefix("/exchange/")?;
        let end = matches!(panics_in, "drop" | "never").then(|| Bomb);
        Some(Box::new(Fragile {
            panics_in: panics_in.to_owned(),
            _end: end,
        }))
    }

    fn call(&mut self, request: &Request<'_>, reply: Reply<'_>, (): &mut ()) -> Answered {
        match request.path() {
            "/call" => panic!("asked to"),
            "/call/twice" => panic_any(Bomb),
            "/bomb" => reply.send(Response::bytes(Bytes::from_owner(Bomb))),
            "/bomb/later" => {
                let (deferred, answered) = reply.defer();
                let response = Response::bytes(Bytes::from_owner(Bomb));
                thread::spawn(move || deferred.send(response));
                answered
            }
            "/lost" => {
                let (deferred, answered) = reply.defer();
                thread::spawn(move || {
                    let _deferred = deferred;
                    panic!("before it has answered");
                });
                answered
            }
            _ => reply.text("Hello, World!"),
        }
    }
}

fn post(path: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody").into_bytes()
}

/// What a client sees of a panic.
#[derive(Clone, Copy, PartialEq)]
enum Sees {
    Error,
    /// An answer that has begun and does not end.
    Cut,
}

/// Where there can be a panic; what the client sees, why the connection ends, and whether the server
/// has called what panicked.
fn places() -> Vec<(Vec<u8>, Sees, CloseReason, u64)> {
    use CloseReason::{Abandoned, HandlerPanicked};
    use Sees::{Cut, Error};
    vec![
        (get("/call"), Error, HandlerPanicked, 1),
        (post("/call"), Error, HandlerPanicked, 1),
        (get("/call/twice"), Error, HandlerPanicked, 1),
        (get("/open"), Error, HandlerPanicked, 1),
        (post("/open"), Error, HandlerPanicked, 1),
        (get("/exchange/produce"), Error, HandlerPanicked, 1),
        (post("/exchange/piece"), Error, HandlerPanicked, 1),
        (get("/exchange/end"), Error, HandlerPanicked, 1),
        (post("/exchange/end"), Error, HandlerPanicked, 1),
        (post("/exchange/late"), Cut, HandlerPanicked, 1),
        (get("/bomb"), Error, HandlerPanicked, 1),
        (get("/bomb/later"), Error, HandlerPanicked, 0),
        (get("/lost"), Error, Abandoned, 0),
    ]
}

/// Asks, and looks whether the client sees what it should, and the end.
#[track_caller]
fn sees(client: &mut Client, request: &[u8], expected: Sees) {
    if expected == Sees::Error {
        client.send(request);
        assert_eq!(client.answer().status, 500);
        return client.ends(End::Closed);
    }
    let (head, body) = request.split_at(request.len() - 4);
    client.send(head);
    let began = client.head();
    assert_eq!(
        began.status,
        200,
        "{} {began:?}",
        String::from_utf8_lossy(request)
    );
    client.send(body);
    let (octets, _) = client.rest();
    assert!(!octets.ends_with(b"0\r\n\r\n"), "a whole answer");
}

#[test]
fn wherever_a_service_panics_one_client_gets_500_or_a_cut_and_it_is_counted() {
    let server = start(|server| server, Site);
    let mut bystander = server.client();
    for (request, expected, reason, panics) in places() {
        let before = server.counters().server;
        let mut client = server.client();
        sees(&mut client, &request, expected);
        drop(client);
        let what = String::from_utf8_lossy(&request).into_owned();
        eventually(&what, || {
            server.counters().server.closed(reason) == before.closed(reason) + 1
        });
        let after = server.counters().server;
        assert_eq!(after.panics - before.panics, panics, "{what}");
        assert_eq!(after.requests - before.requests, 1, "{what}");
        assert_eq!(after.connections, 1, "{what}");
        assert_eq!(bystander.get("/").status, 200, "{what}");
    }
}

#[test]
fn an_exchange_that_panics_when_it_is_dropped_has_answered_and_the_connection_goes_on() {
    let server = start(|server| server, Site);
    let mut client = server.client();
    for count in 1..=3 {
        client.send(get("/exchange/drop"));
        assert_eq!(client.answer().text(), "whole");
        eventually("counted", || server.counters().server.panics == count);
    }
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn a_drain_that_is_forced_lets_go_of_all_though_exchanges_panic_as_they_are_dropped() {
    let mut event_loop = EventLoop::new().unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_address().unwrap();
    let handle = server.attach(&mut event_loop, Site).unwrap();
    let forced = |(): &mut (), cx: &mut trine::Context<'_, ()>| cx.drain(Duration::ZERO);
    event_loop
        .call_after(Duration::from_millis(300), forced)
        .unwrap();
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(address)).collect();
    for client in &mut clients {
        client.send(get("/exchange/never"));
    }
    let error = event_loop.run(&mut ()).unwrap_err();
    assert_eq!(error.kind(), trine::reactor::ErrorKind::DrainForced);
    let metrics = handle.metrics(&mut event_loop.context()).unwrap();
    assert_eq!(
        (metrics.connections, metrics.closed(CloseReason::Forced)),
        (0, 3)
    );
    assert_eq!((metrics.panics, event_loop.metrics().panics), (3, 0));
    clients.iter_mut().for_each(|client| drop(client.rest()));
}

const CROWD: usize = 1_000;

/// Does not print what thousands of panics that were asked for say, with their backtraces.
fn quietly() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref() != Some(&"asked to") {
                before(info);
            }
        }));
    });
}

#[test]
fn a_thousand_panics_at_the_same_time_harm_nobody_else() {
    quietly();
    let server = start(|server| server.connections_max(2 * CROWD), support::site);
    let mut bystander = server.client();
    let mut clients: Vec<Client> = (0..CROWD).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send(get("/panic"));
    }
    assert_eq!(bystander.get("/").status, 200);
    for client in &mut clients {
        assert_eq!(client.answer().status, 500);
        client.ends(End::Closed);
    }
    assert_eq!(bystander.get("/").status, 200);
    drop(clients);
    server.awaits_closed(CloseReason::HandlerPanicked, CROWD as u64);
    let counters = server.stop().server;
    assert_eq!((counters.panics, counters.connections), (CROWD as u64, 1));
}

/// How many threads of this process are workers.
fn workers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let paths = tasks.filter_map(|task| Some(task.ok()?.path().join("comm")));
    let names = paths.filter_map(|path| std::fs::read_to_string(path).ok());
    names
        .filter(|name| name.starts_with("trine-worker"))
        .count()
}

#[test]
fn a_thousand_panics_on_workers_cost_no_worker() {
    quietly();
    let works = works(2, 2 * CROWD);
    let mut bystander = works.server.client();
    let before = workers();
    let mut clients: Vec<Client> = (0..CROWD).map(|_| works.server.client()).collect();
    for client in &mut clients {
        client.send(get("/panic"));
    }
    assert_eq!(bystander.get("/").status, 200);
    for client in &mut clients {
        assert_eq!(client.answer().status, 500);
        client.ends(End::Closed);
    }
    let metrics = works.meter.read();
    assert_eq!(
        (metrics.panics, metrics.done, metrics.replaced),
        (CROWD as u64, CROWD as u64 + 1, 0)
    );
    assert_eq!(workers(), before);
    works.gate.open();
    assert_eq!(works.server.client().get("/block").text(), "through");
}

/// Keeps what `/put/...` is given in a store; a completion or a value that panics is asked for by path.
fn keeping(unit: StorageUnit) -> impl Service<()> + Send {
    move |request: &Request<'_>, reply: Reply<'_>, (): &mut ()| {
        let key = Bytes::from_static(b"key");
        let operation = match request.path() {
            "/get" => Operation::Get { key },
            path => Operation::Put {
                key,
                value: match path {
                    "/put/bomb" => Bytes::from_owner(Bomb),
                    _ => Bytes::from_static(b"value"),
                },
                ttl: None,
                condition: Condition::Any,
            },
        };
        let durability = Durability::Memory;
        match unit.submit(storage::Request {
            durability,
            ..storage::Request::new(operation)
        }) {
            Submission::Done(outcome) => {
                assert!(request.path() != "/put/panic", "asked to");
                reply.text(outcome.is_ok().to_string())
            }
            Submission::Queued(place) => {
                let (deferred, answered) = reply.defer();
                let panics = request.path() == "/put/panic";
                place.complete_with(Box::new(move |outcome: storage::Outcome| {
                    assert!(!panics, "asked to");
                    deferred.send(Response::text(outcome.is_ok().to_string()));
                }));
                answered
            }
        }
    }
}

fn fails_and_goes_on(unit: StorageUnit) {
    let server = start(|server| server, keeping(unit));
    for path in ["/put/panic", "/put/bomb", "/put/panic"] {
        let mut client = server.client();
        client.send(get(path));
        let _ = client.answer_or_end(); // what it is told depends on where the value was dropped
        assert_eq!(server.client().get("/put").text(), "true", "after {path}");
        assert_eq!(server.client().get("/get").text(), "true", "after {path}");
    }
}

#[test]
fn a_store_goes_on_when_what_it_is_given_and_who_waits_for_it_panic() {
    let memory = Memory::new(Options::default());
    let unit = StorageUnit::start(Box::new(memory), UnitOptions::default()).unwrap();
    fails_and_goes_on(unit);
}

#[cfg(feature = "durable")]
#[test]
fn a_durable_store_goes_on_as_well() {
    use trine::storage::durable::{Durable, Options};
    let name = format!("trine-{}-panics.redb", std::process::id());
    let path = std::env::temp_dir().join(name);
    let store = Durable::open(&path, Options::default()).unwrap();
    fails_and_goes_on(StorageUnit::start(Box::new(store), UnitOptions::default()).unwrap());
    std::fs::remove_file(path).unwrap();
}
