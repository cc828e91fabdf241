//! Counters as Prometheus reads them: the text format 0.0.4, which other collectors read too.
//!
//! Of the format there is what counters need: a family of samples with its help, labels with their
//! values escaped, histograms with cumulative buckets. Names are the caller's: letters, digits, `_`.

use std::fmt::{self, Display, Write};
use std::time::Duration;

use super::ladder::Rung;
use super::metrics::ServerMetrics;
use super::models::ServerMeter;
use crate::Response;
use crate::connection::CloseReason;
use crate::proactor::Pattern;
use crate::reactor::{Histogram, Metrics};

/// A page of counters for a collector.
///
/// ```
/// use trine::server::Exposition;
///
/// let mut page = Exposition::new();
/// page.counter("orders_total", "Orders taken.", 7);
/// page.family("queue_length", "Orders that wait.", "gauge")
///     .sample(&[("shop", "by the \"sea\"")], 3);
/// assert_eq!(
///     page.text(),
///     "# HELP orders_total Orders taken.\n# TYPE orders_total counter\norders_total 7\n# HELP \
///      queue_length Orders that wait.\n# TYPE queue_length gauge\n\
///      queue_length{shop=\"by the \\\"sea\\\"\"} 3\n"
/// );
/// ```
#[derive(Clone, Default, Debug)]
pub struct Exposition {
    text: String,
}

/// The samples of one name.
#[derive(Debug)]
pub struct Family<'a> {
    name: &'a str,
    text: &'a mut String,
}

/// Writing to a string never fails.
const STRINGS_TAKE_ALL: &str = "strings take all";

impl Exposition {
    /// The media type of the [text](Exposition::text).
    pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

    /// A page without counters.
    #[must_use]
    pub fn new() -> Exposition {
        Exposition::default()
    }

    /// The page as far as it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The page as the answer to who asks for it.
    #[must_use]
    pub fn response(&self) -> Response {
        Response::bytes(self.text.clone())
            .with_field("Content-Type", Exposition::CONTENT_TYPE)
            .expect("a name and a value without control characters")
    }

