//! Restart without loss, by real processes: this file runs itself as the server.

mod support;

use std::io::{BufRead, BufReader, Lines};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
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
use trine::service::respond;
use trine::{EventLoop, Response, Server, Sources};

/// Set in a process that is to be a server: where it offers its sockets,
const PATH: &str = "TRINE_TEST_HAND_OVER";
/// where it listens,
const LISTEN: &str = "TRINE_TEST_LISTEN";
/// with a Unix socket beside it,
const UNIX: &str = "TRINE_TEST_UNIX";
/// and what it does with the sockets in its hand: `dies`, `drains` when it is set up, or sleeps for so many
/// milliseconds.
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
        Ok("drains") => {}
        Ok(millis) => thread::sleep(Duration::from_millis(millis.parse().unwrap())),
        _ => {}
    }
    let mut servers = vec![Server::over(listener)];
    if let Ok(path) = std::env::var(UNIX) {
        servers.push(Server::over(hand_over.bind_unix(path).unwrap()));
    }
    let grace = Duration::from_secs(5);
    let mut events = EventLoop::new().unwrap();
    let signals = [trine::Signal::TERM, trine::Signal::INT];
    events.drain_on_signals(signals, grace).unwrap();
    for server in servers {
        let id = std::process::id().to_string();
        let answer = respond(move |_: &Request<'_>| Response::text(id.clone()));
        let _ = server.attach(&mut events, answer).unwrap();
    }
    #[cfg(feature = "systemd")]
    if let Some(notify) = trine::systemd::Notify::from_environment().unwrap() {
        notify.attach(&mut events).unwrap();
    }
    hand_over.attach(&mut events, grace).unwrap();
    if std::env::var(FAULT).as_deref() == Ok("drains") {
        events.context().drain(grace); // as SIGTERM does that came meanwhile
    }
    match events.run(&mut ()) {
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
    _lines: Lines<BufReader<ChildStdout>>,
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
            _lines: lines,
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
#[derive(Default)]
struct Load {
    ends: AtomicBool,
    answers: AtomicU64,
}

/// A client that asks so soon after an answer is not told that it comes too late: the server waits for
/// 75 ms. On a machine that is busy with other things it may take longer itself.
const SOON: Duration = Duration::from_millis(50);

/// Between an answer and the next request of a client that takes its time: the connection is idle.
const PAUSE: Duration = Duration::from_millis(20);

impl Load {
    /// Asks on one connection, `pause` after each answer, until an answer says that it was the last. Each
    /// whole answer counts, and a request that is not answered is a panic.
    fn keep_asking(&self, address: SocketAddr, pause: Duration) {
        let mut client = Client::connect(address);
        let mut answered = Instant::now();
        while !self.ends.load(Ordering::Relaxed) {
            thread::sleep(pause);
            let paused = answered.elapsed();
            let answer = match client.try_send(get("/")) {
                true => client.answer_or_end(),
                false => None,
            };
            let Some(answer) = answer else {
                assert!(paused > SOON, "a request was lost");
                return;
            };
            answered = Instant::now();
            assert_eq!(answer.status, 200);
            self.answers.fetch_add(1, Ordering::Relaxed);
            if answer.says("Connection: close") {
                return;
            }
        }
    }

    fn come_back(&self, address: SocketAddr, pause: Duration) {
        while !self.ends.load(Ordering::Relaxed) {
            self.keep_asking(address, pause);
        }
    }

    fn ask_anew(&self, address: SocketAddr) {
        while !self.ends.load(Ordering::Relaxed) {
            asked(address);
            self.answers.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }
}

#[test]
fn twenty_hand_overs_under_load_lose_no_request() {
    let folder = Folder::new("hand-over-load");
    let path = PathBuf::from(folder.path("socket"));
    let mut current = Process::start(&path, "127.0.0.1:0");
    current.serves();
    let address = current.address;
    let load = Load::default();
    thread::scope(|scope| {
        for pause in [Duration::ZERO, PAUSE].repeat(8) {
            let load = &load;
            scope.spawn(move || load.come_back(address, pause));
        }
        for _ in 0..4 {
            scope.spawn(|| load.ask_anew(address));
        }
        for generation in 1..=20 {
            let before = load.answers();
            let next = Process::start(&path, "127.0.0.1:0");
            assert!(next.is_successor, "generation {generation}");
            assert_eq!(next.address, address);
            assert_eq!(current.status(), Some(0), "generation {generation}");
            current = next;
            current.serves();
            assert!(load.answers() > before, "generation {generation}");
        }
        load.ends.store(true, Ordering::Relaxed);
    });
    println!("{} answers", load.answers());
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
fn a_successor_that_is_told_to_end_before_it_is_ready_leaves_the_process_serving() {
    let folder = Folder::new("hand-over-told");
    let path = PathBuf::from(folder.path("socket"));
    let mut first = Process::start(&path, "127.0.0.1:0");
    first.serves();
    let mut told = Process::run(command(&path, "127.0.0.1:0").env(FAULT, "drains"));
    assert_eq!(told.status(), Some(0));
    assert_eq!(asked(first.address), first.id());
    first.send(Signal::Term);
    assert_eq!(first.status(), Some(0));
}

/// Or the manager would stop what has just begun.
#[cfg(feature = "systemd")]
#[test]
fn systemd_hears_of_the_new_main_process_and_nothing_of_the_end_of_the_one_before() {
    let folder = Folder::new("hand-over-systemd");
    let path = PathBuf::from(folder.path("socket"));
    let manager = PathBuf::from(folder.path("notify"));
    let hears = std::os::unix::net::UnixDatagram::bind(&manager).unwrap();
    hears.set_read_timeout(Some(PATIENCE)).unwrap();
    let start = || Process::run(command(&path, "127.0.0.1:0").env("NOTIFY_SOCKET", &manager));
    let heard = || {
        let mut text = [0; 256];
        let len = hears.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..len]).into_owned()
    };
    let ready = |process: &Process| format!("READY=1\nMAINPID={}", process.id());
    let mut first = start();
    assert_eq!(heard().trim_end(), ready(&first));
    let mut second = start();
    assert_eq!(first.status(), Some(0));
    assert_eq!(heard().trim_end(), ready(&second));
    second.send(Signal::Term);
    assert_eq!(second.status(), Some(0));
    assert_eq!(heard().trim_end(), "STOPPING=1");
}

#[test]
fn a_successor_that_hangs_is_given_up_and_the_next_one_has_its_turn() {
    let folder = Folder::new("hand-over-hangs");
    let path = PathBuf::from(folder.path("socket"));
    let mut first = Process::start(&path, "127.0.0.1:0");
    first.serves();
    let began = Instant::now();
    let mut hanging = Process::run(command(&path, "127.0.0.1:0").env(FAULT, "60000"));
    let second = Process::start(&path, "127.0.0.1:0"); // waits behind it
    assert!(began.elapsed() >= Duration::from_millis(700));
    assert_eq!(second.address, first.address);
    assert_eq!(first.status(), Some(0));
    second.serves();
    assert!(hanging.is_alive(), "it still sleeps");
    assert!(began.elapsed() < PATIENCE);
}

/// There must not be two. Whom it has accepted meanwhile it answers.
#[test]
fn a_successor_that_is_ready_too_late_ends_with_an_error_and_the_process_before_serves_on() {
    let folder = Folder::new("hand-over-late");
    let path = PathBuf::from(folder.path("socket"));
    let mut first = Process::start(&path, "127.0.0.1:0");
    first.serves();
    let mut late = Process::run(command(&path, "127.0.0.1:0").env(FAULT, "1200"));
    assert_eq!(late.status(), Some(3));
    assert!(first.is_alive() && path.exists());
    for _ in 0..20 {
        assert_eq!(asked(first.address), first.id());
    }
    let mut second = Process::start(&path, "127.0.0.1:0");
    assert!(second.is_successor);
    assert_eq!(first.status(), Some(0));
    second.send(Signal::Term);
    assert_eq!(second.status(), Some(0));
}

/// Counted by the clients: whoever asks on a connection that it has is answered, the last time with
/// `Connection: close`.
#[test]
fn sigterm_under_256_connections_that_are_kept_loses_no_request() {
    let folder = Folder::new("hand-over-term");
    let path = PathBuf::from(folder.path("socket"));
    let mut server = Process::start(&path, "127.0.0.1:0");
    server.serves();
    let address = server.address;
    let load = Load::default();
    thread::scope(|scope| {
        for pause in [Duration::ZERO, PAUSE].repeat(128) {
            let load = &load;
            scope.spawn(move || load.keep_asking(address, pause));
        }
        eventually("some load", || load.answers() > 2_000);
        let began = Instant::now();
        server.send(Signal::Term);
        assert_eq!(server.status(), Some(0));
        let took = began.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
    });
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_unix_socket_keeps_its_file_from_one_process_to_the_next_until_the_last_one_ends() {
    let folder = Folder::new("hand-over-unix");
    let (path, unix) = (PathBuf::from(folder.path("socket")), folder.path("served"));
    let start = || Process::run(command(&path, "127.0.0.1:0").env(UNIX, &unix));
    let mut current = start();
    current.serves();
    for _ in 0..3 {
        let next = start();
        assert!(next.is_successor);
        assert_eq!(current.status(), Some(0));
        current = next;
        current.serves();
        let mut local = Client::over(UnixStream::connect(&unix).unwrap());
        assert_eq!(local.get("/").text(), current.id().to_string());
    }
    // One that no longer wants it: the process before takes it along.
    let mut last = Process::start(&path, "127.0.0.1:0");
    assert_eq!(current.status(), Some(0));
    last.serves();
    assert!(UnixStream::connect(&unix).is_err());
    last.send(Signal::Term);
    assert_eq!(last.status(), Some(0));
    assert!(!path.exists());
}

/// The process before has gone when the successor is ready: the sockets never closed.
#[test]
fn a_process_that_ends_while_its_successor_sets_itself_up_leaves_it_everything() {
    for ending in [Signal::Term, Signal::Kill] {
        let folder = Folder::new("hand-over-ending");
        let path = PathBuf::from(folder.path("socket"));
        let mut first = Process::start(&path, "127.0.0.1:0");
        first.serves();
        let mut second = Process::run(command(&path, "127.0.0.1:0").env(FAULT, "300"));
        first.send(ending);
        first.status();
        let mut early = Client::connect(second.address); // waits in the queue
        early.send(get("/"));
        assert_eq!(early.answer().text(), second.id().to_string());
        let mut third = Process::start(&path, "127.0.0.1:0");
        assert!(third.is_successor, "the path was handed on as well");
        assert_eq!(second.status(), Some(0));
        third.serves();
        third.send(Signal::Term);
        assert_eq!(third.status(), Some(0));
        assert!(!path.exists());
    }
}

#[test]
fn the_socket_file_of_a_dead_process_is_replaced_and_every_descriptor_is_close_on_exec() {
    let folder = Folder::new("hand-over-stale");
    let path = PathBuf::from(folder.path("socket"));
    let mut first = Process::start(&path, "127.0.0.1:0");
    first.serves();
    first.send(Signal::Kill);
    first.status();
    assert!(path.exists());
    let second = Process::start(&path, "127.0.0.1:0");
    assert!(!second.is_successor);
    second.serves();
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let third = Process::start(&path, "127.0.0.1:0");
    third.serves();
    // But for what whoever runs this test has left open.
    let inherited = descriptors("/proc/self/fd");
    let own = descriptors(&format!("/proc/{}/fd", third.id()));
    let mut sockets = 0;
    for (number, link) in own.into_iter().filter(|own| !inherited.contains(own)) {
        let info = format!("/proc/{}/fdinfo/{number}", third.id());
        let Ok(info) = std::fs::read_to_string(info) else {
            continue; // closed since: what carried the sockets over
        };
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = u32::from_str_radix(flags.unwrap().trim(), 8).unwrap();
        let is_standard = ["0", "1", "2"].contains(&&*number);
        assert!(is_standard || flags & 0o2_000_000 != 0, "{number}: {link}");
        sockets += u32::from(link.starts_with("socket:"));
    }
    assert!(sockets >= 3, "the listener twice, and the offer: {sockets}");
}

/// The numbers of descriptors and what they are.
fn descriptors(folder: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let described = entries.filter_map(|entry| {
        let link = std::fs::read_link(entry.path()).ok()?; // gone, if it was the folder's own
        let number = entry.file_name().into_string().unwrap();
        Some((number, link.display().to_string()))
    });
    described.collect()
}

/// A process without rights on the socket, and one with rights on it but of another user.
#[test]
#[ignore = "needs root"]
fn a_process_of_another_user_gets_no_sockets_and_gives_none() {
    let folder = Folder::new("hand-over-user");
    let path = PathBuf::from(folder.path("socket"));
    let fails = |command: &mut Command, why: &str| {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let error = said(&mut lines, "failed ");
        assert!(error.contains(why), "{error}");
        assert_eq!(child.wait().unwrap().code(), Some(4));
    };
    let first = Process::start(&path, "127.0.0.1:0");
    first.serves();
    fails(command(&path, "127.0.0.1:0").uid(65534), "ermission denied");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    fails(command(&path, "127.0.0.1:0").uid(65534), "wrong user");
    assert_eq!(asked(first.address), first.id());
    drop(first);

    std::fs::set_permissions(folder.path("."), PermissionsExt::from_mode(0o777)).unwrap();
    let nobodys = PathBuf::from(folder.path("nobodys"));
    let first = Process::run(command(&nobodys, "127.0.0.1:0").uid(65534));
    first.serves();
    fails(&mut command(&nobodys, "127.0.0.1:0"), "runs as user 65534");
    assert_eq!(asked(first.address), first.id());
}
