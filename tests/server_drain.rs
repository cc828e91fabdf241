//! The drain, by real signals to a real process: this file runs itself as the server.

mod support;

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, ErrorKind, Lines, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process};
use support::client::{Client, End, get};
use support::{PATIENCE, site};
use trine::Server;
use trine::http::Request;
use trine::service::Reply;

/// Set in the process that is to be the server: how long its drain may take, in milliseconds.
const GRACE: &str = "TRINE_TEST_GRACE";

/// Not a test of its own: the server, when this file runs itself.
#[test]
fn serve_until_drained() {
    let Ok(grace) = std::env::var(GRACE) else {
        return;
    };
    let grace = Duration::from_millis(grace.parse().unwrap());
    let mut server = Server::bind("127.0.0.1:0").unwrap().drain_timeout(grace);
    server.config_mut().deadlines.linger = trine::time::Span::from_millis(500);
    println!("\nlistening {}", server.local_address().unwrap());
    let requests = Rc::new(Cell::new(0_u32));
    let counted = Rc::clone(&requests);
    let service = move |request: &Request<'_>, reply: Reply<'_>, state: &mut ()| {
        counted.set(counted.get() + 1);
        site(request, reply, state)
    };
    let result = server.serve_with(service, ());
    println!("\nserved {}", requests.get());
    let status = match result {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{error}");
            3
        }
    };
    std::process::exit(status);
}

struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
}

impl Process {
    fn start(grace: Duration) -> Process {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["serve_until_drained", "--exact", "--nocapture"])
            .env(GRACE, grace.as_millis().to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = said(&mut lines, "listening ").parse().unwrap();
        // Before the loop runs, a signal does what it does by default.
        assert_eq!(Client::connect(address).get("/").status, 200);
        Process {
            child,
            lines,
            address,
        }
    }

    /// Waits for its end, which must be a good one; how many requests the service was given but the first.
    fn served(&mut self) -> u32 {
        assert!(self.status().success());
        let served: u32 = said(&mut self.lines, "served ").parse().unwrap();
        served - 1
    }

    fn client(&self) -> Client {
        Client::connect(self.address)
    }

    fn send(&self, signal: Signal) {
        kill_process(self.id(), signal).unwrap();
    }

