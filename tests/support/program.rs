//! An example as a program of its own, which can be killed.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use super::client::Client;
use super::eventually;

/// The executable of an example: `cargo test` puts it beside the folder of the tests.
pub fn executable(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().unwrap().parent().unwrap();
    folder.join("examples").join(name)
}

/// A server that runs as a process; killed at the end.
pub struct Program {
    child: Child,
    address: SocketAddr,
}

impl Program {
    /// Runs the example `name` on a port the kernel chooses, when it says that it listens.
    pub fn start(name: &str, arguments: &[&str]) -> Program {
        let mut command = Command::new(executable(name));
        Program::run(command.args(["--listen", "127.0.0.1:0"]).args(arguments))
    }

    /// Runs `command`, which is such a server.
    pub fn run(command: &mut Command) -> Program {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let words = line.split([' ', ',']);
        let address = words.filter_map(|word| word.parse().ok()).next();
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}"));
        thread::spawn(move || said.lines().for_each(drop)); // nobody waits for a full pipe
        Program { child, address }
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `/readyz` says so.
    pub fn ready(self) -> Program {
        eventually("ready", || self.client().get("/readyz").status == 200);
        self
    }

    pub fn terminate(&self) {
        let id = i32::try_from(self.child.id()).unwrap();
        let process = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::Term).unwrap();
    }

    /// Ends it as a power cut would, as far as the process goes.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its own end.
    pub fn ended(mut self) -> ExitStatus {
        let mut status = None;
        eventually("the end of the program", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill(); // no effect when it has ended
        let _ = self.child.wait(); // as above
    }
}

/// A folder of this test that is removed at the end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let folder = format!("trine-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(folder);
        let _ = std::fs::remove_dir_all(&path); // of an earlier run
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0); // a leftover harms nobody
    }
}

/// How long a test that is repeated goes on: as many rounds as `variable` says, or `rounds`.
pub fn rounds(variable: &str, rounds: u32) -> u32 {
    let said = std::env::var(variable).ok();
    said.map_or(rounds, |said| said.parse().unwrap())
}

/// A while by chance, the same in every run.
pub fn a_while(random: &mut fastrand::Rng, millis: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.u64(millis))
}
