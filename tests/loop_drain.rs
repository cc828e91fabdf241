//! A drain ends the run of a loop, not the loop.

use std::time::Duration;

use trine::reactor::{ErrorKind, Mail, Removed, SendError};
use trine::{Context, Event, EventLoop, EventSource, Next, Sources};

/// What a [`Worker`] saw.
#[derive(Debug, PartialEq, Eq)]
enum Saw {
    Drain,
    Removed(Removed),
}

/// Closes when told to drain, or not.
struct Worker {
    obeys: bool,
}

impl EventSource<Vec<Saw>> for Worker {
    fn handle(&mut self, event: Event, saw: &mut Vec<Saw>, _: &mut Context<'_, Vec<Saw>>) -> Next {
        match event {
            Event::Drain => {
                saw.push(Saw::Drain);
                if self.obeys { Next::Close } else { Next::Wait }
            }
            _ => Next::Wait,
        }
    }

    fn removed(self: Box<Self>, why: Removed, saw: &mut Vec<Saw>, _: &mut Context<'_, Vec<Saw>>) {
        saw.push(Saw::Removed(why));
    }
}

fn draining(obeys: bool, grace: Duration) -> EventLoop<Vec<Saw>> {
    let mut event_loop = EventLoop::new().unwrap();
    event_loop.insert(Worker { obeys }).unwrap();
    event_loop
        .call_after(Duration::ZERO, move |_, cx| cx.drain(grace))
        .unwrap();
    event_loop
}

#[test]
fn a_loop_that_has_drained_can_be_run_again() {
    let mut saw = Vec::new();
    let mut event_loop = draining(true, Duration::from_secs(60));
    event_loop.run(&mut saw).unwrap();
    assert_eq!(saw, [Saw::Drain, Saw::Removed(Removed::Closed)]);
    assert!(!event_loop.context().is_draining());
    event_loop
        .call_after(Duration::from_millis(5), |_, cx| cx.stop())
        .unwrap();
    event_loop.run(&mut saw).unwrap();
    assert_eq!(saw.len(), 2);
}

#[test]
fn a_drain_that_is_cut_by_its_deadline_says_what_was_unfinished_and_removes_it() {
    let mut saw = Vec::new();
    let mut event_loop = draining(false, Duration::from_millis(20));
    let error = event_loop.run(&mut saw).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DrainForced);
    assert!(
        error.to_string().contains("1 sources were unfinished: 1 "),
        "{error}"
    );
    assert_eq!(saw, [Saw::Drain, Saw::Removed(Removed::Forced)]);
    assert!(event_loop.is_empty());
    event_loop.run(&mut saw).unwrap(); // nothing is left to run for
}

#[test]
fn stopping_ends_the_run_and_not_the_drain() {
    let mut saw = Vec::new();
    let mut event_loop = draining(false, Duration::from_secs(60));
    event_loop
        .call_after(Duration::from_millis(5), |_, cx| cx.stop())
        .unwrap();
    event_loop.run(&mut saw).unwrap();
    assert!(event_loop.context().is_draining());
    event_loop.context().force();
    let error = event_loop.run(&mut saw).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DrainForced);
    assert_eq!(saw, [Saw::Drain, Saw::Removed(Removed::Forced)]);
}

#[test]
fn forcing_a_loop_that_does_not_drain_has_no_effect() {
    let mut event_loop = EventLoop::<()>::new().unwrap();
    event_loop
        .call_after(Duration::ZERO, |(), cx| cx.force())
        .unwrap();
    let kept = event_loop
        .call_after(Duration::from_secs(60), |(), _| {})
        .unwrap();
    event_loop
        .call_after(Duration::from_millis(5), |(), cx| cx.stop())
        .unwrap();
    event_loop.run(&mut ()).unwrap();
    assert!(event_loop.context().contains(kept));
}

#[test]
fn a_complete_drain_sees_off_those_that_only_served_the_others() {
    let mut event_loop = draining(true, Duration::from_secs(60));
    let sender = event_loop.inbox(1, |_, _: Mail<u32>, _| {}).unwrap();
    event_loop.run(&mut Vec::new()).unwrap();
    assert!(event_loop.is_empty());
    assert_eq!(
        sender.try_send(1),
        Err(SendError::Closed(1)),
        "nobody would wait for ever"
    );
}
