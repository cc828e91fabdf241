//! The memory store: what it keeps, what it weighs, and when it lets go.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use trine::storage::memory::{Memory, Options, WhenFull};
use trine::storage::{
    Clock, Condition, Entry, Fault, InPlace, Operation, Outcome, Outcomes, Reply, Request, Store,
};
use trine::time::{Span, Tick};

/// A clock that a test moves; not that of the suite, so that these tests need no feature.
#[derive(Debug, Default)]
struct StoppedClock {
    now: AtomicU64,
    unix: AtomicU64,
}

impl StoppedClock {
    fn pass(&self, millis: u64) {
        self.now.fetch_add(millis, Ordering::SeqCst);
        self.unix.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> Tick {
        Tick(self.now.load(Ordering::SeqCst))
    }

    fn unix_millis(&self) -> u64 {
        self.unix.load(Ordering::SeqCst)
    }
}

fn at_a_stopped_clock(options: Options) -> (Memory, Arc<StoppedClock>) {
    let clock = Arc::new(StoppedClock::default());
    clock.pass(1_000_000);
    (Memory::with_clock(options, clock.clone()), clock)
}

fn run(memory: &Memory, operation: Operation) -> Outcome {
    let request = Request {
        durability: trine::storage::Durability::Memory,
        ..Request::new(operation)
    };
    let mut outcome = [None];
    InPlace::run(memory, &[request], &mut Outcomes::new(&mut outcome));
    let [outcome] = outcome;
    outcome.unwrap()
}

fn put(
    memory: &Memory,
    key: impl Into<Bytes>,
    value: impl Into<Bytes>,
    ttl: Option<u64>,
) -> Outcome {
    let operation = Operation::Put {
        key: key.into(),
        value: value.into(),
        ttl: ttl.map(Span::from_millis),
        condition: Condition::Any,
    };
    run(memory, operation)
}

fn get(memory: &Memory, key: impl Into<Bytes>) -> Option<Entry> {
    match run(memory, Operation::Get { key: key.into() }) {
        Ok(Reply::Got(entry)) => entry,
        other => panic!("{other:?}"),
    }
}

/// The keys, in the order of a scan.
fn keys(memory: &Memory) -> Vec<Bytes> {
    let (mut keys, mut next) = (Vec::new(), Some(Bytes::new()));
    while let Some(from) = next {
        let scan = Operation::Scan {
            from,
            until: None,
            limit: 1_000,
            keys_only: true,
        };
        match run(memory, scan) {
            Ok(Reply::Page(page)) => {
                keys.extend(page.entries.into_iter().map(|entry| entry.key));
                next = page.next;
            }
            other => panic!("{other:?}"),
        }
    }
    keys
}

/// Numbers below `count`, the first ones much more often than the last: the n-th 1/n as often.
struct Zipf {
    sums: Vec<f64>,
    random: fastrand::Rng,
}

impl Zipf {
    fn new(count: usize) -> Zipf {
        let weights = (1..=count).map(|rank| 1.0 / rank as f64);
        let sums = weights.scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Zipf {
            sums: sums.collect(),
            random: fastrand::Rng::with_seed(7),
        }
    }

