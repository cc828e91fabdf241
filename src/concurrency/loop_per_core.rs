//! Loop per core: several threads, each with a loop, a state and sources of its own. Nothing is
//! shared, so nothing is locked; what concerns all of them (the drain, the end) is passed on.
//!
//! ```text
//!   core 0: thread ── EventLoop<S> ── its listener, its connections, its S
//!   core 1: thread ── EventLoop<S> ── its listener, its connections, its S
//!      ⋮                    └── drain, force, stop ──> the loops of all others
//! ```
//!
//! The kernel spreads the connections: each loop has a listening socket of its own with the same
//! address (`SO_REUSEPORT`, see [`StreamListener::bind_tcp_for`](crate::reactor::StreamListener::bind_tcp_for)),
//! and a connection goes to one of them by a hash of its addresses. With few clients that is uneven:
//! it is the price for sharing nothing.
//!
//! All loops are set up before one of them runs, so that a mistake in one is an error of the whole and
//! no client has met half a server.
//!
//! ```
//! use std::time::Duration;
//! use trine::Sources;
//! use trine::concurrency::LoopPerCore;
//!
//! LoopPerCore::new().loops(2).run(|core, event_loop| {
//!     let number = core.number();
//!     event_loop.call_after(Duration::ZERO, move |greeted: &mut usize, cx| {
//!         *greeted += number;
//!         cx.drain(Duration::from_secs(1)); // of one: so of all
//!     })?;
//!     Ok(0) // the state of this loop
//! })?;
//! # Ok::<(), trine::Error>(())
//! ```

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{JoinHandle, available_parallelism};
use std::time::Duration;

use rustix::process::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::fellows::{Fellows, join_in};
use crate::reactor::{Error, ErrorKind, EventLoop, Result};
use crate::thread::start_thread;

/// How long the other loops may finish what they have, when one has failed.
const GRACE: Duration = Duration::from_secs(30);

/// How many loops there are, and where they run.
#[derive(Clone, Debug)]
pub struct LoopPerCore {
    loops: usize,
    pinning: Pinning,
}

/// Where a loop's thread may run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Pinning {
    /// Wherever the kernel puts it.
    #[default]
    None,
    /// Each on one processor of those that the process may use, in their order, and over again when
    /// there are more loops: caches stay warm, and a processor that somebody else uses is a loop
    /// that waits.
    Each,
}

/// One of the loops, while it is set up.
#[derive(Clone, Debug)]
pub struct Core {
    number: usize,
    fellows: Fellows,
}

impl Core {
    /// From 0 on.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// All the loops, for whoever wants to end them from elsewhere.
    #[must_use]
    pub fn fellows(&self) -> &Fellows {
        &self.fellows
    }
}

impl LoopPerCore {
    /// As many loops as processors that the process may use; not pinned.
    #[must_use]
    pub fn new() -> LoopPerCore {
        LoopPerCore {
            loops: available_parallelism().map_or(1, usize::from),
            pinning: Pinning::None,
        }
    }

    /// How many loops, and so threads; at least one.
    #[must_use]
    pub fn loops(mut self, loops: usize) -> LoopPerCore {
        self.loops = loops.max(1);
        self
    }

    /// Where they run.
    #[must_use]
    pub fn pinning(mut self, pinning: Pinning) -> LoopPerCore {
        self.pinning = pinning;
        self
    }

    /// How many loops there will be.
    #[must_use]
    pub fn len(&self) -> usize {
        self.loops
    }

