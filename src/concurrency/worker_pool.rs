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
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::request_queue::RequestQueue;
use crate::reactor::discard;
use crate::thread::start_thread;

/// Between two workers that could not be made.
const PAUSE: Duration = Duration::from_millis(50);

/// Threads that do the jobs of one [`RequestQueue`]. Dropped, it closes the queue and does not wait for
/// them.
pub struct WorkerPool<J> {
    queue: RequestQueue<J>,
    threads: Vec<JoinHandle<()>>,
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
        let (alive, ended) = mpsc::channel();
        let mut pool = WorkerPool {
            queue,
            threads: Vec::new(),
            ended,
            replaced: Arc::default(),
        };
        let make = Arc::new(make);
        for number in 0..threads.max(1) {
            let thread = Thread {
                queue: pool.queue.clone(),
                make: Arc::clone(&make),
                replaced: Arc::clone(&pool.replaced),
                _alive: alive.clone(),
            };
            let run = move || thread.run();
            let started = start_thread(format!("trine-worker-{number}"), run)?;
            pool.threads.push(started);
        }
        Ok(pool)
    }

    /// Closes the queue, lets the threads do what is in it, and joins those that have ended within
    /// `patience`. Returns how many have not: nothing ends a thread that waits for ever in a call of
    /// its own, so it is left behind, and ends when that call returns, or with the process.
    pub fn shut_down(mut self, patience: Duration) -> usize {
        self.queue.close();
        let all_ended = self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected);
        let mut left_behind = 0;
        for thread in self.threads.drain(..) {
            match all_ended || thread.is_finished() {
                true => thread.join().unwrap_or_else(discard), // it catches all, so there is nothing
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

/// What a thread of a pool has.
struct Thread<J, M> {
    queue: RequestQueue<J>,
    make: Arc<M>,
    replaced: Arc<AtomicU64>,
    _alive: Sender<Infallible>,
}

impl<J, M, W> Thread<J, M>
where
    M: Fn() -> W,
    W: FnMut(J) + 'static,
{
    /// One worker after the other, until the queue is closed and empty.
    fn run(self) {
        loop {
            let mut life = Life::Making;
            let lived = catch_unwind(AssertUnwindSafe(|| self.work(&mut life)));
            if let Err(payload) = lived {
                report(payload); // of making it, or of dropping it
            }
            match life {
                Life::Ended => return,
                Life::Working => {}
                // What is left in the queue is dropped by whoever owns that.
                Life::Making if self.queue.is_closed() => return,
                Life::Making => thread::sleep(PAUSE),
            }
            self.replaced.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A worker that panicked is dropped when that is over: its `Drop` may panic in turn.
    fn work(&self, life: &mut Life) {
        let mut worker = (self.make)();
        while let Some(job) = self.queue.pop() {
            *life = Life::Working;
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| worker(job))) {
                return report(payload);
            }
        }
        *life = Life::Ended;
    }
}

/// How far a worker has come.
enum Life {
    Making,
    /// It has taken a job.
    Working,
    /// There will be no more jobs.
    Ended,
}

fn report(payload: Box<dyn Any + Send>) {
    tracing::error!(target: "trine::workers", "worker panicked, another takes its place");
    discard(payload);
}
