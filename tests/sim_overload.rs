//! A server that is short of memory, connections or descriptors, in virtual time: which rung it is on,
//! who is cut first, who is served all the while, and that it goes back to normal.
#![cfg(feature = "testing")]

use std::time::Duration;

use trine::http::Request;
use trine::server::{Ladder, Rung, ServerHandle, ServerMetrics};
use trine::service::{Answered, Reply, Service};
use trine::testing::{Client, Faults, Sim};
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
        World::seeded(7, configure)
    }

    fn seeded(seed: u64, configure: impl FnOnce(Server) -> Server) -> World {
        let mut sim = Sim::with_state(seed, 0);
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

#[test]
fn one_newcomer_costs_as_many_places_as_one_pass_takes_and_no_more() {
    let mut world = World::new(|server| server.connections_max(100));
    let _idle: Vec<_> = (0..100).map(|_| world.idle()).collect();
    world.pass(200); // none of them long enough to go for that alone
    let newcomer = world.idle();
    world.pass(3_000);
    let metrics = world.metrics();
    assert_eq!(metrics.closed(CloseReason::Evicted), 100 / 8);
    assert_eq!(metrics.closed(CloseReason::Overloaded), 0);
    drop(newcomer);
}

#[test]
fn a_newcomer_is_refused_when_nobody_has_been_idle_for_long_enough() {
    let mut world = World::new(|server| server.connections_max(10));
    let mut young: Vec<_> = (0..10).map(|_| world.idle()).collect();
    world.pass(99);
    let mut newcomer = world.connect();
    assert_eq!(newcomer.reply().status(), 503);
    assert!(young.iter_mut().all(|client| client.is_open()));
    let metrics = world.metrics();
    assert_eq!(metrics.closed(CloseReason::Evicted), 0);
    assert_eq!(metrics.rung, Rung::CloseIdle);
}

#[test]
fn those_who_say_nothing_go_before_those_who_were_answered_since() {
    let mut world = World::new(|server| server.connections_max(100));
    let mut silent: Vec<_> = (0..50).map(|_| world.connect()).collect();
    world.pass(10);
    let mut answered: Vec<_> = (0..50).map(|_| world.idle()).collect();
    world.pass(200);
    let newcomers: Vec<_> = (0..40).map(|_| world.idle()).collect();
    let gone = silent.iter_mut().filter(|client| !client.ends().is_open);
    assert_eq!(
        gone.count(),
        48,
        "an eighth of all for each that found no place"
    );
    assert!(answered.iter_mut().all(|client| client.is_open()));
    drop(newcomers);
}

/// The race that every server with idle connections has: the client's next request is on its way when
/// the server decides to close. What has arrived is answered.
#[test]
fn a_request_that_has_arrived_when_its_connection_is_to_go_is_answered() {
    let mut crossed = 0;
    for seed in 0..200 {
        let mut world = World::seeded(seed, |server| server.connections_max(1));
        let mut first = world.idle();
        world.pass(500);
        world.sim.set_faults(Faults {
            delays: 0.5, // the loop learns of what has arrived later
            ..Faults::none()
        });
        let mut newcomer = world.connect();
        world.sim.turn();
        world.sim.turn();
        first.send(GET);
        newcomer.send(GET);
        world.pass(5_000);
        match first.try_reply() {
            Some(answer) => {
                assert_eq!(answer.status(), 200, "seed {seed}");
                crossed += 1;
            }
            // It was closed before the request was there.
            None => assert!(!first.ends().is_open, "seed {seed}"),
        }
        assert!(newcomer.try_reply().is_some(), "seed {seed}");
    }
    assert!((1..200).contains(&crossed), "{crossed}");
}

/// Uploads that stand still with so many bytes in their buffers.
fn holding(world: &mut World, kib: usize) -> Vec<Client<u32>> {
    (0..kib / 128)
        .map(|_| world.uploading(100_000, 70_000))
        .collect()
}

#[test]
fn under_more_pressure_answers_are_the_last_then_requests_are_refused_then_nobody_is_accepted() {
    let mut world = World::new(|server| server.memory_max(1000 * KIB));
    let mut early: Vec<_> = (0..3).map(|_| world.idle()).collect();
    let mut waiting: Vec<_> = (0..3).map(|_| world.connect()).collect();
    world.sim.settle();
    // Active ones are those that are not idle for 100 ms: the clock stands still here.
    let mut uploads = holding(&mut world, 896);
    uploads.extend([(); 2].map(|()| world.uploading(40_000, 20_000))); // 32 KiB each
    assert_eq!(world.metrics().rung, Rung::NoKeepAlive);
    early[0].send(GET);
    let answer = early[0].reply();
    assert_eq!(
        (answer.status(), answer.field("connection")),
        (200, Some(&b"close"[..]))
    );
    assert!(!early[0].is_open());

    uploads.extend([(); 2].map(|()| world.uploading(40_000, 4_000))); // 16 KiB each
    assert_eq!(world.metrics().rung, Rung::Refuse);
    let calls = world.sim.with(|_, calls| *calls);
    for client in [&mut early[1], &mut waiting[0]] {
        client.send(GET);
        let answer = client.reply();
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.field("retry-after"), Some(&b"1"[..]));
    }
    assert_eq!(
        world.sim.with(|_, calls| *calls),
        calls,
        "the service was called"
    );
    world.pass(2_500); // they linger
    let metrics = world.metrics();
    assert_eq!(metrics.closed(CloseReason::Refused), 2);
    assert_eq!(metrics.closed(CloseReason::Shed), 1);
}

