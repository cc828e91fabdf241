//! A pool of threads that take jobs from a queue and may wait while they do them.
//!
//! What does a job is made on its thread and never leaves it, so it need not be [`Send`]:
//!
//! ```text
//!   RequestQueue ── pop ──> thread: make() ──> worker(job), worker(job), ...
//!                             ^                  │ a job panics, or making does
//!                             └── a new worker <─┘
//! ```
//!
//! A job that panics takes its worker along, and nothing else: what unwinds is caught at the top of the
//! thread, which makes another worker at once. So a thread cannot die and need not be started again,
//! which could fail. A worker that panicked before it took a job is made anew after [`PAUSE`], so that
//! one which never works does not keep a processor busy.

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::request_queue::{Popped, RequestQueue};
use super::steps::{Started, Step, Steps, Threads};
use crate::unwind::{discard, message};

/// Between two workers that could not be made.
const PAUSE: Duration = Duration::from_millis(50);

/// Threads that do the jobs of one [`RequestQueue`]. Dropped, it closes the queue and does not wait for
/// them.
pub struct WorkerPool<J> {
    queue: RequestQueue<J>,
    threads: Vec<Started>,
    /// Disconnected when the last thread has ended; nothing is ever sent.
    ended: Receiver<Infallible>,
    replaced: Arc<AtomicU64>,
}

impl<J: Send + 'static> WorkerPool<J> {
    /// Starts `threads` threads, and at least one, which take their jobs from `queue`. Each does them
    /// by what it gets from `make`.
    ///
    /// # Errors
    ///
    /// When the kernel refuses a thread; those that run already end then.
    pub fn start<W>(
        threads: usize,
        queue: RequestQueue<J>,
        make: impl Fn() -> W + Send + Sync + 'static,
    ) -> io::Result<WorkerPool<J>>
    where
        W: FnMut(J) + 'static,
    {
        WorkerPool::start_on(&Threads::Real, threads, queue, move || Whole(make()))
    }

    /// The same, on threads of whatever kind, with workers of whatever kind.
    pub(super) fn start_on<W: Worker<J>>(
        on: &Threads,
        threads: usize,
        queue: RequestQueue<J>,
        make: impl Fn() -> W + Send + Sync + 'static,
    ) -> io::Result<WorkerPool<J>> {
        let (alive, ended) = mpsc::channel();
        let mut pool = WorkerPool {
            queue,
            threads: Vec::new(),
            ended,
            replaced: Arc::default(),
        };
        let make = Arc::new(make);
        for number in 0..threads.max(1) {
            let (queue, make) = (pool.queue.clone(), Arc::clone(&make));
            let (replaced, alive) = (Arc::clone(&pool.replaced), alive.clone());
            let made = move || Thread {
                queue,
                make,
                replaced,
                life: Life::Making,
                _alive: alive,
            };
            let started = on.start(format!("trine-worker-{number}"), made)?;
            pool.threads.push(started);
        }
        Ok(pool)
    }

    /// Closes the queue, lets the threads do what is in it, and joins those that have ended within
    /// `patience`. Returns how many have not: nothing ends a thread that waits for ever in a call of
    /// its own, so it is left behind, and ends when that call returns, or with the process.
    pub fn shut_down(mut self, patience: Duration) -> usize {
        self.queue.close();
        if !self.threads.iter().any(Started::can_be_joined) {
            return 0; // their machine lets them end
        }
        let all_ended = self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected);
        let mut left_behind = 0;
        for thread in self.threads.drain(..) {
            match all_ended || thread.is_finished() {
                true => thread.join(), // it catches all panics
                false => left_behind += 1,
            }
        }
        left_behind
    }
}

impl<J> WorkerPool<J> {
    /// How many workers were made in place of one that panicked.
    #[must_use]
    pub fn replaced(&self) -> u64 {
        self.replaced.load(Ordering::Relaxed)
    }

    /// The same, to be read when the pool is out of reach.
    pub(super) fn replacements(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.replaced)
    }
}

