//! A server on a thread of its own, and a client that knows nothing but bytes.
//!
//! [`Running`] is a loop with one attached server on a port the kernel chose. It is reached by an
//! inbox: for its counters, for a drain, and to stop. Every wait of a test is bounded: reads by
//! the client's timeout, the rest by [`PATIENCE`].

#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod client;
pub mod own_process;
pub mod program;
pub mod team;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use trine::connection::CloseReason;
use trine::http::Request;
use trine::proactor::{Pattern, ProactorOptions};
use trine::reactor::{Context, InboxSender, Mail, Metrics};
use trine::server::{Live, ServerHandle, ServerMetrics, Timeline};
use trine::service::{Answered, Deferred, Reply, Service};
use trine::time::Span;
use trine::{EventLoop, Response, Server, Sources};

use client::Client;

/// What a test waits at most for something that should come at once.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A short deadline of the server: long against a loaded machine's hiccups, short for a test.
pub const SHORT: Duration = Duration::from_millis(250);

enum Command {
    Count(Sender<Counters>),
    Explain(u64, Sender<Option<Timeline>>),
    Reload(fn(&mut Live), Sender<trine::Result<()>>),
    Drain(Duration),
    Stop,
}

/// What the server and its loop have counted.
#[derive(Debug)]
pub struct Counters {
    pub server: ServerMetrics,
    pub turns: u64,
    pub timer_sets: u64,
    pub eventfd_writes: u64,
    pub stale_events: u64,
    pub sources: usize,
}

/// A server that runs.
pub struct Running {
    address: Option<SocketAddr>,
    commands: InboxSender<Command>,
    thread: Option<JoinHandle<trine::Result<End>>>,
}

/// How the loop ended, and what its server had counted then.
type End = (trine::Result<()>, ServerMetrics);

/// Runs a server at 127.0.0.1 with the settings of `configure`.
pub fn start(
    configure: impl FnOnce(Server) -> Server,
    service: impl Service<()> + Send,
) -> Running {
    run(configure(Server::bind("127.0.0.1:0").unwrap()), service)
}

/// What moves the bytes of the servers of a test, if it is not the reactor: `proactor`, or `io-uring`
/// with the feature of that name.
const PATTERN: &str = "TRINE_TEST_PATTERN";

/// How often a connection may have its share in one turn: once; with operations for what has completed and
/// for what comes of that, which the loop also looks for twice before it waits.
pub fn shares_per_turn() -> u64 {
    std::env::var_os(PATTERN).map_or(1, |_| 6)
}

/// The server by the pattern that the environment asks for.
fn by_pattern(server: Server) -> Server {
    let pattern = match std::env::var(PATTERN).as_deref() {
        Err(_) => return server,
        Ok("proactor") => Pattern::Emulated,
        Ok("io-uring") if cfg!(feature = "io-uring") => Pattern::IoUring,
        Ok(other) => panic!("{PATTERN}={other}: neither proactor nor, as a feature, io-uring"),
    };
    server.proactor(ProactorOptions {
        pattern,
        ..ProactorOptions::default()
    })
}

/// Runs `server`.
pub fn run(server: Server, service: impl Service<()> + Send) -> Running {
    run_with(by_pattern(server), |server, event_loop| {
        server.attach(event_loop, service)
    })
}

/// Runs `server` as `attach` puts it on a loop.
pub fn run_with<V: Service<()>>(
    server: Server,
    attach: impl FnOnce(Server, &mut EventLoop<()>) -> trine::Result<ServerHandle<(), V>>
    + Send
    + 'static,
) -> Running {
    let address = server.local_address();
    let (give, take) = channel();
    let thread = thread::spawn(move || {
        let mut event_loop = EventLoop::new()?;
        let handle = attach(server, &mut event_loop)?;
        let commands = event_loop.inbox(16, move |(), mail, cx| match mail {
            Mail::Message(Command::Count(reply)) => {
                let _ = reply.send(count(handle.metrics(cx).unwrap(), cx));
            }
            Mail::Message(Command::Explain(number, reply)) => {
                let _ = reply.send(handle.explain(cx, number));
            }
            Mail::Message(Command::Reload(change, reply)) => {
                let change = |live: &mut Live| {
                    change(live);
                    Ok::<(), String>(())
                };
                let _ = reply.send(handle.reload(cx, change));
            }
            Mail::Message(Command::Drain(grace)) => cx.drain(grace),
            Mail::Message(Command::Stop) | Mail::Closed => cx.stop(),
        })?;
        give.send(commands).unwrap();
        let ended = event_loop.run(&mut ());
        Ok((ended, handle.metrics(&mut event_loop.context()).unwrap()))
    });
    Running {
        address,
        commands: take.recv_timeout(PATIENCE).unwrap(),
        thread: Some(thread),
    }
}

