//! What each operation does, alone.

use std::collections::HashSet;

use bytes::Bytes;

use super::subject::{Subject, delete, delete_if, get, put, put_if, touch};
use super::{Harness, Verdict};
use crate::storage::{Condition, Reply, Revision};

pub(super) fn a_value_is_read_as_it_was_written(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    let keys = subject.keys(2);
    assert_eq!(subject.got(&keys[0]), None);
    let revision = subject.written(put(&keys[0], "one"));
    let entry = subject.got(&keys[0]).expect("what was written is there");
    assert_eq!((&entry.key, &entry.value[..]), (&keys[0], &b"one"[..]));
    assert_eq!((entry.revision, entry.expires), (revision, None));
    assert_eq!(subject.got(&keys[1]), None, "another key has no value");

    subject.written(put(&keys[0], "a longer one"));
    assert_eq!(subject.value(&keys[0]), Some("a longer one".into()));
    subject.written(put(&keys[0], "1"));
    assert_eq!(subject.value(&keys[0]), Some("1".into()));
    assert_eq!(subject.done(delete(&keys[0])), Reply::Deleted(true));
    assert_eq!(subject.got(&keys[0]), None);
    assert_eq!(subject.done(delete(&keys[0])), Reply::Deleted(false));
    Verdict::Held
}

pub(super) fn an_empty_key_and_an_empty_value_are_a_key_and_a_value(
    harness: &mut dyn Harness,
) -> Verdict {
    let mut subject = Subject::open(harness);
    let (empty, key) = (Bytes::new(), subject.key());
    assert_eq!(subject.got(&empty), None);
    subject.written(put(&empty, "of the empty key"));
    subject.written(put(&key, ""));
    assert_eq!(subject.value(&empty), Some("of the empty key".into()));
    assert_eq!(subject.value(&key), Some(Bytes::new()));
    assert_eq!(subject.scan(&empty, None, 10).len(), 2);
    assert_eq!(subject.done(delete(&empty)), Reply::Deleted(true));
    assert_eq!(subject.done(delete(&key)), Reply::Deleted(true));
    assert_eq!(subject.scan(&empty, None, 10), []);
    Verdict::Held
}

pub(super) fn every_octet_may_stand_in_a_key_and_a_value(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    let all: Bytes = (0..=u8::MAX).collect();
    let mut keys: Vec<Bytes> = (0..=u8::MAX).map(|octet| vec![octet].into()).collect();
    // Beside their neighbours: none is the end of a key, and none is left out of it.
    for octet in [0, b'\n', b'\r', b' ', b'*', b'{', 0x7f, 0xff] {
        keys.push(vec![octet, octet].into());
        keys.push(vec![b'a', octet].into());
        keys.push(vec![b'a', octet, b'b'].into());
    }
    for key in &keys {
        subject.written(put(key, [&key[..], &all].concat()));
    }
    for key in &keys {
        let expected = Bytes::from([&key[..], &all].concat());
        assert_eq!(subject.value(key), Some(expected), "of the key {key:?}");
    }
    let scanned = subject.scan(&Bytes::new(), None, 100);
    let scanned: HashSet<Bytes> = scanned.into_iter().map(|entry| entry.key).collect();
    assert_eq!(scanned, keys.into_iter().collect());
    Verdict::Held
}

pub(super) fn a_write_tells_whether_it_replaced_a_value(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    let key = subject.key();
    let mut replaced = |operation| match subject.done(operation) {
        Reply::Written(written) => written.replaced,
        other => panic!("a write was answered {other:?}"),
    };
    assert!(!replaced(put(&key, "new")));
    assert!(replaced(put(&key, "over it")));
    assert!(replaced(touch(&key, None)));
    assert!(replaced(put_if(&key, "again", Condition::Present)));
    subject.done(delete(&key));
    match subject.done(put_if(&key, "new", Condition::Absent)) {
        Reply::Written(written) => assert!(!written.replaced),
        other => panic!("a write was answered {other:?}"),
    }
    Verdict::Held
}

