//! One lane's session: batches go out in rounds, until each operation has its outcome.
//!
//! ```text
//!   open operations ── by slot map, or where they were sent ──> one pipeline for each node
//!        ^                                                          │
//!        │  certainly not done: moved, refused, down; reads         ├──> outcome
//!        └── pause, map read anew <── before deadline and patience ─┘
//! ```
//!
//! Invariant: a write is sent again only when it was certainly not done. A write whose answer is lost is
//! [`Fault::Unknown`], and so is one that fewer replicas have than it asked for.
//!
//! Invariant: an operation is not sent again when a later one on its key was sent already; it is then
//! [`Fault::Retry`], so that the order of a key is kept.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::thread;

use super::cluster::Cluster;
use super::links::Links;
use super::slot_map::{Node, slot_of};
use super::wire::Part;
use crate::storage::{Fault, Operation, Outcomes, Request, Session};
use crate::time::{Span, Tick};

/// Pauses between rounds.
const PAUSES: (Span, Span) = (Span::from_millis(10), Span::from_millis(100));
/// Rounds without a pause, for operations that were only sent elsewhere.
const QUICK_ROUNDS: u32 = 3;
/// Whatever the clock says, there is an end.
const ROUNDS_MAX: u32 = 1_000;
/// What is told when to try again.
const AFTER: Span = Span::from_millis(100);

pub(super) struct ClusterSession {
    pub(super) cluster: Arc<Cluster>,
    pub(super) links: Links,
    /// What is sent next; kept for its memory.
    pub(super) octets: Vec<u8>,
    /// The map is to be read anew when there is time.
    pub(super) is_map_suspect: bool,
}

/// Operations to be done, and how.
pub(super) struct Work<'a> {
    pub batch: &'a [Request],
    pub part: Part,
    /// Which have been sent, and may have been done.
    pub sent: Vec<bool>,
}

/// An operation that has no outcome yet.
pub(super) struct Open {
    pub index: usize,
    pub way: Way,
    /// Why it has no outcome yet.
    pub why: &'static str,
}

/// Where an operation is sent next.
pub(super) enum Way {
    /// To the node that serves its slot, as far as is known.
    Map,
    /// To the node that serves it now, as one of them said: whoever is asked for a map next may not
    /// have heard yet.
    Moved(Node),
    /// To a node that does not serve its slot yet, with leave to ask (`ASKING`).
    Ask(Node),
}

/// What a round found out.
#[derive(Default)]
pub(super) struct Findings {
    /// The map is to be read anew.
    pub is_stale: bool,
    /// Something is down: to try again at once is no use.
    pub is_down: bool,
}

/// Until when something is tried again.
pub(super) struct Persistence {
    until: Tick,
    rounds: u32,
}

impl Session for ClusterSession {
    fn run(&mut self, batch: &[Request], outcomes: &mut Outcomes<'_>) {
        let mut open = Vec::new();
        let mut work = Work::new(batch, Part::Whole);
        for (index, request) in batch.iter().enumerate() {
            if let Err(fault) = self.cluster.capabilities.check(request) {
                outcomes.set(index, Err(fault));
            } else if let Operation::Scan { .. } = request.operation {
                self.settle(&mut work, std::mem::take(&mut open), outcomes); // it sees what they did
                outcomes.set(index, self.scan(request));
            } else {
                open.push(Open::new(index));
            }
        }
        self.settle(&mut work, open, outcomes);
    }

    /// There is nothing to do: a link that failed is gone, and the next round makes another.
    fn reopen(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn maintain(&mut self, _budget: Span) -> Result<bool, Fault> {
        if std::mem::take(&mut self.is_map_suspect) {
            self.cluster.refresh(&mut self.links);
        }
        Ok(false)
    }
}

impl ClusterSession {
    pub fn new(cluster: Arc<Cluster>) -> ClusterSession {
        ClusterSession {
            links: Links::new(Arc::clone(&cluster.options), cluster.counters.clone()),
            cluster,
            octets: Vec::new(),
            is_map_suspect: false,
        }
    }

