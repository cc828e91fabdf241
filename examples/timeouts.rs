//! Every state of a connection has a deadline: five bad clients, who is cut when, and why.
//!
//! The deadlines are shortened so that the demonstration is; the defaults are in the README. The
//! server keeps a record of each connection, and the loop tells the life of each as it ends; the
//! clients measure from outside.

mod support;

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use support::client::Client;
use support::{Example, Timeline, terminate};
use trine::connection::CloseReason;
use trine::service::respond;
use trine::{EventLoop, Response, Server, Signal, Sources};

const HEAD: Duration = Duration::from_millis(400);
const BODY: Duration = Duration::from_millis(600);
const IDLE: Duration = Duration::from_millis(800);
/// A client that takes nothing in one window is cut at its end, so within two.
const WRITE: Duration = Duration::from_millis(500);
/// How late is too late. Generous: the machine may be busy with other things.
const SLACK: Duration = Duration::from_secs(1);
/// More than the kernel's buffers on both sides hold.
const LARGE: usize = 16 << 20;

fn main() -> trine::Result<ExitCode> {
    let about = "Five bad clients against a server with short deadlines.";
    let example = Example::from_arguments(about, "127.0.0.1:8080");
    let server = Server::bind(example.listen)?
        .head_timeout(HEAD)
        .body_timeout(BODY)
        .idle_timeout(IDLE)
        .write_rate(1, WRITE)
        .flight_recorder(16);
    let address = server.local_address();

    let mut event_loop = EventLoop::new()?;
    let handle = server.attach(
        &mut event_loop,
        respond(|request| match request.path() {
            "/large" => Response::bytes(vec![b'x'; LARGE]),
            _ => Response::text("in time\n"),
        }),
    )?;
    event_loop.drain_on_signals([Signal::TERM, Signal::INT], IDLE)?;

    let timeline = example.timeline.clone();
    let mut told = BTreeSet::new();
    event_loop.every(Duration::from_millis(10), move |(), _, cx| {
        for life in handle.timelines(cx) {
            if life.end.is_some() && told.insert(life.connection) {
                timeline.note(format_args!("server: {life:#}"));
            }
        }
    })?;

    example.begin(address, demo);
    event_loop.run(&mut ())?;

    if example.is_demo() {
        let metrics = handle.metrics(&mut event_loop.context());
        let metrics = metrics.expect("the service is not running");
        for (who, _, _, reason) in CLIENTS {
            let once = metrics.closed(reason) == 1;
            let says = format!("client {who}: counted once, as {reason}");
            example.timeline.check(once, says);
        }
        let lives = handle.timelines(&mut event_loop.context());
        let tell = |reason| {
            lives
                .iter()
                .any(|life| life.end.is_some_and(|(_, why)| why == reason))
        };
        let all = CLIENTS.iter().all(|(_, _, _, reason)| tell(*reason));
        example
            .timeline
            .check(all, "each life was recorded to its end");
    }
    Ok(example.verdict())
}

/// What a client does wrong, what it sends at first, its deadline, and why it is cut.
const CLIENTS: [(&str, &str, Duration, CloseReason); 5] = [
    ("says nothing", "", HEAD, CloseReason::NeverSpoke),
    (
        "sends a head slowly",
        "GET / HTTP/1.1\r\n",
        HEAD,
        CloseReason::HeadTimeout,
    ),
    ("sends a body slowly", POST, BODY, CloseReason::BodyTimeout),
    ("stays after an answer", GET, IDLE, CloseReason::IdleTimeout),
    ("never reads", GET_LARGE, WRITE, CloseReason::WriteTimeout),
];
const GET: &str = "GET / HTTP/1.1\r\nHost: demo\r\n\r\n";
const GET_LARGE: &str = "GET /large HTTP/1.1\r\nHost: demo\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: demo\r\nContent-Length: 999\r\n\r\n";

fn demo(address: SocketAddr, timeline: &Timeline) -> io::Result<()> {
    thread::scope(|scope| {
        let clients = CLIENTS.map(|(who, first, deadline, reason)| {
            scope.spawn(move || {
                let began = Instant::now(); // before the server can have seen anything
                let mut client = Client::connect(address)?;
                client.send(first)?;
                let is_sending =
                    matches!(reason, CloseReason::HeadTimeout | CloseReason::BodyTimeout);
                let told = match reason {
                    CloseReason::WriteTimeout => wait_for_reset(&client)?,
                    _ => drip(&mut client, is_sending)?,
                };
                let after = began.elapsed();
                let in_time = after >= deadline && after < 2 * deadline + SLACK;
                let is_right = in_time && told.starts_with("HTTP/1.1 408") == is_sending;
                let says = format!("client {who}: cut after {after:.0?} of {deadline:?}; {told}");
                timeline.check(is_right, says);
                io::Result::Ok(())
            })
        });
        let join = |client: thread::ScopedJoinHandle<'_, _>| client.join().expect("no panic");
        clients.into_iter().try_for_each(join)
    })?;
    terminate()
}

/// Looks alive until the server has closed: an octet now and then gets no more time for it. Gives
/// the last status line that came.
fn drip(client: &mut Client, is_sending: bool) -> io::Result<String> {
    let patience = Some(Duration::from_millis(50));
    client.stream().set_read_timeout(patience)?;
    let mut status = String::from("told nothing");
    loop {
        match client.line() {
            Ok(line) if line.starts_with("HTTP/") => status = line,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(status),
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Err(_) if is_sending => client.send("x")?,
            Err(_) => {}
        }
    }
}

/// Takes nothing of the answer, and looks only whether the connection still stands.
fn wait_for_reset(client: &Client) -> io::Result<String> {
    loop {
        if let Some(error) = client.stream().take_error()? {
            return Ok(error.to_string());
        }
        thread::sleep(Duration::from_millis(5));
    }
}
