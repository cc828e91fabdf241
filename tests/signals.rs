//! Signals as events. Each test has signals of its own, as dispositions are the whole process's.

use std::env;
use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{self, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process};
use signal_hook::low_level::raise;
use trine::reactor::{
    Context, ErrorKind, Event, EventLoop, EventSource, Next, Registry, Signal, SignalEvent, Sources,
};

type Seen = Vec<SignalEvent>;

fn number(number: i32) -> Signal {
    Signal::from_number(number).expect("1 to 64")
}

/// A loop that keeps the `signals` it gets.
fn listening(signals: &[Signal]) -> EventLoop<Seen> {
    let mut events = EventLoop::new().unwrap();
    let note = |seen: &mut Seen, event, _: &mut Context<'_, Seen>| seen.push(event);
    events.signals(signals.iter().copied(), note).unwrap();
    let tick = |_: &mut Seen, _, _: &mut Context<'_, Seen>| ();
    events.every(Duration::from_millis(5), tick).unwrap(); // so that every wait ends
    events
}

/// Runs until `done`, which must not take long.
fn run_until(events: &mut EventLoop<Seen>, seen: &mut Seen, done: impl Fn(&Seen) -> bool) {
    let began = Instant::now();
    while !done(seen) {
        assert!(began.elapsed() < Duration::from_secs(20), "seen: {seen:?}");
        let _ = events.turn(seen).unwrap();
    }
}

/// Runs this test once more in a process of its own, where it may do as it likes, for 30 s at most.
fn alone(test: &str, body: impl FnOnce()) {
    if env::var_os("TRINE_ALONE").is_some() {
        return body();
    }
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]);
    command.env("TRINE_ALONE", "1").stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
        }
        thread::sleep(Duration::from_millis(2));
    };
    assert!(status.success(), "{status}");
}

#[test]
fn a_thousand_rapid_signals_fill_the_pipe_and_arrive_as_one_event() {
    let mut events = listening(&[Signal::USR1]);
    let mut seen = Seen::new();
    for _ in 0..3 {
        seen.clear();
        for _ in 0..1_000 {
            raise(Signal::USR1.number()).unwrap();
        }
        run_until(&mut events, &mut seen, |seen| !seen.is_empty());
        for _ in 0..5 {
            let _ = events.turn(&mut seen).unwrap();
        }
        assert_eq!(seen.len(), 1, "equal signals are one event");
    }
}

#[test]
fn different_signals_never_merge() {
    let signals = [number(40), Signal::WINCH, number(41), number(64)];
    let mut events = listening(&signals);
    let mut seen = Seen::new();
    for _ in 0..200 {
        for signal in signals {
            raise(signal.number()).unwrap();
        }
    }
    let all = |seen: &Seen| {
        signals
            .iter()
            .all(|signal| seen.iter().any(|event| event.signal == *signal))
    };
    run_until(&mut events, &mut seen, all);
    assert_eq!(seen.len(), signals.len());
}

#[test]
fn a_signal_during_a_blocking_call_of_another_thread_interrupts_nobody() {
    let mut events = listening(&[Signal::USR2]);
    let (mut writer, reader) = UnixStream::pair().unwrap();
    let (tell, told) = channel();
    let worker = thread::spawn(move || {
        tell.send(rustix::thread::gettid()).unwrap();
        let mut byte = [0];
        rustix::io::read(reader.as_fd(), &mut byte).map(|_| byte[0]) // does not retry EINTR
    });
    let thread: Pid = told.recv().unwrap();
    let mut seen = Seen::new();
    let before = naps(thread);
    let began = Instant::now();
    while naps(thread) < before + 20 {
        assert!(began.elapsed() < Duration::from_secs(20));
        // To a thread's id: the kernel prefers that thread for handling it.
        kill_process(thread, rustix::process::Signal::Usr2).unwrap();
        let _ = events.turn(&mut seen).unwrap();
    }
    assert!(!seen.is_empty());
    writer.write_all(&[7]).unwrap();
    assert_eq!(worker.join().unwrap(), Ok(7));
}

/// How often `thread` went to sleep: each signal that it handles in a blocking call adds one.
fn naps(thread: Pid) -> u64 {
    let path = format!("/proc/self/task/{}/status", thread.as_raw_nonzero());
    let status = fs::read_to_string(path).unwrap();
    field(&status, "voluntary_ctxt_switches").parse().unwrap()
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {status}"))
        .trim()
}

#[test]
fn a_signal_from_another_process_says_which_process_and_whose() {
    let mut events = listening(&[number(42)]);
    let mut seen = Seen::new();
    for _ in 0..3 {
        let kill = format!("kill -42 {}; :", process::id());
        let mut shell = Command::new("sh").args(["-c", &kill]).spawn().unwrap();
        seen.clear();
        run_until(&mut events, &mut seen, |seen| !seen.is_empty());
        let sender = seen[0].sender.expect("a process sent it");
        assert_eq!(sender.process, shell.id() as i32);
        assert_eq!(sender.user, rustix::process::getuid().as_raw());
        assert!(shell.wait().unwrap().success());
    }
}

