//! The cluster store among nodes that a test plays: redirections, lost answers, replicas that are not
//! there, and that nothing is ever claimed of which it is not certain.

#![cfg(feature = "redis")]

mod fake;

use std::time::{Duration, Instant};

use fake::{Fake, Reaction, say, written};
use trine::storage::redis_cluster::{ClusterMetrics, Degraded};
use trine::storage::{
    Clock, ClusterOptions, Condition, Durability, Fault, Operation, Outcome, Outcomes,
    RedisCluster, Reply, Request, Store, SystemClock,
};
use trine::time::{Span, Tick};

const MILLI: fn(u64) -> Span = Span::from_millis;

fn options() -> ClusterOptions {
    ClusterOptions {
        answer_timeout: MILLI(200),
        wait_timeout: MILLI(100),
        patience: MILLI(1_000),
        ..ClusterOptions::default()
    }
}

fn store_of(node: &Fake, options: ClusterOptions) -> RedisCluster {
    RedisCluster::open([format!("127.0.0.1:{}", node.port)], options).unwrap()
}

/// Two nodes of which the first serves everything.
fn two() -> (Fake, Fake, RedisCluster) {
    let (first, second) = (Fake::start(), Fake::start());
    first.set_owner(first.port);
    second.set_owner(first.port);
    let store = store_of(&first, options());
    (first, second, store)
}

fn get(key: &'static str) -> Request {
    request(Operation::Get { key: key.into() }, Durability::Memory)
}

fn put(key: &'static str, durability: Durability) -> Request {
    let operation = Operation::Put {
        key: key.into(),
        value: "value".into(),
        ttl: None,
        condition: Condition::Any,
    };
    request(operation, durability)
}

fn request(operation: Operation, durability: Durability) -> Request {
    Request {
        operation,
        durability,
        deadline: Tick::NEVER,
    }
}

/// What comes of `batch` in a new session, after what `before` does with the links in place.
fn run_after(store: &RedisCluster, before: impl FnOnce(), batch: &[Request]) -> Vec<Outcome> {
    let mut session = store.writer(0).unwrap();
    let mut places = [None];
    session.run(&[get("warm")], &mut Outcomes::new(&mut places));
    assert_eq!(places, [Some(Ok(Reply::Got(None)))]);
    before();
    let mut places = vec![None; batch.len()];
    session.run(batch, &mut Outcomes::new(&mut places));
    places.into_iter().map(Option::unwrap).collect()
}

fn run(store: &RedisCluster, batch: &[Request]) -> Vec<Outcome> {
    let mut places = vec![None; batch.len()];
    let mut session = store.writer(0).unwrap();
    session.run(batch, &mut Outcomes::new(&mut places));
    places.into_iter().map(Option::unwrap).collect()
}

#[track_caller]
fn assert_written(outcome: &Outcome) {
    assert!(matches!(outcome, Ok(Reply::Written(_))), "{outcome:?}");
}

#[track_caller]
fn assert_unknown(outcome: &Outcome) {
    assert!(matches!(outcome, Err(Fault::Unknown(_))), "{outcome:?}");
}

#[track_caller]
fn assert_retry(outcome: &Outcome) {
    assert!(matches!(outcome, Err(Fault::Retry { .. })), "{outcome:?}");
}

fn metrics(store: &RedisCluster) -> ClusterMetrics {
    store.counters().read()
}

#[test]
fn a_slot_that_moved_is_followed_at_once_and_remembered() {
    let (first, second, store) = two();
    first.set_owner(second.port);
    first.will([say(&format!("-MOVED 3300 127.0.0.1:{}", second.port))]);
    second.will([written()]);
    assert_written(&run(&store, &[put("b", Durability::Memory)])[0]);
    second.will([written()]);
    assert_written(&run(&store, &[put("b", Durability::Memory)])[0]);
    let puts = |node: &Fake| node.commands().iter().filter(|it| *it == "put").count();
    assert_eq!((puts(&first), puts(&second)), (1, 2));
    assert_eq!(metrics(&store).redirected, 1);
}

