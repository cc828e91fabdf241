//! Children of a server: what they inherit, and what they may cost.

mod support;

#[path = "../examples/httpbin/spawn.rs"]
mod spawn;

use std::net::SocketAddr;
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use support::client::{Client, get};
use support::program::{Program, executable};
use support::{PATIENCE, eventually};
use trine::http::Request;
use trine::reactor::{InboxSender, Mail};
use trine::service::{Answered, Reply};
use trine::time::Span;
use trine::{EventLoop, Server, Sources};

use spawn::{Bounds, Spawner, command_of};

/// The example as a program of its own, to which the shell in between leaves three descriptors: who
/// runs the tests may have left it more.
fn program(arguments: &[&str]) -> Program {
    let script = "for fd in /proc/$$/fd/*; do fd=${fd##*/}; \
                  [ \"$fd\" -le 2 ] || eval \"exec $fd>&-\"; done; exec \"$@\"";
    let mut command = Command::new("bash");
    command
        .args(["-c", script, "bash"])
        .arg(executable("httpbin"));
    Program::run(command.args(["--listen", "127.0.0.1:0"]).args(arguments))
}

#[test]
fn a_child_has_three_descriptors_whatever_the_server_has() {
    let folder = support::program::Folder::new("spawn-descriptors");
    let log = folder.path("access.log");
    for model in ["single", "half-sync", "leader-followers", "loop-per-core"] {
        let root = std::env::temp_dir();
        let arguments = [
            "--root",
            root.to_str().unwrap(),
            "--access-log",
            &log,
            "--model",
            model,
        ];
        let program = program(&arguments);
        let _idle = program.client();
        let answer = program.client().get("/spawn");
        assert_eq!(answer.status, 200, "{answer:?}");
        let mut found: Vec<(u32, &str)> = Vec::new();
        for line in answer.text().lines().skip(1) {
            let (before, target) = line.split_once(" -> ").unwrap();
            found.push((before.rsplit(' ').next().unwrap().parse().unwrap(), target));
        }
        let numbers: Vec<u32> = found.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [0, 1, 2, 3], "{}", answer.text());
        assert_eq!(found[0].1, "/dev/null");
        assert!(found[1].1.starts_with("pipe:") && found[1].1 == found[2].1);
        assert!(
            found[3].1.ends_with("/fd"),
            "what `ls` reads them by: {found:?}"
        );
    }
}

#[test]
fn a_child_has_an_empty_mask_and_catches_nothing() {
    let folder = support::program::Folder::new("spawn-signals");
    let log = folder.path("access.log");
    let program = program(&["--access-log", &log]); // catches SIGHUP, SIGTERM and SIGINT
    let answer = program.client().get("/spawn/signals");
    assert_eq!(answer.status, 200, "{answer:?}");
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = |text: &str, name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap()
    };
    for name in ["SigPnd", "SigBlk", "SigCgt"] {
        assert_eq!(mask(answer.text(), name), 0, "{name}: {}", answer.text());
    }
    // SIGPIPE is ignored by the server and others are caught, and none of that by its child; what
    // whoever started the tests ignores besides, everybody does.
    const SERVER: u64 = 1 << (1 - 1) | 1 << (2 - 1) | 1 << (13 - 1) | 1 << (15 - 1);
    const STANDARD: u64 = (1 << 31) - 1; // beyond are those that the C library has for itself
    let ignored = mask(answer.text(), "SigIgn") & STANDARD;
    let inherited = mask(&own, "SigIgn") & STANDARD & !SERVER;
    assert_eq!(ignored, inherited, "{}", answer.text());
}

/// A server that runs a command for each path.
struct Spawning {
    address: SocketAddr,
    stop: InboxSender<()>,
    thread: Option<JoinHandle<trine::Result<()>>>,
}

fn spawning(bounds: Bounds, command: fn(&str) -> Command) -> Spawning {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_address().unwrap();
    let (give, take) = channel();
    let thread = thread::spawn(move || {
        let mut event_loop = EventLoop::new()?;
        let spawner = Spawner::new(&mut event_loop, bounds)?;
        let run = move |request: &Request<'_>, reply: Reply<'_>, (): &mut ()| -> Answered {
            match request.path() {
                "/hello" => reply.text("hello"),
                path => spawner.run(command(path), reply),
            }
        };
        server.attach(&mut event_loop, run)?;
        let drain = |(): &mut (), mail, cx: &mut trine::Context<'_, ()>| {
            if let Mail::Message(()) = mail {
                cx.drain(PATIENCE);
            }
        };
        give.send(event_loop.inbox(1, drain)?).unwrap();
        event_loop.run(&mut ())
    });
    Spawning {
        address,
        stop: take.recv_timeout(PATIENCE).unwrap(),
        thread: Some(thread),
    }
}

impl Spawning {
    fn client(&self) -> Client {
        Client::connect(self.address)
    }

    fn drain(&self) {
        self.stop.try_send(()).unwrap();
    }
}

