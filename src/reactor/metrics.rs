//! What the loop counts about itself. No counter costs a system call. The clock is read twice a
//! turn, once more for every 16 callbacks, and twice more for the one callback in 64 that is timed.

use std::collections::BTreeMap;
use std::time::Duration;

/// Counters of one loop since it was made. All only grow.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Turns: one wait and everything it led to.
    pub turns: u64,
    /// Events dispatched to sources, of every kind. Inside a turn it is up to 16 behind.
    pub events: u64,
    /// Events for sources that were gone: caught by the generation in their token.
    pub stale_events: u64,
    /// Time spent running sources.
    pub busy: Duration,
    /// Time spent waiting for events.
    pub idle: Duration,
    /// How late deadlines were dispatched, in milliseconds.
    pub lag: Histogram,
    /// Times that callbacks, up to 16 in a row and one alone once it was suspected, ran longer
    /// than [`SLOW_CALLBACK`].
    pub slow_callbacks: u64,
    /// Callbacks that the watchdog has seen to run longer than its limit, since it is there; see
    /// [`EventLoop::watch_stalls`](super::EventLoop::watch_stalls).
    pub stalls: u64,
    /// Sources that panicked.
    pub panics: u64,
    /// 1 when a source was seen to wait with bytes unread. Debug builds only; looked for until
    /// found.
    pub left_ready: u64,
    /// Times the timerfd was set.
    pub timer_sets: u64,
    /// Times that the loop found itself called by other threads, however many called.
    pub wakeups: u64,
    /// Times that one of them had to write the eventfd, as the loop slept.
    pub eventfd_writes: u64,
    by_source: BTreeMap<&'static str, SourceTime>,
}

/// A callback that runs longer than this is reported: everybody else waits meanwhile.
pub const SLOW_CALLBACK: Duration = Duration::from_millis(100);

/// Where the time of a loop goes, by kind of source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SourceTime {
    /// Dispatches that were timed: about one in 64.
    pub samples: u64,
    /// Their time together. Multiply by 64 for an estimate of all.
    pub sampled: Duration,
    /// The longest of them.
    pub longest: Duration,
}

impl Metrics {
    /// The sampled time of each kind of source, by [`EventSource::name`](super::EventSource::name).
    pub fn time_by_source(&self) -> impl Iterator<Item = (&'static str, SourceTime)> {
        self.by_source.iter().map(|(name, time)| (*name, *time))
    }

    pub(super) fn sample(&mut self, name: &'static str, took: Duration) {
        let time = self.by_source.entry(name).or_default();
        time.samples += 1;
        time.sampled += took;
        time.longest = time.longest.max(took);
    }
}

/// Counts of values by powers of two: bucket 0 holds 0, bucket `n` holds 2^(n-1) to 2^n - 1.
/// Fixed size, mergeable, O(1) to record.
#[derive(Clone, Copy, Debug)]
pub struct Histogram {
    buckets: [u64; 65],
    sum: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram {
            buckets: [0; 65],
            sum: 0,
        }
    }
}

impl Histogram {
    /// Counts `value`.
    pub fn record(&mut self, value: u64) {
        self.buckets[64 - value.leading_zeros() as usize] += 1;
        self.sum = self.sum.saturating_add(value);
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All values that were counted, together; saturating.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// An upper bound of the value below which `share` (0 to 1) of all values lie; 0 when
    /// nothing was counted. At most twice the true value.
    #[must_use]
    pub fn quantile(&self, share: f64) -> u64 {
        let rank = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank.max(1) {
                return upper_bound(bucket);
            }
        }
        0
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Histogram) {
        for (bucket, count) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket += count;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// The buckets that hold something: the largest value each can hold, and its count.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let counts = self
            .buckets
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0);
        counts.map(|(bucket, count)| (upper_bound(bucket), *count))
    }
}

fn upper_bound(bucket: usize) -> u64 {
    match bucket {
        0 => 0,
        64.. => u64::MAX,
        _ => (1 << bucket) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_never_below_the_truth_and_at_most_twice_it() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), 0);
        for value in 0..1000 {
            histogram.record(value);
        }
        assert!((500..1000).contains(&histogram.quantile(0.5)));
        assert_eq!(histogram.count(), 1000);
        histogram.record(u64::MAX);
        assert_eq!(histogram.quantile(1.0), u64::MAX);
    }
}
