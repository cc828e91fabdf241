//! The request queue: between a loop, which must not wait, and threads, which may.
//!
//! It is bounded twice, by the number of items and by their bytes. Who puts something in asks for
//! room first and gets a [`Permit`], so that what is full is known while there is still somebody to
//! answer "no": the queue never holds more than it may, and it never loses what it was given.
//!
//! ```text
//!   try_reserve ── no room ──> QueueError::Full: the caller still has what it wanted to put in
//!        └── Permit ── push ──> items ── pop, pop_batch ──> a thread
//!              └── dropped: the room is free again
//! ```
//!
//! A lock guards it, held for a few instructions and never while something waits; a thread is
//! woken by a system call only when one sleeps.
//!
//! Invariant: an item that was pushed is popped once, or taken out once, or dropped with the last owner
//! of the queue. No thread that pops is told of the end while a permit is out.
//! Invariant: `reserved + items.len() <= items_max`, and the same of the bytes, except that one item
//! which is larger than all bytes allowed has room in an empty queue.

use std::collections::VecDeque;
use std::fmt;
use std::sync::PoisonError;
use std::time::Duration;

use crate::sync::{Arc, Condvar, Mutex, MutexGuard};

/// How much a [`RequestQueue`] may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Items at one time; at least 1.
    pub items_max: usize,
    /// Bytes of all items together.
    pub bytes_max: usize,
}

/// Why there is no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum QueueError {
    /// It holds what it may: try later, or say no to whoever asks.
    Full,
    /// It was closed: nothing goes in any more.
    Closed,
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            QueueError::Full => "the queue is full: try later, or turn the request away",
            QueueError::Closed => "the queue is closed: its threads are ending",
        })
    }
}

impl std::error::Error for QueueError {}

/// A bounded queue of many producers and many consumers. Clones are the same queue.
pub struct RequestQueue<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    bounds: Bounds,
    inside: Mutex<Inside<T>>,
    /// Rung when there is something for a thread that sleeps.
    filled: Condvar,
}

struct Inside<T> {
    items: VecDeque<(T, usize)>,
    /// Of the items and the permits together.
    bytes: usize,
    /// Permits given out and not used yet.
    reserved: usize,
    sleeping: usize,
    is_closed: bool,
}

impl<T> RequestQueue<T> {
    /// An empty queue that may hold as much as `bounds` says.
    #[must_use]
    pub fn new(bounds: Bounds) -> RequestQueue<T> {
        RequestQueue {
            shared: Arc::new(Shared {
                bounds,
                inside: Mutex::new(Inside {
                    items: VecDeque::new(),
                    bytes: 0,
                    reserved: 0,
                    sleeping: 0,
                    is_closed: false,
                }),
                filled: Condvar::new(),
            }),
        }
    }

    /// Room for one item of so many `bytes`, without ever waiting for any. O(1).
    ///
    /// # Errors
    ///
    /// When there is none, or the queue is closed.
    pub fn try_reserve(&self, bytes: usize) -> Result<Permit<T>, QueueError> {
        let mut inside = self.lock();
        if inside.is_closed {
            return Err(QueueError::Closed);
        }
        let Bounds {
            items_max,
            bytes_max,
        } = self.shared.bounds;
        let count = inside.items.len() + inside.reserved;
        #[cfg(trine_planted)]
        let items_max =
            items_max + usize::from(crate::planted::has(crate::planted::Bug::QueueOffByOne));
        let fits = inside.bytes.saturating_add(bytes) <= bytes_max || count == 0;
        if count >= items_max.max(1) || !fits {
            return Err(QueueError::Full);
        }
        inside.reserved += 1;
        inside.bytes = inside.bytes.saturating_add(bytes);
        Ok(Permit {
            queue: self.clone(),
            bytes,
            is_used: false,
        })
    }

    /// Takes the oldest item, and waits while there is none. `None` when the queue is closed and
    /// empty, and no permit is out that could still bring one.
    #[must_use]
    pub fn pop(&self) -> Option<T> {
        let mut inside = self.lock();
        loop {
            if let Some(item) = inside.take_first() {
                return Some(item);
            }
            if inside.is_over() {
                return None;
            }
            inside = self.sleep(inside);
        }
    }

    /// As [`pop`](RequestQueue::pop), but waits no longer than `patience`, or no time at all with
    /// none; `Err` says what it found instead of an item.
    pub(super) fn pop_within(&self, patience: Duration) -> Result<T, Popped> {
        if patience == Duration::MAX {
            return self.pop().ok_or(Popped::Closed);
        }
        let mut inside = self.lock();
        if inside.items.is_empty() && !inside.is_over() && !patience.is_zero() {
            inside = self.sleep_at_most(inside, patience);
        }
        match inside.take_first() {
            Some(item) => Ok(item),
            None if inside.is_over() => Err(Popped::Closed),
            None => Err(Popped::Nothing),
        }
    }

    /// Appends to `batch` what is there, oldest first: as many items as `bounds` allows, and at
    /// least one. Waits while there is none, but no longer than `patience`, and perhaps less: another
    /// thread may have been quicker.
    pub fn pop_batch(&self, bounds: Bounds, patience: Duration, batch: &mut Vec<T>) -> Popped {
        let mut inside = self.lock();
        if inside.items.is_empty() && !inside.is_over() && !patience.is_zero() {
            inside = self.sleep_at_most(inside, patience);
        }
        let (mut taken, mut bytes) = (0, 0usize);
        while let Some((_, more)) = inside.items.front() {
            bytes = bytes.saturating_add(*more);
            if taken > 0 && (taken >= bounds.items_max || bytes > bounds.bytes_max) {
                break;
            }
            batch.extend(inside.take_first());
            taken += 1;
        }
        match (taken, inside.is_over()) {
            (0, true) => Popped::Closed,
            (0, false) => Popped::Nothing,
            _ => Popped::Items,
        }
    }

