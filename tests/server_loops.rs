//! One server on several loops, as its operator sees it: signals, settings, ends, and what cannot be divided.

#[path = "support/mod.rs"]
mod support;

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use support::client::{Client, End, get};
use support::own_process::OwnProcess;
use support::{PATIENCE, eventually, socket_path};
use trine::concurrency::{Core, Fellows};
use trine::reactor::{ErrorKind, StreamListener};
use trine::server::{Accepting, CoreOptions, Model, ServerMeter};
use trine::service::{Deferred, Reply, respond};
use trine::{Response, Server};

fn model(loops: usize, accepting: Accepting) -> Model {
    Model::LoopPerCore(CoreOptions {
        loops,
        accepting,
        ..CoreOptions::default()
    })
}

/// What a test has of a server: who ends it, and who counts.
type Keys = (Fellows, ServerMeter);

/// Gives the keys of the server to the test.
fn keys() -> (
    impl Fn(&Core, &ServerMeter, &mut trine::EventLoop<()>) -> trine::Result<()> + Send + Sync,
    Receiver<Keys>,
) {
    let (give, take) = channel();
    let give = move |core: &Core, meter: &ServerMeter, _: &mut trine::EventLoop<()>| {
        if core.number() == 0 {
            give.send((core.fellows().clone(), meter.clone())).unwrap();
        }
        Ok(())
    };
    (give, take)
}

fn bound() -> (Server, SocketAddr) {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_address().unwrap();
    (server, address)
}

fn thread_name() -> Response {
    Response::text(thread::current().name().unwrap_or_default().to_owned())
}

fn ends(server: JoinHandle<trine::Result<()>>) -> trine::Result<()> {
    eventually("the end of the server", || server.is_finished());
    server.join().unwrap()
}

/// A process of its own for `scene`, which is the test `name` of this file in it.
fn in_a_process_of_its_own(name: &str, scene: impl FnOnce()) {
    const KEY: &str = "TRINE_SCENE";
    if std::env::var_os(KEY).is_some() {
        scene();
        return println!("\nplayed");
    }
    OwnProcess::start(name, KEY, "1").said("played");
}

#[test]
fn a_second_sigterm_forces_whoever_another_loop_waits_for() {
    let name = "a_second_sigterm_forces_whoever_another_loop_waits_for";
    in_a_process_of_its_own(name, || {
        let (server, address) = bound();
        let server = server.drain_timeout(Duration::from_secs(3_600));
        let (set_up, keys) = keys();
        let held = Arc::new(Mutex::new(Vec::<Deferred>::new()));
        let service = move || {
            let held = Arc::clone(&held);
            move |request: &trine::http::Request<'_>, reply: Reply<'_>, (): &mut ()| {
                if request.path() != "/held" {
                    return reply.send(thread_name());
                }
                let (deferred, answered) = reply.defer();
                held.lock().unwrap().push(deferred);
                answered
            }
        };
        let server = server.under(model(2, Accepting::One));
        let server = thread::spawn(move || server.run_with(service, || (), set_up));
        let (_fellows, meter) = keys.recv_timeout(PATIENCE).unwrap();
        let mut clients: Vec<_> = (0..2).map(|_| Client::connect(address)).collect();
        let mut by_thread = clients.iter_mut().map(|it| it.get("/").text().to_owned());
        let last = by_thread.position(|it| it.ends_with("-1")).unwrap();
        let (mut stuck, mut idle) = (clients.swap_remove(last), clients.remove(0));
        stuck.send(get("/held"));
        eventually("it is held", || meter.read().requests == 3);
        kill_process(getpid(), Signal::Term).unwrap();
        idle.ends(End::Closed);
        drop(idle);
        eventually("loop 0 has nothing left", || {
            meter.loops()[0].server.connections == 0
        });
        // A loop that does not wait for the others would be gone soon.
        thread::sleep(Duration::from_millis(100));
        assert!(!server.is_finished());
        kill_process(getpid(), Signal::Term).unwrap();
        let ended = ends(server).map_err(|error| error.kind());
        assert_eq!(ended, Err(ErrorKind::DrainForced));
    });
}

#[test]
fn sighup_asks_once_and_all_loops_take_the_settings() {
    let name = "sighup_asks_once_and_all_loops_take_the_settings";
    in_a_process_of_its_own(name, || {
        let (server, address) = bound();
        let limits = Arc::new(Mutex::new(vec![2, 13, 1]));
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let server = server
            .connections_max(8)
            .on_reload(move |live, (): &mut ()| {
                live.connections_max = limits.lock().unwrap().pop().ok_or("no more")?;
                live.config.limits.body_bytes_max = 5;
                count.fetch_add(1, Ordering::SeqCst);
                Ok::<(), &str>(())
            });
        let (set_up, keys) = keys();
        let server = server.under(model(3, Accepting::One));
        let server =
            thread::spawn(move || server.run_with(|| respond(|_| thread_name()), || (), set_up));
        let (fellows, meter) = keys.recv_timeout(PATIENCE).unwrap();
        let limits = || -> Vec<_> {
            let loops = meter.loops().into_iter();
            loops.map(|it| it.server.connections_max).collect()
        };
        eventually("the loops run", || limits() == [3, 3, 2]);
        Client::connect(address).get("/");
        kill_process(getpid(), Signal::Hup).unwrap();
        eventually("1 for 3 loops is refused", || {
            meter.read().reloads_failed == 1
        });
        assert_eq!(limits(), [3, 3, 2]);
        kill_process(getpid(), Signal::Hup).unwrap();
        eventually("all have their part of 13", || limits() == [5, 4, 4]);
        eventually("it is one reload", || meter.read().reloads == 1);
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        for _ in 0..3 {
            let mut client = Client::connect(address); // each on another loop
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n");
            assert_eq!(client.answer().status, 413);
        }
        fellows.drain(PATIENCE);
        ends(server).unwrap();
    });
}

