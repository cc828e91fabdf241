//! What a loop shows of itself to its [watchdog](super::watchdog), without ever waiting for it.
//!
//! ```text
//!   loop ── beat: number, token, name ──> Heartbeat <── look ── watchdog thread
//!        ── rest ───────────────────────>
//! ```
//!
//! The loop stores, the watchdog loads: three relaxed stores for each dispatch, and no lock. A number
//! that has not changed between two looks belongs to a callback that has run for as long as that.
//!
//! Names are `&'static str`, which do not fit into an atomic. So each name that is new to the loop goes
//! into a table, once, and its place in there is what is stored.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

use crate::slab::Token;
use crate::sync::Arc;

/// Kinds of sources that are told apart by name; those beyond share one.
const NAMES_MAX: usize = 64;
const OTHER: &str = "one of many kinds of sources";

/// The number of no dispatch: the loop waits, or is not being run.
pub(super) const RESTING: u64 = 0;

/// The side that both see.
#[derive(Debug)]
pub(super) struct Heartbeat {
    /// The number of the dispatch that runs, or [`RESTING`]. Stored last.
    beat: AtomicU64,
    token: AtomicU64,
    /// The place of its name.
    name: AtomicUsize,
    /// The kernel's id of the thread that runs the loop; 0 before it runs.
    thread: AtomicI32,
    /// How many stalls the watchdog has reported.
    stalls: AtomicU64,
    names: [OnceLock<&'static str>; NAMES_MAX],
}

impl Heartbeat {
    /// The number of the dispatch that runs.
    pub(super) fn beat(&self) -> u64 {
        self.beat.load(Ordering::Acquire)
    }

    /// Who runs, if that is still the one with the number just read.
    pub(super) fn who(&self) -> (&'static str, Token) {
        let name = self.names.get(self.name.load(Ordering::Relaxed));
        let name = name.and_then(OnceLock::get).copied().unwrap_or(OTHER);
        (name, Token::from_bits(self.token.load(Ordering::Relaxed)))
    }

    /// The thread that runs the loop.
    pub(super) fn thread(&self) -> i32 {
        self.thread.load(Ordering::Relaxed)
    }

    pub(super) fn count_stall(&self) {
        self.stalls.fetch_add(1, Ordering::Relaxed);
    }
}

/// The loop's side.
#[derive(Debug)]
pub(super) struct Heart {
    shared: Arc<Heartbeat>,
    beats: u64,
    /// The name stored last, so that one that comes again is not looked for.
    name: &'static str,
}

impl Heart {
    pub(super) fn new() -> Heart {
        let heart = Heart {
            shared: Arc::new(Heartbeat {
                beat: AtomicU64::new(RESTING),
                token: AtomicU64::new(0),
                name: AtomicUsize::new(NAMES_MAX),
                thread: AtomicI32::new(0),
                stalls: AtomicU64::new(0),
                names: [const { OnceLock::new() }; NAMES_MAX],
            }),
            beats: RESTING,
            name: "",
        };
        heart.is_here();
        heart
    }

    pub(super) fn shared(&self) -> Arc<Heartbeat> {
        Arc::clone(&self.shared)
    }

    /// The loop runs on this thread from now on.
    pub(super) fn is_here(&self) {
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        self.shared.thread.store(thread, Ordering::Relaxed);
    }

    /// The source called `name` is given an event.
    #[inline]
    pub(super) fn beat(&mut self, name: &'static str, token: Token) {
        self.beats += 1;
        if !std::ptr::eq(self.name, name) {
            self.change_name(name);
        }
        self.shared.token.store(token.to_bits(), Ordering::Relaxed);
        self.shared.beat.store(self.beats, Ordering::Release);
    }

    fn change_name(&mut self, name: &'static str) {
        self.name = name;
        let names = &self.shared.names;
        let fits = |held: &OnceLock<&'static str>| *held.get_or_init(|| name) == name;
        let place = names.iter().position(fits).unwrap_or(NAMES_MAX);
        self.shared.name.store(place, Ordering::Relaxed);
    }

    /// No source runs.
    #[inline]
    pub(super) fn rest(&self) {
        self.shared.beat.store(RESTING, Ordering::Relaxed);
    }

    pub(super) fn stalls(&self) -> u64 {
        self.shared.stalls.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_stored_once_and_those_beyond_the_table_share_one() {
        let mut heart = Heart::new();
        let shared = heart.shared();
        let many = (0..NAMES_MAX + 3).map(|n| &*format!("source {n}").leak());
        let names: Vec<&'static str> = many.collect();
        for _ in 0..2 {
            for (number, name) in names.iter().enumerate() {
                heart.beat(name, Token::from_bits(number as u64));
                let said = if number < NAMES_MAX { name } else { OTHER };
                assert_eq!(shared.who(), (said, Token::from_bits(number as u64)));
            }
        }
        assert_eq!(shared.beat(), 2 * names.len() as u64);
        heart.rest();
        assert_eq!(shared.beat(), RESTING);
    }
}
