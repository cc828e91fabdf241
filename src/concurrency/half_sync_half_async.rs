//! Half-Sync/Half-Async (POSA2): a service on threads that may wait, behind a loop that must not.
//!
//! ```text
//!   asynchronous half: the loop                     synchronous half: workers
//!
//!   connection ── call ──> HalfSyncHalfAsync         ┌── pop ──> Service::call, which may block
//!        ^                    │ no room: 503         │              │ Reply, or a Deferred of its own
//!        │                    └── push ── RequestQueue              │
//!        └──────────────── wake-up <── Deferred <───────────────────┘
//! ```
//!
//! The service is the one that runs on a loop, unmodified: [`HalfSyncHalfAsync`] is itself a service for
//! the loop, and each worker has a service and a state of its own, made on its thread, so neither need
//! be [`Send`].
//!
//! **What runs where.** [`Service::call`] runs on a worker. An exchange in pieces
//! ([`Service::open`]) never waits, by its contract, and is fed by what a socket gives and takes, so it
//! stays on the loop: one more service, made by the same function, is asked there, with the loop's
//! state. A service that waits in `open`, or in the exchange it gives, makes the whole loop wait.
//!
//! **Who gets an answer.** The one who waits for it: a client that left, or whose deadline has
//! passed (which counts from before the queue), cancels what has not begun; what has begun is not
//! interrupted, and its answer meets nobody. A client has left when its connection is reset: a mere end
//! of file may come from one that has sent all it had, and reads on.
//!
//! **The end.** A drain waits for what is queued, as it does for every promised answer. When the loop is
//! gone, nobody waits any more: what is queued is dropped, what runs may end within
//! [`patience`](WorkerOptions::patience), and a thread that still waits for something then is left
//! behind: it ends when its call returns, or with the process.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::metrics::{WorkerMeter, WorkerMetrics, count};
use super::request_queue::{Bounds, Permit, RequestQueue};
use super::steps::Threads;
use super::worker_pool::{Worker, WorkerPool};
use crate::connection::Detached;
use crate::http::{OwnedRequest, Request, Response, Status};
use crate::reactor::{Error, Result};
use crate::service::{Answered, Deferred, Exchange, Reply, Service};
use crate::unwind::{discard, message};

/// How many requests are asked whether they are still wanted for each one that is refused.
const LOOKS_PER_REFUSAL: usize = 64;
/// How many characters of a path are logged.
const LOGGED_MAX: usize = 256;

/// How many workers there are, and what waits for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WorkerOptions {
    /// Threads; at least 1. As many as calls are to wait at the same time.
    pub workers: usize,
    /// What may wait for them; more is answered 503 at once. Choose it as answers a second times the
    /// longest wait that is of use, in seconds.
    pub queue: Bounds,
    /// What a 503 says in `Retry-After`, in whole seconds, rounded up.
    pub retry_after: Duration,
    /// How long calls that run may still take when the loop is gone. Whoever waited for them has been
    /// answered or cut by then.
    pub patience: Duration,
}

impl Default for WorkerOptions {
    /// 8 workers, 1,024 requests of 64 MiB together, a second, a quarter of a second.
    fn default() -> WorkerOptions {
        WorkerOptions {
            workers: 8,
            queue: Bounds {
                items_max: 1024,
                bytes_max: 64 << 20,
            },
            retry_after: Duration::from_secs(1),
            patience: Duration::from_millis(250),
        }
    }
}

/// A service whose calls run on worker threads. `P` is the half that stays on the loop.
///
/// ```
/// use std::time::Duration;
/// use trine::concurrency::{HalfSyncHalfAsync, WorkerOptions};
/// use trine::{Reply, Request, Server};
///
/// let slowly = || {
///     |_: &Request<'_>, reply: Reply<'_>, calls: &mut u32| {
///         std::thread::sleep(Duration::from_millis(5)); // nobody else waits for it
///         *calls += 1; // of this worker
///         reply.text("done\n")
///     }
/// };
/// let service = HalfSyncHalfAsync::start(&WorkerOptions::default(), slowly, || 0)?;
/// let _ = || Server::bind("127.0.0.1:8080")?.serve_with(service, 0);
/// # Ok::<(), trine::Error>(())
/// ```
pub struct HalfSyncHalfAsync<P> {
    pieces: P,
    queue: RequestQueue<Job>,
    /// `None` at the end.
    pool: Option<WorkerPool<Job>>,
    counted: Arc<Mutex<WorkerMetrics>>,
    meter: WorkerMeter,
    busy: Response,
    /// Refusals before requests are asked again whether they are wanted.
    refusals_to_go: usize,
    patience: Duration,
}

