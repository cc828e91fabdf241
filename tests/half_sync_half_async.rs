//! The same service on a loop and on workers: the same answers; what is refused, what panics, what is
//! counted.

mod support;
mod workers;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use support::client::{Client, End, get};
use support::{Running, eventually, start};
use trine::concurrency::{HalfSyncHalfAsync, WorkerMetrics, WorkerOptions};
use trine::http::{Request, Trailers};
use trine::service::{Answered, Exchange, Flow, Reply, Service};
use trine::{EventLoop, Response, Server, Signal, Sources};
use workers::{Workshop, options, works, works_with};

/// All a server says to `bytes` and how it ends, but for the date.
fn conversation(server: &Running, bytes: &[u8]) -> (String, End) {
    let mut client = server.client();
    client.send(bytes);
    client.finish();
    let (said, end) = client.rest();
    let said = String::from_utf8(said).unwrap();
    let lines = said.split_inclusive('\n');
    let lines = lines.filter(|line| !line.starts_with("Date: "));
    (lines.collect(), end)
}

#[test]
fn the_same_service_gives_the_same_answers_on_a_loop_and_on_workers() {
    let single = start(|server| server, Workshop::default());
    let works = works(3, 100);
    let in_chunks = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                     3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n";
    let conversations = [
        get("/"),
        get("/path?x=1"),
        get("/bytes/300000"),
        get("/nothing"),
        get("/panic"),
        get("/panic/twice"),
        get("/then/panic"),
        get("/informational"),
        get("/drop"),
        get("/later/20"),
        get("/elsewhere"),
        [get("/"), get("/path"), get("/bytes/9")].concat(),
        [get("/"), get("/panic"), get("/never")].concat(),
        in_chunks.into(),
        "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "GET / HTTP/1.0\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".into(),
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345".into(),
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n".into(),
    ];
    for bytes in &conversations {
        let expected = conversation(&single, bytes);
        let said = conversation(&works.server, bytes);
        assert_eq!(said, expected, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn calls_run_on_threads_with_names() {
    let works = works(1, 10);
    let name = works.server.client().get("/thread");
    assert_eq!(name.text(), "trine-worker-0");
}

#[test]
fn more_than_the_queue_holds_is_refused_at_once_while_all_workers_are_blocked() {
    const REQUESTS: usize = 500;
    let works = works_with(
        |server| server,
        &WorkerOptions {
            retry_after: Duration::from_millis(1_500),
            ..options(2, 64)
        },
    );
    let mut admitted = works.occupy(2);
    admitted.extend(works.queue(64));
    let mut refused = works.server.client();
    for _ in admitted.len()..REQUESTS {
        let answer = refused.get("/block"); // on one connection, which stays open
        assert_eq!(answer.status, 503);
        assert!(answer.says("Retry-After: 2"), "{answer:?}");
    }
    let metrics = works.meter.read();
    assert_eq!((metrics.running, metrics.queued, metrics.done), (2, 64, 0));
    assert_eq!(metrics.refused, 434);
    works.gate.open();
    for client in &mut admitted {
        assert_eq!(client.answer().text(), "through");
    }
    assert_eq!(refused.get("/block").status, 200, "there is room again");
}

#[test]
fn a_queue_is_full_by_its_bytes_too() {
    let works = works(1, 10);
    let _running = works.occupy(1);
    let head = "POST /block HTTP/1.1\r\nHost: a\r\nContent-Length: 700000\r\n\r\n";
    let large = [head.as_bytes(), &[b'x'; 700_000]].concat();
    let mut first = works.server.client();
    first.send(&large);
    eventually("queued", || works.meter.read().queued == 1);
    let mut second = works.server.client();
    second.send(&large);
    assert_eq!(second.answer().status, 503);
    works.gate.open();
    assert_eq!(first.answer().status, 200);
}

#[test]
fn every_panic_is_answered_500_once_and_costs_no_thread() {
    let works = works(2, 400);
    let mut panicking: Vec<_> = (0..150).map(|_| works.server.client()).collect();
    for (n, client) in panicking.iter_mut().enumerate() {
        let paths = ["/panic", "/panic/twice", "/then/panic"];
        client.send(get(paths[n % 3]));
    }
    for client in &mut panicking {
        assert_eq!(client.answer().status, 500);
        client.ends(End::Closed);
    }
    let metrics = works.meter.read();
    assert_eq!(
        (metrics.done, metrics.panics, metrics.replaced),
        (150, 150, 0)
    );
    let mut running = works.occupy(2); // there are two workers still
    works.gate.open();
    for client in &mut running {
        assert_eq!(client.answer().status, 200);
    }
}

#[test]
fn a_worker_that_dies_is_replaced_and_no_request_hangs() {
    let lives = Arc::new(AtomicUsize::new(0));
    let state = {
        let lives = Arc::clone(&lives);
        move || assert!(lives.fetch_add(1, Ordering::Relaxed) >= 2, "not yet")
    };
    let service = HalfSyncHalfAsync::start(&options(2, 10), Workshop::default, state).unwrap();
    let meter = service.meter();
    let server = start(|server| server, service);
    assert_eq!(server.client().get("/").status, 200);
    eventually("replaced", || meter.read().replaced == 2);
    assert_eq!(lives.load(Ordering::Relaxed), 4);
}

/// Tells the thread it is on, and takes `/echo` in pieces.
struct Halves;

impl Service for Halves {
    fn open(&mut self, head: &Request<'_>, (): &mut ()) -> Option<Box<dyn Exchange>> {
        assert!(!is_worker(), "asked on the loop");
        (head.path() == "/echo").then(|| Box::new(Echo) as Box<dyn Exchange>)
    }

    fn call(&mut self, _: &Request<'_>, reply: Reply<'_>, (): &mut ()) -> Answered {
        reply.text(if is_worker() { "worker" } else { "loop" })
    }
}

struct Echo;

impl Exchange for Echo {
    fn produce(&mut self, flow: &mut Flow<'_>, (): &mut ()) {
        let where_it_runs = if is_worker() { "worker" } else { "loop" };
        let answer = Response::bytes("").with_field("X-On", where_it_runs);
        let _ = flow.respond(&answer.unwrap(), Some(5));
    }

    fn piece(&mut self, piece: &[u8], flow: &mut Flow<'_>, (): &mut ()) -> usize {
        flow.write(piece)
    }

    fn end(&mut self, _: Trailers<'_>, flow: &mut Flow<'_>, (): &mut ()) {
        flow.finish();
    }
}

fn is_worker() -> bool {
    thread::current()
        .name()
        .is_some_and(|name| name.starts_with("trine-worker"))
}

#[test]
fn exchanges_in_pieces_stay_on_the_loop_and_calls_go_to_the_workers() {
    let service = HalfSyncHalfAsync::start(&options(2, 10), || Halves, || ()).unwrap();
    let server = start(|server| server, service);
    let mut client = server.client();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345");
    let echoed = client.answer();
    assert!(echoed.says("X-On: loop"), "{echoed:?}");
    assert_eq!(echoed.text(), "12345");
    assert_eq!(client.get("/").text(), "worker");
}

#[test]
fn each_worker_has_a_state_of_its_own_which_never_leaves_its_thread() {
    let count = || {
        |_: &Request<'_>, reply: Reply<'_>, calls: &mut Rc<Cell<u32>>| {
            calls.set(calls.get() + 1);
            reply.text(calls.get().to_string())
        }
    };
    let options = options(1, 10);
    let service = HalfSyncHalfAsync::start_whole(&options, count, || Rc::new(Cell::new(10)));
    let server = start(|server| server, service.unwrap());
    let mut client = server.client();
    let counted = [client.get("/"), client.get("/")].map(|answer| answer.text().to_owned());
    assert_eq!(counted, ["11", "12"]);
}

#[test]
fn the_counters_add_up_at_every_moment() {
    let works = works(3, 5);
    works.gate.open();
    let is_over = Arc::new(AtomicBool::new(false));
    let watching = {
        let (meter, is_over) = (works.meter.clone(), Arc::clone(&is_over));
        thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                adds_up(&meter.read());
            }
        })
    };
    let mut clients: Vec<_> = (0..16).map(|_| works.server.client()).collect();
    let mut answers = [0, 0];
    for round in 0..40 {
        clients
            .iter_mut()
            .for_each(|client| client.send(get("/block")));
        for client in &mut clients {
            answers[usize::from(client.answer().status == 200)] += 1;
        }
        if round % 8 == 0 {
            let mut leaving = works.server.client();
            leaving.send(get("/block"));
            leaving.reset();
        }
    }
    is_over.store(true, Ordering::Relaxed);
    watching.join().unwrap();
    eventually("at rest", || {
        works.meter.read().queued + works.meter.read().running == 0
    });
    let metrics = works.meter.read();
    adds_up(&metrics);
    assert!(
        metrics.refused >= answers[0] && metrics.done >= answers[1],
        "{metrics:?}"
    );
}

