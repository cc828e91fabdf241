//! Restart without loss: each process takes the listening socket over from the one before, which
//! finishes what it has begun, and ends.
//!
//! As a server: start it, and start it again to restart. The demonstration starts six generations under
//! load, one of which is broken, and counts what the clients see.

mod support;

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio, exit, id};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::client::Client;
use support::{Example, Timeline};
use trine::{Response, Server};

const CLIENTS: usize = 16;
const MORE: &str = "  \
  --path PATH           where a process and its successor meet (default ./trine-hand-over)
  --broken              end when the socket is taken over and nothing is served yet";

fn main() -> trine::Result<ExitCode> {
    let about = "Restart without loss: the listening socket passes to a successor.";
    let (mut path, mut broken) = (PathBuf::from("./trine-hand-over"), false);
    let example = Example::with_flags(about, "127.0.0.1:8080", MORE, |name, arguments| {
        match name {
            "path" => path = arguments.value()?.into(),
            "broken" => broken = true,
            _ => return Ok(false),
        }
        Ok(true)
    });
    if example.is_demo() {
        if let Err(error) = demo(&example.timeline) {
            let what = format_args!("the demonstration met an error: {error}");
            example.timeline.check(false, what);
        }
        return Ok(example.verdict());
    }
    let server = Server::bind_or_take_over(example.listen, path)?;
    if broken {
        exit(7); // a bad release: the process before has not even noticed
    }
    example.begin(server.local_address(), |_, _| Ok(()));
    let name = id().to_string();
    server.serve(move |_| Response::text(name.clone()))?;
    Ok(ExitCode::SUCCESS)
}

/// What the clients have seen.
#[derive(Default)]
struct Seen {
    ends: AtomicBool,
    answers: AtomicU64,
    lost: AtomicU64,
}

fn demo(timeline: &Timeline) -> io::Result<()> {
    let path = std::env::temp_dir().join(format!("trine-hand-over-{}", id()));
    let (mut current, address) = start(&path)?;
    timeline.note(format_args!("process {} serves at {address}", current.id()));
    let seen = Seen::default();
    let ended = thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| keep_asking(address, &seen));
        }
        let ended = restart_often(&path, &mut current, &seen, timeline);
        seen.ends.store(true, Ordering::Relaxed);
        ended
    });
    let (answers, lost) = (seen.answers.into_inner(), seen.lost.into_inner());
    let says = format!("{CLIENTS} clients had {answers} answers, and {lost} requests without one");
    timeline.check(lost == 0 && answers > 0, says);
    terminate(&current)?;
    let is_well = current.wait()?.success();
    timeline.check(is_well && !path.exists(), "SIGTERM: the last one ends well");
    ended
}

fn restart_often(
    path: &Path,
    current: &mut Child,
    seen: &Seen,
    timeline: &Timeline,
) -> io::Result<()> {
    for _ in 0..5 {
        thread::sleep(Duration::from_millis(100));
        let before = seen.answers.load(Ordering::Relaxed);
        let began = Instant::now();
        let (next, _) = start(path)?;
        let status = std::mem::replace(current, next).wait()?;
        let took = began.elapsed();
        let answers = seen.answers.load(Ordering::Relaxed) - before;
        let says = format!(
            "process {} took over: the one before ended well after {took:.0?}, {answers} answers meanwhile",
            current.id()
        );
        timeline.check(status.success(), says);
    }
    let broken = command(path).arg("--broken").status()?;
    let is_alive = current.try_wait()?.is_none();
    timeline.check(
        broken.code() == Some(7) && is_alive,
        "a broken one ended before it was ready: nothing has changed",
    );
    Ok(())
}

fn command(path: &Path) -> Command {
    let own = std::env::current_exe().unwrap_or_default();
    let mut command = Command::new(own);
    command
        .args(["--listen", "127.0.0.1:0", "--path"])
        .arg(path);
    command
}

/// Starts a generation, and waits until it says where it listens.
fn start(path: &Path) -> io::Result<(Child, SocketAddr)> {
    let mut child = command(path).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    if let Some(said) = child.stdout.take() {
        BufReader::new(said).read_line(&mut line)?;
    }
    let address = line.split([' ', ',']).find_map(|word| word.parse().ok());
    let address = address.ok_or_else(|| io::Error::other(format!("it said {line:?}")))?;
    Ok((child, address))
}

fn terminate(process: &Child) -> io::Result<()> {
    let process = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
    let process = process.ok_or(io::ErrorKind::InvalidInput)?;
    Ok(kill_process(process, Signal::Term)?)
}

/// A client that keeps its connection until an answer says that it was the last, and then comes back.
fn keep_asking(address: SocketAddr, seen: &Seen) {
    while !seen.ends.load(Ordering::Relaxed) {
        if ask_until_the_last(address, seen).is_err() {
            seen.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn ask_until_the_last(address: SocketAddr, seen: &Seen) -> io::Result<()> {
    let mut client = Client::connect(address)?;
    while !seen.ends.load(Ordering::Relaxed) {
        let answer = client.get("/")?;
        seen.answers.fetch_add(1, Ordering::Relaxed);
        if answer.says("Connection: close") {
            break;
        }
    }
    Ok(())
}
