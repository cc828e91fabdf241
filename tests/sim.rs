//! The simulation as its users see it: whole servers in virtual time, faults, seeds and traces.
#![cfg(feature = "testing")]

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use trine::http::{Method, Request};
use trine::reactor::Link;
use trine::server::Ladder;
use trine::service::{Deferred, Reply, respond};
use trine::testing::{Client, Faults, Sim};
use trine::{CloseReason, Response, Signal, Sources};

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A server that says "ok", and one client of it.
fn serving(seed: u64) -> (Sim, Client) {
    let mut sim = Sim::seeded(seed);
    let address = sim.serve(sim.server(), respond(|_| Response::text("ok")));
    let client = sim.connect(address);
    (sim, client)
}

#[test]
fn an_idle_connection_is_closed_after_75_seconds_of_virtual_time() {
    let (mut sim, mut client) = serving(1);
    client.send(GET);
    let reply = client.reply();
    assert_eq!((reply.status(), reply.body()), (200, &b"ok"[..]));
    sim.advance(seconds(74));
    assert!(client.is_open());
    sim.advance(seconds(1));
    assert!(!client.is_open());
    assert!(!client.ends().is_reset, "it was closed, not reset");
}

#[test]
fn no_time_passes_but_by_advance() {
    let (sim, mut client) = serving(1);
    client.send(GET);
    client.reply();
    assert_eq!(sim.elapsed(), Duration::ZERO);
}

#[test]
fn a_head_that_drips_is_cut_at_its_deadline_and_not_before() {
    let (mut sim, mut client) = serving(1);
    for octet in &GET[..20] {
        client.send([*octet]);
        sim.advance(Duration::from_millis(499));
        assert!(client.try_reply().is_none());
    }
    sim.advance(Duration::from_millis(10_000 - 20 * 499));
    assert_eq!(client.reply().status(), 408);
}

/// Many clients, each doing something else, until `steps` seconds have passed.
fn busy(seed: u64, faults: Faults, steps: impl IntoIterator<Item = u64>) -> u64 {
    let mut sim = Sim::seeded(seed);
    sim.set_faults(faults);
    let server = sim.server().connections_max(8);
    let address = sim.serve(server, respond(|_| Response::text("ok")));
    let mut clients: Vec<_> = (0..20).map(|_| sim.connect(address)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&GET[..GET.len() - number % 3]);
    }
    steps
        .into_iter()
        .for_each(|step| sim.advance(seconds(step)));
    sim.trace()
}

#[test]
fn nine_seconds_are_nine_times_one_second() {
    for seed in 0..20 {
        for faults in [Faults::none(), Faults::hostile()] {
            let at_once = busy(seed, faults.clone(), [9, 90]);
            assert_eq!(at_once, busy(seed, faults.clone(), [1; 99]), "seed {seed}");
        }
    }
}

