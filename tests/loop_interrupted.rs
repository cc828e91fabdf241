//! A loop whose wait is interrupted, again and again, in a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use trine::reactor::Context;
use trine::{EventLoop, Sources};

/// Set in the child.
const CHILD: &str = "TRINE_INTERRUPTED_CHILD";
const DELAY: Duration = Duration::from_millis(300);

/// The child: one timer, and an account of it.
fn sleep_and_report() {
    let mut events = EventLoop::<bool>::new().unwrap();
    let began = Instant::now();
    let call = |rang: &mut bool, _: &mut Context<'_, bool>| *rang = true;
    events.call_after(DELAY, call).unwrap();
    println!("sleeping");
    let mut rang = false;
    events.run(&mut rang).unwrap();
    let early = began.elapsed() < DELAY;
    println!("rang {rang} early {early} turns {}", events.metrics().turns);
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[test]
fn an_interrupted_wait_goes_on_for_the_time_that_remains_and_no_turn_is_made_of_it() {
    if std::env::var_os(CHILD).is_some() {
        return sleep_and_report();
    }
    let name = thread::current().name().unwrap().to_owned();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name.as_str(), "--exact", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while !lines.next().unwrap().unwrap().ends_with("sleeping") {}
    // Stopping and continuing interrupts epoll_wait with EINTR, without any handler (signal(7)).
    // More often than the delay, until the child ends: a wait that began anew with the whole
    // delay would never end.
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < 60 * DELAY, "the delay begins anew");
        signal(&child, Signal::Stop);
        signal(&child, Signal::Cont);
        thread::sleep(DELAY / 12);
    }
    let report = lines.map(Result::unwrap).find(|line| line.contains("rang"));
    let report = report.expect("the child reports");
    let turns = report.split("rang true early false turns ").nth(1);
    let turns = turns.and_then(|turns| turns.parse::<u64>().ok());
    // One for the timer to set itself, one or two in which it rings.
    assert!(turns.is_some_and(|turns| turns <= 4), "{report}");
}
