//! A kernel that denies io_uring is asked once, the emulation takes over, and that is said. Denial is
//! played by `.ci/uring`, which sets what tells of it.
#![cfg(feature = "io-uring")]

mod proactor_support;
#[path = "support/reports.rs"]
mod reports;

use proactor_support::start;
use reports::Reports;
use tracing::Level;
use trine::proactor::ProactorOptions;

#[test]
fn a_denied_ring_is_reported_once_for_each_proactor_and_a_granted_one_is_not() {
    let reports = Reports::under("trine::proactor");
    tracing::subscriber::with_default(reports.clone(), || {
        for _ in 0..2 {
            let (mut events, proactor) = start::<()>(ProactorOptions::default());
            assert_eq!(proactor.metrics(&mut events.context()).unwrap().enters, 0);
        }
    });
    let reports = reports.all();
    let expected = match std::env::var_os("TRINE_URING_DENIED") {
        Some(_) => 2,
        None => 0,
    };
    let says_so = |(level, report): &&(Level, String)| {
        *level == Level::WARN && report.contains("io_uring is not to be had")
    };
    assert_eq!(
        reports.iter().filter(says_so).count(),
        expected,
        "{reports:?}"
    );
    // A kernel that is older in this only says that as well.
    let has_no_buffers = |(_, report): &&(Level, String)| report.contains("takes no buffers ahead");
    let all = reports.iter().filter(|it| !has_no_buffers(it)).count();
    assert_eq!(all, expected, "{reports:?}");
}
