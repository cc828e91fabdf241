//! Commands that read a value and then write what follows from it: optimistic concurrency control,
//! by the revision of the value.
//!
//! ```text
//!             Ask(Get)            value              Ask(Put if revision)
//!   Reading ────────────> store ────────> Writing ────────────────────────> store
//!      ^                                     │ conflict, and attempts left    │
//!      └─────────────────────────────────────┴────────────────────────────────┴──> Answer
//! ```

use bytes::Bytes;

use super::command::Expiry;
use super::command_error::CommandError;
use super::encoder::ReplyEncoder;
use super::number::integer;
use super::outcome::STRANGE;
use super::set_options::When;
use crate::storage::{Condition, Entry, Operation, Outcome, Reply};
use crate::time::Span;

/// How often somebody else may write between the read and the write.
const ATTEMPTS_MAX: u32 = 64;

/// A command under way.
#[derive(Debug)]
pub(super) struct Steps {
    key: Bytes,
    what: What,
    state: State,
    attempts: u32,
}

/// What is to become of the value.
#[derive(Debug)]
pub(super) enum What {
    Increment {
        by: i64,
    },
    Persist,
    Set {
        value: Bytes,
        expiry: Expiry,
        when: When,
        returns_old: bool,
    },
}

#[derive(Debug)]
enum State {
    Reading,
    /// What is answered when it is written.
    Writing(Answer),
}

/// What the client is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    Ok,
    Integer(i64),
    Value(Option<Bytes>),
    Error(CommandError),
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Step {
    Ask(Operation),
    Answer(Answer),
}

impl Steps {
    /// The command, and its first operation.
    pub fn begin(key: Bytes, what: What) -> (Steps, Operation) {
        let steps = Steps {
            key,
            what,
            state: State::Reading,
            attempts: 0,
        };
        let first = steps.read();
        (steps, first)
    }

    /// Goes on with the outcome of the operation before; `now` is in milliseconds since 1970.
    pub fn handle(&mut self, outcome: Outcome, now: u64) -> Step {
        let reply = match outcome {
            Ok(reply) => reply,
            Err(fault) => return Step::Answer(Answer::Error(fault.into())),
        };
        match (std::mem::replace(&mut self.state, State::Reading), reply) {
            (State::Reading, Reply::Got(entry)) => self.decide(entry, now),
            (State::Writing(answer), Reply::Written(_) | Reply::Deleted(_)) => Step::Answer(answer),
            (State::Writing(Answer::Integer(_)), Reply::Conflict(_))
                if matches!(self.what, What::Persist) =>
            {
                Step::Answer(Answer::Integer(0)) // it has gone meanwhile
            }
            (State::Writing(_), Reply::Conflict(_)) => {
                self.attempts += 1;
                match self.attempts < ATTEMPTS_MAX {
                    true => Step::Ask(self.read()),
                    false => Step::Answer(Answer::Error(CommandError::Contended)),
                }
            }
            _ => Step::Answer(Answer::Error(STRANGE.into())),
        }
    }

    fn read(&self) -> Operation {
        Operation::Get {
            key: self.key.clone(),
        }
    }

    /// What follows from the present value.
    fn decide(&mut self, entry: Option<Entry>, now: u64) -> Step {
        match &self.what {
            What::Increment { by } => match incremented(entry.as_ref(), *by) {
                Ok(number) => {
                    let value =
                        Bytes::copy_from_slice(itoa::Buffer::new().format(number).as_bytes());
                    let ttl = kept(entry.as_ref(), now);
                    self.write(entry, value, ttl, Answer::Integer(number))
                }
                Err(error) => Step::Answer(Answer::Error(error)),
            },
            What::Persist => match entry.and_then(|entry| entry.expires) {
                None => Step::Answer(Answer::Integer(0)),
                Some(_) => {
                    self.state = State::Writing(Answer::Integer(1));
                    Step::Ask(Operation::Touch {
                        key: self.key.clone(),
                        ttl: None,
                    })
                }
            },
            What::Set {
                value,
                expiry,
                when,
                returns_old,
            } => {
                let is_meant = match when {
                    When::Always => true,
                    When::Absent => entry.is_none(),
                    When::Present => entry.is_some(),
                };
                let old = entry.as_ref().map(|entry| entry.value.clone());
                let answer = match (returns_old, is_meant) {
                    (true, _) => Answer::Value(old),
                    (false, true) => Answer::Ok,
                    (false, false) => Answer::Value(None),
                };
                if !is_meant {
                    return Step::Answer(answer);
                }
                let ttl = match expiry {
                    Expiry::Kept => kept(entry.as_ref(), now),
                    other => other.time_to_live(now),
                };
                let value = value.clone();
                self.write(entry, value, ttl, answer)
            }
        }
    }

    /// Writes `value` in the place of `entry`, if that is still there then.
    fn write(
        &mut self,
        entry: Option<Entry>,
        value: Bytes,
        ttl: TimeToLive,
        answer: Answer,
    ) -> Step {
        self.state = State::Writing(answer);
        let condition = match entry {
            Some(entry) => Condition::Revision(entry.revision),
            None => Condition::Absent,
        };
        Step::Ask(put(self.key.clone(), value, ttl, condition))
    }
}

/// The operation that makes `value` the value of `key`: for a value whose time has passed before it
/// is there, that deletes the one before it.
pub(super) fn put(key: Bytes, value: Bytes, ttl: TimeToLive, condition: Condition) -> Operation {
    let ttl = match ttl {
        TimeToLive::ForEver => None,
        TimeToLive::For(span) => Some(span),
        TimeToLive::Past => return Operation::Delete { key, condition },
    };
    Operation::Put {
        key,
        value,
        ttl,
        condition,
    }
}

/// How long a value is to be there from now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TimeToLive {
    ForEver,
    /// At least a millisecond.
    For(Span),
    Past,
}

impl Expiry {
    /// From `now` on, in milliseconds since 1970. One that is kept is for its reader to find out.
    pub fn time_to_live(self, now: u64) -> TimeToLive {
        match self {
            Expiry::Never | Expiry::Kept => TimeToLive::ForEver,
            Expiry::After(span) => TimeToLive::For(span),
            Expiry::At(millis) if millis > now => TimeToLive::For(Span::from_millis(millis - now)),
            Expiry::At(_) | Expiry::Past => TimeToLive::Past,
        }
    }
}

/// What is left of the time of `entry`; at least a millisecond, as it was there just now.
fn kept(entry: Option<&Entry>, now: u64) -> TimeToLive {
    match entry.and_then(|entry| entry.expires) {
        Some(expires) => TimeToLive::For(Span::from_millis(expires.saturating_sub(now).max(1))),
        None => TimeToLive::ForEver,
    }
}

fn incremented(entry: Option<&Entry>, by: i64) -> Result<i64, CommandError> {
    let present = match entry {
        Some(entry) => integer(&entry.value).ok_or(CommandError::NotAnInteger)?,
        None => 0,
    };
    present.checked_add(by).ok_or(CommandError::Overflow)
}

impl Answer {
    /// Says it.
    pub fn say(&self, encoder: &mut ReplyEncoder<'_>) {
        match self {
            Answer::Ok => encoder.ok(),
            Answer::Integer(number) => encoder.integer(*number),
            Answer::Value(Some(value)) => encoder.bulk(value),
            Answer::Value(None) => encoder.null(),
            Answer::Error(error) => encoder.error(error),
        }
    }
}