#[test]
fn a_slot_that_is_moving_is_asked_for_with_leave_and_not_remembered() {
    let (first, second, store) = two();
    let ask = say(&format!("-ASK 3300 127.0.0.1:{}", second.port));
    first.will([ask.clone(), ask]);
    second.will([written(), say("$-1")]);
    let outcomes = run(&store, &[put("b", Durability::Memory), get("b")]);
    assert_written(&outcomes[0]);
    assert_eq!(outcomes[1], Ok(Reply::Got(None)));
    assert_eq!(second.commands(), ["ASKING", "put", "ASKING", "GET"]);
    assert_eq!(run(&store, &[get("b")]), [Ok(Reply::Got(None))]);
    assert_eq!(first.commands().iter().filter(|it| *it == "GET").count(), 2);
}

#[test]
fn a_node_that_lost_its_scripts_is_given_them_again() {
    let (first, _, store) = two();
    first.will([say("-NOSCRIPT No matching script."), written()]);
    assert_written(&run(&store, &[put("b", Durability::Memory)])[0]);
    assert_eq!(metrics(&store).connects, 3, "one to open, two for the put");
}

#[test]
fn what_cannot_be_done_now_is_tried_until_its_deadline_and_then_was_certainly_not_done() {
    let (first, _, store) = two();
    first.will((0..1_000).map(|_| say("-CLUSTERDOWN The cluster is down")));
    let begun = Instant::now();
    let mut late = put("b", Durability::Memory);
    late.deadline = SystemClock.now().after(MILLI(300));
    let outcomes = run(&store, &[late, put("b", Durability::Memory)]);
    let took = begun.elapsed();
    assert_retry(&outcomes[0]);
    assert_retry(&outcomes[1]);
    let patience = Duration::from_millis(1_000);
    assert!(
        took + Duration::from_millis(5) >= patience && took < patience * 2,
        "{took:?}"
    );
    let tries = first.commands().len();
    assert!(
        (4..60).contains(&tries),
        "{tries} commands: it does not pause"
    );
}

#[test]
fn what_is_late_already_is_not_sent() {
    let (first, _, store) = two();
    let mut late = put("b", Durability::Memory);
    late.deadline = Tick(1);
    assert_eq!(run(&store, &[late]), [Err(Fault::LATE)]);
    assert!(!first.commands().contains(&"put".to_owned()));
}

#[test]
fn a_write_whose_answer_is_lost_is_unknown_and_not_sent_again_but_a_read_is() {
    for lost in [Reaction::Close, Reaction::Sleep] {
        let (first, _, store) = two();
        first.will([lost.clone()]);
        let begun = Instant::now();
        let outcomes = run(&store, &[put("b", Durability::Memory), get("c")]);
        assert!(begun.elapsed() < Duration::from_millis(900), "{lost:?}");
        assert_unknown(&outcomes[0]);
        assert_eq!(outcomes[1], Ok(Reply::Got(None)), "{lost:?}");
        let puts = first.commands().iter().filter(|it| *it == "put").count();
        assert_eq!(puts, 1, "{lost:?}");
        assert_eq!(metrics(&store).cut, 1);
    }
}

#[test]
fn a_write_is_acknowledged_only_when_as_many_replicas_as_asked_for_have_it() {
    let (first, _, store) = two();
    first.will([written(), written(), say(":0")]);
    let batch = [
        put("b", Durability::Replicated(1)),
        put("c", Durability::Memory),
    ];
    let outcomes = run(&store, &batch);
    assert_unknown(&outcomes[0]);
    assert_written(&outcomes[1]); // it asked for no replica
    assert_eq!(metrics(&store).under_replicated, 1);
    first.will([written(), written(), say(":1")]);
    for outcome in run(&store, &batch) {
        assert_written(&outcome);
    }
    first.will([
        written(),
        say("-UNBLOCKED instance state changed (master -> replica?)"),
    ]);
    assert_unknown(&run(&store, &[put("b", Durability::Replicated(1))])[0]);
}