#[test]
fn the_same_seed_does_the_same_and_another_does_not() {
    for seed in 0..20 {
        let trace = busy(seed, Faults::hostile(), [100]);
        assert_eq!(trace, busy(seed, Faults::hostile(), [100]));
        assert_ne!(trace, busy(seed + 1, Faults::hostile(), [100]));
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_however_they_are_split() {
    for seed in 0..200 {
        let mut sim = Sim::seeded(seed);
        sim.set_faults(Faults::lossless());
        let echo = |request: &Request<'_>| Response::text(request.path().to_owned());
        let address = sim.serve(sim.server(), respond(echo));
        let mut client = sim.connect(address);
        for number in 0..40 {
            client.send(format!("GET /{number} HTTP/1.1\r\nhost: x\r\n\r\n"));
        }
        sim.advance(seconds(5));
        for number in 0..40 {
            assert_eq!(client.reply().text(), format!("/{number}"), "seed {seed}");
        }
    }
}

/// What a service keeps until somebody answers.
#[derive(Default)]
struct Promises(Vec<Deferred>);

#[test]
fn a_deferred_answer_comes_when_it_is_sent_and_a_dropped_one_is_500() {
    let mut sim = Sim::with_state(1, Promises::default());
    let promise = |_: &Request<'_>, reply: Reply<'_>, state: &mut Promises| {
        let (deferred, answered) = reply.defer();
        state.0.push(deferred);
        answered
    };
    let address = sim.serve(sim.server(), promise);
    let mut client = sim.connect(address);
    client.send(GET);
    assert!(client.try_reply().is_none());
    sim.advance(seconds(29));
    sim.with(|_, state| state.0.remove(0).send(Response::text("late")));
    assert_eq!(client.reply().text(), "late");
    client.send(GET);
    assert!(client.try_reply().is_none());
    sim.with(|_, state| state.0.clear());
    assert_eq!(client.reply().status(), 500);
    assert!(!client.is_open());
}

#[test]
fn a_client_that_never_reads_is_reset() {
    let mut sim = Sim::seeded(1);
    let (address, handle) = sim.attach(
        sim.server(),
        respond(|_| Response::bytes(vec![b'x'; 1 << 20])),
    );
    let mut client = sim.connect(address);
    client.pause();
    client.send(GET);
    sim.advance(seconds(59));
    assert!(client.is_open());
    sim.advance(seconds(62));
    assert!(client.ends().is_reset);
    let metrics = sim.with(|events, _| handle.metrics(&mut events.context()));
    assert_eq!(metrics.unwrap().closed(CloseReason::WriteTimeout), 1);
}

#[test]
fn a_client_that_reads_late_gets_all_of_it() {
    let mut sim = Sim::seeded(1);
    let content = respond(|_| Response::bytes(vec![b'x'; 1 << 20]));
    let address = sim.serve(sim.server(), content);
    let mut client = sim.connect(address);
    client.pause();
    client.send(GET);
    sim.advance(seconds(30));
    client.take(1000);
    sim.settle();
    client.resume();
    assert_eq!(client.reply().body().len(), 1 << 20);
}

#[test]
fn sigterm_drains_and_what_is_under_way_is_answered() {
    let mut sim = Sim::with_state(1, Promises::default());
    let promise = |_: &Request<'_>, reply: Reply<'_>, state: &mut Promises| {
        let (deferred, answered) = reply.defer();
        state.0.push(deferred);
        answered
    };
    let address = sim.serve(sim.server(), promise);
    let mut client = sim.connect(address);
    client.send(GET);
    sim.settle();
    sim.signal(Signal::TERM);
    sim.advance(seconds(1));
    assert!(sim.outcome().is_none(), "it waits for the answer");
    let mut late = sim.connect(address);
    assert!(!late.is_open(), "nobody listens any more");
    sim.with(|_, state| state.0.remove(0).send(Response::text("last")));
    let reply = client.reply();
    assert_eq!(reply.text(), "last");
    assert_eq!(reply.field("connection"), Some(&b"close"[..]));
    client.finish();
    sim.advance(seconds(3));
    assert_eq!(sim.outcome(), Some(Ok(())));
    assert_eq!(sim.open_connections(), 0);
}

#[test]
fn a_drain_that_takes_too_long_is_forced() {
    let mut sim = Sim::with_state(1, Promises::default());
    let promise = |_: &Request<'_>, reply: Reply<'_>, state: &mut Promises| {
        let (deferred, answered) = reply.defer();
        state.0.push(deferred);
        answered
    };
    let server = sim.server().drain_timeout(seconds(5));
    let address = sim.serve(server, promise);
    let mut client = sim.connect(address);
    client.send(GET);
    sim.settle();
    sim.signal(Signal::TERM);
    sim.advance(Duration::from_millis(4_999));
    assert!(sim.outcome().is_none());
    sim.advance(Duration::from_millis(2));
    assert!(sim.outcome().unwrap().is_err());
    assert!(client.ends().is_reset);
}

#[test]
fn a_body_in_pieces_and_the_answer_to_head_are_understood() {
    let mut sim = Sim::seeded(1);
    let echo = |request: &Request<'_>| Response::bytes(request.body().to_vec());
    let address = sim.serve(sim.server(), respond(echo));
    let mut client = sim.connect(address);
    client.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhe");
    sim.advance(seconds(1));
    client.send("llo");
    assert_eq!(client.reply().text(), "hello");
    client.send("HEAD / HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(client.reply_to(Method::Head).unwrap().status(), 200);
    client.send(
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    );
    client.finish();
    assert_eq!(client.reply().text(), "abc");
    assert!(!client.is_open());
}

#[test]
fn sources_of_ones_own_run_in_virtual_time_too() {
    let ticks = Rc::new(Cell::new(0));
    let mut sim = Sim::seeded(1);
    let counter = Rc::clone(&ticks);
    let every = sim.with(|events, ()| {
        events.every(seconds(3600), move |(), _, _| {
            counter.set(counter.get() + 1)
        })
    });
    assert!(every.is_ok());
    sim.advance(seconds(24 * 3600));
    assert_eq!(ticks.get(), 24);
}

#[test]
fn streams_of_another_protocol_run_on_the_simulated_network() {
    let mut sim = Sim::seeded(1);
    sim.set_faults(Faults::lossless());
    let (listener, address) = sim.listen();
    let echoes = sim.with(|events, ()| {
        events.streams(
            listener,
            Default::default(),
            |_: &mut (), link: &mut Link<'_, '_, ()>, bytes: &[u8]| {
                link.write(bytes);
            },
        )
    });
    assert!(echoes.is_ok());
    let mut client = sim.connect(address);
    client.send("hello");
    sim.advance(seconds(3));
    assert_eq!(client.take_received(), b"hello");
}

#[test]
fn a_real_socket_is_refused_by_a_simulated_machine() {
    let mut sim = Sim::seeded(1);
    let bound = sim.with(|events, ()| events.tcp("127.0.0.1:0", |(), _, _| {}));
    assert!(bound.is_err());
}

#[test]
fn events_for_those_who_are_gone_are_counted_and_reach_nobody() {
    let (mut sim, _) = serving(1);
    sim.set_faults(Faults {
        stale: 1.0,
        ..Faults::none()
    });
    let (address, _) = sim.attach(sim.server(), respond(|_| Response::text("ok")));
    for _ in 0..50 {
        let mut client = sim.connect(address);
        client.send(GET);
        assert_eq!(client.reply().status(), 200); // the simulation looks who is called
    }
    let stale = sim.with(|events, ()| events.metrics().stale_events);
    assert!(stale >= 50, "{stale}");
}

#[test]
fn when_descriptors_come_free_who_waits_is_accepted_with_no_new_client() {
    let (mut sim, mut client) = serving(1);
    sim.set_faults(Faults {
        exhaustion: 1.0,
        ..Faults::none()
    });
    client.send(GET);
    sim.advance(seconds(3));
    assert!(client.ends().moments.accepted.is_none());
    sim.set_faults(Faults::none());
    sim.advance(Duration::from_millis(100)); // the pause of the listener
    assert_eq!(client.reply().status(), 200);
}

#[test]
fn a_client_that_leaves_with_an_answer_unread_resets_the_connection() {
    let mut sim = Sim::seeded(1);
    let content = respond(|_| Response::bytes(vec![b'x'; 1 << 20]));
    let (address, handle) = sim.attach(sim.server(), content);
    let mut client = sim.connect(address);
    client.pause();
    client.send(GET);
    sim.settle();
    drop(client);
    sim.settle();
    let metrics = sim.with(|events, ()| handle.metrics(&mut events.context()));
    assert_eq!(metrics.unwrap().closed(CloseReason::PeerReset), 1);
}

#[test]
fn a_burst_beyond_the_limit_is_refused_and_the_rest_waits_for_room() {
    let mut sim = Sim::seeded(1);
    let server = sim.server().connections_max(2).overload(Ladder::off());
    let address = sim.serve(server, respond(|_| Response::text("ok")));
    let mut clients: Vec<_> = (0..200).map(|_| sim.connect(address)).collect();
    sim.settle();
    assert_eq!(sim.open_connections(), 2 + 64, "more stay in the queue");
    clients.truncate(2); // the two that are served stay
    sim.advance(seconds(3));
    let mut next = sim.connect(address);
    assert_eq!(next.reply().status(), 503);
    drop(clients);
    sim.advance(seconds(3));
    let mut next = sim.connect(address);
    next.send(GET);
    assert_eq!(next.reply().status(), 200);
}
