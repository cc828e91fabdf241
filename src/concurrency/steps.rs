//! What threads do, step by step.
//!
//! What a thread of a unit does is written step by step ([`Steps`]), so that it runs on a thread of
//! the real machine, or on none at all: a simulated machine takes the same steps in an order of its
//! own, in virtual time.

use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

#[cfg(feature = "testing")]
use super::crew::Crew;
use crate::thread::start_thread;
use crate::unwind::discard;

/// What one step of a thread came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// There is more to do, at once.
    Goes,
    /// There is nothing to do before so much time has passed, unless something comes: the next step may
    /// wait for that so long.
    Idle(Duration),
    /// Nothing may be done before so much time has passed; with none, others are let run.
    Pauses(Duration),
    /// There are no more steps.
    Ended,
}

/// What a thread does, step by step.
pub(crate) trait Steps {
    /// Takes one step. Waits at most so long, and only when it has nothing to do; a
    /// simulated machine never lets it wait.
    fn step(&mut self, patience: Duration) -> Step;

    /// Whether what an idle one waits for has come.
    #[cfg(feature = "testing")]
    fn is_ready(&self) -> bool;
}

/// Takes the steps of a thread on this one, to the end.
fn run(mut steps: impl Steps) {
    let mut patience = Duration::ZERO;
    loop {
        patience = match steps.step(patience) {
            Step::Ended => return,
            Step::Goes => Duration::ZERO,
            Step::Idle(patience) => patience,
            Step::Pauses(Duration::ZERO) => {
                thread::yield_now();
                Duration::ZERO
            }
            Step::Pauses(pause) => {
                thread::sleep(pause);
                Duration::ZERO
            }
        }
    }
}

/// Where the threads of a unit are.
#[derive(Clone, Debug)]
pub(crate) enum Threads {
    /// Of this process.
    Real,
    /// Of a simulated machine.
    #[cfg(feature = "testing")]
    Simulated(Crew),
}

impl Threads {
    /// Starts a thread that takes the steps of what `make` makes on it.
    pub(crate) fn start<T: Steps + 'static>(
        &self,
        name: String,
        make: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Started> {
        match self {
            Threads::Real => start_thread(name, || run(make())).map(Started::Real),
            #[cfg(feature = "testing")]
            Threads::Simulated(crew) => {
                crew.add(make());
                Ok(Started::Simulated)
            }
        }
    }
}

/// A thread that was started.
#[derive(Debug)]
pub(crate) enum Started {
    Real(JoinHandle<()>),
    /// Only its machine can run it, and does: there is nothing to wait for here.
    #[cfg(feature = "testing")]
    Simulated,
}

impl Started {
    /// Whether it is the one that asks.
    pub(crate) fn is_current(&self) -> bool {
        match self {
            Started::Real(handle) => handle.thread().id() == thread::current().id(),
            #[cfg(feature = "testing")]
            Started::Simulated => false,
        }
    }

    /// Whether its end can be waited for.
    pub(crate) fn can_be_joined(&self) -> bool {
        matches!(self, Started::Real(_))
    }

    /// Whether it has ended.
    pub(crate) fn is_finished(&self) -> bool {
        match self {
            Started::Real(handle) => handle.is_finished(),
            #[cfg(feature = "testing")]
            Started::Simulated => false,
        }
    }

    /// Waits for its end, if that can be done.
    pub(crate) fn join(self) {
        match self {
            Started::Real(handle) => handle.join().unwrap_or_else(discard),
            #[cfg(feature = "testing")]
            Started::Simulated => {}
        }
    }
}
