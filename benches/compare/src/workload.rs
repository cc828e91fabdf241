//! What the client does: the workloads.

use crate::constants::{LAST_REQUEST, REQUEST};

/// How long a connection lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lives {
    /// For as long as the measurement.
    Stays,
    /// For one request, which says so.
    Once,
}

/// One way to load a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Workload {
    /// How the flags and the tables name it.
    pub letter: char,
    pub what: &'static str,
    /// Connections that are busy.
    pub connections: usize,
    /// Requests that a busy connection has under way, sent in one write.
    pub depth: usize,
    pub lives: Lives,
    /// Connections that have had one answer, and then nothing.
    pub idle: usize,
    /// What trine's single loop is to be, of the floor.
    pub aim: &'static str,
}

const KEPT: Workload = Workload {
    letter: 'a',
    what: "64 connections, kept",
    connections: 64,
    depth: 1,
    lives: Lives::Stays,
    idle: 0,
    aim: "1.05",
};

/// All of them, in the order of the tables.
pub const WORKLOADS: [Workload; 5] = [
    KEPT,
    Workload {
        letter: 'b',
        what: "64 connections, 16 requests pipelined",
        depth: 16,
        aim: "1.15",
        ..KEPT
    },
    Workload {
        letter: 'c',
        what: "64 at once, a connection for each request",
        lives: Lives::Once,
        aim: "the best peer",
        ..KEPT
    },
    Workload {
        letter: 'd',
        what: "512 connections, kept",
        connections: 512,
        ..KEPT
    },
    Workload {
        letter: 'e',
        what: "64 connections, kept, beside 10,000 that are idle",
        idle: 10_000,
        aim: "-",
        ..KEPT
    },
];

impl Workload {
    /// What a connection asks each time.
    #[must_use]
    pub fn request(&self) -> &'static [u8] {
        match self.lives {
            Lives::Stays => REQUEST,
            Lives::Once => LAST_REQUEST,
        }
    }
}