pub(super) fn a_condition_that_does_not_hold_changes_nothing_and_tells_the_revision(
    harness: &mut dyn Harness,
) -> Verdict {
    let mut subject = Subject::open(harness);
    let key = subject.key();
    let other = Condition::Revision(Revision::MIN);
    for condition in [Condition::Present, other] {
        let refused = subject.done(put_if(&key, "never", condition));
        assert_eq!(refused, Reply::Conflict(None), "put if {condition:?}");
        let refused = subject.done(delete_if(&key, condition));
        assert_eq!(refused, Reply::Conflict(None), "delete if {condition:?}");
    }
    assert_eq!(subject.done(touch(&key, None)), Reply::Conflict(None));
    assert_eq!(subject.got(&key), None);

    let old = subject.written(put(&key, "old"));
    let revision = subject.written(put(&key, "present"));
    let present = subject.got(&key);
    for condition in [Condition::Absent, Condition::Revision(old)] {
        let conflict = Reply::Conflict(Some(revision));
        let refused = subject.done(put_if(&key, "never", condition));
        assert_eq!(refused, conflict, "put if {condition:?}");
        let refused = subject.done(delete_if(&key, condition));
        assert_eq!(refused, conflict, "delete if {condition:?}");
    }
    assert_eq!(subject.got(&key), present);
    Verdict::Held
}

pub(super) fn a_condition_that_holds_lets_the_write_happen(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    let key = subject.key();
    let mut revision = subject.written(put_if(&key, "absent", Condition::Absent));
    assert_eq!(subject.value(&key), Some("absent".into()));
    for condition in [Condition::Any, Condition::Present] {
        revision = subject.written(put_if(&key, "present", condition));
        assert_eq!(subject.value(&key), Some("present".into()));
    }
    for round in 0..5 {
        let swap = put_if(&key, format!("{round}"), Condition::Revision(revision));
        revision = subject.written(swap);
        assert_eq!(subject.value(&key), Some(format!("{round}").into()));
    }
    let deleted = subject.done(delete_if(&key, Condition::Revision(revision)));
    assert_eq!(deleted, Reply::Deleted(true));
    let deleted = subject.done(delete_if(&key, Condition::Absent));
    assert_eq!(deleted, Reply::Deleted(false));
    subject.written(put(&key, "again"));
    let deleted = subject.done(delete_if(&key, Condition::Present));
    assert_eq!(deleted, Reply::Deleted(true));
    assert_eq!(subject.got(&key), None);
    Verdict::Held
}

pub(super) fn a_revision_is_never_given_twice_to_a_key(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    let mut seen = HashSet::new();
    let keys = subject.keys(2);
    for round in 0..40 {
        // Also for the same value, and over a deletion, after which nothing is left of the key.
        let revision = subject.written(put(&keys[0], "the same"));
        assert!(seen.insert(revision), "{revision} again in round {round}");
        match round % 4 {
            0 => drop(subject.done(delete(&keys[0]))),
            1 => drop(subject.written(put(&keys[1], "another key"))),
            2 => {
                let touched = subject.written(touch(&keys[0], Some(100_000)));
                assert!(seen.insert(touched), "{touched} again by a touch");
            }
            _ => {}
        }
    }
    Verdict::Held
}

pub(super) fn a_touch_changes_the_revision_and_keeps_the_value(
    harness: &mut dyn Harness,
) -> Verdict {
    let mut subject = Subject::open(harness);
    let key = subject.key();
    let before = subject.written(put(&key, "kept"));
    let after = subject.written(touch(&key, Some(3_600_000)));
    assert_ne!(before, after);
    let entry = subject.got(&key).expect("a touched value is there");
    assert_eq!((&entry.value[..], entry.revision), (&b"kept"[..], after));
    assert!(entry.expires.is_some());
    let stale = subject.done(put_if(&key, "never", Condition::Revision(before)));
    assert_eq!(stale, Reply::Conflict(Some(after)));
    assert!(matches!(subject.done(get(&key)), Reply::Got(Some(_))));
    Verdict::Held
}
