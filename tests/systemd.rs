//! A service of systemd: what it is told, and the sockets it passed. This file runs itself as the
//! service; the manager is a socket of the test, a shell that passes descriptors on, or
//! `systemd-socket-activate`.
#![cfg(feature = "systemd")]

mod support;

use std::io::{BufRead, BufReader, Lines};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::client::{Client, get};
use support::eventually;
use support::program::Folder;
use trine::http::Request;
use trine::service::{Answered, Reply};
use trine::time::Span;
use trine::{Response, Server, systemd};

/// Set in the process that is to be the service: what it does.
const ROLE: &str = "TRINE_TEST_SYSTEMD";

/// Not a test of its own: the service, when this file runs itself.
#[test]
fn be_a_service() {
    match std::env::var(ROLE).as_deref() {
        Ok("tells") => tells(),
        Ok("listens") => listens(),
        _ => {}
    }
}

fn tells() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    println!("\nlistening {}", server.local_address().unwrap());
    let server = server.notify_systemd().on_reload(|_, reloads: &mut u32| {
        thread::sleep(Duration::from_millis(30));
        *reloads += 1;
        match *reloads {
            1 => Err("a bad configuration"),
            _ => Ok(()),
        }
    });
    let ended = server.serve_with(answer, 0);
    std::process::exit(i32::from(ended.is_err()));
}

fn answer(request: &Request<'_>, reply: Reply<'_>, reloads: &mut u32) -> Answered {
    match request.path() {
        "/stuck" => thread::sleep(Duration::from_millis(600)),
        "/later" => {
            let (deferred, answered) = reply.defer();
            deferred.send_after(Span::from_millis(500), Response::text("late"));
            return answered;
        }
        _ => {}
    }
    reply.text(reloads.to_string())
}

fn listens() {
    let sockets = match systemd::listeners() {
        Ok(sockets) => sockets,
        Err(error) => {
            println!("\nfailed {error}");
            std::process::exit(4);
        }
    };
    let names: Vec<_> = sockets.iter().map(|socket| &*socket.name).collect();
    let is_unset = std::env::var_os("LISTEN_FDS").is_none();
    println!("\nsockets {} {is_unset}", names.join(","));
    assert!(!is_unset || systemd::listeners().unwrap().is_empty());
    for socket in &sockets {
        let flags = rustix::io::fcntl_getfd(&socket.listener).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }
    let Some(socket) = sockets.into_iter().next() else {
        std::process::exit(0);
    };
    let ended = Server::over(socket.listener).serve(|_| Response::text("activated"));
    std::process::exit(i32::from(ended.is_err()));
}

/// The service as a process; killed at the end.
struct Service {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Service {
    fn start(command: &mut Command, role: &str) -> Service {
        let mut child = command
            .env(ROLE, role)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Service { child, lines }
    }

    /// The rest of the next line that begins with `word`.
    fn said(&mut self, word: &str) -> String {
        let mut lines = self.lines.by_ref().map_while(Result::ok);
        let rest = lines.find_map(|line| line.strip_prefix(word).map(str::to_owned));
        rest.unwrap_or_else(|| panic!("it did not say {word}"))
    }

    fn send(&self, signal: Signal) {
        let id = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    fn status(&mut self) -> Option<i32> {
        let mut status = None;
        eventually("the end of the service", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn itself() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["be_a_service", "--exact", "--nocapture"]);
    command.stdin(Stdio::null());
    command
}

/// The manager's end.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &str) -> Manager {
        let socket = UnixDatagram::bind(path).unwrap();
        let limit = Some(Duration::from_secs(10));
        socket.set_read_timeout(limit).unwrap();
        Manager(socket)
    }

    fn hears(&self) -> String {
        let mut bytes = [0; 4096];
        let len = self.0.recv(&mut bytes).expect("a message in time");
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    }

