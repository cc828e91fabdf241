//! A test file that runs itself, as a process of its own that takes orders line by line: for what is a
//! process's, such as its limit on descriptors.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub struct OwnProcess {
    child: Child,
    orders: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl OwnProcess {
    /// Runs the one `test` of this file, which finds `value` in the environment under `key`.
    pub fn start(test: &str, key: &str, value: impl AsRef<OsStr>) -> OwnProcess {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(key, value)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        OwnProcess {
            child,
            orders,
            lines,
        }
    }

    /// The rest of the next line that begins with `word`.
    pub fn said(&mut self, word: &str) -> String {
        let mut lines = self.lines.by_ref().map_while(Result::ok);
        let rest = lines.find_map(|line| line.strip_prefix(word).map(str::to_owned));
        rest.unwrap()
    }

    /// What it says to `order`, behind `word`.
    pub fn order(&mut self, order: &str, word: &str) -> String {
        writeln!(self.orders, "{order}").unwrap();
        self.said(word)
    }
}

impl Drop for OwnProcess {
    fn drop(&mut self) {
        let _ = self.child.kill(); // no effect when it has ended
        let _ = self.child.wait();
    }
}
