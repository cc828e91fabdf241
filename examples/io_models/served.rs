//! A server in a process of its own, and what the kernel says of it.

use std::fs;
use std::io::{BufRead, BufReader, Error, Result, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::model::Model;

pub struct Served {
    pub address: SocketAddr,
    /// What is special about it.
    pub note: String,
    process: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What a server has used since it began.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    pub calls: u64,
    pub time: Time,
}

impl Served {
    pub fn start(model: Model) -> Result<Served> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([
            "--serve",
            model.name(),
            "--listen",
            "127.0.0.1:0",
            "--controlled",
        ]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let pipes = process.stdin.take().zip(process.stdout.take());
        let (asks, answers) = pipes.ok_or(Error::other("a server without pipes"))?;
        let mut served = Served {
            address: ([0, 0, 0, 0], 0).into(),
            note: String::new(),
            process,
            asks,
            answers: BufReader::new(answers),
        };
        let line = served.line()?;
        let (address, note) = line.split_once(' ').unwrap_or((&line, ""));
        let wrong = |_| Error::other(format!("{} did not begin to serve", model.name()));
        (served.address, served.note) = (address.parse().map_err(wrong)?, note.to_owned());
        Ok(served)
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn used(&mut self) -> Result<Used> {
        self.asks.write_all(b"\n")?;
        let line = self.line()?;
        let calls = line.parse();
        Ok(Used {
            calls: calls.map_err(|_| Error::other(format!("{line:?} is no count")))?,
            time: time_of(&format!("/proc/{}/task", self.process.id()))?,
        })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill(); // or it has ended
        let _ = self.process.wait();
    }
}

/// What the scheduler says of threads.
#[derive(Clone, Copy, Default, Debug)]
pub struct Time {
    /// They ran.
    pub ran: Duration,
    /// They could have run, and others did.
    pub waited: Duration,
}

impl Time {
    pub fn since(self, before: Time) -> Time {
        Time {
            ran: self.ran.saturating_sub(before.ran),
            waited: self.waited.saturating_sub(before.waited),
        }
    }
}

/// Of all threads below `folder` together.
fn time_of(folder: &str) -> Result<Time> {
    let mut all = Time::default();
    for thread in fs::read_dir(folder)? {
        // One that has just ended has no file.
        if let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) {
            let time = parsed(&text)?;
            (all.ran, all.waited) = (all.ran + time.ran, all.waited + time.waited);
        }
    }
    Ok(all)
}

/// Of this thread.
pub fn time_of_this_thread() -> Result<Time> {
    parsed(&fs::read_to_string("/proc/thread-self/schedstat")?)
}

/// Nanoseconds run, nanoseconds waited, and how often.
fn parsed(schedstat: &str) -> Result<Time> {
    let mut nanos = schedstat
        .split(' ')
        .map(|field| field.parse().map(Duration::from_nanos));
    match (nanos.next(), nanos.next()) {
        (Some(Ok(ran)), Some(Ok(waited))) => Ok(Time { ran, waited }),
        _ => Err(Error::other("the kernel has no schedstat")),
    }
}
