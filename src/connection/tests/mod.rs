//! The slot in which a promised answer meets its connection, in every order of events: run by
//! `.ci/loom`.

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread::{self, JoinHandle};

use super::deferred::{Deferred, Found, Slot};
use crate::http::Response;

/// The loop: woken by the slot, asleep until then.
#[derive(Default)]
struct Loop {
    wakes: Mutex<usize>,
    changed: Condvar,
}

impl Loop {
    fn sleep(&self) {
        let mut wakes = self.wakes.lock().unwrap();
        while *wakes == 0 {
            wakes = self.changed.wait(wakes).unwrap();
        }
    }

    fn wakes(&self) -> usize {
        *self.wakes.lock().unwrap()
    }
}

fn promise() -> (Arc<Loop>, Deferred, Arc<Slot>) {
    let woken = Arc::new(Loop::default());
    let wake = {
        let woken = Arc::clone(&woken);
        move || {
            *woken.wakes.lock().unwrap() += 1;
            woken.changed.notify_one();
        }
    };
    let (deferred, slot) = Slot::promise(Box::new(wake));
    (woken, deferred, slot)
}

#[derive(Clone, Copy)]
enum Worker {
    Sends,
    Abandons,
    /// Asks first whether anybody waits.
    Asks,
}

/// What a worker thread does with its promise. Its result: whether it answered.
fn work(worker: Worker, deferred: Deferred) -> JoinHandle<bool> {
    thread::spawn(move || {
        let answers = match worker {
            Worker::Sends => true,
            Worker::Abandons => false,
            Worker::Asks => !deferred.is_cancelled(),
        };
        match answers {
            true => deferred.send(Response::text("answer")),
            false => drop(deferred),
        }
        answers
    })
}

/// What a connection that looks finds at last: one answer, or none.
fn outcome(slot: &Slot) -> Found {
    let found = slot.look();
    let is_answer = matches!(found, Found::Answer { .. });
    assert_eq!(slot.take().is_some(), is_answer);
    assert!(slot.take().is_none(), "an answer is there once");
    found
}

#[test]
fn loom_a_connection_that_waits_is_woken_once_and_finds_what_became_of_its_promise() {
    for worker in [Worker::Sends, Worker::Abandons, Worker::Asks] {
        loom::model(move || {
            let (woken, deferred, slot) = promise();
            let working = work(worker, deferred);
            woken.sleep();
            let found = outcome(&slot);
            let answered = working.join().unwrap();
            assert_eq!(matches!(found, Found::Answer { .. }), answered);
            assert_eq!(found == Found::Abandoned, !answered);
            assert_eq!(answered, !matches!(worker, Worker::Abandons));
            assert_eq!(woken.wakes(), 1);
        });
    }
}

#[test]
fn loom_a_connection_that_lets_go_meanwhile_has_the_answer_whole_or_not_at_all() {
    for worker in [Worker::Sends, Worker::Abandons, Worker::Asks] {
        loom::model(move || {
            let (woken, deferred, slot) = promise();
            let working = work(worker, deferred);
            let found = slot.look();
            if found != Found::Nothing {
                assert_eq!(outcome(&slot), found, "what is settled stays so");
            }
            drop(slot);
            let answered = working.join().unwrap();
            assert!(answered || !matches!(found, Found::Answer { .. }));
            assert!(!answered || found != Found::Abandoned);
            assert_eq!(woken.wakes(), 1, "settled once, whoever looks");
        });
    }
}

#[test]
fn loom_work_that_nobody_waits_for_is_seen_to_be_cancelled() {
    loom::model(|| {
        let (_woken, deferred, slot) = promise();
        let left = Arc::new(AtomicUsize::new(0));
        let leaving = {
            let left = Arc::clone(&left);
            thread::spawn(move || {
                drop(slot);
                left.store(1, Ordering::Release);
            })
        };
        let has_left = left.load(Ordering::Acquire) == 1;
        assert!(deferred.is_cancelled() || !has_left);
        leaving.join().unwrap();
        assert!(deferred.is_cancelled());
    });
}
