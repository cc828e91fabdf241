//! One pipeline: commands for one node, and `WAIT`, on one connection, and what came of each.

use std::io;
use std::sync::Arc;

use redis::Value;

use super::cluster::Cluster;
use super::link::Link;
use super::options::Degraded;
use super::replicas::following;
use super::session::{ClusterSession, Findings, Open, Way, Work};
use super::slot_map::{Node, number, text};
use super::wire::{self, Answer, Obstacle};
use crate::storage::{Durability, Fault, Outcome, Outcomes, Reply, Request};
use crate::time::{Span, Tick};

/// More memory than this is given back after it was needed.
const OCTETS_KEPT: usize = 2 << 20;

const UNREACHABLE: &str = "the node that serves the key cannot be reached";

/// An operation on its way.
struct Sent {
    open: Open,
    /// Where its command ends in what is sent.
    end: usize,
    /// How many replicas must have it.
    replicas: u8,
}

impl Sent {
    /// Whether leave is asked for first.
    fn is_asking(&self) -> bool {
        matches!(self.open.way, Way::Ask(_))
    }
}

/// What came back.
struct Answers {
    /// One for each command, in order, up to the failure.
    values: Vec<Value>,
    /// How many replicas have all that was written here.
    replicas: u8,
    /// How many octets were sent.
    taken: usize,
    failure: Option<io::Error>,
}

impl ClusterSession {
    /// Sends `group` to `node` in one pipeline; returns those that are to be tried again.
    pub(super) fn exchange(
        &mut self,
        node: &Node,
        group: Vec<Open>,
        work: &mut Work<'_>,
        outcomes: &mut Outcomes<'_>,
        findings: &mut Findings,
    ) -> Vec<Open> {
        let cluster = Arc::clone(&self.cluster);
        let asked = group.iter().map(|it| replicas_of(&work.batch[it.index]));
        let asked = asked.max().unwrap_or(0);
        let now = self.now();
        // One link for all of it: what `WAIT` says is about this link only.
        let ready = self.links.to(node).and_then(|link| {
            let connected = connected_replicas(link, asked, now)?;
            Ok((link, connected))
        });
        let (link, count) = match ready {
            Ok(ready) => ready,
            Err(_) => {
                self.links.cut(node);
                findings.node_is_down();
                return group.into_iter().map(|it| it.again(UNREACHABLE)).collect();
            }
        };
        let mut sent = admit(&cluster, group, count, work.batch, outcomes);
        // It may have lost them because it is no master any more, and has not heard of it.
        self.is_map_suspect |= count < asked;
        if sent.is_empty() {
            return Vec::new();
        }
        pack(&cluster, link, &mut sent, work, &mut self.octets);
        cluster.counters.count(|it| &it.pipelines);
        let answers = transfer(link, &self.octets, &sent);
        if sent.iter().any(|it| answers.replicas < it.replicas) {
            link.replicas.forget();
        }
        if let Some(error) = &answers.failure {
            cluster.counters.count(|it| &it.cut);
            let operations = sent.len();
            tracing::warn!(target: "trine::storage", %node, operations, %error, "answers lost");
            self.links.cut(node);
            findings.node_is_down();
        }
        if self.octets.capacity() > OCTETS_KEPT {
            self.octets = Vec::new();
        }
        self.take_in(node, sent, answers, work, outcomes, findings)
    }

    /// Makes outcomes of answers; returns those that are to be tried again.
    fn take_in(
        &mut self,
        node: &Node,
        sent: Vec<Sent>,
        answers: Answers,
        work: &mut Work<'_>,
        outcomes: &mut Outcomes<'_>,
        findings: &mut Findings,
    ) -> Vec<Open> {
        let mut left = Vec::new();
        let mut values = answers.values.into_iter();
        for it in sent {
            let index = it.open.index;
            let operation = &work.batch[index].operation;
            let answer = match values.next() {
                Some(value) => wire::answer(operation, value, node, work.part),
                None if it.end <= answers.taken && operation.is_write() => {
                    Answer::Done(Err(Fault::Unknown("the node did not answer")))
                }
                None => Answer::Not(Obstacle::Down(UNREACHABLE)),
            };
            match answer {
                Answer::Done(outcome) => {
                    let outcome = self.at_least_on(answers.replicas, it.replicas, outcome);
                    work.sent[index] = matches!(outcome, Ok(_) | Err(Fault::Unknown(_)));
                    outcomes.set(index, outcome);
                }
                Answer::Not(obstacle) => {
                    let why = obstacle.why();
                    let mut again = it.open.again(why);
                    again.way = self.obstructed(node, obstacle, findings);
                    left.push(again);
                }
            }
        }
        left
    }

