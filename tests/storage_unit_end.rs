//! The storage unit: how it ends, and what of it outlives a part that fails.

mod storage_fake;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use storage_fake::{Deed, Fake, get, put, until};
use trine::storage::{
    Capabilities, Completion, Fault, Health, Outcome, Request, Session, StorageUnit, Store,
    Submission, UnitOptions,
};

fn unit(store: impl Store) -> StorageUnit {
    StorageUnit::start(Box::new(store), UnitOptions::default()).unwrap()
}

/// Queues `request`, and has `completion` told.
fn queue(unit: &StorageUnit, request: Request, completion: impl Completion) {
    match unit.submit(request) {
        Submission::Queued(place) => place.complete_with(Box::new(completion)),
        Submission::Done(outcome) => panic!("{outcome:?}"),
    }
}

#[test]
fn the_last_clone_may_go_with_a_read_that_others_wait_behind() {
    let fake = Fake::new();
    let (unit, gate) = (unit(fake.clone()), fake.block_reads());
    queue(&unit, get("x"), |_| {});
    until(|| fake.is_blocked());
    let last = unit.clone();
    queue(&unit, get("a"), move |_| drop(last));
    queue(&unit, get("b"), |_| {});
    let (sender, receiver) = mpsc::channel();
    queue(&unit, put("b", "1"), move |outcome| {
        let _ = sender.send(outcome);
    });
    drop(unit);
    drop(gate);
    let written: Outcome = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(written.is_ok(), "{written:?}");
    until(|| fake.has_done(Deed::Close));
}

#[test]
fn a_clone_of_a_unit_that_was_closed_says_so() {
    let unit = unit(Fake::new());
    let other = unit.clone();
    assert!(unit.close().is_err(), "there is a clone");
    assert_eq!(other.health(), Health::Closed("it was closed".to_owned()));
}

#[test]
fn a_store_that_is_opened_for_nobody_is_closed() {
    let (sender, receiver) = mpsc::channel::<()>();
    let fake = Fake::new();
    let opened = fake.clone();
    let open = move || {
        let _ = receiver.recv();
        Ok::<Box<dyn Store>, Fault>(Box::new(opened))
    };
    let unit = StorageUnit::open(UnitOptions::default(), || 0, open).unwrap();
    assert_eq!(unit.close(), Ok(()));
    drop(sender);
    until(|| fake.has_done(Deed::Close));
}

/// Panics when it is asked, or when it is dropped unused.
struct Faulty {
    is_cancelled: Option<bool>,
}

impl Completion for Faulty {
    fn is_cancelled(&self) -> bool {
        self.is_cancelled.expect("asked to panic")
    }

    fn complete(mut self: Box<Self>, _: Outcome) {
        self.is_cancelled = None;
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        assert!(self.is_cancelled.is_none(), "asked to panic");
    }
}

#[test]
fn a_completion_that_panics_at_any_call_stops_no_thread() {
    for is_cancelled in [None, Some(true)] {
        let unit = unit(Fake::new());
        queue(&unit, put("a", "1"), Faulty { is_cancelled });
        queue(&unit, get("b"), Faulty { is_cancelled });
        let (sender, receiver) = mpsc::channel();
        for request in [get("b"), put("b", "2")] {
            let sender = sender.clone();
            queue(&unit, request, move |outcome: Outcome| {
                let _ = sender.send(outcome);
            });
        }
        for _ in 0..2 {
            let outcome = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
            assert!(outcome.is_ok(), "{is_cancelled:?}: {outcome:?}");
        }
    }
}

/// Has two readers: the first is fenced, and then the second works.
struct OneBlind {
    fake: Fake,
    asked: AtomicUsize,
    has_both: Arc<AtomicBool>,
}

impl Store for OneBlind {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            readers: 2,
            ..self.fake.capabilities()
        }
    }

    fn writer(&self, lane: u16) -> Result<Box<dyn Session>, Fault> {
        self.fake.writer(lane)
    }

    fn reader(&self) -> Result<Box<dyn Session>, Fault> {
        if self.asked.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(Fault::Fenced("blind"));
        }
        std::thread::sleep(Duration::from_millis(50)); // the other has said so by then
        self.has_both.store(true, Ordering::SeqCst);
        self.fake.reader()
    }

    fn close(self: Box<Self>) -> Result<(), Fault> {
        Ok(())
    }
}

#[test]
fn a_reader_that_works_does_not_hide_one_that_is_fenced() {
    let has_both = Arc::new(AtomicBool::new(false));
    let unit = unit(OneBlind {
        fake: Fake::new(),
        asked: AtomicUsize::new(0),
        has_both: Arc::clone(&has_both),
    });
    until(|| has_both.load(Ordering::SeqCst));
    std::thread::sleep(Duration::from_millis(50)); // for what is said after it
    assert_eq!(unit.health(), Health::Fenced("blind"));
}
