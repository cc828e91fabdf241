//! The state of a simulated machine: its clock, its descriptors, its network, its luck.
//!
//! What the loop calls is in `calls.rs`, what clients do in `clients.rs`, the wait in `kernel.rs`.
//!
//! Invariant: a descriptor number is the lowest free one, as the kernel gives it: numbers are
//! reused at once, which is what finds stale tokens out.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};

use super::connection::{Connection, PIPE_BYTES, Server};
use super::dice::Dice;
use super::faults::Faults;
use super::trace::{Mark, Trace};
use super::wall::{EPOCH_NANOS, WallAlarm};
use super::witness::Witness;
use crate::slab::Token;
use crate::time::Tick;

pub(super) const NANOS_PER_TICK: u64 = 1_000_000;
/// Clients that stand in the queue of a listener at most.
const BACKLOG: usize = 4096;
/// What a narrow connection holds at least in each direction; up to sixteen times as much.
const NARROW_BYTES_MIN: usize = 256;
/// Tokens of those who are gone that are kept to be reported once more.
const PAST: usize = 32;

/// What a descriptor number stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    Nobody,
    Listener(usize),
    Connection(usize),
    Alarm(usize),
}

#[derive(Debug)]
pub(super) struct File {
    pub(super) owner: Owner,
    pub(super) token: Option<Token>,
    /// Whether it stands in the queue of edges.
    pub(super) has_edge: bool,
}

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) address: SocketAddr,
    /// `None` once it is closed.
    pub(super) number: Option<u32>,
    pub(super) queue: VecDeque<usize>,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) nanos: u64,
    /// When the alarm rings.
    pub(super) alarm: Option<u64>,
    /// How far a sleep may go, and whether one went as far.
    pub(super) limit: u64,
    pub(super) has_rested: bool,
    pub(super) files: Vec<File>,
    free: BinaryHeap<Reverse<u32>>,
    pub(super) listeners: Vec<Listening>,
    pub(super) connections: Vec<Connection>,
    /// Connections whose clients' bytes are on their way.
    pub(super) flowing: Vec<usize>,
    /// Descriptors with an edge for the next wait, and for the wait after it.
    pub(super) edges: VecDeque<u32>,
    pub(super) later: Vec<u32>,
    pub(super) signals: Vec<i32>,
    /// Signals that somebody has asked for; others are lost.
    pub(super) expected: Vec<i32>,
    /// What the wall clock shows more than the time since the simulation began, in nanoseconds.
    pub(super) wall_offset: i64,
    pub(super) alarms: Vec<WallAlarm>,
    /// When the next thread takes its next step.
    pub(super) next_step: u64,
    /// What the I/O of the step that is being taken has cost.
    pub(super) io_nanos: u64,
    pub(super) past: VecDeque<Token>,
    /// Until when descriptors are out.
    pub(super) exhausted_until: u64,
    pub(super) faults: Faults,
    pub(super) dice: Dice,
    pub(super) trace: Trace,
    pub(super) witness: Witness,
    /// Server's ends that are open.
    pub(super) open: usize,
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        World {
            nanos: 0,
            alarm: None,
            limit: 0,
            has_rested: false,
            files: Vec::new(),
            free: BinaryHeap::new(),
            listeners: Vec::new(),
            connections: Vec::new(),
            flowing: Vec::new(),
            edges: VecDeque::new(),
            later: Vec::new(),
            signals: Vec::new(),
            expected: Vec::new(),
            wall_offset: EPOCH_NANOS,
            alarms: Vec::new(),
            next_step: u64::MAX,
            io_nanos: 0,
            past: VecDeque::new(),
            exhausted_until: 0,
            faults: Faults::none(),
            dice: Dice::new(seed),
            trace: Trace::new(),
            witness: Witness::default(),
            open: 0,
        }
    }

    /// The last tick that has passed.
    pub(super) fn due(&self) -> Tick {
        Tick(self.nanos / NANOS_PER_TICK)
    }

    pub(super) fn note(&mut self, mark: Mark, first: u64, second: u64) {
        self.trace.note(mark, self.nanos, first, second);
    }

    /// A signal comes for the program.
    pub(super) fn signal(&mut self, number: i32) {
        self.note(Mark::Signal, number as u64, 0); // never negative
        if self.expected.contains(&number) {
            self.signals.push(number);
        }
    }

    /// Throws for a fault.
    pub(super) fn strikes(&mut self, chance: impl Fn(&Faults) -> f64) -> bool {
        let chance = chance(&self.faults);
        self.dice.happens(chance)
    }

    /// Time passes while a callback runs, if the dice say so.
    pub(super) fn stall(&mut self) {
        if self.strikes(|faults| faults.stalls) {
            let most = self.faults.stall_max.as_nanos() as usize; // milliseconds, in sense
            self.nanos += self.dice.below(most) as u64;
            self.note(Mark::Stalled, 0, 0);
            let due = self.due();
            self.witness.jumped(due);
        }
    }

    /// The lowest free descriptor number.
    pub(super) fn open(&mut self, owner: Owner) -> u32 {
        let number = match self.free.pop() {
            Some(Reverse(number)) => number,
            None => {
                self.files.push(File {
                    owner: Owner::Nobody,
                    token: None,
                    has_edge: false,
                });
                self.files.len() as u32 - 1 // far below 2^32
            }
        };
        self.files[number as usize].owner = owner;
        number
    }

    pub(super) fn release(&mut self, number: u32) {
        self.deregister(number);
        self.files[number as usize].owner = Owner::Nobody;
        self.free.push(Reverse(number));
    }

    pub(super) fn register(&mut self, number: u32, token: Token) {
        self.files[number as usize].token = Some(token);
        self.announce(number); // what is ready already is the first edge
    }

    pub(super) fn deregister(&mut self, number: u32) {
        if let Some(token) = self.files[number as usize].token.take() {
            self.past.push_back(token);
            if self.past.len() > PAST {
                self.past.pop_front();
            }
        }
    }

    /// Something new has come for `number`.
    pub(super) fn announce(&mut self, number: u32) {
        let file = &mut self.files[number as usize];
        if !file.has_edge {
            file.has_edge = true;
            self.edges.push_back(number);
        }
    }

    /// Something new has come for the server's end of `connection`, if it is open.
    pub(super) fn announce_connection(&mut self, connection: usize) {
        if let Server::Open(number) = self.connections[connection].server {
            self.announce(number);
        }
    }

    /// A listening socket with an address of its own.
    pub(super) fn listen(&mut self) -> (u32, SocketAddr) {
        let index = self.listeners.len();
        let number = self.open(Owner::Listener(index));
        // Addresses for documentation (RFC 5737): no packet ever goes there.
        let address = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 80 + index as u16));
        self.listeners.push(Listening {
            address,
            number: Some(number),
            queue: VecDeque::new(),
        });
        (number, address)
    }

    /// A client comes to `address`. Where nobody listens, or the queue is full, it is reset.
    pub(super) fn connect(&mut self, address: SocketAddr) -> usize {
        let id = self.connections.len();
        let capacity = match self.strikes(|faults| faults.narrow) {
            true => NARROW_BYTES_MIN + self.dice.below(NARROW_BYTES_MIN * 15),
            false => PIPE_BYTES,
        };
        self.connections.push(Connection::new(capacity));
        self.note(Mark::Connected, id as u64, 0);
        let mut listeners = self.listeners.iter_mut();
        let listener = listeners.find(|listener| listener.address == address);
        match listener.map(|listener| (listener.number, &mut listener.queue)) {
            Some((Some(number), queue)) if queue.len() < BACKLOG => {
                queue.push_back(id);
                self.announce(number);
            }
            _ => {
                self.connections[id].server = Server::Closed;
                self.connections[id].reset_for_client = true;
            }
        }
        id
    }

    /// Has what the client sent go on, now or in the next wait.
    pub(super) fn flow(&mut self, connection: usize) {
        let entry = &mut self.connections[connection];
        if !entry.is_flowing && entry.has_to_flow() {
            entry.is_flowing = true;
            self.flowing.push(connection);
        }
    }

    /// Moves what clients sent towards the server: all of it, or a part.
    pub(super) fn flow_all(&mut self) {
        for id in std::mem::take(&mut self.flowing) {
            let split = self.strikes(|faults| faults.split_arrivals);
            let entry = &mut self.connections[id];
            entry.is_flowing = false;
            let max = match split {
                true => self.dice.below(entry.outbox.len().min(200) + 1),
                false => usize::MAX,
            };
            let was_lost = entry.server == Server::Closed && !entry.outbox.is_empty();
            let moved = entry.flow(max);
            let goes_on = entry.has_to_flow() && (entry.inbound.room() > 0 || !moved);
            if was_lost {
                entry.reset_for_client = true; // who writes to a closed end is told so
            }
            if moved {
                self.announce_connection(id);
            }
            if goes_on && self.connections[id].inbound.room() > 0 {
                self.flow(id);
            }
        }
    }

    /// Ends a connection as a reset does, for both ends.
    pub(super) fn strike(&mut self, connection: usize) {
        self.note(Mark::Reset, connection as u64, 1);
        let entry = &mut self.connections[connection];
        entry.was_struck = true;
        entry.reset_for_client = true;
        self.reset_server(connection);
    }

    pub(super) fn reset_server(&mut self, connection: usize) {
        let entry = &mut self.connections[connection];
        entry.reset_for_server = true;
        entry.inbound.clear();
        entry.outbound.clear();
        entry.outbox.clear();
        self.announce_connection(connection);
    }
}
