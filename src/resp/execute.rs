//! Commands turned into operations of the storage unit, and their outcomes into replies.

use std::fmt;

use bytes::Bytes;

use super::arguments::Arguments;
use super::command::{Command, Expiry, ScanRequest};
use super::command_error::CommandError;
use super::conversation::{Conversation, Flow, RespTurn};
use super::encoder::ReplyEncoder;
use super::glob;
use super::later::{Later, Mode, Slot};
use super::outcome::{Counted, Shape, Tally};
use super::set_options::{SetRequest, When};
use super::steps::{Step, Steps, What, put};
use crate::storage::{Condition, Operation, Outcome, Place, Submission};

/// A conversation in its turn.
pub(super) struct Executor<'a, 't> {
    pub conversation: &'a mut Conversation,
    pub turn: &'a mut RespTurn<'t>,
}

impl<'a, 't> Executor<'a, 't> {
    pub fn new(conversation: &'a mut Conversation, turn: &'a mut RespTurn<'t>) -> Executor<'a, 't> {
        Executor { conversation, turn }
    }

    /// Whether the client has so much to take that nothing more is to be done for it.
    #[inline]
    pub fn is_full(&self) -> bool {
        let held = self
            .conversation
            .later
            .as_ref()
            .map_or(0, |later| later.held());
        self.turn.output.len() + held >= self.turn.backend.options.output_high
    }