    /// What an outcome is worth when `having` replicas have what was written and `asked` must.
    fn at_least_on(&self, having: u8, asked: u8, outcome: Outcome) -> Outcome {
        let wrote = matches!(outcome, Ok(Reply::Written(_) | Reply::Deleted(true)));
        if wrote && having < asked {
            self.cluster.counters.count(|it| &it.under_replicated);
            return Err(Fault::Unknown(
                "fewer replicas than asked for have it in time",
            ));
        }
        outcome
    }

    /// Heeds what keeps an operation from being done, and says where to send it next.
    pub(super) fn obstructed(
        &mut self,
        node: &Node,
        obstacle: Obstacle,
        findings: &mut Findings,
    ) -> Way {
        match obstacle {
            Obstacle::Moved(slot, to) => {
                self.cluster.counters.count(|it| &it.redirected);
                self.cluster.moved(slot, &to);
                findings.is_stale = true;
                return Way::Moved(to);
            }
            Obstacle::Ask(to) => {
                self.cluster.counters.count(|it| &it.redirected);
                return Way::Ask(to);
            }
            Obstacle::Scripts => self.links.cut(node), // the next link brings them
            Obstacle::Down(_) => findings.node_is_down(),
        }
        Way::Map
    }
}

/// How many replicas must have what `request` writes.
fn replicas_of(request: &Request) -> u8 {
    match request.durability {
        Durability::Replicated(replicas) if request.operation.is_write() => replicas,
        _ => 0,
    }
}

/// How many replicas the node of `link` has, if anybody asks for any; known for a while.
fn connected_replicas(link: &mut Link, asked: u8, now: Tick) -> io::Result<u8> {
    let known = match asked {
        0 => Some(0),
        _ => link.replicas.count(now),
    };
    if let Some(count) = known {
        return Ok(count);
    }
    let mut command = redis::cmd("INFO");
    command.arg("replication");
    let info = link.ask(&command)?;
    let count = following(text(&info).unwrap_or_default());
    let count = count.ok_or_else(|| io::Error::other("it is a replica now"))?;
    link.replicas.set(count, now);
    Ok(count)
}

/// Turns away those for which too few replicas are connected, or asks less for them.
fn admit(
    cluster: &Cluster,
    group: Vec<Open>,
    connected: u8,
    batch: &[Request],
    outcomes: &mut Outcomes<'_>,
) -> Vec<Sent> {
    let mut admitted = Vec::with_capacity(group.len());
    for open in group {
        let asked = replicas_of(&batch[open.index]);
        let replicas = match cluster.options.degraded {
            _ if asked <= connected => asked,
            Degraded::AcceptAsMemory => {
                cluster.counters.count(|it| &it.accepted_degraded);
                0
            }
            Degraded::Refuse => {
                cluster.counters.count(|it| &it.refused_degraded);
                let fault = Fault::Retry {
                    after: Span::from_secs(1),
                    why: "fewer replicas are connected than are asked for",
                };
                outcomes.set(open.index, Err(fault));
                continue;
            }
        };
        admitted.push(Sent {
            open,
            end: 0,
            replicas,
        });
    }
    admitted
}

/// Makes one piece of the commands: of a piece that was sent in part it is known which got through.
fn pack(cluster: &Cluster, link: &Link, sent: &mut [Sent], work: &Work<'_>, octets: &mut Vec<u8>) {
    octets.clear();
    for it in &mut *sent {
        if it.is_asking() {
            redis::cmd("ASKING").write_packed_command(octets);
        }
        let operation = &work.batch[it.open.index].operation;
        let command = wire::command(operation, &link.names, cluster.salt(), work.part);
        command.write_packed_command(octets);
        it.end = octets.len();
    }
    let asked = sent.iter().map(|it| it.replicas).max().unwrap_or(0);
    if asked > 0 {
        let mut wait = redis::cmd("WAIT");
        wait.arg(asked)
            .arg(cluster.options.wait_timeout.as_millis());
        wait.write_packed_command(octets);
    }
}

/// Sends, and takes the answers, as far as it goes.
fn transfer(link: &mut Link, octets: &[u8], sent: &[Sent]) -> Answers {
    let mut answers = Answers {
        values: Vec::with_capacity(sent.len()),
        replicas: 0,
        taken: octets.len(),
        failure: None,
    };
    if let Err((taken, error)) = link.send(octets) {
        (answers.taken, answers.failure) = (taken, Some(error));
        return answers;
    }
    answers.failure = receive_all(link, sent, &mut answers).err();
    answers
}

fn receive_all(link: &mut Link, sent: &[Sent], answers: &mut Answers) -> io::Result<()> {
    for it in sent {
        if it.is_asking() {
            link.receive()?; // of ASKING
        }
        answers.values.push(link.receive()?);
    }
    if sent.iter().any(|it| it.replicas > 0) {
        // An error, of a master that was demoted, is as good as none.
        answers.replicas = number(&link.receive()?).unwrap_or(0);
    }
    Ok(())
}
