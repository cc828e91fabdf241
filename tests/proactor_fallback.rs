//! A kernel that denies io_uring is asked once, the emulation takes over, and that is said. Denial is
//! played by `.ci/uring`, which sets what tells of it.
#![cfg(feature = "io-uring")]

mod proactor_support;

use std::fmt;
use std::sync::{Arc, Mutex};

use proactor_support::start;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber};
use trine::proactor::ProactorOptions;

/// Keeps what proactors of this thread report.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}

impl Subscriber for Reports {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == "trine::proactor"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        assert_eq!(*event.metadata().level(), Level::WARN);
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
}

#[test]
fn a_denied_ring_is_reported_once_for_each_proactor_and_a_granted_one_is_not() {
    let reports = Reports::default();
    tracing::subscriber::with_default(reports.clone(), || {
        for _ in 0..2 {
            let (mut events, proactor) = start::<()>(ProactorOptions::default());
            assert_eq!(proactor.metrics(&mut events.context()).unwrap().enters, 0);
        }
    });
    let reports = reports.0.lock().unwrap();
    let expected = match std::env::var_os("TRINE_URING_DENIED") {
        Some(_) => 2,
        None => 0,
    };
    let says_so = |report: &&String| report.contains("io_uring is not to be had");
    assert_eq!(
        reports.iter().filter(says_so).count(),
        expected,
        "{reports:?}"
    );
    assert_eq!(reports.len(), expected, "{reports:?}");
}
