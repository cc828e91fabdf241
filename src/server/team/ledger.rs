//! What threads that run the connections of a server share with the loop that keeps its books.
//!
//! ```text
//!   the loop: accepts, counts, judges              the threads: serve
//!
//!   Host (books) ── rung, settings, meter ──> Ledger ──> Bench: a Host of its own, a state
//!      ^                                       │  ^                  │
//!      └── Woken: settles ──── notes, tallies ─┘  └── who has ended ─┘
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
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::connection::{CloseReason, Common, Config, Pools};
use crate::reactor::{Reserve, Waker};
use crate::server::driver::Counted;
use crate::server::host::{Bounds, Host};
use crate::server::install::Share;
use crate::server::ladder::Rung;
use crate::server::metrics::ServerMetrics;
use crate::server::observer::Observer;
use crate::server::recorder::Recorder;
use crate::server::recording::Recording;

/// What the loop and the threads of one server have in common.
pub(in crate::server) struct Ledger {
    bounds: Bounds,
    /// Wakes the loop; not there while the server is set up.
    bell: OnceLock<Waker>,
    notes: Mutex<Notes>,
    rung: AtomicU8,
    settings: Mutex<Config>,
    /// How often there were new settings.
    edition: AtomicUsize,
    tallies: Box<[Counters]>,
    common: Common,
    /// One for each thread that has not begun.
    observers: Mutex<Vec<Observer>>,
    recorder: Option<Recording>,
}

/// What connections have written here.
#[derive(Default)]
struct Notes {
    left: Vec<Note>,
    /// How many more are to come. Below 0 for a moment, when one comes before it was announced.
    owed: isize,
    /// Nobody reads any more.
    is_closed: bool,
}

/// One connection has ended.
pub(in crate::server) struct Note {
    pub(in crate::server) reason: CloseReason,
    pub(in crate::server) counted: Counted,
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
pub(in crate::server) struct Tally {
    pub(in crate::server) requests: u64,
    pub(in crate::server) panics: u64,
    pub(in crate::server) shares_spent: u64,
}

impl Ledger {
    /// For so many threads with the settings of `share`.
    pub(super) fn new(share: &mut Share, threads: usize) -> Ledger {
        let observer = share.observer.take();
        let mut observers = observer.map_or_else(Vec::new, |it| it.divide(threads + 1));
        share.observer = observers.pop().map(Box::new);
        let recorder = NonZeroUsize::new(share.recorder).map(Recorder::new);
        Ledger {
            bounds: share.bounds,
            bell: OnceLock::new(),
            notes: Mutex::default(),
            rung: AtomicU8::new(0),
            settings: Mutex::new(share.config.clone()),
            edition: AtomicUsize::new(0),
            tallies: (0..threads).map(|_| Counters::default()).collect(),
            common: Common::default(),
            observers: Mutex::new(observers),
            recorder: recorder.map(Recording::shared),
        }
    }

    /// The part that one of those has who share the memory.
    pub(super) fn pools(&self) -> Pools {
        let sharers = self.tallies.len() + 1;
        Pools::in_common(self.bounds.memory_max, sharers, &self.common)
    }

    /// A host for one of the threads.
    pub(super) fn host<S, V>(&self, service: V) -> Host<S, V> {
        let config = lock(&self.settings).clone();
        let reserve = Reserve::as_far_as_possible(0);
        let mut host = Host::new(service, config, self.bounds, reserve);
        host.pools = self.pools();
        let observer = lock(&self.observers).pop().map(Box::new);
        let recorder = self.recorder.as_ref().and_then(Recording::another);
        host.watch(observer, recorder);
        host
    }

    /// From now on the loop is woken for what is left here.
    pub(in crate::server) fn open(&self, bell: Waker) {
        let _ = self.bell.set(bell); // once
        self.ring();
    }

    /// Has the loop look.
    pub(in crate::server) fn ring(&self) {
        if let Some(bell) = self.bell.get() {
            bell.wake();
        }
    }

    pub(in crate::server) fn leave(&self, note: Note) {
        let mut notes = lock(&self.notes);
        if !notes.is_closed {
            notes.owed -= 1;
            notes.left.push(note);
        }
        drop(notes);
        self.ring();
    }

    /// One more note is to come. False when nobody reads it.
    pub(in crate::server) fn owe(&self) -> bool {
        let mut notes = lock(&self.notes);
        notes.owed += isize::from(!notes.is_closed);
        !notes.is_closed
    }

    /// One that was to come does not.
    pub(super) fn owe_no_more(&self) {
        lock(&self.notes).owed -= 1;
    }

    /// Nobody reads any more. How many notes were still to come.
    pub(super) fn close(&self) -> (Vec<Note>, usize) {
        let mut notes = lock(&self.notes);
        notes.is_closed = true;
        let owed = usize::try_from(notes.owed).unwrap_or(0);
        (std::mem::take(&mut notes.left), owed)
    }

    pub(super) fn take_notes(&self) -> Vec<Note> {
        std::mem::take(&mut lock(&self.notes).left)
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
    pub(in crate::server) fn recorder(&self) -> Option<&Recording> {
        self.recorder.as_ref()
    }
}

/// Nothing panics while it is held, but for want of memory.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
