//! The request queue: bounds, permits, order, the end, and that nothing is lost or there twice.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use trine::concurrency::{Bounds, Popped, QueueError, RequestQueue};

/// What a test waits at most for something that should come at once.
const PATIENCE: Duration = Duration::from_secs(10);

const AT_ONCE: Duration = Duration::ZERO;

fn bounds(items_max: usize, bytes_max: usize) -> Bounds {
    Bounds {
        items_max,
        bytes_max,
    }
}

fn queue<T>(items_max: usize, bytes_max: usize) -> RequestQueue<T> {
    RequestQueue::new(bounds(items_max, bytes_max))
}

fn push<T>(queue: &RequestQueue<T>, bytes: usize, item: T) {
    queue.try_reserve(bytes).unwrap().push(item);
}

#[track_caller]
fn refuses<T>(queue: &RequestQueue<T>, bytes: usize, why: QueueError) {
    assert_eq!(queue.try_reserve(bytes).unwrap_err(), why);
}

#[test]
fn items_come_out_in_the_order_they_went_in() {
    let queue = queue(4, 100);
    (1..=4).for_each(|n| push(&queue, 1, n));
    let popped: Vec<_> = (0..4).filter_map(|_| queue.pop()).collect();
    assert_eq!(popped, [1, 2, 3, 4]);
}

#[test]
fn a_full_queue_says_so_before_anything_is_given_to_it() {
    let queue = queue(2, 100);
    push(&queue, 1, "a");
    let permit = queue.try_reserve(1).unwrap();
    refuses(&queue, 1, QueueError::Full);
    permit.push("b");
    refuses(&queue, 1, QueueError::Full);
    assert_eq!(queue.pop(), Some("a"));
    push(&queue, 1, "c");
}

#[test]
fn bytes_are_bounded_as_items_are() {
    let queue = queue(10, 100);
    push(&queue, 60, "a");
    refuses(&queue, 41, QueueError::Full);
    push(&queue, 40, "b");
    assert_eq!((queue.len(), queue.bytes()), (2, 100));
    assert_eq!(queue.pop(), Some("a"));
    assert_eq!(queue.bytes(), 40);
}

#[test]
fn an_item_larger_than_all_bytes_allowed_has_room_in_an_empty_queue_alone() {
    let queue = queue(10, 100);
    push(&queue, 1_000, "large");
    refuses(&queue, 1, QueueError::Full);
    assert_eq!(queue.pop(), Some("large"));
    push(&queue, 1, "small");
    refuses(&queue, 1_000, QueueError::Full);
}

#[test]
fn a_permit_that_is_dropped_gives_its_room_back() {
    let queue = queue::<()>(1, 100);
    let permit = queue.try_reserve(100).unwrap();
    refuses(&queue, 0, QueueError::Full);
    drop(permit);
    assert_eq!((queue.len(), queue.bytes()), (0, 0));
    push(&queue, 100, ());
}

#[test]
fn nothing_goes_into_a_closed_queue_and_everything_comes_out() {
    let queue = queue(4, 100);
    push(&queue, 1, 1);
    push(&queue, 1, 2);
    queue.close();
    assert!(queue.is_closed());
    refuses(&queue, 1, QueueError::Closed);
    assert_eq!(
        (queue.pop(), queue.pop(), queue.pop()),
        (Some(1), Some(2), None)
    );
}

#[test]
fn the_end_of_a_closed_queue_waits_for_the_permits_that_are_out() {
    let queue = queue(4, 100);
    let (used, unused) = (queue.try_reserve(1).unwrap(), queue.try_reserve(1).unwrap());
    queue.close();
    let mut batch = Vec::new();
    let popped = queue.pop_batch(bounds(4, 100), AT_ONCE, &mut batch);
    assert_eq!(popped, Popped::Nothing);
    let popping = {
        let queue = queue.clone();
        thread::spawn(move || [queue.pop(), queue.pop()])
    };
    used.push("late");
    drop(unused);
    assert_eq!(popping.join().unwrap(), [Some("late"), None]);
    let popped = queue.pop_batch(bounds(4, 100), AT_ONCE, &mut batch);
    assert_eq!(popped, Popped::Closed);
}

