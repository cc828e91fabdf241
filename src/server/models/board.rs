//! What the loops of one server tell each other: how many connections each has, new settings, counters.
//!
//! Each loop writes its own seat and, seldom, wakes another. Nothing here is touched for a request.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::meter::LoopMetrics;
use crate::concurrency::WorkerMeter;
use crate::reactor::{Metrics, Waker};
use crate::server::metrics::ServerMetrics;
use crate::server::moving::MovingConnection;
use crate::server::reload::Live;

/// The loops of one server.
pub(in crate::server) struct Board {
    seats: Box<[Seat]>,
    /// Of all loops together.
    connections_max: AtomicUsize,
    /// Whether the loop that accepts for all found room nowhere, and wants to hear of the next place.
    wants_place: AtomicBool,
    /// How many connections a loop may have more than the one with the fewest.
    imbalance_max: usize,
    /// Those behind the loop, if there are any.
    pub(super) workers: OnceLock<WorkerMeter>,
}

/// One loop, as the others see it.
struct Seat {
    /// Of its [`Member`](super::member::Member); set when the loop is set up.
    waker: OnceLock<Waker>,
    /// Connections it has.
    live: AtomicUsize,
    /// Those on the way to it.
    coming: AtomicUsize,
    connections_max: AtomicUsize,
    /// Connections that others gave it.
    moved: Mutex<Mailbox>,
    /// Settings that it has not taken yet.
    news: Mutex<Option<Live>>,
    /// Whether it has drained to the end.
    is_drained: AtomicBool,
    /// What it last said of itself.
    counted: Mutex<LoopMetrics>,
}

/// Where connections wait that come from other loops.
enum Mailbox {
    Open(Vec<MovingConnection>),
    /// The loop drains.
    Closed,
}

/// The part number `number` of `whole` that is divided into `parts`, which differ by one at most.
pub(super) fn part_of(whole: usize, parts: usize, number: usize) -> usize {
    whole / parts + usize::from(number < whole % parts)
}

impl Board {
    pub(super) fn new(loops: usize, connections_max: usize, imbalance_max: usize) -> Arc<Board> {
        let seat = |number| Seat {
            waker: OnceLock::new(),
            live: AtomicUsize::new(0),
            coming: AtomicUsize::new(0),
            connections_max: AtomicUsize::new(part_of(connections_max, loops, number)),
            moved: Mutex::new(Mailbox::Open(Vec::new())),
            news: Mutex::default(),
            is_drained: AtomicBool::new(false),
            counted: Mutex::new(LoopMetrics {
                server: ServerMetrics::new(),
                event_loop: Metrics::default(),
            }),
        };
        Arc::new(Board {
            seats: (0..loops).map(seat).collect(),
            connections_max: AtomicUsize::new(connections_max),
            wants_place: AtomicBool::new(false),
            imbalance_max,
            workers: OnceLock::new(),
        })
    }

    pub(super) fn loops(&self) -> usize {
        self.seats.len()
    }

    /// The loop `number` is set up: its member is woken by `waker`.
    pub(super) fn take_seat(&self, number: usize, waker: Waker) {
        let _ = self.seats[number].waker.set(waker); // it is set once
    }

    /// Has all loops say what they count.
    pub(super) fn ask(&self) {
        self.seats.iter().for_each(Seat::wake);
    }

    pub(super) fn publish(&self, number: usize, counted: LoopMetrics) {
        *lock(&self.seats[number].counted) = counted;
    }

    /// What each loop last said.
    pub(super) fn counted(&self) -> Vec<LoopMetrics> {
        let seats = self.seats.iter();
        seats.map(|seat| lock(&seat.counted).clone()).collect()
    }

    /// Settings for the loop `number` that it has not seen.
    pub(super) fn take_news(&self, number: usize) -> Option<Live> {
        lock(&self.seats[number].news).take()
    }

    /// How many connections the loop `number` has or is about to have, if there is room for more.
    pub(super) fn load_with_room(&self, number: usize) -> Option<usize> {
        let seat = &self.seats[number];
        let load = seat.coming.load(Ordering::SeqCst) + seat.live.load(Ordering::SeqCst);
        Some(load).filter(|load| *load < seat.connections_max.load(Ordering::SeqCst))
    }

    /// The loop that has the fewest connections of those that have room, and how many the loop `from` is to
    /// give it so that they have as many: nothing within what is allowed.
    pub(super) fn imbalance(&self, from: usize) -> Option<(usize, usize)> {
        let others = (0..self.loops()).filter(|number| *number != from);
        let loads = others.filter_map(|number| Some((self.load_with_room(number)?, number)));
        let (fewest, to) = loads.min()?;
        let own = self.seats[from].live.load(Ordering::SeqCst);
        let more = own.saturating_sub(fewest);
        (more > self.imbalance_max).then_some((to, more / 2))
    }

