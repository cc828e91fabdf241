//! Operations as commands, and answers as outcomes or as reasons to try again.

use redis::{Cmd, ServerError, Value};

use super::envelope::{HEAD, checksum, open, open_head, revision_of};
use super::script::{Names, Script, call};
use super::slot_map::Node;
use crate::storage::{Condition, Fault, Operation, Outcome, Reply, Written};
use crate::time::Span;

/// From here on a time to live is for ever: 140,000 years in milliseconds, which Lua can still add to.
const TTL_FOREVER: u64 = 1 << 52;

/// What of a value is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Whole,
    /// Without the value itself.
    Head,
}

/// What an answer says.
#[derive(PartialEq, Debug)]
pub(super) enum Answer {
    Done(Outcome),
    /// Not done here: certainly, and what would help.
    Not(Obstacle),
}

/// Why an operation was certainly not done, but may be somewhere else or later.
#[derive(PartialEq, Debug)]
pub(super) enum Obstacle {
    /// This slot is served by that node.
    Moved(u16, Node),
    /// This once, that node is to be asked.
    Ask(Node),
    /// The node has lost the scripts.
    Scripts,
    /// The node cannot, now.
    Down(&'static str),
}

impl Obstacle {
    pub fn why(&self) -> &'static str {
        match self {
            Obstacle::Moved(..) => "the slot of the key has moved",
            Obstacle::Ask(_) => "the slot of the key is moving",
            Obstacle::Scripts => "the node has lost its scripts",
            Obstacle::Down(why) => why,
        }
    }
}

/// The command for `operation`, which is no scan. `salt` are the 12 bits of a revision that the writer
/// chooses.
pub(super) fn command(operation: &Operation, names: &Names, salt: u16, part: Part) -> Cmd {
    match operation {
        // A scan is many commands; it is in `scan.rs`, and never comes here.
        Operation::Get { key } | Operation::Scan { from: key, .. } => get(key, part),
        Operation::Put {
            key,
            value,
            ttl,
            condition,
        } => {
            let mut command = call(Script::Put, names, Some(key));
            add_condition(&mut command, *condition).arg(salt);
            add_ttl(&mut command, *ttl);
            command.arg(&checksum(key, value)[..]).arg(&value[..]);
            command
        }
        Operation::Touch { key, ttl } => {
            let mut command = call(Script::Touch, names, Some(key));
            add_condition(&mut command, Condition::Present).arg(salt);
            add_ttl(&mut command, *ttl);
            command
        }
        Operation::Delete { key, condition } => {
            let mut command = call(Script::Delete, names, Some(key));
            add_condition(&mut command, *condition);
            command
        }
    }
}

fn get(key: &[u8], part: Part) -> Cmd {
    let mut command = Cmd::new();
    match part {
        Part::Whole => command.arg("GET").arg(key),
        Part::Head => command.arg("GETRANGE").arg(key).arg(0).arg(HEAD - 1),
    };
    command
}

fn add_condition(command: &mut Cmd, condition: Condition) -> &mut Cmd {
    match condition {
        Condition::Any => command.arg(""),
        Condition::Absent => command.arg("A"),
        Condition::Present => command.arg("P"),
        Condition::Revision(revision) => command.arg(&revision.get().to_be_bytes()[..]),
    }
}

fn add_ttl(command: &mut Cmd, ttl: Option<Span>) {
    match ttl.map(Span::as_millis) {
        Some(millis) if millis < TTL_FOREVER => command.arg(millis),
        _ => command.arg(""),
    };
}

/// What `node` answered to the command for `operation`.
pub(super) fn answer(operation: &Operation, value: Value, node: &Node, part: Part) -> Answer {
    let value = match value {
        Value::ServerError(error) => return refusal(operation, &error, node),
        value => value,
    };
    let reply = match (operation, value) {
        (Operation::Get { .. }, Value::Nil) => Some(Ok(Reply::Got(None))),
        (Operation::Get { key }, Value::BulkString(stored)) => match part {
            Part::Whole => Some(open(key, stored).map(|entry| Reply::Got(Some(entry)))),
            Part::Head if stored.is_empty() => Some(Ok(Reply::Got(None))),
            Part::Head => {
                let opened = open_head(key, &stored);
                Some(opened.map(|(entry, _)| Reply::Got(Some(entry))))
            }
        },
        (_, Value::BulkString(octets)) => written(operation, &octets).map(Ok),
        _ => None,
    };
    Answer::Done(reply.unwrap_or(Err(match operation.is_write() {
        true => Fault::Unknown("the node gave an answer that is none"),
        false => Fault::Corrupt,
    })))
}

/// What a script says: a letter and a revision.
fn written(operation: &Operation, octets: &[u8]) -> Option<Reply> {
    let (letter, revision) = octets.split_first()?;
    let revision = revision_of(revision);
    match (operation, letter) {
        (_, b'C') => Some(Reply::Conflict(revision)),
        (Operation::Delete { .. }, b'D' | b'A') => Some(Reply::Deleted(*letter == b'D')),
        (Operation::Put { .. } | Operation::Touch { .. }, b'N' | b'R') => {
            Some(Reply::Written(Written {
                revision: revision?,
                replaced: *letter == b'R',
            }))
        }
        _ => None,
    }
}