impl Drop for Spawning {
    fn drop(&mut self) {
        let _ = self.stop.try_send(()); // it may drain already
        let ended = self.thread.take().unwrap().join();
        if !thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

/// `/WORDS` runs them with the shell, `+` for a blank; the shell's place is the command's.
fn shell(path: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec {}", path[1..].replace('+', " "))]);
    command
}

fn bounds(children_max: usize, time: Span) -> Bounds {
    Bounds {
        children_max,
        time,
        ..Bounds::default()
    }
}

/// How many processes have these words as their command line.
fn running(words: &str) -> usize {
    let is_it = |entry: std::io::Result<std::fs::DirEntry>| {
        let line = std::fs::read(entry.unwrap().path().join("cmdline")).unwrap_or_default();
        let line: Vec<u8> = line
            .iter()
            .map(|&octet| if octet == 0 { b' ' } else { octet })
            .collect();
        String::from_utf8_lossy(&line).trim_end() == words
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .map(is_it)
        .filter(|is_it| *is_it)
        .count()
}

#[test]
fn what_a_child_says_is_the_answer_and_how_it_fails_too() {
    let server = spawning(Bounds::default(), |path| match path {
        "/nothing" => Command::new("/no/such/program"),
        path => shell(path),
    });
    let mut client = server.client();
    assert_eq!(client.get("/echo+a+b").text(), "a b\n");
    assert_eq!(client.get("/true").text(), "");
    assert_eq!(client.get("/false").status, 500);
    let failed = client.get("/nothing");
    assert_eq!(failed.status, 500);
    assert!(
        failed.text().contains("/no/such/program"),
        "{}",
        failed.text()
    );
    // As much as there is room for, and a byte more.
    assert_eq!(client.get("/head+-c+65536+/dev/zero").body, [0; 65536]);
    assert_eq!(client.get("/head+-c+65537+/dev/zero").status, 500);
    let endless = client.get("/yes+trine-output");
    assert_eq!(
        (endless.status, endless.text()),
        (500, "the child says too much\n")
    );
    eventually("its end", || running("yes trine-output") == 0);
}

#[test]
fn a_child_that_takes_too_long_is_killed_and_its_output_left_open_by_others_is_no_reason_to_wait() {
    let server = spawning(bounds(8, Span::from_millis(300)), shell);
    let began = Instant::now();
    assert_eq!(server.client().get("/sleep+61.5").status, 504);
    assert!(began.elapsed() >= Duration::from_millis(300));
    eventually("its end", || running("sleep 61.5") == 0);
    // A child of the child keeps the pipe.
    assert_eq!(server.client().get("/sh+-c+'sleep+1.25+&'").status, 504);
}

#[test]
fn a_child_nobody_waits_for_is_killed() {
    let server = spawning(bounds(8, Span::from_secs(60)), shell);
    let mut client = server.client();
    client.send(get("/sleep+62.5"));
    eventually("the child", || running("sleep 62.5") == 1);
    client.reset();
    eventually("its end", || running("sleep 62.5") == 0);
}

#[test]
fn there_are_so_many_children_and_no_more_and_the_loop_goes_on() {
    let server = spawning(bounds(2, Span::from_secs(60)), shell);
    let mut clients: Vec<Client> = (0..2).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send(get("/sleep+63.5"));
    }
    eventually("the children", || running("sleep 63.5") == 2);
    let refused = server.client().get("/sleep+63.5");
    assert_eq!(refused.status, 503);
    assert!(refused.says("Retry-After: 1"), "{refused:?}");
    assert_eq!(server.client().get("/hello").text(), "hello");
    clients.into_iter().for_each(Client::reset);
    eventually("their end", || running("sleep 63.5") == 0);
    // Those who came while there was no room left no trace.
    eventually("room", || server.client().get("/echo+again").status == 200);
    for _ in 0..50 {
        assert_eq!(server.client().get("/echo+again").text(), "again\n");
    }
}

#[test]
fn a_drain_answers_with_what_the_child_says_first() {
    let server = spawning(Bounds::default(), shell);
    let mut client = server.client();
    client.send(get("/sh+-c+'sleep+1.75;echo+done'"));
    eventually("the child", || running("sleep 1.75") == 1);
    server.drain();
    let answer = client.answer();
    assert!(
        answer.text() == "done\n" && answer.says("Connection: close"),
        "{answer:?}"
    );
}

#[test]
fn nothing_of_a_request_gets_into_a_command_line() {
    assert!(command_of("/spawn").is_some());
    for path in [
        "/spawn/",
        "/spawn/../x",
        "/spawn;id",
        "/spawn/signals/x",
        "/SPAWN",
        "/",
    ] {
        assert!(command_of(path).is_none(), "{path}");
    }
    let command = command_of("/spawn").unwrap();
    let words: Vec<_> = command.get_args().collect();
    assert_eq!(
        (command.get_program().to_str(), words),
        (Some("ls"), vec!["-l".as_ref(), "/proc/self/fd".as_ref()])
    );
}
