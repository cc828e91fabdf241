//! The promises of the timer wheel, one by one.

use trine::time::Tick;
use trine::timer_wheel::{Deadlines, TimerWheel};

/// Levels of the wheel: what bounds cascades and early wake-ups.
const LEVELS: u64 = 8;

/// Everything that expires in one pass to `now`.
fn expired(wheel: &mut Deadlines, now: u64) -> Vec<(u64, u32)> {
    wheel.advance(Tick(now));
    std::iter::from_fn(|| wheel.pop_expired())
        .map(|(at, id)| (at.0, id))
        .collect()
}

/// Follows `next_wake` until `wheel` is empty; the passes it took and what expired at which.
fn run_idle(wheel: &mut Deadlines) -> (u64, Vec<(u64, u32)>) {
    let (mut wakes, mut fired) = (0, Vec::new());
    while let Some(Tick(now)) = wheel.next_wake() {
        wakes += 1;
        let ids = expired(wheel, now);
        fired.extend(ids.into_iter().map(|(at, id)| {
            assert_eq!(at, now, "id {id} fires at its deadline");
            (at, id)
        }));
        assert!(wheel.next_wake().is_none_or(|at| at.0 > now));
    }
    (wakes, fired)
}

#[test]
fn a_deadline_is_met_at_its_tick_whatever_the_distance() {
    let edges = (0..8).flat_map(|level| [1_u64, 2, 255].map(|byte| byte << (8 * level)));
    let deadlines: Vec<u64> = edges
        .flat_map(|edge| [edge - 1, edge, edge + 1])
        .chain([0, 1, u64::MAX - 1])
        .collect();
    for start in [0, 1, 255, 256, 65_535, 65_536, 1 << 40, (1 << 56) - 1] {
        for &deadline in &deadlines {
            let mut wheel = Deadlines::new();
            expired(&mut wheel, start);
            wheel.set(0, Tick(deadline));
            let (wakes, fired) = run_idle(&mut wheel);
            assert_eq!(fired, [(deadline.max(start + 1), 0)], "from {start}");
            assert!(
                wakes <= LEVELS,
                "{wakes} wake-ups from {start} to {deadline}"
            );
        }
    }
}

#[test]
fn a_deadline_is_never_early_and_not_late_once_its_tick_comes() {
    for deadline in 1..2_000 {
        let mut wheel = Deadlines::new();
        wheel.set(0, Tick(deadline));
        assert_eq!(expired(&mut wheel, deadline - 1), []);
        assert_eq!(expired(&mut wheel, deadline), [(deadline, 0)]);
        assert_eq!(expired(&mut wheel, u64::MAX), [], "once");
    }
}

#[test]
fn a_deadline_that_has_passed_expires_at_the_next_tick() {
    let mut wheel = Deadlines::new();
    expired(&mut wheel, 1_000);
    for (id, at) in [(0, 0), (1, 999), (2, 1_000)] {
        wheel.set(id, Tick(at));
    }
    assert_eq!(expired(&mut wheel, 1_000), []);
    assert_eq!(
        expired(&mut wheel, 1_001),
        [(1_001, 0), (1_001, 1), (1_001, 2)]
    );
}

#[test]
fn never_is_no_deadline_even_when_time_runs_out() {
    let mut wheel = Deadlines::new();
    wheel.set(0, Tick(5));
    wheel.set(0, Tick::NEVER);
    assert_eq!((wheel.deadline(0), expired(&mut wheel, 10)), (None, vec![]));
    wheel.set(1, Tick(u64::MAX - 1));
    assert_eq!(expired(&mut wheel, u64::MAX), [(u64::MAX - 1, 1)]);
    wheel.set(2, Tick(0));
    assert_eq!(
        (expired(&mut wheel, u64::MAX), wheel.next_wake()),
        (vec![], None)
    );

    assert_eq!(wheel.next_wake(), None);

    let mut values = TimerWheel::new();
    let id = values.insert(Tick::NEVER, "kept");
    values.advance(Tick::NEVER);
    assert_eq!(
        (values.pop_expired(), values.deadline(id)),
        (None, Some(Tick::NEVER))
    );
    assert_eq!(values.cancel(id), Some("kept"));
}

