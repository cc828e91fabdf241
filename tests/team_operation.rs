//! A server on a team of threads in operation: clients that come and go in every way, new settings, what
//! is recorded, and descriptors that run out.

mod support;

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use support::client::{Client, End, get};
use support::team::{start, start_on};
use support::{PATIENCE, Running, SHORT, eventually, site};
use trine::concurrency::TeamOptions;
use trine::connection::StateKind;
use trine::http::Request;
use trine::reactor::ErrorKind;
use trine::server::{Ladder, Live};
use trine::service::{Answered, Reply};
use trine::time::Span;
use trine::{CloseReason, EventLoop, Server};

const THREADS: usize = 3;

fn plain(server: Server) -> Server {
    server
}

/// All connections have left, and took what they had with them.
fn is_clean(server: &Running) {
    eventually("all are gone", || server.counters().server.connections == 0);
    let counted = server.counters().server;
    assert_eq!(counted.accepted, counted.closed_total(), "{counted:?}");
    assert_eq!((counted.memory, counted.panics), (0, 0));
}

#[test]
fn connections_that_come_and_go_get_nobody_elses_answer_whichever_thread_serves_them() {
    let server = start(THREADS, plain, || site);
    let address = server.address();
    thread::scope(|scope| {
        for visitor in 0..8 {
            scope.spawn(move || {
                for visit in 0..150 {
                    let mut client = Client::connect(address);
                    let path = format!("/path?{visitor}.{visit}");
                    client.send(get(&path));
                    match visit % 5 {
                        0 | 1 => client.reset(),
                        _ => assert_eq!(client.answer().text(), path),
                    }
                }
            });
        }
    });
    is_clean(&server);
}

/// Each leaves in another way.
const MANNERS: [fn(TcpStream); 6] = [
    drop,
    |mut stream| stream.write_all(b"GET /pat").unwrap(),
    |mut stream| stream.write_all(&get("/bytes/5000000")).unwrap(),
    |mut stream| {
        stream.write_all(&get("/bytes/5000000")).unwrap();
        let _ = stream.shutdown(Shutdown::Write);
    },
    |stream| Client::over(stream).reset(),
    |mut stream| {
        stream.write_all(&get("/later/20").repeat(3)).unwrap();
        let _ = stream.shutdown(Shutdown::Both);
    },
];

#[test]
fn hang_ups_and_resets_in_any_mix_end_each_connection_once() {
    let server = start(THREADS, plain, || site);
    let address = server.address();
    thread::scope(|scope| {
        for leave in MANNERS {
            scope.spawn(move || {
                for _ in 0..50 {
                    leave(TcpStream::connect(address).unwrap());
                }
            });
        }
    });
    is_clean(&server);
    assert_eq!(server.counters().server.accepted, 50 * MANNERS.len() as u64);
}

