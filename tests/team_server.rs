//! The HTTP server whose connections a team of threads runs: the limits, the ends and the counters are
//! those of a server on one loop.

mod support;

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use support::client::{Client, End, get};
use support::team::start;
use support::{PATIENCE, SHORT, eventually, promises, run_with, site};
use trine::concurrency::TeamOptions;
use trine::http::{Request, Trailers};
use trine::reactor::ErrorKind;
use trine::server::{Ladder, Rung};
use trine::service::{Answered, Exchange, Flow, Reply, Service};
use trine::time::Span;
use trine::{CloseReason, Response, Server};

const THREADS: usize = 2;

fn plain(server: Server) -> Server {
    server
}

#[test]
fn requests_are_answered_and_the_connection_is_kept() {
    let server = start(THREADS, plain, || site);
    let mut client = server.client();
    for path in ["/", "/path", "/bytes/100000", "/later/5"] {
        assert_eq!(client.get(path).status, 200, "{path}");
    }
    client.send([get("/"), get("/path"), get("/")].concat());
    assert_eq!(client.answer().text(), "Hello, World!");
    assert_eq!(client.answer().text(), "/path");
    assert_eq!(client.answer().text(), "Hello, World!");
    drop(client);
    server.awaits_closed(CloseReason::PeerClosed, 1);
    let counted = server.stop().server;
    assert_eq!((counted.accepted, counted.requests), (1, 7));
    assert_eq!((counted.connections, counted.memory), (0, 0));
}

/// Who has called.
type Callers = Arc<Mutex<HashSet<thread::ThreadId>>>;

#[test]
fn every_thread_of_a_team_calls_the_service() {
    let callers: Callers = Arc::default();
    let called = Arc::clone(&callers);
    let server = start(THREADS, plain, move || {
        let called = Arc::clone(&called);
        move |_: &Request<'_>, reply: Reply<'_>, (): &mut ()| {
            called.lock().unwrap().insert(thread::current().id());
            reply.text("ok")
        }
    });
    // A fast thread may serve everybody for a while; it cannot for ever.
    let until = Instant::now() + PATIENCE;
    while callers.lock().unwrap().len() < THREADS {
        assert!(Instant::now() < until, "a thread has never had a request");
        thread::scope(|scope| {
            for _ in 0..64 {
                let mut client = server.client();
                scope.spawn(move || {
                    for _ in 0..50 {
                        assert_eq!(client.get("/").text(), "ok");
                    }
                });
            }
        });
    }
}

#[test]
fn a_service_that_blocks_one_thread_keeps_no_other_from_serving() {
    let (release, released) = channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let server = start(THREADS, plain, move || {
        let (release, released) = (release.clone(), Arc::clone(&released));
        move |request: &Request<'_>, reply: Reply<'_>, (): &mut ()| match request.path() {
            "/wait" => {
                let waited = released.lock().unwrap().recv_timeout(PATIENCE);
                reply.text(if waited.is_ok() {
                    "released"
                } else {
                    "in vain"
                })
            }
            _ => {
                let _ = release.send(());
                reply.text("ok")
            }
        }
    });
    for _ in 0..20 {
        let (mut waiting, mut other) = (server.client(), server.client());
        waiting.send(get("/wait"));
        assert_eq!(other.get("/").text(), "ok");
        assert_eq!(waiting.answer().text(), "released");
    }
}

/// Counts the requests that it and its thread have had, by a number of its own.
struct Counting {
    number: usize,
    requests: u32,
}

impl Service<u32> for Counting {
    fn call(&mut self, _: &Request<'_>, reply: Reply<'_>, state: &mut u32) -> Answered {
        (self.requests, *state) = (self.requests + 1, *state + 1); // nothing is locked
        reply.text(format!("{} {} {state}", self.number, self.requests))
    }
}

