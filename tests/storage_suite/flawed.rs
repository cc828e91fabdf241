//! A store that is right, and wrong in one chosen way: a sorted map behind a lock.
//!
//! It is ordered, runs in place, and its data survive it in [`Kept`], so that no case is skipped.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use trine::storage::conformance::ManualClock;
use trine::storage::{
    Atomic, Capabilities, Clock, Condition, Durability, Entry, Fault, InPlace, Operation, Outcome,
    Outcomes, Page, Reply, Request, Revision, Session, Store, SystemClock, Written,
};
use trine::time::Span;

/// One rule that is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flaw {
    AnswersAnOldValueNowAndThen,
    AnswersTwice,
    AppliesConflicts,
    CachesReads,
    CutsKeysAtNul,
    CutsLongValues,
    DoublesTheLastOfAPage,
    EndsAMillisecondEarly,
    EndsAMillisecondLate,
    ExpiredCountsForConditions,
    ExpiredInPages,
    ForgetsTheEnd,
    ForgetsTheEndInPlace,
    ForgetsTheLastWriteAtClose,
    GivesValuesWithKeys,
    IgnoresLimit,
    IgnoresUntil,
    KeepsEndOnPut,
    KeepsOnlyWhatWasClosed,
    KeepsRevisionOnTouch,
    LeavesLastOutcomeOut,
    LosesEmptyValues,
    NeverComparesRevisionsAsEqual,
    PagesByNumber,
    RacesCompareAndSet,
    RacesInPlace,
    ReadsWhatWasBeforeTheBatch,
    RefusesNoDurability,
    RefusesNoEmptyPage,
    RefusesNoLength,
    RefusesNoZero,
    ReopensDeleted,
    RestartsEndsAtReopen,
    RestartsRevisionsAtReopen,
    ReturnsPagesBackwards,
    ReusesRevisionsOfDeleted,
    SaysItReplacedNothing,
    StopsAtTheFirstConflict,
    SweepsByTheFirstEnd,
    TouchKeepsEnd,
    WrapsFarEnds,
}

