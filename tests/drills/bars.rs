//! What a figure is held to, and how much a machine that others use may miss it by.

use std::time::Duration;

/// A time may be so many times its bar: the machine has other users, and the client shares its
/// processors with the server. What the scheduler says that the server waited for a processor is added.
pub const LENIENT: u32 = 10;

/// The same as a share of a processor, or of memory: those do not depend on others so much.
pub const LENIENT_SHARE: f64 = 3.0;

/// Of a bystander's requests, the 99th percentile.
pub const P99: Duration = Duration::from_millis(50);

/// How late a deadline may be seen.
pub const LATE: Duration = Duration::from_millis(200);

/// Whether times are held to their bars whatever else the machine does.
pub fn is_strict() -> bool {
    std::env::var_os("TRINE_DRILL_STRICT").is_some()
}

/// What a time with this bar is gated at.
pub fn gate(bar: Duration) -> Duration {
    match is_strict() {
        true => bar,
        false => bar * LENIENT,
    }
}

/// What a share with this bar is gated at.
pub fn gate_share(bar: f64) -> f64 {
    match is_strict() {
        true => bar,
        false => bar * LENIENT_SHARE,
    }
}

/// How many times as many clients as in the short version.
pub fn scale() -> usize {
    let said = std::env::var("TRINE_DRILL_SCALE").ok();
    said.map_or(1, |said| said.parse().unwrap())
}
