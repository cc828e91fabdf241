//! What can be set about a server, and whether it makes sense.

use std::time::Duration;

use super::host::Bounds;
use super::observer::Observer;
use super::served::Served;
use super::{Ladder, Server};
use crate::connection::{Config, Rate};
use crate::hand_over::HandOver;
use crate::proactor::ProactorOptions;
use crate::reactor::{Error, ErrorKind, Result};
use crate::time::Span;

/// 3 MiB for each connection.
const RECORDER_ENTRIES_MAX: usize = 65_536;

impl<R> Server<R> {
    /// How long a request head may take as a whole, from accept or from its first byte (10 s).
    #[must_use]
    pub fn head_timeout(mut self, limit: Duration) -> Server<R> {
        self.config.deadlines.head = Span::from(limit);
        self
    }

    /// How long a request body may take as a whole (60 s). See also
    /// [`body_rate`](Server::body_rate).
    #[must_use]
    pub fn body_timeout(mut self, limit: Duration) -> Server<R> {
        self.config.deadlines.body = Span::from(limit);
        self
    }

    /// The least a client must send of a body: `bytes` in each `window` (2,500 in 5 s).
    #[must_use]
    pub fn body_rate(mut self, bytes: u32, window: Duration) -> Server<R> {
        self.config.deadlines.body_rate = Rate {
            bytes_min: bytes,
            window: Span::from(window),
        };
        self
    }

    /// How long the service may take to answer (30 s).
    #[must_use]
    pub fn handler_timeout(mut self, limit: Duration) -> Server<R> {
        self.config.deadlines.handler = Span::from(limit);
        self
    }

    /// The least a client must take of an answer: `bytes` in each `window` (30,000 in 60 s). The
    /// kernel counts in steps of up to 64 KiB, so a short window cuts clients that are not slow.
    #[must_use]
    pub fn write_rate(mut self, bytes: u32, window: Duration) -> Server<R> {
        self.config.deadlines.write_rate = Rate {
            bytes_min: bytes,
            window: Span::from(window),
        };
        self
    }

    /// How long a connection may be idle between requests (75 s).
    #[must_use]
    pub fn idle_timeout(mut self, limit: Duration) -> Server<R> {
        self.config.deadlines.idle = Span::from(limit);
        self
    }

    /// How long a drain waits for requests in flight before it is forced (30 s). For
    /// [`serve`](Server::serve) and [any model](Server::under) only: a loop that a server is
    /// [attached](Server::attach) to is drained by its owner.
    #[must_use]
    pub fn drain_timeout(mut self, limit: Duration) -> Server<R> {
        self.drain = limit;
        self
    }

    /// Has a thread report every callback that keeps the loop for longer than `limit`, while it does;
    /// see [`EventLoop::watch_stalls`](crate::EventLoop::watch_stalls) (off). For
    /// [`serve`](Server::serve) and [any model](Server::under) only, as the
    /// [drain timeout](Server::drain_timeout) is; of several loops, each is watched, of a
    /// team of threads only the loop.
    #[must_use]
    pub fn watch_stalls(mut self, limit: Duration) -> Server<R> {
        self.stall = Some(limit);
        self
    }

    /// Keeps a record of what each connection goes through: up to `entries` transitions with the bytes
    /// read and written, the latest when there were more; 0 for none (the default).
    ///
    /// The life of a connection that ends badly is logged under the target `trine::http`: at `warn`
    /// when the server is to blame (a panic, a service too late, forced), at `info` when the client is
    /// (refused, too slow, reset in the middle). [`ServerHandle::explain`](super::ServerHandle::explain)
    /// gives one as a [`Timeline`](super::Timeline).
    ///
    /// Costs 48 bytes an entry and some 200 for each connection, idle or not, and for the last 64 that
    /// ended. What repeats (requests on a connection kept alive, a body that drips) takes one entry, so
    /// 16 are many.
    #[must_use]
    pub fn flight_recorder(mut self, entries: usize) -> Server<R> {
        self.recorder = entries;
        self
    }