    /// The next that is not the watchdog's.
    fn hears_news(&self) -> String {
        loop {
            let message = self.hears();
            if message != WATCHDOG {
                return message;
            }
        }
    }
}

const WATCHDOG: &str = "WATCHDOG=1\n";

fn telling(socket: &str, watchdog_millis: u64) -> Service {
    let mut command = itself();
    command.env("NOTIFY_SOCKET", socket);
    if watchdog_millis > 0 {
        command.env("WATCHDOG_USEC", (watchdog_millis * 1_000).to_string());
    }
    Service::start(&mut command, "tells")
}

#[test]
fn systemd_hears_of_ready_reloading_and_stopping_in_order() {
    let folder = Folder::new("systemd-order");
    let path = folder.path("notify");
    let manager = Manager::at(&path);
    let mut service = telling(&path, 0);
    let main = service.child.id();
    let ready = format!("READY=1\nMAINPID={main}\n");
    assert_eq!(manager.hears(), ready);
    let address: SocketAddr = service.said("listening ").parse().unwrap();
    // A bad configuration, and a good one: both are over when READY is said, and signals go on.
    for calls in ["1", "2"] {
        let before = micros();
        service.send(Signal::Hup);
        let reloading = manager.hears();
        let usec = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        let usec: u64 = usec.unwrap().trim_end().parse().unwrap();
        assert!((before..=micros()).contains(&usec), "{usec}");
        assert_eq!(manager.hears(), ready);
        assert!(
            micros() - usec >= 30_000,
            "it said ready before it had reloaded"
        );
        assert_eq!(Client::connect(address).get("/").text(), calls);
    }
    service.send(Signal::Term);
    assert_eq!(manager.hears(), "STOPPING=1\n");
    assert_eq!(service.status(), Some(0));
}

/// Of the same clock as the service's.
fn micros() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
}