    /// A number that only grows. Its name ends in `_total`.
    pub fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, help, "counter").sample(&[], value);
    }

    /// A number as it is now.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, help, "gauge").sample(&[], value);
    }

    /// Several samples of one name, which labels tell apart. `kind` is `counter`, `gauge` or
    /// `histogram`.
    pub fn family<'a>(&'a mut self, name: &'a str, help: &str, kind: &str) -> Family<'a> {
        let text = &mut self.text;
        writeln!(text, "# HELP {name} {}", Escaped(help, false)).expect(STRINGS_TAKE_ALL);
        writeln!(text, "# TYPE {name} {kind}").expect(STRINGS_TAKE_ALL);
        Family { name, text }
    }

    /// A histogram, with a bucket for each power of two up to its largest value.
    pub fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, help, "histogram")
            .histogram(&[], histogram);
    }

    /// All that servers count, each with a label `server` that names it. One without a name has no
    /// label: for a program that has one server.
    pub fn servers(&mut self, servers: &[(&str, &ServerMetrics)]) {
        for Row(name, help, kind, value) in SERVER_ROWS {
            let name = format!("http_server_{name}");
            let mut family = self.family(&name, help, kind);
            for (server, metrics) in servers {
                family.sample(&labels("server", server, None), value(metrics));
            }
        }
        let closes = "Connections closed, by the reason.";
        let mut family = self.family("http_server_closes_total", closes, "counter");
        for (server, metrics) in servers {
            for reason in CloseReason::ALL {
                let name = format!("{reason:?}");
                family.sample(
                    &labels("server", server, Some(("reason", &name))),
                    metrics.closed(reason),
                );
            }
        }
        self.patterns(servers);
        self.rungs(servers);
    }

    fn patterns(&mut self, servers: &[(&str, &ServerMetrics)]) {
        let pattern = "What moves the bytes of connections.";
        let mut family = self.family("http_server_pattern", pattern, "gauge");
        for (server, metrics) in servers {
            let pattern = match metrics.pattern {
                None => "reactor",
                Some(Pattern::Emulated) => "proactor",
                Some(Pattern::IoUring) => "io-uring",
            };
            family.sample(&labels("server", server, Some(("pattern", pattern))), 1);
        }
    }

    fn rungs(&mut self, servers: &[(&str, &ServerMetrics)]) {
        let rungs = &Rung::ALL[1..];
        let mut each = |name: &str, help, value: &dyn Fn(&ServerMetrics, Rung) -> f64| {
            let mut family = self.family(name, help, "counter");
            for (server, metrics) in servers {
                for rung in rungs {
                    let name = format!("{rung:?}");
                    let labels = labels("server", server, Some(("rung", &name)));
                    family.sample(&labels, value(metrics, *rung));
                }
            }
        };
        let entries = "Times that a rung of the overload ladder was entered from below.";
        each(
            "http_server_overload_entries_total",
            entries,
            &|metrics, rung| metrics.rung_entries(rung) as f64,
        );
        let seconds = "Time spent on a rung of the overload ladder.";
        each(
            "http_server_overload_seconds_total",
            seconds,
            &|metrics, rung| metrics.rung_time(rung).as_secs_f64(),
        );
    }

    /// All that a loop counts.
    pub fn event_loop(&mut self, metrics: &Metrics) {
        self.event_loops(&[("", metrics)]);
    }

    /// All that loops count, each with a label `loop` that names it. One without a name has no label:
    /// for a program that has one loop.
    pub fn event_loops(&mut self, loops: &[(&str, &Metrics)]) {
        for LoopRow(name, help, value) in LOOP_ROWS {
            let name = format!("loop_{name}_total");
            let mut family = self.family(&name, help, "counter");
            for (number, metrics) in loops {
                family.sample(&labels("loop", number, None), value(metrics));
            }
        }
        let mut seconds = |name: &str, help: &str, value: fn(&Metrics) -> Duration| {
            let mut family = self.family(name, help, "counter");
            for (number, metrics) in loops {
                let labels = labels("loop", number, None);
                family.sample(&labels, value(metrics).as_secs_f64());
            }
        };
        let busy = "Time in which the loop ran sources.";
        seconds("loop_busy_seconds_total", busy, |it| it.busy);
        let idle = "Time in which the loop waited for events.";
        seconds("loop_idle_seconds_total", idle, |it| it.idle);
        let lag = "How late deadlines were dispatched.";
        let mut family = self.family("loop_lag_milliseconds", lag, "histogram");
        for (number, metrics) in loops {
            family.histogram(&labels("loop", number, None), &metrics.lag);
        }
    }

    /// All that a server counts under its [model](super::Model): the sum, what each loop counts, and, if
    /// there are several, how the connections and requests are spread over them, with a label `loop`.
    pub fn serving(&mut self, meter: &ServerMeter) {
        let loops = meter.loops();
        self.servers(&[("", &super::models::sum(&loops))]);
        let is_alone = loops.len() == 1;
        let name = |number: usize| match is_alone {
            true => String::new(),
            false => number.to_string(),
        };
        let names: Vec<_> = (0..loops.len()).map(name).collect();
        let named = || names.iter().map(String::as_str).zip(&loops);
        let event_loops: Vec<_> = named().map(|(name, it)| (name, &it.event_loop)).collect();
        self.event_loops(&event_loops);
        if is_alone {
            return;
        }
        for Row(name, help, kind, value) in SPREAD_ROWS {
            let name = format!("http_server_loop_{name}");
            let mut family = self.family(&name, help, kind);
            for (number, it) in named() {
                family.sample(&[("loop", number)], value(&it.server));
            }
        }
    }
}

/// What is told of each loop of a server.
const SPREAD_ROWS: [Row; 5] = [
    Row(
        "accepted_total",
        "Connections that came to the loop.",
        "counter",
        |it| it.accepted,
    ),
    Row(
        "taken_over_total",
        "Connections that came from another loop.",
        "counter",
        |it| it.taken_over,
    ),
    Row(
        "given_away_total",
        "Connections that went to another loop.",
        "counter",
        |it| it.given_away,
    ),
    Row(
        "requests_total",
        "Requests given to the service of the loop.",
        "counter",
        |it| it.requests,
    ),
    Row(
        "connections",
        "Connections that the loop has.",
        "gauge",
        |it| it.connections as u64,
    ),
];

/// Name, help and value of a number that a loop has.
struct LoopRow(&'static str, &'static str, fn(&Metrics) -> u64);

