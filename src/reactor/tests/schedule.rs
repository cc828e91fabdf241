//! Timers for people: periods and what is missed of them, cancelling, times of day.

use std::time::{Duration, SystemTime};

use super::super::{Context, Firing, MissedTicks, Sources};
use super::virtual_loop::{MILLI, SECOND, clock, machine, script_readable, virtual_loop};
use crate::time::Tick;

/// When each call was made, in milliseconds, and what it said was missed.
type Calls = Vec<(u64, u64)>;

fn note(calls: &mut Calls, firing: Firing, cx: &mut Context<'_, Calls>) {
    calls.push((clock(cx) / MILLI, firing.missed));
}

/// The calls of a timer of 1 s over 14 s, when the loop stands still from 1.5 s to 11.5 s.
fn calls_around_a_stall(policy: MissedTicks) -> Calls {
    let mut events = virtual_loop::<Calls>();
    let second = Duration::from_secs(1);
    events.every_with(second, policy, note).unwrap();
    let stall = |_: &mut Calls, cx: &mut Context<'_, Calls>| machine(cx).nanos += 10 * SECOND;
    events.call_after(second * 3 / 2, stall).unwrap();
    events.call_after(second * 14, |_, cx| cx.stop()).unwrap();
    let mut calls = Calls::new();
    events.run(&mut calls).unwrap();
    calls
}

#[test]
fn after_a_stall_skip_calls_once_says_what_was_missed_and_keeps_the_phase() {
    let calls = calls_around_a_stall(MissedTicks::Skip);
    assert_eq!(
        calls[..4],
        [(1_000, 0), (11_500, 9), (12_000, 0), (13_000, 0)]
    );
}

#[test]
fn after_a_stall_delay_calls_once_and_counts_a_full_period_from_there() {
    let calls = calls_around_a_stall(MissedTicks::Delay);
    assert_eq!(calls, [(1_000, 0), (11_500, 9), (12_500, 0), (13_500, 0)]);
}

#[test]
fn after_a_stall_burst_makes_every_call_at_once_and_keeps_the_phase() {
    let calls = calls_around_a_stall(MissedTicks::Burst);
    let burst = [(11_500, 0); 10];
    assert_eq!(calls[0], (1_000, 0));
    assert_eq!(calls[1..11], burst);
    assert_eq!(calls[11..13], [(12_000, 0), (13_000, 0)]);
}

#[test]
fn a_burst_gives_way_to_others_between_calls_and_catches_up_however_short_the_period() {
    let mut events = virtual_loop::<Calls>();
    let period = Duration::from_millis(1);
    events.every_with(period, MissedTicks::Burst, note).unwrap();
    let mut calls = Calls::new();
    let _ = events.turn_now(&mut calls).unwrap();
    machine(&mut events).nanos = SECOND;
    for turn in 1..1_000 {
        let _ = events.turn(&mut calls).unwrap();
        assert_eq!(
            calls.len(),
            turn + 1,
            "one among the deadlines, then one a turn"
        );
    }
    assert_eq!(
        clock(&mut events),
        SECOND,
        "no sleep before it has caught up"
    );
    let _ = events.turn(&mut calls).unwrap();
    assert_eq!(calls.last(), Some(&(1_001, 0)));
}

#[test]
fn a_period_is_missed_only_when_it_has_passed_whole() {
    for policy in [MissedTicks::Skip, MissedTicks::Delay] {
        let mut events = virtual_loop::<Calls>();
        events
            .every_with(Duration::from_millis(1), policy, note)
            .unwrap();
        let mut calls = Calls::new();
        for tick in 0..100 {
            machine(&mut events).nanos = tick * MILLI + 300_000; // waking takes a while
            let _ = events.turn_now(&mut calls).unwrap();
        }
        assert!(
            calls.iter().all(|&(_, missed)| missed == 0),
            "{policy:?}: {calls:?}"
        );
        if policy == MissedTicks::Skip {
            assert_eq!(calls.len(), 99, "{calls:?}");
        }
    }
}

