//! What the memory store says it weighs, beside what the allocator counted.
//!
//! One test, because the counters are those of the process.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use trine::storage::memory::{Memory, Options};
use trine::storage::{Condition, Durability, InPlace, Operation, Outcomes, Request};
use trine::time::Span;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn fill(memory: &Memory, count: usize, len: usize, ttl: Option<Span>) {
    let mut outcome = [None];
    for number in 0..count {
        let operation = Operation::Put {
            key: format!("key:{number:012}").into(),
            value: vec![7; len].into(),
            ttl,
            condition: Condition::Any,
        };
        let request = Request {
            durability: Durability::Memory,
            ..Request::new(operation)
        };
        InPlace::run(memory, &[request], &mut Outcomes::new(&mut outcome));
    }
}

#[test]
fn it_weighs_what_it_says() {
    let options = Options {
        bytes_max: 64 << 20,
        ..Options::default()
    };
    // Some before the limit, and some at it.
    for (count, len) in [(50_000, 3), (200_000, 30), (50_000, 100), (400_000, 100)] {
        for ttl in [None, Some(Span::from_secs(3_600))] {
            check(options, count, len, ttl);
        }
    }
    for (count, len) in [(20_000, 1_000), (200_000, 1_000), (2_000, 20_000)] {
        check(options, count, len, None);
    }
}

fn check(options: Options, count: usize, len: usize, ttl: Option<Span>) {
    let region = Region::new(ALLOCATOR);
    let memory = Memory::new(options);
    fill(&memory, count, len, ttl);
    let counters = memory.counters();
    let change = region.change();
    let pieces = change.allocations - change.deallocations;
    // The allocator counts what is asked for; to each piece it gives a header of 8 octets.
    let counted = change.bytes_allocated - change.bytes_deallocated + 8 * pieces;
    let each = counters.bytes as f64 / counters.entries as f64;
    let ratio = counters.bytes as f64 / counted as f64;
    let what = format!(
        "{} values of {len} with keys of 16, ttl {ttl:?}: {each:.0} bytes each, {ratio:.3} of the allocator's",
        counters.entries
    );
    println!("{what}");
    assert!((0.97..1.03).contains(&ratio), "{what}");
    assert!(counters.bytes <= options.bytes_max, "{what}");
}
