//! What the loop counts about itself, and what that costs.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

use super::super::{Context, Event, Next, Readiness, SLOW_CALLBACK, Sources};
use super::virtual_loop::{MILLI, SECOND, machine, probe, virtual_loop};

/// Keeps the text of every report made on this thread.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<String>>>);

impl Visit for Reports {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{field}={value:?}");
        self.0.lock().unwrap().push(text);
    }
}

impl Subscriber for Reports {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }
}

/// What is reported while `f` runs.
fn reports_of(f: impl FnOnce()) -> Vec<String> {
    let reports = Reports::default();
    tracing::subscriber::with_default(reports.clone(), f);
    let mut reports = reports.0.lock().unwrap();
    std::mem::take(&mut reports)
}

#[test]
fn lag_says_how_late_each_deadline_was_dispatched() {
    let mut events = virtual_loop::<()>();
    for millis in 1..=100 {
        events
            .call_after(Duration::from_millis(millis), |(), _| ())
            .unwrap();
    }
    events.run(&mut ()).unwrap();
    let lag = events.metrics().lag;
    assert_eq!(
        (lag.count(), lag.quantile(1.0)),
        (100, 0),
        "an idle loop is on time"
    );

    let stall = |(): &mut (), cx: &mut Context<'_, ()>| machine(cx).nanos += 500 * MILLI;
    events.call_after(Duration::from_millis(10), stall).unwrap();
    events
        .call_after(Duration::from_millis(20), |(), _| ())
        .unwrap();
    events.run(&mut ()).unwrap();
    let lag = events.metrics().lag;
    assert_eq!(lag.count(), 102);
    assert!(
        (490..1_024).contains(&lag.quantile(1.0)),
        "{}",
        lag.quantile(1.0)
    );
}

#[test]
fn lag_counts_what_callbacks_of_the_same_pass_took() {
    let mut events = virtual_loop::<()>();
    let work = |(): &mut (), cx: &mut Context<'_, ()>| machine(cx).nanos += 10 * MILLI;
    for _ in 0..64 {
        events.call_after(Duration::from_millis(5), work).unwrap();
    }
    events.run(&mut ()).unwrap();
    // The last one waited 63 times 10 ms; readings are up to 16 callbacks old.
    assert!(events.metrics().lag.quantile(1.0) >= 470);
}

#[test]
fn busy_and_idle_time_are_all_the_time_there_was() {
    let mut events = virtual_loop::<()>();
    let work = |(): &mut (), _, cx: &mut Context<'_, ()>| machine(cx).nanos += 30 * MILLI;
    events.every(Duration::from_millis(100), work).unwrap();
    events
        .call_after(Duration::from_secs(10), |(), cx| cx.stop())
        .unwrap();
    events.run(&mut ()).unwrap();
    let metrics = events.metrics();
    let total = metrics.busy + metrics.idle;
    assert!(total >= Duration::from_secs(10) && total <= Duration::from_millis(10_030));
    assert_eq!(metrics.busy.as_millis() % 30, 0);
    assert!(
        (2_970..=3_000).contains(&metrics.busy.as_millis()),
        "{:?}",
        metrics.busy
    );
}

#[test]
fn a_callback_over_a_tenth_of_a_second_is_counted_and_reported_by_name() {
    let mut events = virtual_loop::<()>();
    let within = SLOW_CALLBACK.as_nanos() as u64;
    let work = |nanos: u64| move |(): &mut (), cx: &mut Context<'_, ()>| machine(cx).nanos += nanos;
    events
        .call_after(Duration::from_secs(1), work(within))
        .unwrap();
    let reports = reports_of(|| events.run(&mut ()).unwrap());
    assert_eq!(events.metrics().slow_callbacks, 0, "{reports:?}");
    assert!(reports.is_empty(), "{reports:?}");

    events
        .call_after(Duration::from_secs(1), work(within + 1))
        .unwrap();
    let reports = reports_of(|| events.run(&mut ()).unwrap());
    assert_eq!(events.metrics().slow_callbacks, 1);
    assert!(
        reports.contains(&"sources=\"after\"".to_owned()),
        "{reports:?}"
    );
    assert!(
        reports.iter().any(|text| text.contains("slow callback")),
        "{reports:?}"
    );
}

#[test]
fn a_slow_callback_in_a_crowd_is_named_alone_when_it_does_it_again() {
    let mut events = virtual_loop::<()>();
    let culprit = |(): &mut (), _, cx: &mut Context<'_, ()>| machine(cx).nanos += SECOND / 5;
    events.every(Duration::from_secs(1), culprit).unwrap();
    for _ in 0..10 {
        let answer = |event, (): &mut (), cx: &mut Context<'_, ()>| match event {
            Event::Drain => Next::Close,
            _ => Next::Until(cx.after(Duration::from_millis(1_000))),
        };
        probe(&mut events, answer);
    }
    events
        .call_after(Duration::from_millis(3_500), |(), cx| cx.stop())
        .unwrap();
    let reports = reports_of(|| events.run(&mut ()).unwrap());
    let named: Vec<&String> = reports
        .iter()
        .filter(|text| text.starts_with("sources"))
        .collect();
    assert_eq!(named.len(), 3, "{reports:?}");
    assert_eq!(named[0], "sources=\"every, probe\"");
    assert_eq!(named[1..], ["sources=\"every\""; 2]);
    assert_eq!(events.metrics().slow_callbacks, 3);
}

#[test]
fn metrics_read_the_clock_twice_a_turn_once_for_sixteen_callbacks_and_for_samples() {
    for batch in [1, 3, 15, 16, 17, 100, 1_000] {
        let mut events = virtual_loop::<()>();
        let source = probe(&mut events, |_, (): &mut (), _| Next::Wait);
        let _ = events.turn_now(&mut ()).unwrap();
        let ready = vec![(source, Readiness::READABLE); batch];
        let turns = 20_000 / batch;
        let script = (0..turns).map(|_| ready.clone());
        machine(&mut events).script.extend(script);
        let before = events.metrics().clone();
        machine(&mut events).clock_reads.set(0);
        for _ in 0..turns {
            let _ = events.turn(&mut ()).unwrap();
        }
        let metrics = events.metrics().clone();
        let reads = machine(&mut events).clock_reads.get() - 1; // `machine` asks as well
        let (turns, calls) = (metrics.turns - before.turns, metrics.events - before.events);
        assert_eq!(turns as usize * batch, calls as usize);
        let samples = calls / 64 + 1;
        let allowed = 2 * turns + calls / 16 + 2 * samples;
        assert!(
            reads <= allowed,
            "batch {batch}: {reads} readings, {allowed} allowed"
        );
        assert!(batch >= 16 || reads <= 2 * turns + 2 * samples);
    }
}

#[test]
fn the_time_of_sources_is_sampled_by_name() {
    let mut events = virtual_loop::<()>();
    let work = |(): &mut (), _, cx: &mut Context<'_, ()>| machine(cx).nanos += MILLI / 2;
    events.every(Duration::from_millis(1), work).unwrap();
    events
        .call_after(Duration::from_secs(4), |(), cx| cx.stop())
        .unwrap();
    events.run(&mut ()).unwrap();
    let metrics = events.metrics();
    let (name, time) = metrics.time_by_source().next().unwrap();
    assert_eq!(name, "every");
    assert_eq!(time.longest, Duration::from_micros(500));
    assert_eq!(time.sampled, time.longest * time.samples as u32);
    assert!(time.samples.abs_diff(4_000 / 64) <= 2, "{time:?}");
}
