//! What a simulated machine has besides a loop and a network: a wall clock, disks, and threads for
//! units that have some.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::disk::Disk;
use super::sim::Sim;
use crate::concurrency::{HalfSyncHalfAsync, Threads, Whole, WorkerOptions};
use crate::reactor::simulated::Network;
use crate::service::Service;
use crate::storage::{Clock, StorageUnit, Store, UnitOptions};
use crate::time::Tick;

/// Threads of a simulated machine take steps between the turns of the loop, each when its time has
/// come: what it does, it does at once, and the time that it takes ([`Disk`], and the faults of
/// threads) passes before its next step.
impl<S: 'static> Sim<S> {
    /// A storage unit on threads of this machine, with the time of this machine: what
    /// [`StorageUnit::start`] makes on real ones. When the machine is dropped, `store` is dropped and
    /// not closed, as when a process is killed.
    ///
    /// # Panics
    ///
    /// Never: no thread is asked for.
    #[must_use]
    pub fn storage(&self, store: Box<dyn Store>, options: UnitOptions) -> StorageUnit {
        let clock = self.clock();
        let options = UnitOptions { clock, ..options };
        let threads = Threads::Simulated(self.crew().clone());
        let started = StorageUnit::start_on(&threads, store, options);
        started.expect("simulated threads can be started")
    }

    /// A service on workers of this machine: what [`HalfSyncHalfAsync::start`] makes on real threads.
    ///
    /// # Panics
    ///
    /// When `service` does.
    #[must_use]
    pub fn workers<V: Service<W>, W: 'static>(
        &self,
        options: &WorkerOptions,
        service: impl Fn() -> V + Send + Sync + 'static,
        state: impl Fn() -> W + Send + Sync + 'static,
    ) -> HalfSyncHalfAsync<V> {
        let threads = Threads::Simulated(self.crew().clone());
        let started = HalfSyncHalfAsync::start_on(&threads, options, service, state);
        started.expect("simulated threads can be started")
    }

    /// The same as [`HalfSyncHalfAsync::start_whole`] makes.
    ///
    /// # Panics
    ///
    /// Never, but by `service` and `state`.
    #[must_use]
    pub fn workers_whole<V: Service<W>, W: 'static>(
        &self,
        options: &WorkerOptions,
        service: impl Fn() -> V + Send + Sync + 'static,
        state: impl Fn() -> W + Send + Sync + 'static,
    ) -> HalfSyncHalfAsync<Whole> {
        let threads = Threads::Simulated(self.crew().clone());
        let started = HalfSyncHalfAsync::start_whole_on(&threads, options, service, state);
        started.expect("simulated threads can be started")
    }

    /// How many simulated threads there are, and how many of them hang by a fault.
    #[must_use]
    pub fn threads(&self) -> (usize, usize) {
        (self.crew().len(), self.crew().lost())
    }

    /// An empty disk.
    #[must_use]
    pub fn disk(&self) -> Disk {
        self.disk_with(Vec::new())
    }

    /// A disk that holds `image`, say that of a machine which lost power.
    #[must_use]
    pub fn disk_with(&self, image: Vec<u8>) -> Disk {
        Disk::new(self.network().clone(), image)
    }

    /// What the wall clock shows: at first, the date of the examples in RFC 9110.
    #[must_use]
    pub fn wall_clock(&self) -> SystemTime {
        self.network().wall_time()
    }

    /// Sets the wall clock, as an administrator does. No time passes.
    pub fn set_wall_clock(&mut self, time: SystemTime) {
        self.network().set_wall(time);
    }

    /// The clocks of this machine, for a store.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SimulatedClock(self.network().clone()))
    }
}

struct SimulatedClock(Network);

impl Clock for SimulatedClock {
    fn now(&self) -> Tick {
        Tick(self.0.now_nanos() / 1_000_000)
    }

    fn unix_millis(&self) -> u64 {
        let since = self.0.wall_time().duration_since(UNIX_EPOCH);
        u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for SimulatedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimulatedClock")
    }
}