fn count(server: ServerMetrics, cx: &Context<'_, ()>) -> Counters {
    let Metrics {
        turns,
        timer_sets,
        eventfd_writes,
        stale_events,
        ..
    } = *cx.metrics();
    Counters {
        server,
        turns,
        timer_sets,
        eventfd_writes,
        stale_events,
        sources: cx.sources(),
    }
}

impl Running {
    pub fn address(&self) -> SocketAddr {
        self.address.unwrap()
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address())
    }

    pub fn counters(&self) -> Counters {
        let (give, take) = channel();
        self.commands.try_send(Command::Count(give)).unwrap();
        take.recv_timeout(PATIENCE).unwrap()
    }

    /// The life of a connection, by its number.
    pub fn explain(&self, connection: u64) -> Option<Timeline> {
        let (give, take) = channel();
        let explain = Command::Explain(connection, give);
        self.commands.try_send(explain).unwrap();
        take.recv_timeout(PATIENCE).unwrap()
    }

    /// Gives the server other settings.
    pub fn reload(&self, change: fn(&mut Live)) {
        let (give, take) = channel();
        self.commands
            .try_send(Command::Reload(change, give))
            .unwrap();
        take.recv_timeout(PATIENCE).unwrap().unwrap();
    }

    /// Waits until `count` connections have ended for `reason`.
    pub fn awaits_closed(&self, reason: CloseReason, count: u64) {
        eventually(&format!("{count} closed: {reason}"), || {
            self.counters().server.closed(reason) == count
        });
    }

    pub fn drain(&self, grace: Duration) {
        self.commands.try_send(Command::Drain(grace)).unwrap();
    }

    /// Waits for the loop's own end, after a drain; what the server had counted then.
    pub fn ended_with(mut self) -> (trine::Result<()>, ServerMetrics) {
        let thread = self.thread.take().unwrap();
        eventually("the end of the loop", || thread.is_finished());
        thread.join().unwrap().unwrap()
    }

    /// Waits for the loop's own end, after a drain.
    pub fn ended(self) -> trine::Result<()> {
        self.ended_with().0
    }

    /// Stops the loop; its counters at the end.
    pub fn stop(self) -> Counters {
        let counters = self.counters();
        drop(self);
        counters
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        let _ = self.commands.try_send(Command::Stop);
        let joined = thread.join();
        if !thread::panicking() {
            joined.unwrap().unwrap().0.unwrap();
        }
    }
}

/// Waits until `condition` holds; panics after [`PATIENCE`].
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < until, "in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// How many descriptors this process has.
pub fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A path for a Unix socket of this test process.
pub fn socket_path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("trine-{}-{name}.sock", std::process::id()))
}

/// Answers by path: `/` a text, `/echo` the body, `/bytes/N` that many octets, `/panic` not at
/// all, `/later/MS` that much later, `/drop` by losing its promise.
pub fn site(request: &Request<'_>, reply: Reply<'_>, (): &mut ()) -> Answered {
    let number = |text: &str| text.parse().unwrap_or(0);
    match request.path().rsplit_once('/') {
        Some(("", "")) => reply.text("Hello, World!"),
        Some(("", "echo")) => reply.send(Response::bytes(request.body().to_vec())),
        Some(("", "path")) => reply.text(request.target().to_owned()),
        Some(("/bytes", count)) => reply.send(Response::bytes(vec![b'x'; number(count)])),
        Some(("", "panic")) => panic!("asked to"),
        Some(("/later", delay)) => {
            let (deferred, answered) = reply.defer();
            let delay = Span::from_millis(number(delay) as u64);
            deferred.send_after(delay, Response::text("late"));
            answered
        }
        Some(("", "drop")) => reply.defer().1,
        _ => reply.send(Response::not_found()),
    }
}

/// A service that gives each promise away, with the request's path.
pub fn promises(to: Sender<(String, Deferred)>) -> impl Service<()> + Send {
    move |request: &Request<'_>, reply: Reply<'_>, (): &mut ()| {
        let (deferred, answered) = reply.defer();
        let _ = to.send((request.path().to_owned(), deferred));
        answered
    }
}
