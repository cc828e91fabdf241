//! The HTTP/1.1 server: the sans-I/O [`Connection`](crate::connection::Connection) on the sockets
//! of a loop, in front of a [`Service`].
//!
//! ```no_run
//! use trine::{Response, Server};
//!
//! fn main() -> trine::Result<()> {
//!     Server::bind("127.0.0.1:8080")?.serve(|_| Response::text("one thread, one epoll, no async\n"))
//! }
//! ```
//!
//! [`Server::serve`] makes a loop of its own and drains on SIGTERM and SIGINT;
//! [`Server::attach`] puts the server on a loop that has other things to do as well.
//!
//! Each connection is a source. What they share (the service, the settings, the buffers, the
//! counters) is one value of the loop, lent to whichever runs.

mod driver;
mod host;
mod listener;
mod metrics;
mod unit;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use crate::connection::{Config, Rate};
use crate::reactor::{Error, ErrorKind, EventLoop, Result, Signal, Sources, StreamListener};
use crate::service::{Service, respond};
use crate::time::Span;
use crate::{Request, Response};

use host::Host;

pub use host::ServerHandle;
pub use metrics::ServerMetrics;

/// A listening HTTP/1.1 server with its settings, not yet running.
///
/// Every limit and deadline has a default that is safe on the open network; each can be changed
/// before [`serve`](Server::serve).
#[derive(Debug)]
pub struct Server {
    listener: StreamListener,
    config: Config,
    connections_max: usize,
    drain: Duration,
}

impl Server {
    /// Listens on `address`. Clients can connect from now on; they wait in the kernel's queue
    /// until the server runs.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub fn bind(address: impl ToSocketAddrs) -> Result<Server> {
        StreamListener::bind_tcp(address).map(Server::over)
    }

    /// Listens on a Unix socket at `path`.
    ///
    /// # Errors
    ///
    /// When the path cannot be listened on.
    pub fn bind_unix(path: impl AsRef<Path>) -> Result<Server> {
        StreamListener::bind_unix(path).map(Server::over)
    }

    pub(crate) fn over(listener: StreamListener) -> Server {
        Server {
            listener,
            config: Config::default(),
            connections_max: host::default_connections_max(),
            drain: Duration::from_secs(30),
        }
    }

    /// How long a drain may take.
    #[cfg(feature = "testing")]
    pub(crate) fn grace(&self) -> Duration {
        self.drain
    }

    /// The address it listens on: the port the kernel chose for port 0. `None` for a Unix socket.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.listener.local_address()
    }

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

    /// All settings of a connection, for what has no method of its own.
    #[must_use]
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// Runs the server on a loop of its own; `respond` answers each request at once. Returns when
    /// SIGTERM or SIGINT asked for a drain and it is complete.
    ///
    /// # Errors
    ///
    /// When a setting makes no sense, the kernel refuses something, or the drain was forced by its
    /// deadline or by a second signal.
    pub fn serve<F>(self, function: F) -> Result<()>
    where
        F: FnMut(&Request<'_>) -> Response + 'static,
    {
        self.serve_with(respond(function), ())
    }

    /// Runs the server on a loop of its own with `service`, which is lent `state`. Otherwise as
    /// [`serve`](Server::serve).
    ///
    /// # Errors
    ///
    /// As [`serve`](Server::serve).
    pub fn serve_with<S: 'static>(self, service: impl Service<S>, mut state: S) -> Result<()> {
        let mut event_loop = EventLoop::new()?;
        let grace = self.drain;
        self.attach(&mut event_loop, service)?;
        event_loop.drain_on_signals([Signal::TERM, Signal::INT], grace)?;
        event_loop.run(&mut state)
    }

    /// Puts the server on a loop. It drains when the loop does.
    ///
    /// # Errors
    ///
    /// When a setting makes no sense, or the listener cannot be registered.
    pub fn attach<S, V>(
        self,
        sources: &mut impl Sources<S>,
        service: V,
    ) -> Result<ServerHandle<S, V>>
    where
        S: 'static,
        V: Service<S>,
    {
        self.check()?;
        let mut cx = sources.context();
        let host = cx.share(Host::new(service, self.config, self.connections_max));
        match cx.insert(listener::listener(self.listener, host)) {
            Ok(_) => Ok(ServerHandle::new(host)),
            Err(error) => {
                drop(cx.unshare(host));
                Err(error.into())
            }
        }
    }

    fn check(&self) -> Result<()> {
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