#[test]
fn each_thread_has_a_service_and_a_state_of_its_own() {
    let made = AtomicUsize::new(0);
    let make = move || Counting {
        number: made.fetch_add(1, Ordering::SeqCst),
        requests: 0,
    };
    let options = TeamOptions {
        threads: THREADS,
        ..TeamOptions::default()
    };
    let server = Server::bind("127.0.0.1:0").unwrap();
    let server = run_with(server, move |server, event_loop| {
        server.attach_team(event_loop, options, make, || 0)
    });
    let mut counts: HashMap<String, Vec<u32>> = HashMap::new();
    // A fast thread may serve everybody for a while; it cannot for ever.
    let until = Instant::now() + PATIENCE;
    while counts.len() < THREADS {
        assert!(Instant::now() < until, "a thread has never had a request");
        let answers = thread::scope(|scope| {
            let ask = || {
                let mut client = server.client();
                let answers = (0..50).map(|_| client.get("/").text().to_owned());
                answers.collect::<Vec<_>>()
            };
            let clients: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
            let answers = clients.into_iter().flat_map(|it| it.join().unwrap());
            answers.collect::<Vec<_>>()
        });
        for answer in answers {
            let [number, requests, state] = answer.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{answer}");
            };
            assert_eq!(requests, state);
            let own = counts.entry(number.to_owned()).or_default();
            own.push(requests.parse().unwrap());
        }
    }
    for mut own in counts.into_values() {
        own.sort_unstable();
        assert!((1..).zip(&own).all(|(number, counted)| number == *counted));
    }
}

#[test]
fn a_deferred_answer_reaches_its_connection_whichever_thread_has_it() {
    let (give, promised) = channel();
    let server = start(THREADS, plain, move || promises(give.clone()));
    let mut clients: Vec<Client> = (0..32).map(|_| server.client()).collect();
    for round in 0..10 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(get(&format!("/{round}/{number}")));
        }
        answer_from_threads(&promised, clients.len());
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.answer().text(), format!("/{round}/{number}"));
        }
    }
}

/// Answers so many requests with their paths, from several threads at once.
fn answer_from_threads(promised: &Receiver<(String, trine::Deferred)>, count: usize) {
    let take = || promised.recv_timeout(PATIENCE).unwrap();
    let mut promises: Vec<_> = (0..count).map(|_| take()).collect();
    thread::scope(|scope| {
        while !promises.is_empty() {
            let some = promises.split_off(promises.len().saturating_sub(8));
            scope.spawn(|| {
                for (path, deferred) in some {
                    deferred.send(Response::text(path));
                }
            });
        }
    });
}

/// In bytes.
const ECHOED: usize = 2 << 20;

/// Sends back what it gets, in pieces.
struct Echo;

impl Exchange for Echo {
    fn produce(&mut self, flow: &mut Flow<'_>, (): &mut ()) {
        let _ = flow.respond(&Response::bytes(""), Some(ECHOED as u64));
    }

    fn piece(&mut self, piece: &[u8], flow: &mut Flow<'_>, (): &mut ()) -> usize {
        flow.write(piece)
    }

    fn end(&mut self, _: Trailers<'_>, flow: &mut Flow<'_>, (): &mut ()) {
        flow.finish();
    }
}

struct Echoing;

impl Service for Echoing {
    fn open(&mut self, _: &Request<'_>, (): &mut ()) -> Option<Box<dyn Exchange>> {
        Some(Box::new(Echo))
    }

    fn call(&mut self, request: &Request<'_>, reply: Reply<'_>, state: &mut ()) -> Answered {
        site(request, reply, state)
    }
}

#[test]
fn bodies_in_pieces_come_back_whole_from_several_connections_at_once() {
    let server = start(THREADS, |server| server.body_bytes_max(8 << 20), || Echoing);
    thread::scope(|scope| {
        for mark in b'a'..b'i' {
            let stream = TcpStream::connect(server.address()).unwrap();
            scope.spawn(move || echoes(stream, mark));
        }
    });
}

