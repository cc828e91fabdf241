//! New settings for a running server: by SIGHUP to a real process (this file runs itself as the
//! server), and by the key to a server on a loop.

mod support;

use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::client::{Client, End};
use support::program::Folder;
use support::{eventually, site};
use trine::http::Request;
use trine::reactor::ErrorKind;
use trine::service::Reply;
use trine::{EventLoop, Server, Sources};

/// Set in the process that is to be the server: the file with its settings.
const FILE: &str = "TRINE_TEST_SETTINGS";

/// Counts the calls of the callback in the process that is the server.
static CALLS: AtomicU32 = AtomicU32::new(0);

/// Not a test of its own: the server, when this file runs itself. The file says after how many
/// milliseconds idle clients are closed, how many connections there may be, and a greeting.
#[test]
fn serve_until_drained() {
    let Ok(file) = std::env::var(FILE) else {
        return;
    };
    let server = Server::bind("127.0.0.1:0").unwrap();
    println!("\nlistening {}", server.local_address().unwrap());
    let server = server.on_reload(move |live, greeting: &mut String| {
        CALLS.fetch_add(1, Ordering::Relaxed);
        let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
        assert_ne!(text, "panic");
        let [idle, connections, said] = text.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("{text:?}: not three words"));
        };
        let idle = idle.parse().map_err(|_| format!("{idle}: no number"))?;
        live.config.deadlines.idle = trine::time::Span::from_millis(idle);
        live.connections_max = connections.parse().unwrap_or(0);
        if idle != 0 && live.connections_max != 0 {
            said.clone_into(greeting);
        }
        Ok(())
    });
    let answer =
        |request: &Request<'_>, reply: Reply<'_>, greeting: &mut String| match request.path() {
            "/calls" => reply.text(CALLS.load(Ordering::Relaxed).to_string()),
            _ => reply.text(greeting.clone()),
        };
    let ended = server.serve_with(answer, "old".to_owned());
    std::process::exit(i32::from(ended.is_err()));
}

struct Process {
    child: Child,
    _lines: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
}

impl Process {
    fn start(file: &str) -> Process {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["serve_until_drained", "--exact", "--nocapture"])
            .env(FILE, file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut words = lines.by_ref().map_while(Result::ok);
        let address = words.find_map(|line| line.strip_prefix("listening ")?.parse().ok());
        let process = Process {
            child,
            _lines: lines,
            address: address.unwrap(),
        };
        assert_eq!(process.asks("/"), "old"); // its loop runs
        process
    }

    fn asks(&self, path: &str) -> String {
        Client::connect(self.address).get(path).text().to_owned()
    }

    fn send(&self, signal: Signal) {
        let id = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// SIGHUP, and waits until the callback was called.
    fn reload(&self, calls: u32) {
        self.send(Signal::Hup);
        eventually("a call", || self.asks("/calls") == calls.to_string());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_bad_configuration_keeps_the_old_one_and_signals_go_on_working() {
    let folder = Folder::new("reload");
    let file = folder.path("settings");
    let mut server = Process::start(&file);
    let mut kept = Client::connect(server.address);
    assert_eq!(kept.get("/").text(), "old");
    let mut calls = 0;
    // No file; no sense; settings that would cut everybody, or let in nobody; a panic.
    for text in [
        None,
        Some("a b"),
        Some("0 9 new"),
        Some("9 0 new"),
        Some("panic"),
    ] {
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        calls += 1;
        server.reload(calls);
        assert_eq!(server.asks("/"), "old", "{text:?}");
    }
    assert_eq!(kept.get("/").text(), "old", "nobody was cut");
    std::fs::write(&file, "300 100 new").unwrap();
    server.reload(calls + 1);
    assert_eq!(server.asks("/"), "new");
    // The next state of a connection that was there goes by the new deadlines.
    assert_eq!(kept.get("/").text(), "new");
    let began = Instant::now();
    kept.ends(End::Closed);
    let after = began.elapsed();
    assert!(after >= Duration::from_millis(290), "{after:?}");
    server.send(Signal::Term);
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_server_on_a_loop_gets_new_settings_by_its_key_and_counts() {
    let mut events = EventLoop::new().unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap().connections_max(1);
    let address = server.local_address().unwrap();
    let handle = server.attach(&mut events, site).unwrap();
    let cx = &mut events.context();
    let refused = handle.reload(cx, |live| {
        live.connections_max = 9;
        Err("not now")
    });
    let error = refused.unwrap_err();
    assert_eq!(error.to_string(), "cannot reload the settings: not now");
    let senseless = handle.reload(cx, |live| {
        live.config.deadlines.head = trine::time::Span::ZERO;
        Ok::<(), String>(())
    });
    assert!(senseless.unwrap_err().to_string().contains("head_timeout"));
    let panicked = handle.reload::<String>(cx, |_| panic!("asked to"));
    assert_eq!(panicked.unwrap_err().kind(), ErrorKind::Invalid);
    let metrics = handle.metrics(cx).unwrap();
    assert_eq!((metrics.reloads, metrics.reloads_failed), (0, 3));
    handle
        .reload(cx, |live| {
            assert_eq!(live.connections_max, 1, "the old ones stayed");
            live.connections_max = 2;
            Ok::<(), String>(())
        })
        .unwrap();
    let metrics = handle.metrics(cx).unwrap();
    assert_eq!((metrics.reloads, metrics.reloads_failed), (1, 3));
    let asking = std::thread::spawn(move || {
        let mut both = [Client::connect(address), Client::connect(address)];
        let statuses = both.each_mut().map(|client| client.get("/").status);
        let mut third = Client::connect(address);
        (statuses, third.answer().status)
    });
    events
        .every(Duration::from_millis(5), move |(), _, cx| {
            if asking.is_finished() {
                cx.stop();
            }
        })
        .unwrap();
    events.run(&mut ()).unwrap();
    let metrics = handle.metrics(&mut events.context()).unwrap();
    assert_eq!((metrics.accepted, metrics.requests), (3, 2));
}

/// A listener that was full waits for one to close; more room is as good.
#[test]
fn a_listener_that_had_no_room_accepts_when_there_is_more() {
    let mut events = EventLoop::new().unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap().connections_max(1);
    let address = server.local_address().unwrap();
    let handle = server.attach(&mut events, site).unwrap();
    // One is served, 64 are being told that there is no room, and the others wait in the queue.
    let clients: Vec<Client> = (0..80).map(|_| Client::connect(address)).collect();
    let began = Instant::now();
    events
        .every(Duration::from_millis(5), move |(), _, cx| {
            let metrics = handle.metrics(cx).unwrap();
            if metrics.accepted == 65 {
                let more = handle.reload(cx, |live| {
                    live.connections_max = 200;
                    Ok::<(), String>(())
                });
                more.unwrap();
            }
            // Those who were told that there is no room are gone after two seconds, which makes some.
            if metrics.accepted == 80 || began.elapsed() > Duration::from_secs(1) {
                cx.stop();
            }
        })
        .unwrap();
    events.run(&mut ()).unwrap();
    let metrics = handle.metrics(&mut events.context()).unwrap();
    assert_eq!(metrics.accepted, 80);
    drop(clients);
}