#[test]
fn the_watchdog_is_fed_by_the_loop_so_one_that_is_stuck_does_not_feed_it() {
    let folder = Folder::new("systemd-watchdog");
    let path = folder.path("notify");
    let manager = Manager::at(&path);
    let mut service = telling(&path, 200);
    let address: SocketAddr = service.said("listening ").parse().unwrap();
    assert!(manager.hears_news().starts_with("READY=1"));
    assert_eq!(manager.hears(), WATCHDOG);
    let began = Instant::now();
    for _ in 0..5 {
        assert_eq!(manager.hears(), WATCHDOG);
    }
    let five = began.elapsed();
    let bounds = Duration::from_millis(350)..Duration::from_millis(950); // 5 times 100 ms, about
    assert!(bounds.contains(&five), "{five:?}");
    let mut stuck = Client::connect(address);
    stuck.send(get("/stuck"));
    let began = Instant::now();
    let mut longest = Duration::ZERO;
    let mut last = began;
    while began.elapsed() < Duration::from_millis(900) {
        assert_eq!(manager.hears(), WATCHDOG);
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    assert!(longest >= Duration::from_millis(450), "{longest:?}");
    // A drain takes its time, and the watchdog is fed meanwhile.
    let mut slow = Client::connect(address);
    slow.send(get("/later"));
    assert_eq!(Client::connect(address).get("/").status, 200); // it has been taken by now
    service.send(Signal::Term);
    while manager.hears() != "STOPPING=1\n" {}
    for _ in 0..2 {
        assert_eq!(manager.hears(), WATCHDOG);
    }
    assert_eq!(slow.answer().text(), "late");
    drop((slow, stuck));
    assert_eq!(service.status(), Some(0));
}

/// A queue of the kernel holds some messages; behind it a sender would wait.
#[test]
fn a_manager_that_does_not_read_holds_nobody_up_and_hears_of_the_end_later() {
    let folder = Folder::new("systemd-deaf");
    let path = folder.path("notify");
    let manager = Manager::at(&path);
    let mut service = telling(&path, 2); // a message a millisecond
    let address: SocketAddr = service.said("listening ").parse().unwrap();
    assert_eq!(Client::connect(address).get("/").status, 200);
    thread::sleep(Duration::from_millis(700)); // more than any queue holds
    let mut slow = Client::connect(address);
    slow.send(get("/later"));
    assert_eq!(Client::connect(address).get("/").status, 200);
    service.send(Signal::Term);
    thread::sleep(Duration::from_millis(100));
    while manager.hears() != "STOPPING=1\n" {}
    assert_eq!(slow.answer().text(), "late");
    drop(slow);
    assert_eq!(service.status(), Some(0));
}

#[test]
fn a_manager_at_an_abstract_address_hears_too_and_a_wrong_address_is_an_error() {
    let name = format!("trine-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let manager = Manager(socket);
    let _service = telling(&format!("@{name}"), 0);
    assert!(manager.hears().starts_with("READY=1"));
    for nobody in ["relative", "/nowhere/at/all"] {
        let mut service = telling(nobody, 0);
        assert_eq!(service.status(), Some(1));
    }
}

/// The service, with `socket` as its descriptor 3, as systemd would start it; `LISTEN_PID` is its own
/// unless `environment` says otherwise.
fn activated(socket: impl Into<OwnedFd>, environment: &[(&str, &str)]) -> Service {
    let script =
        "exec 3<&0 0</dev/null; [ -n \"$LISTEN_PID\" ] || export LISTEN_PID=$$; exec \"$@\"";
    let mut command = Command::new("sh");
    let own = std::env::current_exe().unwrap();
    command.args(["-c", script, "sh"]).arg(own);
    command.args(["be_a_service", "--exact", "--nocapture"]);
    command.stdin(Stdio::from(socket.into()));
    command.envs(environment.iter().copied());
    Service::start(&mut command, "listens")
}

fn fails(socket: impl Into<OwnedFd>, environment: &[(&str, &str)], why: &str) {
    let mut service = activated(socket, environment);
    let said = service.said("failed ");
    assert!(
        said.starts_with("cannot take sockets of systemd: "),
        "{said}"
    );
    assert!(said.contains(why), "{said}");
    assert_eq!(service.status(), Some(4));
}

#[test]
fn a_socket_that_systemd_opened_is_served_and_the_variables_are_unset() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let names = [("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "web")];
    let mut service = activated(socket, &names);
    assert_eq!(service.said("sockets "), "web true");
    assert_eq!(Client::connect(address).get("/").text(), "activated");
    service.send(Signal::Term);
    assert_eq!(service.status(), Some(0));
}

#[test]
fn a_unix_socket_that_systemd_opened_is_served() {
    let folder = Folder::new("systemd-unix");
    let path = folder.path("socket");
    let socket = UnixListener::bind(&path).unwrap();
    let mut service = activated(socket, &[("LISTEN_FDS", "1")]);
    assert_eq!(service.said("sockets "), "unknown true");
    let stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    assert_eq!(Client::over(stream).get("/").text(), "activated");
}

#[test]
fn sockets_for_another_process_are_left_alone() {
    let socket = || TcpListener::bind("127.0.0.1:0").unwrap();
    let mut service = activated(socket(), &[("LISTEN_FDS", "1"), ("LISTEN_PID", "1")]);
    assert_eq!(service.said("sockets "), " false");
    assert_eq!(service.status(), Some(0));
    let mut service = activated(socket(), &[]);
    assert_eq!(service.said("sockets "), " true");
}

#[test]
fn an_environment_that_makes_no_sense_is_a_clear_error() {
    let socket = || TcpListener::bind("127.0.0.1:0").unwrap();
    let count = |count| [("LISTEN_FDS", count)];
    fails(socket(), &count("999999"), "LISTEN_FDS=999999");
    fails(socket(), &count("99999999999999999999"), "LISTEN_FDS=9999");
    fails(socket(), &count("-1"), "LISTEN_FDS=-1");
    fails(socket(), &count("many"), "LISTEN_FDS=many");
    fails(
        socket(),
        &[("LISTEN_FDS", "1"), ("LISTEN_PID", "me")],
        "LISTEN_PID=me",
    );
    let names = [("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "a:b")];
    fails(socket(), &names, "2 names for 1 sockets");
    fails(
        socket(),
        &count("900"),
        "socket 2 (unknown): it is not an open",
    );
    // What is there is not what was promised.
    let file = std::fs::File::open("/dev/null").unwrap();
    fails(file, &count("1"), "not an open stream socket");
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    fails(datagrams, &count("1"), "not an open stream socket");
    let listener = socket();
    let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    fails(connected, &count("1"), "does not listen");
}

#[test]
#[ignore = "needs systemd-socket-activate"]
fn systemd_socket_activate_starts_it_at_the_first_connection() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    let mut command = Command::new("systemd-socket-activate");
    command.args(["-l", &address.to_string(), "--fdname=web", "-E", ROLE]);
    command.arg(std::env::current_exe().unwrap());
    command.args(["be_a_service", "--exact", "--nocapture"]);
    let mut service = Service::start(&mut command, "listens");
    eventually("a connection", || TcpStream::connect(address).is_ok());
    assert_eq!(service.said("sockets "), "web true");
    assert_eq!(Client::connect(address).get("/").text(), "activated");
    service.send(Signal::Term);
    assert_eq!(service.status(), Some(0));
}
