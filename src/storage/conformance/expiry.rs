//! Time to live: when a value goes, and what changes that.

use bytes::Bytes;

use super::subject::{Subject, delete_if, put, put_for, put_if, touch};
use super::{Harness, Verdict};
use crate::storage::{Condition, Operation, Reply};
use crate::time::Span;

const NEEDS_MANUAL_TIME: Verdict =
    Verdict::Skipped("the store's clock cannot be moved, so milliseconds cannot be told apart");

pub(super) fn an_expired_value_is_absent_at_exactly_its_millisecond(
    harness: &mut dyn Harness,
) -> Verdict {
    let mut subject = Subject::open(harness);
    if !subject.has_manual_time() {
        return NEEDS_MANUAL_TIME;
    }
    let key = subject.key();
    // Around the sizes of the slots of a timer wheel, and a fraction of a jitter.
    for millis in [
        1,
        2,
        15,
        16,
        255,
        256,
        257,
        1_000,
        65_535,
        65_536,
        100_000_000,
    ] {
        let end = subject.unix_millis() + millis;
        subject.written(put_for(&key, "value", millis));
        assert_eq!(subject.got(&key).expect("written").expires, Some(end));
        subject.pass(millis - 1);
        assert_eq!(
            subject.got(&key).map(|entry| entry.expires),
            Some(Some(end)),
            "a millisecond before the end of {millis}"
        );
        subject.pass(1);
        assert_eq!(subject.got(&key), None, "at the end of {millis}");
        subject.pass(1);
        assert_eq!(subject.got(&key), None, "after the end of {millis}");
    }
    Verdict::Held
}

pub(super) fn a_value_goes_when_its_time_has_come(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    let keys = subject.keys(2);
    let start = subject.unix_millis();
    subject.written(put_for(&keys[0], "short", 300));
    let expires = {
        let entry = subject.got(&keys[0]);
        let is_early = subject.unix_millis() < start + 300;
        match entry {
            Some(entry) => entry.expires.expect("it was given an end"),
            None => {
                assert!(!is_early, "it went before its time");
                start + 300
            }
        }
    };
    let moment = subject.moment_since(start);
    assert!(moment.contains(&(expires - 300)), "ends {expires}");
    subject.written(put_for(&keys[1], "long", 3_600_000));
    subject.pass(300 + subject.late().as_millis());
    assert_eq!(subject.got(&keys[0]), None, "it is there after its time");
    assert_eq!(subject.value(&keys[1]), Some("long".into()));
    Verdict::Held
}

pub(super) fn a_touch_puts_the_end_off_brings_it_nearer_or_takes_it_away(
    harness: &mut dyn Harness,
) -> Verdict {
    let mut subject = Subject::open(harness);
    if !subject.has_manual_time() {
        return NEEDS_MANUAL_TIME;
    }
    let keys = subject.keys(4);
    for key in &keys {
        subject.written(put_for(key, "value", 1_000));
    }
    subject.pass(900);
    subject.written(touch(&keys[0], Some(1_000)));
    subject.written(touch(&keys[1], Some(10)));
    subject.written(touch(&keys[2], None));
    assert_eq!(subject.got(&keys[2]).expect("touched").expires, None);
    subject.pass(10);
    assert_eq!(subject.got(&keys[1]), None, "its end was brought nearer");
    subject.pass(90);
    assert_eq!(subject.got(&keys[3]), None, "it was not touched");
    subject.pass(899);
    assert!(subject.got(&keys[0]).is_some(), "its end was put off");
    subject.pass(1);
    assert_eq!(subject.got(&keys[0]), None);
    subject.pass(100_000_000);
    assert!(subject.got(&keys[2]).is_some(), "its end was taken away");
    // What has no end can be given one.
    subject.written(touch(&keys[2], Some(5)));
    subject.pass(5);
    assert_eq!(subject.got(&keys[2]), None);
    assert_eq!(subject.done(touch(&keys[2], None)), Reply::Conflict(None));
    Verdict::Held
}

pub(super) fn a_write_without_a_time_to_live_takes_the_old_one_away(
    harness: &mut dyn Harness,
) -> Verdict {
    let mut subject = Subject::open(harness);
    let key = subject.key();
    subject.written(put_for(&key, "for a while", 200));
    subject.written(put(&key, "for ever"));
    assert_eq!(subject.got(&key).expect("written").expires, None);
    subject.pass(200 + subject.late().as_millis());
    assert_eq!(subject.value(&key), Some("for ever".into()));
    Verdict::Held
}

