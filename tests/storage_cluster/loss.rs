//! What becomes of acknowledged writes when a master is lost whose replica lags, and of the rest.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use trine::storage::redis_cluster::Degraded;
use trine::storage::{
    ClusterOptions, Durability, Fault, Outcome, Reply, StorageUnit, Store, UnitOptions,
};

use crate::load::{Load, Told, missing};
use crate::nodes::{Nodes, put};

const REPLICATED: Durability = Durability::Replicated(1);

fn unit_of(nodes: &Nodes, options: ClusterOptions) -> StorageUnit {
    StorageUnit::start(nodes.open(options), UnitOptions::default()).unwrap()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "in vain: {what}");
        sleep(Duration::from_millis(20));
    }
}

fn is_written(outcome: &Outcome) -> bool {
    matches!(outcome, Ok(Reply::Written(_)))
}

/// A write that asks for a replica is not done, and that is said at once.
#[track_caller]
fn assert_refused_at_once(unit: &StorageUnit) {
    let begun = Instant::now();
    let outcome = unit.run(put("key", "value", REPLICATED));
    assert!(matches!(outcome, Err(Fault::Retry { .. })), "{outcome:?}");
    let took = begun.elapsed();
    assert!(
        took < Duration::from_millis(400),
        "{took:?} of WAIT's 500 ms"
    );
}

#[test]
#[ignore = "needs a Redis Cluster: .ci/cluster"]
fn a_replica_that_hangs_makes_writes_unknown_then_refused_and_comes_back() {
    let nodes = Nodes::find();
    nodes.flush();
    let unit = unit_of(&nodes, ClusterOptions::default());
    let accepting = unit_of(
        &nodes,
        ClusterOptions {
            degraded: Degraded::AcceptAsMemory,
            ..ClusterOptions::default()
        },
    );
    let replicated = || unit.run(put("key", "value", REPLICATED));
    assert!(is_written(&replicated()));
    let replica = nodes.replica_of(nodes.master_of("key"));
    nodes.signal(replica, Signal::Stop);
    let outcome = replicated();
    assert!(matches!(outcome, Err(Fault::Unknown(_))), "{outcome:?}");
    wait_until("the replica is missed", || {
        matches!(replicated(), Err(Fault::Retry { .. }))
    });
    assert_refused_at_once(&unit);
    assert!(is_written(&unit.run(put(
        "key",
        "value",
        Durability::Memory
    ))));
    wait_until("it is accepted as memory", || {
        is_written(&accepting.run(put("key", "value", REPLICATED)))
    });
    nodes.signal(replica, Signal::Cont);
    wait_until("the replica is back", || is_written(&replicated()));
}

#[test]
#[ignore = "needs a Redis Cluster: .ci/cluster"]
fn a_planned_failover_loses_nothing_and_is_followed() {
    let nodes = Nodes::find();
    nodes.flush();
    let unit = unit_of(&nodes, ClusterOptions::default());
    let lanes: Arc<dyn Store> = Arc::new(nodes.store(ClusterOptions::default()));
    let replica = nodes.replica_of(nodes.master_of("key"));
    let mut load = Load::new();
    for _ in 0..3 {
        let lane = Some(lanes.lane(b"key"));
        load.add("replicated", &unit, lane, &lanes, REPLICATED);
    }
    sleep(Duration::from_millis(300));
    nodes.ask(replica, &["CLUSTER", "FAILOVER"]);
    wait_until("the replica is master", || {
        nodes.master_of("key") == replica
    });
    let since = Instant::now();
    let is_replicated = |it: &Told| is_written(&it.outcome);
    wait_until("writes are replicated again", || {
        load.has(since, is_replicated)
    });
    let told = load.end();
    tell("a planned failover", &told.iter().collect::<Vec<_>>());
    let written = told.iter().filter(|it| is_written(&it.outcome));
    assert_eq!(missing(&unit, written), 0);
}