#[track_caller]
fn adds_up(metrics: &WorkerMetrics) {
    let parts = metrics.queued + metrics.running + metrics.done + metrics.cancelled;
    assert_eq!(metrics.accepted, parts, "{metrics:?}");
}

#[test]
fn answers_that_come_together_wake_the_loop_once_a_sleep() {
    let works = works(32, 400);
    let before = works.server.counters();
    let mut clients = works.occupy(32);
    clients.extend(works.queue(288));
    works.gate.open();
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
    let after = works.server.counters();
    let writes = after.eventfd_writes - before.eventfd_writes;
    assert!(writes <= after.turns - before.turns);
    assert!(writes < 320, "{writes} writes for 320 answers");
}

#[test]
fn a_server_on_workers_ends_in_order_by_a_signal() {
    // The handler runs on any thread; workers mask nothing.
    let works = Workshop::default();
    let gate = works.gate.clone();
    let mut event_loop = EventLoop::new().unwrap();
    let service = HalfSyncHalfAsync::start(&options(2, 10), move || works.clone(), || ());
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_address().unwrap();
    server.attach(&mut event_loop, service.unwrap()).unwrap();
    let signal = Signal::from_number(51).unwrap();
    let grace = Duration::from_secs(10);
    event_loop.drain_on_signals([signal], grace).unwrap();
    let client = thread::spawn(move || {
        let mut client = Client::connect(address);
        client.send(get("/block"));
        thread::sleep(Duration::from_millis(20)); // a worker waits by now, most likely
        signal_hook::low_level::raise(signal.number()).unwrap();
        gate.open();
        client.answer().status
    });
    event_loop.run(&mut ()).unwrap();
    assert_eq!(client.join().unwrap(), 200);
}
