//! The storage unit: a store with the threads and the queues that keep it away from the loop.
//!
//! The operations of a key are done in the order in which they were submitted: writes by the lane of
//! the key, reads by the readers, except those of a key that has a write in a queue: they go to its
//! lane, behind the write. So a read waits for a sync only if what it reads is being synced. A scan is
//! not in this order: it sees what was answered before it was submitted, and may see more.
//!
//! A store that [runs in place](super::Store::in_place) needs no thread: its operations are done by
//! whoever asks.

use std::fmt;
use std::io;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::clock::{Clock, SystemClock};
use super::fault::{Fault, Outcome};
use super::health::Health;
use super::lane::{Job, Lane, LaneThread, Role};
use super::metrics::{Counters, UnitMetrics, count};
use super::operation::{Operation, Request};
use super::pending::{Mark, Pending};
use super::place::{Place, Submission};
use super::store::{Capabilities, Outcomes, Store};
use crate::concurrency::{Bounds, QueueError, RequestQueue, Started, Threads};
use crate::reactor::{self, Sources};
use crate::thread::start_thread;
use crate::time::Span;

/// How a storage unit goes about it.
#[derive(Clone, Debug)]
pub struct UnitOptions {
    /// What may wait in each queue: one for each lane, and one for the readers. Beyond it,
    /// operations are turned away with [`Fault::Retry`].
    pub queue: Bounds,
    /// What a session is given at once at most.
    pub batch: Bounds,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl Default for UnitOptions {
    fn default() -> UnitOptions {
        UnitOptions {
            queue: Bounds {
                items_max: 4096,
                bytes_max: 64 << 20,
            },
            batch: Bounds {
                items_max: 256,
                bytes_max: 1 << 20,
            },
            clock: Arc::new(SystemClock),
        }
    }
}

/// A store that was opened, and what serves it.
pub(super) struct Opened {
    pub store: Box<dyn Store>,
    pub capabilities: Capabilities,
    pub options: UnitOptions,
    pub pending: Pending,
    pub counters: Counters,
    lanes: Vec<Lane>,
    /// One for each thread, all with the same queue; none when reads go to the lanes.
    readers: Vec<Lane>,
    pub clock: Arc<dyn Clock>,
}

/// A store with its threads. Clones are the same; the store closes with the last.
#[derive(Clone)]
pub struct StorageUnit {
    shared: Arc<Shared>,
}

struct Shared {
    opened: OnceLock<Arc<Opened>>,
    /// How many percent of the opening are done.
    progress: Box<dyn Fn() -> u32 + Send + Sync>,
    /// Why it was not opened, or that it was closed.
    closed: OnceLock<String>,
    threads: Mutex<Vec<Started>>,
}

impl StorageUnit {
    /// Puts `store` to work: starts a thread for each lane and each reader, or none if it runs in
    /// place.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started.
    pub fn start(store: Box<dyn Store>, options: UnitOptions) -> io::Result<StorageUnit> {
        StorageUnit::start_on(&Threads::Real, store, options)
    }

    pub(crate) fn start_on(
        threads: &Threads,
        store: Box<dyn Store>,
        options: UnitOptions,
    ) -> io::Result<StorageUnit> {
        let unit = StorageUnit::opening(Box::new(|| 0));
        unit.shared.begin(store, options, threads)?;
        Ok(unit)
    }

    /// Opens a store on a thread of its own, as that may take long after a crash. Until then
    /// operations are turned away with [`Fault::Retry`], and [`health`](StorageUnit::health) says how
    /// many percent are done, which it asks `progress` for.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started. That the store cannot be opened is said by
    /// [`Health::Closed`].
    pub fn open<E: fmt::Display>(
        options: UnitOptions,
        progress: impl Fn() -> u32 + Send + Sync + 'static,
        open: impl FnOnce() -> Result<Box<dyn Store>, E> + Send + 'static,
    ) -> io::Result<StorageUnit> {
        let unit = StorageUnit::opening(Box::new(progress));
        let shared = Arc::downgrade(&unit.shared);
        start_thread("storage-open".to_owned(), move || {
            let opened = open().map_err(|error| error.to_string());
            let Some(shared) = shared.upgrade() else {
                return opened.map_or((), close_unused); // nobody wants it any more
            };
            let begun = opened.and_then(|store| {
                let begun = shared.begin(store, options, &Threads::Real);
                begun.map_err(|error| format!("start the threads of the store: {error}"))
            });
            if let Err(why) = begun {
                tracing::error!(target: "trine::storage", why, "store not opened");
                let _ = shared.closed.set(why); // the first reason counts
            }
        })?;
        Ok(unit)
    }

