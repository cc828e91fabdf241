//! What a connection owes: replies that wait for their outcome, and those that wait for them.
//!
//! ```text
//!   slots:    [ One ][ Ready ][ Tally ][ One ][ Ready ]      in the order of the commands
//!               ^               ^   ^      ^
//!   flights:    1               2   3      4                 operations without an outcome
//! ```
//!
//! A pipeline goes on while outcomes are missing, so that a store can sync many writes at once. What
//! a client may expect holds nevertheless: a command sees what those before it on the same
//! connection did. The storage unit keeps the order of writes to a key, and has a read see the writes
//! before it; [`Later::would_overtake`] keeps back what it may not know of.

use std::collections::VecDeque;
use std::sync::Arc;

use super::encoder::{Protocol, ReplyEncoder};
use super::mailbox::{Mailbox, Ticket};
use super::outcome::{Shape, Tally};
use super::steps::Steps;
use crate::buffer::Buffer;
use crate::connection::Wake;

/// Operations of one connection under way at most.
pub(super) const FLIGHTS_MAX: usize = 128;
/// What they may weigh together before the next one has to wait.
const FLIGHT_BYTES_MAX: usize = 1024 * 1024;

/// The reply to a command, or to several in a row.
#[derive(Debug)]
pub(super) enum Slot {
    Ready(Buffer),
    One(Shape),
    Tally(Tally),
    Steps(Box<Steps>),
}

/// What an operation does with its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    Read,
    Write,
    /// It is one of several operations of a command: reads first, then writes.
    Steps,
    /// All keys.
    Scan,
}

/// An operation under way.
#[derive(Debug)]
struct Flight {
    number: u64,
    slot: u64,
    key_hash: u64,
    mode: Mode,
    bytes: usize,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Later {
    slots: VecDeque<Slot>,
    /// The number of the first slot.
    first: u64,
    flights: VecDeque<Flight>,
    next_flight: u64,
    flight_bytes: usize,
    /// Bytes of the ready slots but the last slot.
    held: usize,
    mailbox: Arc<Mailbox>,
}

impl Later {
    pub fn new(wake: Box<dyn Wake>) -> Later {
        Later {
            slots: VecDeque::new(),
            first: 0,
            flights: VecDeque::new(),
            next_flight: 0,
            flight_bytes: 0,
            held: 0,
            mailbox: Mailbox::new(wake),
        }
    }

    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Whether nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Bytes of replies that wait for one before them.
    pub fn held(&self) -> usize {
        let last = match self.slots.back() {
            Some(Slot::Ready(text)) => text.len(),
            _ => 0,
        };
        self.held + last
    }

    /// Whether an operation on a key of that hash has to wait: for room, or because it might be done
    /// before one that was asked for earlier.
    pub fn would_overtake(&self, key_hash: u64, mode: Mode) -> bool {
        if self.flights.len() >= FLIGHTS_MAX || self.flight_bytes >= FLIGHT_BYTES_MAX {
            return true;
        }
        if mode == Mode::Scan {
            return self.flights.iter().any(|flight| flight.mode != Mode::Read);
        }
        self.flights.iter().any(|flight| match flight.mode {
            Mode::Scan => mode != Mode::Read,
            Mode::Steps => flight.key_hash == key_hash,
            Mode::Read => mode != Mode::Read && flight.key_hash == key_hash,
            Mode::Write => false, // the storage unit sees to it
        })
    }

    /// Appends a slot; its number.
    pub fn push(&mut self, slot: Slot) -> u64 {
        self.held = self.held();
        self.slots.push_back(slot);
        self.first + self.slots.len() as u64 - 1
    }

    /// The number of the last slot.
    pub fn last(&self) -> u64 {
        self.first + (self.slots.len() as u64).saturating_sub(1)
    }

    /// The slot of that number, if it is still owed.
    pub fn slot_mut(&mut self, number: u64) -> Option<&mut Slot> {
        let index = number.checked_sub(self.first)?;
        self.slots.get_mut(usize::try_from(index).ok()?)
    }

    /// An operation of the slot is under way: who brings its outcome.
    pub fn launch(&mut self, slot: u64, key_hash: u64, mode: Mode, bytes: usize) -> Box<Ticket> {
        let number = self.next_flight;
        self.next_flight += 1;
        self.flight_bytes += bytes;
        self.flights.push_back(Flight {
            number,
            slot,
            key_hash,
            mode,
            bytes,
        });
        let is_read = matches!(mode, Mode::Read | Mode::Scan);
        Box::new(Ticket::new(&self.mailbox, number, is_read))
    }

    /// The operation has its outcome: the slot and the hash of its key.
    pub fn land(&mut self, number: u64) -> Option<(u64, u64)> {
        let is_it = |flight: &Flight| flight.number == number;
        let index = self.flights.iter().position(is_it)?;
        let flight = self.flights.remove(index)?;
        self.flight_bytes -= flight.bytes;
        Some((flight.slot, flight.key_hash))
    }

    /// Where to say what is said now, behind all that is owed.
    pub fn behind(&mut self) -> &mut Buffer {
        if !matches!(self.slots.back(), Some(Slot::Ready(_))) {
            self.push(Slot::Ready(Buffer::default()));
        }
        match self.slots.back_mut() {
            Some(Slot::Ready(text)) => text,
            _ => unreachable!("a ready slot was pushed just now"),
        }
    }

    /// The slot's reply is known: `say` says it, to `output` if it is the first that is owed.
    pub fn settle(
        &mut self,
        number: u64,
        output: &mut Buffer,
        protocol: Protocol,
        say: impl FnOnce(&mut ReplyEncoder<'_>),
    ) {
        let (first, last) = (self.first, self.last());
        let Some(slot) = self.slot_mut(number) else {
            return;
        };
        if number > first {
            let mut text = Buffer::default();
            say(&mut ReplyEncoder::new(&mut text, protocol));
            let len = text.len();
            *slot = Slot::Ready(text);
            if number != last {
                self.held += len;
            }
            return;
        }
        say(&mut ReplyEncoder::new(output, protocol));
        self.slots.pop_front();
        self.first += 1;
        while let Some(Slot::Ready(text)) = self.slots.front() {
            output.append(text.data());
            if self.slots.len() > 1 {
                self.held -= text.len();
            }
            self.slots.pop_front();
            self.first += 1;
        }
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}