#[test]
fn every_thread_that_sleeps_is_told_of_the_end() {
    for last_permit_is_used in [None, Some(false), Some(true)] {
        let queue = queue(4, 100);
        let permit = last_permit_is_used.map(|used| (queue.try_reserve(1).unwrap(), used));
        let popped = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (queue, popped) = (queue.clone(), Arc::clone(&popped));
                thread::spawn(move || {
                    while queue.pop().is_some() {
                        popped.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(20)); // most of them sleep by now
        queue.close();
        match permit {
            Some((permit, true)) => permit.push(()),
            Some((permit, false)) => drop(permit),
            None => {}
        }
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        let expected = usize::from(last_permit_is_used == Some(true));
        assert_eq!(popped.load(Ordering::Relaxed), expected);
    }
}

#[test]
fn a_batch_is_bounded_by_items_and_bytes_and_holds_at_least_one() {
    let queue = queue(10, 1_000);
    [10, 20, 30, 400, 5]
        .iter()
        .for_each(|&bytes| push(&queue, bytes, bytes));
    let mut batch = Vec::new();
    let mut pop = |items_max, bytes_max| {
        batch.clear();
        let popped = queue.pop_batch(bounds(items_max, bytes_max), AT_ONCE, &mut batch);
        (popped, batch.clone())
    };
    assert_eq!(pop(2, 1_000), (Popped::Items, vec![10, 20]));
    assert_eq!(pop(10, 100), (Popped::Items, vec![30]));
    assert_eq!(pop(10, 100), (Popped::Items, vec![400]));
    assert_eq!(pop(0, 0), (Popped::Items, vec![5]));
    assert_eq!(pop(1, 1), (Popped::Nothing, vec![]));
}

#[test]
fn what_a_batch_holds_already_does_not_count() {
    let queue = queue(10, 1_000);
    let mut batch = vec![1, 2, 3];
    let popped = queue.pop_batch(bounds(2, 100), AT_ONCE, &mut batch);
    assert_eq!(popped, Popped::Nothing);
    push(&queue, 1, 4);
    let popped = queue.pop_batch(bounds(2, 100), AT_ONCE, &mut batch);
    assert_eq!((popped, batch), (Popped::Items, vec![1, 2, 3, 4]));
}

#[test]
fn a_batch_waits_no_longer_than_it_may_and_no_longer_than_it_must() {
    let queue = queue(10, 1_000);
    let mut batch: Vec<u32> = Vec::new();
    let began = Instant::now();
    let short = Duration::from_millis(30);
    assert_eq!(
        queue.pop_batch(bounds(9, 99), short, &mut batch),
        Popped::Nothing
    );
    assert!(began.elapsed() < PATIENCE);
    let pushing = {
        let queue = queue.clone();
        thread::spawn(move || push(&queue, 1, 7))
    };
    let popped = queue.pop_batch(bounds(9, 99), 2 * PATIENCE, &mut batch);
    assert_eq!((popped, batch), (Popped::Items, vec![7]));
    assert!(began.elapsed() < PATIENCE);
    pushing.join().unwrap();
}

#[test]
fn what_is_not_wanted_is_taken_out_and_the_rest_keeps_its_order_and_its_bytes() {
    let queue = queue(10, 1_000);
    (1..=6).for_each(|n| push(&queue, n, n));
    assert_eq!(queue.retain(|n| n % 2 == 0), [1, 3, 5]);
    assert_eq!((queue.len(), queue.bytes()), (3, 12));
    assert_eq!(
        [queue.pop(), queue.pop(), queue.pop()],
        [Some(2), Some(4), Some(6)]
    );
}

#[test]
fn a_question_that_panics_loses_nothing() {
    let queue = queue(10, 1_000);
    (1..=4).for_each(|n| push(&queue, n, n));
    let asked = catch_unwind(AssertUnwindSafe(|| {
        queue.retain(|n| match n {
            3 => panic!("asked to"),
            _ => false,
        })
    }));
    assert!(asked.is_err());
    assert_eq!((queue.len(), queue.bytes()), (4, 10));
    queue.close();
    let left: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
    assert_eq!(left, [1, 2, 3, 4]);
}

/// Uses its queue when it is dropped, which hangs if the queue is locked then.
struct Nosy(RequestQueue<Nosy>, Arc<AtomicUsize>);

impl Drop for Nosy {
    fn drop(&mut self) {
        self.1.fetch_add(self.0.len() + 1, Ordering::Relaxed);
    }
}

#[test]
fn an_item_that_is_taken_out_is_dropped_outside_the_lock() {
    let (queue, dropped) = (queue(10, 1_000), Arc::new(AtomicUsize::new(0)));
    for _ in 0..3 {
        push(&queue, 1, Nosy(queue.clone(), Arc::clone(&dropped)));
    }
    drop(queue.retain(|_| false));
    assert_eq!(dropped.load(Ordering::Relaxed), 3);
}

#[test]
fn items_left_in_a_queue_are_dropped_with_its_last_owner() {
    let queue = queue(10, 1_000);
    let item = Arc::new(());
    push(&queue, 1, Arc::clone(&item));
    let other = queue.clone();
    drop(queue);
    assert_eq!(Arc::strong_count(&item), 2);
    drop(other);
    assert_eq!(Arc::strong_count(&item), 1);
}

/// The rule of a blocking pool that hung: a submission may meet a thread that is just going to sleep.
#[test]
fn items_meet_threads_that_go_to_sleep_and_none_is_lost_or_there_twice() {
    const ITEMS: usize = if cfg!(debug_assertions) {
        200_000
    } else {
        1_000_000
    };
    const PRODUCERS: usize = 2;
    let queue = queue(8, usize::MAX);
    let seen: Arc<Mutex<Vec<u8>>> = Arc::new(Mutex::new(vec![0; ITEMS]));
    let consumers: Vec<_> = (0..3)
        .map(|n| {
            let (queue, seen) = (queue.clone(), Arc::clone(&seen));
            thread::spawn(move || {
                let mut own = Vec::new();
                if n == 0 {
                    let long = Duration::from_secs(60);
                    while queue.pop_batch(bounds(3, 99), long, &mut own) != Popped::Closed {}
                }
                own.extend(std::iter::from_fn(|| queue.pop()));
                let mut seen = seen.lock().unwrap();
                own.into_iter().for_each(|item: usize| seen[item] += 1);
            })
        })
        .collect();
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|first| {
            let queue = queue.clone();
            thread::spawn(move || {
                for item in (first..ITEMS).step_by(PRODUCERS) {
                    let permit = loop {
                        match queue.try_reserve(1) {
                            Ok(permit) => break permit,
                            Err(_) => thread::yield_now(),
                        }
                    };
                    permit.push(item);
                }
            })
        })
        .collect();
    producers
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    queue.close();
    consumers
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert!(seen.lock().unwrap().iter().all(|&times| times == 1));
    assert_eq!((queue.len(), queue.bytes()), (0, 0));
}
