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
mod exposition;
mod host;
mod ladder;
mod listener;
mod memory;
mod metrics;
mod overload;
mod settings;
mod sweep;
mod unit;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use crate::connection::Config;
use crate::reactor::{EventLoop, Reserve, Result, Signal, Sources, StreamListener};
use crate::service::{Service, respond};
use crate::{Request, Response};

use host::{Bounds, Host};

pub use exposition::{Exposition, Family};
pub use host::ServerHandle;
pub use ladder::{Ladder, Rung};
pub use metrics::ServerMetrics;

/// A listening HTTP/1.1 server with its settings, not yet running.
///
/// Every limit and deadline has a default that is safe on the open network; each can be changed
/// before [`serve`](Server::serve).
#[derive(Debug)]
pub struct Server {
    listener: StreamListener,
    config: Config,
    bounds: Bounds,
    /// In descriptors.
    reserve: usize,
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
            bounds: Bounds {
                connections_max: host::default_connections_max(),
                memory_max: memory::default_memory_max(),
                ladder: Ladder::default(),
            },
            reserve: 0,
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
    /// When a setting makes no sense, the listener cannot be registered, or there are not as many
    /// descriptors left as are to be [kept](Server::reserve_descriptors).
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
        let reserve = Reserve::new(self.reserve)?;
        let mut cx = sources.context();
        let host = cx.share(Host::new(service, self.config, self.bounds, reserve));
        match cx.insert(listener::listener(self.listener, host)) {
            Ok(_) => Ok(ServerHandle::new(host)),
            Err(error) => {
                drop(cx.unshare(host));
                Err(error.into())
            }
        }
    }
}