    fn opening(progress: Box<dyn Fn() -> u32 + Send + Sync>) -> StorageUnit {
        StorageUnit {
            shared: Arc::new(Shared {
                opened: OnceLock::new(),
                progress,
                closed: OnceLock::new(),
                threads: Mutex::new(Vec::new()),
            }),
        }
    }

    /// Has `request` done: at once, if the store runs in place, or by one of its threads, as soon as
    /// the [`Place`] is told whom to tell. Never waits. Turns away what the store cannot do, and what
    /// there is no room for.
    pub fn submit(&self, request: Request) -> Submission {
        let opened = match self.shared.opened.get() {
            Some(opened) => opened,
            None => return Submission::Done(Err(self.shared.not_open())),
        };
        if let Err(fault) = opened.capabilities.check(&request) {
            return Submission::Done(Err(fault));
        }
        if let Some(in_place) = opened.store.in_place() {
            count(&opened.counters.in_place);
            let mut outcome = [None];
            in_place.run(&[request], &mut Outcomes::new(&mut outcome));
            let [outcome] = outcome;
            return Submission::Done(outcome.unwrap_or(Err(Fault::Unknown("no outcome"))));
        }
        let (queue, mark) = opened.way(&request.operation);
        match queue.try_reserve(request.operation.bytes()) {
            Ok(permit) => Submission::Queued(Place {
                permit,
                request,
                mark,
                opened: Arc::clone(opened),
            }),
            Err(QueueError::Full) => {
                count(&opened.counters.busy);
                Submission::Done(Err(Fault::BUSY))
            }
            Err(_) => Submission::Done(Err(Fault::Fenced("the storage unit is closed"))),
        }
    }

    /// Has `request` done, and waits for it: for threads that may. A loop must not.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn run(&self, request: Request) -> Outcome {
        match self.submit(request) {
            Submission::Done(outcome) => outcome,
            Submission::Queued(place) => {
                let (sender, receiver) = mpsc::sync_channel(1);
                place.complete_with(Box::new(move |outcome| {
                    let _ = sender.send(outcome); // the other end waits for it
                }));
                receiver
                    .recv()
                    .unwrap_or(Err(Fault::Unknown("the storage unit was lost")))
            }
        }
    }

    /// What the store can do; `None` before it is opened.
    #[must_use]
    pub fn capabilities(&self) -> Option<Capabilities> {
        self.shared.opened.get().map(|opened| opened.capabilities)
    }

    /// How it is now: the worst of its parts.
    #[must_use]
    pub fn health(&self) -> Health {
        if let Some(why) = self.shared.closed.get() {
            return Health::Closed(why.clone());
        }
        let Some(opened) = self.shared.opened.get() else {
            return Health::Opening {
                percent: (self.shared.progress)().min(100),
            };
        };
        let lanes = opened.lanes.iter().chain(&opened.readers);
        let mut worst = Health::Ready;
        for health in lanes.map(|lane| lane.health.get()) {
            match health {
                Health::Fenced(_) => return health,
                Health::Ready => {}
                other => worst = other,
            }
        }
        worst
    }

    /// Its counters; all zero before it is opened.
    #[must_use]
    pub fn metrics(&self) -> UnitMetrics {
        let opened = self.shared.opened.get();
        opened.map_or_else(UnitMetrics::default, |opened| opened.counters.read())
    }

    /// Does what has to be done some time, for a store that runs in place and so has no thread for it:
    /// removes what has expired. Returns whether there is more of it now.
    pub fn maintain(&self, budget: Span) -> bool {
        let opened = self.shared.opened.get();
        let in_place = opened.and_then(|opened| opened.store.in_place());
        in_place.is_some_and(|in_place| in_place.maintain(budget))
    }

    /// Has a loop [maintain](StorageUnit::maintain) it, ten times a second for at most a millisecond.
    ///
    /// # Errors
    ///
    /// When the timer cannot be inserted.
    pub fn maintain_on<S: 'static>(&self, sources: &mut impl Sources<S>) -> reactor::Result<()> {
        let unit = self.clone();
        sources.every(Duration::from_millis(100), move |_, _, _| {
            unit.maintain(Span::from_millis(1));
        })?;
        Ok(())
    }

    /// Does what is queued, lets nothing in any more, and closes the store. Not for a completion,
    /// which would wait for itself; there a clone is dropped.
    ///
    /// # Errors
    ///
    /// What the store says of it. [`Fault::Refused`] when somebody else has a clone: the store is
    /// closed when that is gone, and what comes of it is only logged.
    pub fn close(self) -> Result<(), Fault> {
        let threads = self.shared.stop();
        join(threads);
        match Arc::into_inner(self.shared) {
            Some(mut shared) => shared.finish(),
            None => Err(Fault::Refused("somebody else still has the storage unit")),
        }
    }
}

