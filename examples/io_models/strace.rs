//! The system calls of a server as strace counts them: the check of what it counts itself. Slow, so apart
//! from what is timed.

use std::fs;
use std::io::{BufRead, BufReader, Error, Result};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

pub struct Strace {
    process: Child,
    report: PathBuf,
}

impl Strace {
    /// Attaches to all threads of `server`.
    pub fn attach(server: u32) -> Result<Strace> {
        let report = std::env::temp_dir().join(format!("io_models.{server}.strace"));
        let mut command = Command::new("strace");
        command
            .args(["-f", "-c", "-p"])
            .arg(server.to_string())
            .arg("-o")
            .arg(&report);
        command.stderr(Stdio::piped());
        let mut process = command.spawn()?;
        let mut said = String::new();
        if let Some(stderr) = process.stderr.take() {
            BufReader::new(stderr).read_line(&mut said)?;
        }
        match said.contains("attached") {
            true => Ok(Strace { process, report }),
            false => {
                process.wait()?;
                Err(Error::other(format!(
                    "strace does not attach: {}",
                    said.trim()
                )))
            }
        }
    }

    /// How many calls there were since.
    pub fn detach(mut self) -> Result<u64> {
        let id = i32::try_from(self.process.id())
            .ok()
            .and_then(Pid::from_raw);
        kill_process(id.ok_or(Error::other("strace has no id"))?, Signal::Int)?;
        self.process.wait()?;
        let report = fs::read_to_string(&self.report)?;
        let _ = fs::remove_file(&self.report);
        // % time, seconds, usecs/call, calls, and perhaps errors
        let total = report.lines().rfind(|line| line.ends_with(" total"));
        let calls = total.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
        calls.ok_or(Error::other("strace reports no total"))
    }
}
