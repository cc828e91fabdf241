//! Values whose drop panics: what holds them stays whole, and lets go of the others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use trine::concurrency::{Bounds, RequestQueue};
use trine::reactor::{Context, Event, EventSource, Next};
use trine::slab::Slab;
use trine::time::Tick;
use trine::timer_wheel::TimerWheel;
use trine::{EventLoop, Sources};

/// Counts how many were dropped; every third of them panics then.
struct Value {
    number: usize,
    dropped: Arc<AtomicUsize>,
}

impl Drop for Value {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
        // A second panic on the way of a first one would end the process.
        assert!(self.number % 3 != 1 || thread::panicking(), "dropped");
    }
}

const VALUES: usize = 10;

struct Values {
    dropped: Arc<AtomicUsize>,
}

impl Values {
    fn new() -> Values {
        Values {
            dropped: Arc::default(),
        }
    }

    fn make(&self) -> impl Iterator<Item = Value> + use<> {
        let dropped = Arc::clone(&self.dropped);
        (0..VALUES).map(move |number| Value {
            number,
            dropped: Arc::clone(&dropped),
        })
    }

    fn count(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }
}

/// Whether `f` panicked.
fn panics(f: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(f)).is_err()
}

#[test]
fn a_table_loses_what_is_removed_and_nothing_else() {
    let values = Values::new();
    let mut slab: Slab<Value> = Slab::new();
    let tokens: Vec<_> = values
        .make()
        .map(|value| slab.try_insert(value).ok().unwrap())
        .collect();
    let removed = tokens.iter().take(5);
    let panicked = removed
        .filter(|token| panics(|| drop(slab.remove(**token))))
        .count();
    assert_eq!((panicked, slab.len(), values.count()), (2, 5, 5));
    for (number, token) in tokens.iter().enumerate() {
        let held = slab.get(*token).map(|value| value.number);
        assert_eq!(held, Some(number).filter(|number| *number >= 5));
    }
    assert!(panics(|| drop(slab)));
    assert_eq!(values.count(), VALUES, "the others went with it");
}

#[test]
fn a_timer_wheel_goes_on_after_values_that_panicked() {
    let values = Values::new();
    let mut wheel = TimerWheel::new();
    let ids: Vec<_> = values
        .make()
        .map(|value| wheel.insert(Tick(value.number as u64), value))
        .collect();
    assert!(panics(|| drop(wheel.cancel(ids[1]))));
    wheel.advance(Tick(4));
    let mut expired = Vec::new();
    for _ in 0..5 {
        let _ = panics(|| expired.extend(wheel.pop_expired().map(|(_, at, _)| at.0)));
        wheel.check();
    }
    assert_eq!((wheel.len(), values.count()), (5, 5));
    assert!(panics(|| drop(wheel)));
    assert_eq!(values.count(), VALUES);
}

#[test]
fn a_request_queue_goes_on_after_items_that_panicked() {
    let values = Values::new();
    let bounds = Bounds {
        items_max: VALUES,
        bytes_max: 100,
    };
    let queue = RequestQueue::new(bounds);
    for value in values.make() {
        queue.try_reserve(10).unwrap().push(value);
    }
    let popped = (0..3).filter(|_| panics(|| drop(queue.pop()))).count();
    assert_eq!((popped, queue.len(), queue.bytes()), (1, 7, 70));
    assert!(panics(|| drop(queue.retain(|value| value.number > 4))));
    assert_eq!((queue.len(), queue.bytes(), values.count()), (5, 50, 5));
    queue.try_reserve(50).map(drop).unwrap();
    assert!(panics(|| drop(queue)));
    assert_eq!(values.count(), VALUES);
}

/// A source that ends at its first event.
struct Short {
    _value: Value,
}

impl EventSource<()> for Short {
    fn handle(&mut self, _: Event, (): &mut (), _: &mut Context<'_, ()>) -> Next {
        Next::Close
    }
}

#[test]
fn a_loop_goes_on_after_sources_that_panicked_when_they_were_dropped() {
    let values = Values::new();
    let mut events = EventLoop::<()>::new().unwrap();
    for value in values.make() {
        events.insert(Short { _value: value }).unwrap();
    }
    events.run(&mut ()).unwrap();
    assert!(events.is_empty());
    assert_eq!((values.count(), events.metrics().panics), (VALUES, 3));
    events
        .call_after(Duration::ZERO, |(), cx| cx.stop())
        .unwrap();
    events.run(&mut ()).unwrap();
}

#[test]
fn a_shared_value_that_panics_when_it_is_dropped_leaves_its_place_free() {
    let values = Values::new();
    let mut events = EventLoop::<()>::new().unwrap();
    let mut cx = events.context();
    let keys: Vec<_> = values.make().map(|value| cx.share(value)).collect();
    let panicked = keys
        .iter()
        .filter(|key| panics(|| drop(cx.unshare(**key))))
        .count();
    assert_eq!((panicked, values.count()), (3, VALUES));
    let again = cx.share(7);
    assert_eq!(cx.with(again, |seven, _| *seven), Some(7));
    assert!(keys.iter().all(|key| cx.with(*key, |_, _| ()).is_none()));
}