    /// Never: there is at least one loop.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.loops == 0
    }

    /// Starts the threads, has `set_up` put onto each loop what it serves and make its state, runs
    /// them all, and waits until the last has ended.
    ///
    /// A drain that one loop begins, all begin, with what is left of its time; one that is forced is
    /// forced for all, and [`stop`](crate::reactor::Context::stop) stops all. A loop whose sources are
    /// gone waits for the others. A loop that fails has the others drained, for at most 30 s.
    ///
    /// # Errors
    ///
    /// When the kernel refuses a thread or a processor, when `set_up` fails or panics for one of them
    /// (then none runs), or what the first of the loops, in their order, says that failed.
    pub fn run<S, F>(self, set_up: F) -> Result<()>
    where
        S: 'static,
        F: Fn(&Core, &mut EventLoop<S>) -> Result<S> + Send + Sync + 'static,
    {
        self.run_to_the_end(move |core, event_loop| {
            let state = set_up(core, event_loop)?;
            Ok((state, |_: &mut EventLoop<S>| {}))
        })
    }

    /// As [`run`](LoopPerCore::run); `set_up` also gives what looks at each loop when it has ended.
    ///
    /// # Errors
    ///
    /// As [`run`](LoopPerCore::run).
    pub(crate) fn run_to_the_end<S, E, F>(self, set_up: F) -> Result<()>
    where
        S: 'static,
        E: FnOnce(&mut EventLoop<S>),
        F: Fn(&Core, &mut EventLoop<S>) -> Result<(S, E)> + Send + Sync + 'static,
    {
        let places = self.places()?;
        let fellows = Fellows::new(self.loops);
        let (set_up, start) = (Arc::new(set_up), Arc::new(Start::new(self.loops)));
        let mut threads = Vec::with_capacity(self.loops);
        for number in 0..self.loops {
            let core = Core {
                number,
                fellows: fellows.clone(),
            };
            let place = places.get(number % places.len().max(1)).copied();
            let (set_up, at) = (Arc::clone(&set_up), Arc::clone(&start));
            let thread = start_thread(format!("trine-loop-{number}"), move || {
                one(&core, place, &at, &*set_up)
            });
            match thread {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    start.call_off();
                    let refused = Error::io("start", format!("loop {number}"), error);
                    return ends(threads).and(Err(refused));
                }
            }
        }
        ends(threads)
    }

    /// One loop, on the calling thread, as `run_to_the_end` does several on theirs.
    ///
    /// # Errors
    ///
    /// What `set_up` says, or the loop.
    pub(crate) fn run_here<S, E>(
        set_up: impl FnOnce(&Core, &mut EventLoop<S>) -> Result<(S, E)>,
    ) -> Result<()>
    where
        S: 'static,
        E: FnOnce(&mut EventLoop<S>),
    {
        let core = Core {
            number: 0,
            fellows: Fellows::new(1),
        };
        let mut event_loop = EventLoop::new()?;
        let (mut state, at_the_end) = set_up(&core, &mut event_loop)?;
        join_in(&core.fellows, core.number, &mut event_loop)?;
        let ended = event_loop.run(&mut state);
        at_the_end(&mut event_loop);
        ended
    }

    /// The processors, if the loops are pinned.
    fn places(&self) -> Result<Vec<usize>> {
        if self.pinning == Pinning::None {
            return Ok(Vec::new());
        }
        let allowed = sched_getaffinity(None)
            .map_err(|error| Error::io("ask for", "the processors", error.into()))?;
        let all = 0..CpuSet::MAX_CPU;
        Ok(all.filter(|cpu| allowed.is_set(*cpu)).collect())
    }
}

impl Default for LoopPerCore {
    fn default() -> LoopPerCore {
        LoopPerCore::new()
    }
}

/// The life of one thread. It ends well, but early, when another one could not be set up.
fn one<S: 'static, E: FnOnce(&mut EventLoop<S>)>(
    core: &Core,
    place: Option<usize>,
    start: &Start,
    set_up: &impl Fn(&Core, &mut EventLoop<S>) -> Result<(S, E)>,
) -> Result<()> {
    let ready = CallOff(start);
    if let Some(cpu) = place {
        pin(cpu).map_err(|error| Error::io("run on", format!("processor {cpu}"), error))?;
    }
    let mut event_loop = EventLoop::new()?;
    let (mut state, at_the_end) = set_up(core, &mut event_loop)?;
    let fellow = join_in(&core.fellows, core.number, &mut event_loop)?;
    std::mem::forget(ready); // it holds nothing but a reference
    if !start.wait_for_the_others() {
        return Ok(());
    }
    let ended = event_loop.run(&mut state);
    match &ended {
        Err(error) if error.kind() != ErrorKind::DrainForced => core.fellows.drain(GRACE),
        Ok(()) if event_loop.context().contains(fellow) => core.fellows.stop(),
        _ => {} // drained: the others have been told
    }
    at_the_end(&mut event_loop);
    ended
}

fn pin(cpu: usize) -> io::Result<()> {
    let mut only = CpuSet::new();
    only.set(cpu);
    Ok(sched_setaffinity(None, &only)?)
}

/// Waits for all threads; the first error in their order is that of all.
fn ends(threads: Vec<JoinHandle<Result<()>>>) -> Result<()> {
    let mut ended = Ok(());
    for (number, thread) in threads.into_iter().enumerate() {
        let one = thread.join().unwrap_or_else(|payload| {
            crate::unwind::discard(payload);
            let what = format!("loop {number}: its set-up panicked");
            Err(Error::new(ErrorKind::Panicked, "run", what))
        });
        ended = ended.and(one);
    }
    ended
}

/// Where the threads wait until all are set up.
struct Start {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    For { more: usize },
    CalledOff,
}

impl Start {
    fn new(loops: usize) -> Start {
        Start {
            state: Mutex::new(Waiting::For { more: loops }),
            changed: Condvar::new(),
        }
    }

    /// Counts this one in. Returns whether to run, when it is known.
    fn wait_for_the_others(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Waiting::For { more } = &mut *state {
            *more -= 1;
        }
        loop {
            match *state {
                Waiting::CalledOff => return false,
                Waiting::For { more: 0 } => break,
                Waiting::For { .. } => {
                    let woken = self.changed.wait(state);
                    state = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        self.changed.notify_all();
        true
    }

    /// Nobody runs.
    fn call_off(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Waiting::CalledOff;
        self.changed.notify_all();
    }
}

/// Calls it off for all when this thread does not come to wait, be it by an error or a panic.
struct CallOff<'a>(&'a Start);

impl Drop for CallOff<'_> {
    fn drop(&mut self) {
        self.0.call_off();
    }
}