impl Opened {
    /// Where `operation` has to wait, and what keeps it in order.
    fn way(&self, operation: &Operation) -> (&RequestQueue<Job>, Mark) {
        let key = operation.key();
        let lane = || &self.lanes[usize::from(self.store.lane(key)) % self.lanes.len()].queue;
        match (operation, self.readers.first()) {
            (Operation::Get { .. }, Some(readers)) if !self.pending.has_write(key) => {
                (&readers.queue, self.pending.read(key))
            }
            (Operation::Scan { .. }, Some(readers)) => (&readers.queue, Mark::Free),
            (Operation::Get { .. } | Operation::Scan { .. }, _) => (lane(), Mark::Free),
            _ => (lane(), self.pending.write(key)),
        }
    }
}

impl Shared {
    fn begin(
        &self,
        store: Box<dyn Store>,
        options: UnitOptions,
        threads: &Threads,
    ) -> io::Result<()> {
        let capabilities = store.capabilities();
        let counts = match store.in_place() {
            Some(_) => (0, 0),
            None => (capabilities.lanes.max(1), capabilities.readers),
        };
        let lanes: Vec<Lane> = (0..counts.0).map(|_| Lane::new(options.queue)).collect();
        let reads = Lane::new(options.queue);
        let readers = (0..counts.1).map(|_| reads.beside()).collect();
        let opened = Arc::new(Opened {
            store,
            capabilities,
            pending: Pending::new(threads),
            counters: Counters::default(),
            lanes,
            readers,
            clock: Arc::clone(&options.clock),
            options,
        });
        let mut started = self.lock();
        if self.closed.get().is_some() {
            drop(started);
            close_last(Some(opened)).unwrap_or_else(not_closed);
            return Ok(());
        }
        for (number, lane) in (0..).zip(&opened.lanes) {
            let role = Role::Writer { lane: number };
            let name = format!("store-lane-{number}");
            started.push(start_lane(threads, name, &opened, lane, role)?);
        }
        for (number, lane) in (0..).zip(&opened.readers) {
            let name = format!("store-read-{number}");
            started.push(start_lane(threads, name, &opened, lane, Role::Reader)?);
        }
        let _ = self.opened.set(opened); // it was empty: opened once
        Ok(())
    }

    fn not_open(&self) -> Fault {
        match self.closed.get() {
            Some(_) => Fault::Fenced("the store could not be opened"),
            None => Fault::Retry {
                after: Span::from_secs(1),
                why: "the store is being opened",
            },
        }
    }

    /// Lets nothing in any more. Gives the threads, which end when they have done what is queued.
    fn stop(&self) -> Vec<Started> {
        let mut threads = self.lock();
        let _ = self.closed.set("it was closed".to_owned()); // the first reason counts
        if let Some(opened) = self.opened.get() {
            close(opened);
        }
        std::mem::take(&mut *threads)
    }

    /// Closes the store, if nobody has it any more.
    fn finish(&mut self) -> Result<(), Fault> {
        close_last(self.opened.take())
    }

    /// Held while the threads are started: a unit is stopped before that or after it.
    fn lock(&self) -> MutexGuard<'_, Vec<Started>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start_lane(
    threads: &Threads,
    name: String,
    opened: &Arc<Opened>,
    lane: &Lane,
    role: Role,
) -> io::Result<Started> {
    let thread = LaneThread::new(Arc::clone(opened), lane.clone(), role);
    let started = threads.start(name, move || thread);
    started.inspect_err(|_| close(opened)) // those that have begun end
}

fn close(opened: &Opened) {
    for lane in opened.lanes.iter().chain(&opened.readers) {
        lane.queue.close();
    }
}

fn close_last(opened: Option<Arc<Opened>>) -> Result<(), Fault> {
    let opened = opened.and_then(Arc::into_inner);
    opened.map_or(Ok(()), |opened| opened.store.close())
}

/// A store that was opened for nobody.
fn close_unused(store: Box<dyn Store>) {
    store.close().unwrap_or_else(not_closed);
}

fn not_closed(fault: Fault) {
    tracing::error!(target: "trine::storage", %fault, "store not closed");
}

fn join(threads: Vec<Started>) {
    for thread in threads {
        thread.join(); // it catches panics
    }
}

impl Drop for Shared {
    /// The last clone may go with a completion, on a thread of the unit. That cannot wait for itself,
    /// nor for a thread that waits for it: so another one does.
    fn drop(&mut self) {
        let (threads, opened) = (self.stop(), self.opened.take());
        let is_own = threads.iter().any(Started::is_current);
        let end = move || {
            join(threads);
            close_last(opened).unwrap_or_else(not_closed);
        };
        if !is_own {
            return end();
        }
        if let Err(error) = start_thread("storage-close".to_owned(), end) {
            tracing::error!(target: "trine::storage", %error, "store not closed");
        }
    }
}

impl fmt::Debug for StorageUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorageUnit({:?})", self.health())
    }
}
