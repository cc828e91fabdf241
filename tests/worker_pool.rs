//! A pool of threads: jobs done, panics survived, workers replaced, the end bounded.

use std::cell::Cell;
use std::collections::HashSet;
use std::panic::panic_any;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use trine::concurrency::{Bounds, RequestQueue, WorkerPool};

/// What a test waits at most for something that should come at once.
const PATIENCE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

fn queue() -> RequestQueue<Job> {
    RequestQueue::new(Bounds {
        items_max: 10_000,
        bytes_max: usize::MAX,
    })
}

fn submit(queue: &RequestQueue<Job>, job: impl FnOnce() + Send + 'static) {
    queue.try_reserve(1).unwrap().push(Box::new(job));
}

/// A pool whose workers call their jobs.
fn pool(threads: usize) -> (RequestQueue<Job>, WorkerPool<Job>) {
    let queue = queue();
    let pool = WorkerPool::start(threads, queue.clone(), || |job: Job| job()).unwrap();
    (queue, pool)
}

/// Where `jobs` jobs were done, all of which ran at the same time.
fn threads_of(queue: &RequestQueue<Job>, jobs: usize) -> HashSet<ThreadId> {
    let (give, take) = channel();
    let barrier = Arc::new(std::sync::Barrier::new(jobs));
    for _ in 0..jobs {
        let (give, barrier) = (give.clone(), Arc::clone(&barrier));
        submit(queue, move || {
            barrier.wait();
            give.send(thread::current().id()).unwrap();
        });
    }
    (0..jobs)
        .map(|_| take.recv_timeout(PATIENCE).unwrap())
        .collect()
}

#[test]
fn jobs_are_done_by_as_many_threads_as_were_asked_for_each_with_its_name() {
    let (queue, pool) = pool(3);
    assert_eq!(threads_of(&queue, 3).len(), 3);
    let (give, take) = channel();
    submit(&queue, move || {
        let name = thread::current().name().unwrap().to_owned();
        give.send(name).unwrap();
    });
    let name = take.recv_timeout(PATIENCE).unwrap();
    assert!(name.starts_with("trine-worker-"), "{name}");
    assert_eq!(pool.shut_down(PATIENCE), 0);
}

#[test]
fn a_pool_without_threads_has_one() {
    let (queue, _pool) = pool(0);
    assert_eq!(threads_of(&queue, 1).len(), 1);
}

#[test]
fn the_end_waits_for_what_is_queued_and_joins() {
    let (queue, pool) = pool(2);
    let done = Arc::new(AtomicUsize::new(0));
    for _ in 0..200 {
        let done = Arc::clone(&done);
        submit(&queue, move || {
            done.fetch_add(1, Ordering::Relaxed);
        });
    }
    assert_eq!(pool.shut_down(PATIENCE), 0);
    assert_eq!(done.load(Ordering::Relaxed), 200);
}

#[test]
fn what_does_the_jobs_need_not_be_sent_and_is_dropped_on_its_thread() {
    struct Own(Rc<Cell<u32>>, ThreadId, Arc<AtomicBool>);
    impl Drop for Own {
        fn drop(&mut self) {
            assert_eq!(self.1, thread::current().id());
            assert_eq!(self.0.get(), 2);
            self.2.store(true, Ordering::Relaxed);
        }
    }
    let (queue, dropped) = (queue(), Arc::new(AtomicBool::new(false)));
    let make = {
        let dropped = Arc::clone(&dropped);
        move || {
            let cell = Rc::new(Cell::new(0));
            let own = Own(cell, thread::current().id(), Arc::clone(&dropped));
            move |job: Job| {
                own.0.set(own.0.get() + 1);
                job();
            }
        }
    };
    let pool = WorkerPool::start(1, queue.clone(), make).unwrap();
    submit(&queue, || ());
    submit(&queue, || ());
    assert_eq!(pool.shut_down(PATIENCE), 0);
    assert!(dropped.load(Ordering::Relaxed));
}

/// Panics again when it is dropped.
struct Twice;

impl Drop for Twice {
    fn drop(&mut self) {
        panic!("and again");
    }
}

