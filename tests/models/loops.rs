//! Several loops: all of them serve, and what they count adds up.

use std::collections::BTreeSet;

use crate::Behaviour;
use crate::combination::{Combination, Kind, LOOPS};
use crate::support::eventually;

pub const GROUP: &[Behaviour] = &[
    (
        "every loop serves and what they count adds up",
        every_loop_serves,
    ),
    (
        "the service is called by as many threads as there are to be",
        all_threads_call_the_service,
    ),
];

fn every_loop_serves(combination: &Combination) {
    let server = combination.start();
    let mut clients: Vec<_> = (0..200).map(|_| server.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    let counted = || -> Vec<_> {
        let loops = server.meter().loops().into_iter();
        loops.map(|it| it.server).collect()
    };
    let mut loops = Vec::new();
    eventually("all is counted", || {
        loops = counted();
        let requests: u64 = loops.iter().map(|it| it.requests).sum();
        let connections: usize = loops.iter().map(|it| it.connections).sum();
        (requests, connections) == (200, 200) // and none is on its way
    });
    assert_eq!(loops.len(), combination.loops());
    let connections: Vec<_> = loops.iter().map(|it| it.connections).collect();
    for one in &loops {
        let came = one.accepted + one.taken_over - one.given_away;
        assert_eq!(came, one.connections as u64, "{connections:?}");
        assert!(one.requests > 0, "{connections:?}");
    }
    if combination.is_even() {
        let even = 200 / combination.loops();
        assert!(
            connections.iter().all(|it| it.abs_diff(even) <= 1),
            "{connections:?}"
        );
    }
    if combination.kind == Kind::Rebalancing {
        let (least, most) = (connections.iter().min(), connections.iter().max());
        assert!(most.unwrap() - least.unwrap() <= 4, "{connections:?}");
        assert!(loops.iter().any(|it| it.given_away > 0));
    }
    let whole = server.meter().read();
    let limits: usize = loops.iter().map(|it| it.connections_max).sum();
    assert_eq!(limits, whole.connections_max);
    drop(clients);
    assert_eq!(server.end().accepted, 200);
}

fn all_threads_call_the_service(combination: &Combination) {
    let server = combination.start();
    let mut clients: Vec<_> = (0..100).map(|_| server.client()).collect();
    let mut named = || -> BTreeSet<String> {
        let all = clients.iter_mut().map(|it| it.get("/thread"));
        all.map(|answer| answer.text().to_owned()).collect()
    };
    let threads = match combination.kind {
        Kind::Single => 1,
        Kind::HalfSync | Kind::Team => return, // which thread is next is nobody's promise
        Kind::LoopPerCore | Kind::OneAcceptor | Kind::Rebalancing => LOOPS,
    };
    assert_eq!(named().len(), threads);
}