impl<J> Drop for WorkerPool<J> {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl<J> fmt::Debug for WorkerPool<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = self.threads.len();
        write!(f, "WorkerPool({threads} threads, {:?})", self.queue)
    }
}

/// What does the jobs of a pool, made on its thread. A job is done in two steps, so that a simulated
/// machine can have something happen between them.
pub(super) trait Worker<J>: 'static {
    /// A job that was begun.
    type Begun;

    /// Does the work.
    fn begin(&mut self, job: J) -> Self::Begun;

    /// Says what came of it.
    fn end(&mut self, begun: Self::Begun);
}

/// One that does a job in one step.
struct Whole<F>(F);

impl<J, F: FnMut(J) + 'static> Worker<J> for Whole<F> {
    type Begun = ();

    fn begin(&mut self, job: J) {
        (self.0)(job);
    }

    fn end(&mut self, (): ()) {}
}

/// What a thread of a pool has.
struct Thread<J, M, W: Worker<J>> {
    queue: RequestQueue<J>,
    make: Arc<M>,
    replaced: Arc<AtomicU64>,
    life: Life<W, W::Begun>,
    _alive: Sender<Infallible>,
}

/// How far a worker has come.
enum Life<W, B> {
    /// There is none yet.
    Making,
    /// There is none any more: another is made in its place.
    Gone,
    Free(W),
    /// It has a job in hand.
    Busy(W, B),
}

impl<J, M: Fn() -> W, W: Worker<J>> Thread<J, M, W> {
    fn make(&mut self) -> Step {
        match catch_unwind(AssertUnwindSafe(|| (self.make)())) {
            Ok(worker) => {
                self.life = Life::Free(worker);
                Step::Goes
            }
            Err(payload) => {
                report(payload);
                // What is left in the queue is dropped by whoever owns that.
                if self.queue.is_closed() {
                    return Step::Ended;
                }
                Step::Pauses(PAUSE)
            }
        }
    }

    fn begin(&mut self, mut worker: W, patience: Duration) -> Step {
        let job = match self.queue.pop_within(patience) {
            Ok(job) => job,
            Err(Popped::Closed) => {
                see_off(worker);
                return Step::Ended;
            }
            Err(_) => {
                self.life = Life::Free(worker);
                return Step::Idle(Duration::MAX);
            }
        };
        match catch_unwind(AssertUnwindSafe(|| worker.begin(job))) {
            Ok(begun) => self.life = Life::Busy(worker, begun),
            Err(payload) => {
                report(payload);
                see_off(worker);
            }
        }
        Step::Goes
    }

    fn end(&mut self, mut worker: W, begun: W::Begun) -> Step {
        match catch_unwind(AssertUnwindSafe(|| worker.end(begun))) {
            Ok(()) => self.life = Life::Free(worker),
            Err(payload) => {
                report(payload);
                see_off(worker);
            }
        }
        Step::Goes
    }
}

impl<J, M: Fn() -> W, W: Worker<J>> Steps for Thread<J, M, W> {
    /// One worker after the other, until the queue is closed and empty.
    fn step(&mut self, patience: Duration) -> Step {
        match std::mem::replace(&mut self.life, Life::Gone) {
            Life::Making => self.make(),
            Life::Gone => {
                self.replaced.fetch_add(1, Ordering::Relaxed);
                self.make()
            }
            Life::Free(worker) => self.begin(worker, patience),
            Life::Busy(worker, begun) => self.end(worker, begun),
        }
    }

    #[cfg(feature = "testing")]
    fn is_ready(&self) -> bool {
        self.queue.is_ready()
    }
}

/// Drops a worker; that of one which panicked may panic in turn.
fn see_off(worker: impl Sized) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(worker))) {
        report(payload);
    }
}

fn report(payload: Box<dyn Any + Send>) {
    let message = message(&*payload);
    tracing::error!(target: "trine::workers", message, "worker panicked, another takes its place");
    discard(payload);
}
