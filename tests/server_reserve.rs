//! Descriptors kept back: an administrator's side that answers, and a log that can be opened, while the
//! process has none left. In a process of its own with a low limit, which is this file itself; it takes
//! orders line by line: `hog` (take all descriptors there are), `log` (open a file by the reserve),
//! `free`, `count`.

mod support;

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::process::{Resource, Rlimit, setrlimit};
use support::client::Client;
use support::own_process::OwnProcess;
use support::{eventually, run, site};
use trine::Server;
use trine::reactor::Reserve;
use trine::server::Ladder;

/// Set in the process that is to be the server, to where its second side listens.
const SERVE: &str = "TRINE_TEST_SERVE_RESERVE";
const LIMIT: u64 = 64;
/// Clients that the second side serves whatever happens.
const RESERVED: usize = 3;

/// Not a test of its own: the server, when this file runs itself.
#[test]
fn serve_two_sides_with_few_descriptors() {
    let Some(path) = std::env::var_os(SERVE) else {
        return;
    };
    let limit = Rlimit {
        current: Some(LIMIT),
        maximum: Some(LIMIT),
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let public = run(Server::bind("127.0.0.1:0").unwrap(), site);
    let inner = Server::bind_unix(path).unwrap();
    // Of its own clients, none is to go for another.
    let inner = inner.reserve_descriptors(RESERVED).overload(Ladder::off());
    let inner = run(inner, site);
    let mut reserve = Reserve::new(1).unwrap();
    println!("\nlistening {}", public.address());
    let (mut hog, mut log) = (Vec::new(), None);
    for order in std::io::stdin().lines() {
        let order = order.unwrap();
        match order.as_str() {
            "hog" => hog.extend(std::iter::from_fn(|| File::open("/dev/null").ok())),
            "log" => {
                hog.extend(std::iter::from_fn(|| File::open("/dev/null").ok()));
                log = Some(reserve.lend(|| File::open("/dev/null").is_ok()));
            }
            "free" => hog.clear(),
            _ => {}
        }
        // Not when only asked to count: it would take one from those that are being kept again.
        let left = order != "count" && File::open("/dev/null").is_ok();
        let kept = inner.counters().server.descriptors_kept;
        println!("state {left} {} {kept}", log == Some(true));
    }
}

struct Process {
    process: OwnProcess,
    public: SocketAddr,
    path: PathBuf,
}

impl Process {
    fn start(name: &str) -> Process {
        let path = std::env::temp_dir().join(format!("trine-{name}-{}", std::process::id()));
        let mut process = OwnProcess::start("serve_two_sides_with_few_descriptors", SERVE, &path);
        let public = process.said("listening ").parse().unwrap();
        Process {
            process,
            public,
            path,
        }
    }

    /// Whether a descriptor is left, whether the log was opened, and how many are kept.
    fn order(&mut self, order: &str) -> (bool, bool, usize) {
        let state = self.process.order(order, "state ");
        let words: Vec<&str> = state.split(' ').collect();
        (
            words[0] == "true",
            words[1] == "true",
            words[2].parse().unwrap(),
        )
    }

    fn inner(&self) -> Client<UnixStream> {
        Client::<UnixStream>::over(UnixStream::connect(&self.path).unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[test]
fn as_many_clients_as_are_reserved_are_served_without_any_descriptor_left() {
    let mut process = Process::start("reserved");
    assert_eq!(process.order("hog"), (false, false, RESERVED));
    for _ in 0..5 {
        let mut clients: Vec<_> = (0..RESERVED).map(|_| process.inner()).collect();
        for _ in 0..3 {
            for client in &mut clients {
                assert_eq!(client.get("/").status, 200);
            }
        }
        assert_eq!(process.order("count").2, 0);
        assert!(process.inner().answer_or_end().is_none(), "one more");
        drop(clients);
        eventually("all are kept again", || {
            process.order("count").2 == RESERVED
        });
    }
    // On the other side everybody is turned away. Last, as that side gives up a descriptor of its own for
    // it, again and again, which this one may get.
    assert!(Client::connect(process.public).answer_or_end().is_none());
    process.order("free");
    assert_eq!(Client::connect(process.public).get("/").status, 200);
}

#[test]
fn a_file_is_opened_by_a_reserve_without_any_descriptor_left() {
    let mut process = Process::start("lent");
    assert_eq!(process.order("hog"), (false, false, RESERVED));
    assert_eq!(process.order("log"), (false, true, RESERVED));
}