fn echoes(stream: TcpStream, mark: u8) {
    let body = vec![mark; ECHOED];
    let head = format!(
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut sender = stream.try_clone().unwrap();
    let mut client = Client::over(stream);
    thread::scope(|scope| {
        scope.spawn(|| {
            sender.write_all(head.as_bytes()).unwrap();
            sender.write_all(&body).unwrap();
        });
        assert!(client.answer().body == body, "not what was sent");
    });
}

#[test]
fn slow_and_idle_clients_are_cut_by_their_deadlines() {
    // Not too short for a client that is not slow but has to wait for a processor.
    let head = |server: Server| {
        server
            .head_timeout(Duration::from_secs(2))
            .idle_timeout(SHORT)
    };
    let server = start(THREADS, head, || site);
    let mut idle = server.client();
    assert_eq!(idle.get("/").status, 200);
    let (mut slow, mut silent) = (server.client(), server.client());
    slow.send("GET / HT");
    assert_eq!(slow.answer().status, 408);
    idle.ends(End::Closed);
    silent.ends(End::Closed);
    let reasons = [
        CloseReason::HeadTimeout,
        CloseReason::IdleTimeout,
        CloseReason::NeverSpoke,
    ];
    for reason in reasons {
        server.awaits_closed(reason, 1);
    }
}

#[test]
fn a_late_service_is_answered_for_and_its_own_answer_meets_nobody() {
    let (give, promised) = channel();
    let short = |server: Server| server.handler_timeout(SHORT);
    let server = start(THREADS, short, move || promises(give.clone()));
    let mut client = server.client();
    client.send(get("/"));
    let (_, late) = promised.recv_timeout(PATIENCE).unwrap();
    assert_eq!(client.answer().status, 504);
    eventually("nobody waits any more", || late.is_cancelled());
    late.send(Response::text("late"));
    server.awaits_closed(CloseReason::HandlerTimeout, 1);
}

#[test]
fn a_panic_in_the_service_ends_its_connection_and_no_other() {
    let server = start(THREADS, plain, || site);
    let mut other = server.client();
    for _ in 0..10 {
        let mut client = server.client();
        assert_eq!(client.get("/panic").status, 500);
        client.ends(End::Closed);
        assert_eq!(other.get("/").status, 200);
    }
    server.awaits_closed(CloseReason::HandlerPanicked, 10);
    assert_eq!(server.stop().server.panics, 10);
}

/// With so many connections at most, and nobody idle who goes for a newcomer.
fn cap(server: Server, connections: usize) -> Server {
    server.connections_max(connections).overload(Ladder::off())
}

#[test]
fn clients_beyond_the_limit_are_refused_and_those_within_it_are_served() {
    let server = start(THREADS, |server| cap(server, 10), || site);
    let mut within: Vec<Client> = (0..10).map(|_| server.client()).collect();
    for client in &mut within {
        assert_eq!(client.get("/").status, 200);
    }
    let mut beyond: Vec<Client> = (0..30).map(|_| server.client()).collect();
    for client in &mut beyond {
        assert_eq!(client.answer().status, 503);
    }
    for client in &mut within {
        assert_eq!(client.get("/").status, 200);
    }
    drop(beyond);
    server.awaits_closed(CloseReason::Overloaded, 30);
    assert_eq!(server.counters().server.connections, 10);
}

#[test]
fn a_place_that_comes_free_is_taken_again_and_no_client_is_lost() {
    let few = |mut server: Server| {
        // Whoever is refused keeps its place for a while, so the others wait in the kernel's queue.
        server.config_mut().deadlines.linger = Span::from_secs(60);
        cap(server, 4)
    };
    let server = start(THREADS, few, || site);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..25 {
                    let mut client = server.client();
                    let status = client.get("/").status;
                    assert!([200, 503].contains(&status), "{status}");
                }
            });
        }
    });
    eventually("all are gone", || server.counters().server.connections == 0);
    let counted = server.stop().server;
    assert_eq!((counted.accepted, counted.closed_total()), (400, 400));
    assert_eq!(counted.memory, 0);
}

#[test]
fn an_idle_connection_makes_room_for_a_newcomer() {
    let server = start(THREADS, |server| server.connections_max(8), || site);
    let mut idle: Vec<Client> = (0..8).map(|_| server.client()).collect();
    for client in &mut idle {
        assert_eq!(client.get("/").status, 200);
    }
    thread::sleep(Ladder::default().idle_min.into()); // whoever was idle for less may stay
    assert_eq!(server.client().get("/").status, 200);
    let counted = server.counters().server;
    assert!(counted.closed(CloseReason::Evicted) >= 1, "{counted:?}");
    idle[0].ends(End::Closed); // it was idle for longest
}

