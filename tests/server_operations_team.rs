//! A server whose connections a team of threads runs by operations that its loop does for them: what can go
//! wrong between the two, on each driver of the proactor that this build has.

mod support;

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use support::client::{Client, End, get};
use support::{PATIENCE, Running, SHORT, eventually, site};
use trine::concurrency::TeamOptions;
use trine::proactor::{Pattern, ProactorOptions};
use trine::time::Span;
use trine::{CloseReason, EventLoop, Server, Sources};

/// More than the sockets between two ends hold.
const LARGE: usize = 10_000_000;

const TEAM: TeamOptions = TeamOptions {
    threads: 3,
    handlers_max: 1_000,
};

/// Runs `test` with each driver that this build has.
fn on_each(test: impl Fn(ProactorOptions)) {
    let io_uring = cfg!(feature = "io-uring").then_some(Pattern::IoUring);
    for pattern in [Some(Pattern::Emulated), io_uring].into_iter().flatten() {
        println!("{pattern:?}");
        test(ProactorOptions {
            pattern,
            ..ProactorOptions::default()
        });
    }
}

/// A server with the settings of `configure`, on a loop that `prepare` has put something else on.
fn prepared(
    options: ProactorOptions,
    configure: impl FnOnce(Server) -> Server,
    prepare: impl FnOnce(&mut EventLoop<()>) + Send + 'static,
) -> Running {
    let server = configure(Server::bind("127.0.0.1:0").unwrap().proactor(options));
    support::run_with(server, move |server, event_loop| {
        prepare(event_loop);
        server.attach_team(event_loop, TEAM, || site, || ())
    })
}

fn by(options: ProactorOptions, configure: impl FnOnce(Server) -> Server) -> Running {
    prepared(options, configure, |_| {})
}

/// What `server` has counted when nobody is there any more.
#[track_caller]
fn is_clean(server: &Running) {
    eventually("all have left", || {
        server.counters().server.connections == 0
    });
    let counted = server.counters().server;
    assert_eq!(counted.accepted, counted.closed_total(), "{counted:?}");
    assert_eq!(counted.memory, 0);
}

#[test]
fn no_wake_up_is_lost_between_the_loop_and_the_team() {
    const CLIENTS: usize = 64;
    const REQUESTS: usize = 200;
    on_each(|options| {
        let server = by(options, |server| server);
        thread::scope(|scope| {
            for number in 0..CLIENTS {
                let mut client = server.client();
                scope.spawn(move || {
                    for round in 0..REQUESTS {
                        let path = match (number + round) % 16 {
                            0 => "/later/1".to_owned(),
                            1 => "/bytes/9000".to_owned(),
                            _ => format!("/path?{number}.{round}"),
                        };
                        // A client gives up when nothing comes for long.
                        let answer = client.get(&path);
                        assert_eq!(answer.status, 200, "{path}");
                        if path.starts_with("/path") {
                            assert!(path.starts_with(answer.text()), "{path}");
                        }
                    }
                });
            }
        });
        let counted = server.counters().server;
        assert_eq!(counted.requests, (CLIENTS * REQUESTS) as u64);
        is_clean(&server);
    });
}

#[test]
fn a_body_that_comes_back_to_a_slow_reader_is_whole_and_in_order() {
    on_each(|options| {
        let server = by(options, |server| server.body_bytes_max(LARGE as u64));
        let body: Vec<u8> = (0..LARGE as u32 / 4).flat_map(u32::to_le_bytes).collect();
        let mut client = server.client();
        let length = body.len();
        client.send(format!(
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
        ));
        client.send(&body);
        assert_eq!(client.head().status, 200);
        for part in body.chunks(500_000) {
            assert!(client.octets(part.len()) == part);
            thread::sleep(Duration::from_millis(2));
        }
        client.send(get("/"));
        assert_eq!(client.answer().text(), "Hello, World!");
        drop(client);
        is_clean(&server);
    });
}

#[test]
fn who_sends_ahead_waits_in_the_kernel() {
    on_each(|options| {
        let server = by(options, |server| server.write_rate(1_000, 5 * SHORT));
        let mut client = server.client();
        client.send(get(&format!("/bytes/{LARGE}")));
        eventually("it is asked", || server.counters().server.requests == 1);
        let mut ahead = client.second();
        let flood = thread::spawn(move || {
            let requests = get("/").repeat(10_000);
            let mut sent = 0;
            while sent < LARGE && ahead.try_send(&requests) {
                sent += requests.len();
            }
        });
        thread::sleep(SHORT);
        assert!(!flood.is_finished(), "all was taken");
        let held = server.counters().server.memory;
        assert!(held < LARGE + 1_000_000, "{held} bytes for one client");
        server.awaits_closed(CloseReason::WriteTimeout, 1);
        flood.join().unwrap();
        is_clean(&server);
    });
}

