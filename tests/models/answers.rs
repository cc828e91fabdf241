//! Answers: in order, at once or later, and to each who asks whatever happens to another.

use crate::Behaviour;
use crate::combination::Combination;
use crate::support::client::{End, get};
use crate::support::eventually;

pub const GROUP: &[Behaviour] = &[
    ("a request is answered", a_request_is_answered),
    ("a connection is kept", a_connection_is_kept),
    (
        "pipelined requests are answered in order",
        pipelined_requests_are_answered_in_order,
    ),
    (
        "an answer may come later from another thread",
        an_answer_may_come_later,
    ),
    ("a panic is one client's 500", a_panic_is_one_clients_500),
    (
        "many clients at one time are answered",
        many_clients_at_one_time_are_answered,
    ),
];

fn a_request_is_answered(combination: &Combination) {
    let server = combination.start();
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.text()), (200, "Hello, World!"));
    assert!(answer.says("Connection: close"), "{answer:?}");
    client.ends(End::Closed);
    assert_eq!(server.end().requests, 1);
}

fn a_connection_is_kept(combination: &Combination) {
    let server = combination.start();
    let mut client = server.client();
    for number in 0..20 {
        let path = format!("/target?{number}");
        assert_eq!(client.get(&path).text(), path);
    }
    let counted = server.end();
    assert_eq!((counted.accepted, counted.requests), (1, 20));
}

fn pipelined_requests_are_answered_in_order(combination: &Combination) {
    let server = combination.start();
    let mut client = server.client();
    // Every third is answered by a thread, and the others must wait for it.
    let path = |number: usize| match number % 3 {
        1 => format!("/later/{}", number % 5),
        _ => format!("/target?{number}"),
    };
    let all: Vec<u8> = (0..50).flat_map(|number| get(&path(number))).collect();
    client.send(all);
    for number in 0..50 {
        let said = match number % 3 {
            1 => "late".to_owned(),
            _ => path(number),
        };
        assert_eq!(client.answer().text(), said, "number {number}");
    }
    assert_eq!(server.end().requests, 50);
}

fn an_answer_may_come_later(combination: &Combination) {
    let server = combination.start();
    let mut waiting: Vec<_> = (0..20).map(|_| server.client()).collect();
    for (number, client) in waiting.iter_mut().enumerate() {
        client.send(get(&format!("/later/{}", 20 + number)));
    }
    assert_eq!(server.client().get("/").status, 200, "nobody else waits");
    for client in &mut waiting {
        assert_eq!(client.answer().text(), "late");
    }
    assert_eq!(server.end().requests, 21);
}

fn a_panic_is_one_clients_500(combination: &Combination) {
    let server = combination.start();
    let mut bystanders: Vec<_> = (0..8).map(|_| server.client()).collect();
    for client in &mut bystanders {
        assert_eq!(client.get("/").status, 200);
    }
    for _ in 0..4 {
        let mut client = server.client();
        assert_eq!(client.get("/panic").status, 500);
        client.ends(End::Closed);
    }
    for client in &mut bystanders {
        assert_eq!(client.get("/").status, 200);
    }
    // A worker that panics is counted among the workers.
    eventually("4 panics", || {
        let workers = server.meter().workers().map_or(0, |it| it.panics);
        server.meter().read().panics + workers == 4
    });
}

fn many_clients_at_one_time_are_answered(combination: &Combination) {
    let server = combination.start();
    let mut clients: Vec<_> = (0..200).map(|_| server.client()).collect();
    for round in 0..3 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(get(&format!("/target?{round}-{number}")));
        }
        for (number, client) in clients.iter_mut().enumerate() {
            let said = format!("/target?{round}-{number}");
            assert_eq!(client.answer().text(), said);
        }
    }
    let counted = server.end();
    assert_eq!((counted.accepted, counted.requests), (200, 600));
}
