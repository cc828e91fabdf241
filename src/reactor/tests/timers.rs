//! Deadlines: never early, in order, fair to readiness, and cheap.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::super::demultiplexer::EVENTS_PER_WAIT;
use super::super::event_loop::DEADLINES_PER_TURN;
use super::super::{Context, Event, EventLoop, Next, Readiness, Sources};
use super::virtual_loop::{
    MILLI, SECOND, clock, machine, probe, run_turns, script_readable, virtual_loop,
};
use crate::slab::Token;
use crate::time::{Span, Tick};

#[test]
fn a_timer_is_never_early_and_at_most_a_tick_late_whatever_the_fraction_of_a_tick() {
    let mut random = fastrand::Rng::with_seed(24);
    let mut events = virtual_loop::<Vec<u64>>();
    let mut fired = Vec::new();
    for _ in 0..5_000 {
        machine(&mut events).nanos += random.u64(..3 * MILLI);
        let asked = clock(&mut events);
        let delay = random.u64(..4 * MILLI) * random.u64(..2);
        events
            .call_after(Duration::from_nanos(delay), |fired, cx| {
                fired.push(clock(cx));
            })
            .unwrap();
        events.run(&mut fired).unwrap();
        let late = fired.pop().unwrap().checked_sub(asked + delay);
        let late = late.expect("the timer was early");
        assert!(late <= MILLI, "{late} ns late: {asked} and {delay}");
    }
}

#[test]
fn deadlines_of_one_tick_come_in_slot_order_and_one_cancelled_by_an_earlier_one_never_comes() {
    let mut events = virtual_loop::<Vec<u64>>();
    let mut order = Vec::new();
    let call = |number: u64| move |order: &mut Vec<u64>, _: &mut Context<'_, _>| order.push(number);
    let soon = Duration::from_millis(5);
    events
        .call_after(Duration::from_millis(6), call(6))
        .unwrap();
    // Its slot is before that of the timer it cancels, and both are due in the same tick.
    let victim = Rc::new(Cell::new(None));
    let aim = Rc::clone(&victim);
    let cancel = move |order: &mut Vec<u64>, cx: &mut Context<'_, Vec<u64>>| {
        order.push(1);
        assert!(cx.remove(aim.get().unwrap()));
    };
    events.call_after(soon, cancel).unwrap();
    events.call_after(soon, call(2)).unwrap();
    victim.set(Some(events.call_after(soon, call(3)).unwrap()));
    events.call_after(soon, call(4)).unwrap();
    events
        .call_after(Duration::from_millis(4), call(0))
        .unwrap();
    events.run(&mut order).unwrap();
    assert_eq!(order, [0, 1, 2, 4, 6]);
}

#[test]
fn a_timer_without_delay_that_rearms_itself_has_one_pass_a_turn_and_starves_nobody() {
    #[derive(Default)]
    struct Counts {
        deadlines: usize,
        readiness: usize,
    }
    let mut events = virtual_loop::<Counts>();
    probe(&mut events, |event, counts: &mut Counts, cx| {
        counts.deadlines += usize::from(matches!(event, Event::Deadline));
        Next::Until(cx.now())
    });
    let reader = probe(&mut events, |event, counts: &mut Counts, _| {
        counts.readiness += usize::from(matches!(event, Event::Ready(_)));
        Next::Wait
    });
    script_readable(&mut events, reader, 1_000);
    let mut counts = Counts::default();
    for turn in 1..=1_000 {
        machine(&mut events).nanos += 2 * MILLI;
        run_turns(&mut events, &mut counts, 1);
        assert_eq!(counts.readiness, turn);
        assert!(counts.deadlines <= turn);
    }
    assert!(counts.deadlines > 900, "{} deadlines", counts.deadlines);
}

#[test]
fn one_idle_timer_wakes_a_sleeping_loop_at_most_once_for_each_level_of_the_wheel() {
    // 60 s are 60,000 ticks, so from any start no more than three digits of 256 change: two to
    // cascade, one to fire.
    let mut random = fastrand::Rng::with_seed(31);
    for _ in 0..200 {
        let mut events = virtual_loop::<()>();
        machine(&mut events).nanos = random.u64(..u64::MAX / 4);
        probe(&mut events, |event, (), cx| match event {
            Event::Deadline => Next::Close,
            _ => Next::Until(cx.after(Duration::from_secs(60))),
        });
        events.run(&mut ()).unwrap();
        let slept = machine(&mut events).sleeps;
        assert!((1..=3).contains(&slept), "{slept} sleeps");
    }
}

