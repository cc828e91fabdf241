//! The two clocks a store needs: one for deadlines, which never jumps, and the time of day, by which
//! values expire also while nobody runs.

use std::fmt;
use std::time::UNIX_EPOCH;

use crate::reactor::{monotonic_nanos, wall};
use crate::time::Tick;

/// What time it is; a store is given one, so that tests can say.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// On the clock of the loop: see [`Context::now`](crate::reactor::Context::now).
    fn now(&self) -> Tick;

    /// The time of day in milliseconds since 1970.
    fn unix_millis(&self) -> u64;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Tick {
        Tick(monotonic_nanos() / 1_000_000)
    }

    fn unix_millis(&self) -> u64 {
        let since = wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}