pub(super) fn an_expired_value_is_absent_for_conditions_too(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    let keys = subject.keys(4);
    let mut revision = None;
    for key in &keys {
        revision = Some(subject.written(put_for(key, "gone", 100)));
    }
    let revision = revision.expect("there are keys");
    subject.pass(100 + subject.late().as_millis());
    for condition in [Condition::Present, Condition::Revision(revision)] {
        let conflict = subject.done(put_if(&keys[3], "never", condition));
        assert_eq!(conflict, Reply::Conflict(None), "{condition:?}");
        let conflict = subject.done(delete_if(&keys[3], condition));
        assert_eq!(conflict, Reply::Conflict(None), "{condition:?}");
    }
    assert_eq!(subject.done(touch(&keys[0], None)), Reply::Conflict(None));
    let deleted = subject.done(delete_if(&keys[1], Condition::Any));
    assert_eq!(deleted, Reply::Deleted(false), "there was nothing any more");
    match subject.done(put_if(&keys[3], "new", Condition::Absent)) {
        Reply::Written(written) => {
            assert!(!written.replaced, "what has expired is not replaced");
            assert_ne!(written.revision, revision);
        }
        other => panic!("a key whose value expired is absent, not {other:?}"),
    }
    assert_eq!(subject.value(&keys[3]), Some("new".into()));
    Verdict::Held
}

pub(super) fn an_expired_value_is_in_no_page(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    let keys = subject.keys(30);
    for (index, key) in keys.iter().enumerate() {
        let operation = match index % 3 {
            0 => put(key, "stays"),
            _ => put_for(key, "goes", 100),
        };
        subject.written(operation);
    }
    subject.pass(100 + subject.late().as_millis());
    for limit in [1, 7, 100] {
        let entries = subject.scan(&Bytes::new(), None, limit);
        assert_eq!(entries.len(), 10, "{entries:?}");
        assert!(entries.iter().all(|entry| entry.value == "stays"));
    }
    Verdict::Held
}

pub(super) fn a_time_to_live_beyond_all_clocks_is_for_ever(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    let keys = subject.keys(4);
    let century = 100 * 365 * 24 * 3_600_000;
    let spans = [u64::MAX, u64::MAX - 1, i64::MAX as u64, 1 << 53];
    let start = subject.unix_millis();
    for (key, millis) in keys.iter().zip(spans) {
        subject.written(put_for(key, "value", millis));
        subject.written(Operation::Touch {
            key: key.clone(),
            ttl: Some(Span::from_millis(millis)),
        });
        let entry = subject.got(key).expect("it has not expired");
        let ends = entry.expires.unwrap_or(u64::MAX);
        assert!(ends - start > century, "{millis} ms end at {ends}");
    }
    if subject.has_manual_time() {
        subject.pass(century);
        for key in &keys {
            assert!(subject.got(key).is_some(), "it went after a century");
        }
    }
    Verdict::Held
}

pub(super) fn what_has_expired_stays_away_after_maintenance(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    let keys = subject.keys(100);
    for (index, key) in keys.iter().enumerate() {
        let millis = if index % 2 == 0 { 100 } else { 3_600_000 };
        subject.written(put_for(key, "value", millis));
    }
    // Written again after they were to go: what was planned for the old value is void.
    for key in keys.iter().step_by(4) {
        subject.written(put(key, "new"));
    }
    subject.pass(100 + subject.late().as_millis());
    for _ in 0..1_000 {
        if !maintain(&mut subject) {
            break;
        }
    }
    for (index, key) in keys.iter().enumerate() {
        let expected = match index % 4 {
            0 => Some("new".into()),
            2 => None,
            _ => Some("value".into()),
        };
        assert_eq!(subject.value(key), expected, "{key:?}");
    }
    assert_eq!(subject.scan(&Bytes::new(), None, 1_000).len(), 75);
    Verdict::Held
}

/// A bit of maintenance of every kind; whether there is more.
fn maintain(subject: &mut Subject<'_>) -> bool {
    let budget = Span::from_millis(1);
    let mut is_more = subject
        .store()
        .in_place()
        .is_some_and(|store| store.maintain(budget));
    for lane in 0..subject.capabilities().lanes {
        let maintained = subject.writer(lane).maintain(budget);
        is_more |= maintained.unwrap_or_else(|fault| panic!("maintenance of {lane}: {fault}"));
    }
    is_more
}
