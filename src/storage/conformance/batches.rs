//! Batches: their order, their outcomes, and random ones beside a sorted map.

use bytes::Bytes;

use super::model::Model;
use super::random::Random;
use super::subject::{Subject, delete, get, outcomes_of, put, put_for, put_if, request, touch};
use super::{Harness, Verdict};
use crate::storage::{Condition, Durability, Operation, Outcome, Reply, Request};
use crate::time::Span;

pub(super) fn an_operation_sees_what_those_before_it_in_the_batch_did(
    harness: &mut dyn Harness,
) -> Verdict {
    let mut subject = Subject::open(harness);
    let key = subject.key();
    let mut batch = vec![get(&key), delete(&key)];
    for round in 0..20 {
        batch.push(put(&key, format!("{round}")));
        batch.push(get(&key));
        batch.push(put_if(&key, "never", Condition::Absent));
    }
    batch.extend([touch(&key, None), delete(&key), get(&key)]);
    batch.extend([touch(&key, None), put_if(&key, "new", Condition::Absent)]);
    let outcomes = subject.run_all(batch);
    let mut replies = outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or_else(|fault| panic!("in a batch: {fault}")));
    let mut next = || replies.next().expect("each operation has a reply");

    assert_eq!(next(), Reply::Got(None));
    assert_eq!(next(), Reply::Deleted(false));
    for round in 0..20 {
        let Reply::Written(written) = next() else {
            panic!("round {round} did not write");
        };
        assert_eq!(written.replaced, round > 0);
        let Reply::Got(Some(entry)) = next() else {
            panic!("round {round} does not see its value");
        };
        assert_eq!(entry.value, format!("{round}"));
        assert_eq!(entry.revision, written.revision);
        assert_eq!(next(), Reply::Conflict(Some(written.revision)));
    }
    assert!(matches!(next(), Reply::Written(_)), "the touch");
    assert_eq!(next(), Reply::Deleted(true));
    assert_eq!(next(), Reply::Got(None));
    assert_eq!(next(), Reply::Conflict(None), "a touch of nothing");
    assert!(matches!(next(), Reply::Written(written) if !written.replaced));
    Verdict::Held
}

pub(super) fn a_conflict_or_a_refusal_leaves_the_rest_of_the_batch_alone(
    harness: &mut dyn Harness,
) -> Verdict {
    let mut subject = Subject::open(harness);
    let keys = subject.keys(4);
    let mut too_durable = request(put(&keys[3], "never"));
    too_durable.durability = Durability::Replicated(u8::MAX);
    let is_refused = !subject.capabilities().promises(too_durable.durability);
    let batch = [
        request(put(&keys[0], "first")),
        request(put_if(&keys[1], "never", Condition::Present)),
        request(put_for(&keys[2], "never", 0)),
        too_durable,
        request(put(&keys[1], "second")),
        request(put_if(&keys[0], "never", Condition::Absent)),
        request(put(&keys[2], "third")),
    ];
    let outcomes = subject.run_batch(&batch);
    let wrote = |outcome: &Outcome| matches!(outcome, Ok(Reply::Written(_)));
    let all: Vec<bool> = outcomes.iter().map(wrote).collect();
    let expected = [true, false, false, !is_refused, true, false, true];
    assert_eq!(all, expected, "which wrote, of {outcomes:?}");
    for (key, value) in keys.iter().zip(["first", "second", "third"]) {
        assert_eq!(subject.value(key), Some(value.into()));
    }
    Verdict::Held
}

pub(super) fn every_operation_has_exactly_one_outcome(harness: &mut dyn Harness) -> Verdict {
    // That none is missing, `outcomes_of` checks; that none comes twice, `Outcomes::set`.
    let mut subject = Subject::open(harness);
    assert_eq!(subject.run_all(Vec::new()), []);
    let lane = subject.lane(b"key-0");
    let none = outcomes_of(0, |outcomes| subject.writer(lane).run(&[], outcomes));
    assert_eq!(none, []);
    let keys = subject.keys(3);
    for len in [1, 2, 3, 7, 64, 257, 1_000] {
        let batch: Vec<Request> = (0..len)
            .map(|index| {
                let key = &keys[index % keys.len()];
                request(match index % 9 {
                    0 | 4 => put(key, "value"),
                    1 => get(key),
                    2 => touch(key, Some(60_000)),
                    3 => delete(key),
                    5 => put_for(key, "refused", 0),
                    6 => put_if(key, "conflict", Condition::Absent),
                    7 => delete(key),
                    _ => touch(key, None),
                })
            })
            .collect();
        let outcomes = subject.run_batch(&batch);
        assert_eq!(outcomes.len(), len);
        for (index, outcome) in outcomes.iter().enumerate() {
            let is_refused = index % 9 == 5;
            assert_eq!(outcome.is_err(), is_refused, "{:?}", batch[index]);
        }
    }
    Verdict::Held
}

pub(super) fn random_batches_do_what_a_sorted_map_does(harness: &mut dyn Harness) -> Verdict {
    for seed in 0..6 {
        random_batches(&mut Subject::open(harness), seed);
    }
    Verdict::Held
}