/// A request in the queue.
struct Job {
    request: OwnedRequest,
    deferred: Deferred,
}

impl<V> HalfSyncHalfAsync<V> {
    /// Starts the workers. `service` and `state` are called on the thread of each, and again if a
    /// worker has to be replaced; `service` once here as well, for the half that stays on the loop.
    ///
    /// # Errors
    ///
    /// When the kernel refuses a thread.
    ///
    /// # Panics
    ///
    /// When `service` does.
    pub fn start<W: 'static>(
        options: &WorkerOptions,
        service: impl Fn() -> V + Send + Sync + 'static,
        state: impl Fn() -> W + Send + Sync + 'static,
    ) -> Result<HalfSyncHalfAsync<V>>
    where
        V: Service<W>,
    {
        HalfSyncHalfAsync::start_on(&Threads::Real, options, service, state)
    }

    pub(crate) fn start_on<W: 'static>(
        threads: &Threads,
        options: &WorkerOptions,
        service: impl Fn() -> V + Send + Sync + 'static,
        state: impl Fn() -> W + Send + Sync + 'static,
    ) -> Result<HalfSyncHalfAsync<V>>
    where
        V: Service<W>,
    {
        HalfSyncHalfAsync::over(service(), threads, options, service, state)
    }
}

impl HalfSyncHalfAsync<Whole> {
    /// The same for a service that takes nothing in pieces: the loop's state may then be of any type.
    ///
    /// # Errors
    ///
    /// When the kernel refuses a thread.
    pub fn start_whole<V: Service<W>, W: 'static>(
        options: &WorkerOptions,
        service: impl Fn() -> V + Send + Sync + 'static,
        state: impl Fn() -> W + Send + Sync + 'static,
    ) -> Result<HalfSyncHalfAsync<Whole>> {
        HalfSyncHalfAsync::start_whole_on(&Threads::Real, options, service, state)
    }

    pub(crate) fn start_whole_on<V: Service<W>, W: 'static>(
        threads: &Threads,
        options: &WorkerOptions,
        service: impl Fn() -> V + Send + Sync + 'static,
        state: impl Fn() -> W + Send + Sync + 'static,
    ) -> Result<HalfSyncHalfAsync<Whole>> {
        HalfSyncHalfAsync::over(Whole { _private: () }, threads, options, service, state)
    }
}

impl<P> HalfSyncHalfAsync<P> {
    fn over<V: Service<W>, W: 'static>(
        pieces: P,
        threads: &Threads,
        options: &WorkerOptions,
        service: impl Fn() -> V + Send + Sync + 'static,
        state: impl Fn() -> W + Send + Sync + 'static,
    ) -> Result<HalfSyncHalfAsync<P>> {
        let queue = RequestQueue::new(options.queue);
        let counted: Arc<Mutex<WorkerMetrics>> = Arc::default();
        let counters = Arc::clone(&counted);
        let make = move || Caller {
            service: service(),
            state: state(),
            counted: Arc::clone(&counters),
        };
        let pool = WorkerPool::start_on(threads, options.workers, queue.clone(), make)
            .map_err(|error| Error::io("start", "the worker threads", error))?;
        Ok(HalfSyncHalfAsync {
            pieces,
            queue,
            meter: WorkerMeter::new(Arc::clone(&counted), pool.replacements()),
            pool: Some(pool),
            counted,
            busy: busy(options.retry_after),
            refusals_to_go: 0,
            patience: options.patience,
        })
    }

    /// What reads the counters, also when the service has been given to a server.
    #[must_use]
    pub fn meter(&self) -> WorkerMeter {
        self.meter.clone()
    }

    /// Room for a request of so many bytes, if there is any or can be made.
    fn reserve(&mut self, bytes: usize) -> Option<Permit<Job>> {
        #[cfg(trine_planted)]
        if self.queue.len() > 1 && crate::planted::has(crate::planted::Bug::RefusedWithRoom) {
            return None;
        }
        if let Ok(permit) = self.queue.try_reserve(bytes) {
            return Some(permit);
        }
        self.purge();
        self.queue.try_reserve(bytes).ok()
    }

    /// Takes out what nobody waits for. A look that found nothing is not repeated for a while, so that
    /// requests which come in a flood are refused cheaply.
    fn purge(&mut self) {
        if self.refusals_to_go > 0 {
            self.refusals_to_go -= 1;
            return;
        }
        let unwanted = self.queue.retain(|job| !job.deferred.is_cancelled());
        if unwanted.is_empty() {
            self.refusals_to_go = self.queue.len() / LOOKS_PER_REFUSAL;
        }
        self.cancel(unwanted);
    }

    fn cancel(&self, jobs: Vec<Job>) {
        count(&self.counted, |counted| {
            counted.queued -= jobs.len() as u64;
            counted.cancelled += jobs.len() as u64;
        });
    }
}

