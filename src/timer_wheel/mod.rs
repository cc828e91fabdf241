//! The timer wheel: what is due, in constant time however many timers there are.
//!
//! A hierarchical timing wheel (Varghese and Lauck, scheme 7) sorts deadlines only as finely as
//! they are near: the next 256 ms by the millisecond, the next minute by the quarter second, and
//! so on. Setting, moving and clearing one costs a few nanoseconds, and each is moved at most
//! once a level before it expires. It knows no clock: ticks come in as arguments.
//!
//! ```text
//!   level 2   [ 65.5 s | 65.5 s | ...              ]   a slot comes: its entries move down
//!   level 1            [ 256 ms | 256 ms | ...     ]     ──>
//!   level 0                     [ 1 ms | 1 ms | ...]   a slot comes: its entries are due
//!                                  ^ the wheel's time
//! ```
//!
//! There are two faces. [`Deadlines`] has one deadline for each small number and is what the
//! loop uses: the number of a source's slot is the key. [`TimerWheel`] holds values of any type
//! under ids that are never mistaken for one another, and is built on it.
//!
//! Both are used in passes: `advance` says how late it is, `pop_expired` hands out what is due
//! one by one, and between two of them anything may be inserted, moved or cancelled. What is set
//! during a pass expires in a later one, so a timer that re-arms itself without delay cannot
//! keep the loop from its sockets.
//!
//! Invariant: nothing is handed out before its deadline, and nothing twice.

mod deadlines;
mod free_set;
mod level;
mod slots;

pub use deadlines::Deadlines;

use crate::time::Tick;
use free_set::FreeSet;
use std::num::NonZeroU32;

/// Names one timer of one wheel.
///
/// An id finds nothing once its timer has expired or was cancelled, even when its place is used
/// again; only the 4,294,967,295th timer after it in the same place can be mistaken for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimerId {
    index: u32,
    generation: NonZeroU32,
}

/// Values, each of which comes back when its deadline has come.
///
/// 21 to 26 bytes a timer beside the value and its padding. Like the core it never shrinks: it
/// has room for as many timers as were ever waiting at the same time.
///
/// ```
/// use trine::time::Tick;
/// use trine::timer_wheel::TimerWheel;
///
/// let mut wheel = TimerWheel::new();
/// let tea = wheel.insert(Tick(180_000), "tea");
/// let eggs = wheel.insert(Tick(300_000), "eggs");
/// assert_eq!(wheel.cancel(tea), Some("tea"));
/// wheel.advance(Tick(300_000));
/// assert_eq!(wheel.pop_expired(), Some((eggs, Tick(300_000), "eggs")));
/// assert_eq!(wheel.next_wake(), None);
/// ```
pub struct TimerWheel<T> {
    deadlines: Deadlines,
    /// By the index of the id. The generation in use says whose value it is.
    values: Vec<Option<(NonZeroU32, T)>>,
    free: FreeSet,
    len: usize,
    /// One counter for all places: a place needs no memory of the ids it had.
    next_generation: NonZeroU32,
}

impl<T> TimerWheel<T> {
    /// An empty wheel, at [`Tick::ZERO`].
    #[must_use]
    pub fn new() -> Self {
        TimerWheel {
            deadlines: Deadlines::new(),
            values: Vec::new(),
            free: FreeSet::default(),
            len: 0,
            next_generation: NonZeroU32::MIN,
        }
    }

    /// Keeps `value` until `at`. Constant time but for growth.
    ///
    /// A deadline that is not after the current tick becomes the next tick. At [`Tick::NEVER`]
    /// the value stays until it is moved or cancelled.
    ///
    /// # Panics
    ///
    /// When the wheel holds more than 4,294,967,295 timers.
    #[inline]
    pub fn insert(&mut self, at: Tick, value: T) -> TimerId {
        let generation = self.next_generation;
        self.next_generation = generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        self.len += 1;
        let index = match self.free.take() {
            Some(index) => {
                self.values[index as usize] = Some((generation, value));
                index
            }
            None => {
                reserve_one(&mut self.values);
                self.values.push(Some((generation, value)));
                u32::try_from(self.values.len() - 1).expect("a timer's index has 32 bits")
            }
        };
        self.deadlines.set(index, at);
        TimerId { index, generation }
    }

