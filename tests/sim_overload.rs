//! A server that is short of memory, connections or descriptors, in virtual time: which rung it is on,
//! who is cut first, who is served all the while, and that it goes back to normal.
#![cfg(feature = "testing")]

use std::time::Duration;

use trine::http::Request;
use trine::server::{Ladder, Rung, ServerHandle, ServerMetrics};
use trine::service::{Answered, Reply, Service};
use trine::testing::{Client, Faults, Sim};
use trine::time::Span;
use trine::{CloseReason, Response, Server};

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// Says "ok", and counts how often it was asked.
struct Site;

impl Service<u32> for Site {
    fn call(&mut self, _: &Request<'_>, reply: Reply<'_>, calls: &mut u32) -> Answered {
        *calls += 1;
        reply.send(Response::text("ok"))
    }
}

struct World {
    sim: Sim<u32>,
    address: std::net::SocketAddr,
    handle: ServerHandle<u32, Site>,
}

impl World {
    fn new(configure: impl FnOnce(Server) -> Server) -> World {
        let mut sim = Sim::with_state(7, 0);
        let server = configure(sim.server());
        let (address, handle) = sim.attach(server, Site);
        World {
            sim,
            address,
            handle,
        }
    }

    fn metrics(&mut self) -> ServerMetrics {
        let handle = self.handle;
        let counted = self
            .sim
            .with(|events, _| handle.metrics(&mut events.context()));
        counted.unwrap()
    }

    fn connect(&mut self) -> Client<u32> {
        self.sim.connect(self.address)
    }

    /// A client that was answered and stays.
    fn idle(&mut self) -> Client<u32> {
        let mut client = self.connect();
        client.send(GET);
        assert_eq!(client.reply().status(), 200);
        client
    }

    /// A client that has sent `bytes` of a body of `length`.
    fn uploading(&mut self, length: usize, bytes: usize) -> Client<u32> {
        let mut client = self.connect();
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
        client.send(head);
        client.send(vec![b'x'; bytes]);
        self.sim.settle();
        client
    }

    fn pass(&mut self, millis: u64) {
        self.sim.advance(Duration::from_millis(millis));
    }
}

const KIB: usize = 1024;

#[test]
fn eight_thousand_idle_connections_go_oldest_first_under_memory_pressure_and_active_ones_are_served()
 {
    // Each upload below holds 128 KiB.
    let mut world = World::new(|server| {
        server
            .memory_max(1000 * KIB)
            .connections_max(20_000)
            .idle_timeout(Duration::from_secs(600))
    });
    let mut old: Vec<_> = (0..4_000).map(|_| world.idle()).collect();
    world.pass(500);
    let mut young: Vec<_> = (0..4_000).map(|_| world.idle()).collect();
    world.pass(500);
    let mut active = world.idle();
    let uploads: Vec<_> = (0..7).map(|_| world.uploading(100_000, 70_000)).collect();
    let metrics = world.metrics();
    assert_eq!(metrics.memory, 7 * 128 * KIB);
    assert_eq!(metrics.rung, Rung::ShortenIdle);
    assert_eq!(metrics.closed(CloseReason::Evicted), 0);
    let more = world.uploading(50_000, 20_000);
    assert_eq!(world.metrics().rung, Rung::CloseIdle);

    let mut evicted = 0;
    for _ in 0..20 {
        world.pass(100);
        active.send(GET);
        let answer = active.reply();
        assert_eq!(answer.status(), 200);
        let now = world.metrics().closed(CloseReason::Evicted);
        assert!(now > evicted, "no progress");
        evicted = now;
    }
    let gone = |clients: &mut [Client<u32>]| {
        let gone = clients.iter_mut().filter(|client| !client.ends().is_open);
        gone.count() as u64
    };
    assert_eq!((gone(&mut old), gone(&mut young)), (evicted, 0));

    // The bodies are complete: the memory is free, and the server on its way back.
    for mut upload in uploads.into_iter().chain([more]) {
        upload.send(vec![b'x'; 30_000]);
        assert_eq!(upload.reply().status(), 200);
    }
    world.pass(3_000);
    let metrics = world.metrics();
    assert_eq!((metrics.rung, metrics.memory), (Rung::Normal, 0));
    assert_eq!(metrics.rung_entries(Rung::CloseIdle), 1);
    assert!(metrics.rung_time(Rung::CloseIdle) >= Duration::from_secs(2));
    let evicted = metrics.closed(CloseReason::Evicted);
    world.pass(10_000);
    assert_eq!(world.metrics().closed(CloseReason::Evicted), evicted);
    assert!(young.iter_mut().all(|client| client.is_open()));
}

#[test]
fn a_full_server_gives_the_place_of_whoever_was_idle_for_longest_to_a_newcomer() {
    let mut world = World::new(|server| server.connections_max(10));
    let mut first = world.idle();
    world.pass(50);
    let mut others: Vec<_> = (0..9).map(|_| world.idle()).collect();
    world.pass(100);
    let mut newcomer = world.idle();
    assert!(!first.is_open());
    assert!(others.iter_mut().all(|client| client.is_open()) && newcomer.is_open());
    let metrics = world.metrics();
    assert_eq!(metrics.closed(CloseReason::Evicted), 1);
    assert_eq!(metrics.closed(CloseReason::Overloaded), 0);
    assert_eq!(metrics.connections, 10);
}