/// What an error means. Nothing was written: a script that fails fails before it writes.
fn refusal(operation: &Operation, error: &ServerError, node: &Node) -> Answer {
    let later = |after, why| {
        let after = Span::from_millis(after);
        Answer::Done(Err(Fault::Retry { after, why }))
    };
    let down = |why| Answer::Not(Obstacle::Down(why));
    match error.code() {
        "MOVED" | "ASK" => match redirection(error, node) {
            Some(obstacle) => Answer::Not(obstacle),
            None => down("the node names no other node"),
        },
        "NOSCRIPT" => Answer::Not(Obstacle::Scripts),
        "TRYAGAIN" => down("the slot of the key is moving"),
        "CLUSTERDOWN" => down("the cluster is down, or nobody serves the slot of the key"),
        "LOADING" => down("the node is loading its data"),
        "MASTERDOWN" | "READONLY" => down("the node is a replica"),
        "BUSY" => down("the node is busy with a script"),
        "NOREPLICAS" => later(1_000, "the node has fewer replicas than it must to write"),
        "MISCONF" => later(1_000, "the node cannot save, and takes no writes"),
        "OOM" => later(1_000, "the memory of the node is full"),
        "WRONGTYPE" => Answer::Done(Err(Fault::Corrupt)),
        "NOAUTH" | "NOPERM" | "WRONGPASS" => {
            Answer::Done(Err(Fault::Refused("the node does not permit it")))
        }
        _ => {
            let details = error.details().unwrap_or_default();
            let code = error.code();
            tracing::warn!(target: "trine::storage", %node, code, details, "unexpected answer");
            Answer::Done(Err(match operation.is_write() {
                true => Fault::Unknown("the node answered an error"),
                false => Fault::Refused("the node answered an error"),
            }))
        }
    }
}

/// `MOVED 3999 127.0.0.1:6381`, or `ASK` with the same.
fn redirection(error: &ServerError, asked: &Node) -> Option<Obstacle> {
    let (slot, node) = error.details()?.split_once(' ')?;
    let node = Node::parse(node.trim(), Some(asked))?;
    match error.code() {
        "ASK" => Some(Obstacle::Ask(node)),
        _ => Some(Obstacle::Moved(slot.parse().ok()?, node)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn judged(operation: &Operation, answer_text: &str) -> Answer {
        let value = redis::parse_redis_value(answer_text.as_bytes()).unwrap();
        let node = Node::parse("asked:1", None).unwrap();
        answer(operation, value, &node, Part::Whole)
    }

    fn get() -> Operation {
        Operation::Get {
            key: Bytes::from("k"),
        }
    }

    fn delete() -> Operation {
        Operation::Delete {
            key: Bytes::from("k"),
            condition: Condition::Any,
        }
    }

    #[test]
    fn errors_mean_what_they_say_and_none_of_a_write_is_certain_unless_known() {
        let other = Node::parse("other:2", None).unwrap();
        let rows = [
            ("-MOVED 7 other:2\r\n", Obstacle::Moved(7, other.clone())),
            (
                "-MOVED 7 :2\r\n",
                Obstacle::Moved(7, Node::parse("asked:2", None).unwrap()),
            ),
            ("-ASK 7 other:2\r\n", Obstacle::Ask(other)),
            ("-NOSCRIPT No matching script.\r\n", Obstacle::Scripts),
        ];
        for (text, obstacle) in rows {
            assert_eq!(judged(&delete(), text), Answer::Not(obstacle), "{text}");
        }
        for code in ["TRYAGAIN", "CLUSTERDOWN", "LOADING", "READONLY", "MOVED"] {
            let answer = judged(&get(), &format!("-{code} for a while\r\n"));
            assert!(matches!(answer, Answer::Not(Obstacle::Down(_))), "{code}");
        }
        for code in ["OOM", "NOREPLICAS", "MISCONF"] {
            let answer = judged(&delete(), &format!("-{code} not now\r\n"));
            assert!(
                matches!(answer, Answer::Done(Err(Fault::Retry { .. }))),
                "{code}"
            );
        }
        let strange = "-ERR something new\r\n";
        assert!(matches!(
            judged(&delete(), strange),
            Answer::Done(Err(Fault::Unknown(_)))
        ));
        assert!(matches!(
            judged(&get(), strange),
            Answer::Done(Err(Fault::Refused(_)))
        ));
        let wrong = judged(&get(), "-WRONGTYPE Operation against a key\r\n");
        assert_eq!(wrong, Answer::Done(Err(Fault::Corrupt)));
    }

    #[test]
    fn answers_of_another_kind_are_never_taken_for_success() {
        for text in [
            "+OK\r\n",
            ":1\r\n",
            "$1\r\nN\r\n",
            "$1\r\nX\r\n",
            "$0\r\n\r\n",
            "*0\r\n",
        ] {
            let put = Operation::Touch {
                key: Bytes::from("k"),
                ttl: None,
            };
            let Answer::Done(Err(Fault::Unknown(_))) = judged(&put, text) else {
                panic!("{text:?} was taken for an answer");
            };
            assert_eq!(
                judged(&get(), text),
                Answer::Done(Err(Fault::Corrupt)),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_script_tells_conflicts_and_deletions_by_a_letter() {
        let conflict = Reply::Conflict(revision_of(b"\0\0\0\0\0\0\0\x07"));
        let rows = [
            ("$9\r\nC\0\0\0\0\0\0\0\x07\r\n", conflict),
            ("$1\r\nC\r\n", Reply::Conflict(None)),
            ("$1\r\nD\r\n", Reply::Deleted(true)),
            ("$1\r\nA\r\n", Reply::Deleted(false)),
        ];
        for (text, reply) in rows {
            assert_eq!(judged(&delete(), text), Answer::Done(Ok(reply)), "{text:?}");
        }
    }
}
