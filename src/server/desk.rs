//! What threads that run the connections of a server share with the loop that keeps its books.
//!
//! ```text
//!   the loop: accepts, counts, judges              the threads: serve
//!
//!   Host (books) ── rung, settings, meter ──> Desk ──> Bench: a Host of its own, a state
//!      ^                                       │  ^                 │
//!      └── Woken: settles ──── notes, tallies ─┘  └── who has ended ┘
//! ```
//!
//! The threads read what the loop publishes (a load each, before a call), and publish what they
//! counted (a store each, after it). Only the end of a connection takes a lock and wakes the loop,
//! once for all that end before it looks.
//!
//! Invariant: a note is left when the descriptor of its connection is closed, so that whoever is let in
//! for it finds one free.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::driver::Counted;
use super::host::{Bounds, Host};
use super::ladder::Rung;
use super::metrics::ServerMetrics;
use super::observer::Observer;
use super::recorder::Recorder;
use super::recording::Recording;
use super::served::Served;
use crate::connection::{CloseReason, Common, Config, Pools};
use crate::reactor::{Reserve, Waker};

/// The function that wants to know of each exchange: any thread calls it, one at a time.
type Call = Arc<Mutex<dyn FnMut(&Served<'_>) + Send>>;

/// What the loop and the threads of one server have in common.
pub(crate) struct Desk {
    bounds: Bounds,
    /// Wakes the loop; not there while the server is set up.
    bell: OnceLock<Waker>,
    notes: Mutex<Vec<Note>>,
    rung: AtomicU8,
    settings: Mutex<Config>,
    /// How often there were new settings.
    edition: AtomicUsize,
    tallies: Box<[Counters]>,
    common: Common,
    observer: Option<Call>,
    recorder: Option<Recording>,
}

/// One connection has ended.
pub(super) struct Note {
    pub(super) reason: CloseReason,
    pub(super) counted: Counted,
}

/// What one thread has counted. On lines of its own: each is written by one thread all the time.
#[derive(Default)]
#[repr(align(128))]
struct Counters {
    requests: AtomicU64,
    panics: AtomicU64,
    shares_spent: AtomicU64,
}

/// What is counted where connections run.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) panics: u64,
    pub(super) shares_spent: u64,
}

/// What a server is made of that every thread has to have.
pub(super) struct Terms {
    pub(super) config: Config,
    pub(super) bounds: Bounds,
    pub(super) observer: Option<Box<Observer>>,
    pub(super) recorder: Option<NonZeroUsize>,
}

impl Desk {
    pub(super) fn new(terms: Terms, threads: usize) -> Desk {
        let observer = terms.observer.map(|observer| {
            let call: Call = Arc::new(Mutex::new(observer.into_call()));
            call
        });
        Desk {
            bounds: terms.bounds,
            bell: OnceLock::new(),
            notes: Mutex::default(),
            rung: AtomicU8::new(0),
            settings: Mutex::new(terms.config),
            edition: AtomicUsize::new(0),
            tallies: (0..threads).map(|_| Counters::default()).collect(),
            common: Common::default(),
            observer,
            recorder: terms.recorder.map(Recorder::new).map(Recording::shared),
        }
    }

    /// A host for `service`, of the loop or of one of the threads, whose bytes and exchanges are
    /// counted and told together with those of the others.
    pub(super) fn host<S, V>(&self, service: V, reserve: Reserve) -> Host<S, V> {
        let config = lock(&self.settings).clone();
        let mut host = Host::new(service, config, self.bounds, reserve);
        let sharers = self.tallies.len() + 1;
        host.pools = Pools::in_common(self.bounds.memory_max, sharers, &self.common);
        host.observer = self.observer.as_ref().map(|call| {
            let call = Arc::clone(call);
            Box::new(Observer::new(move |served| (lock(&call))(served)))
        });
        host
    }

    /// From now on the loop is woken for what is left here.
    pub(super) fn open(&self, bell: Waker) {
        let _ = self.bell.set(bell); // once
        self.ring();
    }

    /// Has the loop look.
    pub(super) fn ring(&self) {
        if let Some(bell) = self.bell.get() {
            bell.wake();
        }
    }

    pub(super) fn leave(&self, note: Note) {
        lock(&self.notes).push(note);
        self.ring();
    }

    pub(super) fn take_notes(&self) -> Vec<Note> {
        std::mem::take(&mut lock(&self.notes))
    }

    pub(super) fn publish_rung(&self, rung: Rung) {
        self.rung.store(rung.index() as u8, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn rung(&self) -> Rung {
        let index = usize::from(self.rung.load(Ordering::Relaxed));
        Rung::ALL.get(index).copied().unwrap_or_default()
    }

    pub(super) fn publish(&self, config: &Config) {
        lock(&self.settings).clone_from(config);
        self.edition.fetch_add(1, Ordering::Release);
    }

    /// The settings, and their edition, if it is another than `known`.
    #[inline]
    pub(super) fn news(&self, known: usize) -> Option<(Config, usize)> {
        let edition = self.edition.load(Ordering::Acquire);
        (edition != known).then(|| (lock(&self.settings).clone(), edition))
    }

    /// Thread `number` gives a request to its service.
    #[inline]
    pub(super) fn count_request(&self, number: usize) {
        if let Some(counters) = self.tallies.get(number) {
            // Nobody else writes it.
            let before = counters.requests.load(Ordering::Relaxed);
            counters.requests.store(before + 1, Ordering::Release);
        }
    }

    /// What thread `number` has counted so far.
    pub(super) fn count(&self, number: usize, metrics: &ServerMetrics) {
        if let Some(counters) = self.tallies.get(number) {
            counters.requests.store(metrics.requests, Ordering::Relaxed);
            counters.panics.store(metrics.panics, Ordering::Relaxed);
            let spent = metrics.shares_spent;
            counters.shares_spent.store(spent, Ordering::Relaxed);
        }
    }

    /// What all threads have counted, each as of its last call.
    pub(super) fn counted(&self) -> Tally {
        let tallies = self.tallies.iter();
        tallies.fold(Tally::default(), |sum, it| Tally {
            requests: sum.requests + it.requests.load(Ordering::Acquire),
            panics: sum.panics + it.panics.load(Ordering::Relaxed),
            shares_spent: sum.shares_spent + it.shares_spent.load(Ordering::Relaxed),
        })
    }

    /// The recorder of the connections that the threads run.
    pub(super) fn recorder(&self) -> Option<&Recording> {
        self.recorder.as_ref()
    }
}

/// What is locked stays whole whatever happens: no call of the user's is made meanwhile but that of the
/// observer, which is the user's own.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
