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
//! [`Server::on_served`] tells of each exchange that is over, for an access log:
//!
//! ```text
//!   connection ── begins, answers, bytes taken ──> journal ── over, or cut ──> Served ──> your call
//! ```
//!
//! Each connection is a source. What they share (the service, the settings, the buffers, the
//! counters) is one value of the loop, lent to whichever runs.
//!
//! # Patterns
//!
//! What moves the bytes of a connection is chosen with one call, and nothing else of a server is chosen with
//! it: the same connection, deadlines, limits, drain and service.
//!
//! | pattern | a connection is told | chosen by | take it when |
//! |---|---|---|---|
//! | reactor | that its socket is ready; it reads and writes | nothing: the default | always, unless measured otherwise: cheapest without a kernel's help, least memory |
//! | proactor on io_uring | that bytes have come, or were taken | [`Server::proactor`], feature `io-uring` | many connections are busy at once: one system call for the operations of a turn |
//! | proactor, emulated | the same, over the reactor | [`Server::proactor`] with [`Pattern::Emulated`](crate::proactor::Pattern::Emulated) | where the kernel refuses io_uring: chosen by itself then; for tests |
//!
//! By operations a connection has a receive under way whenever all that came is read, into a buffer of the
//! proactor's own that is chosen when bytes come, so who is idle holds none; and one send, of a copy of up
//! to 64 KiB of its output, which counts as memory of the server above 4 KiB. A write counts as done when
//! the kernel has taken its bytes. Before a client is judged (a deadline, a drain, an eviction), what has
//! completed and was not told is looked for: what came in time wins. A client that has sent its end, or
//! more than was read, and then resets, is found out by the next send, not before.
//! On io_uring a send that waits is tried again only when a third of the socket's buffer is free, so a client
//! that takes less than that in a window of [`write_rate`](Server::write_rate) may be cut though it is not too
//! slow; and under either driver who takes nothing may be cut one window late.
//!
//! Connections are accepted by readiness under either pattern: the limit of connections, the reserve of
//! descriptors and the pause when there are none decide before a client leaves the kernel's queue, and an
//! operation would take it first. A connection by operations stays on its loop: [rebalancing](CoreOptions::rebalancing)
//! refuses it.
//!
//! Under [leader/followers](Model::LeaderFollowers) its operations stay there, and the loop starts
//! them for whichever thread has the connection. Each crosses threads: a request on one of 64 connections
//! took 7.5 us of processor time by readiness, 9.6 by emulated operations and 10.1 by io_uring; on a single
//! one, for which every thread wakes each time, 12, 39 and 33 (`httpbin`, two threads, on two processors
//! beside other work). A drain without any grace may reset such connections though they are idle. Take the
//! reactor for a team, unless you measure otherwise.
//!
//! # Overload
//!
//! A server that runs short does not fall over: it does less for some, one step after another, and
//! does all of it again when there is enough.
//!
//! | [rung](Rung) | entered when | does | counted as |
//! |---|---|---|---|
//! | shorten idle | 80 % of the memory, or of the connections, are in use | cuts idle times in proportion, from what was set down to 5 s at 90 % | [`Evicted`](crate::CloseReason::Evicted) |
//! | close idle | 90 % of the memory; a client comes for whom there is no place, or no descriptor | closes whoever has been idle for longest: an eighth of all, 1 to 64 at a time, nobody idle for less than 100 ms | `Evicted` |
//! | no keep-alive | 95 % of the memory; no descriptor, and nobody idle | each answer is the last of its connection and says `Connection: close` | [`Shed`](crate::CloseReason::Shed) |
//! | refuse | 98 % of the memory | requests get 503 with `Retry-After`; the service is not called | [`Refused`](crate::CloseReason::Refused) |
//! | pause accepting | 100 % of the memory | clients wait in the kernel's queue | |
//!
//! A rung includes those before it. Up it goes at once, as far as needed; down one rung at a time, each
//! after a second at least and with 10 % less in use than led there, so nothing flaps. All of these
//! numbers are fields of [`Ladder`]; entering and leaving is logged once (target `trine::http`), and
//! [`ServerMetrics`] tells the rung, how often each was entered and for how long.
//!
//! Under all rungs stand limits that hold whatever happens. `memory` is what connections hold in
//! buffers, counted where a buffer is allocated, grows and is freed, so that requests cost nothing:
//! [`Server::memory_max`] stops each body that would go beyond it
//! ([`MemoryLimit`](crate::CloseReason::MemoryLimit)), and
//! [`Config::connection_memory_max`](crate::connection::Config::connection_memory_max) says what one
//! connection can hold at most. Clients beyond [`Server::connections_max`] are told 503
//! ([`Overloaded`](crate::CloseReason::Overloaded)) if nobody idle can make room.
//!
//! The descriptors of a process are not counted but noticed: when `accept` gets none. What has to be
//! reached even then (an administrator's side, a log) keeps some back:
//! [`Server::reserve_descriptors`] and [`Reserve`](crate::reactor::Reserve).
//!
//! How whoever was idle for longest is found without a list that every request would have to keep in
//! order: while the server is short, a source passes over all connections every 100 ms, and at once
//! when a client needs a place. It looks at 1,024 slots of the loop in a turn; a pass over n
//! connections is O(n log m) for m that are to go. While nothing is short there is no such source.
//!
//! The models are Envoy's overload manager, with its thresholds, and nginx's reuse of idle connections
//! when none is free.

