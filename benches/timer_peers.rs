//! What the timer wheel is measured beside, each under one small interface.

use hierarchical_hash_wheel_timer::wheels::Skip;
use hierarchical_hash_wheel_timer::wheels::cancellable::{
    CancellableTimerEntry, QuadWheelWithOverflow,
};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tokio_util::time::{DelayQueue, delay_queue};
use trine::time::Tick;
use trine::timer_wheel::{Deadlines, TimerId, TimerWheel};

/// Timers under the numbers `0..count`; ticks are milliseconds.
pub trait Timers {
    /// Whether timers are kept at all.
    const KEEPS: bool = true;
    fn new(count: u32) -> Self;
    /// Arms `id`, which is not armed.
    fn insert(&mut self, id: u32, at: u64);
    /// Moves `id`, which is armed.
    fn reset(&mut self, id: u32, at: u64);
    /// Disarms `id`, which is armed.
    fn cancel(&mut self, id: u32);
    /// Calls `expired` with every id whose deadline has come.
    fn advance(&mut self, now: u64, expired: impl FnMut(u32));
}

/// The loop of the bench itself.
pub struct Empty(u64);

impl Timers for Empty {
    const KEEPS: bool = false;

    fn new(_: u32) -> Self {
        Empty(0)
    }

    fn insert(&mut self, id: u32, at: u64) {
        self.0 ^= std::hint::black_box(at ^ u64::from(id));
    }

    fn reset(&mut self, id: u32, at: u64) {
        self.insert(id, at);
    }

    fn cancel(&mut self, id: u32) {
        self.insert(id, 0);
    }

    fn advance(&mut self, _: u64, _: impl FnMut(u32)) {}
}

/// trine, one deadline for each number.
pub struct Dense(Deadlines);

impl Timers for Dense {
    fn new(_: u32) -> Self {
        Dense(Deadlines::new())
    }

    fn insert(&mut self, id: u32, at: u64) {
        self.0.set(id, Tick(at));
    }

    fn reset(&mut self, id: u32, at: u64) {
        self.0.set(id, Tick(at));
    }

    fn cancel(&mut self, id: u32) {
        self.0.clear(id);
    }

    fn advance(&mut self, now: u64, mut expired: impl FnMut(u32)) {
        self.0.advance(Tick(now));
        while let Some((_, id)) = self.0.pop_expired() {
            expired(id);
        }
    }
}

/// trine, values under generational ids.
pub struct Wheel {
    wheel: TimerWheel<u32>,
    keys: Vec<Option<TimerId>>,
}

impl Timers for Wheel {
    fn new(count: u32) -> Self {
        Wheel {
            wheel: TimerWheel::new(),
            keys: vec![None; count as usize],
        }
    }

    fn insert(&mut self, id: u32, at: u64) {
        self.keys[id as usize] = Some(self.wheel.insert(Tick(at), id));
    }

    fn reset(&mut self, id: u32, at: u64) {
        let key = self.keys[id as usize].expect("armed");
        assert!(self.wheel.move_to(key, Tick(at)));
    }

    fn cancel(&mut self, id: u32) {
        let key = self.keys[id as usize].take().expect("armed");
        assert_eq!(self.wheel.cancel(key), Some(id));
    }

    fn advance(&mut self, now: u64, mut expired: impl FnMut(u32)) {
        self.wheel.advance(Tick(now));
        while let Some((_, _, id)) = self.wheel.pop_expired() {
            expired(id);
        }
    }
}

/// The usual heap: an entry that does not agree with the deadline of its id is dead.
pub struct BinaryHeapLazy {
    heap: BinaryHeap<Reverse<(u64, u32)>>,
    deadlines: Vec<u64>,
}

impl Timers for BinaryHeapLazy {
    fn new(count: u32) -> Self {
        BinaryHeapLazy {
            heap: BinaryHeap::new(),
            deadlines: vec![u64::MAX; count as usize],
        }
    }

    fn insert(&mut self, id: u32, at: u64) {
        self.deadlines[id as usize] = at;
        self.heap.push(Reverse((at, id)));
    }

    fn reset(&mut self, id: u32, at: u64) {
        if self.deadlines[id as usize] != at {
            self.insert(id, at);
        }
    }

    fn cancel(&mut self, id: u32) {
        self.deadlines[id as usize] = u64::MAX;
    }

    fn advance(&mut self, now: u64, mut expired: impl FnMut(u32)) {
        while let Some(&Reverse((at, id))) = self.heap.peek().filter(|entry| entry.0.0 <= now) {
            self.heap.pop();
            if self.deadlines[id as usize] == at {
                self.deadlines[id as usize] = u64::MAX;
                expired(id);
            }
        }
    }
}