    /// Gives each of the open operations an outcome.
    pub(super) fn settle(
        &mut self,
        work: &mut Work<'_>,
        mut open: Vec<Open>,
        outcomes: &mut Outcomes<'_>,
    ) {
        let mut persistence = self.persistence();
        loop {
            let now = self.now();
            open.retain(|it| {
                let deadline = work.batch[it.index].deadline;
                let fault = persistence.fault(now, deadline, it.why);
                if let Some(fault) = fault {
                    outcomes.set(it.index, Err(fault));
                }
                fault.is_none()
            });
            if open.is_empty() {
                return;
            }
            let mut findings = Findings::default();
            open = self.round(work, open, outcomes, &mut findings);
            open.sort_by_key(|it| it.index);
            give_up_overtaken(work, &mut open, outcomes);
            if !open.is_empty() {
                self.heed(&findings, &mut persistence);
            }
        }
    }

    /// Sends each operation where it belongs; returns those that are to be tried again.
    fn round(
        &mut self,
        work: &mut Work<'_>,
        open: Vec<Open>,
        outcomes: &mut Outcomes<'_>,
        findings: &mut Findings,
    ) -> Vec<Open> {
        let map = self.cluster.map();
        let mut left = Vec::new();
        let mut groups: HashMap<Node, Vec<Open>> = HashMap::new();
        for mut it in open {
            let slot = slot_of(work.batch[it.index].operation.key());
            let node = match &it.way {
                Way::Map => map.owner(slot),
                Way::Moved(node) | Way::Ask(node) => Some(node),
            };
            match node {
                Some(node) => groups.entry(node.clone()).or_default().push(it),
                None => {
                    findings.node_is_down();
                    it.why = "nobody serves the slot of the key";
                    left.push(it);
                }
            }
        }
        for (node, group) in groups {
            left.extend(self.exchange(&node, group, work, outcomes, findings));
        }
        left
    }

    /// Does what helps before the next round: reads the map, and waits.
    pub(super) fn heed(&mut self, findings: &Findings, persistence: &mut Persistence) {
        if findings.is_stale {
            self.cluster.refresh(&mut self.links);
        }
        persistence.rounds += 1;
        if findings.is_down || persistence.rounds > QUICK_ROUNDS {
            let doubled = PAUSES.0.as_millis() << persistence.rounds.min(8);
            let pause = Span::from_millis(doubled).min(PAUSES.1);
            thread::sleep(pause.min(persistence.until.since(self.now())).into());
        }
    }

    pub(super) fn now(&self) -> Tick {
        self.cluster.options.clock.now()
    }

    pub(super) fn persistence(&self) -> Persistence {
        Persistence {
            until: self.now().after(self.cluster.options.patience),
            rounds: 0,
        }
    }
}

impl<'a> Work<'a> {
    pub fn new(batch: &'a [Request], part: Part) -> Work<'a> {
        Work {
            batch,
            part,
            sent: vec![false; batch.len()],
        }
    }
}

impl Open {
    pub fn new(index: usize) -> Open {
        Open {
            index,
            way: Way::Map,
            why: "",
        }
    }

    /// The same operation for the next round, by the map.
    pub fn again(self, why: &'static str) -> Open {
        Open {
            why,
            ..Open::new(self.index)
        }
    }
}

impl Findings {
    pub fn node_is_down(&mut self) {
        (self.is_stale, self.is_down) = (true, true);
    }
}

impl Persistence {
    /// What is told of an operation that is not tried, or not tried again, at `now`.
    pub fn fault(&self, now: Tick, deadline: Tick, why: &'static str) -> Option<Fault> {
        if self.rounds == 0 {
            return (deadline < now).then_some(Fault::LATE);
        }
        let is_over = now >= self.until.min(deadline) || self.rounds >= ROUNDS_MAX;
        is_over.then_some(Fault::Retry { after: AFTER, why })
    }
}

/// Ends those of which a later one on the same key has been sent.
fn give_up_overtaken(work: &mut Work<'_>, open: &mut Vec<Open>, outcomes: &mut Outcomes<'_>) {
    let Some(first) = open.first().map(|it| it.index) else {
        return;
    };
    let mut later = HashSet::new();
    let mut overtaken = HashSet::new();
    for index in (first..work.batch.len()).rev() {
        let key = work.batch[index].operation.key();
        match work.sent[index] {
            true => drop(later.insert(key)),
            false if later.contains(key) => drop(overtaken.insert(index)),
            false => {}
        }
    }
    open.retain(|it| {
        let is_overtaken = overtaken.contains(&it.index);
        if is_overtaken {
            let why = "a later operation on its key came first";
            outcomes.set(it.index, Err(Fault::Retry { after: AFTER, why }));
        }
        !is_overtaken
    });
}
