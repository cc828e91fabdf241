//! The connections of one session: one to each node it has to do with.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use redis::{Cmd, Value};

use super::link::Link;
use super::metrics::ClusterCounters;
use super::options::ClusterOptions;
use super::script;
use super::slot_map::{Node, SlotMap};

pub(super) struct Links {
    options: Arc<ClusterOptions>,
    counters: ClusterCounters,
    open: HashMap<Node, Link>,
}

impl Links {
    pub fn new(options: Arc<ClusterOptions>, counters: ClusterCounters) -> Links {
        Links {
            options,
            counters,
            open: HashMap::new(),
        }
    }

    /// The link to `node`: that of last time, if it still stands and nothing is outstanding.
    pub fn to(&mut self, node: &Node) -> io::Result<&mut Link> {
        if !self.open.get(node).is_some_and(Link::is_quiet) {
            self.open.remove(node);
            let link = match self.connect(node) {
                Ok(link) => link,
                Err(error) => {
                    self.counters.count(|it| &it.connects_failed);
                    tracing::debug!(target: "trine::storage", %node, %error, "connect");
                    return Err(error);
                }
            };
            self.counters.count(|it| &it.connects);
            self.open.insert(node.clone(), link);
        }
        Ok(self.open.get_mut(node).expect("it was there or inserted"))
    }

    /// Connects, says who is there, and hands over the scripts.
    fn connect(&self, node: &Node) -> io::Result<Link> {
        let options = &self.options;
        let mut link = Link::open(node, options.connect_timeout, options.silence_max())?;
        let mut octets = Vec::new();
        if let Some(who) = &options.credentials {
            let mut command = redis::cmd("AUTH");
            command.arg(&who.user).arg(&who.password);
            command.write_packed_command(&mut octets);
        }
        for command in script::loading() {
            command.write_packed_command(&mut octets);
        }
        link.send(&octets).map_err(|(_, error)| error)?;
        if options.credentials.is_some() {
            link.told()?;
        }
        for index in 0..link.names.len() {
            link.names[index] = match link.told()? {
                Value::BulkString(name) => name,
                _ => return Err(io::Error::other("it does not take scripts")),
            };
        }
        Ok(link)
    }

    /// Asks `node` one thing that writes nothing. A failure ends the link.
    pub fn ask(&mut self, node: &Node, command: &Cmd) -> io::Result<Value> {
        let asked = self.to(node)?.ask(command);
        if asked.is_err() {
            self.cut(node);
        }
        asked
    }

    /// Ends the link to `node`, if there is one.
    pub fn cut(&mut self, node: &Node) {
        self.open.remove(node);
    }

    /// Ends the links to nodes that are not of `map`.
    pub fn keep(&mut self, map: &SlotMap) {
        let nodes = map.nodes();
        self.open.retain(|node, _| nodes.contains(node));
    }
}
