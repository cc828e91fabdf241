//! System calls, counted by those who make them; and how a demonstration asks for the count.

use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use nix::sys::signal::SigSet;

use crate::{NAME, machine};

/// System calls of a server, since it began.
#[derive(Clone, Default)]
pub struct Calls(Arc<Counts>);

#[derive(Default)]
struct Counts {
    made: AtomicU64,
    by_loop: AtomicU64,
}

impl Calls {
    /// This code has made so many.
    pub fn made(&self, calls: u64) {
        self.0.made.fetch_add(calls, Ordering::Relaxed);
    }

    /// A loop has made so many by itself, by its metrics.
    pub fn by_loop(&self, calls: u64) {
        self.0.by_loop.store(calls, Ordering::Relaxed);
    }

    fn all(&self) -> u64 {
        self.0.made.load(Ordering::Relaxed) + self.0.by_loop.load(Ordering::Relaxed)
    }
}

/// Where a server listens, and who asks what it does.
pub struct Place {
    pub address: SocketAddr,
    pub is_controlled: bool,
    pub calls: Calls,
}

impl Place {
    /// Called before a thread starts: with a demonstration's client there, the server keeps to the CPUs
    /// that the client does not use.
    pub fn prepare(&self) {
        if self.is_controlled {
            machine::leave_first();
        }
    }

    /// Says that clients can come to `address`, and what is special: `note`. A demonstration then asks
    /// for the number of calls by a line, and ends the server by the end of its input.
    pub fn open(&self, address: SocketAddr, note: &str) -> io::Result<()> {
        if !self.is_controlled {
            let note = if note.is_empty() {
                ""
            } else {
                &format!(" ({note})")
            };
            println!("{NAME}: listening on {address}{note}, ends on SIGTERM or Ctrl-C");
            return Ok(());
        }
        println!("{address} {note}");
        let calls = self.calls.clone();
        let controller = thread::Builder::new().stack_size(64 * 1024);
        controller.spawn(move || {
            let _ = SigSet::all().thread_block(); // they are the server's
            for _ in io::stdin().lock().lines() {
                let mut output = io::stdout().lock();
                if writeln!(output, "{}", calls.all()).is_err() {
                    break;
                }
            }
            exit(0)
        })?;
        Ok(())
    }
}