    /// How many connections are served at once (half of the descriptor limit). A client beyond them
    /// gets the place of whoever has been idle for longest; if nobody is idle, it gets 503, or waits in
    /// the kernel's queue.
    #[must_use]
    pub fn connections_max(mut self, connections: usize) -> Server<R> {
        self.bounds.connections_max = connections;
        self
    }

    /// How many bytes all connections may hold in buffers (a quarter of the memory of the machine, or of
    /// the process's cgroup if that has less): requests that are not whole, answers that were not taken.
    ///
    /// A body that is collected never takes the server beyond it: the client gets 503. All else that
    /// connections hold is bounded for [each](Config::connection_memory_max), and before it is reached
    /// the [ladder](super::Ladder) does something about it. Not counted: what the service keeps itself,
    /// the kernel's buffers, heads kept for [`on_served`](Server::on_served), entries of the
    /// [flight recorder](Server::flight_recorder), 48 to 160 bytes for each connection, and with a
    /// [proactor](Server::proactor) up to two of its buffers for each connection: of bytes that came and wait
    /// to be read, and of an answer of up to 4,096 bytes that is being sent.
    ///
    /// It is a limit of this server alone, as is that of the connections: several in one process, on one
    /// loop or on several, are to be given parts of what there is. One server [under](Server::under) loop
    /// per core divides it among its loops, each of which must have room for one body of
    /// [`body_bytes_max`](Server::body_bytes_max).
    #[must_use]
    pub fn memory_max(mut self, bytes: usize) -> Server<R> {
        self.bounds.memory_max = bytes;
        self
    }

    /// Keeps as many descriptors back for clients of this server (none). They are accepted and served
    /// while the process has no other descriptor left: for the side of a program that has to answer
    /// when all else is in trouble. Taken when the server is put on its loop; a
    /// [`Reserve`](crate::reactor::Reserve) of your own does the same for files. Of several loops, each keeps
    /// its part, rounded up, or the one that [accepts for all](super::Accepting::One) keeps them.
    #[must_use]
    pub fn reserve_descriptors(mut self, descriptors: usize) -> Server<R> {
        self.reserve = descriptors;
        self
    }

    /// Moves the bytes of connections by the operations of a [`proactor`](crate::proactor), which is made
    /// on the loop the server is put on; see [patterns](super#patterns). The default is the reactor.
    ///
    /// [`operations_max`](ProactorOptions::operations_max) does not count here: operations are bounded by the
    /// connections, of which each has one each way, and their limit may be
    /// [reloaded](Server::on_reload). Which driver it is in the end,
    /// [`ServerMetrics`](super::ServerMetrics::pattern) says.
    ///
    /// ```no_run
    /// use trine::proactor::ProactorOptions;
    /// use trine::{Response, Server};
    ///
    /// fn main() -> trine::Result<()> {
    ///     // io_uring with the feature of that name, where the kernel has it; else emulated.
    ///     Server::bind("127.0.0.1:8080")?
    ///         .proactor(ProactorOptions::default())
    ///         .serve(|_| Response::text("hello"))
    /// }
    /// ```
    #[must_use]
    pub fn proactor(mut self, options: ProactorOptions) -> Server<R> {
        self.proactor = Some(options);
        self
    }

    /// From when on the server does what about being short of memory, connections or descriptors; see
    /// [`Ladder`].
    #[must_use]
    pub fn overload(mut self, ladder: Ladder) -> Server<R> {
        self.bounds.ladder = ladder;
        self
    }

    /// How long a request body may be, in bytes (1 MiB).
    #[must_use]
    pub fn body_bytes_max(mut self, bytes: u64) -> Server<R> {
        self.config.limits.body_bytes_max = bytes;
        self
    }

    /// How many requests one connection may make; the last answer says `Connection: close` (1,000).
    #[must_use]
    pub fn requests_per_connection_max(mut self, requests: u32) -> Server<R> {
        self.config.requests_per_connection_max = requests;
        self
    }