    fn id(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap()).unwrap()
    }

    /// Waits for its end.
    fn status(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The rest of the next line that begins with `word`.
fn said(lines: &mut Lines<BufReader<ChildStdout>>, word: &str) -> String {
    let mut lines = lines.map_while(Result::ok);
    let rest = lines.find_map(|line| line.strip_prefix(word).map(str::to_owned));
    rest.unwrap()
}

const LONG: Duration = Duration::from_secs(30);

#[test]
fn a_server_without_clients_ends_at_once_with_success() {
    for signal in [Signal::Term, Signal::Int] {
        let mut server = Process::start(LONG);
        server.send(signal);
        assert!(server.status().success());
    }
}

#[test]
fn what_is_under_way_is_answered_and_what_is_idle_is_closed() {
    let mut server = Process::start(LONG);
    let mut idle: Vec<Client> = (0..200).map(|_| server.client()).collect();
    for client in &mut idle {
        assert_eq!(client.get("/").status, 200);
    }
    let mut silent: Vec<Client> = (0..20).map(|_| server.client()).collect();
    let mut busy: Vec<Client> = (0..50).map(|_| server.client()).collect();
    for client in &mut busy {
        client.send(get("/later/400"));
    }
    let mut sending = server.client();
    sending.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    assert_eq!(server.client().get("/").status, 200); // they have all been accepted by now
    server.send(Signal::Term);
    for client in idle.iter_mut().chain(&mut silent) {
        client.ends(End::Closed);
    }
    assert!(server.is_alive(), "requests are under way");
    sending.send("llo");
    let answer = sending.answer();
    assert_eq!(answer.text(), "hello");
    assert!(answer.says("Connection: close"));
    for client in &mut busy {
        let answer = client.answer();
        assert_eq!(answer.text(), "late");
        assert!(answer.says("Connection: close"), "{answer:?}");
        client.ends(End::Closed);
    }
    drop((busy, sending));
    assert_eq!(server.served(), 200 + 50 + 2);
}

#[test]
fn under_load_every_request_that_was_taken_is_answered() {
    let mut server = Process::start(LONG);
    let address = server.address;
    let load = move || {
        let mut client = Client::connect(address);
        let mut answered = 0_u32;
        // Until the server closes: between two answers, or behind one that says so.
        while client.try_send(get("/")) {
            match client.answer_or_end() {
                Some(answer) => assert_eq!(answer.text(), "Hello, World!"),
                None => break,
            }
            answered += 1;
        }
        answered
    };
    let threads: Vec<_> = (0..8).map(|_| thread::spawn(load)).collect();
    thread::sleep(Duration::from_millis(150)); // some load
    server.send(Signal::Term);
    let answered: u32 = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert!(answered > 8, "{answered}");
    assert_eq!(server.served(), answered, "requests the service was given");
}

/// Asks for `/` on a connection of its own.
fn ask(stream: TcpStream) -> io::Result<u16> {
    (&stream).write_all(&get("/"))?;
    match stream.peek(&mut [0])? {
        0 => panic!("closed without an answer"),
        _ => Ok(Client::over(stream).answer().status),
    }
}

/// Counted by the clients: nobody who connected and was not refused goes without an answer, but for
/// those that the kernel connects behind the server's last look into its queue, and resets when the
/// listening socket closes (see `listener.rs`): one for each client at most, for the next finds
/// nobody.
#[test]
fn a_request_on_each_connection_under_load_is_answered_or_never_connected() {
    let mut server = Process::start(LONG);
    let address = server.address;
    let signalled = Arc::new(AtomicBool::new(false));
    let is_signalled = Arc::clone(&signalled);
    let load = move || {
        let (mut answered, mut reset) = (0_u32, 0_u32);
        while let Ok(stream) = TcpStream::connect(address) {
            match ask(stream) {
                Ok(status) => {
                    assert_eq!(status, 200);
                    answered += 1;
                }
                Err(error) => {
                    let resets = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
                    assert!(resets.contains(&error.kind()), "{error}");
                    assert!(is_signalled.load(Ordering::SeqCst), "{error}");
                    reset += 1;
                }
            }
        }
        assert!(reset <= 1, "{reset} connected, and not answered");
        answered
    };
    let threads: Vec<_> = (0..8).map(|_| thread::spawn(load.clone())).collect();
    thread::sleep(Duration::from_millis(150)); // some load
    signalled.store(true, Ordering::SeqCst);
    server.send(Signal::Term);
    let answered = threads.into_iter().map(|thread| thread.join().unwrap());
    let answered: u32 = answered.sum();
    assert!(answered > 8, "{answered}");
    assert_eq!(server.served(), answered);
}

/// Nothing is under way: a client that keeps its half open until the grace is over costs nobody
/// anything.
#[test]
fn a_drain_in_which_only_lingering_connections_are_left_is_complete() {
    let mut server = Process::start(Duration::from_millis(200)); // less than the linger
    let mut idle = server.client();
    assert_eq!(idle.get("/").status, 200);
    server.send(Signal::Term);
    idle.ends(End::Closed); // and it stays
    assert!(server.status().success());
    drop(idle);

    let mut server = Process::start(LONG);
    let mut idle = server.client();
    assert_eq!(idle.get("/").status, 200);
    server.send(Signal::Term);
    idle.ends(End::Closed);
    server.send(Signal::Term); // does not wait, and nothing is lost
    assert!(server.status().success());
}

#[test]
fn clients_in_the_kernels_queue_at_the_signal_are_answered() {
    let mut server = Process::start(LONG);
    server.send(Signal::Stop);
    let stopped = rustix::process::waitpid(Some(server.id()), WaitOptions::UNTRACED);
    assert!(stopped.unwrap().is_some());
    let mut queued: Vec<Client> = (0..100).map(|_| server.client()).collect();
    for client in &mut queued {
        client.send(get("/"));
    }
    server.send(Signal::Term);
    server.send(Signal::Cont);
    for client in &mut queued {
        let answer = client.answer();
        assert_eq!(answer.status, 200);
    }
    drop(queued);
    assert_eq!(server.served(), 100);
}

#[test]
fn a_draining_server_accepts_nobody_new() {
    let mut server = Process::start(LONG);
    let mut busy = server.client();
    busy.send(get("/later/500"));
    let mut idle = server.client();
    assert_eq!(idle.get("/").status, 200);
    server.send(Signal::Term);
    idle.ends(End::Closed);
    assert!(TcpStream::connect(server.address).is_err());
    assert_eq!(busy.answer().text(), "late");
    drop(busy);
    assert!(server.status().success());
}

#[test]
fn a_second_signal_forces_the_end_with_a_status_of_its_own() {
    let mut server = Process::start(LONG);
    let mut busy = server.client();
    busy.send(get("/later/60000"));
    let mut idle = server.client();
    assert_eq!(idle.get("/").status, 200);
    server.send(Signal::Term);
    idle.ends(End::Closed);
    assert!(server.is_alive());
    server.send(Signal::Term);
    assert_eq!(busy.rest().1, End::Reset);
    assert_eq!(server.status().code(), Some(3));
}

#[test]
fn the_drain_deadline_forces_the_end_and_not_before() {
    let grace = Duration::from_millis(300);
    let mut server = Process::start(grace);
    let mut busy = server.client();
    busy.send(get("/later/60000"));
    let mut slow = server.client();
    slow.send(get("/bytes/30000000")); // and is not read
    let mut idle = server.client();
    assert_eq!(idle.get("/").status, 200);
    let signalled = Instant::now();
    server.send(Signal::Term);
    idle.ends(End::Closed);
    assert_eq!(server.status().code(), Some(3));
    assert!(signalled.elapsed() >= grace);
    assert_eq!(busy.rest().1, End::Reset);
    assert_eq!(slow.rest().1, End::Reset);
}