#[test]
fn what_one_loop_cannot_set_up_ends_all_and_nothing_is_served() {
    let (server, address) = bound();
    let set_up = |core: &Core, _: &ServerMeter, _: &mut trine::EventLoop<()>| match core.number() {
        2 => Err(StreamListener::bind_tcp("192.0.2.1:1").unwrap_err()),
        _ => Ok(()),
    };
    let server = server.under(model(3, Accepting::Kernel));
    let server =
        thread::spawn(move || server.run_with(|| respond(|_| thread_name()), || (), set_up));
    let error = ends(server).unwrap_err();
    assert!(error.to_string().contains("192.0.2.1:1"), "{error}");
    TcpListener::bind(address).unwrap(); // nobody has it any more
}

#[test]
fn a_state_that_panics_on_one_loop_ends_all() {
    for accepting in [Accepting::Kernel, Accepting::One] {
        let (server, _) = bound();
        let made = AtomicUsize::new(0);
        let state = move || assert_ne!(made.fetch_add(1, Ordering::SeqCst), 1, "asked to");
        let server = server.under(model(3, accepting));
        let server = thread::spawn(move || server.run(|| respond(|_| thread_name()), state));
        let ended = ends(server).map_err(|error| error.kind());
        assert_eq!(ended, Err(ErrorKind::Panicked));
    }
}

/// What is said to whoever wants `server` on several loops by the kernel.
fn refusal(server: Server) -> String {
    let server = server.under(model(2, Accepting::Kernel));
    let server = thread::spawn(move || server.run(|| respond(|_| thread_name()), || ()));
    let refused = ends(server).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    refused.to_string()
}

#[test]
fn what_the_kernel_cannot_spread_is_refused_with_the_remedy() {
    let path = socket_path("loops-refused");
    let unix = Server::over(StreamListener::bind_unix(&path).unwrap());
    assert!(refusal(unix).contains("take Accepting::One"));
    let inherited = TcpListener::bind("127.0.0.1:0").unwrap();
    inherited.set_nonblocking(true).unwrap();
    let inherited = StreamListener::from_descriptor(inherited).unwrap();
    assert!(refusal(Server::over(inherited)).contains("take Accepting::One"));
    let few = bound().0.connections_max(1);
    assert!(refusal(few).contains("take fewer loops"));
    let little = bound().0.memory_max(3 << 19);
    assert!(refusal(little).contains("Raise it, lower body_bytes_max, or take fewer loops"));
}

#[test]
fn one_loop_accepts_from_a_unix_socket_for_all() {
    let path = socket_path("loops-one");
    let server = Server::over(StreamListener::bind_unix(&path).unwrap());
    let (set_up, keys) = keys();
    let server = server.under(model(3, Accepting::One));
    let server =
        thread::spawn(move || server.run_with(|| respond(|_| thread_name()), || (), set_up));
    let (fellows, _) = keys.recv_timeout(PATIENCE).unwrap();
    let mut clients: Vec<_> = (0..3)
        .map(|_| Client::over(UnixStream::connect(&path).unwrap()))
        .collect();
    let mut threads: Vec<_> = clients
        .iter_mut()
        .map(|it| {
            it.send(get("/"));
            it.answer().text().to_owned()
        })
        .collect();
    threads.sort();
    threads.dedup();
    assert_eq!(threads.len(), 3, "{threads:?}");
    drop(clients);
    fellows.drain(PATIENCE);
    ends(server).unwrap();
}

#[test]
fn each_exchange_of_each_loop_is_told_to_one_observer() {
    let (server, address) = bound();
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let server = server.on_served(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let (set_up, keys) = keys();
    let server = server.under(model(4, Accepting::One));
    let server =
        thread::spawn(move || server.run_with(|| respond(|_| thread_name()), || (), set_up));
    let (fellows, _) = keys.recv_timeout(PATIENCE).unwrap();
    let mut clients: Vec<_> = (0..8).map(|_| Client::connect(address)).collect();
    for client in &mut clients {
        (0..3).for_each(|_| assert_eq!(client.get("/").status, 200));
    }
    drop(clients);
    fellows.drain(PATIENCE);
    ends(server).unwrap();
    assert_eq!(told.load(Ordering::SeqCst), 24);
}

#[test]
fn descriptors_are_kept_back_where_they_can_be_used() {
    for (accepting, kept) in [(Accepting::One, [5, 0, 0]), (Accepting::Kernel, [2, 2, 2])] {
        let (server, _) = bound();
        let (set_up, keys) = keys();
        let server = server.reserve_descriptors(5).under(model(3, accepting));
        let server =
            thread::spawn(move || server.run_with(|| respond(|_| thread_name()), || (), set_up));
        let (fellows, meter) = keys.recv_timeout(PATIENCE).unwrap();
        eventually("each keeps its part", || {
            let loops = meter.loops().into_iter();
            let all: Vec<_> = loops.map(|it| it.server.descriptors_kept).collect();
            all == kept
        });
        fellows.drain(PATIENCE);
        ends(server).unwrap();
    }
}
