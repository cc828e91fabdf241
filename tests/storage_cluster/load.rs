//! Writers that do not stop, and what they were told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use trine::storage::{
    Clock, Durability, Fault, Outcome, Reply, Request, StorageUnit, Store, SystemClock,
};
use trine::time::Span;

use crate::nodes::{get, put};

/// One write, and what was said of it.
pub struct Told {
    pub key: String,
    pub begun: Instant,
    pub took: Duration,
    pub durability: Durability,
    pub outcome: Outcome,
}

/// Threads that write keys which nobody else writes.
pub struct Load {
    is_over: Arc<AtomicBool>,
    told: Arc<Mutex<Vec<Told>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn new() -> Load {
        Load {
            is_over: Arc::default(),
            told: Arc::default(),
            threads: Vec::new(),
        }
    }

    /// One more thread, for keys of `lane` if one is said. `lanes` says which is which.
    pub fn add(
        &mut self,
        name: &'static str,
        unit: &StorageUnit,
        lane: Option<u16>,
        lanes: &Arc<dyn Store>,
        durability: Durability,
    ) {
        let (unit, lanes) = (unit.clone(), Arc::clone(lanes));
        let (is_over, told) = (Arc::clone(&self.is_over), Arc::clone(&self.told));
        let number = self.threads.len();
        self.threads.push(thread::spawn(move || {
            let names = (0..).map(|step| format!("{name}-{number}-{step}"));
            let mut keys =
                names.filter(|key| lane.is_none_or(|it| lanes.lane(key.as_bytes()) == it));
            while !is_over.load(Ordering::Relaxed) {
                let key = keys.next().unwrap();
                let begun = Instant::now();
                let request = Request {
                    deadline: SystemClock.now().after(Span::from_secs(2)),
                    ..put(&key, &value_of(&key), durability)
                };
                let outcome = unit.run(request);
                if let Err(Fault::Retry { after, .. }) = outcome {
                    thread::sleep(Duration::from(after).min(Duration::from_millis(50)));
                }
                told.lock().unwrap().push(Told {
                    key,
                    begun,
                    took: begun.elapsed(),
                    durability,
                    outcome,
                });
            }
        }));
    }

    /// Whether something that began after `moment` and satisfies `is_meant` was told yet.
    pub fn has(&self, moment: Instant, is_meant: impl Fn(&Told) -> bool) -> bool {
        let told = self.told.lock().unwrap();
        told.iter()
            .rev()
            .any(|it| it.begun > moment && is_meant(it))
    }

    /// Ends the threads; everything they were told.
    pub fn end(self) -> Vec<Told> {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

/// Four kilobytes that say whose they are. Or 64, of those that only a master has: more than fits
/// between it and a replica that does not read.
pub fn value_of(key: &str) -> String {
    match key.starts_with("memory") {
        true => format!("{key:.<65000}"),
        false => format!("{key:.<4096}"),
    }
}

/// How many of `told` are not there as they were written.
pub fn missing<'a>(unit: &StorageUnit, told: impl Iterator<Item = &'a Told>) -> usize {
    let is_missing = |it: &&Told| match unit.run(get(&it.key)) {
        Ok(Reply::Got(entry)) => entry.is_none_or(|entry| entry.value != value_of(&it.key)),
        other => panic!("{}: {other:?}", it.key),
    };
    told.filter(is_missing).count()
}
