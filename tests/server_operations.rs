//! A server that moves its bytes by operations, where that could make a difference: on each driver of the
//! proactor that this build has. All else a server does is tried over each pattern in `tests/models`.

mod support;

use std::thread;
use std::time::Duration;

use support::client::{Client, End, get};
use support::{PATIENCE, Running, SHORT, eventually, run, site, start};
use trine::connection::CloseReason;
use trine::proactor::{Pattern, ProactorOptions};
use trine::server::{CoreOptions, Exposition, Model};
use trine::{EventLoop, Server};

/// Set when io_uring is denied to this process, so that the emulation has to take over.
const DENIED: &str = "TRINE_URING_DENIED";

/// More than the sockets between two ends hold.
const LARGE: usize = 12_000_000;

/// The drivers that this build has.
fn patterns() -> Vec<Pattern> {
    match cfg!(feature = "io-uring") {
        true => vec![Pattern::Emulated, Pattern::IoUring],
        false => vec![Pattern::Emulated],
    }
}

/// A server by `options`.
fn by(options: ProactorOptions, configure: impl FnOnce(Server) -> Server) -> Running {
    let server = Server::bind("127.0.0.1:0").unwrap().proactor(options);
    run(configure(server), site)
}

/// Runs `test` with each driver.
fn on_each(test: impl Fn(ProactorOptions)) {
    for pattern in patterns() {
        println!("{pattern:?}");
        test(ProactorOptions {
            pattern,
            ..ProactorOptions::default()
        });
    }
}

#[test]
fn a_server_says_who_moves_its_bytes_in_the_end() {
    let server = start(|server| server, site);
    if std::env::var_os("TRINE_TEST_PATTERN").is_none() {
        assert_eq!(server.counters().server.pattern, None, "by default");
    }
    on_each(|options| {
        let server = by(options, |server| server);
        let denied = std::env::var_os(DENIED).is_some();
        let (pattern, name) = match options.pattern {
            Pattern::IoUring if !denied => (Pattern::IoUring, "io-uring"),
            _ => (Pattern::Emulated, "proactor"),
        };
        let metrics = server.counters().server;
        assert_eq!(metrics.pattern, Some(pattern));
        let mut page = Exposition::new();
        page.servers(&[("", &metrics)]);
        let line = format!("http_server_pattern{{pattern=\"{name}\"}} 1\n");
        assert!(page.text().contains(&line), "{}", page.text());
        assert_eq!(server.client().get("/").text(), "Hello, World!");
    });
}

#[test]
fn options_that_make_no_sense_are_refused_when_the_server_is_put_on_its_loop() {
    let options = ProactorOptions {
        buffers: 3,
        ..ProactorOptions::default()
    };
    let server = Server::bind("127.0.0.1:0").unwrap().proactor(options);
    let error = server.serve(|_| unreachable!()).unwrap_err();
    assert!(
        error.to_string().contains("buffers: it must be a power"),
        "{error}"
    );
}

#[test]
fn connections_by_operations_do_not_move_to_even_out_loops() {
    let moving = Model::LoopPerCore(CoreOptions {
        loops: 2,
        rebalancing: Some(1),
        ..CoreOptions::default()
    });
    let server = Server::bind("127.0.0.1:0").unwrap();
    let server = server.proactor(ProactorOptions::default());
    let error = server.under(moving).run(|| site, || ()).unwrap_err();
    assert!(
        error.to_string().contains("which stay at their loop"),
        "{error}"
    );
}

#[test]
fn a_connection_by_operations_is_listed_and_stays_on_its_loop() {
    on_each(|options| {
        let mut events = EventLoop::new().unwrap();
        let server = Server::bind("127.0.0.1:0").unwrap().proactor(options);
        let address = server.local_address().unwrap();
        let handle = server.attach(&mut events, site).unwrap();
        let client = Client::connect(address);
        eventually("it is seated", || {
            let _ = events.turn_now(&mut ()).unwrap();
            !handle.connections(&mut events.context()).is_empty()
        });
        let mut cx = events.context();
        let connection = handle.connections(&mut cx)[0];
        let error = handle.take_connection(&mut cx, connection).unwrap_err();
        assert!(
            error.to_string().contains("operations of it are under way"),
            "{error}"
        );
        drop(client);
    });
}

