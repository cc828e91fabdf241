//! The timer wheel beside its peers, on the four workloads of an event loop.
//!
//! Time is virtual: one tick is 1 ms. All peers of a round run one after another on the same
//! random numbers, and rounds are repeated, because a shared machine is slow for minutes at a
//! time: compare rows of one run only. What is measured is the time on the processor. `harness` is the loop with nothing in it; subtract it.
//! Bytes are counted by the allocator, which costs peers that allocate for each timer some
//! nanoseconds an operation. The first insertions are cold: memory comes fresh from the kernel
//! and a page fault costs more than the insertions in it; they are repeated warm. Keys are kept in a table, as a connection keeps its own, and the
//! table is not counted.
//!
//! ```text
//! cargo bench --bench timer_wheel [-- [--quick] [part of a peer's name]]
//! ```

mod timer_peers;

use rustix::time::{ClockId, clock_gettime};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::hint::black_box;
use std::time::Duration;
use timer_peers::{
    BinaryHeapLazy, Dense, Empty, HashWheel, SortedSet, Timers, TokioDelayQueue, Wheel,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Timers inserted and expired by (i) and (iv).
const MANY: u32 = 1_000_000;
/// Timers that are there all the time in (ii) and (iii).
const LIVE: u32 = 100_000;
/// A connection's idle time, in ticks.
const MINUTE: u64 = 60_000;
/// By how many ticks a peer may be late; tokio's clock goes in steps.
const LATE: u64 = 20;
/// Operations in a virtual millisecond, in (ii) and (iii).
const PER_TICK: u32 = 100;

/// The figures of a peer: nanoseconds an operation, bytes a timer.
#[derive(Clone, Copy)]
struct Figures([f64; COLUMNS]);

/// Columns of the table.
const COLUMNS: usize = 7;

const HEADINGS: [&str; COLUMNS] = [
    "insert, cold",
    "insert, warm",
    "move",
    "insert+cancel",
    "expire",
    "B/timer",
    "peak B, move",
];
const TARGETS: [f64; COLUMNS] = [8.0, 8.0, 6.0, 5.0, 60.0, 24.0, 24.0];

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let wanted = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let (rounds, moves) = if quick {
        (2, 1_000_000)
    } else {
        (5, 10_000_000)
    };
    type Run = fn(u32) -> Figures;
    let mut peers: Vec<(&str, Run)> = vec![
        ("harness", run::<Empty>),
        ("trine Deadlines", run::<Dense>),
        ("trine TimerWheel<u32>", run::<Wheel>),
        ("BinaryHeap, lazy", run::<BinaryHeapLazy>),
        ("BTreeSet", run::<SortedSet>),
        ("hierarchical_hash_wheel", run::<HashWheel>),
        ("tokio-util DelayQueue", run::<TokioDelayQueue>),
    ];
    peers.retain(|(name, _)| wanted.as_deref().is_none_or(|part| name.contains(part)));
    let mut figures = vec![Vec::new(); peers.len()];
    for round in 0..rounds {
        for (peer, (_, run)) in peers.iter().enumerate() {
            figures[peer].push(run(moves));
        }
        eprintln!("round {} of {rounds}", round + 1);
    }
    println!("\nbest of {rounds} rounds / median; ns an operation, bytes a timer beside a key");
    print!("{:24}", "");
    HEADINGS.iter().for_each(|heading| print!("{heading:>17}"));
    println!();
    for (peer, (name, _)) in peers.iter().enumerate() {
        print!("{name:24}");
        for column in 0..HEADINGS.len() {
            let (best, median) = best_and_median(&figures[peer], column);
            print!("{:>17}", format!("{best:.1} / {median:.1}"));
        }
        println!();
    }
    print!("{:24}", "target of trine");
    TARGETS
        .iter()
        .for_each(|target| print!("{:>17}", format!("{target:.0}")));
    println!();
}

/// The least and the middle one of a column.
fn best_and_median(rounds: &[Figures], column: usize) -> (f64, f64) {
    let mut values: Vec<f64> = rounds.iter().map(|figures| figures.0[column]).collect();
    values.sort_by(f64::total_cmp);
    (values[0], values[values.len() / 2])
}

