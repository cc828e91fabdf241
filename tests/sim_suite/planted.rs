//! The test of the test: mistakes made on purpose, each of which some seed has to find.

use std::panic::{AssertUnwindSafe, catch_unwind};

use trine::planted::{Bug, plant};

const SEEDS: u64 = 2_000;

/// The first seed that finds `bug`, and what it says.
fn find(bug: Bug, run: &impl Fn(u64)) -> Option<(u64, String)> {
    plant(Some(bug));
    let found = (0..SEEDS).find_map(|seed| {
        let payload = catch_unwind(AssertUnwindSafe(|| run(seed))).err()?;
        let text = payload.downcast_ref::<String>().cloned();
        let literal = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned());
        Some((seed, text.or(literal).unwrap_or_default()))
    });
    plant(None);
    found
}

/// Plants each of `bugs`, and fails if `run` finds one in no seed.
pub fn find_all(bugs: &[Bug], run: impl Fn(u64)) {
    std::panic::set_hook(Box::new(|_| {})); // they are meant
    let mut missed = Vec::new();
    for bug in bugs {
        match find(*bug, &run) {
            Some((seed, text)) => {
                let first = text.lines().next().unwrap_or_default();
                let short: String = first.chars().take(110).collect();
                println!("{bug:?}: seed {seed}: {short}");
            }
            None => missed.push(bug),
        }
    }
    let _ = std::panic::take_hook();
    println!("{} of {} found", bugs.len() - missed.len(), bugs.len());
    assert!(missed.is_empty(), "not found: {missed:?}");
}
