//! What is known at the end of a drain: how many were finished, idle and cut, by the server's
//! counters, by one report, and by the error of one that was forced.

#[path = "support/reports.rs"]
mod reports;
mod support;

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use reports::Reports;
use support::client::{Client, get};
use support::site;
use trine::reactor::ErrorKind;
use trine::server::{DrainCount, ServerMetrics};
use trine::{EventLoop, Server, Sources};

/// Connections of each kind: idle after an answer, answered in 200 ms, answered never, and silent.
fn clients(address: SocketAddr, kinds: [usize; 4]) -> Vec<Client> {
    let mut clients = Vec::new();
    for (kind, count) in kinds.into_iter().enumerate() {
        for _ in 0..count {
            let mut client = Client::connect(address);
            match kind {
                0 => assert_eq!(client.get("/").status, 200),
                1 => client.send(get("/later/200")),
                2 => client.send(get("/later/60000")),
                _ => {}
            }
            clients.push(client);
        }
    }
    clients
}

/// Serves `kinds` of clients, then drains; how that ended, what was counted, and what was reported.
fn drain(kinds: [usize; 4]) -> (trine::Result<()>, ServerMetrics, Vec<String>) {
    let reports = Reports::under("trine::http");
    let (ended, metrics) = tracing::subscriber::with_default(reports.clone(), || {
        let mut events = EventLoop::new().unwrap();
        let mut server = Server::bind("127.0.0.1:0").unwrap();
        server.config_mut().deadlines.linger = trine::time::Span::from_millis(50);
        let address = server.local_address().unwrap();
        let handle = server.attach(&mut events, site).unwrap();
        let connecting = thread::spawn(move || {
            drop(clients(address, [1, 0, 0, 0])); // is no part of it, and says nothing of a drain
            clients(address, kinds)
        });
        let connections = kinds.iter().sum();
        let began = Instant::now();
        events
            .every(Duration::from_millis(5), move |(), _, cx| {
                let metrics = handle.metrics(cx).unwrap();
                let asked = (1 + kinds[0] + kinds[1] + kinds[2]) as u64;
                let all_there = metrics.connections == connections && metrics.requests == asked;
                if all_there && connecting.is_finished() {
                    cx.drain(Duration::from_millis(500));
                }
                assert!(began.elapsed() < support::PATIENCE, "{metrics:?}");
            })
            .unwrap();
        let ended = events.run(&mut ());
        (ended, handle.metrics(&mut events.context()).unwrap())
    });
    let lines = reports.all().into_iter().map(|(_, line)| line).collect();
    (ended, metrics, lines)
}

fn counts(metrics: &ServerMetrics) -> [u64; 3] {
    let DrainCount {
        finished,
        idle,
        cut,
        ..
    } = metrics.drain();
    [finished, idle, cut]
}

#[test]
fn a_complete_drain_counts_what_was_finished_and_what_was_idle() {
    let (ended, metrics, reports) = drain([5, 3, 0, 2]);
    ended.unwrap();
    assert_eq!(counts(&metrics), [3, 7, 0]);
    let [report] = &reports[..] else {
        panic!("{reports:?}")
    };
    let said = "message=drained: nothing was cut finished=3 idle=7 requests=9 ";
    assert_eq!(report, said);
}

#[test]
fn a_forced_drain_counts_what_was_cut_and_the_error_says_what_it_was() {
    let (ended, metrics, reports) = drain([1, 2, 3, 0]);
    let error = ended.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DrainForced);
    let says = "3 sources were unfinished: 3 http connection";
    assert!(error.to_string().contains(says), "{error}");
    assert_eq!(counts(&metrics), [2, 1, 3]);
    let said = "message=drained by force cut=3 finished=2 idle=1 requests=7 ";
    assert_eq!(reports, [said]);
}

#[test]
fn a_drain_that_finds_nobody_says_so_too() {
    let (ended, metrics, reports) = drain([0, 0, 0, 0]);
    ended.unwrap();
    assert_eq!(counts(&metrics), [0; 3]);
    assert_eq!(reports.len(), 1, "{reports:?}");
}
