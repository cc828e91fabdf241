//! What the loops of one server tell each other: how many connections each has, new settings, counters.
//!
//! Each loop writes its own seat and, seldom, wakes another. Nothing here is touched for a request.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::load::Load;
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
    /// Whether there is one since: news for the member of that loop.
    has_place: AtomicBool,
    /// How often the loops were asked what they count.
    asked: AtomicU64,
    /// Waits on loop 0 for the others to end.
    vigil: OnceLock<Waker>,
    /// How many connections a loop may have more than the one with the fewest.
    imbalance_max: usize,
    /// Those behind the loop, if there are any.
    pub(super) workers: OnceLock<WorkerMeter>,
}

/// One loop, as the others see it.
struct Seat {
    /// Of its [`Member`](super::member::Member); set when the loop is set up.
    waker: OnceLock<Waker>,
    load: Load,
    connections_max: AtomicUsize,
    /// Whether its overload lets it serve more.
    is_able: AtomicBool,
    /// Connections that others gave it.
    moved: Mutex<Mailbox>,
    /// Settings that it has not taken yet.
    news: Mutex<Option<Live>>,
    /// Whether it has drained to the end.
    is_drained: AtomicBool,
    /// Whether its thread has ended, well or not.
    is_over: AtomicBool,
    /// What it last said of itself, and which question that answers.
    counted: Mutex<(u64, LoopMetrics)>,
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
            load: Load::default(),
            is_able: AtomicBool::new(true),
            connections_max: AtomicUsize::new(part_of(connections_max, loops, number)),
            moved: Mutex::new(Mailbox::Open(Vec::new())),
            news: Mutex::default(),
            is_drained: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            counted: Mutex::new((
                0,
                LoopMetrics {
                    server: ServerMetrics::new(),
                    event_loop: Metrics::default(),
                },
            )),
        };
        Arc::new(Board {
            seats: (0..loops).map(seat).collect(),
            connections_max: AtomicUsize::new(connections_max),
            wants_place: AtomicBool::new(false),
            has_place: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            vigil: OnceLock::new(),
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

    /// Has all loops say what they count. The number of the question.
    pub(super) fn ask(&self) -> u64 {
        let question = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.seats.iter().for_each(Seat::wake);
        question
    }

    /// The question that is answered by what is counted from now on.
    pub(super) fn question(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    pub(super) fn publish(&self, number: usize, question: u64, counted: LoopMetrics) {
        *lock(&self.seats[number].counted) = (question, counted);
    }

    /// What each loop last said.
    pub(super) fn counted(&self) -> Vec<LoopMetrics> {
        let seats = self.seats.iter();
        seats.map(|seat| lock(&seat.counted).1.clone()).collect()
    }

    /// The same if each has answered `question`, or has ended: then what it said last is exact.
    pub(super) fn answer(&self, question: u64) -> Option<Vec<LoopMetrics>> {
        let answer = |seat: &Seat| {
            let is_over = seat.is_over.load(Ordering::SeqCst); // before its last word is read
            let counted = lock(&seat.counted);
            (is_over || counted.0 >= question).then(|| counted.1.clone())
        };
        self.seats.iter().map(answer).collect()
    }

    /// Settings for the loop `number` that it has not seen.
    pub(super) fn take_news(&self, number: usize) -> Option<Live> {
        lock(&self.seats[number].news).take()
    }

    /// How many connections the loop `number` has or is about to have, if there is room for more.
    pub(super) fn load_with_room(&self, number: usize) -> Option<usize> {
        let seat = &self.seats[number];
        let load = seat.load.whole();
        let has_room = load < seat.connections_max.load(Ordering::SeqCst);
        (has_room && seat.is_able.load(Ordering::SeqCst)).then_some(load)
    }

    /// The loop that has the fewest connections of those that have room, and how many the loop `from` is to
    /// give it so that they have as many: nothing within what is allowed.
    pub(super) fn imbalance(&self, from: usize) -> Option<(usize, usize)> {
        let others = (0..self.loops()).filter(|number| *number != from);
        let loads = others.filter_map(|number| Some((self.load_with_room(number)?, number)));
        let (fewest, to) = loads.min()?;
        let own = self.seats[from].load.live();
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
        self.seats[number].load.add_coming();
    }

    /// One that was on the way does not arrive.
    pub(super) fn remove_coming(&self, number: usize) {
        self.seats[number].load.remove_coming();
        self.tell_of_place();
    }

    /// The loop `number`, which calls this, takes in one that was on its way by `take_in`. It is counted
    /// as on the way until it [enters](Part::enter), or is not taken.
    pub(super) fn arrive<T>(&self, number: usize, take_in: impl FnOnce() -> T) -> T {
        let load = &self.seats[number].load;
        load.begin_arrival();
        let taken = take_in();
        if !load.has_arrived() {
            self.remove_coming(number);
        }
        taken
    }

    /// The loop that accepts is to be woken when there is a place again. Look once more after this.
    pub(super) fn want_place(&self) {
        self.wants_place.store(true, Ordering::SeqCst);
    }

    fn tell_of_place(&self) {
        let wanted = &self.wants_place;
        if wanted.load(Ordering::SeqCst) && wanted.swap(false, Ordering::SeqCst) {
            self.has_place.store(true, Ordering::SeqCst);
            self.seats[0].wake();
        }
    }

    /// Whether the loop `number` wanted to hear of a place, and there is one.
    pub(super) fn take_place(&self, number: usize) -> bool {
        number == 0 && self.has_place.swap(false, Ordering::SeqCst)
    }

    /// The thread of the loop `number` ends.
    pub(super) fn end(&self, number: usize) {
        self.seats[number].is_over.store(true, Ordering::SeqCst);
        self.tell_of_place();
        if let Some(vigil) = self.vigil.get() {
            vigil.wake();
        }
    }

    /// What is woken when a loop has ended.
    pub(super) fn set_vigil(&self, waker: Waker) {
        let _ = self.vigil.set(waker); // it is set once
    }

    /// Whether all loops but the first have ended.
    pub(super) fn are_others_over(&self) -> bool {
        let mut seats = self.seats.iter().skip(1);
        seats.all(|seat| seat.is_over.load(Ordering::SeqCst))
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
        self.seat().load.enter();
        if self.board.imbalance_max < usize::MAX && self.board.imbalance(self.number).is_some() {
            self.seat().wake(); // its member sees to it
        }
    }

    /// One has left.
    pub(in crate::server) fn leave(&self) {
        self.seat().load.leave();
        self.board.tell_of_place();
    }

    /// Whether the loop may be given connections, as far as its overload is concerned.
    pub(in crate::server) fn set_able(&self, is_able: bool) {
        if self.seat().is_able.swap(is_able, Ordering::SeqCst) != is_able && is_able {
            self.board.tell_of_place();
        }
    }

    /// The last one has left, and no more will come.
    pub(in crate::server) fn drained(&self) {
        self.seat().is_drained.store(true, Ordering::SeqCst);
    }

    pub(in crate::server) fn connections_max_of_all(&self) -> usize {
        self.board.connections_max.load(Ordering::SeqCst)
    }

    /// There may be `of_all` connections from now on; how many on this loop. A loop may be late with it:
    /// what holds for all is what was [told](Part::tell_others) last.
    pub(in crate::server) fn take_connections_max(&self, of_all: usize) -> usize {
        let own = part_of(of_all, self.loops(), self.number);
        self.seat().connections_max.store(own, Ordering::SeqCst);
        self.board.tell_of_place();
        own
    }

    /// Gives the other loops new settings. Of two that come soon after one another the later holds.
    pub(in crate::server) fn tell_others(&self, live: &Live) {
        let whole = &self.board.connections_max;
        whole.store(live.connections_max, Ordering::SeqCst);
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

    fn board(loops: usize, connections_max: usize) -> Arc<Board> {
        Board::new(loops, connections_max, usize::MAX)
    }

    #[test]
    fn who_arrives_is_counted_once_all_the_time() {
        let board = board(2, 4);
        let part = Part::new(&board, 1);
        let load = || board.load_with_room(1);
        board.add_coming(1);
        board.arrive(1, || {
            assert_eq!(load(), Some(1));
            part.enter();
            assert_eq!(load(), Some(1));
        });
        assert_eq!(load(), Some(1));
        part.enter(); // from elsewhere
        assert_eq!(load(), None);
        part.leave();
        part.leave();
        assert_eq!(load(), Some(0));
    }

    #[test]
    fn who_does_not_arrive_makes_a_place_that_is_told_of() {
        let board = board(2, 2);
        board.add_coming(1);
        board.want_place();
        assert!(!board.take_place(0));
        board.arrive(1, || ());
        assert_eq!(board.load_with_room(1), Some(0));
        assert!(board.take_place(0));
        assert!(!board.take_place(0));
        Part::new(&board, 1).enter();
        board.want_place();
        Part::new(&board, 1).leave();
        assert!(board.take_place(0));
    }

    #[test]
    fn to_be_asked_what_one_counts_is_no_news_of_a_place() {
        let board = board(2, 2);
        board.want_place();
        let question = board.ask();
        assert!(!board.take_place(0));
        assert!(board.answer(question).is_none());
    }

    #[test]
    fn a_loop_that_is_overloaded_is_given_nobody() {
        let board = board(2, 10);
        let part = Part::new(&board, 1);
        part.set_able(false);
        assert_eq!(board.load_with_room(1), None);
        board.want_place();
        part.set_able(true);
        assert_eq!(board.load_with_room(1), Some(0));
        assert!(board.take_place(0));
    }

    #[test]
    fn a_loop_that_is_late_with_old_settings_changes_none_of_the_whole() {
        let board = board(2, 10);
        let live = |connections_max| Live {
            config: crate::connection::Config::default(),
            connections_max,
        };
        Part::new(&board, 0).tell_others(&live(20));
        Part::new(&board, 0).tell_others(&live(30));
        let late = Part::new(&board, 1);
        assert_eq!(late.take_connections_max(20), 10);
        assert_eq!(late.connections_max_of_all(), 30);
    }
}
