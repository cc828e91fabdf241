//! The nodes that `.ci/cluster` started.

use std::env;
use std::fs;
use std::path::PathBuf;

use redis::{Connection, Value};
use rustix::process::{Pid, Signal, kill_process};
use trine::storage::{
    ClusterOptions, Condition, Durability, Operation, RedisCluster, Request, Store,
};
use trine::time::Tick;

pub fn request(operation: Operation, durability: Durability) -> Request {
    Request {
        operation,
        durability,
        deadline: Tick::NEVER,
    }
}

pub fn get(key: &str) -> Request {
    let key = key.to_owned().into();
    request(Operation::Get { key }, Durability::Memory)
}

pub fn put(key: &str, value: &str, durability: Durability) -> Request {
    let operation = Operation::Put {
        key: key.to_owned().into(),
        value: value.to_owned().into(),
        ttl: None,
        condition: Condition::Any,
    };
    request(operation, durability)
}

/// Six nodes at ports in a row.
pub struct Nodes {
    folder: PathBuf,
    first: u16,
}

impl Nodes {
    pub fn find() -> Nodes {
        let said = |name| env::var(name).expect("started by .ci/cluster");
        Nodes {
            folder: said("TRINE_CLUSTER_DIR").into(),
            first: said("TRINE_CLUSTER_PORT").parse().unwrap(),
        }
    }

    pub fn ports(&self) -> impl Iterator<Item = u16> {
        self.first..self.first + 6
    }

    pub fn open(&self, options: ClusterOptions) -> Box<dyn Store> {
        Box::new(self.store(options))
    }

    pub fn store(&self, options: ClusterOptions) -> RedisCluster {
        let seeds = self.ports().map(|port| format!("127.0.0.1:{port}"));
        RedisCluster::open(seeds, options).unwrap()
    }

    pub fn connect(&self, port: u16) -> Connection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).unwrap();
        client.get_connection().unwrap()
    }

    /// What the node at `port` answers.
    pub fn ask(&self, port: u16, words: &[&str]) -> Value {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(*word);
        }
        let answer = command.query(&mut self.connect(port));
        answer.unwrap_or_else(|error| panic!("{words:?} at {port}: {error}"))
    }

    pub fn text(&self, port: u16, words: &[&str]) -> String {
        redis::from_redis_value(self.ask(port, words)).unwrap()
    }

    /// A node that is down is none.
    fn is_master(&self, port: u16) -> bool {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).unwrap();
        let info = client.get_connection().and_then(|mut connection| {
            let info: String = redis::cmd("INFO")
                .arg("replication")
                .query(&mut connection)?;
            Ok(info)
        });
        info.is_ok_and(|info| info.contains("role:master"))
    }

    pub fn masters(&self) -> Vec<u16> {
        self.ports().filter(|port| self.is_master(*port)).collect()
    }

    /// The port of the one replica of `master`.
    pub fn replica_of(&self, master: u16) -> u16 {
        let info = self.text(master, &["INFO", "replication"]);
        let (_, rest) = info.split_once("port=").expect("it has a replica");
        rest.split(',').next().unwrap().parse().unwrap()
    }

    /// The port of the master that serves `key`.
    pub fn master_of(&self, key: &str) -> u16 {
        let serves = |port: &u16| {
            let answer: Result<Value, _> =
                redis::cmd("GET").arg(key).query(&mut self.connect(*port));
            answer.is_ok()
        };
        self.masters()
            .into_iter()
            .find(serves)
            .expect("somebody serves it")
    }

    /// What the cluster calls the node at `port`.
    pub fn id(&self, port: u16) -> String {
        self.text(port, &["CLUSTER", "MYID"])
    }

    /// Takes everything away.
    pub fn flush(&self) {
        for port in self.masters() {
            self.ask(port, &["FLUSHALL"]);
        }
    }

    /// Sends a signal to the node at `port`, by the file in which it says who it is.
    pub fn signal(&self, port: u16, signal: Signal) {
        let file = self.folder.join(port.to_string()).join("pid");
        let pid = fs::read_to_string(file).unwrap();
        let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}