#[test]
fn a_deadline_that_only_moves_later_does_not_set_the_timerfd_again() {
    const EVENTS: usize = 1_000_000;
    const EVENTS_PER_WAIT: usize = 20;
    const IDLE: Duration = Duration::from_secs(5);
    let mut events = virtual_loop::<usize>();
    let connection = probe(&mut events, |event, fired: &mut usize, cx| match event {
        Event::Deadline => {
            *fired += 1;
            Next::Close
        }
        _ => {
            machine(cx).nanos += 50_000; // 50 µs between events: 50 s in all
            Next::Until(cx.after(IDLE))
        }
    });
    let mut fired = 0;
    for _ in 0..EVENTS / EVENTS_PER_WAIT {
        let batch = vec![(connection, Readiness::READABLE); EVENTS_PER_WAIT];
        machine(&mut events).script.push_back(batch);
        run_turns(&mut events, &mut fired, 1);
    }
    events.run(&mut fired).unwrap();
    assert_eq!(fired, 1);
    let metrics = events.metrics();
    assert!(metrics.events > EVENTS as u64);
    // The alarm rings every few seconds and finds the deadline moved: 50 s / 5 s, and cascades.
    assert!(metrics.timer_sets <= 40, "{} settings", metrics.timer_sets);
}

#[test]
fn a_monotonic_clock_that_goes_back_reads_as_one_that_stands_still() {
    let mut events = virtual_loop::<Vec<Tick>>();
    machine(&mut events).nanos = 100 * SECOND;
    events
        .call_after(Duration::from_secs(1), |seen, cx| seen.push(cx.now()))
        .unwrap();
    let mut seen = vec![events.context().now()];
    machine(&mut events).nanos = 40 * SECOND;
    assert_eq!(events.context().now(), seen[0]);
    let _ = events.turn_now(&mut seen).unwrap();
    assert_eq!(seen.len(), 1, "not early");
    events.run(&mut seen).unwrap();
    assert_eq!(seen, [Tick(100_000), Tick(101_000)]);
    let idle = events.metrics().idle;
    assert!(idle <= Duration::from_secs(1), "{idle:?}");
}

#[test]
fn far_deadlines_fire_on_their_tick_and_those_beyond_the_clock_never() {
    let day = Duration::from_secs(24 * 3600);
    let mut events = virtual_loop::<Vec<u64>>();
    for days in [25, 1, 366 * 50, 400] {
        let call = |fired: &mut Vec<u64>, cx: &mut Context<'_, _>| {
            fired.push(clock(cx));
        };
        events.call_after(day * days, call).unwrap();
    }
    let never = |_: &mut Vec<u64>, _: &mut Context<'_, _>| panic!("never came");
    let delays = [
        Duration::MAX,
        Duration::from_millis(u64::MAX),
        Duration::from_secs(u64::MAX),
    ];
    for delay in delays
        .into_iter()
        .chain([Duration::from_millis(u64::MAX - 1)])
    {
        events.call_after(delay, never).unwrap();
    }
    let stop = |_: &mut Vec<u64>, cx: &mut Context<'_, _>| cx.stop();
    events.call_after(day * 366 * 60, stop).unwrap();
    let mut fired = Vec::new();
    events.run(&mut fired).unwrap();
    assert_eq!(
        fired,
        [1, 25, 400, 366 * 50].map(|days| days * 86_400 * SECOND)
    );
    assert_eq!(
        events.len(),
        4,
        "those that never come are still waited for"
    );
}

#[test]
fn a_sleep_that_ends_early_and_brings_nothing_is_slept_again() {
    let mut events = virtual_loop::<u64>();
    events
        .call_after(Duration::from_secs(1), |at, cx| *at = clock(cx))
        .unwrap();
    let early = (1..=5).map(|_| Vec::new());
    machine(&mut events).script.extend(early);
    let mut at = 0;
    for _ in 0..6 {
        machine(&mut events).nanos += 100 * MILLI;
        run_turns(&mut events, &mut at, 1);
    }
    events.run(&mut at).unwrap();
    assert_eq!(at, SECOND);
    assert!(events.metrics().timer_sets <= 3);
}

/// Sources that each work for 1 ms and say what they take for the present.
fn workers(events: &mut EventLoop<Vec<Tick>>, count: usize) -> Vec<Token> {
    let work = |event, seen: &mut Vec<Tick>, cx: &mut Context<'_, _>| {
        if matches!(event, Event::Ready(_)) {
            seen.push(cx.now());
            machine(cx).nanos += MILLI;
        }
        Next::Wait
    };
    (0..count).map(|_| probe(events, work)).collect()
}

#[test]
fn now_is_cached_for_a_turn_and_read_again_after_sixteen_callbacks() {
    let mut events = virtual_loop::<Vec<Tick>>();
    let tokens = workers(&mut events, 40);
    let mut seen = Vec::new();
    let _ = events.turn_now(&mut seen).unwrap(); // the first calls, without news
    let ready = tokens.iter().map(|token| (*token, Readiness::READABLE));
    let batch = ready.collect();
    machine(&mut events).script.push_back(batch);
    let _ = events.turn(&mut seen).unwrap();
    // One in 64 is timed alone, and the clock is read for it as well.
    let expected = [&[0; 16][..], &[16; 16], &[32; 1], &[33; 7]].concat();
    assert!(seen.iter().map(|tick| tick.0).eq(expected));
}