/// A search tree.
pub struct SortedSet {
    set: BTreeSet<(u64, u32)>,
    deadlines: Vec<u64>,
}

impl Timers for SortedSet {
    fn new(count: u32) -> Self {
        SortedSet {
            set: BTreeSet::new(),
            deadlines: vec![0; count as usize],
        }
    }

    fn insert(&mut self, id: u32, at: u64) {
        self.deadlines[id as usize] = at;
        self.set.insert((at, id));
    }

    fn reset(&mut self, id: u32, at: u64) {
        self.cancel(id);
        self.insert(id, at);
    }

    fn cancel(&mut self, id: u32) {
        self.set.remove(&(self.deadlines[id as usize], id));
    }

    fn advance(&mut self, now: u64, mut expired: impl FnMut(u32)) {
        while self.set.first().is_some_and(|&(at, _)| at <= now) {
            expired(self.set.pop_first().expect("not empty").1);
        }
    }
}

/// The cancellable wheel of `hierarchical_hash_wheel_timer`.
pub struct HashWheel {
    wheel: QuadWheelWithOverflow<Entry>,
    now: u64,
}

#[derive(Debug)]
struct Entry(u32);

impl CancellableTimerEntry for Entry {
    type Id = u32;

    fn id(&self) -> &u32 {
        &self.0
    }
}

impl Timers for HashWheel {
    fn new(_: u32) -> Self {
        HashWheel {
            wheel: QuadWheelWithOverflow::new(),
            now: 0,
        }
    }

    fn insert(&mut self, id: u32, at: u64) {
        let delay = Duration::from_millis(at - self.now);
        self.wheel
            .insert_ref_with_delay(Rc::new(Entry(id)), delay)
            .expect("later than now");
    }

    fn reset(&mut self, id: u32, at: u64) {
        self.cancel(id);
        self.insert(id, at);
    }

    fn cancel(&mut self, id: u32) {
        self.wheel.cancel(&id).expect("armed");
    }

    fn advance(&mut self, now: u64, mut expired: impl FnMut(u32)) {
        while self.now < now {
            let left = u32::try_from(now - self.now).unwrap_or(u32::MAX);
            let skip = match self.wheel.can_skip() {
                Skip::Empty => left,
                Skip::Millis(ticks) => ticks.min(left),
                Skip::None => 0,
            };
            if skip > 0 {
                self.wheel.skip(skip);
                self.now += u64::from(skip);
            } else {
                self.now += 1;
                self.wheel.tick().iter().for_each(|entry| expired(entry.0));
            }
        }
    }
}

/// The queue of `tokio-util`, on tokio's paused clock.
pub struct TokioDelayQueue {
    queue: DelayQueue<u32>,
    keys: Vec<Option<delay_queue::Key>>,
    base: Instant,
    now: u64,
    runtime: Runtime,
}

impl Timers for TokioDelayQueue {
    fn new(count: u32) -> Self {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let guard = runtime.enter();
        let (queue, base) = (DelayQueue::new(), Instant::now());
        drop(guard);
        TokioDelayQueue {
            queue,
            keys: vec![None; count as usize],
            base,
            now: 0,
            runtime,
        }
    }

    fn insert(&mut self, id: u32, at: u64) {
        let _guard = self.runtime.enter();
        let at = self.base + Duration::from_millis(at);
        self.keys[id as usize] = Some(self.queue.insert_at(id, at));
    }

    fn reset(&mut self, id: u32, at: u64) {
        let _guard = self.runtime.enter();
        let key = self.keys[id as usize].as_ref().expect("armed");
        self.queue
            .reset_at(key, self.base + Duration::from_millis(at));
    }

    fn cancel(&mut self, id: u32) {
        let _guard = self.runtime.enter();
        let key = self.keys[id as usize].take().expect("armed");
        self.queue.remove(&key);
    }

    fn advance(&mut self, now: u64, mut expired: impl FnMut(u32)) {
        // Steps of 10 ms: to advance this clock costs more than the queue itself.
        if now < self.now + 10 {
            return;
        }
        let step = Duration::from_millis(now - self.now);
        self.now = now;
        let queue = &mut self.queue;
        // Unconstrained: tokio would stop a task that handles more than 128 timers.
        self.runtime.block_on(tokio::task::unconstrained(async {
            tokio::time::advance(step).await;
            let mut context = Context::from_waker(Waker::noop());
            while let Poll::Ready(Some(entry)) = queue.poll_expired(&mut context) {
                expired(entry.into_inner());
            }
        }));
    }
}
