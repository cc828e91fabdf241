//! The proof of the conformance suite: a right store passes, and each of many wrong ones is caught
//! by the case that is about its flaw.

#![cfg(feature = "testing")]

mod flawed;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use flawed::{Flaw, Kept, Sorted};
use trine::storage::Store;
use trine::storage::conformance::{CASES, Case, Harness, ManualClock, Time, Verdict};
use trine::time::Span;

struct Flawed {
    flaw: Option<Flaw>,
    clock: Arc<ManualClock>,
    kept: Kept,
    time: Time,
}

impl Flawed {
    fn new(flaw: Option<Flaw>) -> Flawed {
        let clock = ManualClock::new();
        Flawed {
            flaw,
            clock: clock.clone(),
            kept: Kept::default(),
            time: Time::Manual(clock),
        }
    }
}

impl Harness for Flawed {
    fn open(&mut self) -> Box<dyn Store> {
        self.kept = Kept::default();
        self.reopen().expect("it opens")
    }

    fn reopen(&mut self) -> Option<Box<dyn Store>> {
        let clock = match self.time {
            Time::Manual(_) => Some(self.clock.clone()),
            Time::Real { .. } => None,
        };
        Some(Box::new(Sorted::open(self.kept.clone(), clock, self.flaw)))
    }

    fn time(&self) -> Time {
        self.time.clone()
    }
}

trine::store_conformance!(a_right_store, Flawed::new(None));

trine::store_conformance!(a_right_store_in_real_time, {
    let late = Span::from_millis(5);
    Flawed {
        time: Time::Real { late },
        ..Flawed::new(None)
    }
});

fn case(name: &str) -> &'static Case {
    let found = CASES.iter().find(|case| case.name == name);
    found.unwrap_or_else(|| panic!("there is no case {name}"))
}

const ATTEMPTS: usize = 20;

#[test]
fn every_flaw_is_caught_by_the_case_that_is_about_it() {
    for (flaw, name) in flawed::CAUGHT_BY {
        // A race needs two threads to meet, which on a busy machine they do not every time.
        let is_caught = (0..ATTEMPTS).any(|_| {
            let mut harness = Flawed::new(Some(*flaw));
            catch_unwind(AssertUnwindSafe(|| (case(name).run)(&mut harness))).is_err()
        });
        assert!(is_caught, "{flaw:?} is not caught by {name}");
    }
}

#[test]
fn every_case_catches_some_flaw() {
    for case in CASES {
        let mut names = flawed::CAUGHT_BY.iter().map(|(_, name)| *name);
        assert!(names.any(|name| name == case.name), "{}", case.name);
    }
}

#[test]
fn no_case_is_skipped_for_a_store_that_can_do_everything() {
    for case in CASES {
        let mut harness = Flawed::new(None);
        assert_eq!((case.run)(&mut harness), Verdict::Held, "{}", case.name);
    }
}
