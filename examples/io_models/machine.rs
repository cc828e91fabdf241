//! What the demonstration asks of the machine: descriptors, and a CPU for the client alone.

use rustix::process::setrlimit;
use rustix::process::{CpuSet, Resource, Rlimit, getrlimit, sched_getaffinity, sched_setaffinity};

/// Enough for a thousand clients and more than `select` can watch.
const DESCRIPTORS: u64 = 12_000;

/// Raises the soft limit as far as is needed and the hard one allows.
pub fn raise_descriptor_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS));
    if current.is_some_and(|current| current < wanted) {
        let current = Some(wanted);
        let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum }); // then fewer fit
    }
}

/// How many descriptors this process may have.
pub fn descriptor_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Keeps the calling thread to the first CPU it may use; false if that is the only one.
pub fn keep_to_first() -> bool {
    split(|first, _| first)
}

/// Keeps the calling thread, and those it starts, away from the first CPU.
pub fn leave_first() -> bool {
    split(|_, others| others)
}

fn split(choose: impl FnOnce(CpuSet, CpuSet) -> CpuSet) -> bool {
    let Ok(allowed) = sched_getaffinity(None) else {
        return false;
    };
    let mut cpus = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu));
    let Some(lowest) = cpus.next() else {
        return false;
    };
    let (mut first, mut others) = (CpuSet::new(), allowed);
    first.set(lowest);
    others.unset(lowest);
    others.count() > 0 && sched_setaffinity(None, &choose(first, others)).is_ok()
}