    /// Takes out every item of which `is_wanted` says no, and gives them to the caller, to be dropped
    /// when nobody waits for the queue. O(n); for a queue that is full of what nobody asks for any more.
    ///
    /// # Panics
    ///
    /// When `is_wanted` does; all items stay then. It must not use the queue, which is locked.
    pub fn retain(&self, is_wanted: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut inside = self.lock();
        let items = inside.items.iter().map(|(item, _)| item);
        let verdicts: Vec<bool> = items.map(is_wanted).collect();
        let mut gone = Vec::new();
        if verdicts.iter().all(|is_wanted| *is_wanted) {
            return gone;
        }
        for is_wanted in verdicts {
            // Once around: each is taken from the front, and goes to the back or out.
            let Some((item, bytes)) = inside.items.pop_front() else {
                break;
            };
            match is_wanted {
                true => inside.items.push_back((item, bytes)),
                false => {
                    inside.bytes = inside.bytes.saturating_sub(bytes);
                    gone.push(item);
                }
            }
        }
        gone
    }

    /// Lets nothing in any more, except by permits that were given out before. What is inside can still
    /// be taken, and threads that wait for more are told when there is none to come.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.shared.filled.notify_all();
    }

    /// Whether it was closed. There may be items in it all the same.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// How many items wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Whether no item waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether whoever takes from it has something to do: take an item, or leave.
    #[cfg(feature = "testing")]
    pub(crate) fn is_ready(&self) -> bool {
        let inside = self.lock();
        !inside.items.is_empty() || inside.is_over()
    }

    /// The bytes of the items that wait, and of those that have a permit.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn sleep<'a>(&self, mut inside: MutexGuard<'a, Inside<T>>) -> MutexGuard<'a, Inside<T>> {
        inside.sleeping += 1;
        let woken = self.shared.filled.wait(inside);
        let mut inside = woken.unwrap_or_else(PoisonError::into_inner);
        inside.sleeping -= 1;
        inside
    }

    fn sleep_at_most<'a>(
        &self,
        mut inside: MutexGuard<'a, Inside<T>>,
        patience: Duration,
    ) -> MutexGuard<'a, Inside<T>> {
        inside.sleeping += 1;
        let woken = self.shared.filled.wait_timeout(inside, patience);
        let (mut inside, _) = woken.unwrap_or_else(PoisonError::into_inner);
        inside.sleeping -= 1;
        inside
    }

    /// Wakes one thread for the item that was pushed; or all, as it may be the last one.
    fn ring(&self, inside: MutexGuard<'_, Inside<T>>) {
        let (sleeps, is_closed) = (inside.sleeping > 0, inside.is_closed);
        drop(inside);
        match (sleeps, is_closed) {
            (false, _) => {}
            (true, false) => self.shared.filled.notify_one(),
            (true, true) => self.shared.filled.notify_all(),
        }
    }

    /// Nothing panics while it is held but an `is_wanted`, which changes nothing.
    fn lock(&self) -> MutexGuard<'_, Inside<T>> {
        let inside = self.shared.inside.lock();
        inside.unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Inside<T> {
    /// Whether nothing will come any more.
    fn is_over(&self) -> bool {
        self.is_closed && self.reserved == 0
    }

    fn take_first(&mut self) -> Option<T> {
        let (item, bytes) = self.items.pop_front()?;
        self.bytes = self.bytes.saturating_sub(bytes);
        Some(item)
    }
}

/// What [`RequestQueue::pop_batch`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Popped {
    /// At least one item.
    Items,
    /// Nothing came in time.
    Nothing,
    /// The queue is closed and empty, and no permit is out.
    Closed,
}

/// Room for one item in a [`RequestQueue`].
#[must_use = "dropped, it gives the room back"]
pub struct Permit<T> {
    queue: RequestQueue<T>,
    bytes: usize,
    is_used: bool,
}

impl<T> Permit<T> {
    /// Puts `item` at the end of the queue. There is room, so it is taken; also when the queue was
    /// closed since: nobody leaves while a permit is out.
    pub fn push(mut self, item: T) {
        self.is_used = true;
        let mut inside = self.queue.lock();
        inside.reserved -= 1;
        inside.items.push_back((item, self.bytes));
        self.queue.ring(inside);
    }
}

impl<T> Drop for Permit<T> {
    fn drop(&mut self) {
        if !self.is_used {
            let mut inside = self.queue.lock();
            inside.reserved -= 1;
            inside.bytes = inside.bytes.saturating_sub(self.bytes);
            if inside.is_closed {
                self.queue.ring(inside);
            }
        }
    }
}

impl<T> Clone for RequestQueue<T> {
    fn clone(&self) -> RequestQueue<T> {
        RequestQueue {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> fmt::Debug for RequestQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "RequestQueue({} of {:?})",
            self.len(),
            self.shared.bounds
        )
    }
}

impl<T> fmt::Debug for Permit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit({} bytes)", self.bytes)
    }
}