#[test]
fn a_delay_asked_for_after_long_work_counts_from_the_cached_present() {
    let mut events = virtual_loop::<Vec<u64>>();
    events
        .call_after(Duration::from_millis(10), |_, cx| {
            machine(cx).nanos += 500 * MILLI;
            let note = |fired: &mut Vec<u64>, cx: &mut Context<'_, _>| {
                fired.push(clock(cx) / MILLI);
            };
            cx.call_after(Duration::from_millis(20), note).unwrap(); // due at 30: long past
            cx.call_after(Duration::from_millis(600), note).unwrap();
        })
        .unwrap();
    let mut fired = Vec::new();
    events.run(&mut fired).unwrap();
    assert_eq!(fired, [510, 610]);
    assert!(events.context().now().since(Tick(610)) == Span::ZERO);
}

/// Readiness goes before deadlines even when it comes in several batches, as many as the sources
/// fill, and not for ever.
#[test]
fn deadlines_wait_for_as_many_full_batches_as_there_are_sources_for_and_for_sixteen_at_most() {
    let rows = [
        (1, 1_000, 1),
        (1_500, 1_000, 2),
        (3_000, 2, 2),
        (3_000, 1_000, 3),
        (30_000, 1_000, 16),
    ];
    for (sources, batches, expected) in rows {
        let mut events = virtual_loop::<usize>();
        let count = |event, heard: &mut usize, _: &mut Context<'_, usize>| {
            *heard += usize::from(matches!(event, Event::Ready(_)));
            Next::Wait
        };
        let tokens: Vec<Token> = (0..sources).map(|_| probe(&mut events, count)).collect();
        let batches_before = Rc::new(Cell::new(0));
        let seen = Rc::clone(&batches_before);
        let call = move |heard: &mut usize, cx: &mut Context<'_, usize>| {
            seen.set(*heard / EVENTS_PER_WAIT);
            cx.stop();
        };
        events.call_after(Duration::from_millis(5), call).unwrap();
        while events.context().core.has_leftovers() {
            let _ = events.turn_now(&mut 0).unwrap(); // everybody is introduced
        }
        machine(&mut events).nanos = SECOND; // it is overdue
        let mut ready = tokens
            .iter()
            .cycle()
            .map(|token| (*token, Readiness::READABLE));
        let script = (0..batches).map(|_| ready.by_ref().take(EVENTS_PER_WAIT).collect());
        machine(&mut events).script.extend(script);
        events.run(&mut 0).unwrap();
        assert_eq!(
            batches_before.get(),
            expected,
            "{batches} batches of {sources}"
        );
    }
}

#[test]
fn a_deadline_in_a_crowd_that_is_always_ready_is_late_by_less_than_two_rounds() {
    const SOURCES: usize = 2_500; // three batches
    let mut events = virtual_loop::<()>();
    let busy = |event, (): &mut (), cx: &mut Context<'_, ()>| {
        if matches!(event, Event::Ready(_)) {
            machine(cx).nanos += 1_000;
        }
        Next::Wait
    };
    let tokens: Vec<Token> = (0..SOURCES).map(|_| probe(&mut events, busy)).collect();
    events
        .every(Duration::from_millis(5), |(), _, _| ())
        .unwrap();
    while events.context().core.has_leftovers() {
        let _ = events.turn_now(&mut ()).unwrap();
    }
    let mut ready = tokens
        .iter()
        .cycle()
        .map(|token| (*token, Readiness::READABLE));
    let script = (0..1_000).map(|_| ready.by_ref().take(EVENTS_PER_WAIT).collect());
    machine(&mut events).script.extend(script);
    for _ in 0..1_000 {
        let _ = events.turn_now(&mut ()).unwrap();
    }
    let lag = events.metrics().lag;
    assert!(lag.count() > 100, "{}", lag.count());
    assert!(lag.quantile(1.0) <= 7, "{} ms", lag.quantile(1.0)); // a batch takes 1.024 ms
}

#[test]
fn a_backlog_of_deadlines_has_its_budget_in_every_turn_however_full_the_batches_are() {
    const LATE: usize = 10 * DEADLINES_PER_TURN;
    let mut events = virtual_loop::<usize>();
    for _ in 0..LATE {
        let count = |fired: &mut usize, _: &mut Context<'_, usize>| *fired += 1;
        events.call_after(Duration::from_millis(5), count).unwrap();
    }
    let mut fired = 0;
    while events.context().core.has_leftovers() {
        let _ = events.turn_now(&mut fired).unwrap();
    }
    machine(&mut events).nanos = SECOND;
    let token = probe(&mut events, |_, _: &mut usize, _| Next::Wait);
    let full = || vec![(token, Readiness::READABLE); EVENTS_PER_WAIT];
    machine(&mut events).script.extend((0..100).map(|_| full()));
    // A round of eleven batches, as there are so many sources; then every turn.
    for turn in 1..=20_usize {
        let _ = events.turn_now(&mut fired).unwrap();
        assert_eq!(fired, DEADLINES_PER_TURN * turn.saturating_sub(10).min(10));
    }
}
