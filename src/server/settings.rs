//! What can be set about a server, and whether it makes sense.

use std::time::Duration;

use super::Server;
use super::observer::Observer;
use super::served::Served;
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

    /// How many connections are served at once (half of the descriptor limit). Clients beyond
    /// them get 503, or wait in the kernel's queue.
    #[must_use]
    pub fn connections_max(mut self, connections: usize) -> Server {
        self.connections_max = connections;
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

    /// Calls `call` for each exchange that is over: for an access log, see [`Served::combined`]. It
    /// runs on the loop's thread, once for each in the order of a connection, and must not wait; a
    /// panic in it is counted and harms nobody.
    ///
    /// Without it nothing is remembered of an exchange. With it each connection keeps a copy of the
    /// heads, at most [`head_bytes_max`](crate::http::Limits) bytes each, whose answers are not
    /// taken yet.
    ///
    /// ```no_run
    /// use trine::{Response, Server};
    ///
    /// # fn main() -> trine::Result<()> {
    /// Server::bind("127.0.0.1:8080")?
    ///     .on_served(|served| println!("{}", served.combined()))
    ///     .serve(|_| Response::text("hello\n"))
    /// # }
    /// ```
    #[must_use]
    pub fn on_served(mut self, call: impl FnMut(&Served<'_>) + Send + 'static) -> Server {
        self.observer = Some(Box::new(Observer::new(call)));
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
        if self.connections_max == 0 {
            return Err(Error::new(
                ErrorKind::Invalid,
                "serve with",
                "connections_max of zero",
            ));
        }
        Ok(())
    }
}
