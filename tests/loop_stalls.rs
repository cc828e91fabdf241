//! The watchdog: who keeps the loop, for how long, and what in, while it is kept.

mod support;

use std::hint::spin_loop;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use support::client::{Client, get};
use support::{PATIENCE, eventually};
use trine::http::Request;
use trine::reactor::{Doing, Metrics, Stall};
use trine::service::{Answered, Reply};
use trine::{EventLoop, Server, Sources};

const LIMIT: Duration = Duration::from_millis(50);
/// How long a callback keeps the loop.
const STALL: Duration = Duration::from_millis(500);

/// A server on a watched loop, until a request for `/stop`.
struct Watched {
    address: SocketAddr,
    stalls: Receiver<(Stall, Instant)>,
    thread: JoinHandle<Metrics>,
}

fn site(request: &Request<'_>, reply: Reply<'_>, (): &mut ()) -> Answered {
    let began = Instant::now();
    match request.path() {
        "/sleep" => thread::sleep(STALL),
        "/spin" => {
            while began.elapsed() < STALL {
                spin_loop();
            }
        }
        "/panic" => {
            thread::sleep(STALL);
            panic!("asked to");
        }
        _ => {}
    }
    reply.text("done")
}

fn watched(mut report: impl FnMut(&Stall) + Send + 'static) -> Watched {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_address().unwrap();
    let (give, stalls) = channel();
    // Made here, and run there.
    let thread = thread::spawn(move || {
        let mut events = EventLoop::new().unwrap();
        let told = move |stall: &Stall| {
            let _ = give.send((*stall, Instant::now()));
            report(stall);
        };
        events.watch_stalls(LIMIT, told).unwrap();
        server.attach(&mut events, site).unwrap();
        let stop = |(): &mut (), cx: &mut trine::Context<'_, ()>| cx.stop();
        events.call_after(STALL * 4, stop).unwrap();
        events.run(&mut ()).unwrap();
        events.metrics().clone()
    });
    Watched {
        address,
        stalls,
        thread,
    }
}

impl Watched {
    fn next(&self) -> (Stall, Instant) {
        self.stalls.recv_timeout(PATIENCE).unwrap()
    }

    /// Asks for what stalls; the reports until it is over.
    fn stall(&self, path: &str) -> Vec<Stall> {
        let mut client = Client::connect(self.address);
        client.send(get(path));
        let mut stalls = Vec::new();
        loop {
            let (stall, _) = self.next();
            stalls.push(stall);
            if stall.doing == Doing::Returned {
                return stalls;
            }
        }
    }

    fn ends(self) -> (Metrics, Vec<Stall>) {
        let metrics = self.thread.join().unwrap();
        (
            metrics,
            self.stalls.iter().map(|(stall, _)| stall).collect(),
        )
    }
}

#[test]
fn a_callback_that_sleeps_is_named_with_its_system_call_while_it_does() {
    let watched = watched(|_| {});
    let mut client = Client::connect(watched.address);
    let began = Instant::now();
    client.send(get("/sleep"));
    let (stall, told) = watched.next();
    assert!(
        told - began < STALL,
        "told {:?} after the begin",
        told - began
    );
    assert_eq!(stall.source, "http connection");
    assert!((LIMIT..STALL).contains(&stall.lasted), "{stall:?}");
    let said = stall.to_string();
    assert!(said.contains("waiting in clock_nanosleep"), "{said}");
    assert_eq!(client.answer().status, 200);
    let mut latest = stall;
    while latest.doing != Doing::Returned {
        let before = latest.lasted;
        latest = watched.next().0;
        assert!(latest.lasted > before, "{latest:?}");
    }
    assert!(latest.lasted + LIMIT >= STALL, "{latest:?}");
    assert!(
        latest.to_string().starts_with("http connection ("),
        "{latest}"
    );
    assert_eq!(latest.token, stall.token);
    let (metrics, more) = watched.ends();
    assert_eq!((metrics.stalls, more), (1, Vec::new()));
}

