//! A server on a team of threads in operation: clients that come and go in every way, new settings, what
//! is recorded, and descriptors that run out.

mod support;

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::thread;

use support::client::{Client, End, get};
use support::team::start;
use support::{Running, SHORT, eventually, site};
use trine::connection::StateKind;
use trine::server::{Ladder, Live};
use trine::{CloseReason, Server};

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
    let server = start(THREADS, unhurried, || site);
    let mut clients: Vec<Client> = (0..16).map(|_| server.client()).collect();
    let mut all_ask = || {
        for client in &mut clients {
            assert_eq!(client.get("/").status, 200);
        }
    };
    all_ask();
    server.reload(|live: &mut Live| live.connections_max = 16);
    assert_eq!(server.client().answer().status, 503);
    server.reload(|live: &mut Live| live.config.deadlines.idle = SHORT.into());
    all_ask();
    server.awaits_closed(CloseReason::IdleTimeout, 16);
    assert_eq!(server.counters().server.reloads, 2);
}

#[test]
fn the_life_of_a_connection_is_recorded_whichever_threads_serve_it() {
    let recorded = |server: Server| server.flight_recorder(16);
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
    let (tell, told) = std::sync::mpsc::channel();
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
    assert!(statuses.contains(&Some(200)), "{statuses:?}");
}