    /// Takes the value of `id` out again, if it has not expired. Constant time.
    #[inline]
    pub fn cancel(&mut self, id: TimerId) -> Option<T> {
        self.waiting(id)?;
        self.deadlines.clear(id.index);
        self.take(id.index).map(|(_, value)| value)
    }

    /// Moves the deadline of `id` to `at`; whether it is still waiting. Constant time; one store
    /// when it only moves later. The rules for `at` are those of [`TimerWheel::insert`].
    #[inline]
    pub fn move_to(&mut self, id: TimerId, at: Tick) -> bool {
        let waiting = self.waiting(id).is_some();
        if waiting {
            self.deadlines.set(id.index, at);
        }
        waiting
    }

    /// The deadline of `id`: [`Tick::NEVER`] if it has none, `None` if it is not waiting.
    #[must_use]
    pub fn deadline(&self, id: TimerId) -> Option<Tick> {
        self.waiting(id)?;
        Some(self.deadlines.deadline(id.index).unwrap_or(Tick::NEVER))
    }

    /// Begins a pass, as [`Deadlines::advance`] does.
    pub fn advance(&mut self, now: Tick) {
        self.deadlines.advance(now);
    }

    /// Takes out the next timer whose deadline has come, with that deadline.
    ///
    /// Timers come in order of their deadlines; those of one tick in the order of their places,
    /// which depends only on the calls made before. See [`Deadlines::pop_expired`].
    #[inline]
    pub fn pop_expired(&mut self) -> Option<(TimerId, Tick, T)> {
        let (at, index) = self.deadlines.pop_expired()?;
        let (generation, value) = self.take(index)?;
        Some((TimerId { index, generation }, at, value))
    }

    /// The tick at which the next pass is needed, as [`Deadlines::next_wake`] says.
    #[must_use]
    pub fn next_wake(&self) -> Option<Tick> {
        self.deadlines.next_wake()
    }

    /// How many timers are waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no timer is waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes allocated, without what the values themselves allocate.
    #[must_use]
    pub fn memory(&self) -> usize {
        let values = self.values.capacity() * size_of::<Option<(NonZeroU32, T)>>();
        values + self.free.bytes() + self.deadlines.memory()
    }

    /// Asserts the invariants, as [`Deadlines::check`] does.
    ///
    /// # Panics
    ///
    /// When one does not hold.
    #[doc(hidden)]
    pub fn check(&self) {
        self.deadlines.check();
        assert_eq!(self.len, self.values.iter().flatten().count());
    }

    /// Empties the place at `index` and makes it free.
    #[inline]
    fn take(&mut self, index: u32) -> Option<(NonZeroU32, T)> {
        let taken = self.values[index as usize].take()?;
        self.free.give(index);
        self.len -= 1;
        Some(taken)
    }

    /// The value of `id`, if it is waiting.
    #[inline]
    fn waiting(&self, id: TimerId) -> Option<&T> {
        let (generation, value) = self.values.get(id.index as usize)?.as_ref()?;
        (*generation == id.generation).then_some(value)
    }
}

impl<T> Default for TimerWheel<T> {
    fn default() -> Self {
        TimerWheel::new()
    }
}

impl<T> std::fmt::Debug for TimerWheel<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TimerWheel")
            .field("len", &self.len)
            .field("deadlines", &self.deadlines)
            .finish_non_exhaustive()
    }
}

/// Makes room for `missing` more items, and for a quarter more than there are.
///
/// `Vec` itself doubles, which is up to twice the memory a timer may cost; a quarter still
/// makes a million insertions copy each item about four times.
fn reserve<T>(items: &mut Vec<T>, missing: usize) {
    if items.capacity() - items.len() < missing {
        items.reserve_exact(missing.max(items.len() / 4).max(16));
    }
}

/// Makes room for one more item.
#[inline]
fn reserve_one<T>(items: &mut Vec<T>) {
    if items.len() == items.capacity() {
        reserve(items, 1);
    }
}
