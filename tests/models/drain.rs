//! The end: what is under way is finished, what is not is said, and nothing is lost in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use trine::connection::CloseReason;
use trine::reactor::ErrorKind;

use crate::Behaviour;
use crate::combination::Combination;
use crate::support::PATIENCE;
use crate::support::client::{Client, End, get};
use crate::support::eventually;

pub const GROUP: &[Behaviour] = &[
    (
        "what is under way is finished",
        what_is_under_way_is_finished,
    ),
    (
        "a drain under load loses no request",
        a_drain_under_load_loses_no_request,
    ),
    (
        "a drain that is forced ends at once",
        a_drain_that_is_forced_ends_at_once,
    ),
    ("a drain ends with its time", a_drain_ends_with_its_time),
];

fn what_is_under_way_is_finished(combination: &Combination) {
    let server = combination.start();
    let mut busy: Vec<_> = (0..16).map(|_| server.client()).collect();
    let mut idle: Vec<_> = (0..16).map(|_| server.client()).collect();
    for client in &mut idle {
        assert_eq!(client.get("/").status, 200);
    }
    for client in &mut busy {
        client.send(get("/held"));
    }
    eventually("all requests are there", || {
        server.meter().read().requests == 32
    });
    server.drain(PATIENCE);
    for client in &mut idle {
        client.ends(End::Closed);
    }
    // Each loop has had a turn since it was told.
    server.counted();
    server.counted();
    server.gate().open();
    for client in &mut busy {
        let answer = client.answer();
        assert_eq!(answer.text(), "late");
        assert!(answer.says("Connection: close"), "{answer:?}");
        client.ends(End::Closed);
    }
    let (ended, counted) = server.ended();
    ended.unwrap();
    let drain = counted.drain();
    assert_eq!((drain.finished, drain.idle, drain.cut), (16, 16, 0));
}

/// Asks until the server is gone: a request whose first octet was answered is answered whole. How many
/// were.
fn load(address: std::net::SocketAddr, is_over: &AtomicBool) -> u64 {
    let mut answered = 0;
    while let Ok(stream) = std::net::TcpStream::connect(address) {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Client::over(stream);
        for _ in 0..10 {
            // The drain may cross the request: then there is no octet of an answer.
            if !client.try_send(get("/")) {
                break;
            }
            let Some(answer) = client.answer_or_end() else {
                assert!(is_over.load(Ordering::SeqCst), "closed without a drain");
                break;
            };
            assert_eq!(answer.text(), "Hello, World!");
            answered += 1;
            if answer.says("Connection: close") {
                break;
            }
        }
    }
    assert!(is_over.load(Ordering::SeqCst), "refused without a drain");
    answered
}

fn a_drain_under_load_loses_no_request(combination: &Combination) {
    let server = combination.start();
    let (is_over, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (address, is_over) = (server.address(), Arc::clone(&is_over));
            let answered = Arc::clone(&answered);
            thread::spawn(move || {
                answered.fetch_add(load(address, &is_over), Ordering::SeqCst);
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(300));
    is_over.store(true, Ordering::SeqCst);
    server.drain(PATIENCE);
    let (ended, counted) = server.ended();
    ended.unwrap();
    for client in clients {
        client.join().unwrap();
    }
    assert_eq!(counted.accepted, counted.closed_total());
    assert_eq!(counted.drain().cut, 0);
    let answered = answered.load(Ordering::SeqCst);
    assert!(answered > 100, "{answered}");
    assert_eq!(
        counted.requests, answered,
        "each request that was taken was answered"
    );
}

fn a_drain_that_is_forced_ends_at_once(combination: &Combination) {
    let server = combination.start();
    let mut clients: Vec<_> = (0..16).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send(get("/held"));
    }
    eventually("all requests are there", || {
        server.meter().read().requests == 16
    });
    let began = Instant::now();
    server.drain(Duration::from_secs(3_600));
    server.counted();
    server.force();
    let (ended, counted) = server.ended();
    assert_eq!(
        ended.map_err(|error| error.kind()),
        Err(ErrorKind::DrainForced)
    );
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(counted.closed(CloseReason::Forced), 16);
    assert_eq!(counted.drain().cut, 16);
    for client in &mut clients {
        assert!(client.rest().0.is_empty());
    }
}

fn a_drain_ends_with_its_time(combination: &Combination) {
    let server = combination.start();
    let mut client = server.client();
    client.send(get("/held"));
    eventually("the request is there", || {
        server.meter().read().requests == 1
    });
    let began = Instant::now();
    server.drain(Duration::from_millis(300));
    let (ended, counted) = server.ended();
    let took = began.elapsed();
    assert_eq!(
        ended.map_err(|error| error.kind()),
        Err(ErrorKind::DrainForced)
    );
    assert!(
        took >= Duration::from_millis(300) && took < Duration::from_secs(5),
        "{took:?}"
    );
    assert_eq!(counted.drain().cut, 1);
}