    /// Calls `call` for each exchange that is over: for an access log, see [`Served::combined`]. It
    /// runs on the loop's thread, once for each in the order of a connection, and must not wait; a panic
    /// in it is counted and harms nobody. Several loops call it one at a time, under a lock, and so wait
    /// for each other while it runs.
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
    pub fn on_served(mut self, call: impl FnMut(&Served<'_>) + Send + 'static) -> Server<R> {
        self.observer = Some(Box::new(Observer::new(call)));
        self
    }

    /// Passes the listening sockets on to a successor, when this server has been put on its loop: see
    /// [`hand_over`](crate::hand_over). The drain that follows takes as long as any.
    #[must_use]
    pub fn hand_over(mut self, hand_over: HandOver) -> Server<R> {
        self.hand_over = Some(hand_over);
        self
    }

    /// Tells systemd when the server is ready, reloads and stops, and feeds its watchdog from the loop:
    /// see [`systemd`](crate::systemd). No effect when systemd did not ask for it.
    #[cfg(feature = "systemd")]
    #[must_use]
    pub fn notify_systemd(mut self) -> Server<R> {
        self.notifies = true;
        self
    }

    /// All settings of a connection, for what has no method of its own.
    #[must_use]
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }
}

/// Whether the settings make sense.
pub(super) fn check(config: &Config, connections_max: usize) -> Result<()> {
    let deadlines = &config.deadlines;
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
    match connections_max {
        0 => Err(serves_nobody("connections_max")),
        _ => Ok(()),
    }
}

/// Whether each of several loops has a connection to serve.
pub(super) fn check_loops(connections_max: usize, loops: usize) -> Result<()> {
    if connections_max < loops {
        let what = format!(
            "a connections_max of {connections_max} for {loops} loops, each of which has a part of it: \
             raise it, or take fewer loops"
        );
        return Err(Error::new(ErrorKind::Invalid, "serve with", what));
    }
    Ok(())
}

/// Whether a loop's part of the memory is enough for a body that the whole has room for.
pub(super) fn check_memory(memory_max: usize, config: &Config, loops: usize) -> Result<()> {
    let body = usize::try_from(config.limits.body_bytes_max).unwrap_or(usize::MAX);
    let part = memory_max / loops;
    if (part..=memory_max).contains(&body) && part < body {
        let what = format!(
            "a memory_max of {memory_max} bytes for {loops} loops, of which each has {part}: no body of \
             {body} bytes, which body_bytes_max allows, would have room. Raise it, lower body_bytes_max, or \
             take fewer loops"
        );
        return Err(Error::new(ErrorKind::Invalid, "serve with", what));
    }
    Ok(())
}

/// Whether those make sense that stay for the life of the server.
pub(super) fn check_bounds(bounds: &Bounds) -> Result<()> {
    if bounds.memory_max == 0 {
        return Err(serves_nobody("memory_max"));
    }
    bounds.ladder.check()
}

/// The options without a limit on operations: those of a server are bounded by its connections, one each
/// way, and that limit may be raised later. Zero stays, to be refused.
pub(super) fn room_for(options: ProactorOptions) -> ProactorOptions {
    let operations_max = match options.operations_max {
        0 => 0,
        _ => usize::MAX,
    };
    ProactorOptions {
        operations_max,
        ..options
    }
}

fn serves_nobody(name: &str) -> Error {
    let what = format!("a {name} of zero: it would serve nobody");
    Error::new(ErrorKind::Invalid, "serve with", what)
}

/// Whether a record of so many entries makes sense.
pub(super) fn check_recorder(entries: usize) -> Result<()> {
    if entries > RECORDER_ENTRIES_MAX {
        let what =
            format!("a flight recorder of more than {RECORDER_ENTRIES_MAX} entries a connection");
        return Err(Error::new(ErrorKind::Invalid, "serve with", what));
    }
    Ok(())
}