    fn next(&mut self) -> usize {
        let at = self.random.f64() * self.sums.last().unwrap();
        self.sums.partition_point(|sum| *sum < at)
    }
}

const OF_ONE_SHARD: Options = Options {
    bytes_max: 1 << 20,
    when_full: WhenFull::Evict,
    shards: 1,
    jitter_percent: 0,
};

#[test]
fn eviction_keeps_what_is_read_better_than_a_fifo_does() {
    let memory = Memory::new(OF_ONE_SHARD);
    let mut zipf = Zipf::new(50_000);
    let trace: Vec<usize> = (0..400_000).map(|_| zipf.next()).collect();
    let mut hits = 0;
    for number in &trace {
        match get(&memory, format!("{number}")) {
            Some(_) => hits += 1,
            None => drop(put(&memory, format!("{number}"), vec![7; 100], None).unwrap()),
        }
    }
    // A FIFO of as many entries as fitted.
    let room = memory.counters().entries;
    let (mut queue, mut there, mut fifo_hits) = (VecDeque::new(), HashSet::new(), 0);
    for number in &trace {
        if there.contains(number) {
            fifo_hits += 1;
            continue;
        }
        if queue.len() == room {
            there.remove(&queue.pop_front().unwrap());
        }
        queue.push_back(*number);
        there.insert(*number);
    }
    let percent = |hits: usize| hits as f64 * 100.0 / trace.len() as f64;
    println!(
        "{room} of 50,000 keys fit: {:.1} % hits, a FIFO {:.1} %",
        percent(hits),
        percent(fifo_hits)
    );
    assert!((2_000..8_000).contains(&room), "{room} entries in 1 MiB");
    assert!(percent(hits) > percent(fifo_hits) + 4.0);
}

#[test]
fn a_flood_of_keys_that_are_never_read_does_not_push_out_those_that_are() {
    let memory = Memory::new(OF_ONE_SHARD);
    for round in 0..30 {
        for number in 0..500 {
            let name = format!("read-{number}");
            if get(&memory, name.clone()).is_none() {
                put(&memory, name, vec![1; 100], None).unwrap();
            }
        }
        for number in 0..2_000 {
            put(
                &memory,
                format!("once-{round}-{number}"),
                vec![2; 100],
                None,
            )
            .unwrap();
        }
    }
    let kept = (0..500).filter(|number| get(&memory, format!("read-{number}")).is_some());
    assert!(kept.count() > 480);
    assert!(memory.counters().evictions > 50_000);
}

/// Writes `count` keys that nobody knows.
fn flood(memory: &Memory, name: &str, count: usize) {
    for number in 0..count {
        put(memory, format!("{name}-{number}"), vec![0; 100], None).unwrap();
    }
}

#[test]
fn a_key_that_is_read_twice_while_it_is_new_stays_and_others_go() {
    let memory = Memory::new(OF_ONE_SHARD);
    flood(&memory, "before", 5_000);
    for (key, reads) in [("never", 0), ("once", 1), ("twice", 2)] {
        put(&memory, key, vec![0; 100], None).unwrap();
        (0..reads).for_each(|_| drop(get(&memory, key)));
    }
    flood(&memory, "after", 6_000);
    let is_there = |key| get(&memory, key).is_some();
    let there = ["never", "once", "twice"].map(is_there);
    assert_eq!(there, [false, false, true]);
}

#[test]
fn a_key_that_comes_back_soon_stays_longer_than_a_new_one() {
    // Of many keys, as a few are forgotten: a place of the ghost is one hash's.
    const KEYS: usize = 100;
    let memory = Memory::new(OF_ONE_SHARD);
    let left = |name| {
        let names = (0..KEYS).map(|number| format!("{name}-{number}"));
        names
            .filter(|name| get(&memory, name.clone()).is_some())
            .count()
    };
    flood(&memory, "before", 5_000);
    flood(&memory, "back", KEYS);
    flood(&memory, "between", 5_000);
    assert_eq!(left("back"), 0);
    flood(&memory, "back", KEYS);
    flood(&memory, "new", KEYS);
    flood(&memory, "after", 6_000);
    let (back, new) = (left("back"), left("new"));
    assert!(
        back > KEYS / 2 && new < KEYS / 10,
        "{back} that came back, {new} new ones"
    );
}

#[test]
fn of_the_keys_that_stayed_those_go_that_are_not_read_any_more() {
    let memory = Memory::new(OF_ONE_SHARD);
    let write_and_read = |range: std::ops::Range<usize>| {
        for number in range {
            put(&memory, format!("{number}"), vec![0; 100], None).unwrap();
            (0..2).for_each(|_| drop(get(&memory, format!("{number}"))));
        }
    };
    write_and_read(0..9_000);
    let names: Vec<Bytes> = keys(&memory);
    for name in names.iter().step_by(2) {
        drop(get(&memory, name.clone()));
    }
    write_and_read(9_000..12_000);
    let left: HashSet<Bytes> = keys(&memory).into_iter().collect();
    let count = |from| {
        names
            .iter()
            .skip(from)
            .step_by(2)
            .filter(|name| left.contains(*name))
    };
    let (read, not_read) = (count(0).count(), count(1).count());
    assert!(
        read > 2 * not_read,
        "{read} that were read, {not_read} others"
    );
}

#[test]
fn ends_that_are_given_at_the_limit_do_not_make_it_larger_than_allowed() {
    for when_full in [WhenFull::Evict, WhenFull::Refuse] {
        let (memory, clock) = at_a_stopped_clock(Options {
            when_full,
            ..OF_ONE_SHARD
        });
        let mut written = 0;
        while written < 6_000 && put(&memory, format!("{written}"), vec![0; 100], None).is_ok() {
            written += 1;
        }
        for number in (0..written).rev() {
            let touch = Operation::Touch {
                key: format!("{number}").into(),
                ttl: Some(Span::from_millis(number as u64 + 1)),
            };
            let _ = run(&memory, touch); // it may be gone, or there may be no room for its end
            assert!(memory.counters().bytes <= OF_ONE_SHARD.bytes_max);
        }
        clock.pass(written as u64 / 2);
        memory.maintain(Span::from_millis(1_000));
        memory.check();
    }
}

#[test]
fn no_mix_of_operations_makes_it_larger_than_allowed() {
    for (seed, when_full) in [(31, WhenFull::Evict), (32, WhenFull::Refuse)] {
        for shards in [1, 3] {
            let (memory, clock) = at_a_stopped_clock(Options {
                bytes_max: 2 << 20,
                when_full,
                shards,
                jitter_percent: 10,
            });
            let mut random = fastrand::Rng::with_seed(seed);
            let mut refused = 0;
            for step in 0..30_000 {
                // Small values for a while, then large ones, and again.
                let len_max = if step % 10_000 < 5_000 { 300 } else { 60_000 };
                let key = format!("{}", random.usize(..20_000));
                let outcome = match random.u8(..10) {
                    0 => run(
                        &memory,
                        Operation::Delete {
                            key: key.into(),
                            condition: Condition::Any,
                        },
                    ),
                    1 => run(
                        &memory,
                        Operation::Touch {
                            key: key.into(),
                            ttl: Some(Span::from_millis(1 + random.u64(..500))),
                        },
                    ),
                    2 => Ok(Reply::Got(get(&memory, key))),
                    other => {
                        let ttl = (other < 6).then(|| 1 + random.u64(..500));
                        put(&memory, key, vec![0; random.usize(..len_max)], ttl)
                    }
                };
                refused += usize::from(outcome.is_err());
                clock.pass(random.u64(..2));
                if step % 97 == 0 {
                    memory.check();
                }
                let bytes = memory.counters().bytes;
                assert!(
                    bytes <= 2 << 20,
                    "{bytes} bytes after step {step}, {when_full:?} in {shards}"
                );
            }
            let counters = memory.counters();
            assert_eq!(refused as u64, counters.refusals);
            assert_eq!(refused > 0, when_full == WhenFull::Refuse);
            assert_eq!(counters.evictions > 0, when_full == WhenFull::Evict);
            assert!(counters.expirations > 0);
        }
    }
}

#[test]
fn room_that_small_values_took_can_be_had_by_large_ones() {
    let memory = Memory::new(OF_ONE_SHARD);
    for number in 0..100_000 {
        put(&memory, format!("{number}"), "", None).unwrap();
    }
    assert!(memory.counters().entries > 5_000);
    for number in 0..100 {
        put(&memory, format!("large-{number}"), vec![1; 100_000], None).unwrap();
    }
    let large = (0..100).filter(|number| get(&memory, format!("large-{number}")).is_some());
    let large = large.count();
    assert!(large >= 8, "{large} values of 100 kB are left in 1 MiB");
}

#[test]
fn a_store_that_does_not_evict_says_that_it_is_full_and_keeps_everything() {
    let memory = Memory::new(Options {
        when_full: WhenFull::Refuse,
        ..OF_ONE_SHARD
    });
    let mut written = 0;
    let fault = loop {
        match put(&memory, format!("{written}"), vec![1; 1_000], None) {
            Ok(_) => written += 1,
            Err(fault) => break fault,
        }
    };
    assert!(matches!(fault, Fault::Retry { .. }), "{fault:?}");
    assert!((700..1_000).contains(&written), "{written} kB in 1 MiB");
    for number in 0..written {
        assert!(get(&memory, format!("{number}")).is_some());
    }
    // A write that needs no room is done, and what is deleted makes room.
    put(&memory, "0", vec![2; 1_000], None).unwrap();
    let delete = Operation::Delete {
        key: "1".into(),
        condition: Condition::Any,
    };
    run(&memory, delete).unwrap();
    put(&memory, "new", vec![1; 1_000], None).unwrap();
    assert_eq!(memory.counters().evictions, 0);
}

#[test]
fn what_has_expired_makes_room_before_anything_is_evicted() {
    for when_full in [WhenFull::Evict, WhenFull::Refuse] {
        let (memory, clock) = at_a_stopped_clock(Options {
            when_full,
            ..OF_ONE_SHARD
        });
        for number in 0..400 {
            put(&memory, format!("stays-{number}"), vec![1; 1_000], None).unwrap();
            put(
                &memory,
                format!("goes-{number}"),
                vec![1; 1_000],
                Some(1_000),
            )
            .unwrap();
        }
        clock.pass(1_000);
        for number in 0..400 {
            put(&memory, format!("new-{number}"), vec![1; 1_000], None).unwrap();
        }
        assert_eq!(memory.counters().evictions, 0);
        assert_eq!(keys(&memory).len(), 800);
    }
}

#[test]
fn a_million_values_that_expire_together_are_removed_in_steps_of_bounded_length() {
    let (memory, clock) = at_a_stopped_clock(Options::default());
    const MANY: usize = 1_000_000;
    for number in 0..MANY {
        put(&memory, number.to_string(), "value", Some(60_000)).unwrap();
    }
    put(&memory, "stays", "value", None).unwrap();
    let full = memory.counters().bytes;
    clock.pass(60_000);
    assert_eq!(get(&memory, "1"), None, "absent before it is removed");
    let (mut steps, mut left) = (0, memory.counters().entries);
    while memory.maintain(Span::from_millis(1)) {
        let now = memory.counters().entries;
        assert!(
            left - now <= 4_096,
            "{} removed in a millisecond",
            left - now
        );
        (steps, left) = (steps + 1, now);
    }
    assert!((200..2_000).contains(&steps), "{steps} steps");
    let counters = memory.counters();
    assert_eq!((counters.entries, counters.expirations), (1, MANY as u64));
    assert!(counters.bytes < full / 50, "{} of {full}", counters.bytes);
    assert!(!memory.maintain(Span::ZERO), "there is nothing more to do");
}

#[test]
fn setting_the_time_of_day_expires_nothing() {
    let (memory, clock) = at_a_stopped_clock(Options::default());
    put(&memory, "key", "value", Some(10_000)).unwrap();
    let unix = clock.unix_millis();
    for day in [unix + 3_600_000, unix - 3_600_000 / 4] {
        clock.unix.store(day, Ordering::SeqCst);
        memory.maintain(Span::ZERO);
        let entry = get(&memory, "key").expect("no time has passed");
        assert_eq!(entry.expires, Some(day + 10_000));
    }
    clock.pass(10_000);
    assert_eq!(get(&memory, "key"), None);
}

#[test]
fn jitter_spreads_ends_and_makes_none_later() {
    let (memory, clock) = at_a_stopped_clock(Options {
        jitter_percent: 10,
        ..Options::default()
    });
    let mut ends = HashSet::new();
    for number in 0..1_000 {
        put(&memory, format!("{number}"), "value", Some(100_000)).unwrap();
        let end = get(&memory, format!("{number}")).unwrap().expires.unwrap();
        let after = end - clock.unix_millis();
        assert!((90_000..=100_000).contains(&after), "after {after} ms");
        ends.insert(after / 1_000);
    }
    assert!(ends.len() >= 10, "ends in the seconds {ends:?}");
    clock.pass(95_000);
    let left = keys(&memory).len();
    assert!((400..600).contains(&left), "{left} of 1,000 at half-time");
}

#[test]
fn each_store_hashes_keys_in_its_own_way() {
    // Who knew the hashes could choose keys that are all in one shard, and in one place of it.
    let order = || {
        let memory = Memory::new(Options::default());
        for number in 0..100 {
            put(&memory, format!("{number}"), "", None).unwrap();
        }
        keys(&memory)
    };
    let orders: HashSet<Vec<Bytes>> = (0..5).map(|_| order()).collect();
    assert_eq!(orders.len(), 5);
}

#[test]
fn the_buffer_a_value_was_cut_from_is_not_kept() {
    let memory = Memory::new(Options::default());
    let buffer = Bytes::from(vec![7; 1 << 20]);
    put(&memory, buffer.slice(..10), buffer.slice(10..20), None).unwrap();
    assert!(buffer.is_unique());
    assert!(memory.counters().bytes < 1 << 19);
}

#[test]
fn it_counts_hits_and_misses() {
    let memory = Memory::new(Options::default());
    put(&memory, "key", "value", None).unwrap();
    assert!(get(&memory, "key").is_some() && get(&memory, "other").is_none());
    assert!(get(&memory, "key").is_some());
    let counters = memory.counters();
    let all = (counters.entries, counters.hits, counters.misses);
    assert_eq!(all, (1, 2, 1));
}

#[test]
fn a_value_larger_than_its_shard_may_hold_is_refused() {
    let memory = Memory::new(Options {
        bytes_max: 0, // becomes 256 KiB
        ..Options::default()
    });
    let max = Store::capabilities(&memory).value_bytes_max as usize;
    assert_eq!(max, 128 << 10);
    let long = vec![b'k'; 65_535];
    put(&memory, long.clone(), vec![1; max], None).unwrap();
    assert!(get(&memory, long).is_some());
    let refused = put(&memory, "key", vec![1; max + 1], None);
    assert!(matches!(refused, Err(Fault::Refused(_))), "{refused:?}");
}

#[test]
fn threads_share_it() {
    let memory = Memory::new(Options {
        bytes_max: 4 << 20,
        ..Options::default()
    });
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let memory = memory.clone();
            scope.spawn(move || {
                for number in 0..20_000 {
                    let key = format!("{}", number % 5_000);
                    put(&memory, key.clone(), vec![thread; 500], Some(1)).unwrap();
                    if let Some(entry) = get(&memory, key) {
                        assert_eq!(entry.value.len(), 500);
                        assert!(entry.value.iter().all(|octet| *octet == entry.value[0]));
                    }
                    if number % 1_000 == 0 {
                        memory.maintain(Span::from_millis(1));
                    }
                }
            });
        }
    });
    assert!(memory.counters().bytes <= 4 << 20);
    memory.check();
}