pub(super) fn random_batches_in_place_do_what_a_sorted_map_does(
    harness: &mut dyn Harness,
) -> Verdict {
    for seed in 100..106 {
        let mut subject = Subject::open(harness);
        if !subject.run_in_place() {
            return Verdict::Skipped("the store does not run in place");
        }
        random_batches(&mut subject, seed);
    }
    Verdict::Held
}

/// Sixty batches, each with everything compared: replies, what readers see, and every page.
fn random_batches(subject: &mut Subject<'_>, seed: u64) {
    let mut random = Random::new(seed);
    let mut model = Model::default();
    let keys = some_keys(&mut random);
    let capabilities = *subject.capabilities();
    for round in 0..60 {
        if subject.has_manual_time() {
            subject.pass(random.next() % 15);
        }
        let operations: Vec<Operation> = (0..1 + random.below(24))
            .map(|_| any_operation(&mut random, subject, &model, &keys))
            .collect();
        let start = subject.unix_millis();
        let outcomes = by_lanes(subject, &operations);
        let moment = subject.moment_since(start);
        for (operation, outcome) in operations.iter().zip(&outcomes) {
            let checked = model.check(operation, outcome, &moment, capabilities.is_ordered);
            checked.unwrap_or_else(|why| {
                panic!("seed {seed}, round {round}, {operation:?} of {operations:?}: {why}")
            });
        }
        for key in &keys {
            let outcome = Ok(subject.read(get(key)));
            let moment = subject.moment_since(subject.unix_millis());
            let checked = model.check(&get(key), &outcome, &moment, true);
            checked.unwrap_or_else(|why| panic!("seed {seed}, round {round}, {key:?}: {why}"));
        }
        if round % 4 == 0 {
            let limit = 1 + (random.next() % 9) as u32;
            let entries = subject.scan(&Bytes::new(), None, limit);
            let checked = model.check_all(&entries, subject.unix_millis());
            checked.unwrap_or_else(|why| panic!("seed {seed}, round {round}: {why}"));
        }
    }
}

/// Runs `operations` as one batch, or, when their keys are of several lanes, as several in order.
fn by_lanes(subject: &mut Subject<'_>, operations: &[Operation]) -> Vec<Outcome> {
    let lane_of = |operation: &Operation| subject.lane(operation.key());
    let lanes: Vec<u16> = operations.iter().map(lane_of).collect();
    let has_one = subject.capabilities().lanes == 1;
    let mut outcomes = Vec::new();
    while let Some(operation) = operations.get(outcomes.len()) {
        let start = outcomes.len();
        if matches!(operation, Operation::Scan { .. }) && !has_one {
            outcomes.push(Ok(subject.read(operation.clone())));
            continue;
        }
        let more = operations[start..].iter().zip(&lanes[start..]);
        let batch: Vec<Operation> = more
            .take_while(|(operation, lane)| {
                **lane == lanes[start] && (has_one || !matches!(operation, Operation::Scan { .. }))
            })
            .map(|(operation, _)| operation.clone())
            .collect();
        outcomes.extend(subject.run_all(batch));
    }
    outcomes
}

/// A dozen keys, among them the empty one, and some that begin with others.
fn some_keys(random: &mut Random) -> Vec<Bytes> {
    let named: [&[u8]; 7] = [b"", b"a", b"a\0", b"ab", b"b", b"\r\n", b"\xff\xff"];
    let mut keys: Vec<Bytes> = named.into_iter().map(Bytes::from_static).collect();
    keys.extend((0..5).map(|_| {
        let len = 1 + random.below(30);
        random.bytes(len)
    }));
    keys
}

fn any_operation(
    random: &mut Random,
    subject: &Subject<'_>,
    model: &Model,
    keys: &[Bytes],
) -> Operation {
    let key = random.one_of(keys).clone();
    let condition = match random.below(8) {
        0 => Condition::Absent,
        1 => Condition::Present,
        2 | 3 => match model.revision(&key) {
            Some(revision) => Condition::Revision(revision),
            None => Condition::Any,
        },
        _ => Condition::Any,
    };
    let ttl = match random.below(5) {
        0 | 1 if subject.has_manual_time() => Some(Span::from_millis(1 + random.next() % 40)),
        0 => Some(Span::from_millis(3_600_000 + random.next() % 1_000)),
        _ => None,
    };
    match random.below(16) {
        0..=3 => Operation::Get { key },
        4..=9 => {
            let len = random.below(40);
            let value = random.bytes(len);
            Operation::Put {
                key,
                value,
                ttl,
                condition,
            }
        }
        10 | 11 => Operation::Delete { key, condition },
        12 | 13 => Operation::Touch { key, ttl },
        _ => Operation::Scan {
            from: key,
            until: (random.below(3) > 0).then(|| random.one_of(keys).clone()),
            limit: 1 + (random.next() % 20) as u32,
            keys_only: random.below(2) == 0,
        },
    }
}
