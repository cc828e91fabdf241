//! Scans: pages, their ends, and writers between them.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use super::subject::{Subject, delete, put, touch};
use super::{Harness, Verdict};
use crate::storage::{Entry, Operation};

fn keys_of(entries: &[Entry]) -> Vec<Bytes> {
    entries.iter().map(|entry| entry.key.clone()).collect()
}

fn sorted(mut keys: Vec<Bytes>) -> Vec<Bytes> {
    keys.sort();
    keys
}

pub(super) fn pages_hold_no_more_than_asked_and_together_everything(
    harness: &mut dyn Harness,
) -> Verdict {
    let mut subject = Subject::open(harness);
    let start = Bytes::new();
    assert_eq!(subject.scan(&start, None, 10), []);
    let keys: Vec<Bytes> = (0..53).map(|number| format!("{number}").into()).collect();
    for key in &keys {
        subject.written(put(key, [b"value of ", &key[..]].concat()));
    }
    let keys = sorted(keys);
    for limit in [1, 2, 10, 52, 53, 54, 1_000, u32::MAX] {
        let entries = subject.scan(&start, None, limit); // checks the limit of each page
        assert_eq!(sorted(keys_of(&entries)), keys, "in pages of {limit}");
        for entry in entries {
            assert_eq!(Some(&entry), subject.got(&entry.key).as_ref());
        }
    }
    Verdict::Held
}

pub(super) fn a_page_of_keys_has_everything_but_the_values(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    for key in subject.keys(5) {
        subject.written(put(&key, "value"));
        subject.written(touch(&key, Some(3_600_000)));
    }
    let mut seen = 0;
    let mut next = Some(Bytes::new());
    while let Some(from) = next {
        let page = subject.page(Operation::Scan {
            from,
            until: None,
            limit: 2,
            keys_only: true,
        });
        for entry in page.entries {
            let whole = subject.got(&entry.key).expect("a scanned key is there");
            let without = Entry {
                value: Bytes::new(),
                ..whole
            };
            assert_eq!(entry, without);
            seen += 1;
        }
        next = page.next;
    }
    assert_eq!(seen, 5);
    Verdict::Held
}

pub(super) fn a_scan_begins_at_its_first_key_and_ends_before_its_last(
    harness: &mut dyn Harness,
) -> Verdict {
    let mut subject = Subject::open(harness);
    let names = ["", "a", "a\0", "ab", "b", "ba", "c", "\u{7f}"];
    let keys: Vec<Bytes> = names.into_iter().map(Bytes::from).collect();
    for key in &keys {
        subject.written(put(key, "value"));
    }
    let mut bounds = keys.clone();
    bounds.extend(["aa", "zz", "\0"].map(Bytes::from));
    for from in &bounds {
        let ends = bounds.iter().map(Some).chain([None]);
        for until in ends {
            let is_meant = |key: &&Bytes| *key >= from && until.is_none_or(|until| *key < until);
            let meant: Vec<Bytes> = keys.iter().filter(is_meant).cloned().collect();
            for limit in [1, 3, 100] {
                let entries = subject.scan(from, until, limit);
                let got = sorted(keys_of(&entries));
                assert_eq!(got, sorted(meant.clone()), "from {from:?} to {until:?}");
            }
        }
    }
    Verdict::Held
}

pub(super) fn what_is_there_all_the_time_is_seen_exactly_once_while_others_write(
    harness: &mut dyn Harness,
) -> Verdict {
    for limit in [1, 7, 64] {
        let mut subject = Subject::open(harness);
        let staying: BTreeSet<Bytes> = (0..90)
            .map(|number| format!("{:02}-stays", number % 97).into())
            .collect();
        for key in &staying {
            subject.written(put(key, "value"));
        }
        let mut seen: HashMap<Bytes, u32> = HashMap::new();
        let mut order = Vec::new();
        let mut next = Some(Bytes::new());
        let mut pages = 0;
        while let Some(from) = next {
            let page = subject.page(Operation::Scan {
                from,
                until: None,
                limit,
                keys_only: false,
            });
            for entry in &page.entries {
                *seen.entry(entry.key.clone()).or_default() += 1;
                order.push(entry.key.clone());
            }
            next = page.next;
            write_between(&mut subject, &staying, pages);
            pages += 1;
            assert!(pages < 100_000, "the pages do not end");
        }
        for key in &staying {
            let times = seen.get(key).copied().unwrap_or_default();
            assert_eq!(times, 1, "{key:?} in {pages} pages of {limit}");
        }
        let is_known = |key: &Bytes| staying.contains(key) || key.ends_with(b"-passes");
        assert!(seen.keys().all(is_known), "a key that was never written");
        if subject.capabilities().is_ordered {
            assert!(order.is_sorted(), "pages are out of order");
        }
    }
    Verdict::Held
}

/// What others do after the page number `page`: new keys before and behind, enough to make any table
/// grow; old ones go; and those that stay are overwritten and touched.
fn write_between(subject: &mut Subject<'_>, staying: &BTreeSet<Bytes>, page: usize) {
    if page > 40 {
        return; // else a scan in order might meet new keys for ever
    }
    let name = |number: usize| -> Bytes { format!("{:02}-{number}-passes", number % 97).into() };
    let count = if page == 1 { 1_500 } else { 20 };
    let first = page * 20 + if page > 1 { 1_500 } else { 0 };
    let mut operations: Vec<Operation> = (first..first + count)
        .map(|number| put(&name(number), "passing"))
        .collect();
    let gone = first.saturating_sub(30);
    operations.extend((gone..gone + 25).map(|number| delete(&name(number))));
    for (index, key) in staying.iter().enumerate() {
        match (index + page) % 5 {
            0 => operations.push(put(key, format!("written after page {page}"))),
            1 => operations.push(touch(key, Some(3_600_000))),
            _ => {}
        }
    }
    let mut by_lane: HashMap<u16, Vec<Operation>> = HashMap::new();
    for operation in operations {
        let lane = subject.lane(operation.key());
        by_lane.entry(lane).or_default().push(operation);
    }
    for (_, batch) in by_lane {
        for outcome in subject.run_all(batch) {
            outcome.unwrap_or_else(|fault| panic!("a write between pages: {fault}"));
        }
    }
}

pub(super) fn entries_come_in_the_order_of_their_keys(harness: &mut dyn Harness) -> Verdict {
    let mut subject = Subject::open(harness);
    if !subject.capabilities().is_ordered {
        return Verdict::Skipped("the store has no order");
    }
    // In an order that is neither that of the octets nor that of the numbers.
    let keys: Vec<Bytes> = (0..300_u32)
        .map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes().to_vec())
        .map(Bytes::from)
        .collect();
    for key in &keys {
        subject.written(put(key, "value"));
    }
    for limit in [1, 9, 1_000] {
        let entries = subject.scan(&Bytes::new(), None, limit);
        assert_eq!(keys_of(&entries), sorted(keys.clone()));
    }
    Verdict::Held
}
