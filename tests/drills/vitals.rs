//! What the kernel says of a process: descriptors, memory, processor time.

use std::fs;
use std::time::Duration;

/// One look at a process.
#[derive(Clone, Copy, Debug)]
pub struct Vitals {
    pub descriptors: usize,
    /// Resident, in bytes.
    pub resident: usize,
    /// Processor time of all its threads that live.
    pub busy: Duration,
}

impl Vitals {
    /// Of the process `id`, or `None` when it is gone.
    pub fn of(id: u32) -> Option<Vitals> {
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let digits = line.trim().trim_end_matches(" kB");
            digits.parse::<usize>().ok()
        };
        Some(Vitals {
            descriptors: fs::read_dir(format!("/proc/{id}/fd")).ok()?.count(),
            resident: number("VmRSS:")? * 1024,
            busy: busy(id)?,
        })
    }
}

/// In nanoseconds, from the scheduler.
fn busy(id: u32) -> Option<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{id}/task")).ok()? {
        let statistics = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        nanos += statistics.split(' ').next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(nanos))
}