#[test]
fn while_accepting_pauses_clients_wait_and_are_let_in_when_there_is_memory_again() {
    let mut world = World::new(|server| server.memory_max(256 * KIB));
    let uploads = holding(&mut world, 256);
    let metrics = world.metrics();
    assert_eq!(
        (metrics.rung, metrics.memory),
        (Rung::PauseAccepting, 256 * KIB)
    );
    let accepted = metrics.accepted;
    let mut newcomer = world.connect();
    newcomer.send(GET);
    world.pass(2_000);
    assert_eq!(world.metrics().accepted, accepted);
    assert!(newcomer.try_reply().is_none());
    drop(uploads);
    world.pass(1_000);
    world.pass(5_000);
    assert_eq!(world.metrics().rung, Rung::Normal);
    let answer = newcomer.reply();
    assert!([200, 503].contains(&answer.status())); // refused if it came in on the way down
    world.idle();
}

#[test]
fn a_body_that_would_go_beyond_the_memory_is_refused_and_the_others_are_whole() {
    let mut world = World::new(|server| server.memory_max(640 * KIB).overload(Ladder::off()));
    let mut uploads: Vec<_> = (0..4).map(|_| world.uploading(100_000, 70_000)).collect();
    let mut one_more = world.uploading(200_000, 70_000);
    assert_eq!(world.metrics().memory, 640 * KIB);
    one_more.send(vec![b'x'; 130_000]);
    assert_eq!(one_more.reply().status(), 503);
    assert!(world.metrics().memory <= 640 * KIB);
    for upload in &mut uploads {
        upload.send(vec![b'x'; 30_000]);
        assert_eq!(upload.reply().status(), 200);
    }
    let metrics = world.metrics();
    assert_eq!(metrics.closed(CloseReason::MemoryLimit), 1);
    assert_eq!((metrics.memory, metrics.rung), (0, Rung::Normal));
}

#[test]
fn idle_times_are_shorter_when_most_connections_are_taken_and_long_again_after() {
    let mut world = World::new(|server| server.connections_max(100));
    let mut first = world.idle();
    world.pass(20_000);
    let most: Vec<_> = (0..89).map(|_| world.idle()).collect();
    world.pass(1_000);
    assert_eq!(world.metrics().rung, Rung::ShortenIdle);
    assert!(!first.is_open(), "21 s are more than 5 s");
    world.pass(3_000);
    assert_eq!(world.metrics().connections, 89);
    drop(most);
    world.pass(2_000);
    assert_eq!(world.metrics().rung, Rung::Normal);
    let mut next = world.idle();
    world.pass(74_000);
    assert!(next.is_open());
}

