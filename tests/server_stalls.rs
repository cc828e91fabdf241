//! A loop that was kept busy finds more to do than fits into one batch: what came in time wins.

mod support;

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use support::client::{Client, get};
use support::start;
use trine::http::Request;
use trine::service::{Answered, Reply};

/// More than the loop takes from the kernel at once.
const CLIENTS: usize = 2_500;
const IDLE: Duration = Duration::from_millis(400);
const STALL: Duration = Duration::from_millis(1_000);

fn blocking_site(request: &Request<'_>, reply: Reply<'_>, (): &mut ()) -> Answered {
    if request.path() == "/stall" {
        thread::sleep(STALL);
    }
    reply.text("Hello, World!")
}

fn connected(address: SocketAddr) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(address)).collect();
    for client in &mut clients {
        client.send(get("/"));
    }
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
    clients
}

#[test]
fn requests_that_come_in_time_while_the_loop_is_stalled_are_answered_however_many() {
    let server = start(
        |server| server.idle_timeout(IDLE).connections_max(2 * CLIENTS),
        blocking_site,
    );
    let mut clients = connected(server.address());
    for client in &mut clients {
        client.send(get("/")); // all are fresh
    }
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
    let mut stalling = server.client();
    stalling.send(get("/stall"));
    thread::sleep(Duration::from_millis(20)); // it is stalled by now
    for client in &mut clients {
        client.send(get("/"));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let status = client.answer_or_end().map(|answer| answer.status);
        assert_eq!(status, Some(200), "client {number}");
    }
}
