//! Any operations on the timer wheel agree with a sorted map.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use trine::time::Tick;
use trine::timer_wheel::{TimerId, TimerWheel};

/// One call. `id` chooses among the ids issued so far, stale ones included.
#[derive(Arbitrary, Debug)]
enum Operation {
    Insert(Distance),
    Move { id: u8, to: Distance },
    Cancel { id: u8 },
    Advance(Distance),
    Pop { budget: u8 },
    PopAll,
}

/// `byte << (8 * level)` ticks, and a few more or less: around the edges of the levels.
#[derive(Arbitrary, Debug, Clone, Copy)]
struct Distance {
    byte: u8,
    level: u8,
    more: i8,
}

impl Distance {
    /// The tick at this distance from `now`; before it when `more` is less than nothing.
    fn from(self, now: u64) -> u64 {
        let edge = u64::from(self.byte) << (8 * u32::from(self.level % 8));
        now.saturating_add(edge)
            .saturating_add_signed(i64::from(self.more))
    }
}

/// The wheel and what it must do.
#[derive(Default)]
struct Pair {
    wheel: TimerWheel<usize>,
    issued: Vec<TimerId>,
    /// Deadline by number of the id in `issued`.
    waiting: BTreeMap<usize, u64>,
    now: u64,
    last: u64,
}

impl Pair {
    fn run(&mut self, operation: &Operation) {
        match *operation {
            Operation::Insert(distance) => {
                let (number, at) = (self.issued.len(), distance.from(self.now));
                self.issued.push(self.wheel.insert(Tick(at), number));
                self.waiting.insert(number, self.effective(at));
            }
            Operation::Move { id, to } => {
                let Some((number, id)) = self.choose(id) else {
                    return;
                };
                let at = to.from(self.now);
                let effective = self.effective(at);
                let waiting = self.waiting.get_mut(&number);
                assert_eq!(self.wheel.move_to(id, Tick(at)), waiting.is_some());
                waiting.into_iter().for_each(|was| *was = effective);
            }
            Operation::Cancel { id } => {
                let Some((number, id)) = self.choose(id) else {
                    return;
                };
                let expected = self.waiting.remove(&number).map(|_| number);
                assert_eq!(self.wheel.cancel(id), expected);
            }
            Operation::Advance(distance) => {
                let now = distance.from(self.now);
                self.wheel.advance(Tick(now));
                self.now = self.now.max(now);
            }
            Operation::Pop { budget } => {
                for _ in 0..budget {
                    self.pop();
                }
            }
            Operation::PopAll => {
                while self.pop() {}
                assert!(self.wheel.next_wake().is_none_or(|at| at.0 > self.now));
            }
        }
    }

    /// What the wheel makes of a deadline: not before the next tick.
    fn effective(&self, at: u64) -> u64 {
        at.max(self.now.saturating_add(1))
    }

    fn choose(&self, id: u8) -> Option<(usize, TimerId)> {
        let number = usize::from(id) % self.issued.len().max(1);
        Some((number, *self.issued.get(number)?))
    }

    /// The earliest deadline that comes.
    fn earliest(&self) -> Option<u64> {
        self.waiting
            .values()
            .copied()
            .min()
            .filter(|&at| at < u64::MAX)
    }

    /// Hands one timer out; whether there was one.
    fn pop(&mut self) -> bool {
        let due = self.earliest().filter(|&at| at <= self.now);
        let popped = self.wheel.pop_expired();
        assert_eq!(popped.map(|(_, at, _)| at.0), due);
        if let Some((id, Tick(at), number)) = popped {
            assert_eq!(self.waiting.remove(&number), Some(at));
            assert_eq!(self.issued[number], id);
            assert!(self.last <= at, "{at} after {}", self.last);
            self.last = at;
        }
        popped.is_some()
    }

    fn check(&self) {
        self.wheel.check();
        assert_eq!(self.wheel.len(), self.waiting.len());
        if let Some(earliest) = self.earliest() {
            assert!(self.wheel.next_wake().is_some_and(|at| at.0 <= earliest));
        }
    }
}

fuzz_target!(|operations: Vec<Operation>| {
    let mut pair = Pair::default();
    for operation in operations.iter().take(500) {
        pair.run(operation);
    }
    pair.check();
});