/// Which case finds which flaw out.
pub const CAUGHT_BY: &[(Flaw, &str)] = {
    use Flaw::*;
    &[
        (CutsLongValues, "a_value_is_read_as_it_was_written"),
        (
            LosesEmptyValues,
            "an_empty_key_and_an_empty_value_are_a_key_and_a_value",
        ),
        (CutsKeysAtNul, "every_octet_may_stand_in_a_key_and_a_value"),
        (
            SaysItReplacedNothing,
            "a_write_tells_whether_it_replaced_a_value",
        ),
        (
            AppliesConflicts,
            "a_condition_that_does_not_hold_changes_nothing_and_tells_the_revision",
        ),
        (
            NeverComparesRevisionsAsEqual,
            "a_condition_that_holds_lets_the_write_happen",
        ),
        (
            ReusesRevisionsOfDeleted,
            "a_revision_is_never_given_twice_to_a_key",
        ),
        (
            KeepsRevisionOnTouch,
            "a_touch_changes_the_revision_and_keeps_the_value",
        ),
        (
            CutsLongValues,
            "a_key_and_a_value_as_long_as_allowed_are_kept",
        ),
        (
            RefusesNoLength,
            "what_is_too_long_is_refused_and_not_written",
        ),
        (
            RefusesNoDurability,
            "a_durability_beyond_the_promise_is_refused_and_not_written",
        ),
        (
            RefusesNoZero,
            "a_time_to_live_of_zero_is_refused_and_changes_nothing",
        ),
        (RefusesNoEmptyPage, "a_page_of_no_entries_is_refused"),
        (
            ReadsWhatWasBeforeTheBatch,
            "an_operation_sees_what_those_before_it_in_the_batch_did",
        ),
        (
            StopsAtTheFirstConflict,
            "a_conflict_or_a_refusal_leaves_the_rest_of_the_batch_alone",
        ),
        (
            LeavesLastOutcomeOut,
            "every_operation_has_exactly_one_outcome",
        ),
        (AnswersTwice, "every_operation_has_exactly_one_outcome"),
        (
            SaysItReplacedNothing,
            "random_batches_do_what_a_sorted_map_does",
        ),
        (
            ExpiredCountsForConditions,
            "random_batches_do_what_a_sorted_map_does",
        ),
        (
            KeepsRevisionOnTouch,
            "random_batches_do_what_a_sorted_map_does",
        ),
        (
            ReusesRevisionsOfDeleted,
            "random_batches_do_what_a_sorted_map_does",
        ),
        (
            DoublesTheLastOfAPage,
            "random_batches_do_what_a_sorted_map_does",
        ),
        (
            ForgetsTheEndInPlace,
            "random_batches_in_place_do_what_a_sorted_map_does",
        ),
        (
            ForgetsTheEnd,
            "an_expired_value_is_absent_at_exactly_its_millisecond",
        ),
        (
            EndsAMillisecondEarly,
            "an_expired_value_is_absent_at_exactly_its_millisecond",
        ),
        (
            EndsAMillisecondLate,
            "an_expired_value_is_absent_at_exactly_its_millisecond",
        ),
        (ForgetsTheEnd, "a_value_goes_when_its_time_has_come"),
        (
            TouchKeepsEnd,
            "a_touch_puts_the_end_off_brings_it_nearer_or_takes_it_away",
        ),
        (
            KeepsEndOnPut,
            "a_write_without_a_time_to_live_takes_the_old_one_away",
        ),
        (
            ExpiredCountsForConditions,
            "an_expired_value_is_absent_for_conditions_too",
        ),
        (ExpiredInPages, "an_expired_value_is_in_no_page"),
        (WrapsFarEnds, "a_time_to_live_beyond_all_clocks_is_for_ever"),
        (
            SweepsByTheFirstEnd,
            "what_has_expired_stays_away_after_maintenance",
        ),
        (
            DoublesTheLastOfAPage,
            "pages_hold_no_more_than_asked_and_together_everything",
        ),
        (
            IgnoresLimit,
            "pages_hold_no_more_than_asked_and_together_everything",
        ),
        (
            GivesValuesWithKeys,
            "a_page_of_keys_has_everything_but_the_values",
        ),
        (
            IgnoresUntil,
            "a_scan_begins_at_its_first_key_and_ends_before_its_last",
        ),
        (
            PagesByNumber,
            "what_is_there_all_the_time_is_seen_exactly_once_while_others_write",
        ),
        (
            ReturnsPagesBackwards,
            "entries_come_in_the_order_of_their_keys",
        ),
        (CachesReads, "what_one_session_wrote_every_other_sees"),
        (
            RacesCompareAndSet,
            "no_increment_by_compare_and_set_is_lost",
        ),
        (RacesInPlace, "no_increment_in_place_is_lost"),
        (RacesCompareAndSet, "only_one_of_many_creates_a_key"),
        (
            RacesCompareAndSet,
            "what_threads_see_of_a_key_is_explained_by_some_order",
        ),
        (
            AnswersAnOldValueNowAndThen,
            "what_threads_see_of_a_key_is_explained_by_some_order",
        ),
        (
            ForgetsTheLastWriteAtClose,
            "what_was_acknowledged_is_there_after_closing",
        ),
        (
            KeepsOnlyWhatWasClosed,
            "what_was_acknowledged_is_there_without_closing",
        ),
        (
            ReopensDeleted,
            "what_was_deleted_stays_away_after_reopening",
        ),
        (RestartsEndsAtReopen, "expiry_goes_on_while_nobody_runs"),
        (
            RestartsRevisionsAtReopen,
            "a_revision_is_not_given_again_after_reopening",
        ),
    ]
};

#[derive(Clone, Debug)]
struct Value {
    value: Bytes,
    revision: Revision,
    expires: Option<u64>,
    ttl: Option<Span>,
    first_end: Option<u64>,
}

/// Everything that is stored.
#[derive(Default)]
pub struct Data {
    values: BTreeMap<Bytes, Value>,
    deleted: BTreeMap<Bytes, Value>,
    revision: u64,
    last_written: Bytes,
    is_closed: bool,
    gets: u64,
    /// The values that were overwritten last.
    old: HashMap<Bytes, Value>,
}

/// The data, which survive the store.
pub type Kept = Arc<Mutex<Data>>;

#[derive(Clone)]
struct Inner {
    data: Kept,
    clock: Option<Arc<ManualClock>>,
    flaw: Option<Flaw>,
    is_in_place: bool,
}

/// The store.
pub struct Sorted {
    sessions: Inner,
    in_place: Inner,
}

