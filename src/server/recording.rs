//! A flight recorder, of one thread or of several.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::host::ServerHandle;
use super::recorder::Recorder;
use super::timeline::Timeline;
use crate::connection::CloseReason;
use crate::reactor::Context;
use crate::service::Service;
use crate::slab::Token;

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

    /// The connection is gone. Says what led to it, if it ended badly, when nothing is locked any more.
    pub(super) fn close(&mut self, token: Token, nanos: u64, reason: CloseReason) {
        let bad = self.add(|recorder| recorder.close(token, nanos, reason));
        if let Some(bad) = bad {
            bad.log();
        }
    }
}

impl<S: 'static, V: Service<S>> ServerHandle<S, V> {
    /// The life of one connection so far, by its number: they are counted from 1 as they are
    /// accepted. `None` without a [flight recorder](super::Server::flight_recorder), when the
    /// connection ended long ago (the last 64 that ended are kept) or is not there yet, and inside the
    /// server's own service. O(connections).
    pub fn explain(&self, cx: &mut Context<'_, S>, connection: u64) -> Option<Timeline> {
        let explained = cx.with(self.host, |host, _| {
            let mut recorders = host.recorders();
            recorders.find_map(|it| it.with(|recorder| recorder.explain(connection)))
        });
        explained.flatten()
    }

    /// The lives of all connections that there are, and of the last 64 that ended, by their numbers;
    /// none where [`explain`](ServerHandle::explain) gives none.
    pub fn timelines(&self, cx: &mut Context<'_, S>) -> Vec<Timeline> {
        let all = cx.with(self.host, |host, _| {
            let recorders = host.recorders();
            let mut all: Vec<_> = recorders
                .flat_map(|it| it.with(|recorder| recorder.timelines()))
                .collect();
            all.sort_by_key(|life| life.connection);
            all
        });
        all.unwrap_or_default()
    }
}

/// Nothing that is called while it is locked belongs to anybody else, so none of it panics.
fn lock(recorder: &Mutex<Recorder>) -> MutexGuard<'_, Recorder> {
    recorder.lock().unwrap_or_else(PoisonError::into_inner)
}
