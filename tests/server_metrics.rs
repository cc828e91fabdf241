//! The page of counters: what it says is so, and a collector can read it.

mod support;

use std::collections::BTreeSet;

use support::{eventually, site, start};
use trine::CloseReason;
use trine::reactor::{Histogram, Metrics};
use trine::server::{Exposition, Rung};

/// Reads the page as a collector does: every sample by its name and labels, with its value.
fn samples(page: &str) -> Vec<(String, f64)> {
    let (mut families, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut samples = Vec::new();
    for line in page.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap();
            assert!(families.insert(name.to_owned()), "{name} stands twice");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let family = name.split('{').next().unwrap();
            let parts = ["_bucket", "_sum", "_count"];
            let base = parts.iter().find_map(|part| family.strip_suffix(part));
            let is_known =
                families.contains(family) || base.is_some_and(|it| families.contains(it));
            assert!(is_known, "{line} has no family");
            assert!(seen.insert(name.to_owned()), "{name} stands twice");
            samples.push((name.to_owned(), value.parse().unwrap()));
        }
    }
    samples
}

fn value(samples: &[(String, f64)], name: &str) -> f64 {
    let found = samples.iter().find(|(present, _)| present == name);
    found
        .unwrap_or_else(|| panic!("no {name} in {samples:?}"))
        .1
}

#[test]
fn a_page_of_two_servers_says_what_each_has_counted() {
    let public = start(|server| server.connections_max(7).memory_max(1 << 20), site);
    let inner = start(|server| server.reserve_descriptors(3), site);
    let mut client = public.client();
    for _ in 0..5 {
        client.get("/");
    }
    drop(client);
    eventually("it is closed", || public.counters().server.connections == 0);
    let _stays = inner.client().get("/");
    let (of_public, of_inner) = (public.counters().server, inner.counters().server);
    let mut page = Exposition::new();
    page.servers(&[("public", &of_public), ("inner", &of_inner)]);
    page.event_loop(&Metrics::default());
    let samples = samples(page.text());
    let of = |name: &str| value(&samples, name);
    assert_eq!(of("http_server_accepted_total{server=\"public\"}"), 1.0);
    assert_eq!(of("http_server_requests_total{server=\"public\"}"), 5.0);
    assert_eq!(of("http_server_requests_total{server=\"inner\"}"), 1.0);
    assert_eq!(of("http_server_connections_max{server=\"public\"}"), 7.0);
    assert_eq!(
        of("http_server_memory_max_bytes{server=\"public\"}"),
        f64::from(1 << 20)
    );
    assert_eq!(of("http_server_memory_bytes{server=\"public\"}"), 0.0);
    assert_eq!(
        of("http_server_memory_spare_bytes{server=\"public\"}"),
        32.0 * 1024.0
    );
    assert_eq!(of("http_server_descriptors_kept{server=\"inner\"}"), 3.0);
    assert_eq!(of("http_server_overload_rung{server=\"inner\"}"), 0.0);
    for reason in CloseReason::ALL {
        let name = format!("http_server_closes_total{{server=\"public\",reason=\"{reason:?}\"}}");
        assert_eq!(of(&name), of_public.closed(reason) as f64, "{name}");
    }
    for rung in &Rung::ALL[1..] {
        let labels = format!("{{server=\"inner\",rung=\"{rung:?}\"}}");
        assert_eq!(
            of(&format!("http_server_overload_entries_total{labels}")),
            0.0
        );
        assert_eq!(
            of(&format!("http_server_overload_seconds_total{labels}")),
            0.0
        );
    }
}

#[test]
fn the_buckets_of_a_histogram_add_up() {
    let mut histogram = Histogram::default();
    for value in [0, 0, 1, 5, 900] {
        histogram.record(value);
    }
    let mut page = Exposition::new();
    page.histogram("lag", "How late.", &histogram);
    let samples = samples(page.text());
    let expected = [
        ("lag_bucket{le=\"0\"}", 2.0),
        ("lag_bucket{le=\"1\"}", 3.0),
        ("lag_bucket{le=\"7\"}", 4.0),
        ("lag_bucket{le=\"1023\"}", 5.0),
        ("lag_bucket{le=\"+Inf\"}", 5.0),
        ("lag_sum", 906.0),
        ("lag_count", 5.0),
    ];
    assert_eq!(
        samples,
        expected.map(|(name, value)| (name.to_owned(), value))
    );
}

#[test]
fn what_a_label_or_a_help_says_cannot_end_its_line() {
    let mut page = Exposition::new();
    page.family("odd", "a \\ and\na line", "gauge")
        .sample(&[("of", "a \"quote\", a \\ and\na line")], 1);
    assert_eq!(page.text().lines().count(), 3);
    assert!(
        page.text()
            .contains(r#"{of="a \"quote\", a \\ and\na line"} 1"#),
        "{}",
        page.text()
    );
}
