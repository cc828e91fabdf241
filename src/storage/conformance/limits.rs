//! What is refused, and that it is then not done.

use bytes::Bytes;

use super::subject::{Subject, delete, get, put, put_for, request, touch};
use super::{Harness, Verdict};
use crate::storage::{Durability, Fault, Operation, Outcome, Request};

/// Longer keys and values than this are not tried, whatever is allowed.
const BYTES_MAX: u32 = 64 << 20;

#[track_caller]
fn assert_refused(outcome: &Outcome) {
    assert!(
        matches!(outcome, Err(Fault::Refused(_))),
        "not refused, but {outcome:?}"
    );
}

/// So many octets, not all alike.
fn octets(len: u32) -> Bytes {
    let some: Vec<u8> = (0..251).collect();
    let mut octets = some.repeat(len as usize / some.len() + 1);
    octets.truncate(len as usize);
    octets.into()
}

pub(super) fn a_key_and_a_value_as_long_as_allowed_are_kept(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    let key = octets(subject.capabilities().key_bytes_max.min(BYTES_MAX));
    let value = octets(subject.capabilities().value_bytes_max.min(BYTES_MAX));
    subject.written(put(&key, "of a long key"));
    assert_eq!(subject.value(&key), Some("of a long key".into()));
    subject.done(delete(&key));
    let key = subject.key();
    subject.written(put(&key, value.clone()));
    // Not assert_eq, which would print them.
    assert!(subject.value(&key) == Some(value), "a large value changed");
    Verdict::Held
}

pub(super) fn what_is_too_long_is_refused_and_not_written(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    let (key_max, value_max) = {
        let capabilities = subject.capabilities();
        (capabilities.key_bytes_max, capabilities.value_bytes_max)
    };
    if key_max >= BYTES_MAX && value_max >= BYTES_MAX {
        return Verdict::Skipped("longer keys and values are allowed than fit a test");
    }
    if key_max < BYTES_MAX {
        let key = octets(key_max + 1);
        for operation in [
            put(&key, "never"),
            get(&key),
            delete(&key),
            touch(&key, None),
        ] {
            assert_refused(&subject.run(operation));
        }
    }
    if value_max < BYTES_MAX {
        let key = subject.key();
        assert_refused(&subject.run(put(&key, octets(value_max + 1))));
        assert_eq!(subject.got(&key), None);
        let kept = subject.written(put(&key, "kept"));
        assert_refused(&subject.run(put(&key, octets(value_max + 1))));
        let entry = subject.got(&key).expect("the value before is there");
        assert_eq!((entry.revision, &entry.value[..]), (kept, &b"kept"[..]));
    }
    let entries = subject.scan(&Bytes::new(), None, 10);
    assert_eq!(entries.len(), usize::from(value_max < BYTES_MAX));
    Verdict::Held
}

pub(super) fn a_durability_beyond_the_promise_is_refused_and_not_written(
    harness: &mut dyn Harness,
) -> Verdict {
    let mut subject = Subject::open(harness);
    let keys = subject.keys(3);
    let kept = subject.written(put(&keys[0], "kept"));
    let capabilities = *subject.capabilities();
    let machines = [1, 2, u8::MAX].map(Durability::Replicated);
    let mut beyond = vec![Durability::Os, Durability::Synced];
    beyond.extend(machines);
    beyond.retain(|durability| !capabilities.promises(*durability));
    if beyond.is_empty() {
        return Verdict::Skipped("the store promises everything that can be asked for");
    }
    for durability in beyond {
        let asked = |operation| Request {
            durability,
            ..request(operation)
        };
        let batch = [
            asked(put(&keys[0], "never")),
            asked(delete(&keys[0])),
            asked(touch(&keys[0], None)),
            asked(put(&keys[1], "never")),
        ];
        for outcome in subject.run_batch(&batch) {
            assert_refused(&outcome);
        }
        let reads = subject.run_batch(&[asked(get(&keys[0])), asked(get(&keys[1]))]);
        assert!(
            reads.iter().all(Result::is_ok),
            "a read needs no durability: {reads:?}"
        );
    }
    assert_eq!(
        subject.got(&keys[0]).map(|entry| entry.revision),
        Some(kept)
    );
    assert_eq!(subject.got(&keys[1]), None);
    Verdict::Held
}

pub(super) fn a_time_to_live_of_zero_is_refused_and_changes_nothing(
    harness: &mut dyn Harness,
) -> Verdict {
    let mut subject = Subject::open(harness);
    let keys = subject.keys(2);
    subject.written(put(&keys[0], "kept"));
    let before = subject.got(&keys[0]);
    assert_refused(&subject.run(put_for(&keys[0], "never", 0)));
    assert_refused(&subject.run(put_for(&keys[1], "never", 0)));
    assert_refused(&subject.run(touch(&keys[0], Some(0))));
    assert_eq!(subject.got(&keys[0]), before);
    assert_eq!(subject.got(&keys[1]), None);
    Verdict::Held
}

pub(super) fn a_page_of_no_entries_is_refused(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    assert_refused(&subject.run(Operation::Scan {
        from: Bytes::new(),
        until: None,
        limit: 0,
        keys_only: false,
    }));
    Verdict::Held
}
