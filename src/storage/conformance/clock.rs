//! A clock that stands still until a test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::storage::Clock;
use crate::time::{Span, Tick};

/// A [`Clock`] that a test moves; whoever shares it sees the same time.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicU64,
    unix_millis: AtomicU64,
}

impl ManualClock {
    /// A clock that stands at some tick, on some day.
    #[must_use]
    pub fn new() -> Arc<ManualClock> {
        Arc::new(ManualClock {
            now: AtomicU64::new(5_000),
            unix_millis: AtomicU64::new(1_700_000_000_000),
        })
    }

    /// Lets `span` pass, on both clocks.
    pub fn pass(&self, span: Span) {
        self.now.fetch_add(span.as_millis(), Ordering::SeqCst);
        self.unix_millis
            .fetch_add(span.as_millis(), Ordering::SeqCst);
    }

    /// Sets the time of day, as an operator or a time server may: no time passes.
    pub fn set_unix_millis(&self, unix_millis: u64) {
        self.unix_millis.store(unix_millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Tick {
        Tick(self.now.load(Ordering::SeqCst))
    }

    fn unix_millis(&self) -> u64 {
        self.unix_millis.load(Ordering::SeqCst)
    }
}
