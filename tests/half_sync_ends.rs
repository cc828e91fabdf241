//! Workers and clients that do not wait for each other: cancelled, late, drained, left behind.

mod support;
mod workers;

use std::time::{Duration, Instant};

use support::client::{End, get};
use support::{PATIENCE, SHORT, eventually};
use trine::concurrency::WorkerOptions;
use trine::connection::CloseReason;
use workers::{options, works, works_with};

#[test]
fn a_client_that_left_cancels_what_has_not_begun_but_not_what_has() {
    let works = works(1, 10);
    let running = works.occupy(1);
    let queued = works.queue(3);
    running
        .into_iter()
        .chain(queued)
        .for_each(|client| client.reset());
    works.server.awaits_closed(CloseReason::PeerReset, 4);
    let mut last = works.queue(1);
    works.gate.open();
    assert_eq!(last[0].answer().text(), "through");
    let metrics = works.meter.read();
    assert_eq!((metrics.cancelled, metrics.done), (3, 2));
    assert_eq!(works.gate.passed(), 2);
}

#[test]
fn a_queue_full_of_what_nobody_waits_for_has_room() {
    let works = works(1, 3);
    let _running = works.occupy(1);
    works.queue(3).into_iter().for_each(|client| client.reset());
    works.server.awaits_closed(CloseReason::PeerReset, 3);
    assert_eq!(works.meter.read().queued, 3);
    let mut waiting = works.server.client();
    waiting.send(get("/block"));
    eventually("a place", || works.meter.read().cancelled == 3);
    works.gate.open();
    assert_eq!(waiting.answer().status, 200);
    assert_eq!(works.meter.read().refused, 0);
}

#[test]
fn what_is_past_its_deadline_is_answered_504_and_not_begun() {
    let works = works_with(|server| server.handler_timeout(SHORT), &options(1, 10));
    let mut running = works.occupy(1);
    let mut queued = works.queue(2);
    for client in running.iter_mut().chain(&mut queued) {
        assert_eq!(client.answer().status, 504);
        client.ends(End::Closed);
    }
    works.gate.open();
    eventually("sifted", || works.meter.read().queued == 0);
    let metrics = works.meter.read();
    assert_eq!((metrics.cancelled, works.gate.passed()), (2, 1));
    assert_eq!(works.server.client().get("/").text(), "Hello, World!");
}

#[test]
fn a_late_answer_of_a_worker_meets_nobody() {
    let works = works_with(|server| server.handler_timeout(SHORT), &options(1, 10));
    let mut late = works.occupy(1);
    late[0].send(get("/")); // pipelined behind it
    assert_eq!(late[0].answer().status, 504);
    let mut next = works.server.client();
    next.send(get("/path"));
    works.gate.open();
    assert_eq!(next.answer().text(), "/path");
    late[0].ends(End::Closed);
}

#[test]
fn a_drain_finishes_what_runs_and_what_is_queued() {
    let works = works(2, 20);
    let mut clients = works.occupy(2);
    clients.extend(works.queue(10));
    works.server.drain(PATIENCE);
    eventually("draining", || is_refused(&works.server));
    assert_eq!(works.meter.read().done, 0);
    works.gate.open();
    for client in &mut clients {
        let answer = client.answer();
        assert_eq!(answer.status, 200);
        assert!(answer.says("Connection: close"), "{answer:?}");
    }
    let meter = works.meter.clone();
    works.server.ended().unwrap();
    assert_eq!((meter.read().done, meter.read().cancelled), (12, 0));
}

/// Whether nobody listens any more.
fn is_refused(server: &support::Running) -> bool {
    std::net::TcpStream::connect_timeout(&server.address(), PATIENCE).is_err()
}

#[test]
fn a_drain_that_is_forced_drops_what_is_queued_and_leaves_a_stuck_worker_behind() {
    let patience = Duration::from_millis(50);
    let options = WorkerOptions {
        patience,
        ..options(1, 20)
    };
    let works = works_with(|server| server, &options);
    let _running = works.occupy(1);
    let _queued = works.queue(5);
    let (gate, meter) = (works.gate.clone(), works.meter.clone());
    let began = Instant::now();
    works.server.drain(Duration::from_millis(50));
    let error = works.server.ended().unwrap_err();
    assert_eq!(error.kind(), trine::reactor::ErrorKind::DrainForced);
    assert!(began.elapsed() < PATIENCE, "nobody has opened the gate");
    let metrics = meter.read();
    assert_eq!((metrics.running, metrics.cancelled), (1, 5));
    gate.open();
    eventually("the end of the worker", || meter.read().done == 1);
    assert_eq!(gate.passed(), 1);
}

#[test]
fn clients_that_come_and_leave_race_with_workers_and_every_request_is_counted_once() {
    let works = works(2, 8);
    works.gate.open();
    for n in 0..300 {
        let mut client = works.server.client();
        client.send(get("/block"));
        match n % 3 {
            0 => client.reset(),
            1 => drop(client),
            _ => assert_eq!(client.answer().text(), "through"),
        }
    }
    eventually("all gone", || {
        works.server.counters().server.connections == 0
    });
    eventually("at rest", || {
        let metrics = works.meter.read();
        metrics.accepted == metrics.done + metrics.cancelled
    });
    let metrics = works.meter.read();
    assert_eq!(metrics.done, works.gate.passed() as u64);
    assert!(metrics.accepted + metrics.refused <= 300 && metrics.done >= 100);
}
