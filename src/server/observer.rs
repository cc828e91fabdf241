//! Tells whoever wants to know how each exchange went.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use super::metrics::ServerMetrics;
use super::served::{Ended, Served};
use crate::connection::{CloseReason, Journal, Record};
use crate::reactor::Peer;
use crate::slab::Token;
use crate::time::Tick;
use crate::unwind::discard;

/// What the user gave.
type Call = Box<dyn FnMut(&Served<'_>) + Send>;

/// The function to be told, and what the connections have noted for it.
pub(super) struct Observer {
    call: Call,
    noted: HashMap<Token, Noted>,
}

/// One connection.
pub(super) struct Noted {
    peer: Peer,
    pub journal: Journal,
}

/// The present, in the two ways it is needed.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub now: Tick,
    pub unix_seconds: u64,
}

impl Noted {
    pub fn new(peer: Peer) -> Noted {
        let journal = Journal::default();
        Noted { peer, journal }
    }
}

impl Observer {
    pub fn new(call: impl FnMut(&Served<'_>) + Send + 'static) -> Observer {
        Observer {
            call: Box::new(call),
            noted: HashMap::new(),
        }
    }

    /// The same function for each of `loops` loops, one at a time.
    pub fn divide(self, loops: usize) -> Vec<Observer> {
        let shared = Arc::new(Mutex::new(self.call));
        let one = |_| {
            let shared = Arc::clone(&shared);
            Observer::new(move |served| {
                // A panic in it is counted where it happened, and the next call is as welcome.
                let mut call = shared.lock().unwrap_or_else(PoisonError::into_inner);
                call(served);
            })
        };
        (0..loops).map(one).collect()
    }

    pub fn insert(&mut self, connection: Token, noted: Noted) {
        self.noted.insert(connection, noted);
    }

    /// What a connection has noted that goes to another loop.
    pub fn take(&mut self, connection: Token) -> Option<Noted> {
        self.noted.remove(&connection)
    }

    #[cold]
    #[inline(never)]
    pub fn journal(&mut self, connection: Token) -> Option<&mut Journal> {
        self.noted.get_mut(&connection).map(|it| &mut it.journal)
    }

    /// Tells of what is over.
    #[cold]
    pub fn report(&mut self, connection: Token, at: Moment, metrics: &mut ServerMetrics) {
        let Some(Noted { peer, journal }) = self.noted.get_mut(&connection) else {
            return;
        };
        while let Some((record, bytes)) = journal.pop_over() {
            let facts = (&record, bytes, Ended::Whole);
            tell(&mut self.call, peer, facts, at, metrics);
        }
    }

    /// The connection ended for `reason`: tells of what was not over.
    #[cold]
    pub fn close(
        &mut self,
        connection: Token,
        reason: CloseReason,
        at: Moment,
        metrics: &mut ServerMetrics,
    ) {
        self.report(connection, at, metrics);
        let Some(Noted { peer, mut journal }) = self.noted.remove(&connection) else {
            return;
        };
        while let Some((record, bytes)) = journal.pop_cut() {
            let facts = (&record, bytes, Ended::Cut(reason));
            tell(&mut self.call, &peer, facts, at, metrics);
        }
    }
}

/// A panic there harms no connection.
fn tell(
    call: &mut Call,
    peer: &Peer,
    (record, content_bytes, ended): (&Record, u64, Ended),
    at: Moment,
    metrics: &mut ServerMetrics,
) {
    let served = Served {
        peer,
        record,
        content_bytes,
        ended,
        took: at.now.since(record.began),
        unix_seconds: at.unix_seconds,
    };
    let told: Result<(), Box<dyn Any + Send>> = catch_unwind(AssertUnwindSafe(|| call(&served)));
    if let Err(payload) = told {
        metrics.panics += 1;
        tracing::error!(target: "trine::http", "on_served panicked");
        discard(payload);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observer({} connections)", self.noted.len())
    }
}
