//! Nothing that was meant for a removed source reaches its successor, and every removal happens
//! once.

use std::os::unix::net::UnixStream;

use super::super::{Context, Event, EventSource, Next, Readiness, Registry, Removed, Sources};
use super::virtual_loop::{MILLI, machine, virtual_loop};
use crate::slab::Token;
use crate::time::Tick;

/// What the sources of these tests share: who was called with what, and whom to act upon.
#[derive(Default)]
struct Stage {
    log: Vec<String>,
    victim: Option<Token>,
}

/// A source that notes its calls and does what its closure says.
struct Actor<F> {
    name: &'static str,
    descriptor: Option<UnixStream>,
    act: F,
}

impl<F> EventSource<Stage> for Actor<F>
where
    F: FnMut(Event, &mut Stage, &mut Context<'_, Stage>) -> Next + 'static,
{
    fn register(&mut self, registry: &mut Registry<'_>) -> std::io::Result<()> {
        let descriptor = self.descriptor.as_ref();
        descriptor.map_or(Ok(()), |descriptor| registry.descriptor(descriptor))
    }

    fn handle(&mut self, event: Event, stage: &mut Stage, cx: &mut Context<'_, Stage>) -> Next {
        let event_name = match event {
            Event::Ready(_) => "ready",
            Event::Deadline => "deadline",
            Event::Woken => "woken",
            Event::Resumed => "resumed",
            _ => "other",
        };
        stage.log.push(format!("{} {event_name}", self.name));
        (self.act)(event, stage, cx)
    }

    fn removed(self: Box<Self>, why: Removed, stage: &mut Stage, _: &mut Context<'_, Stage>) {
        stage.log.push(format!("{} {why:?}", self.name));
    }
}

fn actor<F>(on: &mut impl Sources<Stage>, name: &'static str, act: F) -> Token
where
    F: FnMut(Event, &mut Stage, &mut Context<'_, Stage>) -> Next + 'static,
{
    let source = Actor {
        name,
        descriptor: None,
        act,
    };
    on.context().insert(source).unwrap()
}

fn is_news(event: Event) -> bool {
    !matches!(event, Event::Resumed)
}

#[test]
fn a_source_removed_earlier_in_the_batch_is_not_called_for_its_event_which_counts_as_stale() {
    let (mut events, mut stage) = (virtual_loop(), Stage::default());
    let first = actor(&mut events, "a", |event, stage: &mut Stage, cx| {
        if is_news(event) {
            assert!(cx.remove(stage.victim.unwrap()));
        }
        Next::Wait
    });
    let second = actor(&mut events, "b", |_, _, _| Next::Wait);
    stage.victim = Some(second);
    let _ = events.turn_now(&mut stage).unwrap();
    stage.log.clear();

    let batch = [first, second].map(|token| (token, Readiness::READABLE));
    machine(&mut events).script.push_back(batch.to_vec());
    let _ = events.turn_now(&mut stage).unwrap();
    assert_eq!(stage.log, ["a ready", "b Cancelled"]);
    assert_eq!(events.metrics().stale_events, 1);
}

/// Lets `a` replace `b` by `c` in one callback, while readiness, a deadline and a wake are on
/// their way to `b`, as `arrange` arranges. What `c` was told.
fn told_to_the_successor(arrange: fn(&mut super::super::EventLoop<Stage>, [Token; 2])) {
    let (mut events, mut stage) = (virtual_loop(), Stage::default());
    let first = actor(&mut events, "a", |event, stage: &mut Stage, cx| {
        if let Some(victim) = stage.victim.take_if(|_| is_news(event)) {
            assert!(cx.remove(victim));
            let successor = actor(cx, "c", |_, _, _| Next::Wait);
            assert_eq!(successor.index(), victim.index());
            assert_ne!(successor, victim);
        }
        Next::Until(Tick(10))
    });
    let second = actor(&mut events, "b", |_, _, _| Next::Until(Tick(10)));
    stage.victim = Some(second);
    let _ = events.turn_now(&mut stage).unwrap();
    stage.log.clear();

    arrange(&mut events, [first, second]);
    for _ in 0..3 {
        let _ = events.turn_now(&mut stage).unwrap();
    }
    assert!(stage.victim.is_none(), "nothing happened to a");
    stage.log.retain(|line| !line.starts_with('a'));
    assert_eq!(stage.log, ["b Cancelled", "c resumed"]);
}

#[test]
fn a_source_inserted_into_the_slot_of_a_removed_one_does_not_see_its_readiness() {
    told_to_the_successor(|events, tokens| {
        let batch = tokens.map(|token| (token, Readiness::READABLE));
        machine(events).script.push_back(batch.to_vec());
    });
}

#[test]
fn a_source_inserted_into_the_slot_of_a_removed_one_does_not_see_its_deadline() {
    told_to_the_successor(|events, _| machine(events).nanos = 10 * MILLI);
}

#[test]
fn a_source_inserted_into_the_slot_of_a_removed_one_does_not_see_its_wake() {
    told_to_the_successor(|events, tokens| {
        for token in tokens {
            events.context().waker(token).wake();
        }
    });
}

#[test]
fn a_source_that_removes_itself_is_seen_off_once_whatever_it_returns() {
    for next in [Next::Wait, Next::Until(Tick(3)), Next::Again, Next::Close] {
        let (mut events, mut stage) = (virtual_loop(), Stage::default());
        let _other = actor(&mut events, "other", |_, _, _| Next::Wait);
        let token = actor(&mut events, "self", move |_, _, cx| {
            assert!(cx.remove(cx.token()));
            next
        });
        for millis in 0..5 {
            machine(&mut events).nanos = millis * MILLI;
            let _ = events.turn_now(&mut stage).unwrap();
        }
        assert_eq!(
            stage.log,
            ["other resumed", "self resumed", "self Cancelled"],
            "{next:?}"
        );
        assert!(!events.context().contains(token));
        assert_eq!((events.len(), events.metrics().stale_events), (1, 0));
    }
}

#[test]
fn a_source_that_panics_or_closes_costs_the_others_of_its_batch_nothing() {
    let (mut events, mut stage) = (virtual_loop(), Stage::default());
    let tokens = [
        actor(&mut events, "closes", |event, _, _| match is_news(event) {
            true => Next::Close, // its descriptor failed
            false => Next::Wait,
        }),
        actor(&mut events, "panics", |event, _, _| match is_news(event) {
            true => panic!("a bug"),
            false => Next::Wait,
        }),
        actor(&mut events, "last", |_, _, _| Next::Wait),
    ];
    let _ = events.turn_now(&mut stage).unwrap();
    stage.log.clear();

    let batch = tokens.map(|token| (token, Readiness::READABLE));
    machine(&mut events).script.push_back(batch.to_vec());
    let _ = events.turn_now(&mut stage).unwrap();
    assert_eq!(
        stage.log,
        [
            "closes ready",
            "closes Closed",
            "panics ready",
            "panics Panicked",
            "last ready",
        ]
    );
}

#[test]
fn a_source_that_panics_leaves_no_slot_no_deadline_and_no_registration_behind() {
    let (mut events, mut stage) = (virtual_loop(), Stage::default());
    let (descriptor, _peer) = UnixStream::pair().unwrap();
    let source = Actor {
        name: "panics",
        descriptor: Some(descriptor),
        act: |event: Event, _: &mut Stage, _: &mut Context<'_, Stage>| match is_news(event) {
            true => panic!("a bug"),
            false => Next::Until(Tick(5)),
        },
    };
    let token = events.insert(source).unwrap();
    let other = actor(&mut events, "other", |_, _, _| Next::Until(Tick(9)));
    let _ = events.turn_now(&mut stage).unwrap();
    stage.log.clear();

    let batch = vec![(token, Readiness::READABLE)];
    machine(&mut events).script.push_back(batch);
    for millis in 0..9 {
        machine(&mut events).nanos = millis * MILLI;
        let _ = events.turn_now(&mut stage).unwrap();
    }
    assert_eq!(stage.log, ["panics ready", "panics Panicked"]);
    let machine = machine(&mut events);
    let registrations = (machine.registered.get(), machine.deregistered.get());
    assert_eq!(registrations, (1, 1));
    assert_eq!((events.len(), events.metrics().panics), (1, 1));

    // The loop goes on, and gives the slot away again.
    machine_at(&mut events, 9);
    let _ = events.turn_now(&mut stage).unwrap();
    assert_eq!(stage.log.last().unwrap(), "other deadline");
    let successor = actor(&mut events, "next", |_, _, _| Next::Wait);
    assert_eq!(successor.index(), token.index());
    assert!(events.context().contains(other));
}

fn machine_at(events: &mut super::super::EventLoop<Stage>, millis: u64) {
    machine(events).nanos = millis * MILLI;
}

/// Panics at a chosen moment of its life.
struct Bomb {
    at: &'static str,
    descriptor: UnixStream,
}

impl EventSource<Stage> for Bomb {
    fn register(&mut self, registry: &mut Registry<'_>) -> std::io::Result<()> {
        registry.descriptor(&self.descriptor)?;
        assert_ne!(self.at, "register");
        Ok(())
    }

    fn handle(&mut self, _: Event, _: &mut Stage, _: &mut Context<'_, Stage>) -> Next {
        Next::Close
    }

    fn removed(self: Box<Self>, _: Removed, _: &mut Stage, _: &mut Context<'_, Stage>) {
        assert_ne!(self.at, "removed");
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        assert_ne!(self.at, "drop");
    }
}

#[test]
fn a_panic_in_register_in_the_last_call_or_in_drop_leaves_nothing_behind_either() {
    for at in ["register", "removed", "drop"] {
        let (mut events, mut stage) = (virtual_loop(), Stage::default());
        actor(&mut events, "inserts", move |event, _, cx| {
            if !is_news(event) {
                let (descriptor, _) = UnixStream::pair().unwrap();
                cx.insert(Bomb { at, descriptor }).unwrap();
            }
            Next::Wait
        });
        let other = actor(&mut events, "other", |_, _, _| Next::Wait);
        for _ in 0..3 {
            let _ = events.turn_now(&mut stage).unwrap();
        }
        assert_eq!(events.metrics().panics, 1, "{at}");
        let machine = machine(&mut events);
        let registrations = (machine.registered.get(), machine.deregistered.get());
        assert_eq!(registrations, (1, 1), "{at}");

        // Whoever drains it finds all in order.
        assert!(events.context().contains(other));
        events.context().drain(std::time::Duration::ZERO);
        events.context().force();
        let error = events.run(&mut stage).unwrap_err();
        let unfinished = if at == "register" { 1 } else { 2 };
        assert!(error.to_string().contains(&format!("{unfinished} sources")));
        assert!(events.is_empty(), "{at}");
    }
}
