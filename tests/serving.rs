//! A server of several loops, as whoever operates it sees it: one server.

mod support;

use std::os::unix::net::UnixStream;
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, kill_process};
use support::client::{Client, get};
use support::{PATIENCE, SHORT, eventually, site, socket_path};
use trine::Server;
use trine::concurrency::Fellows;
use trine::proactor::{Pattern, ProactorOptions};
use trine::reactor::ErrorKind;
use trine::server::{Accepting, CoreOptions, Exposition, Ladder, Model, Reload, ServerMeter};
use trine::time::Span;

fn model(loops: usize, accepting: Accepting) -> Model {
    Model::LoopPerCore(CoreOptions {
        loops,
        accepting,
        ..CoreOptions::default()
    })
}

/// A server that runs.
struct Running {
    fellows: Fellows,
    meter: ServerMeter,
    thread: Option<JoinHandle<trine::Result<()>>>,
}

/// Runs the server with the site of all tests.
fn start<R: Reload<()> + 'static>(server: Server<R>, model: Model) -> Running {
    let (give, take): (_, Receiver<(Fellows, ServerMeter)>) = channel();
    let thread = thread::spawn(move || {
        let serving = server.under(model);
        serving.run_with(
            || site,
            || (),
            move |core, meter, _| {
                let _ = give.send((core.fellows().clone(), meter.clone()));
                Ok(())
            },
        )
    });
    let (fellows, meter) = take.recv_timeout(PATIENCE).unwrap();
    Running {
        fellows,
        meter,
        thread: Some(thread),
    }
}

impl Running {
    fn end(mut self) {
        self.fellows.drain(PATIENCE);
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.fellows.stop();
    }
}

/// What running says that cannot be.
fn refusal(server: Server, model: Model) -> (ErrorKind, String) {
    let refused = server.under(model).run(|| site, || ()).unwrap_err();
    (refused.kind(), refused.to_string())
}

#[test]
fn settings_are_asked_for_once_and_come_to_all_loops() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let server = Server::bind("127.0.0.1:0").unwrap().connections_max(30);
    let address = server.local_address().unwrap();
    let server = server.on_reload(move |live, (): &mut ()| {
        assert_eq!(live.connections_max, 30, "that of all loops");
        counted.fetch_add(1, Ordering::SeqCst);
        live.connections_max = 9;
        live.config.limits.body_bytes_max = 10;
        Ok::<(), String>(())
    });
    let running = start(server, model(3, Accepting::One));
    assert_eq!(Client::connect(address).get("/").status, 200);
    kill_process(Pid::from_raw(process::id() as i32).unwrap(), Signal::Hup).unwrap();
    eventually("new settings everywhere", || {
        let loops = running.meter.loops();
        loops.iter().all(|it| it.server.connections_max == 3)
    });
    assert_eq!(running.meter.read().reloads, 1);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    // One on each loop, as one loop gives them out in turn.
    let mut clients: Vec<_> = (0..3).map(|_| Client::connect(address)).collect();
    for client in &mut clients {
        client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
        assert_eq!(client.answer().status, 413);
    }
    running.end();
}

#[test]
fn each_exchange_is_told_once_whichever_loop_had_it() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_address().unwrap();
    let server = server.on_served(move |served| {
        let target = served.request().unwrap().target().to_owned();
        telling.lock().unwrap().push(target);
    });
    let running = start(server, model(3, Accepting::One));
    let mut clients: Vec<_> = (0..9).map(|_| Client::connect(address)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let path = format!("/path?{number}");
        assert_eq!(client.get(&path).text(), path);
    }
    let loops = running.meter.loops().len();
    running.end();
    let mut told = told.lock().unwrap().clone();
    told.sort();
    let expected: Vec<_> = (0..9).map(|number| format!("/path?{number}")).collect();
    assert_eq!((told, loops), (expected, 3));
}

#[test]
fn a_unix_socket_is_served_by_one_acceptor_and_the_kernel_is_refused_with_that_remedy() {
    let path = socket_path("serving");
    let kernel = Server::bind_unix(&path).unwrap();
    let (kind, said) = refusal(kernel, model(2, Accepting::Kernel));
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(
        said.contains("Unix socket") && said.contains("Accepting::One"),
        "{said}"
    );
    let running = start(Server::bind_unix(&path).unwrap(), model(2, Accepting::One));
    let mut clients: Vec<_> = (0..4)
        .map(|_| Client::over(UnixStream::connect(&path).unwrap()))
        .collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    eventually("two connections on each loop", || {
        let loops = running.meter.loops();
        loops.iter().all(|it| it.server.connections == 2)
    });
    drop(clients);
    running.end();
}

#[test]
fn a_socket_that_is_handed_over_is_not_spread_by_the_kernel() {
    let server = Server::bind_or_take_over("127.0.0.1:0", socket_path("serving-offer")).unwrap();
    let (kind, said) = refusal(server, model(2, Accepting::Kernel));
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(
        said.contains("handed over") && said.contains("Accepting::One"),
        "{said}"
    );
}