#[test]
fn a_skipping_timer_keeps_its_phase_however_late_it_is_called() {
    let mut random = fastrand::Rng::with_seed(30);
    let mut events = virtual_loop::<Calls>();
    events.every(Duration::from_millis(10), note).unwrap();
    let mut calls = Calls::new();
    let mut accounted = 0;
    for _ in 0..2_000 {
        machine(&mut events).nanos += random.u64(..35 * MILLI);
        let _ = events.turn_now(&mut calls).unwrap();
        accounted += calls.drain(..).map(|(_, missed)| 1 + missed).sum::<u64>();
        assert_eq!(
            accounted,
            clock(&mut events) / MILLI / 10,
            "calls made or missed"
        );
    }
}

#[test]
fn a_removed_timer_never_calls() {
    let mut events = virtual_loop::<Calls>();
    let delay = Duration::from_millis(5);
    let once = events
        .call_after(delay, |_, _| panic!("it was removed"))
        .unwrap();
    let again = events.every(delay * 2, note).unwrap();
    let mut calls = Calls::new();
    let _ = events.turn_now(&mut calls).unwrap();
    assert!(events.context().remove(once));
    assert!(
        !events.context().remove(once),
        "a second removal finds nothing"
    );
    let stop_it = move |_: &mut Calls, cx: &mut Context<'_, Calls>| assert!(cx.remove(again));
    events.call_after(delay * 5, stop_it).unwrap();
    events.run(&mut calls).unwrap();
    assert_eq!(calls, [(10, 0), (20, 0)]);
    assert_eq!(clock(&mut events), 25 * MILLI);
    assert!(events.is_empty());
}

#[test]
fn a_timer_that_removes_itself_while_it_runs_is_not_called_again() {
    let mut events = virtual_loop::<Calls>();
    let remove = |calls: &mut Calls, firing, cx: &mut Context<'_, Calls>| {
        note(calls, firing, cx);
        assert!(cx.remove(cx.token()));
    };
    events.every(Duration::from_secs(1), remove).unwrap();
    let mut calls = Calls::new();
    events.run(&mut calls).unwrap();
    assert_eq!(calls, [(1_000, 0)]);
}

#[test]
fn a_period_below_a_millisecond_is_refused() {
    let mut events = virtual_loop::<Calls>();
    for period in [Duration::ZERO, Duration::from_nanos(999_999)] {
        let error = events.every(period, note).unwrap_err();
        assert_eq!(error.kind(), super::super::ErrorKind::Invalid);
    }
    assert!(events.is_empty());
}

#[test]
fn a_wall_clock_alarm_does_not_take_spurious_readiness_for_its_hour() {
    let mut events = virtual_loop::<Calls>();
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    let early = |_: &mut Calls, _: &mut Context<'_, Calls>| panic!("a day early");
    let alarm = events.at(tomorrow, early).unwrap();
    script_readable(&mut events, alarm, 3);
    let mut calls = Calls::new();
    for _ in 0..4 {
        let _ = events.turn_now(&mut calls).unwrap();
    }
    assert!(events.context().contains(alarm));
}

#[test]
fn the_second_of_the_wall_clock_is_read_at_most_once_a_second_and_never_lags_one() {
    let mut events = virtual_loop::<()>();
    for _ in 0..5_000 {
        machine(&mut events).nanos += 7 * MILLI;
        let wall = events.context().wall_clock();
        let seconds = wall
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        assert_eq!(events.context().unix_seconds(), seconds);
    }
    assert_eq!(events.context().now(), Tick(35_000));
    // A step of the wall clock shows within a second.
    machine(&mut events).wall += Duration::from_secs(3_600);
    let before = events.context().unix_seconds();
    machine(&mut events).nanos += SECOND;
    assert_eq!(events.context().unix_seconds(), before + 3_601);
}
