//! The protocol that wakes a sleeping loop, in every order of events: run by `.ci/loom`.

use std::collections::VecDeque;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::super::waker::{Remote, Waker};
use crate::slab::Token;

/// What the eventfd does: it counts writes, and the first ends a sleep.
#[derive(Default)]
struct Eventfd {
    written: Mutex<usize>,
    changed: Condvar,
}

impl Eventfd {
    fn write(&self) {
        *self.written.lock().unwrap() += 1;
        self.changed.notify_one();
    }

    fn sleep(&self, seen: &mut usize) {
        let mut written = self.written.lock().unwrap();
        while *written == *seen {
            written = self.changed.wait(written).unwrap();
        }
        *seen = *written;
    }
}

/// Threads that announce one thing each and wake the source of their number; the loop sleeps until
/// all of it has been seen by the source that was woken. A wake-up that is lost leaves the loop asleep,
/// which loom reports as a deadlock.
fn all_are_seen(sources: [usize; 2]) {
    let eventfd = Arc::new(Eventfd::default());
    let announced = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let remote = {
        let eventfd = Arc::clone(&eventfd);
        Remote::calling(move || eventfd.write())
    };
    let wakers =
        [0, 1].map(|bits| Waker::new(std::sync::Arc::clone(&remote), Token::from_bits(bits)));
    let threads = sources.map(|source| {
        let (waker, announced) = (wakers[source].clone(), Arc::clone(&announced));
        thread::spawn(move || {
            announced[source].fetch_add(1, Ordering::Relaxed);
            waker.wake();
        })
    });
    let (mut seen, mut seen_writes, mut sleeps) = ([0, 0], 0, 0);
    let mut told = VecDeque::new();
    while seen[0] + seen[1] < sources.len() {
        if remote.is_pending() {
            remote.take(&mut told);
        }
        for token in told.drain(..) {
            let source = token.index() as usize;
            seen[source] = announced[source].load(Ordering::Relaxed);
        }
        if seen[0] + seen[1] == sources.len() {
            break;
        }
        if remote.lie_down() {
            sleeps += 1;
            eventfd.sleep(&mut seen_writes);
        }
        remote.get_up();
    }
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    remote.close(); // as the end of a loop does: a target in its list would keep it
    assert_eq!(
        *eventfd.written.lock().unwrap(),
        sleeps,
        "one write a sleep"
    );
}

#[test]
fn loom_no_wake_up_of_two_sources_is_lost_and_a_sleep_is_ended_by_one_write() {
    loom::model(|| all_are_seen([0, 1]));
}

#[test]
fn loom_no_wake_up_of_one_source_by_two_threads_is_lost() {
    loom::model(|| all_are_seen([1, 1]));
}
