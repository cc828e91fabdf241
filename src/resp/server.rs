//! A listener for RESP, to be put on a loop.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use super::backend::{Backend, RespOptions};
use super::handler::RespHandler;
use super::limits::RespLimits;
use crate::reactor::{Result, Sources, StreamListener, StreamOptions};
use crate::slab::Token;
use crate::storage::{Durability, StorageUnit};
use crate::time::Span;

/// A listening server of the Redis protocol with its settings, not yet running.
///
/// Every limit and deadline has a default that is safe on the open network, but whoever can connect
/// can read and write everything: there is no password.
///
/// ```no_run
/// # fn example(unit: trine::storage::StorageUnit) -> trine::Result<()> {
/// use trine::{EventLoop, resp::RespServer};
///
/// let mut event_loop = EventLoop::new()?;
/// RespServer::bind("127.0.0.1:6379")?.attach(&mut event_loop, unit)?;
/// event_loop.run(&mut ())
/// # }
/// ```
#[derive(Debug)]
pub struct RespServer {
    listener: StreamListener,
    options: RespOptions,
    streams: StreamOptions,
}

/// More than the longest command: the rest of what was read with it.
const INPUT_MARGIN: usize = 64 * 1024;

impl RespServer {
    /// Listens on `address`. Clients can connect from now on; they wait in the kernel's queue until
    /// the loop runs.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub fn bind(address: impl ToSocketAddrs) -> Result<RespServer> {
        StreamListener::bind_tcp(address).map(RespServer::over)
    }

    /// Listens on a Unix socket at `path`.
    ///
    /// # Errors
    ///
    /// When the path cannot be listened on.
    pub fn bind_unix(path: impl AsRef<Path>) -> Result<RespServer> {
        StreamListener::bind_unix(path).map(RespServer::over)
    }

    /// A server on a socket that listens already: one of a
    /// [`HandOver`](crate::hand_over::HandOver), for example.
    #[must_use]
    pub fn over(listener: StreamListener) -> RespServer {
        RespServer {
            listener,
            options: RespOptions::default(),
            streams: StreamOptions {
                connections_max: 10_000,
                idle: Span::from_secs(3_600),
                write_window: Span::from_secs(60),
                write_least: 30_000,
                ..StreamOptions::default()
            },
        }
    }

    /// The address it listens on: the port the kernel chose for port 0. `None` for a Unix socket.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.listener.local_address()
    }

    /// What a client may send.
    #[must_use]
    pub fn limits(mut self, limits: RespLimits) -> RespServer {
        self.options.limits = limits;
        self
    }

    /// What an `OK` to a write promises (as much as the store can on one machine).
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> RespServer {
        self.options.durability = Some(durability);
        self
    }

    /// How long an operation may wait for its turn in the store (30 s).
    #[must_use]
    pub fn patience(mut self, limit: Duration) -> RespServer {
        self.options.patience = Span::from(limit);
        self
    }

    /// How many clients are served at once (10,000); more wait in the kernel's queue.
    #[must_use]
    pub fn connections_max(mut self, connections: usize) -> RespServer {
        self.streams.connections_max = connections;
        self
    }

    /// How long a client may be silent (1 h).
    #[must_use]
    pub fn idle_timeout(mut self, limit: Duration) -> RespServer {
        self.streams.idle = Span::from(limit);
        self
    }

    /// The least a client must take of its replies: `bytes` in each `window` (30,000 in 60 s).
    #[must_use]
    pub fn write_rate(mut self, bytes: usize, window: Duration) -> RespServer {
        self.streams.write_least = bytes;
        self.streams.write_window = Span::from(window);
        self
    }

    /// All that concerns commands, for what has no method of its own.
    #[must_use]
    pub fn options_mut(&mut self) -> &mut RespOptions {
        &mut self.options
    }

    /// Puts the server on a loop: what clients ask is done by `unit`. When the loop drains, what was
    /// received is answered before the connections close.
    ///
    /// # Errors
    ///
    /// When a setting makes no sense, or the listener cannot be registered. Names the listener.
    pub fn attach<S: 'static>(
        self,
        sources: &mut impl Sources<S>,
        unit: StorageUnit,
    ) -> Result<Token> {
        let streams = StreamOptions {
            input_max: self.options.limits.command_bytes_max as usize + INPUT_MARGIN,
            output_high: self.options.output_high,
            output_max: usize::MAX, // nothing is done for a client beyond `output_high`
            ..self.streams
        };
        let handler = RespHandler::new(Backend::new(unit, self.options));
        sources.streams(self.listener, streams, handler)
    }
}