#[test]
fn without_shortage_there_is_no_sweep_and_nothing_wakes_the_loop() {
    let mut world = World::new(|server| server.connections_max(10));
    let sources = |world: &mut World| world.sim.with(|events, _| events.len());
    let mut clients: Vec<_> = (0..7).map(|_| world.idle()).collect();
    assert_eq!(sources(&mut world), 8);
    clients.push(world.idle());
    assert_eq!(
        sources(&mut world),
        10,
        "a listener, eight connections and a sweep"
    );
    clients.truncate(5);
    world.pass(3_000);
    assert_eq!(sources(&mut world), 6);
    let steps = world.sim.step();
    world.pass(60_000);
    assert!(world.sim.step() - steps < 3, "something wakes the loop");
}

#[test]
fn a_drain_ends_whatever_the_server_was_short_of() {
    let mut world = World::new(|server| server.memory_max(256 * KIB));
    let mut uploads = holding(&mut world, 256);
    let idle = world.connect();
    assert_eq!(world.metrics().rung, Rung::PauseAccepting);
    world
        .sim
        .with(|events, _| events.context().drain(Duration::from_secs(30)));
    world.sim.settle();
    for upload in &mut uploads {
        upload.send(vec![b'x'; 30_000]);
        assert_eq!(upload.reply().status(), 200);
    }
    drop(idle);
    world.pass(3_000);
    assert_eq!(world.sim.outcome(), Some(Ok(())));
}

#[test]
fn whoever_stands_in_the_queue_while_accepting_pauses_is_let_in_and_answered_by_a_drain() {
    let mut world = World::new(|server| server.memory_max(256 * KIB));
    let _uploads = holding(&mut world, 256);
    let mut queued = world.connect();
    queued.send(GET);
    world.sim.settle();
    assert!(queued.ends().moments.accepted.is_none());
    world
        .sim
        .with(|events, _| events.context().drain(Duration::from_secs(30)));
    assert_eq!(queued.reply().status(), 200);
    assert_eq!(world.metrics().rung, Rung::Normal);
}

#[test]
fn a_turn_that_was_too_short_for_a_connection_is_counted() {
    let mut world = World::new(|server| server);
    let mut client = world.connect();
    client.send(GET.repeat(100));
    for _ in 0..100 {
        assert_eq!(client.reply().status(), 200);
    }
    assert_eq!(world.metrics().shares_spent, 100 / 16);
}

#[test]
fn each_server_of_a_loop_closes_its_own_connections_only() {
    let mut sim = Sim::with_state(3, 0);
    let (small, of_small) = sim.attach(sim.server().connections_max(2), Site);
    let (large, of_large) = sim.attach(sim.server(), Site);
    let visit = |sim: &mut Sim<u32>, address| {
        let mut client = sim.connect(address);
        client.send(GET);
        assert_eq!(client.reply().status(), 200);
        client
    };
    let mut others: Vec<_> = (0..20).map(|_| visit(&mut sim, large)).collect();
    let first = visit(&mut sim, small);
    let second = visit(&mut sim, small);
    sim.advance(Duration::from_secs(1));
    let third = visit(&mut sim, small);
    let closed = |sim: &mut Sim<u32>, handle: ServerHandle<u32, Site>| {
        let metrics = sim.with(|events, _| handle.metrics(&mut events.context()));
        metrics.unwrap().closed(CloseReason::Evicted)
    };
    assert_eq!(
        (closed(&mut sim, of_small), closed(&mut sim, of_large)),
        (1, 0)
    );
    assert!(others.iter_mut().all(|client| client.is_open()));
    drop((first, second, third));
}

#[test]
fn a_ladder_that_makes_no_sense_is_refused_with_the_reason() {
    let mut events = trine::EventLoop::<u32>::new().unwrap();
    let ladder = Ladder {
        refuse: 50,
        ..Ladder::default()
    };
    let server = Server::bind("127.0.0.1:0").unwrap().overload(ladder);
    let error = server.attach(&mut events, Site).unwrap_err().to_string();
    assert!(
        error.contains("refuse: 50") && error.contains("order"),
        "{error}"
    );
    let server = Server::bind("127.0.0.1:0").unwrap().memory_max(0);
    let error = server.attach(&mut events, Site).unwrap_err().to_string();
    assert!(error.contains("memory_max of zero"), "{error}");
}
