//! One drill: a server with short deadlines, its vital signs before, a bystander during, and what must
//! hold after.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::bars::{P99, gate, is_strict, scale};
use super::bystander::{Bystander, Seen, ask};
use super::support::program::{Program, executable};
use super::vitals::Vitals;

/// Deadlines of a drill: 2 s for heads, bodies, answers and their reading, 3 s of silence, 5 s of drain.
const PROFILE: &[&str] = &[
    "--head-timeout",
    "2000",
    "--body-timeout",
    "2000",
    "--handler-timeout",
    "2000",
    "--write-timeout",
    "2000",
    "--idle-timeout",
    "3000",
    "--drain-timeout",
    "5000",
];

/// After the last deadline, everything of a connection is gone within this.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// A bystander asks so long at least: percentiles need numbers.
const BYSTANDER_LEAST: Duration = Duration::from_secs(1);

/// A server under attack.
pub struct Drill {
    name: &'static str,
    program: Program,
    base: Vitals,
    bystander: Option<Bystander>,
    peak: Arc<AtomicUsize>,
    began: Instant,
}

/// What is to be looked at after a drill.
pub struct Report {
    pub seen: Seen,
    pub base: Vitals,
    pub after: Vitals,
    /// The most memory that was seen during the drill, in bytes.
    pub peak: usize,
}

/// A command for the server with the deadlines of a drill, below the words of `wrapper`.
pub fn command(wrapper: &[&str], flags: &[&str]) -> Command {
    let said = std::env::var_os("TRINE_DRILL_SERVER");
    let server = said.map_or_else(|| executable("httpbin"), PathBuf::from);
    let mut command = match wrapper.split_first() {
        None => Command::new(server),
        Some((first, others)) => {
            let mut command = Command::new(first);
            command.args(others).arg(server);
            command
        }
    };
    command
        .args(["--listen", "127.0.0.1:0"])
        .args(PROFILE)
        .args(flags);
    command
}

impl Report {
    /// There is no more memory than the `base` of so many bytes; tables for clients that were there stay,
    /// which is what a mebibyte more is allowed for.
    pub fn is_back_at(&self, base: usize) {
        let bar = base + base / 10;
        println!(
            "memory after it {} KiB, before {} KiB (bar +10 %)",
            self.after.resident >> 10,
            base >> 10
        );
        assert!(self.after.resident <= bar + (scale() << 20), "memory stays");
    }
}

impl Drill {
    pub fn begin(name: &'static str, flags: &[&str]) -> Drill {
        Drill::of(name, &mut command(&[], flags))
    }

    /// The same with a server that is run by `command`.
    pub fn of(name: &'static str, command: &mut Command) -> Drill {
        let program = Program::run(command);
        for _ in 0..100 {
            ask(program.address()).unwrap();
        }
        thread::sleep(Duration::from_millis(50)); // the last one's end
        let base = Vitals::of(program.id()).unwrap();
        let peak = Arc::new(AtomicUsize::new(base.resident));
        watch_memory(program.id(), &peak);
        let bystander = Some(Bystander::start(program.address()));
        let began = Instant::now();
        Drill {
            name,
            program,
            base,
            bystander,
            peak,
            began,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.program.address()
    }

    pub fn base(&self) -> Vitals {
        self.base
    }

    pub fn id(&self) -> u32 {
        self.program.id()
    }

    pub fn vitals(&self) -> Vitals {
        Vitals::of(self.id()).expect("the server lives")
    }

    /// Memory now, in bytes, when what was taken has been given back: the base of what is done once more.
    /// The allocator keeps what it once had, so the second time shows whether anything stays.
    pub fn warm(&self) -> usize {
        let began = Instant::now();
        while self.vitals().descriptors > self.base.descriptors + 2 && began.elapsed() < AFTERWARDS
        {
            thread::sleep(Duration::from_millis(20));
        }
        self.vitals().resident
    }

    /// How long the server was kept from the processors by others since the drill began: no time of the
    /// server's is judged without it.
    pub fn starved(&self) -> Duration {
        kept(&self.base, &self.vitals())
    }

    /// Says a figure of this drill.
    pub fn say(&self, figure: &str) {
        println!("{}: {figure}", self.name);
    }

    /// Sends the server a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.id()).unwrap();
        let process = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(process, signal).unwrap();
    }