mod access_line;
mod completions;
mod driver;
mod exposition;
mod host;
mod install;
mod ladder;
mod listener;
mod memory;
mod metrics;
mod models;
mod moving;
mod observer;
mod overload;
mod present;
mod recorder;
mod recording;
mod reload;
mod served;
mod settings;
mod sweep;
mod team;
mod timeline;
mod transport;
mod unit;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use crate::connection::Config;
use crate::hand_over::HandOver;
use crate::proactor::ProactorOptions;
use crate::reactor::{EventLoop, Result, Signal, Sources, StreamListener};
use crate::service::{Service, respond};
use crate::{Request, Response};

use host::Bounds;
use observer::Observer;

pub use access_line::{Combined, Escaped};
pub use exposition::{Exposition, Family};
pub use host::ServerHandle;
pub use ladder::{Ladder, Rung};
pub use metrics::{DrainCount, ServerMetrics};
pub use models::{Accepting, CoreOptions, LoopMetrics, Model, Question, ServerMeter, Serving};
pub use moving::MovingConnection;
pub use reload::{Live, NoReload, OnReload, Reload};
pub use served::{Ended, Served};
pub use team::Books;
pub use timeline::{Happened, Record, Timeline};

/// A listening HTTP/1.1 server with its settings, not yet running.
///
/// Every limit and deadline has a default that is safe on the open network; each can be changed
/// before [`serve`](Server::serve).
///
/// `R` is what SIGHUP does; nobody needs to name it.
#[derive(Debug)]
pub struct Server<R = NoReload> {
    listener: StreamListener,
    config: Config,
    bounds: Bounds,
    /// In descriptors.
    reserve: usize,
    drain: Duration,
    observer: Option<Box<Observer>>,
    hand_over: Option<HandOver>,
    #[cfg(feature = "systemd")]
    notifies: bool,
    reload: R,
    stall: Option<Duration>,
    /// Entries for each connection; 0 without a recorder.
    recorder: usize,
    /// `None` for the reactor.
    proactor: Option<ProactorOptions>,
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

    /// Takes the listening socket for `address` over from the process that serves it and offers it at
    /// `path`, or binds it when nobody is there, and offers it to a successor in turn: restart without
    /// loss, see [`hand_over`](crate::hand_over). For several sockets, hold a [`HandOver`] yourself.
    ///
    /// # Errors
    ///
    /// As [`HandOver::at`] and [`HandOver::bind_tcp`].
    pub fn bind_or_take_over(
        address: impl ToSocketAddrs,
        path: impl AsRef<Path>,
    ) -> Result<Server> {
        let mut hand_over = HandOver::at(path)?;
        let server = Server::over(hand_over.bind_tcp(address)?);
        Ok(Server {
            hand_over: Some(hand_over),
            ..server
        })
    }

    /// A server on a socket that listens already: one of a [`HandOver`], for example.
    #[must_use]
    pub fn over(listener: StreamListener) -> Server {
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
            observer: None,
            hand_over: None,
            #[cfg(feature = "systemd")]
            notifies: false,
            reload: NoReload,
            stall: None,
            recorder: 0,
            proactor: None,
        }
    }
}

impl<R> Server<R> {
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
        R: Reload<()>,
    {
        self.serve_with(respond(function), ())
    }

    /// Runs the server on a loop of its own with `service`, which is lent `state`. Otherwise as
    /// [`serve`](Server::serve).
    ///
    /// # Errors
    ///
    /// As [`serve`](Server::serve).
    pub fn serve_with<S>(self, service: impl Service<S>, mut state: S) -> Result<()>
    where
        S: 'static,
        R: Reload<S>,
    {
        let mut event_loop = EventLoop::new()?;
        // First of all: a signal that comes while the rest is set up drains in the first turn.
        event_loop.drain_on_signals([Signal::TERM, Signal::INT], self.drain)?;
        if let Some(limit) = self.stall {
            event_loop.watch_stalls(limit, |_| {})?; // it is logged
        }
        self.attach(&mut event_loop, service)?;
        event_loop.run(&mut state)
    }

    /// Puts the server on a loop. It drains when the loop does, and reloads and hands over as it was
    /// [asked](Server::on_reload) to.
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
        R: Reload<S>,
    {
        let (share, care) = self.split()?;
        let mut cx = sources.context();
        let (handle, door) = share.install(service, &mut cx)?;
        match care.attend(handle, &mut cx) {
            Ok(()) => Ok(handle),
            Err(error) => {
                cx.remove(door); // nobody would have the handle to what is served
                Err(error)
            }
        }
    }
}
