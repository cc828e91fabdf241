//! What the threads of a storage unit do about a store that is not well: when it is reopened, how often,
//! and what they say meanwhile.

mod storage_fake;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use storage_fake::{Deed, Fake, Script, Upkeep, get, put, until};
use trine::storage::{
    Clock, Completion, Fault, Health, Outcome, StorageUnit, Submission, UnitOptions,
};
use trine::time::{Span, Tick};

/// Stands still until a test moves it.
#[derive(Debug, Default)]
struct Hands(AtomicU64);

impl Hands {
    fn pass(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Tick {
        Tick(self.0.load(Ordering::SeqCst))
    }

    fn unix_millis(&self) -> u64 {
        0
    }
}

fn unit(fake: &Fake) -> (StorageUnit, Arc<Hands>) {
    let clock = Arc::new(Hands::default());
    let options = UnitOptions {
        clock: Arc::<Hands>::clone(&clock),
        ..UnitOptions::default()
    };
    let unit = StorageUnit::start(Box::new(fake.clone()), options).unwrap();
    (unit, clock)
}

/// How long it says to wait.
fn pause(outcome: &Outcome) -> Span {
    match outcome {
        Err(Fault::Retry { after, .. }) => *after,
        other => panic!("{other:?}"),
    }
}

#[test]
fn pauses_between_attempts_to_reopen_double_up_to_ten_seconds_and_nothing_cuts_them_short() {
    let fake = Fake::new();
    let (unit, clock) = unit(&fake);
    let not_yet = Err(Fault::Retry {
        after: Span::ZERO,
        why: "no space",
    });
    fake.script([Script::Unknown]);
    fake.reopen_with([not_yet; 9]);
    assert!(matches!(unit.run(put("a", "1")), Err(Fault::Unknown(_))));
    let pauses = [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000];
    for (attempts, millis) in (1..).zip(pauses) {
        until(|| unit.metrics().reopens == attempts);
        for _ in 0..3 {
            assert_eq!(pause(&unit.run(put("a", "1"))), Span::from_millis(millis));
        }
        clock.pass(millis - 1);
        assert_eq!(pause(&unit.run(put("a", "1"))), Span::from_millis(1));
        assert_eq!(unit.metrics().reopens, attempts);
        clock.pass(1);
        let _ = unit.run(put("a", "1")); // whether or not the thread looked before
    }
    assert!(unit.run(put("a", "1")).is_ok());
}

#[test]
fn a_store_that_says_it_is_fenced_is_reopened_once_and_believed_if_that_works() {
    let fake = Fake::new();
    let (unit, _) = unit(&fake);
    fake.script([Script::Fenced]);
    assert!(matches!(unit.run(put("a", "1")), Err(Fault::Fenced(_))));
    assert!(unit.run(put("a", "1")).is_ok());
    assert_eq!(unit.metrics().reopens, 1);
}

#[test]
fn maintenance_that_has_more_to_do_goes_on_at_once() {
    let fake = Fake::new();
    let (_unit, clock) = unit(&fake);
    fake.maintain_with([Upkeep::More; 5]);
    until(|| fake.has_done(Deed::Open));
    clock.pass(1_000); // and no more
    until(|| fake.times(Deed::Maintain) == 6);
    clock.pass(1_000);
    until(|| fake.times(Deed::Maintain) == 7);
}

#[test]
fn a_store_whose_maintenance_fails_or_panics_is_reopened() {
    for upkeep in [Upkeep::Fails, Upkeep::Panics] {
        let fake = Fake::new();
        let (unit, clock) = unit(&fake);
        fake.maintain_with([upkeep]);
        until(|| fake.has_done(Deed::Open));
        clock.pass(1_000);
        until(|| unit.metrics().reopens == 1);
        assert!(unit.run(put("a", "1")).is_ok());
        assert_eq!(unit.metrics().panics, u64::from(upkeep == Upkeep::Panics));
    }
}

/// Somebody whose code is broken where it says whether it still waits.
struct CannotSay(mpsc::Sender<Outcome>);

impl Completion for CannotSay {
    fn is_cancelled(&self) -> bool {
        panic!("asked to")
    }

    fn complete(self: Box<Self>, outcome: Outcome) {
        self.0.send(outcome).unwrap();
    }
}

#[test]
fn whoever_cannot_say_whether_he_waits_is_waited_for() {
    let fake = Fake::new();
    let (unit, _) = unit(&fake);
    let (sender, told) = mpsc::channel();
    match unit.submit(put("a", "1")) {
        Submission::Queued(place) => place.complete_with(Box::new(CannotSay(sender))),
        Submission::Done(outcome) => panic!("{outcome:?}"),
    }
    assert!(told.recv_timeout(Duration::from_secs(10)).unwrap().is_ok());
}

#[test]
fn of_several_things_that_are_wrong_the_one_that_lasts_is_told() {
    let fake = Fake::new();
    fake.refuse_readers();
    let (unit, _) = unit(&fake);
    until(|| unit.health() == Health::Reopening);
    fake.script([Script::Unknown]);
    fake.reopen_with([Err(Fault::Fenced("sync failed"))]);
    assert!(matches!(unit.run(put("a", "1")), Err(Fault::Unknown(_))));
    until(|| unit.health() == Health::Fenced("sync failed"));
    assert!(matches!(unit.run(get("b")), Err(Fault::Retry { .. })));
}
