//! Slots that move from node to node under load.

use std::collections::{BTreeMap, HashMap};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use trine::storage::{
    ClusterOptions, Durability, Operation, Page, Reply, StorageUnit, Store, UnitOptions,
};

use crate::load::{Load, missing};
use crate::nodes::{Nodes, get, put, request};

fn unit_of(nodes: &Nodes) -> (StorageUnit, trine::storage::redis_cluster::ClusterCounters) {
    let store = nodes.store(ClusterOptions::default());
    let counters = store.counters();
    let unit = StorageUnit::start(Box::new(store), UnitOptions::default()).unwrap();
    (unit, counters)
}

/// How often each key is seen in all pages.
fn scan(unit: &StorageUnit, limit: u32) -> HashMap<Bytes, u32> {
    let mut seen = HashMap::new();
    let mut next = Some(Bytes::new());
    while let Some(from) = next {
        let page = unit.run(request(
            Operation::Scan {
                from,
                until: None,
                limit,
                keys_only: true,
            },
            Durability::Memory,
        ));
        let Ok(Reply::Page(Page {
            entries,
            next: more,
        })) = page
        else {
            panic!("a scan was answered {page:?}");
        };
        for entry in entries {
            *seen.entry(entry.key).or_default() += 1;
        }
        next = more;
    }
    seen
}

fn write(unit: &StorageUnit, key: &str, value: &str) {
    let outcome = unit.run(put(key, value, Durability::Replicated(1)));
    assert!(
        matches!(outcome, Ok(Reply::Written(_))),
        "{key}: {outcome:?}"
    );
}

fn check(unit: &StorageUnit, expected: &BTreeMap<String, String>) {
    for (key, value) in expected {
        match unit.run(get(key)) {
            Ok(Reply::Got(Some(entry))) => assert_eq!(entry.value, value.as_bytes(), "{key}"),
            other => panic!("{key}: {other:?}"),
        }
    }
    let seen = scan(unit, 7);
    assert_eq!(seen.len(), expected.len());
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
}

#[test]
#[ignore = "needs a Redis Cluster: .ci/cluster"]
fn a_slot_that_is_on_two_nodes_is_read_written_and_scanned_as_if_on_one() {
    let nodes = Nodes::find();
    nodes.flush();
    let (unit, counters) = unit_of(&nodes);
    let mut expected = BTreeMap::new();
    for number in 0..60 {
        for key in [format!("{{move}}-{number}"), format!("{number}")] {
            write(&unit, &key, "old");
            expected.insert(key, "old".to_owned());
        }
    }
    let source = nodes.master_of("{move}");
    let target = nodes
        .masters()
        .into_iter()
        .find(|it| *it != source)
        .unwrap();
    let slot: i64 =
        redis::from_redis_value(nodes.ask(source, &["CLUSTER", "KEYSLOT", "{move}"])).unwrap();
    let slot = slot.to_string();
    let (from, to) = (nodes.id(source), nodes.id(target));
    nodes.ask(target, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from]);
    nodes.ask(source, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to]);
    let names: Vec<String> = (0..60).map(|number| format!("{{move}}-{number}")).collect();
    for (round, moved) in names.chunks(20).enumerate() {
        let port = target.to_string();
        let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        migrate.extend(moved.iter().map(String::as_str));
        nodes.ask(source, &migrate);
        // New ones, and old ones on both sides.
        let new = format!("{{move}}-new-{round}");
        for key in [&new, &names[0], &names[59], &names[20 * round + 5]] {
            let value = format!("written in round {round}");
            write(&unit, key, &value);
            expected.insert(key.clone(), value);
        }
        check(&unit, &expected);
    }
    assert!(counters.read().redirected > 60, "{:?}", counters.read());
    for port in nodes.masters() {
        nodes.ask(port, &["CLUSTER", "SETSLOT", &slot, "NODE", &to]);
    }
    check(&unit, &expected);
    write(&unit, "{move}-0", "after");
}

#[test]
#[ignore = "needs a Redis Cluster: .ci/cluster"]
fn a_reshard_under_load_fails_nothing_and_hides_nothing() {
    let nodes = Nodes::find();
    nodes.flush();
    let (unit, counters) = unit_of(&nodes);
    for number in 0..2_000 {
        let outcome = unit.run(put(&format!("stays-{number}"), "value", Durability::Memory));
        assert!(outcome.is_ok(), "{outcome:?}");
    }
    let lanes: Arc<dyn Store> = Arc::new(nodes.store(ClusterOptions::default()));
    let mut load = Load::new();
    for _ in 0..4 {
        load.add("all", &unit, None, &lanes, Durability::Replicated(1));
    }
    let masters = nodes.masters();
    let ids = [nodes.id(masters[0]), nodes.id(masters[1])];
    let mut reshard = Command::new("redis-cli")
        .args(["--cluster", "reshard", &format!("127.0.0.1:{}", masters[0])])
        .args(["--cluster-from", &ids[0], "--cluster-to", &ids[1]])
        .args(["--cluster-slots", "400", "--cluster-yes"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let (begun, mut scans) = (Instant::now(), 0);
    let ended = loop {
        let seen = scan(&unit, 500);
        let stays = seen.iter().filter(|(key, _)| key.starts_with(b"stays-"));
        let stays: Vec<u32> = stays.map(|(_, times)| *times).collect();
        assert!(stays.len() == 2_000 && stays.iter().all(|times| *times == 1));
        scans += 1;
        if let Some(ended) = reshard.try_wait().unwrap() {
            break ended;
        }
    };
    let took = begun.elapsed();
    assert!(ended.success(), "the reshard failed: {ended}");
    let told = load.end();
    let failed: Vec<_> = told.iter().filter(|it| it.outcome.is_err()).collect();
    let lost = missing(&unit, told.iter());
    let metrics = counters.read();
    println!(
        "400 slots moved in {took:?}: {} writes, {} failed, {lost} lost, {scans} scans; {metrics:?}",
        told.len(),
        failed.len(),
    );
    let first = failed.first().map(|it| (&it.key, it.outcome.clone()));
    assert!(first.is_none(), "{first:?}");
    assert_eq!(lost, 0);
    assert!(metrics.redirected + metrics.maps_read > 0, "nobody noticed");
}