/// All four workloads on one peer.
fn run<P: Timers>(moves: u32) -> Figures {
    let ([cold, warm], expire, bytes) = insert_and_expire::<P>();
    let (reset, peak) = reset::<P>(moves);
    Figures([
        cold,
        warm,
        reset,
        insert_and_cancel::<P>(),
        expire,
        bytes,
        peak,
    ])
}

/// Bytes allocated and not freed.
fn in_use() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// How long this thread has run. Unlike a clock it stands still while another program runs.
fn on_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a thread has not run for less than no time")
}

/// Nanoseconds that each of `operations` took.
fn nanoseconds(since: Duration, operations: u32) -> f64 {
    (on_cpu() - since).as_nanos() as f64 / f64::from(operations)
}

/// (i) A million timers within a minute; (iv) all of them expire, a tick at a time.
fn insert_and_expire<P: Timers>() -> ([f64; 2], f64, f64) {
    let mut peer = P::new(MANY);
    let before = in_use();
    let cold = insert_all(&mut peer, 0);
    let bytes = (in_use() - before) as f64 / f64::from(MANY);

    let (mut expired, mut sum) = (0, 0_u64);
    let start = on_cpu();
    for now in 1..=MINUTE + LATE {
        peer.advance(now, |id| {
            expired += 1;
            sum += u64::from(id);
        });
    }
    let expire = nanoseconds(start, MANY);
    let all = (MANY, u64::from(MANY) * u64::from(MANY - 1) / 2);
    assert!(
        !P::KEEPS || (expired, sum) == all,
        "{expired} of {MANY} expired"
    );
    ([cold, insert_all(&mut peer, MINUTE + LATE)], expire, bytes)
}

/// Inserts a million timers within the minute after `now`.
fn insert_all<P: Timers>(peer: &mut P, now: u64) -> f64 {
    let mut random = fastrand::Rng::with_seed(1);
    let start = on_cpu();
    for id in 0..MANY {
        peer.insert(black_box(id), now + 1 + random.u64(..MINUTE));
    }
    nanoseconds(start, MANY)
}

/// (ii) Random ones of 100,000 timers are put off to a minute from now.
fn reset<P: Timers>(moves: u32) -> (f64, f64) {
    let mut random = fastrand::Rng::with_seed(2);
    let before = in_use();
    let mut peer = P::new(LIVE);
    let table = in_use() - before;
    for id in 0..LIVE {
        peer.insert(id, MINUTE / 2 + random.u64(..MINUTE / 2));
    }
    let (mut now, mut expired, mut peak) = (0, Vec::new(), 0);
    let start = on_cpu();
    for _ in 0..moves / PER_TICK {
        for _ in 0..PER_TICK {
            peer.reset(random.u32(..LIVE), now + MINUTE);
        }
        now += 1;
        peer.advance(now, |id| expired.push(id));
        for id in expired.drain(..) {
            peer.insert(id, now + MINUTE);
        }
        if now % 256 == 0 {
            peak = peak.max(in_use());
        }
    }
    let reset = nanoseconds(start, moves);
    (
        reset,
        peak.saturating_sub(before + table) as f64 / f64::from(LIVE),
    )
}

/// (iii) Timers of a minute are inserted and cancelled at once, beside 100,000 others.
fn insert_and_cancel<P: Timers>() -> f64 {
    const USED: u32 = 1_024;
    let mut random = fastrand::Rng::with_seed(3);
    let mut peer = P::new(LIVE + USED);
    for id in 0..LIVE {
        peer.insert(id, MINUTE + random.u64(..MINUTE));
    }
    let start = on_cpu();
    for now in 0..u64::from(MANY / PER_TICK) {
        for operation in 0..PER_TICK {
            let id = black_box(LIVE + operation % USED);
            peer.insert(id, now + MINUTE);
            peer.cancel(id);
        }
        peer.advance(now, |_| ());
    }
    nanoseconds(start, MANY)
}
