//! Which seeds a suite runs, and how long each is.

use std::ops::Range;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

pub const STEPS: usize = 2_000;

/// `TRINE_SIM_STEPS`, or 2,000.
pub fn steps() -> usize {
    let text = std::env::var("TRINE_SIM_STEPS").ok();
    text.map_or(STEPS, |text| {
        text.parse().expect("TRINE_SIM_STEPS is a number")
    })
}

/// `FROM..TO`, or `FROM..FROM+COUNT`, in the environment.
fn seeds(variable: &str, otherwise: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var(variable) else {
        return otherwise;
    };
    let range = text.split_once("..").and_then(|(from, to)| {
        let to = match to.split_once('+') {
            Some((base, more)) => base.parse::<u64>().ok()? + more.parse::<u64>().ok()?,
            None => to.parse().ok()?,
        };
        Some(from.parse().ok()?..to)
    });
    range.unwrap_or_else(|| panic!("{variable} is FROM..TO"))
}

/// What this thread has had of a processor: the machine may have others to serve.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32) // neither is ever negative
}

/// Runs the seeds that `variable` says, and tells how long they took.
pub fn run_seeds(variable: &str, otherwise: Range<u64>, run: impl Fn(u64, usize)) {
    let (began, busy) = (Instant::now(), processor_time());
    let (seeds, steps) = (seeds(variable, otherwise), steps());
    let count = seeds.end - seeds.start;
    for seed in seeds {
        run(seed, steps);
    }
    let (took, busy) = (began.elapsed(), processor_time() - busy);
    let a_minute = (count as f64) * 60.0 / busy.as_secs_f64();
    println!(
        "{count} seeds of {steps} steps in {took:.1?}: {a_minute:.0} a minute of one processor"
    );
}