#[test]
fn jobs_that_panic_cost_no_thread_even_if_what_they_threw_panics_too() {
    let (queue, pool) = pool(2);
    let before = threads_of(&queue, 2);
    for n in 0..200 {
        submit(&queue, move || match n % 2 {
            0 => panic!("asked to"),
            _ => panic_any(Twice),
        });
    }
    assert_eq!(threads_of(&queue, 2), before);
    assert_eq!(pool.replaced(), 200);
    assert_eq!(pool.shut_down(PATIENCE), 0);
}

/// A worker whose end panics, whatever ends it.
fn fragile(made: &Arc<AtomicUsize>) -> impl FnMut(Job) + use<> {
    made.fetch_add(1, Ordering::Relaxed);
    let end = Twice;
    move |job: Job| {
        let _ = &end;
        job();
    }
}

#[test]
fn a_worker_whose_drop_panics_is_replaced_and_at_the_end_it_is_not() {
    let (queue, made) = (queue(), Arc::new(AtomicUsize::new(0)));
    let make = {
        let made = Arc::clone(&made);
        move || fragile(&made)
    };
    let pool = WorkerPool::start(1, queue.clone(), make).unwrap();
    submit(&queue, || panic!("asked to"));
    assert_eq!(threads_of(&queue, 1).len(), 1);
    assert_eq!(pool.replaced(), 1);
    assert_eq!(pool.shut_down(PATIENCE), 0);
    assert_eq!(made.load(Ordering::Relaxed), 2);
}

#[test]
fn a_worker_that_cannot_be_made_is_tried_again_without_haste() {
    let (queue, tries) = (queue(), Arc::new(AtomicUsize::new(0)));
    let make = {
        let tries = Arc::clone(&tries);
        move || {
            assert!(tries.fetch_add(1, Ordering::Relaxed) >= 3, "not yet");
            |job: Job| job()
        }
    };
    let began = Instant::now();
    let pool = WorkerPool::start(1, queue.clone(), make).unwrap();
    assert_eq!(threads_of(&queue, 1).len(), 1);
    assert!(
        began.elapsed() >= Duration::from_millis(150),
        "three pauses"
    );
    assert_eq!((tries.load(Ordering::Relaxed), pool.replaced()), (4, 3));
}

#[test]
fn workers_that_can_never_be_made_do_not_keep_the_end_waiting() {
    let queue = queue();
    let make = || -> fn(Job) { panic!("never") };
    let pool = WorkerPool::start(2, queue.clone(), make).unwrap();
    let (give, take) = channel::<()>();
    submit(&queue, move || drop(give));
    assert_eq!(pool.shut_down(PATIENCE), 0);
    assert!(take.try_recv().is_err());
    assert_eq!(queue.len(), 1, "its owner's");
}

/// A job that waits until the sender is used or dropped.
fn blocker(queue: &RequestQueue<Job>) -> (Sender<()>, Receiver<()>) {
    let (release, wait) = channel::<()>();
    let (begun, has_begun) = channel();
    submit(queue, move || {
        begun.send(()).unwrap();
        let _ = wait.recv();
    });
    has_begun.recv_timeout(PATIENCE).unwrap();
    (release, has_begun)
}

#[test]
fn a_thread_that_waits_for_ever_does_not_keep_the_end_waiting_for_ever() {
    let (queue, pool) = pool(2);
    let (release, over) = blocker(&queue);
    let began = Instant::now();
    assert_eq!(pool.shut_down(Duration::from_millis(50)), 1);
    assert!(began.elapsed() < PATIENCE);
    drop(release);
    assert!(over.recv_timeout(PATIENCE).is_err(), "it ends by itself");
}

#[test]
fn a_pool_that_is_dropped_lets_its_threads_do_what_is_queued_and_end() {
    let (queue, (alive, over)) = (queue(), channel::<()>());
    let make = move || {
        let _alive = &alive; // which the threads alone keep
        |job: Job| job()
    };
    let pool = WorkerPool::start(4, queue.clone(), make).unwrap();
    let (give, take) = channel();
    submit(&queue, move || give.send("done").unwrap());
    drop(pool);
    assert_eq!(take.recv_timeout(PATIENCE).unwrap(), "done");
    let ended = over.recv_timeout(PATIENCE).unwrap_err();
    assert_eq!(ended, RecvTimeoutError::Disconnected);
}
