//! A flight recorder, of one thread or of several.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::recorder::Recorder;

/// Where the lives of connections are recorded.
#[derive(Debug)]
pub(super) enum Recording {
    /// By the one thread that there is.
    Own(Recorder),
    /// By whichever thread has the connection.
    Shared(Arc<Mutex<Recorder>>),
}

impl Recording {
    /// For several threads.
    pub(super) fn shared(recorder: Recorder) -> Recording {
        Recording::Shared(Arc::new(Mutex::new(recorder)))
    }

    /// The same for one thread more, if it is shared.
    pub(super) fn another(&self) -> Option<Recording> {
        match self {
            Recording::Own(_) => None,
            Recording::Shared(recorder) => Some(Recording::Shared(Arc::clone(recorder))),
        }
    }

    /// Reads it.
    pub(super) fn with<R>(&self, read: impl FnOnce(&Recorder) -> R) -> R {
        match self {
            Recording::Own(recorder) => read(recorder),
            Recording::Shared(recorder) => read(&lock(recorder)),
        }
    }

    /// Adds to it.
    pub(super) fn add<R>(&mut self, add: impl FnOnce(&mut Recorder) -> R) -> R {
        match self {
            Recording::Own(recorder) => add(recorder),
            Recording::Shared(recorder) => add(&mut lock(recorder)),
        }
    }
}

/// Nothing that is called while it is locked belongs to anybody else, so none of it panics.
fn lock(recorder: &Mutex<Recorder>) -> MutexGuard<'_, Recorder> {
    recorder.lock().unwrap_or_else(PoisonError::into_inner)
}
