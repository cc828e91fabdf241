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
    pub cpu: Duration,
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
            cpu: cpu_of(&format!("/proc/{}/task", self.process.id()))?,
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

/// The time that all threads below `folder` have run, by the scheduler, in nanoseconds.
fn cpu_of(folder: &str) -> Result<Duration> {
    let mut nanos = 0;
    for thread in fs::read_dir(folder)? {
        nanos += match fs::read_to_string(thread?.path().join("schedstat")) {
            Ok(text) => ran(&text)?,
            Err(_) => 0, // it has just ended
        };
    }
    Ok(Duration::from_nanos(nanos))
}

/// The same of this thread.
pub fn cpu_of_this_thread() -> Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    ran(&text).map(Duration::from_nanos)
}

fn ran(schedstat: &str) -> Result<u64> {
    let first = schedstat.split(' ').next().unwrap_or_default();
    let wrong = |_| Error::other("the kernel has no schedstat");
    first.parse().map_err(wrong)
}
