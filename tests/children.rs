//! Child processes as events.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, WaitOptions, waitpid};
use trine::reactor::{
    ChildExit, Context, ErrorKind, EventLoop, InboxSender, Link, Mail, Signal, SignalEvent, Sources,
};

/// Ends a loop that hangs; the assertion after it says what is missing.
fn bound<S: 'static>(events: &mut EventLoop<S>) {
    let give_up = |_: &mut S, cx: &mut Context<'_, S>| cx.stop();
    events.call_after(Duration::from_secs(20), give_up).unwrap();
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdin(Stdio::null());
    command
}

#[test]
fn a_thousand_children_that_end_at_once_are_a_thousand_events() {
    const CHILDREN: usize = 1_000;
    let mut events = EventLoop::<Vec<ExitStatusOf>>::new().unwrap();
    bound(&mut events);
    let (hold, stdin) = UnixStream::pair().unwrap();
    for child in 0..CHILDREN {
        // Waits for the end of its input, which is the same for all.
        let mut command = shell("read line; exit $1");
        let code = child % 100;
        command.args(["sh", &code.to_string()]);
        command.stdin(OwnedFd::from(stdin.try_clone().unwrap()));
        let note = move |ended: &mut Vec<ExitStatusOf>, exit, cx: &mut Context<'_, _>| {
            ended.push((code, exit));
            if ended.len() == CHILDREN {
                cx.stop();
            }
        };
        events.child(&mut command, note).unwrap();
    }
    drop((hold, stdin));
    let mut ended = Vec::new();
    events.run(&mut ended).unwrap();
    assert_eq!(ended.len(), CHILDREN);
    for (code, exit) in ended {
        assert!(matches!(exit, ChildExit::Exited(status) if status.code() == Some(code as i32)));
    }
}

type ExitStatusOf = (usize, ChildExit);

/// Runs `command` in a loop until it has ended.
fn exit_of(command: &mut Command, meanwhile: impl FnOnce(u32)) -> ChildExit {
    let mut events = EventLoop::<Option<ChildExit>>::new().unwrap();
    bound(&mut events);
    let note = |ended: &mut Option<ChildExit>, exit, cx: &mut Context<'_, _>| {
        *ended = Some(exit);
        cx.stop();
    };
    meanwhile(events.child(command, note).unwrap());
    let mut ended = None;
    events.run(&mut ended).unwrap();
    ended.expect("the child ended, and nobody said so")
}

#[test]
fn a_child_that_a_signal_killed_is_reported_so() {
    let exit = exit_of(&mut shell("kill -9 $$"), |_| ());
    assert!(
        matches!(exit, ChildExit::Exited(status) if status.signal() == Some(9)),
        "{exit:?}"
    );
}

#[test]
fn a_child_whose_status_was_taken_by_another_wait_is_stolen_and_not_waited_for_ever() {
    let (hold, stdin) = UnixStream::pair().unwrap();
    let mut command = shell("read line; exit 3"); // not before it is watched
    command.stdin(OwnedFd::from(stdin));
    let exit = exit_of(&mut command, |id| {
        drop(hold);
        let id = Pid::from_raw(id as i32);
        waitpid(id, WaitOptions::empty()).unwrap();
    });
    assert!(matches!(exit, ChildExit::Stolen), "{exit:?}");
}

#[test]
fn a_program_that_does_not_exist_is_an_error_that_names_it() {
    let mut events = EventLoop::<()>::new().unwrap();
    let error = events
        .child(&mut Command::new("/no/such/program"), |(), _, _| ())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("/no/such/program"), "{error}");
    assert!(events.is_empty());
}

#[test]
fn a_drain_waits_for_a_child() {
    let mut events = EventLoop::<bool>::new().unwrap();
    let note = |ended: &mut bool, _, _: &mut Context<'_, _>| *ended = true;
    events.child(&mut shell("sleep 0.1"), note).unwrap();
    events.context().drain(Duration::from_secs(20));
    let mut ended = false;
    events.run(&mut ended).unwrap();
    assert!(ended);
}

