//! A forked child has its parent's loop, and must not touch it.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::super::{Context, Error, ErrorKind, Next, Readiness, Sources};
use super::virtual_loop::{machine, script_readable, virtual_loop};

#[test]
fn a_loop_refuses_every_turn_in_a_forked_child_and_takes_nothing_from_its_parent() {
    let mut events = virtual_loop::<u32>();
    let timer = events.call_after(Duration::from_secs(1), |count, _| *count += 1);
    script_readable(&mut events, timer.unwrap(), 1);
    machine(&mut events).process = 2; // as fork(2) leaves it
    let mut count = 0;
    let errors: [Error; 3] = [
        events.run(&mut count).unwrap_err(),
        events.turn(&mut count).unwrap_err(),
        events.turn_now(&mut count).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Forked);
        assert!(
            error.to_string().contains("make a new loop in the child"),
            "{error}"
        );
    }
    assert_eq!(machine(&mut events).script.len(), 1, "the parent's event");
    assert_eq!(machine(&mut events).arms, 0, "the parent's timerfd");

    machine(&mut events).process = 1; // the parent goes on
    events.run(&mut count).unwrap();
    assert_eq!(count, 1);
}

#[test]
fn a_loop_that_is_forked_by_one_of_its_callbacks_ends_within_a_second_in_the_child() {
    let mut events = virtual_loop::<u32>();
    let period = Duration::from_millis(10);
    let fork_once = |calls: &mut u32, _, cx: &mut super::super::Context<'_, u32>| {
        *calls += 1;
        match *calls {
            50 => machine(cx).process = 2,
            1_000 => cx.stop(), // it went on
            _ => {}
        }
    };
    events.every(period, fork_once).unwrap();
    let mut calls = 0;
    let error = events.run(&mut calls).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forked);
    assert!((50..=151).contains(&calls), "{calls}");
}

#[test]
fn in_a_forked_child_no_source_is_registered_with_the_parent_and_none_of_its_own_deregistered() {
    let mut events = virtual_loop::<()>();
    let wait = |(): &mut (), _: &mut UnixStream, _: Readiness, _: &mut Context<'_, ()>| Next::Wait;
    let (one, other) = UnixStream::pair().unwrap();
    let token = events.descriptor(one, wait).unwrap();
    let _ = events.turn_now(&mut ()).unwrap(); // the process was made sure of just now

    machine(&mut events).process = 2;
    assert!(events.context().remove(token));
    let error = events.descriptor(other, wait).unwrap_err();
    assert!(error.to_string().contains("forked"), "{error}");
    let machine = machine(&mut events);
    let registrations = (machine.registered.get(), machine.deregistered.get());
    assert_eq!(registrations, (1, 0));
}
