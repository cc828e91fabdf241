//! Timers on the real clock and the real timerfd.

use std::fs;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use trine::reactor::{Context, EventLoop, Sources};

/// A loop that ends after 20 s, whatever it waits for. That timer is one of its sources.
fn bounded<S: 'static>() -> EventLoop<S> {
    let mut events = EventLoop::new().unwrap();
    let give_up = |_: &mut S, cx: &mut Context<'_, S>| cx.stop();
    events.call_after(Duration::from_secs(20), give_up).unwrap();
    events
}

#[test]
fn no_timer_is_early_on_the_real_clock() {
    let mut events = bounded::<u32>();
    let mut random = fastrand::Rng::with_seed(24);
    for _ in 0..500 {
        let delay = Duration::from_micros(random.u64(..200_000));
        let asked = Instant::now();
        let fire = move |left: &mut u32, cx: &mut Context<'_, u32>| {
            let took = asked.elapsed();
            assert!(took >= delay, "after {took:?} instead of {delay:?}");
            *left -= 1;
            if *left == 0 {
                cx.stop();
            }
        };
        events.call_after(delay, fire).unwrap();
    }
    let mut left = 500;
    events.run(&mut left).unwrap();
    assert_eq!(left, 0);
    assert_eq!(events.metrics().panics, 0);
}

#[test]
fn a_deadline_that_has_passed_before_the_loop_sleeps_fires_at_once() {
    for delay in [0, 1, 2] {
        let mut events = bounded::<bool>();
        let fire = |fired: &mut bool, cx: &mut Context<'_, bool>| {
            *fired = true;
            cx.stop();
        };
        events
            .call_after(Duration::from_millis(delay), fire)
            .unwrap();
        thread::sleep(Duration::from_millis(delay + 3)); // the loop does not know yet
        let mut fired = false;
        events.run(&mut fired).unwrap();
        assert!(fired, "the timerfd was disarmed instead of set to the past");
    }
}

#[test]
fn a_far_timer_disturbs_no_near_one() {
    let mut events = bounded::<Vec<u64>>();
    for delay in [
        Duration::MAX,
        Duration::from_secs(25 * 86_400),
        Duration::from_millis(u64::MAX),
    ] {
        events
            .call_after(delay, |_, _| panic!("not in this test's time"))
            .unwrap();
    }
    for delay in [20, 10] {
        let note = move |fired: &mut Vec<u64>, cx: &mut Context<'_, Vec<u64>>| {
            fired.push(delay);
            if delay == 20 {
                cx.stop();
            }
        };
        events
            .call_after(Duration::from_millis(delay), note)
            .unwrap();
    }
    let mut fired = Vec::new();
    events.run(&mut fired).unwrap();
    assert_eq!(fired, [10, 20]);
    assert_eq!(events.len(), 4);
}

/// The timerfds of this process on CLOCK_REALTIME, as the kernel describes them.
fn wall_clock_timers() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fdinfo").unwrap();
    let texts = entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    texts.filter(|text| text.contains("clockid: 0\n")).collect()
}

#[test]
fn a_wall_clock_alarm_is_absolute_on_the_wall_clock_so_that_the_kernel_follows_its_steps() {
    let mut events = bounded::<()>();
    let hour = Duration::from_secs(3_600);
    let alarm = events.at(SystemTime::now() + hour, |(), _| ()).unwrap();
    let timers = wall_clock_timers();
    let text = timers.iter().find(|text| rings_in_an_hour(text));
    let text = text.unwrap_or_else(|| panic!("{timers:?}"));
    assert!(text.contains("settime flags: 01\n"), "absolute: {text}");
    // Its descriptor goes with it.
    assert!(events.context().remove(alarm));
    let _ = events.turn_now(&mut ()).unwrap();
    assert!(
        !wall_clock_timers()
            .iter()
            .any(|text| rings_in_an_hour(text))
    );
}

fn rings_in_an_hour(text: &str) -> bool {
    let left = text
        .lines()
        .find_map(|line| line.strip_prefix("it_value: ("));
    let seconds = left.and_then(|left| left.split(',').next()?.parse::<u64>().ok());
    seconds.is_some_and(|seconds| (3_500..=3_600).contains(&seconds))
}

#[test]
fn a_wall_clock_alarm_for_a_time_that_has_passed_rings_at_once() {
    let second = Duration::from_secs(1);
    let times = [
        SystemTime::UNIX_EPOCH - second,
        SystemTime::UNIX_EPOCH,
        SystemTime::now() - second,
        SystemTime::now(),
    ];
    for time in times {
        let mut events = bounded::<bool>();
        let ring = |rang: &mut bool, cx: &mut Context<'_, bool>| {
            *rang = true;
            cx.stop();
        };
        events.at(time, ring).unwrap();
        let mut rang = false;
        events.run(&mut rang).unwrap();
        assert!(rang, "{time:?}");
    }
}

#[test]
fn a_wall_clock_alarm_is_not_early_and_rings_once() {
    let mut events = bounded::<u32>();
    let time = SystemTime::now() + Duration::from_millis(30);
    let ring = move |rings: &mut u32, cx: &mut Context<'_, u32>| {
        assert!(cx.wall_clock() >= time);
        *rings += 1;
        let stop = |_: &mut u32, cx: &mut Context<'_, u32>| cx.stop();
        cx.call_after(Duration::from_millis(10), stop).unwrap();
    };
    events.at(time, ring).unwrap();
    let mut rings = 0;
    events.run(&mut rings).unwrap();
    assert_eq!((rings, events.len()), (1, 1));
    assert_eq!(events.metrics().panics, 0);
}

#[test]
fn an_idle_loop_with_a_periodic_timer_sleeps_between_its_calls() {
    let mut events = bounded::<u64>();
    let tick = |ticks: &mut u64, _, cx: &mut Context<'_, u64>| {
        *ticks += 1;
        if *ticks == 20 {
            cx.stop();
        }
    };
    events.every(Duration::from_millis(10), tick).unwrap();
    let mut ticks = 0;
    events.run(&mut ticks).unwrap();
    let metrics = events.metrics();
    // One turn to fire, and now and then one to cascade.
    assert!(metrics.turns <= 3 * ticks + 3, "{} turns", metrics.turns);
    assert!(metrics.timer_sets <= metrics.turns);
}
