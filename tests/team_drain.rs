//! The end of a server on a team of threads: nobody who was let in is forgotten, and what had to be cut is
//! said.

mod support;

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use support::client::{Client, End, get};
use support::team::start;
use support::{PATIENCE, SHORT, run_with, site};
use trine::concurrency::TeamOptions;
use trine::http::Request;
use trine::proactor::{Pattern, ProactorOptions};
use trine::reactor::{ErrorKind, Mail};
use trine::service::Reply;
use trine::{Server, Sources};

const THREADS: usize = 2;

/// More than a listener takes in a turn, several times over.
const QUEUED: usize = 300;

#[test]
fn clients_that_stand_in_the_queue_when_the_drain_begins_are_answered_and_closed() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_address().unwrap();
    let mut clients: Vec<Client> = (0..QUEUED).map(|_| Client::connect(address)).collect();
    for client in &mut clients {
        client.send(get("/"));
    }
    let running = run_with(server, |server, event_loop| {
        // In the turn in which the listener takes the first of them.
        let drain = event_loop.inbox(1, |(), mail, cx| {
            if let Mail::Message(grace) = mail {
                cx.drain(grace);
                thread::sleep(Duration::from_millis(20)); // the turn is no short one
            }
        })?;
        drain.try_send(PATIENCE * 100).unwrap();
        let options = TeamOptions {
            threads: THREADS,
            ..TeamOptions::default()
        };
        server.attach_team(event_loop, options, || site, || ())
    });
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
        client.ends(End::Closed);
    }
    let (ended, last) = running.ended_with();
    ended.unwrap();
    assert_eq!(last.accepted, QUEUED as u64);
    assert_eq!((last.requests, last.drain().cut), (QUEUED as u64, 0));
}

#[test]
fn a_drain_without_any_grace_closes_idle_clients_and_cuts_nobody() {
    let server = start(THREADS, |server| server, || site);
    let mut idle: Vec<Client> = (0..20).map(|_| server.client()).collect();
    for client in &mut idle {
        assert_eq!(client.get("/").status, 200);
    }
    server.drain(Duration::ZERO);
    for client in &mut idle {
        client.ends(End::Closed);
    }
    let (ended, last) = server.ended_with();
    ended.unwrap();
    assert_eq!((last.drain().idle, last.drain().cut), (20, 0));
}

#[test]
fn a_client_whose_service_does_not_come_back_is_cut_in_the_books_too() {
    one_is_cut(|server| server);
}

#[test]
fn so_is_one_that_is_served_by_operations() {
    one_is_cut(|server| {
        server.proactor(ProactorOptions {
            pattern: Pattern::Emulated,
            ..ProactorOptions::default()
        })
    });
}

fn one_is_cut(configure: impl FnOnce(Server) -> Server) {
    let (enter, entered) = channel();
    let (release, released) = channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let server = start(THREADS, configure, move || {
        let (enter, released) = (enter.clone(), Arc::clone(&released));
        move |_: &Request<'_>, reply: Reply<'_>, (): &mut ()| {
            enter.send(()).unwrap();
            let _ = released.lock().unwrap().recv_timeout(PATIENCE);
            reply.text("late")
        }
    });
    let (mut stuck, mut idle) = (server.client(), server.client());
    stuck.send(get("/"));
    entered.recv_timeout(PATIENCE).unwrap();
    support::eventually("both are there", || {
        server.counters().server.connections == 2
    });
    server.drain(SHORT);
    idle.ends(End::Closed);
    let (ended, last) = server.ended_with();
    let error = ended.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DrainForced);
    assert!(error.to_string().contains("unfinished: 1"), "{error}");
    assert_eq!((last.connections, last.drain().cut), (0, 1));
    assert_eq!(last.accepted, last.closed_total());
    drop(release);
}
