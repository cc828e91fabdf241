//! The suite that every store passes, also those of other people (feature `testing`).
//!
//! A contract test: what [`Store`] and [`Session`](super::Session) promise in words is here said again
//! as cases that run. A store says what it cannot do in its [`Capabilities`](super::Capabilities);
//! a case that is outside of them prints that it is skipped, and why.
//!
//! ```text
//!   store_conformance!(mine, MyHarness::new())    one #[test] for each case
//!      └─ Harness::open ──> Store ──> sessions <── a case: operations in, outcomes compared
//! ```
//!
//! An adapter's test implements [`Harness`] and names it in [`store_conformance!`]:
//!
//! ```
//! use std::sync::Arc;
//! use trine::storage::Store;
//! use trine::storage::conformance::{Harness, ManualClock, Time};
//!
//! struct MyHarness {
//!     clock: Arc<ManualClock>,
//! }
//!
//! impl Harness for MyHarness {
//!     fn open(&mut self) -> Box<dyn Store> {
//!         unimplemented!("a fresh store that runs on `self.clock`")
//!     }
//!
//!     fn time(&self) -> Time {
//!         Time::Manual(self.clock.clone())
//!     }
//! }
//!
//! trine::store_conformance!(my_store, MyHarness { clock: ManualClock::new() });
//! ```
//!
//! Deadlines, cancelling and full queues are not here: they are the storage unit's. Nor are
//! killed processes and failing disks, which are for each durable store to provoke.
//!
//! [`store_conformance!`]: crate::store_conformance

mod batches;
mod clock;
mod expiry;
mod histories;
mod limits;
mod linearizable;
mod model;
mod operations;
mod paging;
mod random;
mod reopening;
mod subject;

use std::fmt;
use std::sync::Arc;

use super::store::Store;
use crate::time::Span;

pub use clock::ManualClock;

/// What the suite needs of an adapter's test.
pub trait Harness {
    /// A store with nothing in it. Called several times in a case; the one before is gone by then.
    fn open(&mut self) -> Box<dyn Store>;

    /// The store opened last, which is gone, opened again with what it kept; `None` when that cannot
    /// be done.
    fn reopen(&mut self) -> Option<Box<dyn Store>> {
        None
    }

    /// How time passes for the store.
    fn time(&self) -> Time {
        Time::Real {
            late: Span::from_millis(50),
        }
    }
}

/// The time a store lives in.
#[derive(Clone, Debug)]
pub enum Time {
    /// The clock it was given, and which the suite moves: no case waits, and each millisecond counts.
    Manual(Arc<ManualClock>),
    /// That of the machine: cases of expiry sleep.
    Real {
        /// How long after its time an expired value may still be seen.
        late: Span,
    },
}

/// How a case ended; one that fails panics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The store does what it must.
    Held,
    /// It does not claim to, or the harness cannot find out; this is why.
    Skipped(&'static str),
}

