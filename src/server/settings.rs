//! What can be set about a server, and whether it makes sense.

use std::time::Duration;

use super::{Ladder, Server};
use crate::connection::{Config, Rate};
use crate::reactor::{Error, ErrorKind, Result};
use crate::time::Span;

impl Server {
    /// How long a request head may take as a whole, from accept or from its first byte (10 s).
    #[must_use]
    pub fn head_timeout(mut self, limit: Duration) -> Server {
        self.config.deadlines.head = Span::from(limit);
        self
    }

    /// How long a request body may take as a whole (60 s). See also
    /// [`body_rate`](Server::body_rate).
    #[must_use]
    pub fn body_timeout(mut self, limit: Duration) -> Server {
        self.config.deadlines.body = Span::from(limit);
        self
    }

    /// The least a client must send of a body: `bytes` in each `window` (2,500 in 5 s).
    #[must_use]
    pub fn body_rate(mut self, bytes: u32, window: Duration) -> Server {
        self.config.deadlines.body_rate = Rate {
            bytes_min: bytes,
            window: Span::from(window),
        };
        self
    }

    /// How long the service may take to answer (30 s).
    #[must_use]
    pub fn handler_timeout(mut self, limit: Duration) -> Server {
        self.config.deadlines.handler = Span::from(limit);
        self
    }

    /// The least a client must take of an answer: `bytes` in each `window` (30,000 in 60 s). The
    /// kernel counts in steps of up to 64 KiB, so a short window cuts clients that are not slow.
    #[must_use]
    pub fn write_rate(mut self, bytes: u32, window: Duration) -> Server {
        self.config.deadlines.write_rate = Rate {
            bytes_min: bytes,
            window: Span::from(window),
        };
        self
    }

    /// How long a connection may be idle between requests (75 s).
    #[must_use]
    pub fn idle_timeout(mut self, limit: Duration) -> Server {
        self.config.deadlines.idle = Span::from(limit);
        self
    }

    /// How long a drain waits for requests in flight before it is forced (30 s). For
    /// [`serve`](Server::serve) only: a loop that a server is [attached](Server::attach) to is
    /// drained by its owner.
    #[must_use]
    pub fn drain_timeout(mut self, limit: Duration) -> Server {
        self.drain = limit;
        self
    }

    /// How many connections are served at once (half of the descriptor limit). A client beyond them
    /// gets the place of whoever has been idle for longest; if nobody is idle, it gets 503, or waits in
    /// the kernel's queue.
    #[must_use]
    pub fn connections_max(mut self, connections: usize) -> Server {
        self.bounds.connections_max = connections;
        self
    }

    /// How many bytes all connections may hold in buffers (a quarter of the memory of the machine, or of
    /// the process's cgroup if that has less): requests that are not whole, answers that were not taken.
    ///
    /// A body that is collected never takes the server beyond it: the client gets 503. All else that
    /// connections hold is bounded for [each](Config::connection_memory_max), and before it is reached
    /// the [ladder](super::Ladder) does something about it. Not counted: what the service keeps itself,
    /// the kernel's buffers, and 48 to 160 bytes for each connection.
    #[must_use]
    pub fn memory_max(mut self, bytes: usize) -> Server {
        self.bounds.memory_max = bytes;
        self
    }

    /// Keeps as many descriptors back for clients of this server (none). They are accepted and served
    /// while the process has no other descriptor left: for the side of a program that has to answer
    /// when all else is in trouble. Taken when the server is put on its loop; a
    /// [`Reserve`](crate::reactor::Reserve) of your own does the same for files.
    #[must_use]
    pub fn reserve_descriptors(mut self, descriptors: usize) -> Server {
        self.reserve = descriptors;
        self
    }

    /// From when on the server does what about being short of memory, connections or descriptors; see
    /// [`Ladder`].
    #[must_use]
    pub fn overload(mut self, ladder: Ladder) -> Server {
        self.bounds.ladder = ladder;
        self
    }

    /// How long a request body may be, in bytes (1 MiB).
    #[must_use]
    pub fn body_bytes_max(mut self, bytes: u64) -> Server {
        self.config.limits.body_bytes_max = bytes;
        self
    }

    /// How many requests one connection may make; the last answer says `Connection: close` (1,000).
    #[must_use]
    pub fn requests_per_connection_max(mut self, requests: u32) -> Server {
        self.config.requests_per_connection_max = requests;
        self
    }

    /// All settings of a connection, for what has no method of its own.
    #[must_use]
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    pub(super) fn check(&self) -> Result<()> {
        let deadlines = &self.config.deadlines;
        let rows = [
            ("head_timeout", deadlines.head),
            ("body_timeout", deadlines.body),
            ("body_rate window", deadlines.body_rate.window),
            ("handler_timeout", deadlines.handler),
            ("write_rate window", deadlines.write_rate.window),
            ("idle_timeout", deadlines.idle),
            ("linger deadline", deadlines.linger),
        ];
        if let Some((name, _)) = rows.iter().find(|(_, span)| *span == Span::ZERO) {
            let what = format!("a {name} of zero: it would cut every connection at once");
            return Err(Error::new(ErrorKind::Invalid, "serve with", what));
        }
        let zero = [
            ("connections_max", self.bounds.connections_max),
            ("memory_max", self.bounds.memory_max),
        ];
        if let Some((name, _)) = zero.iter().find(|(_, value)| *value == 0) {
            let what = format!("a {name} of zero: it would serve nobody");
            return Err(Error::new(ErrorKind::Invalid, "serve with", what));
        }
        self.bounds.ladder.check()
    }
}