impl Sorted {
    pub fn open(data: Kept, clock: Option<Arc<ManualClock>>, flaw: Option<Flaw>) -> Sorted {
        let sessions = Inner {
            data,
            clock,
            flaw,
            is_in_place: false,
        };
        sessions.after_opening();
        let in_place = Inner {
            is_in_place: true,
            ..sessions.clone()
        };
        Sorted { sessions, in_place }
    }
}

const CAPABILITIES: Capabilities = Capabilities {
    name: "sorted",
    durability_max: Durability::Synced,
    is_ordered: true,
    atomic: Atomic::Batch,
    lanes: 1,
    readers: 2,
    key_bytes_max: 1_000,
    value_bytes_max: 100_000,
};

impl Store for Sorted {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn writer(&self, _: u16) -> Result<Box<dyn Session>, Fault> {
        Ok(Box::new(Hand {
            inner: self.sessions.clone(),
            cache: HashMap::new(),
        }))
    }

    fn reader(&self) -> Result<Box<dyn Session>, Fault> {
        self.writer(0)
    }

    fn in_place(&self) -> Option<&dyn InPlace> {
        Some(&self.in_place)
    }

    fn close(self: Box<Self>) -> Result<(), Fault> {
        self.sessions.data().is_closed = true;
        Ok(())
    }
}

struct Hand {
    inner: Inner,
    cache: HashMap<Bytes, Outcome>,
}

impl Session for Hand {
    fn run(&mut self, batch: &[Request], outcomes: &mut Outcomes<'_>) {
        if !self.inner.is(Flaw::CachesReads) {
            return self.inner.run(batch, outcomes);
        }
        for (index, request) in batch.iter().enumerate() {
            let key = request.operation.key().clone();
            let outcome = match &request.operation {
                Operation::Get { .. } => {
                    let run = || self.inner.do_one(request, None);
                    self.cache.entry(key).or_insert_with(run).clone()
                }
                _ => {
                    self.cache.remove(&key);
                    self.inner.do_one(request, None)
                }
            };
            outcomes.set(index, outcome);
        }
    }

    fn reopen(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn maintain(&mut self, _: Span) -> Result<bool, Fault> {
        Ok(InPlace::maintain(&self.inner, Span::ZERO))
    }
}

impl InPlace for Inner {
    fn run(&self, batch: &[Request], outcomes: &mut Outcomes<'_>) {
        let before = self.data().values.clone();
        let before = self.is(Flaw::ReadsWhatWasBeforeTheBatch).then_some(&before);
        for (index, request) in batch.iter().enumerate() {
            if self.is(Flaw::LeavesLastOutcomeOut) && index > 5 && index + 1 == batch.len() {
                return;
            }
            let outcome = self.do_one(request, before);
            if self.is(Flaw::AnswersTwice) && outcome.is_err() {
                outcomes.set(index, outcome.clone());
            }
            let is_conflict = matches!(outcome, Ok(Reply::Conflict(_)));
            outcomes.set(index, outcome);
            if is_conflict && self.is(Flaw::StopsAtTheFirstConflict) {
                return outcomes.fail_rest(Fault::BUSY);
            }
        }
    }

    fn maintain(&self, _: Span) -> bool {
        let now = self.now();
        let by_first = self.is(Flaw::SweepsByTheFirstEnd);
        self.data().values.retain(|_, value| {
            let end = if by_first {
                value.first_end
            } else {
                value.expires
            };
            end.is_none_or(|end| end > now)
        });
        false
    }
}

impl Inner {
    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().expect("no thread has failed")
    }

    fn now(&self) -> u64 {
        match &self.clock {
            Some(clock) => clock.unix_millis(),
            None => SystemClock.unix_millis(),
        }
    }

    fn after_opening(&self) {
        let now = self.now();
        let mut data = self.data();
        let was_closed = std::mem::take(&mut data.is_closed);
        let is_lost = self.is(Flaw::ForgetsTheLastWriteAtClose) && was_closed
            || self.is(Flaw::KeepsOnlyWhatWasClosed) && !was_closed;
        if is_lost {
            let key = data.last_written.clone();
            data.values.remove(&key);
        }
        if self.is(Flaw::ReopensDeleted) {
            let mut deleted = std::mem::take(&mut data.deleted);
            data.values.append(&mut deleted);
        }
        if self.is(Flaw::RestartsRevisionsAtReopen) {
            data.revision = 0;
        }
        if self.is(Flaw::RestartsEndsAtReopen) {
            for value in data.values.values_mut() {
                value.expires = value.ttl.map(|ttl| now + ttl.as_millis());
            }
        }
    }