    /// Stops the bystander, for the server cannot answer everybody now; what it saw has to be good.
    pub fn pause_bystander(&mut self) -> Seen {
        let seen = self.bystander.take().unwrap().stop();
        assert_eq!(seen.failures, [""; 0], "{}: bystanders failed", self.name);
        seen
    }

    /// Another bystander.
    pub fn resume_bystander(&mut self) {
        self.bystander = Some(Bystander::start(self.address()));
    }

    /// Ends the drill: all that was taken is given back, every bystander was answered, and in time.
    pub fn end(mut self) -> Report {
        let report = self.settle();
        self.print(&report);
        assert_eq!(
            report.seen.failures, [""; 0],
            "{}: bystanders failed",
            self.name
        );
        let p99 = report.seen.quantile(0.99);
        let starved = kept(&report.base, &report.after);
        assert!(
            p99 <= gate(P99) + starved,
            "{}: p99 of bystanders {p99:?}",
            self.name
        );
        let stayed = report.after.descriptors.abs_diff(report.base.descriptors);
        assert!(
            stayed <= 2,
            "{}: descriptors stay: {report:?}",
            self.name,
            report = report.after
        );
        self.program.terminate();
        let status = self.program.ended();
        assert!(status.success(), "{}: {status} after SIGTERM", self.name);
        report
    }

    fn settle(&mut self) -> Report {
        thread::sleep(BYSTANDER_LEAST.saturating_sub(self.began.elapsed()));
        let began = Instant::now();
        let most = self.base.descriptors + 2;
        while self.vitals().descriptors > most && began.elapsed() < AFTERWARDS {
            thread::sleep(Duration::from_millis(20));
        }
        let seen = self.bystander.take().unwrap().stop();
        thread::sleep(Duration::from_millis(50)); // its last connection
        let after = self.vitals();
        let peak = self.peak.load(Ordering::Relaxed).max(after.resident);
        Report {
            seen,
            base: self.base,
            after,
            peak,
        }
    }

    fn print(&self, report: &Report) {
        let Report {
            seen,
            base,
            after,
            peak,
        } = report;
        let mebibytes = |bytes: usize| bytes as f64 / f64::from(1 << 20);
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        let asked = seen.latencies.len() + seen.failures.len();
        let busy = (after.busy - base.busy).as_secs_f64() / self.began.elapsed().as_secs_f64();
        println!(
            "{}: bystander {} of {asked} answered, p99 {:.1} ms (bar 50), most {:.1} ms; descriptors {} (base {}); \
             memory {:.1} MiB (base {:.1}, peak {:.1}); processor {:.1} %, kept from it for {:.0} ms in all",
            self.name,
            seen.latencies.len(),
            millis(seen.quantile(0.99)),
            millis(seen.quantile(1.0)),
            after.descriptors,
            base.descriptors,
            mebibytes(after.resident),
            mebibytes(base.resident),
            mebibytes(*peak),
            busy * 100.0,
            millis(after.waited.saturating_sub(base.waited)),
        );
    }
}

/// The allowance between two looks for what others took: none when bars are strict.
fn kept(before: &Vitals, after: &Vitals) -> Duration {
    match is_strict() {
        true => Duration::ZERO,
        false => after.waited.saturating_sub(before.waited),
    }
}

/// Looks every 20 ms until the process is gone.
fn watch_memory(id: u32, peak: &Arc<AtomicUsize>) {
    let peak = Arc::clone(peak);
    thread::spawn(move || {
        while let Some(vitals) = Vitals::of(id) {
            peak.fetch_max(vitals.resident, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(20));
        }
    });
}
