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
    /// How long they were ready to run while others had the processors.
    pub waited: Duration,
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
        let (busy, waited) = processor(id)?;
        Some(Vitals {
            descriptors: fs::read_dir(format!("/proc/{id}/fd")).ok()?.count(),
            resident: number("VmRSS:")? * 1024,
            busy,
            waited,
        })
    }
}

/// What the scheduler says of all threads: the time on a processor, and the time in its queue.
fn processor(id: u32) -> Option<(Duration, Duration)> {
    let (mut busy, mut waited) = (0, 0);
    for task in fs::read_dir(format!("/proc/{id}/task")).ok()? {
        let statistics = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        let mut numbers = statistics.split(' ').map(str::parse::<u64>);
        busy += numbers.next()?.ok()?;
        waited += numbers.next()?.ok()?;
    }
    Some((Duration::from_nanos(busy), Duration::from_nanos(waited)))
}
