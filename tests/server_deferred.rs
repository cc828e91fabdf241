//! Answers that come later: from another thread, after a delay, never, or for nobody.

mod support;

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use support::client::{Client, get};
use support::{PATIENCE, Running, SHORT, eventually, promises, site, start};
use trine::Response;
use trine::connection::CloseReason;
use trine::service::Deferred;
use trine::time::Span;

type Promises = Receiver<(String, Deferred)>;

fn promising() -> (Running, Promises) {
    let (give, take) = channel();
    (start(|server| server, promises(give)), take)
}

fn promise(promises: &Promises) -> Deferred {
    promises.recv_timeout(PATIENCE).unwrap().1
}

#[test]
fn an_answer_may_come_from_another_thread() {
    let (server, promises) = promising();
    let worker = thread::spawn(move || {
        for (path, deferred) in promises {
            assert!(!deferred.is_cancelled());
            deferred.send(Response::text(path));
        }
    });
    let mut clients: Vec<Client> = (0..20).map(|_| server.client()).collect();
    for round in 0..10 {
        for client in &mut clients {
            client.send(get(&format!("/{round}")));
        }
        for client in &mut clients {
            assert_eq!(client.answer().text(), format!("/{round}"));
        }
    }
    assert_eq!(server.stop().server.requests, 200);
    worker.join().unwrap();
}

#[test]
fn pipelined_requests_wait_for_a_promised_answer_and_keep_their_order() {
    let (server, promises) = promising();
    let mut client = server.client();
    client.send([get("/1"), get("/2"), get("/3")].concat());
    for n in 1..=3 {
        let (path, deferred) = promises.recv_timeout(PATIENCE).unwrap();
        assert_eq!(path, format!("/{n}"));
        assert!(promises.try_recv().is_err(), "one request is in flight");
        deferred.send(Response::text(path.clone()));
        assert_eq!(client.answer().text(), path);
    }
}

#[test]
fn answers_given_before_a_promise_do_not_wait_for_it() {
    let server = start(|server| server, site);
    let mut client = server.client();
    client.send([get("/"), get("/later/300000")].concat());
    assert_eq!(client.answer().text(), "Hello, World!");
    assert!(client.is_silent_for(Duration::from_millis(20)));
}

#[test]
fn a_delayed_answer_is_never_early_and_holds_up_nobody() {
    let server = start(|server| server, site);
    let mut waiting = server.client();
    let mut other = server.client();
    let began = Instant::now();
    waiting.send([get("/later/200"), get("/")].concat());
    for _ in 0..10 {
        assert_eq!(other.get("/").status, 200);
    }
    assert_eq!(waiting.answer().text(), "late");
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert_eq!(waiting.answer().text(), "Hello, World!");
}

#[test]
fn a_delay_may_be_longer_than_the_service_may_take() {
    let (give, take) = channel();
    let server = start(|server| server.handler_timeout(SHORT), promises(give));
    let mut client = server.client();
    client.send(get("/"));
    let delay = Span::from_millis(2 * SHORT.as_millis() as u64);
    promise(&take).send_after(delay, Response::text("in good time"));
    assert_eq!(client.answer().text(), "in good time");
}

#[test]
fn a_promise_lost_by_another_thread_is_answered_500() {
    let (server, promises) = promising();
    let mut client = server.client();
    client.send(get("/"));
    drop(promise(&promises));
    assert_eq!(client.answer().status, 500);
    drop(client);
    server.awaits_closed(CloseReason::Abandoned, 1);
}

#[test]
fn a_client_that_resets_cancels_its_request() {
    let (server, promises) = promising();
    let mut client = server.client();
    client.send(get("/"));
    let deferred = promise(&promises);
    assert!(!deferred.is_cancelled());
    client.reset();
    eventually("cancelled", || deferred.is_cancelled());
    server.awaits_closed(CloseReason::PeerReset, 1);
    deferred.send(Response::text("for nobody"));
    let mut next = server.client();
    next.send(get("/next"));
    promise(&promises).send(Response::text("for you"));
    assert_eq!(
        next.answer().text(),
        "for you",
        "the late answer met nobody"
    );
}

#[test]
fn a_client_that_shuts_its_half_still_gets_its_promised_answer() {
    let (server, promises) = promising();
    let mut client = server.client();
    client.send(get("/"));
    client.finish();
    let deferred = promise(&promises);
    let turns = server.counters().turns;
    thread::sleep(Duration::from_millis(50)); // time enough to spin
    assert!(server.counters().turns - turns < 10, "it spins");
    assert!(!deferred.is_cancelled());
    deferred.send(Response::text("still here"));
    assert_eq!(client.answer().text(), "still here");
    server.awaits_closed(CloseReason::PeerClosed, 1);
}

#[test]
fn a_late_answer_does_not_reach_the_next_request_of_the_same_client() {
    let (give, take) = channel();
    let server = start(|server| server.handler_timeout(SHORT), promises(give));
    let mut client = server.client();
    client.send([get("/1"), get("/2")].concat());
    let late = promise(&take);
    assert_eq!(client.answer().status, 504);
    late.send(Response::text("late"));
    let (rest, _) = client.rest();
    assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
    assert!(take.try_recv().is_err(), "what follows a 504 is not served");
}

#[test]
fn answers_and_leaving_clients_may_race() {
    let (server, promises) = promising();
    let worker = thread::spawn(move || {
        for (_, deferred) in promises {
            deferred.send(Response::text("whoever you are"));
        }
    });
    for n in 0..300 {
        let mut client = server.client();
        client.send(get("/"));
        match n % 3 {
            0 => client.reset(),
            1 => drop(client),
            _ => assert_eq!(client.answer().text(), "whoever you are"),
        }
    }
    eventually("all gone", || server.counters().server.connections == 0);
    let counters = server.stop().server;
    assert_eq!((counters.accepted, counters.closed_total()), (300, 300));
    worker.join().unwrap();
}