    fn do_one(&self, request: &Request, before: Option<&BTreeMap<Bytes, Value>>) -> Outcome {
        if let Err(fault) = CAPABILITIES.check(request) {
            let is_let_through = match fault {
                Fault::Refused(why) if why.contains("long") => self.is(Flaw::RefusesNoLength),
                Fault::Refused(why) if why.contains("zero") => self.is(Flaw::RefusesNoZero),
                Fault::Refused(why) if why.contains("page") => self.is(Flaw::RefusesNoEmptyPage),
                _ => self.is(Flaw::RefusesNoDurability),
            };
            if !is_let_through {
                return Err(fault);
            }
        }
        Ok(match &request.operation {
            Operation::Get { key } => self.get(key, before),
            Operation::Scan { .. } => self.scan(&request.operation),
            Operation::Delete { key, condition } => self.delete(key, *condition),
            Operation::Put {
                key,
                value,
                ttl,
                condition,
            } => self.write(key, Some(value), *ttl, *condition),
            Operation::Touch { key, ttl } => self.write(key, None, *ttl, Condition::Present),
        })
    }

    fn cut<'a>(&self, key: &'a [u8]) -> &'a [u8] {
        let is_cut = self.is(Flaw::CutsKeysAtNul);
        let end = key.iter().position(|octet| *octet == 0);
        &key[..end.filter(|_| is_cut).unwrap_or(key.len())]
    }

    fn is_there(&self, value: &Value) -> bool {
        let forgets =
            self.is(Flaw::ForgetsTheEnd) || self.is(Flaw::ForgetsTheEndInPlace) && self.is_in_place;
        let (mut now, end) = (self.now(), value.expires.filter(|_| !forgets));
        if self.is(Flaw::EndsAMillisecondEarly) {
            now += 1;
        }
        if self.is(Flaw::EndsAMillisecondLate) {
            now -= 1;
        }
        end.is_none_or(|end| end > now)
    }

    fn get(&self, key: &[u8], before: Option<&BTreeMap<Bytes, Value>>) -> Reply {
        let key = self.cut(key);
        let mut data = self.data();
        data.gets += 1;
        let old = data.old.get(key).filter(|_| data.gets.is_multiple_of(5));
        let old = old.filter(|_| self.is(Flaw::AnswersAnOldValueNowAndThen));
        let value = old.or(before.unwrap_or(&data.values).get(key));
        let value = value.filter(|value| self.is_there(value));
        let value =
            value.filter(|value| !(self.is(Flaw::LosesEmptyValues) && value.value.is_empty()));
        Reply::Got(value.map(|value| entry(Bytes::copy_from_slice(key), value)))
    }

    /// The revision that conditions are about.
    fn revision(&self, data: &Data, key: &[u8]) -> Option<Revision> {
        let value = data.values.get(key);
        let counts =
            |value: &&Value| self.is_there(value) || self.is(Flaw::ExpiredCountsForConditions);
        value.filter(counts).map(|value| value.revision)
    }

    fn holds(&self, condition: Condition, revision: Option<Revision>) -> bool {
        match condition {
            Condition::Revision(_) if self.is(Flaw::NeverComparesRevisionsAsEqual) => false,
            _ => condition.holds(revision),
        }
    }

    fn delete(&self, key: &[u8], condition: Condition) -> Reply {
        let key = self.cut(key);
        let mut data = self.data();
        let revision = self.revision(&data, key);
        if !self.holds(condition, revision) {
            return Reply::Conflict(revision);
        }
        if let Some(value) = data.values.remove(key) {
            data.deleted.insert(Bytes::copy_from_slice(key), value);
        }
        if revision.is_some() && self.is(Flaw::ReusesRevisionsOfDeleted) {
            data.revision -= 1;
        }
        Reply::Deleted(revision.is_some())
    }

    /// A put, or a touch, which has no value.
    fn write(
        &self,
        key: &[u8],
        value: Option<&Bytes>,
        ttl: Option<Span>,
        condition: Condition,
    ) -> Reply {
        let key = self.cut(key);
        let mut data = self.data();
        let present = self.revision(&data, key);
        let is_done = self.holds(condition, present);
        if !is_done && (!self.is(Flaw::AppliesConflicts) || value.is_none()) {
            return Reply::Conflict(present);
        }
        if self.is(Flaw::RacesCompareAndSet) || self.is(Flaw::RacesInPlace) && self.is_in_place {
            drop(data);
            thread::sleep(Duration::from_micros(50));
            data = self.data();
        }
        data.revision += 1;
        let mut revision = Revision::new(data.revision).expect("it counts from 1");
        let old = data.values.get(key).cloned();
        if let (None, Some(old), true) = (value, &old, self.is(Flaw::KeepsRevisionOnTouch)) {
            revision = old.revision;
        }
        let mut expires = self.end_of(ttl);
        let keeps_end = match value {
            Some(_) => ttl.is_none() && self.is(Flaw::KeepsEndOnPut),
            None => self.is(Flaw::TouchKeepsEnd),
        };
        if let Some(old) = old.as_ref().filter(|_| keeps_end) {
            expires = old.expires;
        }
        let mut value = match (value, &old) {
            (Some(value), _) => value.clone(),
            (None, Some(old)) => old.value.clone(),
            (None, None) => Bytes::new(), // a race with a deletion
        };
        if self.is(Flaw::CutsLongValues) {
            value.truncate(10);
        }
        let key = Bytes::copy_from_slice(key);
        let first_end = old.as_ref().and_then(|old| old.first_end).or(expires);
        data.last_written = key.clone();
        if let Some(old) = old {
            data.old.insert(key.clone(), old);
        }
        let value = Value {
            value,
            revision,
            expires,
            ttl,
            first_end,
        };
        data.values.insert(key, value);
        let replaced = present.is_some() && !self.is(Flaw::SaysItReplacedNothing);
        match is_done {
            true => Reply::Written(Written { revision, replaced }),
            false => Reply::Conflict(present),
        }
    }

    fn end_of(&self, ttl: Option<Span>) -> Option<u64> {
        let (now, millis) = (self.now(), ttl?.as_millis());
        Some(match self.is(Flaw::WrapsFarEnds) {
            true => now.wrapping_add(millis),
            false => now.saturating_add(millis),
        })
    }

    fn scan(&self, scan: &Operation) -> Reply {
        let Operation::Scan {
            from,
            until,
            limit,
            keys_only,
        } = scan
        else {
            panic!("not a scan");
        };
        let data = self.data();
        let (from, skipped) = match from.strip_prefix(b"#") {
            Some(number) if self.is(Flaw::PagesByNumber) => {
                let number = std::str::from_utf8(number).expect("digits");
                (Bytes::new(), number.parse().expect("a number"))
            }
            _ => (from.clone(), 0),
        };
        let ends = |key: &Bytes| match until {
            Some(until) => key >= until && !self.is(Flaw::IgnoresUntil),
            None => false,
        };
        let there = data.values.range(from..).skip(skipped);
        let there = there.take_while(|(key, _)| !ends(key));
        let shows = |value: &Value| self.is_there(value) || self.is(Flaw::ExpiredInPages);
        let mut there = there.filter(|(_, value)| shows(value));
        let more = usize::from(self.is(Flaw::IgnoresLimit));
        let mut page = Page {
            entries: Vec::new(),
            next: None,
        };
        for (key, value) in there.by_ref().take(*limit as usize + more) {
            let mut entry = entry(key.clone(), value);
            if *keys_only && !self.is(Flaw::GivesValuesWithKeys) {
                entry.value = Bytes::new();
            }
            page.entries.push(entry);
        }
        let last = page.entries.last().map(|entry| entry.key.clone());
        page.next = there.next().map(|(key, _)| key.clone());
        if page.next.is_some() && self.is(Flaw::PagesByNumber) {
            page.next = Some(format!("#{}", skipped + page.entries.len()).into());
        }
        if page.entries.len() > 1 && self.is(Flaw::DoublesTheLastOfAPage) {
            page.next = page.next.and(last);
        }
        if self.is(Flaw::ReturnsPagesBackwards) {
            page.entries.reverse();
        }
        Reply::Page(page)
    }
}

fn entry(key: Bytes, value: &Value) -> Entry {
    Entry {
        key,
        value: value.value.clone(),
        revision: value.revision,
        expires: value.expires,
    }
}
