//! What was measured, as text.

use std::time::Duration;

use crate::model::Model;
use crate::served::Time;

/// One model with so many connections.
pub struct Measured {
    pub model: Model,
    pub connections: usize,
    pub round_trips: u64,
    pub took: Duration,
    /// Of all threads of the server.
    pub cpu: Duration,
    /// Of the client.
    pub client_cpu: Duration,
    pub calls: u64,
    /// Calls a round trip, as strace counts them.
    pub traced: Option<f64>,
    pub p99: Duration,
    /// What the server wanted of the CPU while nobody said anything, for the time `idle`.
    pub idle_wish: Time,
    pub idle: Duration,
    pub note: String,
}

impl Measured {
    pub fn per_second(&self) -> f64 {
        self.round_trips as f64 / self.took.as_secs_f64()
    }

    /// Processor time of the server for a round trip, in microseconds.
    pub fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.round_trips as f64
    }

    /// The share of a CPU that it would take while nobody says anything, did it have one alone.
    pub fn idle_percent(&self) -> f64 {
        let wished = self.idle_wish.ran + self.idle_wish.waited;
        100.0 * wished.as_secs_f64() / self.idle.as_secs_f64()
    }

    pub fn client_cpu_us(&self) -> f64 {
        self.client_cpu.as_secs_f64() * 1e6 / self.round_trips as f64
    }

    pub fn calls_each(&self) -> f64 {
        self.calls as f64 / self.round_trips as f64
    }
}

/// The head of the table, once for each number of connections.
pub fn head(connections: usize, under_way: usize) {
    let under_way = under_way.min(connections);
    println!("\n{connections} connections, round trips under way at a time: {under_way}");
    println!(
        "{:<9} {:>13} {:>14} {:>15} {:>9} {:>11}",
        "model", "round trips/s", "CPU us/trip", "calls/trip", "p99 us", "idle CPU %"
    );
}

pub fn row(measured: &Measured) {
    let calls = match measured.traced {
        None => figure(measured.calls_each()),
        Some(traced) => format!("{} / {}", figure(measured.calls_each()), figure(traced)),
    };
    println!(
        "{:<9} {:>13.0} {:>14} {:>15} {:>9.0} {:>11.0}  {}",
        measured.model.name(),
        measured.per_second(),
        figure(measured.cpu_us()),
        calls,
        measured.p99.as_secs_f64() * 1e6,
        measured.idle_percent(),
        measured.note,
    );
}

/// Two digits behind the point where they mean something.
pub fn figure(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