#[test]
fn a_signal_from_the_kernel_has_no_sender() {
    alone("a_signal_from_the_kernel_has_no_sender", || {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let mut events = listening(&[Signal::INT]);
        drop(listening(&[Signal::HUP])); // ignored from here on: the terminal goes before us
        rustix::process::setsid().unwrap();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap();
        // The first terminal a session opens controls it; control-C interrupts its foreground.
        let terminal = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(path.to_str().unwrap());
        rustix::io::write(&master, b"\x03").unwrap();
        let mut seen = Seen::new();
        run_until(&mut events, &mut seen, |seen| !seen.is_empty());
        assert_eq!(
            seen,
            [SignalEvent {
                signal: Signal::INT,
                sender: None
            }]
        );
        // And a process afterwards is not taken for the kernel, nor the other way round.
        raise(Signal::INT.number()).unwrap();
        run_until(&mut events, &mut seen, |seen| seen.len() == 2);
        assert_eq!(seen[1].sender.unwrap().process, process::id() as i32);
        rustix::io::write(&master, b"\x03").unwrap();
        run_until(&mut events, &mut seen, |seen| seen.len() == 3);
        assert_eq!(seen[2].sender, None);
        drop(terminal);
    });
}

#[test]
fn a_dropped_loop_leaves_its_signals_ignored_until_another_loop_wants_them() {
    let signal = number(43); // by default it would end the process
    drop(listening(&[signal]));
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let caught = u64::from_str_radix(field(&status, "SigCgt"), 16).unwrap();
    assert!(
        caught & 1 << (signal.number() - 1) != 0,
        "the disposition is kept"
    );
    for _ in 0..10 {
        raise(signal.number()).unwrap();
    }
    let mut events = listening(&[signal]);
    let mut seen = Seen::new();
    for _ in 0..3 {
        let _ = events.turn(&mut seen).unwrap();
    }
    assert!(seen.is_empty(), "what came while nobody listened is gone");
    raise(signal.number()).unwrap();
    run_until(&mut events, &mut seen, |seen| !seen.is_empty());
}

#[test]
fn every_loop_and_every_source_that_wants_a_signal_gets_it() {
    let signal = number(44);
    let mut loops = [listening(&[signal]), listening(&[signal])];
    let twice = |seen: &mut Seen, event, _: &mut Context<'_, Seen>| seen.push(event);
    loops[1].signals([signal], twice).unwrap();
    raise(signal.number()).unwrap();
    for (events, count) in loops.iter_mut().zip([1, 2]) {
        let mut seen = Seen::new();
        run_until(events, &mut seen, |seen| seen.len() == count);
        let _ = events.turn(&mut seen).unwrap();
        assert_eq!(seen.len(), count);
    }
}

#[test]
fn a_removed_source_gets_no_signal_and_the_process_lives() {
    let signal = number(45);
    let mut events = EventLoop::<Seen>::new().unwrap();
    let note = |seen: &mut Seen, event, _: &mut Context<'_, Seen>| seen.push(event);
    let token = events.signals([signal], note).unwrap();
    assert!(events.context().remove(token));
    events
        .every(Duration::from_millis(1), |_, _, _| ())
        .unwrap();
    raise(signal.number()).unwrap();
    let mut seen = Seen::new();
    for _ in 0..3 {
        let _ = events.turn(&mut seen).unwrap();
    }
    assert!(seen.is_empty());
    assert_eq!(events.metrics().stale_events, 0, "nobody is looked for");
}

/// Subscribes past the closure interface.
struct Raw(Signal);

impl EventSource<Seen> for Raw {
    fn register(&mut self, registry: &mut Registry<'_>) -> std::io::Result<()> {
        registry.signal(self.0)
    }

    fn handle(&mut self, _: Event, _: &mut Seen, _: &mut Context<'_, Seen>) -> Next {
        Next::Wait
    }
}

#[test]
fn a_signal_that_cannot_or_must_not_be_caught_is_refused_with_an_error_every_time() {
    let mut events = EventLoop::<Seen>::new().unwrap();
    // KILL, STOP, SEGV, BUS, ILL, FPE, PIPE, and two that threads need.
    for forbidden in [9, 19, 11, 7, 4, 8, 13, 32, 33] {
        let signal = number(forbidden);
        assert!(signal.is_forbidden());
        for _ in 0..2 {
            let error = events
                .signals([number(46), signal], |_, _, _| ())
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ForbiddenSignal);
            assert!(
                error.to_string().contains("choose another signal"),
                "{error}"
            );
            let refused = events.insert(Raw(signal)).unwrap_err();
            assert_eq!(refused.error.kind(), ErrorKind::Io);
        }
    }
    assert!(events.is_empty());
    for none in [-1, 0, 65, i32::MAX] {
        assert_eq!(Signal::from_number(none), None);
    }
    for allowed in [1, 2, 3, 10, 12, 15, 17, 28, 34, 64].map(number) {
        assert!(!allowed.is_forbidden());
        events
            .insert(Raw(allowed))
            .map_err(|refused| refused.error)
            .unwrap();
    }
}

#[test]
fn every_other_signal_can_be_caught_and_loops_come_and_go_while_they_arrive() {
    let name = "every_other_signal_can_be_caught_and_loops_come_and_go_while_they_arrive";
    alone(name, || {
        let allowed = (1..=64).map(number).filter(|signal| !signal.is_forbidden());
        let allowed: Vec<Signal> = allowed.collect();
        assert_eq!(allowed.len(), 64 - 9);
        drop(listening(&allowed)); // from here on none of them ends or stops the process
        let sending = Arc::new(AtomicBool::new(true));
        let (go_on, signals) = (Arc::clone(&sending), allowed.clone());
        let sender = thread::spawn(move || {
            while go_on.load(Ordering::Relaxed) {
                signals
                    .iter()
                    .for_each(|signal| raise(signal.number()).unwrap());
            }
        });
        for _ in 0..20 {
            let mut events = listening(&allowed);
            run_until(&mut events, &mut Seen::new(), |seen| !seen.is_empty());
        }
        sending.store(false, Ordering::Relaxed);
        sender.join().unwrap();
    });
}
