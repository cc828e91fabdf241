//! Seeds of the simulation: random clients against a small service on a machine with faults, looked
//! at after each step.
//!
//! `TRINE_SIM_SEEDS=FROM..TO` chooses the seeds and `TRINE_SIM_STEPS` how long each is; a seed that
//! fails prints itself, and is repeated by `TRINE_SIM_SEEDS=SEED..SEED+1`. Seeds that once found
//! something are in `tests/sim_seeds.txt` and run for ever.
#![cfg(feature = "testing")]

mod peer;
#[cfg(trine_planted)]
mod planted;
mod run;
mod service;

use std::ops::Range;
use std::time::Instant;

use run::Run;

const STEPS: usize = 2_000;

fn steps() -> usize {
    let text = std::env::var("TRINE_SIM_STEPS").ok();
    text.map_or(STEPS, |text| {
        text.parse().expect("TRINE_SIM_STEPS is a number")
    })
}

fn seeds(otherwise: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var("TRINE_SIM_SEEDS") else {
        return otherwise;
    };
    let range = text.split_once("..").and_then(|(from, to)| {
        let to = match to.split_once('+') {
            Some((base, more)) => base.parse::<u64>().ok()? + more.parse::<u64>().ok()?,
            None => to.parse().ok()?,
        };
        Some(from.parse().ok()?..to)
    });
    range.expect("TRINE_SIM_SEEDS is FROM..TO")
}

#[test]
fn nothing_wrong_happens_in_any_seed_and_everything_ends() {
    let (began, seeds, steps) = (Instant::now(), seeds(0..60), steps());
    let count = seeds.end - seeds.start;
    for seed in seeds {
        Run::new(seed).run(steps);
    }
    let took = began.elapsed();
    let a_minute = (count as f64) * 60.0 / took.as_secs_f64();
    println!("{count} seeds of {steps} steps in {took:.1?}: {a_minute:.0} a minute");
}

#[test]
fn seeds_that_found_something_once_find_nothing_any_more() {
    let kept = include_str!("../sim_seeds.txt");
    let lines = kept.lines().filter(|line| !line.starts_with('#'));
    for line in lines {
        let seed = line.split_whitespace().next();
        Run::new(seed.unwrap().parse().unwrap()).run(STEPS);
    }
}

#[test]
fn the_same_seed_takes_the_same_steps() {
    for seed in 0..5 {
        let trace = Run::new(seed).run(500);
        assert_eq!(Run::new(seed).run(500), trace, "seed {seed}");
        assert_ne!(Run::new(seed + 1).run(500), trace, "seed {seed}");
    }
}
