//! What a turn does, in which order, and of what how much at most.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use signal_hook::low_level::raise;

use super::super::demultiplexer::SIGNALS;
use super::super::event_loop::{
    DEADLINES_PER_TURN, DRAINED_PER_TURN, LEFTOVERS_PER_TURN, WOKEN_PER_TURN,
};
use super::super::{
    Class, Context, Event, EventLoop, EventSource, Next, Readiness, Signal, Sources, Waker,
};
use super::virtual_loop::{MILLI, machine, probe, virtual_loop};
use crate::slab::Token;
use crate::time::Tick;

const MANY: usize = 5_000;

/// A loop with many sources that each wait for tick 10 and count the events of one kind.
fn crowd(kind: fn(Event) -> bool) -> (EventLoop<usize>, Vec<Token>) {
    let mut events = virtual_loop();
    let count = move |event, counted: &mut usize, _: &mut Context<'_, usize>| {
        *counted += usize::from(kind(event));
        match event {
            Event::Deadline => Next::Wait,
            _ => Next::Until(Tick(10)),
        }
    };
    let tokens = (0..MANY).map(|_| probe(&mut events, count)).collect();
    (events, tokens)
}

fn introduce(events: &mut EventLoop<usize>) {
    while events.context().core.has_leftovers() {
        let _ = events.turn_now(&mut 0).unwrap();
    }
}

/// How many events the next turns dispatch, each.
fn of_turns<const TURNS: usize>(events: &mut EventLoop<usize>) -> [usize; TURNS] {
    std::array::from_fn(|_| {
        let mut counted = 0;
        let _ = events.turn_now(&mut counted).unwrap();
        counted
    })
}

#[test]
fn five_thousand_leftovers_deadlines_or_wake_ups_take_no_more_than_their_budget_of_a_turn() {
    let (mut events, _) = crowd(|event| matches!(event, Event::Resumed));
    let rest = MANY - 4 * LEFTOVERS_PER_TURN;
    let full = LEFTOVERS_PER_TURN;
    assert_eq!(of_turns(&mut events), [full, full, full, full, rest, 0]);

    let (mut events, _) = crowd(|event| matches!(event, Event::Deadline));
    introduce(&mut events);
    machine(&mut events).nanos = 10 * MILLI;
    let rest = MANY - 4 * DEADLINES_PER_TURN;
    let full = DEADLINES_PER_TURN;
    assert_eq!(of_turns(&mut events), [full, full, full, full, rest, 0]);

    let (mut events, tokens) = crowd(|event| matches!(event, Event::Woken));
    introduce(&mut events);
    tokens
        .iter()
        .for_each(|token| events.context().waker(*token).wake());
    let rest = MANY - 4 * WOKEN_PER_TURN;
    let full = WOKEN_PER_TURN;
    assert_eq!(of_turns(&mut events), [full, full, full, full, rest, 0]);
}

#[test]
fn five_thousand_sources_are_told_of_a_drain_within_the_budget_of_a_turn() {
    let (mut events, _) = crowd(|event| matches!(event, Event::Drain));
    introduce(&mut events);
    events.context().drain(Duration::from_secs(1));
    let full = DRAINED_PER_TURN as usize;
    assert_eq!(of_turns(&mut events), [full, MANY - full, 0]);
}

#[test]
fn targets_that_are_woken_faster_than_they_are_told_stand_in_the_list_once() {
    let (mut events, tokens) = crowd(|event| matches!(event, Event::Woken));
    introduce(&mut events);
    let wakers: Vec<Waker> = tokens
        .iter()
        .map(|token| events.context().waker(*token))
        .collect();
    let mut told = 0;
    for _ in 0..100 {
        wakers.iter().for_each(Waker::wake);
        let _ = events.turn_now(&mut told).unwrap();
        assert!(
            events.woken.len() <= MANY,
            "{} in the list",
            events.woken.len()
        );
    }
    assert!(told > 90 * WOKEN_PER_TURN, "{told}: the budget is used");
    // Nobody is forgotten: whoever was woken last is told, and then there is silence.
    let [.., last] = of_turns::<20>(&mut events);
    assert_eq!(last, 0);
}

/// Says its name whatever happens; only "late" waits, for tick 10.
struct Named {
    name: &'static str,
    class: Class,
}

impl EventSource<Vec<&'static str>> for Named {
    fn handle(
        &mut self,
        event: Event,
        log: &mut Vec<&'static str>,
        _: &mut Context<'_, Vec<&'static str>>,
    ) -> Next {
        log.push(self.name);
        match event {
            Event::Resumed if self.name == "late" => Next::Until(Tick(10)),
            _ => Next::Wait,
        }
    }

    fn class(&self) -> Class {
        self.class
    }
}

#[test]
fn a_turn_goes_from_signals_and_wake_ups_over_readiness_by_class_to_deadlines_and_leftovers() {
    let (mut events, mut log) = (virtual_loop(), Vec::new());
    let mut named = |name, class| events.insert(Named { name, class }).unwrap();
    let late = named("late", Class::Normal); // first of all in the table
    let left = named("left over", Class::Normal);
    let bulk = named("bulk", Class::Bulk);
    let normal = named("normal", Class::Normal);
    let control = named("control", Class::Control);
    let woken = named("woken", Class::Normal);
    let signal = Signal::from_number(61).unwrap();
    let signalled = |log: &mut Vec<&'static str>, _, _: &mut Context<'_, _>| log.push("signal");
    events.signals([signal], signalled).unwrap();
    let _ = events.turn_now(&mut log).unwrap();
    log.clear();

    // Everything at once, and reported in the wrong order.
    let batch = [bulk, normal, control, SIGNALS].map(|token| (token, Readiness::READABLE));
    machine(&mut events).script.push_back(batch.to_vec());
    machine(&mut events).nanos = 10 * MILLI;
    raise(signal.number()).unwrap();
    events.context().waker(woken).wake();
    events.context().resume(left);
    let _ = events.turn_now(&mut log).unwrap();
    assert!(events.context().contains(late));
    let expected = [
        "signal",
        "woken",
        "control",
        "normal",
        "bulk",
        "late",
        "left over",
    ];
    assert_eq!(log, expected);
}

#[test]
fn a_wake_up_during_the_telling_of_others_is_told_after_them() {
    let mut events = virtual_loop::<Vec<u32>>();
    let waker = Rc::new(Cell::new(None::<Waker>));
    let ring = Rc::clone(&waker);
    let first = probe(&mut events, move |event, heard: &mut Vec<u32>, _| {
        if matches!(event, Event::Woken) {
            heard.push(1);
            if let Some(waker) = ring.take() {
                waker.wake();
            }
        }
        Next::Wait
    });
    let second = probe(&mut events, |event, heard: &mut Vec<u32>, _| {
        if matches!(event, Event::Woken) {
            heard.push(2);
        }
        Next::Wait
    });
    let mut heard = Vec::new();
    let _ = events.turn_now(&mut heard).unwrap();
    waker.set(Some(events.context().waker(first)));
    for token in [first, second] {
        events.context().waker(token).wake();
    }
    for _ in 0..3 {
        let _ = events.turn_now(&mut heard).unwrap();
    }
    assert_eq!(heard, [1, 2, 1]);
}
