//! The timer wheel against a sorted set, under seeded random operations.

use std::collections::{BTreeSet, HashMap};
use trine::time::Tick;
use trine::timer_wheel::{Deadlines, TimerId, TimerWheel};

/// Levels of the wheel: the bytes of a tick.
const LEVELS: u32 = 8;

/// What [`Deadlines`] must do, said with a sorted set.
#[derive(Default)]
struct Model {
    queue: BTreeSet<(u64, u32)>,
    at: HashMap<u32, u64>,
    now: u64,
}

impl Model {
    fn set(&mut self, id: u32, at: u64) {
        self.clear(id);
        let at = at.max(self.now.saturating_add(1));
        if at != u64::MAX {
            self.at.insert(id, at);
            self.queue.insert((at, id));
        }
    }

    fn clear(&mut self, id: u32) {
        if let Some(at) = self.at.remove(&id) {
            self.queue.remove(&(at, id));
        }
    }

    fn pop_expired(&mut self) -> Option<(Tick, u32)> {
        let &(at, id) = self.queue.first().filter(|&&(at, _)| at <= self.now)?;
        self.clear(id);
        Some((Tick(at), id))
    }
}

/// A deadline or a distance: around an edge of a level, anywhere, or near.
fn any_ticks(random: &mut fastrand::Rng) -> u64 {
    match random.u8(..10) {
        0 => 0,
        1 => u64::MAX - random.u64(..2),
        2 => 1 << random.u32(..64),
        3..=5 => {
            let edge = random.u64(..256) << (8 * random.u32(..LEVELS));
            edge.wrapping_add(random.u64(..3)).wrapping_sub(1)
        }
        _ => random.u64(..1_000),
    }
}

/// Runs `steps` random operations on both, comparing everything that can be seen.
fn compare_with_model(seed: u64, steps: usize, ids: u32) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut wheel, mut model) = (Deadlines::new(), Model::default());
    for step in 0..steps {
        let id = random.u32(..ids);
        match random.u8(..16) {
            0..=4 => {
                let at = model.now.saturating_add(any_ticks(&mut random));
                wheel.set(id, Tick(at));
                model.set(id, at);
            }
            5 => {
                let at = any_ticks(&mut random);
                wheel.set(id, Tick(at));
                model.set(id, at);
            }
            6..=7 => {
                wheel.clear(id);
                model.clear(id);
            }
            8 => {
                let distance = any_ticks(&mut random) >> random.u32(..40);
                model.now = model.now.saturating_add(distance);
                wheel.advance(Tick(model.now));
            }
            9 => wheel.advance(Tick(random.u64(..=model.now))),
            10 if step % 64 == 0 => {
                while let Some(expired) = model.pop_expired() {
                    assert_eq!(
                        wheel.pop_expired(),
                        Some(expired),
                        "seed {seed} step {step}"
                    );
                }
                assert_eq!(wheel.pop_expired(), None, "seed {seed} step {step}");
                assert!(wheel.next_wake().is_none_or(|at| at.0 > model.now));
            }
            _ => assert_eq!(
                wheel.pop_expired(),
                model.pop_expired(),
                "seed {seed} step {step}"
            ),
        }
        assert_eq!(
            wheel.deadline(id).map(|at| at.0),
            model.at.get(&id).copied()
        );
        if let Some(&(earliest, _)) = model.queue.first() {
            assert!(
                wheel.next_wake().is_some_and(|at| at.0 <= earliest),
                "seed {seed} step {step}"
            );
        }
        if step % 16 == 0 {
            wheel.check();
        }
    }
}

#[test]
fn the_wheel_agrees_with_a_sorted_set() {
    for seed in 0..200 {
        compare_with_model(seed, 2_000, [4, 40, 400][seed as usize % 3]);
    }
}

#[test]
fn values_come_back_once_and_stale_ids_find_nothing() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut wheel = TimerWheel::new();
    let mut waiting: HashMap<TimerId, (u64, u64)> = HashMap::new();
    let (mut issued, mut now) = (Vec::new(), 0_u64);
    for value in 0..100_000_u64 {
        let at = now.saturating_add(any_ticks(&mut random) >> random.u32(..64));
        let id = if issued.is_empty() {
            None
        } else {
            Some(issued[random.usize(..issued.len())])
        };
        match (random.u8(..8), id) {
            (0, Some(id)) => {
                let expected = waiting.remove(&id).map(|(value, _)| value);
                assert_eq!(wheel.cancel(id), expected);
                assert_eq!(wheel.cancel(id), None, "twice");
            }
            (1..=3, Some(id)) => {
                let entry = waiting.get_mut(&id);
                assert_eq!(wheel.move_to(id, Tick(at)), entry.is_some());
                entry
                    .into_iter()
                    .for_each(|(_, was)| *was = at.max(now + 1));
                assert_eq!(
                    wheel.deadline(id).map(|at| at.0),
                    waiting.get(&id).map(|&(_, at)| at)
                );
            }
            (4, _) => {
                now += random.u64(..2_000);
                wheel.advance(Tick(now));
                let mut last = 0;
                for _ in 0..random.u32(..50) {
                    let Some((id, Tick(at), value)) = wheel.pop_expired() else {
                        break;
                    };
                    assert_eq!(waiting.remove(&id), Some((value, at)));
                    assert!(last <= at && at <= now, "{at} after {last}");
                    last = at;
                }
            }
            _ => {
                let id = wheel.insert(Tick(at), value);
                assert!(
                    waiting.insert(id, (value, at.max(now + 1))).is_none(),
                    "a new id"
                );
                issued.push(id);
            }
        }
        assert_eq!(
            (wheel.len(), wheel.is_empty()),
            (waiting.len(), waiting.is_empty())
        );
    }
}
