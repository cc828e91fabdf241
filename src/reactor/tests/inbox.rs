//! Messages from other threads: bounded a turn, and free of leaks when loops go.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use super::super::waker::{Remote, Waker};
use super::super::{Event, EventLoop, Mail, Next, SendError, Sources};
use super::virtual_loop::{machine, probe, script_readable, virtual_loop};
use crate::slab::Token;

#[derive(Default)]
struct Counts {
    messages: usize,
    closed: usize,
    deadlines: usize,
    readiness: usize,
}

#[test]
fn a_flooded_inbox_takes_a_bounded_number_a_turn_while_timers_and_readiness_go_on() {
    let mut events = virtual_loop::<Counts>();
    let sender = events.inbox(100_000, |counts: &mut Counts, mail, _| match mail {
        Mail::Message(()) => counts.messages += 1,
        Mail::Closed => counts.closed += 1,
    });
    let sender = sender.unwrap();
    (0..100_000).for_each(|_| sender.try_send(()).unwrap());
    assert_eq!(sender.try_send(()), Err(SendError::Full(())));
    let period = Duration::from_millis(1);
    events
        .every(period, |counts: &mut Counts, _, _| counts.deadlines += 1)
        .unwrap();
    let reader = probe(&mut events, |event, counts: &mut Counts, _| {
        counts.readiness += usize::from(matches!(event, Event::Ready(_)));
        Next::Wait
    });
    script_readable(&mut events, reader, 100);
    let mut counts = Counts::default();
    for turn in 1..=100 {
        machine(&mut events).nanos += 2_000_000;
        let before = counts.messages;
        let _ = events.turn(&mut counts).unwrap();
        let taken = counts.messages - before;
        assert!((1..=512).contains(&taken), "{taken} in a turn");
        assert_eq!(counts.readiness, turn);
    }
    assert!(counts.deadlines >= 99, "{}", counts.deadlines);
    assert!(counts.messages < 60_000);
}

#[test]
fn what_was_sent_before_the_last_sender_went_arrives_and_then_closed_once() {
    let mut events = virtual_loop::<Counts>();
    let sender = events.inbox(1_000, |counts: &mut Counts, mail, _| match mail {
        Mail::Message(()) => counts.messages += 1,
        Mail::Closed => counts.closed += 1,
    });
    let sender = sender.unwrap();
    let clone = sender.clone();
    (0..1_000).for_each(|_| clone.try_send(()).unwrap());
    drop(clone);
    let mut counts = Counts::default();
    for _ in 0..10 {
        let _ = events.turn_now(&mut counts).unwrap();
    }
    assert_eq!((counts.messages, counts.closed), (1_000, 0));
    drop(sender);
    events.run(&mut counts).unwrap();
    assert_eq!((counts.messages, counts.closed), (1_000, 1));
    assert!(events.is_empty());
}

#[test]
fn a_wake_after_the_loop_is_gone_keeps_nothing_alive() {
    for closed_first in [true, false] {
        let remote = Remote::new(None);
        let watch = Arc::downgrade(&remote);
        let waker = Waker::new(Arc::clone(&remote), Token::from_bits(1));
        if closed_first {
            remote.close();
            waker.wake();
        } else {
            waker.wake();
            remote.close();
        }
        drop((remote, waker));
        assert!(watch.upgrade().is_none(), "closed first: {closed_first}");
    }
}

/// Descriptors of this process that look like `kind`.
fn descriptors(kind: &str) -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap();
    let links = links.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links
        .filter(|link| link.to_string_lossy().contains(kind))
        .count()
}

#[test]
fn senders_that_outlive_their_loop_leak_no_descriptor() {
    const LOOPS: usize = 200; // other tests of this process have a few at a time
    let before = descriptors("eventfd");
    for _ in 0..LOOPS {
        let mut events = EventLoop::<()>::new().unwrap();
        let sender = events.inbox(1, |(), _: Mail<u8>, _| ()).unwrap();
        drop(events);
        assert_eq!(sender.try_send(7), Err(SendError::Closed(7)));
        drop(sender);
    }
    assert!(descriptors("eventfd") < before + LOOPS / 2);
}
