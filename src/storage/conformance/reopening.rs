//! What a durable store still has when it is opened again.

use std::collections::HashSet;

use bytes::Bytes;

use super::subject::{Subject, delete, put, put_for, put_if, request, touch};
use super::{Harness, Verdict};
use crate::storage::{Condition, Durability, Operation, Reply, Request, Revision};

const FORGETS: Verdict = Verdict::Skipped("the store promises no more than memory");
const STAYS_CLOSED: Verdict = Verdict::Skipped("the harness cannot open the same data again");

/// Whether the store promises to survive.
fn is_durable(subject: &Subject<'_>) -> bool {
    subject.capabilities().durability_max >= Durability::Os
}

/// Runs a write as durable as the store can; the revision it made, if it made one.
fn run_durably(subject: &mut Subject<'_>, operation: Operation) -> Option<Revision> {
    let durability = subject.capabilities().durability_max;
    let batch = [Request {
        durability,
        ..request(operation)
    }];
    let outcome = subject.run_batch(&batch).pop().expect("one has one");
    match outcome {
        Ok(Reply::Written(written)) => Some(written.revision),
        Ok(Reply::Deleted(_)) => None,
        other => panic!("{:?} gave {other:?}", batch[0].operation),
    }
}

pub(super) fn what_was_acknowledged_is_there_after_closing(harness: &mut dyn Harness) -> Verdict {
    keeps(harness, true)
}

pub(super) fn what_was_acknowledged_is_there_without_closing(harness: &mut dyn Harness) -> Verdict {
    keeps(harness, false)
}

fn keeps(harness: &mut dyn Harness, is_closed: bool) -> Verdict {
    let mut subject = Subject::open(harness);
    if !is_durable(&subject) {
        return FORGETS;
    }
    let keys = subject.keys(20);
    let capabilities = *subject.capabilities();
    let mut durability = match capabilities.promises(Durability::Os) {
        true => Durability::Os,
        false => capabilities.durability_max,
    };
    for (index, key) in keys.iter().enumerate() {
        let value: Bytes = vec![index as u8; index * 700].into();
        let batch = [Request {
            durability,
            ..request(put(key, value))
        }];
        let outcome = subject.run_batch(&batch).pop().expect("one has one");
        outcome.unwrap_or_else(|fault| panic!("a put: {fault}"));
        durability = capabilities.durability_max;
    }
    run_durably(&mut subject, touch(&keys[1], Some(3_600_000)));
    run_durably(&mut subject, put(&keys[2], "over the old one"));
    let before: Vec<_> = keys.iter().map(|key| subject.got(key)).collect();
    let Some(mut subject) = subject.reopen(is_closed) else {
        return STAYS_CLOSED;
    };
    for (key, entry) in keys.iter().zip(&before) {
        assert!(entry.is_some());
        assert_eq!(&subject.got(key), entry);
    }
    assert_eq!(subject.scan(&Bytes::new(), None, 7).len(), keys.len());
    Verdict::Held
}

pub(super) fn what_was_deleted_stays_away_after_reopening(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    if !is_durable(&subject) {
        return FORGETS;
    }
    let keys = subject.keys(10);
    for key in &keys {
        run_durably(&mut subject, put(key, "value"));
    }
    for key in &keys[..5] {
        run_durably(&mut subject, delete(key));
    }
    let Some(mut subject) = subject.reopen(true) else {
        return STAYS_CLOSED;
    };
    for (index, key) in keys.iter().enumerate() {
        assert_eq!(subject.got(key).is_some(), index >= 5, "{key:?}");
    }
    assert_eq!(subject.scan(&Bytes::new(), None, 3).len(), 5);
    Verdict::Held
}

pub(super) fn expiry_goes_on_while_nobody_runs(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    if !is_durable(&subject) {
        return FORGETS;
    }
    let keys = subject.keys(3);
    run_durably(&mut subject, put_for(&keys[0], "short", 300));
    run_durably(&mut subject, put_for(&keys[1], "long", 3_600_000));
    run_durably(&mut subject, put(&keys[2], "for ever"));
    let long = subject.got(&keys[1]);
    subject.pass(100);
    let Some(subject) = subject.reopen(true) else {
        return STAYS_CLOSED;
    };
    subject.pass(100);
    let Some(mut subject) = subject.reopen(true) else {
        return STAYS_CLOSED;
    };
    if subject.has_manual_time() {
        subject.pass(99);
        assert!(subject.got(&keys[0]).is_some(), "a millisecond early");
        subject.pass(1);
    } else {
        subject.pass(100 + subject.late().as_millis());
    }
    assert_eq!(subject.got(&keys[0]), None);
    assert_eq!(subject.got(&keys[1]), long, "its end did not move");
    assert_eq!(subject.value(&keys[2]), Some("for ever".into()));
    let created = put_if(&keys[0], "new", Condition::Absent);
    assert!(run_durably(&mut subject, created).is_some());
    Verdict::Held
}

pub(super) fn a_revision_is_not_given_again_after_reopening(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    if !is_durable(&subject) {
        return FORGETS;
    }
    let key = subject.key();
    let mut seen = HashSet::new();
    for round in 0..5 {
        for step in 0..3 {
            let revision = run_durably(&mut subject, put(&key, "value"));
            let revision = revision.expect("a put has a revision");
            assert!(seen.insert(revision), "{revision} in round {round}, {step}");
        }
        run_durably(&mut subject, delete(&key));
        let Some(next) = subject.reopen(round % 2 == 0) else {
            return STAYS_CLOSED;
        };
        subject = next;
    }
    Verdict::Held
}