#[test]
fn a_callback_that_computes_is_in_no_system_call() {
    let watched = watched(|_| {});
    let stalls = watched.stall("/spin");
    let said = stalls[0].to_string();
    assert!(said.ends_with("running, in no system call"), "{said}");
    assert_eq!(stalls[0].source, "http connection");
}

#[test]
fn reports_of_one_stall_come_at_growing_intervals_and_it_is_counted_once() {
    let watched = watched(|_| {});
    let stalls = watched.stall("/sleep");
    let lasted: Vec<Duration> = stalls.iter().map(|stall| stall.lasted).collect();
    // At 50, 100, 200 and 400 ms, and the end; fewer on a busy machine, never more.
    assert!((2..=5).contains(&lasted.len()), "{lasted:?}");
    let reports = &lasted[..lasted.len() - 1];
    assert!(
        reports.windows(2).all(|two| two[1] >= 2 * two[0]),
        "{lasted:?}"
    );
    assert_eq!(watched.ends().0.stalls, 1);
}

#[test]
fn a_loop_that_sleeps_is_not_stuck() {
    let watched = watched(|_| {});
    assert_eq!(Client::connect(watched.address).get("/").status, 200);
    let (metrics, stalls) = watched.ends();
    assert_eq!((metrics.stalls, stalls), (0, Vec::new()));
}

#[test]
fn a_program_that_works_between_turns_is_not_stuck_in_the_last_source() {
    let (give, stalls) = channel();
    let mut events = EventLoop::<()>::new().unwrap();
    let told = move |stall: &Stall| give.send(*stall).unwrap();
    events.watch_stalls(LIMIT, told).unwrap();
    events.call_after(Duration::ZERO, |(), _| {}).unwrap();
    let _ = events.turn(&mut ()).unwrap();
    let _ = events.turn(&mut ()).unwrap();
    thread::sleep(STALL);
    drop(events);
    assert_eq!(stalls.iter().count(), 0);
}

#[test]
fn a_stalled_callback_that_panics_is_over_as_well() {
    let watched = watched(|_| {});
    let stalls = watched.stall("/panic");
    assert!(stalls.len() >= 2, "{stalls:?}");
    assert_eq!(Client::connect(watched.address).get("/").status, 200);
}

#[test]
fn a_report_that_panics_ends_neither_the_watch_nor_the_loop() {
    let watched = watched(|_| panic!("told"));
    for _ in 0..2 {
        assert!(watched.stall("/sleep").len() >= 2);
    }
    assert_eq!(watched.ends().0.stalls, 2);
}

/// The threads of this process that are watchdogs.
fn watchdogs() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.trim() == "trine-watchdog").count()
}

#[test]
fn the_thread_ends_with_its_loop_and_each_loop_has_its_own() {
    // In a process of its own: other tests have watchdogs, too.
    let own = std::env::current_exe().unwrap();
    if std::env::var_os("TRINE_ALONE").is_none() {
        let name = "the_thread_ends_with_its_loop_and_each_loop_has_its_own";
        let mut alone = std::process::Command::new(own);
        alone.args(["--exact", name]).env("TRINE_ALONE", "1");
        assert!(alone.status().unwrap().success());
        return;
    }
    let mut one = EventLoop::<()>::new().unwrap();
    let mut other = EventLoop::<()>::new().unwrap();
    assert_eq!(watchdogs(), 0, "nobody asked for one");
    one.watch_stalls(LIMIT, |_| {}).unwrap();
    other.watch_stalls(LIMIT, |_| {}).unwrap();
    eventually("two threads", || watchdogs() == 2);
    one.watch_stalls(LIMIT * 2, |_| {}).unwrap();
    eventually("one in place of the other", || watchdogs() == 2);
    drop(one);
    eventually("one thread", || watchdogs() == 1);
    drop(other);
    eventually("none", || watchdogs() == 0);
}
