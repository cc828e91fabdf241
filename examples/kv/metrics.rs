//! What the server counts, as Prometheus reads it (text format 0.0.4).

use std::fmt::Write;

use trine::server::ServerMetrics;
use trine::storage::{Health, StorageUnit};

pub const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the loop and the server count; copied once a second, so that any thread may show it.
#[derive(Default)]
pub struct Counters {
    pub server: Option<ServerMetrics>,
    pub turns: u64,
    pub busy_seconds: f64,
    pub lag_p99_millis: u64,
    pub slow_callbacks: u64,
}

/// The page.
pub fn text(unit: &StorageUnit, counters: &Counters) -> String {
    let mut page = Page(String::new());
    let storage = unit.metrics();
    let is_ready = u64::from(unit.health() == Health::Ready);
    page.gauge("kv_ready", "Whether the store does its work.", is_ready);
    let rows = [
        ("accepted", "Operations put into a queue.", storage.accepted),
        (
            "done",
            "Operations with an outcome from the store.",
            storage.done,
        ),
        (
            "late",
            "Operations not begun before their deadline.",
            storage.late,
        ),
        (
            "cancelled",
            "Operations that nobody waited for.",
            storage.cancelled,
        ),
        (
            "busy",
            "Operations turned away by a full queue.",
            storage.busy,
        ),
        ("in_place", "Operations done by the loop.", storage.in_place),
        ("batches", "Batches given to the store.", storage.batches),
        ("panics", "Panics of the store.", storage.panics),
        ("reopens", "Attempts to reopen the store.", storage.reopens),
    ];
    for (name, help, value) in rows {
        page.counter(&format!("kv_storage_{name}_total"), help, value);
    }
    page.gauge("kv_storage_queued", "Operations that wait.", storage.queued);
    page.gauge(
        "kv_storage_running",
        "Operations being done.",
        storage.running,
    );
    page.of_loop(counters);
    page.0
}

struct Page(String);

impl Page {
    fn counter(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, help, "counter");
        let _ = writeln!(self.0, "{name} {value}"); // strings take all
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, help, "gauge");
        let _ = writeln!(self.0, "{name} {value}"); // as above
    }

    fn family(&mut self, name: &str, help: &str, kind: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}"); // as above
    }

    fn of_loop(&mut self, counters: &Counters) {
        let Some(server) = &counters.server else {
            return; // not a second old
        };
        let of_server = [
            ("accepted", "Connections accepted.", server.accepted),
            (
                "requests",
                "Requests given to the service.",
                server.requests,
            ),
            ("panics", "Panics of the service.", server.panics),
        ];
        for (name, help, value) in of_server {
            self.counter(&format!("http_server_{name}_total"), help, value);
        }
        let connections = "Connections that are open.";
        self.gauge("http_server_connections", connections, server.connections);
        let closes = "http_server_closes_total";
        self.family(closes, "Connections closed, by the reason.", "counter");
        for (reason, count) in server.closes() {
            let _ = writeln!(self.0, "{closes}{{reason=\"{reason:?}\"}} {count}"); // as above
        }
        self.counter("loop_turns_total", "Turns of the loop.", counters.turns);
        let busy = "Seconds in which the loop worked.";
        self.counter("loop_busy_seconds_total", busy, counters.busy_seconds);
        let lag = "How late deadlines were, 99th percentile, in milliseconds.";
        self.gauge("loop_lag_p99_milliseconds", lag, counters.lag_p99_millis);
        let slow = "Callbacks of more than 100 ms.";
        self.counter("loop_slow_callbacks_total", slow, counters.slow_callbacks);
    }
}