#[test]
fn an_answer_longer_than_one_operation_takes_comes_whole_and_in_order() {
    on_each(|options| {
        let server = by(options, |server| server);
        let body: Vec<u8> = (0..700_001_u32).flat_map(u32::to_le_bytes).collect();
        let body = &body[..1_000_003];
        let mut client = server.client();
        let head = format!(
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let request = [head.as_bytes(), body].concat();
        for part in request.chunks(99_991) {
            client.send(part);
        }
        client.send(get("/"));
        assert!(client.answer().body == body);
        assert_eq!(client.answer().text(), "Hello, World!");
    });
}

/// What `server` holds for a client that takes nothing of a large answer, when that stands still.
fn held_for_one_that_takes_nothing(server: &Running) -> usize {
    let mut client = server.client();
    client.send(get(&format!("/bytes/{LARGE}")));
    let mut before = 0;
    eventually("it stands still", || {
        thread::sleep(Duration::from_millis(50));
        let now = server.counters().server.memory;
        now > 0 && std::mem::replace(&mut before, now) == now
    });
    client.reset();
    server.awaits_closed(CloseReason::PeerReset, 1);
    assert_eq!(
        server.counters().server.memory,
        0,
        "it is gone with its client"
    );
    before
}

#[test]
fn the_copy_that_is_being_sent_counts_as_memory_of_the_server() {
    let by_readiness = start(|server| server, site);
    let by_readiness = held_for_one_that_takes_nothing(&by_readiness);
    on_each(|options| {
        let server = by(options, |server| server);
        let by_operations = held_for_one_that_takes_nothing(&server);
        let copy = by_operations.saturating_sub(by_readiness);
        assert!((4_096..=64 * 1024).contains(&copy), "{copy} bytes");
    });
}

#[test]
fn who_takes_nothing_is_cut_by_a_reset_in_the_middle_of_a_send() {
    on_each(|options| {
        let server = by(options, |server| server.write_rate(1_000, SHORT));
        let mut client = server.client();
        client.send(get(&format!("/bytes/{LARGE}")));
        server.awaits_closed(CloseReason::WriteTimeout, 1);
        let (taken, end) = client.rest();
        assert_eq!(end, End::Reset);
        assert!(taken.len() < LARGE);
        assert_eq!(server.counters().server.memory, 0);
    });
}

#[test]
fn a_client_that_resets_while_its_answer_is_awaited_is_noticed_at_once() {
    on_each(|options| {
        let server = by(options, |server| server);
        let mut client = server.client();
        client.send(get("/later/60000"));
        eventually("it is asked", || server.counters().server.requests == 1);
        client.reset();
        server.awaits_closed(CloseReason::PeerReset, 1);
    });
}

#[test]
fn the_end_is_said_behind_all_that_was_to_be_sent() {
    on_each(|options| {
        let server = by(options, |server| server.requests_per_connection_max(2));
        let mut client = server.client();
        client.send([get(&format!("/bytes/{LARGE}")), get("/"), get("/")].concat());
        assert_eq!(client.answer().body.len(), LARGE);
        assert!(client.answer().says("Connection: close"));
        client.ends(End::Closed);
        server.awaits_closed(CloseReason::RequestCap, 1);
    });
}

#[test]
fn a_drain_lets_sends_that_are_under_way_complete_and_ends_who_is_idle() {
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
        server.ended().unwrap();
    });
}

#[test]
fn a_drain_that_is_forced_cuts_operations_both_ways_and_ends_all_connections() {
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
        server.drain(Duration::ZERO);
        assert!(server.ended().is_err(), "it was forced");
        for client in &mut clients {
            let _ = client.rest(); // it ends
        }
    });
}

#[test]
fn queues_of_the_kernel_that_are_far_too_small_lose_nothing() {
    on_each(|options| {
        let small = ProactorOptions {
            ring_entries: 2,
            buffers: 2,
            buffer_bytes: 64,
            ..options
        };
        let server = by(small, |server| server);
        let mut clients: Vec<Client> = (0..150).map(|_| server.client()).collect();
        for round in 0..8 {
            for (number, client) in clients.iter_mut().enumerate() {
                client.send(get(&format!("/bytes/{}", number * round)));
                client.send(get("/path"));
            }
            for _ in 0..10 {
                let mut storm = server.client();
                storm.send(get("/bytes/300000"));
                storm.reset(); // what was started for it is cancelled
            }
            for (number, client) in clients.iter_mut().enumerate() {
                assert_eq!(client.answer().body.len(), number * round);
                assert_eq!(client.answer().text(), "/path");
            }
        }
        drop(clients);
        eventually("all are gone", || server.counters().server.connections == 0);
        assert_eq!(server.counters().server.accepted, 150 + 8 * 10);
    });
}

#[test]
fn options_with_too_few_operations_are_given_enough_for_all_connections() {
    on_each(|options| {
        let few = ProactorOptions {
            operations_max: 1,
            ..options
        };
        let server = by(few, |server| server.connections_max(50));
        let mut clients: Vec<Client> = (0..50).map(|_| server.client()).collect();
        for client in &mut clients {
            client.send(get("/bytes/300000"));
        }
        for client in &mut clients {
            assert_eq!(client.answer().body.len(), 300_000);
        }
    });
}