#[test]
fn who_takes_nothing_is_reset_while_a_send_is_under_way() {
    on_each(|options| {
        let server = by(options, |server| server.write_rate(1_000, SHORT));
        let mut client = server.client();
        client.send(get(&format!("/bytes/{LARGE}")));
        server.awaits_closed(CloseReason::WriteTimeout, 1);
        let (taken, end) = client.rest();
        assert_eq!(end, End::Reset);
        assert!(taken.len() < LARGE);
        is_clean(&server);
    });
}

#[test]
fn clients_that_reset_in_the_middle_of_anything_end_once_each() {
    const CLIENTS: usize = 120;
    on_each(|options| {
        let server = by(options, |server| server);
        for number in 0..CLIENTS {
            let mut client = server.client();
            match number % 4 {
                0 => client.send(get(&format!("/bytes/{LARGE}"))),
                1 => client.send(get("/later/60000")),
                2 => client.send("GET / HT"),
                _ => assert_eq!(client.get("/").status, 200),
            }
            client.reset();
        }
        eventually("all have come", || {
            server.counters().server.accepted == CLIENTS as u64
        });
        is_clean(&server);
        assert_eq!(server.client().get("/").status, 200);
    });
}

#[test]
fn the_end_is_said_behind_all_that_was_to_be_sent() {
    on_each(|options| {
        let server = by(options, |mut server| {
            // The end is not to wait for the descriptor to be closed.
            server.config_mut().deadlines.linger = Span::from(2 * PATIENCE);
            server.requests_per_connection_max(2)
        });
        let mut client = server.client();
        client.send([get(&format!("/bytes/{LARGE}")), get("/"), get("/")].concat());
        assert_eq!(client.answer().body.len(), LARGE);
        assert!(client.answer().says("Connection: close"));
        client.ends(End::Closed);
        drop(client);
        server.awaits_closed(CloseReason::RequestCap, 1);
    });
}

#[test]
fn a_request_that_came_in_time_is_served_though_the_loop_was_late_to_tell() {
    on_each(|options| {
        let idle = Duration::from_millis(200);
        let (block, blocks) = channel::<()>();
        let (blocked, is_blocked) = channel();
        let configure = |server: Server| server.idle_timeout(idle);
        let server = prepared(options, configure, move |event_loop| {
            let every = Duration::from_millis(1);
            let timer = event_loop.every(every, move |(), _, _| {
                if blocks.try_recv().is_ok() {
                    blocked.send(()).unwrap();
                    thread::sleep(2 * idle);
                }
            });
            timer.unwrap();
        });
        let mut client = server.client();
        assert_eq!(client.get("/").status, 200);
        block.send(()).unwrap();
        is_blocked.recv_timeout(PATIENCE).unwrap();
        assert_eq!(client.get("/").status, 200, "it was not idle for so long");
        server.awaits_closed(CloseReason::IdleTimeout, 1);
    });
}

#[test]
fn a_drain_lets_sends_complete_and_ends_who_is_idle() {
    on_each(|options| {
        let server = by(options, |server| server);
        let mut idle: Vec<Client> = (0..20).map(|_| server.client()).collect();
        for client in &mut idle {
            assert_eq!(client.get("/").status, 200);
        }
        let mut busy = server.client();
        busy.send(get(&format!("/bytes/{LARGE}")));
        assert_eq!(busy.take(1_000), 1_000);
        server.drain(PATIENCE);
        for client in &mut idle {
            client.ends(End::Closed);
        }
        let (rest, end) = busy.rest();
        assert_eq!(end, End::Closed);
        assert!(rest.len() > LARGE - 1_000);
        let (ended, counted) = server.ended_with();
        ended.unwrap();
        assert_eq!(counted.closed(CloseReason::DrainedIdle), 20);
        assert_eq!(counted.closed(CloseReason::Drained), 1);
    });
}

#[test]
fn a_drain_that_is_forced_cuts_operations_both_ways_and_counts_whom_it_cut() {
    on_each(|options| {
        let server = by(options, |server| server);
        let mut clients: Vec<Client> = (0..200).map(|_| server.client()).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            match number % 4 {
                0 => client.send(get(&format!("/bytes/{LARGE}"))), // taken by nobody
                1 => client.send(get("/later/60000")),
                2 => client.send("GET / HT"),
                _ => client.send(get("/")),
            }
        }
        eventually("all have come", || server.counters().server.requests == 150);
        server.drain(SHORT);
        let (ended, counted) = server.ended_with();
        assert!(ended.is_err(), "it was forced");
        for client in &mut clients {
            let _ = client.rest(); // it ends
        }
        assert_eq!(counted.connections, 0);
        assert_eq!(counted.accepted, counted.closed_total(), "{counted:?}");
        assert!(counted.closed(CloseReason::Forced) >= 100, "{counted:?}");
    });
}