    /// Where to say what is known now.
    #[inline]
    pub fn reply(&mut self) -> ReplyEncoder<'_> {
        self.conversation.reply(self.turn.output)
    }

    /// Says what is wrong.
    #[cold]
    pub fn refuse(&mut self, error: impl fmt::Display) {
        self.turn.backend.counters.errors += 1;
        self.reply().error(error);
    }

    /// Does the command that `arguments` are.
    pub fn execute(&mut self, arguments: Arguments<'_>) -> Flow {
        if arguments.is_empty() {
            return Flow::Next;
        }
        let flow = match Command::parse(arguments) {
            Ok(command) => self.command(command),
            Err(CommandError::Http) => return Flow::End,
            Err(error) => {
                self.refuse(error);
                Flow::Next
            }
        };
        self.turn.backend.counters.commands += u64::from(flow == Flow::Next);
        flow
    }

    fn command(&mut self, command: Command<'_>) -> Flow {
        match command {
            Command::Get { key } => self.get(key),
            Command::Set(request) => self.set(request),
            Command::SetAbsent { key, value } => self.set_absent(key, value),
            Command::GetMany { keys } => self.get_many(keys),
            Command::SetMany { pairs } => self.many(pairs, 2, Counted::Written),
            Command::Delete { keys } => self.many(keys, 1, Counted::Deleted),
            Command::Exists { keys } => self.many(keys, 1, Counted::Found),
            Command::Increment { key, by } => self.steps(key, What::Increment { by }),
            Command::Persist { key } => self.steps(key, What::Persist),
            Command::Expire { key, expiry } => self.expire(key, expiry),
            Command::TimeLeft { key, unit } => self.one(key, Mode::Read, Shape::TimeLeft(unit), {
                |key| Operation::Get { key }
            }),
            Command::Scan(request) => self.scan(request),
            other => self.about(other),
        }
    }

    fn get(&mut self, key: &[u8]) -> Flow {
        self.one(key, Mode::Read, Shape::Value, |key| Operation::Get { key })
    }

    fn set(&mut self, request: SetRequest<'_>) -> Flow {
        let value = self.copy(request.value);
        if request.returns_old || request.expiry == Expiry::Kept {
            return self.steps(request.key, What::set(request, value));
        }
        let condition = match request.when {
            When::Always => Condition::Any,
            When::Absent => Condition::Absent,
            When::Present => Condition::Present,
        };
        let ttl = match request.expiry {
            Expiry::At(_) => request.expiry.time_to_live(self.turn.backend.unix_millis()),
            other => other.time_to_live(0),
        };
        self.one(request.key, Mode::Write, Shape::Done, |key| {
            put(key, value, ttl, condition)
        })
    }

    fn set_absent(&mut self, key: &[u8], value: &[u8]) -> Flow {
        let value = self.copy(value);
        self.one(key, Mode::Write, Shape::Flag, |key| Operation::Put {
            key,
            value,
            ttl: None,
            condition: Condition::Absent,
        })
    }

    fn expire(&mut self, key: &[u8], expiry: Expiry) -> Flow {
        use super::steps::TimeToLive::{For, ForEver, Past};
        let ttl = expiry.time_to_live(self.turn.backend.unix_millis());
        self.one(key, Mode::Write, Shape::Flag, |key| match ttl {
            For(span) => Operation::Touch {
                key,
                ttl: Some(span),
            },
            ForEver => Operation::Touch { key, ttl: None },
            Past => Operation::Delete {
                key,
                condition: Condition::Any,
            },
        })
    }

    fn scan(&mut self, request: ScanRequest<'_>) -> Flow {
        let backend = &mut *self.turn.backend;
        let is_ordered = backend.capabilities().is_some_and(|can| can.is_ordered);
        let prefix = match request.pattern {
            Some(pattern) if is_ordered => glob::literal_prefix(pattern),
            _ => &[],
        };
        let from = match (request.cursor, backend.cursors.find(request.cursor)) {
            (0, _) => backend.carrier.copy(prefix),
            (_, Some(key)) => key.clone(),
            (_, None) => {
                self.refuse(CommandError::InvalidCursor);
                return Flow::Next;
            }
        };
        if request.is_of_other_type {
            let mut reply = self.reply();
            reply.array(2);
            reply.bulk(b"0");
            reply.array(0);
            return Flow::Next;
        }
        let shape = Shape::Page {
            pattern: request.pattern.map(Box::from),
        };
        let until = after_all(prefix);
        self.one(&[], Mode::Scan, shape, |_| Operation::Scan {
            from,
            until,
            limit: request.count,
            keys_only: true,
        })
    }

    /// Does a command of one operation.
    #[inline]
    fn one(
        &mut self,
        key: &[u8],
        mode: Mode,
        shape: Shape,
        operation: impl FnOnce(Bytes) -> Operation,
    ) -> Flow {
        if self.has_to_wait(key, mode) {
            return Flow::Wait;
        }
        let operation = operation(self.copy(key));
        match self.submit(operation) {
            (Submission::Done(outcome), _) => {
                let mut reply = self.conversation.reply(self.turn.output);
                shape.say(outcome, &mut reply, self.turn.backend);
            }
            (Submission::Queued(place), bytes) => {
                let slot = self.later().push(Slot::One(shape));
                self.launch(place, slot, (key, mode), bytes);
            }
        }
        Flow::Next
    }

    /// Values of many keys: an array, whose elements are replies of their own.
    fn get_many(&mut self, keys: Arguments<'_>) -> Flow {
        let begun = self.conversation.begun.take();
        let from = begun.unwrap_or_else(|| {
            self.reply().array(keys.len());
            0
        });
        for index in from..keys.len() {
            if self.is_full() || self.get(keys.at(index)) == Flow::Wait {
                self.conversation.begun = Some(index);
                return Flow::Wait;
            }
        }
        Flow::Next
    }

    /// One operation for each key, and one reply; keys stand `stride` arguments apart.
    fn many(&mut self, keys: Arguments<'_>, stride: usize, what: Counted) -> Flow {
        let count = keys.len() / stride;
        let begun = self.conversation.begun.take();
        // In its slot from the moment on in which something has to be waited for.
        let mut tally = begun.is_none().then(|| Tally::new(what, count));
        let mode = match what {
            Counted::Found => Mode::Read,
            Counted::Deleted | Counted::Written => Mode::Write,
        };
        for index in begun.unwrap_or(0)..count {
            let key = keys.at(index * stride);
            if self.has_to_wait(key, mode) {
                self.park(&mut tally);
                self.conversation.begun = Some(index);
                return Flow::Wait;
            }
            let value = keys.at(index * stride + stride - 1);
            let operation = self.operation(what, key, value);
            match self.submit(operation) {
                (Submission::Done(outcome), _) => match &mut tally {
                    Some(tally) => tally.add(outcome),
                    None => self.count_in(self.last_slot(), outcome),
                },
                (Submission::Queued(place), bytes) => {
                    self.park(&mut tally);
                    self.launch(place, self.last_slot(), (key, mode), bytes);
                }
            }
        }
        if let Some(tally) = tally {
            tally.say(&mut self.reply());
        }
        Flow::Next
    }

    /// Puts what is known of a command of many operations into a slot of its own.
    fn park(&mut self, tally: &mut Option<Tally>) {
        if let Some(tally) = tally.take() {
            self.later().push(Slot::Tally(tally));
        }
    }

    /// What a command of many keys does with one of them.
    fn operation(&mut self, what: Counted, key: &[u8], value: &[u8]) -> Operation {
        let key = self.copy(key);
        match what {
            Counted::Deleted => Operation::Delete {
                key,
                condition: Condition::Any,
            },
            Counted::Found => Operation::Get { key },
            Counted::Written => Operation::Put {
                key,
                value: self.copy(value),
                ttl: None,
                condition: Condition::Any,
            },
        }
    }

    fn last_slot(&self) -> u64 {
        self.conversation
            .later
            .as_ref()
            .map_or(0, |later| later.last())
    }

    /// Begins a command that reads first and then writes.
    fn steps(&mut self, key: &[u8], what: What) -> Flow {
        if self.has_to_wait(key, Mode::Steps) {
            return Flow::Wait;
        }
        let (mut steps, mut operation) = Steps::begin(self.copy(key), what);
        loop {
            match self.submit(operation) {
                (Submission::Done(outcome), _) => {
                    match steps.handle(outcome, self.turn.backend.unix_millis()) {
                        Step::Ask(next) => operation = next,
                        Step::Answer(answer) => {
                            answer.say(&mut self.reply());
                            return Flow::Next;
                        }
                    }
                }
                (Submission::Queued(place), bytes) => {
                    let slot = self.later().push(Slot::Steps(Box::new(steps)));
                    self.launch(place, slot, (key, Mode::Steps), bytes);
                    return Flow::Next;
                }
            }
        }
    }

    /// An operation has come back from another thread.
    pub fn handle_outcome(&mut self, number: u64, outcome: Outcome) {
        let later = self.conversation.later.as_mut();
        let Some((slot, key_hash)) = later.and_then(|later| later.land(number)) else {
            return;
        };
        let backend = &mut *self.turn.backend;
        let (later, protocol) = (&mut self.conversation.later, self.conversation.protocol);
        let Some(later) = later else { return };
        match later.slot_mut(slot) {
            Some(Slot::Tally(_)) => self.count_in(slot, outcome),
            Some(Slot::Steps(_)) => self.next_step(slot, key_hash, outcome),
            Some(waiting @ Slot::One(_)) => {
                let taken = std::mem::replace(waiting, Slot::One(Shape::Value));
                if let Slot::One(shape) = taken {
                    later.settle(slot, self.turn.output, protocol, |reply| {
                        shape.say(outcome, reply, backend);
                    });
                }
            }
            Some(Slot::Ready(_)) | None => {}
        }
    }

    /// Adds the outcome to those of the command in `slot`, and answers it if it was the last.
    fn count_in(&mut self, slot: u64, outcome: Outcome) {
        let protocol = self.conversation.protocol;
        let Some(later) = &mut self.conversation.later else {
            return;
        };
        let Some(Slot::Tally(tally)) = later.slot_mut(slot) else {
            return;
        };
        tally.add(outcome);
        if tally.is_complete() {
            let tally = std::mem::replace(tally, Tally::new(Counted::Written, 0));
            later.settle(slot, self.turn.output, protocol, |reply| tally.say(reply));
        }
    }

    /// Goes on with the command in `slot`.
    fn next_step(&mut self, slot: u64, key_hash: u64, outcome: Outcome) {
        let mut outcome = outcome;
        loop {
            let protocol = self.conversation.protocol;
            let Some(later) = &mut self.conversation.later else {
                return;
            };
            let Some(Slot::Steps(steps)) = later.slot_mut(slot) else {
                return;
            };
            match steps.handle(outcome, self.turn.backend.unix_millis()) {
                Step::Answer(answer) => {
                    return later.settle(slot, self.turn.output, protocol, |reply| {
                        answer.say(reply);
                    });
                }
                Step::Ask(operation) => match self.submit(operation) {
                    (Submission::Done(done), _) => outcome = done,
                    (Submission::Queued(place), bytes) => {
                        let later = self.later();
                        let ticket = later.launch(slot, key_hash, Mode::Steps, bytes);
                        return place.complete_with(ticket);
                    }
                },
            }
        }
    }

    /// Whether an operation on `key` must not begin now.
    #[inline]
    fn has_to_wait(&self, key: &[u8], mode: Mode) -> bool {
        match &self.conversation.later {
            Some(later) if !later.is_empty() => {
                later.would_overtake(self.turn.backend.hash(key), mode)
            }
            _ => false,
        }
    }

    fn copy(&mut self, bytes: &[u8]) -> Bytes {
        self.turn.backend.carrier.copy(bytes)
    }

    /// Has `operation` done; what it weighs.
    #[inline]
    fn submit(&mut self, operation: Operation) -> (Submission, usize) {
        let bytes = operation.bytes();
        (self.turn.backend.submit(operation, self.turn.now), bytes)
    }

    fn launch(&mut self, place: Place, slot: u64, (key, mode): (&[u8], Mode), bytes: usize) {
        let key_hash = self.turn.backend.hash(key);
        let ticket = self.later().launch(slot, key_hash, mode, bytes);
        place.complete_with(ticket);
    }

    fn later(&mut self) -> &mut Later {
        let wake = self.turn.wake;
        let later = &mut self.conversation.later;
        later.get_or_insert_with(|| Box::new(Later::new(wake())))
    }
}

impl What {
    fn set(request: SetRequest<'_>, value: Bytes) -> What {
        What::Set {
            value,
            expiry: request.expiry,
            when: request.when,
            returns_old: request.returns_old,
        }
    }
}

/// The first key behind all that begin with `prefix`, if there can be one.
fn after_all(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|&octet| octet < u8::MAX)?;
    let mut after = prefix[..=last].to_vec();
    after[last] += 1;
    Some(after.into())
}