#[test]
fn new_settings_reach_the_acceptor_and_every_thread() {
    let unhurried = |server: Server| server.overload(Ladder::off());
    let meeting = Arc::new(AtomicUsize::new(0));
    let server = start(THREADS, unhurried, move || {
        let meeting = Arc::clone(&meeting);
        move |request: &Request<'_>, reply: Reply<'_>, state: &mut ()| match request.path() {
            // Nobody is answered before every thread has somebody.
            "/meet" => {
                meeting.fetch_add(1, SeqCst);
                eventually("all threads meet", || meeting.load(SeqCst) >= THREADS);
                reply.text("met")
            }
            _ => site(request, reply, state),
        }
    });
    let mut clients: Vec<Client> = (0..16).map(|_| server.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    server.reload(|live: &mut Live| live.connections_max = 16);
    assert_eq!(server.client().answer().status, 503);
    server.reload(|live: &mut Live| live.config.deadlines.idle = SHORT.into());
    let (meeting, others) = clients.split_at_mut(THREADS);
    for client in &mut *meeting {
        client.send(get("/meet"));
    }
    for client in &mut *meeting {
        assert_eq!(client.answer().text(), "met");
    }
    for client in others {
        assert_eq!(client.get("/").status, 200);
    }
    server.awaits_closed(CloseReason::IdleTimeout, 16);
    assert_eq!(server.counters().server.reloads, 2);
}

#[test]
fn the_life_of_a_connection_is_recorded_whichever_threads_serve_it() {
    let recorded = |server: Server| server.flight_recorder(32);
    let server = start(THREADS, recorded, || site);
    let mut client = server.client();
    for _ in 0..10 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(client.get("/later/5").status, 200);
    let number = server.counters().server.accepted;
    eventually("the visit of the last answer", || {
        let life = server.explain(number).unwrap();
        let requests: u32 = life.records.iter().map(|it| it.requests).sum();
        let is_idle = life.records.last().unwrap().state == StateKind::Idle;
        (requests, is_idle, life.end) == (11, true, None)
    });
    drop(client);
    eventually("its end", || {
        let end = server.explain(number).unwrap().end;
        end.is_some_and(|(_, reason)| reason == CloseReason::PeerClosed)
    });
}

#[test]
fn whoever_is_refused_by_the_loop_has_a_life_and_a_line_too() {
    let (tell, told) = channel();
    let server = start(
        THREADS,
        move |server| {
            let tells = server.on_served(move |served| {
                let _ = tell.send(served.status().map(|status| status.code()));
            });
            let tight = tells.connections_max(1).flight_recorder(8);
            tight.overload(Ladder::off())
        },
        || site,
    );
    let mut first = server.client();
    assert_eq!(first.get("/").status, 200);
    let mut second = server.client();
    assert_eq!(second.answer().status, 503);
    second.ends(End::Closed);
    drop(second);
    server.awaits_closed(CloseReason::Overloaded, 1);
    assert_eq!(server.explain(1).unwrap().end, None);
    let (_, reason) = server.explain(2).unwrap().end.unwrap();
    assert_eq!(reason, CloseReason::Overloaded);
    drop(server);
    let statuses: Vec<_> = told.iter().collect();
    for status in [200, 503] {
        assert!(statuses.contains(&Some(status)), "{statuses:?}");
    }
}

#[test]
fn a_request_is_counted_before_it_is_answered() {
    let (enter, entered) = channel();
    let (go, gone) = channel::<()>();
    let gone = Arc::new(Mutex::new(gone));
    let server = start(THREADS, plain, move || {
        let (enter, gone) = (enter.clone(), Arc::clone(&gone));
        move |_: &Request<'_>, reply: Reply<'_>, (): &mut ()| {
            enter.send(()).unwrap();
            let _ = gone.lock().unwrap().recv_timeout(PATIENCE);
            reply.text("ok")
        }
    });
    let mut client = server.client();
    for number in 1..=3 {
        client.send(get("/"));
        entered.recv_timeout(PATIENCE).unwrap();
        assert_eq!(server.counters().server.requests, number);
        go.send(()).unwrap();
        assert_eq!(client.answer().text(), "ok");
    }
}

#[test]
fn a_team_has_no_more_connections_than_places_whatever_the_settings_say() {
    let options = TeamOptions {
        threads: THREADS,
        handlers_max: 4,
    };
    let server = start_on(options, |server| server.overload(Ladder::off()), || site);
    server.reload(|live: &mut Live| live.connections_max = 100);
    for _ in 0..20 {
        let mut within: Vec<Client> = (0..4).map(|_| server.client()).collect();
        for client in &mut within {
            assert_eq!(client.get("/").status, 200);
        }
        assert_eq!(server.client().answer().status, 503);
        assert_eq!(server.counters().server.connections_max, 4);
        drop(within);
        eventually("room", || server.counters().server.connections == 0);
    }
    assert_eq!(server.counters().server.closed(CloseReason::Overloaded), 20);
}

#[test]
fn a_drain_is_not_forced_for_connections_that_only_linger() {
    let lingering = |mut server: Server| {
        server.config_mut().deadlines.linger = Span::from_secs(60);
        server
    };
    let server = start(THREADS, lingering, || site);
    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\n\r\n");
    assert_eq!(client.answer().status, 413);
    client.ends(End::Closed); // and this side stays open, and may say more
    assert_eq!(server.counters().server.connections, 1);
    server.drain(SHORT);
    let (ended, last) = server.ended_with();
    ended.unwrap();
    assert_eq!(
        (last.closed(CloseReason::TooLarge), last.drain().cut),
        (1, 0)
    );
}

#[test]
fn factories_that_panic_are_an_error_and_nobody_is_served() {
    // Where no other test listens.
    let server = Server::bind("127.0.0.77:0").unwrap();
    let address = server.local_address().unwrap();
    let mut event_loop = EventLoop::<()>::new().unwrap();
    let options = TeamOptions::default();
    let failed = server.attach_team(
        &mut event_loop,
        options,
        || -> fn(&Request<'_>, Reply<'_>, &mut ()) -> Answered { panic!("asked to") },
        || (),
    );
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Panicked);
    assert!(TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err());
}
