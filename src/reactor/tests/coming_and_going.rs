//! Inserting and removing, a hundred thousand times.

use std::time::{Duration, Instant};

use super::super::{Event, EventLoop, Next};
use super::virtual_loop::{probe, virtual_loop};
use crate::slab::Token;

const MANY: usize = 100_000;
const WINDOW: usize = 1_000;

fn insert(events: &mut EventLoop<u64>) -> Token {
    probe(events, |event: Event, calls: &mut u64, _| {
        *calls += u64::from(matches!(event, Event::Resumed));
        Next::Wait
    })
}

/// The shortest of the times of some windows: what else the machine does lengthens only others.
fn shortest(windows: &[Duration]) -> Duration {
    *windows.iter().min().unwrap()
}

#[test]
fn the_hundred_thousandth_source_costs_what_the_first_one_did() {
    let mut events = virtual_loop();
    let mut tokens = Vec::new();
    let mut times = Vec::new();
    for _ in 0..MANY / WINDOW {
        let began = Instant::now();
        tokens.extend((0..WINDOW).map(|_| insert(&mut events)));
        times.push(began.elapsed());
    }
    let inserted = times.len();
    for round in 0..MANY / WINDOW {
        let began = Instant::now();
        for number in 0..WINDOW {
            // All over the table, so that free places are not at its end.
            let victim = (round * WINDOW + number) * 7_919 % MANY;
            assert!(events.context().remove(tokens[victim]));
            tokens[victim] = insert(&mut events);
            assert_eq!(
                tokens[victim].index(),
                victim as u32,
                "a free place is used"
            );
        }
        times.push(began.elapsed());
    }
    assert_eq!(events.len(), MANY);
    // A search for a free place would cost 100,000 steps at the end and none in the beginning.
    let (first, last) = (
        shortest(&times[..10]),
        shortest(&times[inserted - 10..inserted]),
    );
    assert!(last < first * 20, "insertion: {first:?}, then {last:?}");
    let (first, last) = (
        shortest(&times[inserted..inserted + 10]),
        shortest(&times[190..]),
    );
    assert!(last < first * 20, "replacement: {first:?}, then {last:?}");
}

/// The shortest time in which `WINDOW` sources of a loop with `sources` are replaced.
fn replacing(sources: usize) -> Duration {
    let mut events = virtual_loop();
    let mut tokens: Vec<Token> = (0..sources).map(|_| insert(&mut events)).collect();
    let mut times = Vec::new();
    for round in 0..50 {
        let began = Instant::now();
        for number in 0..WINDOW {
            let victim = (round * WINDOW + number) * 7_919 % sources; // all over the table
            assert!(events.context().remove(tokens[victim]));
            tokens[victim] = insert(&mut events);
        }
        times.push(began.elapsed());
    }
    assert_eq!(events.len(), sources);
    shortest(&times)
}

#[test]
fn a_source_among_a_hundred_thousand_is_replaced_at_the_cost_of_one_among_a_thousand() {
    let (few, many) = (replacing(WINDOW), replacing(MANY));
    // A step for each source would make it a hundred times as much; memory that is farther away
    // makes it a few times as much.
    assert!(many < few * 20, "{few:?}, then {many:?}");
}

#[test]
fn those_who_left_before_their_first_turn_do_not_delay_those_who_stay() {
    let (mut events, mut calls) = (virtual_loop(), 0);
    for _ in 0..MANY {
        let token = insert(&mut events);
        events.context().remove(token);
    }
    insert(&mut events);
    let _ = events.turn_now(&mut calls).unwrap();
    assert_eq!(calls, 1);
    assert!(!events.context().core.has_leftovers());
}