#[test]
fn a_far_timer_and_timers_of_one_second_all_fire_over_many_rotations() {
    let mut wheel = Deadlines::new();
    let far = 3 << 24;
    wheel.set(0, Tick(far));
    wheel.set(1, Tick(1_000));
    let (mut seconds, mut now) = (0, 0);
    while seconds * 1_000 < far {
        now = wheel.next_wake().expect("two timers").0;
        for (at, id) in expired(&mut wheel, now) {
            assert_eq!(
                (at, id),
                if id == 0 {
                    (far, 0)
                } else {
                    ((seconds + 1) * 1_000, 1)
                }
            );
            if id == 1 {
                seconds += 1;
                wheel.set(1, Tick(at + 1_000));
            }
        }
    }
    assert!(now >= far && wheel.deadline(0).is_none());
}

#[test]
fn endless_arming_and_clearing_leaves_memory_constant() {
    /// How far away the deadline is in a round; none is a cancellation.
    type Pattern = fn(u64) -> Option<u64>;
    let patterns: [(&str, Pattern); 4] = [
        ("cancel and re-arm", |round| {
            (round % 2 == 0).then_some(60_000)
        }),
        ("far, near, far, near", |round| {
            Some([60_000, 20][round as usize % 2])
        }),
        ("always earlier", |round| {
            Some(10_000_000_000 - (round % 1_000) * 9_999_000)
        }),
        ("always later", |round| Some(60_000 + round)),
    ];
    for (name, distance) in patterns {
        let mut wheel = Deadlines::new();
        (0..100).for_each(|id| wheel.set(id, Tick(1_000_000)));
        let before = wheel.memory();
        for round in 0..1_000_000 {
            let (id, now) = ((round % 97) as u32, round / 50);
            match distance(round / 97) {
                Some(distance) => wheel.set(id, Tick(now + distance)),
                None => wheel.clear(id),
            }
            wheel.advance(Tick(now));
            while wheel.pop_expired().is_some() {}
        }
        wheel.check();
        let grown = wheel.memory() - before;
        assert!(
            grown <= 100 * 64 * 2,
            "{name}: {grown} bytes for 100 ids, at most a chunk each"
        );
    }
}

#[test]
fn a_million_cancelled_timers_leave_the_memory_of_one() {
    let mut wheel = TimerWheel::new();
    let mut id = wheel.insert(Tick(60_000), 0_u32);
    let before = wheel.memory();
    for round in 0..1_000_000_u32 {
        assert_eq!(wheel.cancel(id), Some(round));
        id = wheel.insert(Tick(60_000 + u64::from(round)), round + 1);
    }
    // The places of ids are used in runs of 64.
    assert!(
        wheel.memory() <= before + 64 * 64,
        "{} bytes, {before} before",
        wheel.memory()
    );
}

#[test]
fn due_ids_come_in_order_of_ticks_and_within_a_tick_of_numbers_even_after_a_suspend() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut wheel = Deadlines::new();
    let mut expected: Vec<(u64, u32)> = Vec::new();
    for id in 0..20_000 {
        let at = random.u64(1..50) << random.u32(..36);
        wheel.set(id, Tick(random.u64(1..100_000)));
        wheel.set(id, Tick(at));
        expected.push((at, id));
    }
    expected.sort_unstable();
    assert_eq!(expired(&mut wheel, 1 << 50), expected);
}

#[test]
fn an_advance_over_ages_costs_no_more_than_its_timers() {
    let mut wheel = Deadlines::new();
    (0..100).for_each(|id| wheel.set(id, Tick(u64::from(id) << 40)));
    assert_eq!(expired(&mut wheel, 1 << 60).len(), 100);
    assert!(
        wheel.examined() <= 100 * LEVELS,
        "{} entries looked at",
        wheel.examined()
    );
}

