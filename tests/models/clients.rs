//! Clients that leave in the middle, or take their time: they cost nobody else anything.

use std::time::Duration;

use trine::connection::CloseReason;

use crate::Behaviour;
use crate::combination::Combination;
use crate::site::SHARED;
use crate::support::client::get;
use crate::support::eventually;

pub const GROUP: &[Behaviour] = &[
    (
        "clients that reset anywhere are gone",
        clients_that_reset_anywhere_are_gone,
    ),
    ("a slow reader gets all of it", a_slow_reader_gets_all_of_it),
    (
        "a client that has left is not answered",
        a_client_that_has_left_is_not_answered,
    ),
];

fn clients_that_reset_anywhere_are_gone(combination: &Combination) {
    let server = combination.start();
    let mut bystander = server.client();
    let requests = [
        "",
        "GET / HT",
        "POST /collected HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
        "GET /later/30 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /shared HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /chunks/100000 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /panic HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for round in 0..8 {
        for request in requests {
            let mut client = server.client();
            client.send(request);
            if round % 2 == 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
            client.reset();
        }
        assert_eq!(bystander.get("/").status, 200);
    }
    eventually("only the bystander is there", || {
        server.meter().read().connections == 1
    });
    drop(bystander);
    assert_eq!(server.end().accepted, 65);
}

fn a_slow_reader_gets_all_of_it(combination: &Combination) {
    let server = combination.start();
    let mut client = server.client();
    client.send(get("/shared"));
    let mut left = SHARED;
    client.head();
    while left > 0 {
        left -= client.take(left.min(SHARED / 50));
        std::thread::sleep(Duration::from_millis(4));
        if left.is_multiple_of(7) {
            assert_eq!(server.client().get("/").status, 200, "nobody waits for it");
        }
    }
    assert_eq!(client.get("/").status, 200);
}

fn a_client_that_has_left_is_not_answered(combination: &Combination) {
    let server = combination.start();
    let mut client = server.client();
    client.send(get("/later/50"));
    eventually("the request is there", || {
        server.meter().read().requests == 1
    });
    client.reset();
    server.awaits_closed(CloseReason::PeerReset, 1);
    assert_eq!(server.end().requests, 1);
}
