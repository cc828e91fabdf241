//! The only file that reads a clock.
//!
//! Deadlines are measured on CLOCK_MONOTONIC: it never jumps, and it stands still while the
//! machine is suspended, so a suspend does not cut every connection on waking. It counts from the
//! start of the machine, so all loops agree about a tick, and a source that moves to another loop
//! keeps its deadlines. The wall clock is read for dates only.

use std::time::SystemTime;

use rustix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC in nanoseconds; 584 years fit.
#[inline]
pub(crate) fn monotonic_nanos() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // The kernel keeps both parts in range and not negative.
    (now.tv_sec as u64) * 1_000_000_000 + now.tv_nsec as u64
}

/// The time of day.
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// The same in seconds since 1970.
pub(crate) fn unix_seconds() -> u64 {
    let since = wall().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