/// One rule, and how to find out.
#[derive(Clone, Copy)]
pub struct Case {
    /// The rule, as a sentence with underscores.
    pub name: &'static str,
    /// Panics when the store breaks it.
    pub run: fn(&mut dyn Harness) -> Verdict,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Runs the case called `name`, and prints it when it is skipped.
///
/// # Panics
///
/// When the store breaks the rule, or there is no such case.
pub fn run(name: &str, harness: &mut dyn Harness) {
    let case = CASES.iter().find(|case| case.name == name);
    let case = case.expect("the case is one of the list");
    if let Verdict::Skipped(why) = (case.run)(harness) {
        println!("skipped: {name}: {why}");
    }
}

/// Hands the list of all cases to another macro: the one place where they are listed.
#[doc(hidden)]
#[macro_export]
macro_rules! storage_cases {
    ($then:ident $arguments:tt) => {
        $crate::$then! { $arguments
            operations: a_value_is_read_as_it_was_written;
            operations: an_empty_key_and_an_empty_value_are_a_key_and_a_value;
            operations: every_octet_may_stand_in_a_key_and_a_value;
            operations: a_write_tells_whether_it_replaced_a_value;
            operations: a_condition_that_does_not_hold_changes_nothing_and_tells_the_revision;
            operations: a_condition_that_holds_lets_the_write_happen;
            operations: a_revision_is_never_given_twice_to_a_key;
            operations: a_touch_changes_the_revision_and_keeps_the_value;
            limits: a_key_and_a_value_as_long_as_allowed_are_kept;
            limits: what_is_too_long_is_refused_and_not_written;
            limits: a_durability_beyond_the_promise_is_refused_and_not_written;
            limits: a_time_to_live_of_zero_is_refused_and_changes_nothing;
            limits: a_page_of_no_entries_is_refused;
            batches: an_operation_sees_what_those_before_it_in_the_batch_did;
            batches: a_conflict_or_a_refusal_leaves_the_rest_of_the_batch_alone;
            batches: every_operation_has_exactly_one_outcome;
            batches: random_batches_do_what_a_sorted_map_does;
            batches: random_batches_in_place_do_what_a_sorted_map_does;
            expiry: an_expired_value_is_absent_at_exactly_its_millisecond;
            expiry: a_value_goes_when_its_time_has_come;
            expiry: a_touch_puts_the_end_off_brings_it_nearer_or_takes_it_away;
            expiry: a_write_without_a_time_to_live_takes_the_old_one_away;
            expiry: an_expired_value_is_absent_for_conditions_too;
            expiry: an_expired_value_is_in_no_page;
            expiry: a_time_to_live_beyond_all_clocks_is_for_ever;
            expiry: what_has_expired_stays_away_after_maintenance;
            paging: pages_hold_no_more_than_asked_and_together_everything;
            paging: a_page_of_keys_has_everything_but_the_values;
            paging: a_scan_begins_at_its_first_key_and_ends_before_its_last;
            paging: what_is_there_all_the_time_is_seen_exactly_once_while_others_write;
            paging: entries_come_in_the_order_of_their_keys;
            histories: what_one_session_wrote_every_other_sees;
            histories: no_increment_by_compare_and_set_is_lost;
            histories: no_increment_in_place_is_lost;
            histories: only_one_of_many_creates_a_key;
            histories: what_threads_see_of_a_key_is_explained_by_some_order;
            reopening: what_was_acknowledged_is_there_after_closing;
            reopening: what_was_acknowledged_is_there_without_closing;
            reopening: what_was_deleted_stays_away_after_reopening;
            reopening: expiry_goes_on_while_nobody_runs;
            reopening: a_revision_is_not_given_again_after_reopening;
        }
    };
}

/// Makes [`CASES`] of the list.
#[doc(hidden)]
#[macro_export]
macro_rules! storage_case_table {
    ({} $($module:ident: $name:ident;)*) => {
        /// Every rule, in the order in which to read them.
        pub const CASES: &[Case] = &[$(Case {
            name: stringify!($name),
            run: $module::$name,
        }),*];
    };
}

storage_cases!(storage_case_table {});

/// Makes tests of the list.
#[doc(hidden)]
#[macro_export]
macro_rules! storage_case_tests {
    ({ $harness:expr } $($module:ident: $name:ident;)*) => {$(
        #[test]
        fn $name() {
            $crate::storage::conformance::run(stringify!($name), &mut $harness);
        }
    )*};
}

/// A module with one test for each case of the suite, run on a store of the
/// [`Harness`](crate::storage::conformance::Harness) that the expression makes.
///
/// ```text
/// trine::store_conformance!(my_store, MyHarness::new());
/// ```
#[macro_export]
macro_rules! store_conformance {
    ($module:ident, $harness:expr) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;
            $crate::storage_cases!(storage_case_tests { $harness });
        }
    };
}