    /// Puts a connection on the way to the loop `number`; back, if that takes no more.
    pub(super) fn give(
        &self,
        number: usize,
        connection: MovingConnection,
    ) -> Result<(), MovingConnection> {
        match &mut *lock(&self.seats[number].moved) {
            Mailbox::Open(waiting) => {
                self.add_coming(number); // before it can arrive
                waiting.push(connection);
            }
            Mailbox::Closed => return Err(connection),
        }
        self.seats[number].wake();
        Ok(())
    }

    /// The connections that have come for the loop `number`.
    pub(super) fn take_moved(&self, number: usize) -> Vec<MovingConnection> {
        match &mut *lock(&self.seats[number].moved) {
            Mailbox::Open(waiting) => std::mem::take(waiting),
            Mailbox::Closed => Vec::new(),
        }
    }

    /// The same, and no more will come.
    pub(super) fn close_mailbox(&self, number: usize) -> Vec<MovingConnection> {
        match std::mem::replace(&mut *lock(&self.seats[number].moved), Mailbox::Closed) {
            Mailbox::Open(waiting) => waiting,
            Mailbox::Closed => Vec::new(),
        }
    }

    pub(super) fn add_coming(&self, number: usize) {
        self.seats[number].coming.fetch_add(1, Ordering::SeqCst);
    }

    /// One that was on the way has arrived, and is counted as live if it is; or it did not go.
    pub(super) fn remove_coming(&self, number: usize) {
        self.seats[number].coming.fetch_sub(1, Ordering::SeqCst);
    }

    /// The loop that accepts is to be woken when there is a place again. Look once more after this.
    pub(super) fn want_place(&self) {
        self.wants_place.store(true, Ordering::SeqCst);
    }

    fn tell_of_place(&self) {
        let wanted = &self.wants_place;
        if wanted.load(Ordering::SeqCst) && wanted.swap(false, Ordering::SeqCst) {
            self.seats[0].wake();
        }
    }

    /// Whether all loops have drained to the end.
    pub(super) fn is_drained(&self) -> bool {
        let mut seats = self.seats.iter();
        seats.all(|seat| seat.is_drained.load(Ordering::SeqCst))
    }
}

impl Seat {
    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }
}

/// Nothing panics while it is held, but for want of memory.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The part that one of several loops has of a server.
#[derive(Clone)]
pub(in crate::server) struct Part {
    board: Arc<Board>,
    number: usize,
}

impl Part {
    pub(super) fn new(board: &Arc<Board>, number: usize) -> Part {
        let board = Arc::clone(board);
        Part { board, number }
    }

    fn seat(&self) -> &Seat {
        &self.board.seats[self.number]
    }

    pub(in crate::server) fn loops(&self) -> usize {
        self.board.loops()
    }

    /// One more connection is there.
    pub(in crate::server) fn enter(&self) {
        self.seat().live.fetch_add(1, Ordering::SeqCst);
        if self.board.imbalance_max < usize::MAX && self.board.imbalance(self.number).is_some() {
            self.seat().wake(); // its member sees to it
        }
    }

    /// One has left.
    pub(in crate::server) fn leave(&self) {
        self.seat().live.fetch_sub(1, Ordering::SeqCst);
        self.board.tell_of_place();
    }

    /// The last one has left, and no more will come.
    pub(in crate::server) fn drained(&self) {
        self.seat().is_drained.store(true, Ordering::SeqCst);
    }

    pub(in crate::server) fn connections_max_of_all(&self) -> usize {
        self.board.connections_max.load(Ordering::SeqCst)
    }

    /// There may be `of_all` connections from now on; how many on this loop.
    pub(in crate::server) fn take_connections_max(&self, of_all: usize) -> usize {
        let own = part_of(of_all, self.loops(), self.number);
        self.board.connections_max.store(of_all, Ordering::SeqCst);
        self.seat().connections_max.store(own, Ordering::SeqCst);
        self.board.tell_of_place();
        own
    }

    /// Gives the other loops new settings. Of two that come soon after one another the later holds.
    pub(in crate::server) fn tell_others(&self, live: &Live) {
        for (number, seat) in self.board.seats.iter().enumerate() {
            if number != self.number {
                *lock(&seat.news) = Some(live.clone());
                seat.wake();
            }
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Part({} of {})", self.number, self.loops())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_whole_together_and_differ_by_one_at_most() {
        for whole in [0, 1, 2, 7, 8, 9, 1_000_003] {
            for parts in 1..9 {
                let all: Vec<_> = (0..parts).map(|it| part_of(whole, parts, it)).collect();
                assert_eq!(all.iter().sum::<usize>(), whole);
                assert!(all.iter().max().unwrap() - all.iter().min().unwrap() <= 1);
            }
        }
    }
}
