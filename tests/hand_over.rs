//! Restart without loss, by real processes: this file runs itself as the server.

mod support;

use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::client::{Client, get};
use support::program::Folder;
use support::{PATIENCE, eventually};
use trine::hand_over::HandOver;
use trine::http::Request;
use trine::{Response, Server};

/// Set in a process that is to be a server: where it offers its sockets,
const PATH: &str = "TRINE_TEST_HAND_OVER";
/// where it listens,
const LISTEN: &str = "TRINE_TEST_LISTEN";
/// and what is wrong with it: `dies`, `hangs` (with the sockets in its hand).
const FAULT: &str = "TRINE_TEST_FAULT";

/// Not a test of its own: the server, when this file runs itself.
#[test]
fn serve_until_drained() {
    let Ok(path) = std::env::var(PATH) else {
        return;
    };
    let listen = std::env::var(LISTEN).unwrap();
    let mut hand_over = match HandOver::at(&path) {
        Ok(hand_over) => hand_over.patience(Duration::from_millis(700)),
        Err(error) => {
            println!("\nfailed {error}");
            std::process::exit(4);
        }
    };
    let came = hand_over.is_successor();
    let listener = hand_over.bind_tcp(&listen).unwrap();
    println!("\nlistening {} {came}", listener.local_address().unwrap());
    match std::env::var(FAULT).as_deref() {
        Ok("dies") => std::process::exit(7),
        Ok("hangs") => thread::sleep(Duration::from_secs(60)),
        _ => {}
    }
    let server = Server::over(listener).hand_over(hand_over);
    let id = std::process::id().to_string();
    let answer = move |_: &Request<'_>| Response::text(id.clone());
    match server.drain_timeout(Duration::from_secs(5)).serve(answer) {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            println!("\nfailed {error}");
            std::process::exit(3);
        }
    }
}

/// One generation of the server.
struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
    is_successor: bool,
}

fn command(path: &Path, listen: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["serve_until_drained", "--exact", "--nocapture"])
        .env(PATH, path)
        .env(LISTEN, listen)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

impl Process {
    fn start(path: &Path, listen: &str) -> Process {
        Process::run(&mut command(path, listen))
    }

    fn run(command: &mut Command) -> Process {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let listening = said(&mut lines, "listening ");
        let (address, came) = listening.split_once(' ').unwrap();
        Process {
            child,
            address: address.parse().unwrap(),
            is_successor: came == "true",
            lines,
        }
    }

    fn id(&self) -> u32 {
        self.child.id()
    }

    fn send(&self, signal: Signal) {
        let id = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// Waits until this one answers.
    fn serves(&self) {
        eventually("an answer of this process", || {
            asked(self.address) == self.id()
        });
    }

    /// Waits for its end.
    fn status(&mut self) -> Option<i32> {
        let mut status = None;
        eventually("the end of the process", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }

    fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // no effect when it has ended
        let _ = self.child.wait();
    }
}

fn said(lines: &mut Lines<BufReader<ChildStdout>>, word: &str) -> String {
    let mut lines = lines.map_while(Result::ok);
    let rest = lines.find_map(|line| line.strip_prefix(word).map(str::to_owned));
    rest.unwrap()
}

/// Which process answers a request on a connection of its own.
fn asked(address: SocketAddr) -> u32 {
    Client::connect(address).get("/").text().parse().unwrap()
}

/// Clients that never pause, until they are told to: on connections that are kept, and on one for
/// each request.
struct Load {
    ends: AtomicBool,
    answers: AtomicU64,
}

impl Load {
    /// Each whole answer counts; anything else is a panic. A connection may end behind an answer that
    /// says so, and only there.
    fn keep_asking(&self, address: SocketAddr) {
        while !self.ends.load(Ordering::Relaxed) {
            let mut client = Client::connect(address);
            loop {
                client.send(get("/"));
                let answer = client.answer();
                assert_eq!(answer.status, 200);
                self.answers.fetch_add(1, Ordering::Relaxed);
                if answer.says("Connection: close") || self.ends.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
    }

    fn ask_anew(&self, address: SocketAddr) {
        while !self.ends.load(Ordering::Relaxed) {
            asked(address);
            self.answers.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn twenty_hand_overs_under_load_lose_no_request() {
    let folder = Folder::new("hand-over-load");
    let path = PathBuf::from(folder.path("socket"));
    let mut current = Process::start(&path, "127.0.0.1:0");
    current.serves();
    let address = current.address;
    let load = Load {
        ends: AtomicBool::new(false),
        answers: AtomicU64::new(0),
    };
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| load.keep_asking(address));
        }
        for _ in 0..4 {
            scope.spawn(|| load.ask_anew(address));
        }
        for generation in 1..=20 {
            let before = load.answers.load(Ordering::Relaxed);
            let next = Process::start(&path, "127.0.0.1:0");
            assert!(next.is_successor, "generation {generation}");
            assert_eq!(next.address, address);
            assert_eq!(current.status(), Some(0), "generation {generation}");
            current = next;
            current.serves();
            assert!(load.answers.load(Ordering::Relaxed) > before);
        }
        load.ends.store(true, Ordering::Relaxed);
    });
    println!("{} answers", load.answers.load(Ordering::Relaxed));
    current.send(Signal::Term);
    assert_eq!(current.status(), Some(0));
    assert!(!path.exists(), "the last one removes the socket file");
}

#[test]
fn a_successor_that_dies_before_it_is_ready_leaves_the_process_serving() {
    let folder = Folder::new("hand-over-dies");
    let path = PathBuf::from(folder.path("socket"));
    let mut first = Process::start(&path, "127.0.0.1:0");
    first.serves();
    for _ in 0..3 {
        let mut dying = Process::run(command(&path, "127.0.0.1:0").env(FAULT, "dies"));
        assert!(dying.is_successor);
        assert_eq!(dying.status(), Some(7));
        assert_eq!(asked(first.address), first.id());
    }
    assert!(first.is_alive() && path.exists());
    let mut second = Process::start(&path, "127.0.0.1:0");
    assert_eq!(first.status(), Some(0));
    second.serves();
    second.send(Signal::Term);
    assert_eq!(second.status(), Some(0));
}

#[test]
fn a_successor_that_hangs_is_given_up_and_the_next_one_has_its_turn() {
    let folder = Folder::new("hand-over-hangs");
    let path = PathBuf::from(folder.path("socket"));
    let mut first = Process::start(&path, "127.0.0.1:0");
    first.serves();
    let began = Instant::now();
    let mut hanging = Process::run(command(&path, "127.0.0.1:0").env(FAULT, "hangs"));
    let second = Process::start(&path, "127.0.0.1:0"); // waits behind it
    assert!(began.elapsed() >= Duration::from_millis(700));
    assert_eq!(second.address, first.address);
    assert_eq!(first.status(), Some(0));
    second.serves();
    assert!(hanging.is_alive(), "it still sleeps");
    assert!(began.elapsed() < PATIENCE);
}