#[test]
fn what_an_earlier_handler_cancels_or_moves_does_not_expire_in_that_tick() {
    let mut wheel = Deadlines::new();
    (0..5).for_each(|id| wheel.set(id, Tick(10)));
    wheel.set(5, Tick(11));
    wheel.advance(Tick(12));
    assert_eq!(wheel.pop_expired(), Some((Tick(10), 0)));
    wheel.clear(1);
    wheel.set(2, Tick(50));
    wheel.clear(3);
    wheel.set(3, Tick(5));
    wheel.clear(5);
    assert_eq!(wheel.pop_expired(), Some((Tick(10), 4)));
    assert_eq!(wheel.pop_expired(), None);
    assert_eq!(expired(&mut wheel, 50), [(13, 3), (50, 2)]);
}

#[test]
fn a_timer_that_re_arms_itself_without_delay_fires_once_a_pass() {
    let mut wheel = Deadlines::new();
    wheel.set(0, Tick(1));
    wheel.set(1, Tick(40));
    for now in [10, 20, 30, 40] {
        wheel.advance(Tick(now));
        let mut fired = 0;
        while let Some((Tick(at), id)) = wheel.pop_expired() {
            fired += usize::from(id == 0);
            wheel.set(id, Tick(at));
        }
        assert_eq!(fired, 1, "at {now}");
    }
}

#[test]
fn an_idle_timer_of_a_minute_wakes_the_loop_at_most_once_a_level() {
    for start in (0..200_000).step_by(997) {
        let mut wheel = Deadlines::new();
        expired(&mut wheel, start);
        wheel.set(0, Tick(start + 60_000));
        let (wakes, fired) = run_idle(&mut wheel);
        assert_eq!(fired, [(start + 60_000, 0)]);
        assert!(wakes <= 3, "{wakes} wake-ups: a minute spans three levels");
    }
}

#[test]
fn a_near_deadline_wakes_the_loop_once_however_long_it_was_idle() {
    let mut wheel = Deadlines::new();
    let start = (1 << 40) + 5;
    expired(&mut wheel, start);
    wheel.set(0, Tick(start + 100));
    assert_eq!(run_idle(&mut wheel), (1, vec![(start + 100, 0)]));
}

#[test]
fn cleared_deadlines_wake_the_loop_at_most_once_a_slot_and_then_no_more() {
    let mut wheel = Deadlines::new();
    (0..1_000).for_each(|id| wheel.set(id, Tick(u64::from(id) * 60 + 1)));
    (0..1_000).for_each(|id| wheel.clear(id));
    let (wakes, fired) = run_idle(&mut wheel);
    assert_eq!((fired, wheel.next_wake()), (vec![], None));
    assert!(wakes <= 256 + 60_000 / 256, "{wakes} wake-ups");
}

#[test]
fn a_storm_is_drained_in_budgets_and_nothing_is_lost_or_reordered() {
    const STORM: u32 = 1_000_000;
    let mut wheel = Deadlines::new();
    (0..STORM).for_each(|id| wheel.set(id, Tick(75_000)));
    let (mut next, mut now) = (0, 75_000);
    while next < STORM {
        assert!(
            wheel.next_wake().is_some_and(|at| at <= Tick(now)),
            "the rest stays due"
        );
        wheel.advance(Tick(now));
        for _ in 0..1_000 {
            assert_eq!(wheel.pop_expired(), Some((Tick(75_000), next)));
            next += 1;
        }
        now += 1;
    }
    assert_eq!((wheel.pop_expired(), wheel.next_wake()), (None, None));
}

#[test]
fn each_deadline_is_looked_at_at_most_once_a_level() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut wheel = Deadlines::new();
    for id in 0..100_000 {
        wheel.set(id, Tick(random.u64(..) >> random.u32(..64)));
    }
    while let Some(now) = wheel.next_wake() {
        expired(&mut wheel, now.0);
    }
    assert!(
        wheel.examined() <= 100_000 * LEVELS,
        "{} entries looked at",
        wheel.examined()
    );
}