#[test]
fn replicas_are_never_asked_about_a_write_on_another_connection_than_its_own() {
    let (first, _, store) = two();
    // It writes, and is gone before it says that replicas have it: on the next connection WAIT would
    // be answered 1 whatever they have.
    first.will([written(), Reaction::Close]);
    let batch = [put("b", Durability::Replicated(1)), get("c")];
    let outcomes = run(&store, &batch[..1]);
    assert_unknown(&outcomes[0]);
    first.will([written(), say("$-1"), Reaction::Close]);
    let outcomes = run(&store, &batch);
    assert_unknown(&outcomes[0]);
    assert_eq!(outcomes[1], Ok(Reply::Got(None)));
    let heard = first.heard();
    for (link, name) in &heard {
        if name == "WAIT" {
            let before = heard
                .iter()
                .find(|(other, name)| other == link && name == "put");
            assert!(before.is_some(), "{heard:?}");
        }
    }
    assert_eq!(
        first.commands().iter().filter(|it| *it == "WAIT").count(),
        2
    );
}

#[test]
fn without_a_replica_it_is_refused_at_once_or_accepted_as_memory() {
    for degraded in [Degraded::Refuse, Degraded::AcceptAsMemory] {
        let first = Fake::start();
        first.set_owner(first.port);
        first.set_replicas(0);
        let store = store_of(
            &first,
            ClusterOptions {
                degraded,
                ..options()
            },
        );
        first.will([written(), written()]);
        let batch = [
            put("b", Durability::Replicated(1)),
            put("c", Durability::Memory),
        ];
        let outcomes = run(&store, &batch);
        match degraded {
            Degraded::Refuse => assert_retry(&outcomes[0]),
            Degraded::AcceptAsMemory => assert_written(&outcomes[0]),
        }
        assert_written(&outcomes[1]);
        assert!(!first.commands().contains(&"WAIT".to_owned()));
        let it = metrics(&store);
        let expected = (degraded == Degraded::Refuse).into();
        assert_eq!(
            (it.refused_degraded, it.accepted_degraded),
            (expected, 1 - expected)
        );
    }
}

#[test]
fn a_master_that_became_a_replica_is_not_taken_for_one_that_lost_its_replicas() {
    let (first, second, store) = two();
    first.demote();
    first.set_replicas(0);
    first.set_owner(second.port);
    second.will([written()]);
    let outcomes = run(&store, &[put("b", Durability::Replicated(1))]);
    assert_written(&outcomes[0]);
    assert!(!first.commands().contains(&"put".to_owned()));
}

#[test]
fn a_node_that_refuses_connections_is_replaced_when_another_knows_its_successor() {
    let (first, second, third) = (Fake::start(), Fake::start(), Fake::start());
    for node in [&first, &second, &third] {
        node.set_owner(first.port);
    }
    let seeds = [&first, &second, &third].map(|node| format!("127.0.0.1:{}", node.port));
    let store = RedisCluster::open(seeds, options()).unwrap();
    second.set_owner(third.port);
    third.will([written()]);
    let outcomes = run_after(&store, || first.stop(), &[put("b", Durability::Memory)]);
    assert_written(&outcomes[0]);
}

#[test]
fn a_connection_that_the_node_ended_while_it_was_idle_makes_no_write_unknown() {
    let (first, _, store) = two();
    let cut = || {
        first.will([written()]);
        first.cut();
    };
    assert_written(&run_after(&store, cut, &[put("b", Durability::Memory)])[0]);
}

#[test]
fn what_was_overtaken_by_a_later_operation_on_its_key_is_not_done_any_more() {
    let (first, second, store) = two();
    let moved = |slot| say(&format!("-MOVED {slot} 127.0.0.1:{}", second.port));
    first.will([moved(3_300), written(), moved(7_365)]);
    second.will([written()]);
    let keys = ["b", "b", "c"].map(|key| put(key, Durability::Memory));
    let outcomes = run(&store, &keys);
    assert_retry(&outcomes[0]);
    assert_written(&outcomes[1]);
    assert_written(&outcomes[2]);
    assert_eq!(second.commands(), ["put"]);
}

#[test]
fn opening_names_the_node_and_what_was_asked_of_it() {
    let node = Fake::start();
    node.stop();
    let seed = format!("127.0.0.1:{}", node.port);
    let error = RedisCluster::open([&seed], options())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&format!("CLUSTER SLOTS of {seed}: ")),
        "{error}"
    );
    for seeds in [vec![], vec!["nowhere"], vec!["host:70000"]] {
        assert!(RedisCluster::open(seeds, options()).is_err());
    }
    let endless = ClusterOptions {
        wait_timeout: Span::ZERO,
        ..options()
    };
    assert!(RedisCluster::open([&seed], endless).is_err());
}