impl<S: 'static, P: Service<S>> Service<S> for HalfSyncHalfAsync<P> {
    fn call(&mut self, request: &Request<'_>, reply: Reply<'_>, _: &mut S) -> Answered {
        let Some(permit) = self.reserve(request.octets()) else {
            count(&self.counted, |counted| counted.refused += 1);
            return reply.send(&self.busy);
        };
        let (deferred, answered) = reply.defer();
        // Before it can be taken: a worker counts it out of the queue.
        count(&self.counted, |counted| {
            counted.accepted += 1;
            counted.queued += 1;
        });
        permit.push(Job {
            request: request.to_owned(),
            deferred,
        });
        answered
    }

    fn open(&mut self, head: &Request<'_>, state: &mut S) -> Option<Box<dyn Exchange<S>>> {
        self.pieces.open(head, state)
    }
}

/// What a worker has: a service and a state of its own.
struct Caller<V, W> {
    service: V,
    state: W,
    counted: Arc<Mutex<WorkerMetrics>>,
}

/// A call of the service that has returned, or panicked. Nobody is told yet.
struct Called {
    request: OwnedRequest,
    detached: Detached,
    answered: std::thread::Result<Answered>,
}

impl<V: Service<W>, W: 'static> Worker<Job> for Caller<V, W> {
    type Begun = Option<Called>;

    /// Calls the service, unless nobody waits.
    fn begin(&mut self, job: Job) -> Option<Called> {
        let is_cancelled = job.deferred.is_cancelled();
        count(&self.counted, |counted| {
            counted.queued -= 1;
            match is_cancelled {
                true => counted.cancelled += 1,
                false => counted.running += 1,
            }
        });
        if is_cancelled {
            return None;
        }
        let mut detached = Detached::new(job.deferred);
        let call = AssertUnwindSafe(|| {
            let request = job.request.as_request();
            self.service
                .call(&request, detached.reply(), &mut self.state)
        });
        let answered = catch_unwind(call);
        Some(Called {
            request: job.request,
            detached,
            answered,
        })
    }

    fn end(&mut self, called: Option<Called>) {
        let Some(Called {
            request,
            detached,
            answered,
        }) = called
        else {
            return;
        };
        // Before the answer goes: whoever has it finds the call counted.
        count(&self.counted, |counted| {
            counted.running -= 1;
            counted.done += 1;
            #[cfg(trine_planted)]
            if crate::planted::has(crate::planted::Bug::JobCountedTwice) {
                counted.done += 1;
            }
            counted.panics += u64::from(answered.is_err());
        });
        match answered {
            Ok(answered) => detached.finish(answered),
            #[cfg(trine_planted)]
            Err(_) if crate::planted::has(crate::planted::Bug::JobLostOnPanic) => {
                std::mem::forget(detached);
            }
            Err(payload) => {
                drop(detached); // the client gets 500
                report(&request.as_request(), payload);
            }
        }
    }
}

fn report(request: &Request<'_>, payload: Box<dyn Any + Send>) {
    let path: String = request.path().chars().take(LOGGED_MAX).collect();
    let (method, message) = (request.method_name(), message(&*payload));
    tracing::error!(target: "trine::workers", method, path, message, "service panicked");
    discard(payload);
}

fn busy(retry_after: Duration) -> Response {
    let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
    Response::text("all workers are busy: try again later\n")
        .with_status(Status::SERVICE_UNAVAILABLE)
        .with_field("Retry-After", seconds.to_string())
        .expect("a name without colon, and digits")
}

impl<P> Drop for HalfSyncHalfAsync<P> {
    fn drop(&mut self) {
        self.queue.close();
        self.cancel(self.queue.retain(|_| false));
        let left_behind = self.pool.take().map(|pool| pool.shut_down(self.patience));
        if let Some(threads @ 1..) = left_behind {
            tracing::warn!(target: "trine::workers", threads, "left behind: their calls did not return in time");
        }
    }
}

impl<P> fmt::Debug for HalfSyncHalfAsync<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HalfSyncHalfAsync({:?})", self.meter.read())
    }
}

/// The half on the loop of a service that takes nothing in pieces.
#[derive(Debug)]
pub struct Whole {
    _private: (),
}

impl<S> Service<S> for Whole {
    /// Never called: calls run on the workers.
    fn call(&mut self, _: &Request<'_>, reply: Reply<'_>, _: &mut S) -> Answered {
        reply.send(Response::new(Status::INTERNAL_SERVER_ERROR))
    }
}