const LOOP_ROWS: [LoopRow; 10] = [
    LoopRow("turns", "Turns of the loop.", |it| it.turns),
    LoopRow("events", "Events dispatched to sources.", |it| it.events),
    LoopRow("stale_events", "Events for sources that were gone.", |it| {
        it.stale_events
    }),
    LoopRow("slow_callbacks", "Callbacks of more than 100 ms.", |it| {
        it.slow_callbacks
    }),
    LoopRow(
        "stalls",
        "Callbacks that the watchdog saw run too long.",
        |it| it.stalls,
    ),
    LoopRow(
        "left_ready",
        "Sources that waited with bytes unread.",
        |it| it.left_ready,
    ),
    LoopRow("panics", "Sources that panicked.", |it| it.panics),
    LoopRow("timer_sets", "Times the timerfd was set.", |it| {
        it.timer_sets
    }),
    LoopRow("wakeups", "Times that other threads had called.", |it| {
        it.wakeups
    }),
    LoopRow(
        "eventfd_writes",
        "Times that a thread had to end a sleep of the loop.",
        |it| it.eventfd_writes,
    ),
];

/// Name, help, kind and value of a number that a server has.
struct Row(
    &'static str,
    &'static str,
    &'static str,
    fn(&ServerMetrics) -> u64,
);

const SERVER_ROWS: [Row; 14] = [
    Row("accepted_total", "Connections accepted.", "counter", |it| {
        it.accepted
    }),
    Row(
        "turned_away_total",
        "Clients closed at once for want of descriptors.",
        "counter",
        |it| it.turned_away,
    ),
    Row(
        "requests_total",
        "Requests given to the service.",
        "counter",
        |it| it.requests,
    ),
    Row("panics_total", "Panics of the service.", "counter", |it| {
        it.panics
    }),
    Row("reloads_total", "New settings taken.", "counter", |it| {
        it.reloads
    }),
    Row(
        "reloads_failed_total",
        "New settings that could not be taken.",
        "counter",
        |it| it.reloads_failed,
    ),
    Row(
        "shares_spent_total",
        "Times that a connection had had its share of a turn.",
        "counter",
        |it| it.shares_spent,
    ),
    Row("connections", "Connections that are open.", "gauge", |it| {
        it.connections as u64
    }),
    Row(
        "connections_max",
        "Connections that are served at once at most.",
        "gauge",
        |it| it.connections_max as u64,
    ),
    Row(
        "memory_bytes",
        "What connections hold in buffers.",
        "gauge",
        |it| it.memory as u64,
    ),
    Row(
        "memory_spare_bytes",
        "Buffers kept for the next connection.",
        "gauge",
        |it| it.memory_spare as u64,
    ),
    Row(
        "memory_max_bytes",
        "What connections may hold in buffers.",
        "gauge",
        |it| it.memory_max as u64,
    ),
    Row(
        "descriptors_kept",
        "Descriptors kept for when there is no other.",
        "gauge",
        |it| it.descriptors_kept as u64,
    ),
    Row(
        "overload_rung",
        "The rung of the overload ladder: 0 normal, 1 shorten idle, 2 close idle, 3 no keep-alive, 4 refuse, 5 pause accepting.",
        "gauge",
        |it| it.rung.index() as u64,
    ),
];

/// The label `of` with a name, if there is one, and another label.
fn labels<'a>(
    of: &'a str,
    name: &'a str,
    other: Option<(&'a str, &'a str)>,
) -> Vec<(&'a str, &'a str)> {
    let named = Some((of, name)).filter(|(_, name)| !name.is_empty());
    named.into_iter().chain(other).collect()
}

impl Family<'_> {
    /// One sample, told from the others by its labels.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.line("", labels, value);
        self
    }

    /// One histogram, told from the others by its labels.
    pub fn histogram(&mut self, labels: &[(&str, &str)], histogram: &Histogram) -> &mut Self {
        let mut below = 0;
        let bucket = |family: &mut Self, largest: &str, below: u64| {
            let mut labels = labels.to_vec();
            labels.push(("le", largest));
            family.line("_bucket", &labels, below);
        };
        for (largest, count) in histogram.buckets() {
            below += count;
            bucket(self, &largest.to_string(), below);
        }
        bucket(self, "+Inf", below);
        self.line("_sum", labels, histogram.sum());
        self.line("_count", labels, below);
        self
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        for (number, (label, text)) in labels.iter().enumerate() {
            let before = if number == 0 { '{' } else { ',' };
            write!(self.text, "{before}{label}=\"{}\"", Escaped(text, true))
                .expect(STRINGS_TAKE_ALL);
        }
        let behind = if labels.is_empty() { "" } else { "}" };
        writeln!(self.text, "{behind} {value}").expect(STRINGS_TAKE_ALL);
    }
}

/// Text in which a backslash and a line end are escaped, and a quote if it stands in quotes.
struct Escaped<'a>(&'a str, bool);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' if self.1 => f.write_str("\\\"")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