#[test]
fn fewer_connections_than_loops_are_refused() {
    let server = Server::bind("127.0.0.1:0").unwrap().connections_max(3);
    let (kind, said) = refusal(server, model(4, Accepting::Kernel));
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(said.contains("connections_max of 3 for 4 loops"), "{said}");
}

#[test]
fn connections_by_operations_are_not_evened_out() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let server = server.proactor(ProactorOptions {
        pattern: Pattern::Emulated,
        ..ProactorOptions::default()
    });
    let model = Model::LoopPerCore(CoreOptions {
        loops: 2,
        rebalancing: Some(1),
        ..CoreOptions::default()
    });
    let (kind, said) = refusal(server, model);
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(said.contains("take Accepting::One"), "{said}");
}

#[test]
fn limits_of_the_whole_stay_what_was_asked_for() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let server = server
        .connections_max(101)
        .memory_max(10_000_001)
        .reserve_descriptors(7);
    let running = start(server, model(4, Accepting::Kernel));
    eventually("all have said what they have", || {
        running.meter.read().descriptors_kept == 8 // rounded up for each loop
    });
    let whole = running.meter.read();
    assert_eq!((whole.connections_max, whole.memory_max), (101, 10_000_001));
    let loops = running.meter.loops();
    let each: Vec<_> = loops.iter().map(|it| it.server.connections_max).collect();
    assert_eq!(each, [26, 25, 25, 25]);
    running.end();
}

#[test]
fn clients_in_the_queue_before_the_loops_run_are_served() {
    for accepting in [Accepting::Kernel, Accepting::One] {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let address = server.local_address().unwrap();
        let mut early: Vec<_> = (0..10).map(|_| Client::connect(address)).collect();
        for client in &mut early {
            client.send(get("/"));
        }
        let running = start(server, model(3, accepting));
        for client in &mut early {
            assert_eq!(client.answer().status, 200);
        }
        drop(early);
        running.end();
    }
}

#[test]
fn who_is_on_the_way_to_a_loop_when_the_drain_begins_is_served() {
    for round in 0..20 {
        let mut server = Server::bind("127.0.0.1:0").unwrap();
        server.config_mut().deadlines.linger = Span::from_millis(20); // they stay
        let address = server.local_address().unwrap();
        let running = start(server, model(3, Accepting::One));
        let mut clients: Vec<_> = (0..30).map(|_| Client::connect(address)).collect();
        for client in &mut clients {
            client.send(get("/"));
        }
        running.end(); // most of them are in the kernel's queue, or on the way
        for client in &mut clients {
            assert_eq!(client.answer().status, 200, "round {round}");
        }
    }
}

#[test]
fn a_page_of_counters_tells_of_the_whole_and_of_each_loop() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_address().unwrap();
    let running = start(server, model(2, Accepting::One));
    let mut clients: Vec<_> = (0..6).map(|_| Client::connect(address)).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    let mut text = String::new();
    eventually("the page tells of all", || {
        let mut page = Exposition::new();
        page.serving(&running.meter);
        text = page.text().to_owned();
        text.contains("\nhttp_server_requests_total 6\n")
    });
    for line in [
        "http_server_accepted_total 6",
        "http_server_loop_accepted_total{loop=\"0\"} 3",
        "http_server_loop_accepted_total{loop=\"1\"} 3",
        "http_server_loop_requests_total{loop=\"1\"} 3",
        "http_server_loop_connections{loop=\"0\"} 3",
        "http_server_loop_given_away_total{loop=\"0\"} 0",
        "loop_panics_total{loop=\"1\"} 0",
    ] {
        assert!(
            text.lines().any(|it| it == line),
            "{line} is not in\n{text}"
        );
    }
    let buckets = text
        .lines()
        .filter(|it| it.starts_with("loop_lag_milliseconds_bucket{loop=\"1\",le=\"+Inf\"}"));
    assert_eq!(buckets.count(), 1, "{text}");
    running.end();
}

#[test]
fn a_place_that_comes_free_on_another_loop_lets_in_who_waits_in_the_queue() {
    // Without a ladder nobody looks by itself.
    let server = Server::bind("127.0.0.1:0").unwrap();
    let mut server = server.connections_max(2).overload(Ladder::off());
    server.config_mut().deadlines.linger = Span::from_secs(60); // they stay, and are too many
    let address = server.local_address().unwrap();
    let running = start(server, model(2, Accepting::One));
    let mut busy: Vec<_> = (0..2).map(|_| Client::connect(address)).collect();
    for client in &mut busy {
        client.send(get("/later/60000"));
    }
    eventually("a request on each loop", || {
        running.meter.read().requests == 2
    });
    let mut refused: Vec<_> = (0..64).map(|_| Client::connect(address)).collect();
    for client in &mut refused {
        assert_eq!(client.get("/").status, 503);
    }
    let mut waiting = Client::connect(address);
    waiting.send(get("/"));
    assert!(waiting.is_silent_for(SHORT));
    busy.pop().unwrap().reset(); // the loop that does not accept
    assert_eq!(waiting.answer().status, 200);
    eventually("it is at the loop that had the place", || {
        running.meter.loops()[1].server.accepted == 2
    });
}