/// The descriptors of this process and whether each survives an exec.
fn descriptors() -> BTreeMap<u32, bool> {
    let entries = fs::read_dir("/proc/self/fdinfo").unwrap();
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let survive = numbers.filter_map(|number: u32| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()?;
        let flags = info
            .lines()
            .find_map(|line| line.strip_prefix("flags:"))?
            .trim();
        let flags = u32::from_str_radix(flags, 8).unwrap();
        Some((number, flags & 0o2_000_000 == 0)) // O_CLOEXEC
    });
    survive.collect()
}

fn mask(status: &str, name: &str) -> u64 {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
    u64::from_str_radix(line.unwrap(), 16).unwrap()
}

/// A loop with everything that has a descriptor, an accepted connection among it.
fn with_every_descriptor() -> (EventLoop<Option<ChildExit>>, InboxSender<()>, TcpStream) {
    let mut events = EventLoop::<Option<ChildExit>>::new().unwrap();
    bound(&mut events);
    let signal = |_: &mut _, _: SignalEvent, _: &mut Context<'_, _>| ();
    events
        .signals([Signal::USR1, Signal::CHLD], signal)
        .unwrap();
    events.udp("127.0.0.1:0", |_, _, _| ()).unwrap();
    let sender = events.inbox(1, |_, _: Mail<()>, _| ()).unwrap();
    events
        .at(SystemTime::now() + Duration::from_secs(3_600), |_, _| ())
        .unwrap();
    let receive = |_: &mut _, _: &mut Link<'_, '_, _>, _: &[u8]| ();
    let address = events.tcp("127.0.0.1:0", receive).unwrap();
    let client = TcpStream::connect(address).unwrap();
    let before = events.len();
    for _ in 0..1_000 {
        let _ = events.turn_now(&mut None).unwrap();
        if events.len() > before {
            return (events, sender, client);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("the connection is not accepted");
}

#[test]
fn a_child_begins_with_no_signal_blocked_or_caught_and_without_descriptors_of_the_loop() {
    // What this process was started with, and passes on.
    let inherited: BTreeSet<u32> = descriptors()
        .into_iter()
        .filter_map(|(fd, survives)| survives.then_some(fd))
        .collect();
    let ignored = mask(&fs::read_to_string("/proc/self/status").unwrap(), "SigIgn");

    let (mut events, sender, client) = with_every_descriptor();
    events.child(&mut shell("sleep 0.2"), |_, _, _| ()).unwrap();

    for (fd, survives) in descriptors() {
        assert!(
            !survives || inherited.contains(&fd),
            "descriptor {fd} is inherited"
        );
    }
    let (mut output, stdout) = UnixStream::pair().unwrap();
    let mut command = shell("cat /proc/self/status; echo descriptors; ls /proc/$$/fd; :");
    command.stdout(OwnedFd::from(stdout));
    let note = |ended: &mut Option<ChildExit>, exit, cx: &mut Context<'_, _>| {
        *ended = Some(exit);
        cx.stop();
    };
    events.child(&mut command, note).unwrap();
    drop(command);
    let mut ended = None;
    events.run(&mut ended).unwrap();
    assert!(
        matches!(ended, Some(ChildExit::Exited(status)) if status.success()),
        "{ended:?}"
    );

    let mut said = String::new();
    output.read_to_string(&mut said).unwrap();
    let (status, list) = said.split_once("descriptors\n").unwrap();
    assert_eq!(mask(status, "SigBlk"), 0);
    assert_eq!(mask(status, "SigCgt"), 0);
    // The standard library ignores SIGPIPE in this process and not in the child; 32 and 33 are the
    // C library's own, and it ignores them on the way.
    let aside = |ignored: u64| ignored & !(1 << 12 | 0b11 << 31);
    assert_eq!(
        aside(mask(status, "SigIgn")),
        aside(ignored),
        "as this process was started"
    );
    assert_eq!(mask(status, "SigIgn") & 1 << 12, 0);
    for fd in list.lines().map(|line| line.parse::<u32>().unwrap()) {
        assert!(
            fd <= 2 || inherited.contains(&fd),
            "descriptor {fd} in the child: {list}"
        );
    }
    drop((sender, client));
}
