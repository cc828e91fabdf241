//! Inboxes on the real kernel: senders on other threads, and what goes first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use signal_hook::low_level::raise;
use trine::reactor::{
    Context, ErrorKind, EventLoop, InboxSender, Mail, SendError, Signal, Sources, Waker,
};

/// What an inbox said, in order; `None` for closed.
type Said = Vec<Option<u32>>;

/// A loop whose inbox keeps what it says, stops when closed, and never runs for long.
fn with_inbox(capacity: usize) -> (EventLoop<Said>, InboxSender<u32>) {
    let mut events = EventLoop::new().unwrap();
    let keep = |said: &mut Said, mail, cx: &mut Context<'_, Said>| match mail {
        Mail::Message(number) => said.push(Some(number)),
        Mail::Closed => {
            said.push(None);
            cx.stop();
        }
    };
    let sender = events.inbox(capacity, keep).unwrap();
    let give_up = |_: &mut Said, cx: &mut Context<'_, Said>| cx.stop();
    events.call_after(Duration::from_secs(20), give_up).unwrap();
    (events, sender)
}

#[test]
fn a_full_inbox_gives_the_message_back_to_who_will_not_wait() {
    let (mut events, sender) = with_inbox(2);
    assert_eq!(sender.try_send(1), Ok(()));
    assert_eq!(sender.try_send(2), Ok(()));
    assert_eq!(sender.try_send(3), Err(SendError::Full(3)));
    let mut said = Said::new();
    let _ = events.turn(&mut said).unwrap();
    assert_eq!(said, [Some(1), Some(2)]);
    assert_eq!(sender.try_send(3), Ok(()), "there is room again");
}

#[test]
fn the_loop_thread_is_refused_to_wait_for_itself_but_may_send_while_there_is_room() {
    let (mut events, sender) = with_inbox(1);
    assert_eq!(sender.send(1), Ok(()));
    assert_eq!(sender.send(2), Err(SendError::WouldDeadlock(2)));
    let from_inside = sender.clone();
    let send = move |_: &mut Said, _: &mut Context<'_, Said>| {
        assert_eq!(from_inside.send(3), Ok(()));
        assert_eq!(from_inside.send(4), Err(SendError::WouldDeadlock(4)));
    };
    events.call_after(Duration::from_millis(1), send).unwrap();
    drop(sender);
    let mut said = Said::new();
    events.run(&mut said).unwrap();
    assert_eq!(said, [Some(1), Some(3), None]);
}

#[test]
fn another_thread_waits_for_room_and_every_message_arrives_in_its_order() {
    let (mut events, sender) = with_inbox(3);
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let sender = sender.clone();
            thread::spawn(move || (0..2_000).try_for_each(|n| sender.send(thread * 10_000 + n)))
        })
        .collect();
    drop(sender);
    let mut said = Said::new();
    events.run(&mut said).unwrap();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Ok(()));
    }
    assert_eq!(said.pop(), Some(None));
    for thread in 0..4 {
        let sent = said
            .iter()
            .flatten()
            .filter(|number| **number / 10_000 == thread);
        assert!(sent.copied().eq(thread * 10_000..thread * 10_000 + 2_000));
    }
    assert_eq!(said.len(), 8_000, "none twice, and closed once");
}

#[test]
fn a_loop_that_outlives_its_senders_hears_of_it_once_from_any_thread() {
    let (mut events, sender) = with_inbox(8);
    let clones: Vec<_> = (0..8).map(|_| sender.clone()).collect();
    drop(sender);
    let threads = clones
        .into_iter()
        .map(|sender| thread::spawn(move || drop(sender)));
    let threads: Vec<_> = threads.collect();
    let mut said = Said::new();
    events.run(&mut said).unwrap();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert_eq!(said, [None]);
    assert_eq!(events.len(), 1, "the inbox is closed, the timer stays");
}

#[test]
fn a_sender_that_outlives_its_loop_is_told_closed_and_one_that_waits_is_released() {
    let (events, sender) = with_inbox(1);
    sender.try_send(1).unwrap();
    let (tell, told) = channel();
    let waiting = sender.clone();
    let thread = thread::spawn(move || {
        tell.send(()).unwrap();
        waiting.send(2)
    });
    told.recv().unwrap();
    drop(events);
    assert_eq!(thread.join().unwrap(), Err(SendError::Closed(2)));
    assert_eq!(sender.try_send(3), Err(SendError::Closed(3)));
    assert_eq!(sender.send(4), Err(SendError::Closed(4)));
}

#[test]
fn the_parts_of_an_inbox_may_be_dropped_in_any_order() {
    for order in 0..120_usize {
        let (events, sender) = with_inbox(4);
        let waker = wake_somebody();
        sender.try_send(1).unwrap();
        let mut parts: Vec<Box<dyn std::any::Any>> = vec![
            Box::new(events),
            Box::new(sender.clone()),
            Box::new(sender),
            Box::new(waker.0),
            Box::new(waker.1),
        ];
        // The order-th permutation.
        let mut rest = order;
        while !parts.is_empty() {
            let part = parts.remove(rest % parts.len());
            rest /= parts.len() + 1;
            drop(part);
        }
    }
}

