//! What the examples share: the command line, a timeline, and a client to show things with.
//!
//! Nothing here is needed to use the library. Each example serves until it gets SIGTERM or
//! SIGINT; with `--demo` it listens on a port the kernel chose, and a thread plays the clients,
//! prints what happens, checks it, and ends the server.

#![allow(dead_code, reason = "each example uses a part of it")]

pub mod client;
pub mod metrics_page;
pub mod server_flags;

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::process::{ExitCode, exit};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const NAME: &str = env!("CARGO_BIN_NAME");

/// A demonstration that takes longer hangs.
const DEMO_LIMIT: Duration = Duration::from_secs(5);

/// Takes the value of a flag if it knows the name.
pub trait Take: FnMut(&str, &mut lexopt::Parser) -> Result<bool, lexopt::Error> {}

impl<F: FnMut(&str, &mut lexopt::Parser) -> Result<bool, lexopt::Error>> Take for F {}

/// How this example was asked to run. Clones are the same.
#[derive(Clone)]
pub struct Example {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What happened when.
    pub timeline: Timeline,
    is_demo: bool,
    clients: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Example {
    /// Reads the command line. Help and mistakes end the program here, with 0 and 2.
    pub fn from_arguments(about: &str, listen: &str) -> Example {
        Example::with_flags(about, listen, "", |_, _| Ok(false))
    }

    /// The same with flags of its own: `take` says whether it knows the flag of this name, and takes
    /// its value; `more` tells of them.
    pub fn with_flags(about: &str, listen: &str, more: &str, take: impl Take) -> Example {
        match read_arguments(listen, take) {
            Ok(Some((listen, is_demo))) => Example::new(listen, is_demo),
            Ok(None) => {
                println!("{about}\n\n{}", usage(listen, more));
                exit(0)
            }
            Err(error) => {
                eprintln!("{NAME}: {error} (try --help)");
                exit(2)
            }
        }
    }

    fn new(listen: SocketAddr, is_demo: bool) -> Example {
        if is_demo {
            thread::spawn(|| {
                thread::sleep(DEMO_LIMIT);
                eprintln!("{NAME}: the demonstration took longer than {DEMO_LIMIT:?}");
                exit(1)
            });
        }
        Example {
            listen,
            timeline: Timeline::new(),
            is_demo,
            clients: Arc::default(),
        }
    }

    /// Whether the clients are played too.
    pub fn is_demo(&self) -> bool {
        self.is_demo
    }

    /// Says where the server listens, or starts `demo` against it, which is to end the server by
    /// [`terminate`].
    pub fn begin<F>(&self, address: Option<SocketAddr>, demo: F)
    where
        F: FnOnce(SocketAddr, &Timeline) -> io::Result<()> + Send + 'static,
    {
        let address = address.unwrap_or(self.listen);
        if !self.is_demo {
            println!("{NAME}: listening on {address}, ends on SIGTERM or Ctrl-C");
            return;
        }
        let timeline = self.timeline.clone();
        let client = thread::spawn(move || {
            if let Err(error) = demo(address, &timeline) {
                timeline.check(false, format_args!("the clients met an error: {error}"));
                let _ = terminate();
            }
        });
        self.clients().push(client);
    }

    fn clients(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the clients. The exit code says whether all that was checked held.
    pub fn verdict(self) -> ExitCode {
        let clients = std::mem::take(&mut *self.clients());
        for client in clients {
            let panicked = client.join().is_err();
            self.timeline
                .failures
                .fetch_add(u32::from(panicked), Ordering::Relaxed);
        }
        match self.timeline.failures.load(Ordering::Relaxed) {
            0 => ExitCode::SUCCESS,
            failures => {
                eprintln!("{NAME}: {failures} checks failed");
                ExitCode::FAILURE
            }
        }
    }
}

/// Sends this process the signal that asks a server to end, as a service manager would.
pub fn terminate() -> io::Result<()> {
    signal_hook::low_level::raise(signal_hook::consts::SIGTERM)
}

/// Lines with the time they were said at, shared by the server and its clients.
#[derive(Clone)]
pub struct Timeline {
    began: Instant,
    failures: Arc<AtomicU32>,
}

impl Timeline {
    fn new() -> Timeline {
        Timeline {
            began: Instant::now(),
            failures: Arc::default(),
        }
    }

    /// Something happened.
    pub fn note(&self, what: impl Display) {
        println!(
            "{:7.1} ms  {what}",
            self.began.elapsed().as_secs_f64() * 1e3
        );
    }

    /// Something should hold.
    pub fn check(&self, holds: bool, what: impl Display) {
        if !holds {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        self.note(format_args!(
            "{} {what}",
            if holds { "ok    " } else { "FAILED" }
        ));
    }
}

fn read_arguments(
    listen: &str,
    mut take: impl Take,
) -> Result<Option<(SocketAddr, bool)>, lexopt::Error> {
    use lexopt::prelude::*;

    let (mut listen, mut is_demo) = (listen.to_owned(), false);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("listen") => listen = arguments.value()?.string()?,
            Long("demo") => is_demo = true,
            Long("help") | Short('h') => return Ok(None),
            Long(name) => {
                let name = name.to_owned();
                if !take(&name, &mut arguments)? {
                    return Err(Long(&name).unexpected());
                }
            }
            _ => return Err(argument.unexpected()),
        }
    }
    if is_demo {
        listen = "127.0.0.1:0".to_owned();
    }
    let address = listen.parse();
    let address =
        address.map_err(|_| format!("--listen {listen}: not an address like 127.0.0.1:80"))?;
    Ok(Some((address, is_demo)))
}

fn usage(listen: &str, more: &str) -> String {
    let more = if more.is_empty() {
        String::new()
    } else {
        format!("\n{more}")
    };
    format!(
        "Usage: {NAME} [--listen ADDRESS] | --demo\n\
         \n\
         \x20 --listen ADDRESS      where to listen (default {listen})\n\
         \x20 --demo                play the clients too, check what they see, exit 0 or 1\n\
         \x20 --help                this text{more}"
    )
}
