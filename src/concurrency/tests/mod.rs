//! The protocol of the request queue, in every order of events: run by `.ci/loom`.

use std::time::Duration;

use loom::thread;

use super::{Bounds, Popped, RequestQueue};

fn queue(items_max: usize) -> RequestQueue<usize> {
    RequestQueue::new(Bounds {
        items_max,
        bytes_max: 100,
    })
}

/// Takes what comes until the end. A wake-up that is lost leaves a thread asleep, which loom reports as
/// a deadlock.
fn takes_all(queue: &RequestQueue<usize>) -> thread::JoinHandle<Vec<usize>> {
    let queue = queue.clone();
    thread::spawn(move || std::iter::from_fn(|| queue.pop()).collect())
}

fn joined(threads: impl IntoIterator<Item = thread::JoinHandle<Vec<usize>>>) -> Vec<usize> {
    let mut all: Vec<usize> = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn loom_each_item_is_popped_once_by_one_of_two_threads_and_both_end() {
    loom::model(|| {
        let queue = queue(2);
        let consumers = [takes_all(&queue), takes_all(&queue)];
        queue.try_reserve(1).unwrap().push(1);
        queue.try_reserve(1).map(|permit| permit.push(2)).unwrap();
        queue.close();
        assert_eq!(joined(consumers), [1, 2]);
    });
}

#[test]
fn loom_what_is_pushed_while_the_queue_closes_is_popped_or_was_refused() {
    loom::model(|| {
        let queue = queue(2);
        let consumer = takes_all(&queue);
        let producer = {
            let queue = queue.clone();
            thread::spawn(move || match queue.try_reserve(1) {
                Ok(permit) => {
                    permit.push(1);
                    vec![1]
                }
                Err(_) => vec![],
            })
        };
        queue.close();
        assert_eq!(joined([consumer]), joined([producer]));
    });
}

#[test]
fn loom_a_permit_that_is_dropped_behind_the_close_lets_every_thread_go() {
    loom::model(|| {
        let queue = queue(2);
        let permit = queue.try_reserve(1).unwrap();
        let consumers = [takes_all(&queue), takes_all(&queue)];
        queue.close();
        drop(permit);
        assert_eq!(joined(consumers), [0; 0]);
    });
}

#[test]
fn loom_what_is_taken_out_while_threads_pop_is_not_popped() {
    loom::model(|| {
        let queue = queue(3);
        (1..=2).for_each(|n| queue.try_reserve(1).unwrap().push(n));
        let consumer = takes_all(&queue);
        let gone = queue.retain(|n| *n == 1);
        queue.close();
        let mut all = joined([consumer]);
        all.extend(gone);
        assert_eq!(all, [1, 2]);
        assert_eq!(queue.bytes(), 0);
    });
}

/// The model has no time: whoever waits with patience waits until it is called, so this shows that
/// it is called.
#[test]
fn loom_a_thread_that_takes_batches_is_called_for_items_and_for_the_end() {
    loom::model(|| {
        let queue = queue(2);
        let consumer = {
            let queue = queue.clone();
            thread::spawn(move || {
                let (mut all, patience) = (Vec::new(), Duration::from_secs(1));
                let all_there_is = Bounds {
                    items_max: 9,
                    bytes_max: 99,
                };
                while queue.pop_batch(all_there_is, patience, &mut all) != Popped::Closed {}
                all
            })
        };
        let permit = queue.try_reserve(1).unwrap();
        queue.close();
        permit.push(1);
        assert_eq!(joined([consumer]), [1]);
    });
}