#[test]
fn a_server_short_of_memory_refuses_requests_and_recovers() {
    let small = |server: Server| server.memory_max(1 << 20).handler_timeout(PATIENCE);
    let server = start(THREADS, small, || site);
    // A request under way, as who is idle may have to go; and answers that nobody takes.
    let mut slow = server.client();
    slow.send("GET / HTTP/1.1\r\n");
    let mut greedy: Vec<Client> = (0..6).map(|_| server.client()).collect();
    for client in &mut greedy {
        client.send(get("/bytes/8000000"));
    }
    eventually("the last rung but one", || {
        server.counters().server.rung >= Rung::Refuse
    });
    slow.send("host: x\r\n\r\n");
    assert_eq!(slow.answer().status, 503);
    drop(greedy);
    eventually("all is well again", || {
        server.counters().server.rung == Rung::Normal
    });
    assert_eq!(server.client().get("/").status, 200);
    let counted = server.stop().server;
    assert!(counted.rung_entries(Rung::Refuse) >= 1, "{counted:?}");
}

#[test]
fn a_body_that_would_take_the_server_beyond_its_memory_is_refused() {
    let small = |server: Server| server.memory_max(512 << 10).overload(Ladder::off());
    let server = start(THREADS, small, || site);
    let mut large = server.client();
    large.send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n");
    let _ = large.try_send(vec![b'x'; 1_000_000]);
    assert_eq!(large.answer().status, 503);
    server.awaits_closed(CloseReason::MemoryLimit, 1);
    drop(large);
    eventually("nothing is held", || server.counters().server.memory == 0);
}

#[test]
fn a_drain_answers_what_is_under_way_and_says_what_it_finished() {
    let (give, promised) = channel();
    let server = start(THREADS, plain, move || promises(give.clone()));
    let (mut busy, mut idle) = (server.client(), server.client());
    busy.send(get("/slow"));
    let (_, deferred) = promised.recv_timeout(PATIENCE).unwrap();
    eventually("both are there", || {
        server.counters().server.connections == 2
    });
    server.drain(PATIENCE);
    idle.ends(End::Closed);
    deferred.send(Response::text("done"));
    assert_eq!(busy.answer().text(), "done");
    busy.ends(End::Closed);
    drop(busy);
    let (ended, last) = server.ended_with();
    ended.unwrap();
    assert_eq!((last.drain().finished, last.drain().idle), (1, 1));
    assert_eq!((last.connections, last.requests), (0, 1));
}

#[test]
fn a_drain_that_takes_too_long_is_forced_and_counts_whom_it_cut() {
    let (give, promised) = channel();
    let server = start(THREADS, plain, move || promises(give.clone()));
    let mut busy = server.client();
    busy.send(get("/never"));
    let (_, deferred) = promised.recv_timeout(PATIENCE).unwrap();
    server.drain(SHORT);
    assert_eq!(busy.rest(), (Vec::new(), End::Reset));
    let (ended, last) = server.ended_with();
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::DrainForced);
    assert_eq!((last.drain().cut, last.connections), (1, 0));
    assert!(deferred.is_cancelled());
}

#[test]
fn each_exchange_is_told_once_whichever_threads_served_it() {
    let (tell, told) = channel();
    let telling = |server: Server| {
        server.on_served(move |served| tell.send(served.combined().to_string()).unwrap())
    };
    let server = start(THREADS, telling, || site);
    thread::scope(|scope| {
        for client in 0..8 {
            let server = &server;
            scope.spawn(move || {
                let mut connection = server.client();
                for request in 0..25 {
                    connection.get(&format!("/path?{client}.{request}"));
                }
            });
        }
    });
    eventually("all are gone", || server.counters().server.connections == 0);
    drop(server);
    let lines: Vec<String> = told.iter().collect();
    for client in 0..8 {
        let own: Vec<&String> = lines
            .iter()
            .filter(|line| line.contains(&format!("/path?{client}.")))
            .collect();
        for (request, line) in own.iter().enumerate() {
            assert!(
                line.contains(&format!("/path?{client}.{request} ")),
                "{line}"
            );
        }
        assert_eq!(own.len(), 25);
    }
}
