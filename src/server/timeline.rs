//! One connection's life as a text: what happened, when, how many bytes it moved, and what became of the
//! connection.
//!
//! ```text
//! connection 3 of 10.0.0.3:1025
//! +0.0 ms accepted
//! +0.4 ms ready: read 14 bytes -> head
//! +10000.0 ms deadline: answered 408, wrote 134 bytes -> lingering, head timeout
//! +12000.0 ms deadline -> closed, head timeout
//! +12000.0 ms gone: head timeout
//! ```

use std::fmt;
use std::time::Duration;

use crate::connection::{CloseReason, StateKind};
use crate::http::Status;
use crate::reactor::{Event, Peer};

/// What a connection has been through, from its server's
/// [flight recorder](super::Server::flight_recorder).
///
/// Displayed in one line for a log, or by `{:#}` with a line for each record.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Timeline {
    /// Its number: the server counts from 1 as it accepts.
    pub connection: u64,
    /// Who is at the other end.
    pub peer: Peer,
    /// How many records there were before those that are left.
    pub lost: u64,
    /// What happened, in order: the latest records of the connection.
    pub records: Vec<Record>,
    /// When, since it was accepted, and why it ended.
    pub end: Option<(Duration, CloseReason)>,
}

/// What the loop did for a connection in one visit, or in several in a row that were alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Record {
    /// When the first visit was, since the connection was accepted.
    pub first: Duration,
    /// When the last one was.
    pub last: Duration,
    /// What the loop came for.
    pub event: Happened,
    /// Bytes read from the client.
    pub read: u64,
    /// Requests given to the service.
    pub requests: u32,
    /// What the server itself answered: the last answer on this connection.
    pub answered: Option<Status>,
    /// Bytes that the kernel took for the client.
    pub written: u64,
    /// The state of the connection afterwards.
    pub state: StateKind,
    /// Why it ends, once that is certain.
    pub ending: Option<CloseReason>,
}

/// Why the loop visited a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Happened {
    /// The socket became readable or writable, or failed.
    Ready,
    /// A deadline passed, or a window in which a rate is judged.
    Deadline,
    /// An answer from elsewhere is there, or an exchange in pieces goes on.
    Woken,
    /// It has just been accepted, or had work left from its last visit.
    Resumed,
    /// The server drains.
    Drain,
}

impl Happened {
    #[inline]
    pub(super) fn of(event: Event) -> Happened {
        match event {
            Event::Ready(_) => Happened::Ready,
            Event::Deadline => Happened::Deadline,
            Event::Woken => Happened::Woken,
            Event::Resumed | Event::Signal(_) | Event::Completed(_) => Happened::Resumed,
            Event::Drain => Happened::Drain,
        }
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Happened::Ready => "ready",
            Happened::Deadline => "deadline",
            Happened::Woken => "woken",
            Happened::Resumed => "resumed",
            Happened::Drain => "drain",
        })
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, next) = match f.alternate() {
            true => ("\n", "\n"),
            false => (": ", "; "),
        };
        let (connection, peer) = (self.connection, &self.peer);
        write!(
            f,
            "connection {connection} of {peer}{first}+0.0 ms accepted"
        )?;
        if self.lost > 0 {
            write!(f, "{next}({} records lost)", self.lost)?;
        }
        for record in &self.records {
            write!(f, "{next}{record}")?;
        }
        match self.end {
            Some((at, reason)) => write!(f, "{next}+{} gone: {reason}", Millis(at)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", Millis(self.first))?;
        if self.last > self.first {
            write!(f, " to +{}", Millis(self.last))?;
        }
        write!(f, " {}", self.event)?;
        let mut sign = ":";
        let mut part = |part: fmt::Arguments<'_>| {
            let written = write!(f, "{sign} {part}");
            sign = ",";
            written
        };
        if self.read > 0 {
            part(format_args!("read {}", Count(self.read, "byte")))?;
        }
        if self.requests > 0 {
            part(format_args!("{}", Count(self.requests.into(), "request")))?;
        }
        if let Some(status) = self.answered {
            part(format_args!("answered {}", status.code()))?;
        }
        if self.written > 0 {
            part(format_args!("wrote {}", Count(self.written, "byte")))?;
        }
        write!(f, " -> {}", self.state)?;
        match self.ending {
            Some(reason) => write!(f, ", {reason}"),
            None => Ok(()),
        }
    }
}

/// A time in milliseconds, with one digit behind the point.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.as_micros() / 100; // rounded down: no deadline looks early
        write!(f, "{}.{} ms", tenths / 10, tenths % 10)
    }
}

/// A number of things.
struct Count(u64, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Count(count, thing) = self;
        let plural = if *count == 1 { "" } else { "s" };
        write!(f, "{count} {thing}{plural}")
    }
}
