//! The memory store passes the suite for all stores.

#![cfg(feature = "testing")]

use std::sync::Arc;

use trine::storage::Store;
use trine::storage::conformance::{Harness, ManualClock, Time};
use trine::storage::memory::{Memory, Options, WhenFull};
use trine::time::Span;

struct InMemory {
    options: Options,
    clock: Arc<ManualClock>,
}

impl InMemory {
    fn new(options: Options) -> InMemory {
        let clock = ManualClock::new();
        InMemory { options, clock }
    }
}

impl Harness for InMemory {
    fn open(&mut self) -> Box<dyn Store> {
        Box::new(Memory::with_clock(self.options, self.clock.clone()))
    }

    fn time(&self) -> Time {
        Time::Manual(self.clock.clone())
    }
}

/// On the clocks of the machine.
struct InRealTime;

impl Harness for InRealTime {
    fn open(&mut self) -> Box<dyn Store> {
        Box::new(Memory::new(Options::default()))
    }

    fn time(&self) -> Time {
        Time::Real {
            late: Span::from_millis(5),
        }
    }
}

trine::store_conformance!(memory, InMemory::new(Options::default()));

trine::store_conformance!(
    memory_of_one_shard_that_refuses,
    InMemory::new(Options {
        shards: 1,
        when_full: WhenFull::Refuse,
        ..Options::default()
    })
);

trine::store_conformance!(memory_in_real_time, InRealTime);