/// A loop that is to be woken, and what wakes it.
fn wake_somebody() -> (EventLoop<Said>, Waker) {
    let mut events = EventLoop::new().unwrap();
    let token = events
        .call_after(Duration::from_secs(1), |_, _| ())
        .unwrap();
    let waker = events.context().waker(token);
    waker.wake();
    (events, waker)
}

#[test]
fn a_wake_after_the_loop_or_the_source_is_gone_does_nothing() {
    let (mut events, waker) = wake_somebody();
    assert!(events.context().remove(waker.token()));
    let mut said = Said::new();
    let _ = events.turn_now(&mut said).unwrap();
    assert!(!waker.is_closed());
    drop(events);
    assert!(waker.is_closed());
    waker.wake();
}

#[test]
fn a_flood_of_messages_keeps_neither_timers_nor_signals_from_running() {
    #[derive(Default)]
    struct Counts {
        messages: u64,
        ticks: u64,
        signals: u64,
    }
    let mut events = EventLoop::<Counts>::new().unwrap();
    let count = |counts: &mut Counts, _: Mail<u64>, _: &mut Context<'_, _>| counts.messages += 1;
    let sender = events.inbox(4_096, count).unwrap();
    let signal = Signal::from_number(50).unwrap();
    let signalled = |counts: &mut Counts, _, _: &mut Context<'_, _>| counts.signals += 1;
    events.signals([signal], signalled).unwrap();
    let tick = move |counts: &mut Counts, _, cx: &mut Context<'_, Counts>| {
        counts.ticks += 1;
        raise(signal.number()).unwrap();
        if counts.ticks == 100 {
            cx.stop();
        }
    };
    events.every(Duration::from_millis(1), tick).unwrap();
    let flooding = Arc::new(AtomicBool::new(true));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (sender, flooding) = (sender.clone(), Arc::clone(&flooding));
            thread::spawn(move || {
                while flooding.load(Ordering::Relaxed) {
                    let _ = sender.try_send(1);
                }
            })
        })
        .collect();
    let mut counts = Counts::default();
    events.run(&mut counts).unwrap();
    flooding.store(false, Ordering::Relaxed);
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert_eq!(counts.ticks, 100);
    assert!(counts.signals >= 90, "{} signals", counts.signals);
    assert!(counts.messages > 0);
    assert!(events.metrics().wakeups <= events.metrics().turns);
}

#[test]
fn an_inbox_without_room_is_refused() {
    let mut events = EventLoop::<Said>::new().unwrap();
    let error = events.inbox(0, |_, _: Mail<u32>, _| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn an_inbox_that_its_own_callback_removes_says_nothing_more() {
    let mut events = EventLoop::<u32>::new().unwrap();
    let once = |heard: &mut u32, _: Mail<u32>, cx: &mut Context<'_, u32>| {
        *heard += 1;
        cx.remove(cx.token());
    };
    let sender = events.inbox(8, once).unwrap();
    for number in 0..8 {
        sender.try_send(number).unwrap();
    }
    let mut heard = 0;
    events.run(&mut heard).unwrap(); // ends, for no source is left
    assert_eq!(heard, 1);
}

#[test]
fn a_loop_that_is_awake_is_woken_without_a_system_call() {
    let mut events = EventLoop::<u32>::new().unwrap();
    let inbox = |heard: &mut u32, _: Mail<u32>, _: &mut Context<'_, u32>| *heard += 1;
    let senders: Vec<_> = (0..100).map(|_| events.inbox(8, inbox).unwrap()).collect();
    let mut heard = 0;
    let _ = events.turn_now(&mut heard).unwrap();
    let sending = thread::spawn(move || {
        senders
            .iter()
            .for_each(|sender| sender.try_send(1).unwrap());
        senders
    });
    let senders = sending.join().unwrap();
    let _ = events.turn(&mut heard).unwrap(); // it did not sleep between the turns
    assert_eq!((heard, senders.len()), (100, 100));
    assert_eq!(events.metrics().wakeups, 1);
    assert_eq!(events.metrics().eventfd_writes, 0);
}

#[test]
fn a_storm_of_messages_writes_the_eventfd_once_a_sleep_and_loses_none() {
    const THREADS: usize = 8;
    let (mut events, sender) = with_inbox(1_024);
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let sender = sender.clone();
            thread::spawn(move || {
                let sent = (0..25_000).filter(|number| sender.try_send(*number).is_ok());
                sent.count()
            })
        })
        .collect();
    drop(sender);
    let mut said = Said::new();
    events.run(&mut said).unwrap();
    let sent: usize = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert_eq!(said.len(), sent + 1, "and the end");
    let metrics = events.metrics();
    assert!(metrics.eventfd_writes <= metrics.turns);
    assert!(sent as u64 > metrics.eventfd_writes);
}