/// What was told of writes, in numbers.
fn tell(what: &str, told: &[&Told]) {
    let count =
        |is_meant: fn(&Outcome) -> bool| told.iter().filter(|it| is_meant(&it.outcome)).count();
    println!(
        "{what}: {} acknowledged, {} unknown, {} not done; longest {:?}",
        count(is_written),
        count(|it| matches!(it, Err(Fault::Unknown(_)))),
        count(|it| matches!(it, Err(Fault::Retry { .. }))),
        told.iter().map(|it| it.took).max().unwrap_or_default(),
    );
}

/// What of the shard's writes is still there, and when it was back.
fn judge(unit: &StorageUnit, told: &[&Told], killed: Instant) {
    let written = || told.iter().copied().filter(|it| is_written(&it.outcome));
    let after = written().filter(|it| it.begun > killed);
    let gap = after.map(|it| it.begun + it.took - killed).min();
    let gap = gap.expect("it serves again");
    let replicated = || written().filter(|it| it.durability == REPLICATED);
    let by_master = || written().filter(|it| it.durability != REPLICATED && it.begun < killed);
    let (safe, lost) = (replicated().count(), missing(unit, replicated()));
    let (at_risk, lost_of_it) = (by_master().count(), missing(unit, by_master()));
    println!(
        "served again {gap:?} after the kill; {lost} of {safe} lost that a replica acknowledged, \
         {lost_of_it} of {at_risk} that only the master did"
    );
    assert!(safe > 100, "there was hardly any load");
    assert_eq!(lost, 0);
    assert!(lost_of_it > 0, "the replica did not lag: nothing is proved");
    assert!(gap < Duration::from_secs(10), "{gap:?}");
}

#[test]
#[ignore = "needs a Redis Cluster: .ci/cluster"]
fn nothing_a_replica_acknowledged_is_lost_with_its_master() {
    let nodes = Nodes::find();
    nodes.flush();
    let unit = unit_of(&nodes, ClusterOptions::default());
    let other = unit_of(&nodes, ClusterOptions::default());
    let lanes: Arc<dyn Store> = Arc::new(nodes.store(ClusterOptions::default()));
    let (master, lost_lane) = (nodes.master_of("key"), lanes.lane(b"key"));
    let replica = nodes.replica_of(master);
    let mut load = Load::new();
    for lane in 0..lanes.capabilities().lanes {
        for _ in 0..3 {
            load.add("replicated", &unit, Some(lane), &lanes, REPLICATED);
        }
        // By lanes of their own: they do not stand behind those that wait for replicas.
        load.add("memory", &other, Some(lane), &lanes, Durability::Memory);
    }
    sleep(Duration::from_secs(1));
    nodes.signal(replica, Signal::Stop);
    sleep(Duration::from_millis(1_200));
    let killed = Instant::now();
    nodes.signal(master, Signal::Kill);
    nodes.signal(replica, Signal::Cont);
    let is_of_lost = |it: &Told| lanes.lane(it.key.as_bytes()) == lost_lane;
    let serves = |it: &Told| is_of_lost(it) && is_written(&it.outcome);
    wait_until("the shard serves again", || load.has(killed, serves));
    sleep(Duration::from_secs(1));
    let told = load.end();

    let (of_lost, of_others): (Vec<&Told>, Vec<&Told>) = told.iter().partition(|it| is_of_lost(it));
    tell("the other shards", &of_others);
    tell("the shard that lost its master", &of_lost);
    let is_ok = |it: &&Told| it.outcome.is_ok();
    assert!(of_others.iter().all(is_ok), "another shard noticed");
    assert_eq!(missing(&unit, of_others.into_iter()), 0);
    judge(&unit, &of_lost, killed);
    // The shard has no replica now.
    assert_refused_at_once(&unit);
    let accepting = unit_of(
        &nodes,
        ClusterOptions {
            degraded: Degraded::AcceptAsMemory,
            ..ClusterOptions::default()
        },
    );
    assert!(is_written(&accepting.run(put("key", "value", REPLICATED))));
}
