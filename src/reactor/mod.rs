//! The Reactor (POSA2): one loop for sockets, signals and timers.
//!
//! A reactor waits for events with one *synchronous event demultiplexer* (epoll) and dispatches
//! each to its *event handler*, here an [`EventSource`], on one thread. Sources return what they
//! wait for next; the loop keeps descriptors, deadlines and subscriptions accordingly.
//!
//! ```text
//!   sockets ──┐
//!   timerfd ──┼── epoll ── EventLoop ── slab[token] ── EventSource::handle(event) ── Next
//!   signals ──┤   (demultiplexer)          ^                                          │
//!   eventfd ──┘                            └────────── back into its slot ────────────┘
//! ```
//!
//! Start with [`EventLoop`] and the trait [`Sources`], which makes sources from closures; write an
//! [`EventSource`] for what needs states of its own. [`Context`] is the loop as a source sees it.
//!
//! ```
//! use std::time::Duration;
//! use trine::{EventLoop, Sources};
//!
//! fn main() -> trine::Result<()> {
//!     let mut ticks = 0; // the state: plain `&mut`, lent to every callback
//!     let mut event_loop = EventLoop::new()?;
//!     event_loop.every(Duration::from_millis(1), |ticks: &mut u32, _, cx| {
//!         *ticks += 1;
//!         if *ticks == 3 {
//!             cx.stop();
//!         }
//!     })?;
//!     event_loop.run(&mut ticks)?;
//!     assert_eq!(ticks, 3);
//!     Ok(())
//! }
//! ```
//!
//! What the loop guarantees:
//! - no event reaches a source that is gone, or one that took its place;
//! - a deadline is never early, and at most a tick (1 ms) late when the loop is not busy;
//! - bytes that came in time win over a deadline of the same turn;
//! - one source's error or panic is that source's end, not the loop's;
//! - no source, class of sources or flood of one kind of event starves the others;
//! - a callback that keeps all others waiting is reported by name, and on demand
//!   ([`EventLoop::watch_stalls`]) while it does;
//! - a loop with nothing to do sleeps: no periodic wake-up, no polling;
//! - nothing is allocated per event, and no system call is made but the wait and the sources' own.

mod accept;
mod base;
mod bell;
mod child;
mod clock;
mod connector;
mod context;
mod core;
mod datagram;
mod demultiplexer;
mod descriptor;
mod dispatch;
mod error;
mod event_loop;
mod gate;
mod heartbeat;
mod horizon;
mod inbox;
mod kernel;
mod listener;
mod local;
mod metrics;
mod names;
mod net;
mod operands;
mod peer;
mod phases;
mod registry;
mod reserve;
mod schedule;
mod shared_address;
mod signal_source;
mod signals;
#[cfg(feature = "testing")]
pub(crate) mod simulated;
mod slot;
mod socket_file;
mod source;
mod sources;
mod stall;
mod stream;
mod stream_host;
mod stream_pipe;
mod stream_source;
#[cfg(test)]
mod tests;
mod timers;
#[cfg(test)]
mod virtual_kernel;
mod waker;
mod wall_alarm;
mod watch;
mod watchdog;

pub use accept::{Accept, Input as AcceptInput};
pub use child::ChildExit;
pub use context::Context;
pub use datagram::{Datagram, DatagramPeer, DatagramSocket};
pub use error::{Error, ErrorKind, InsertError, Result};
pub use event_loop::{EventLoop, Turn};
pub use inbox::{InboxSender, Mail, SendError};
pub(crate) use local::Held;
pub use local::Local;
pub use metrics::{Histogram, Metrics, SLOW_CALLBACK, SourceTime};
pub use net::{Stream, StreamListener};
pub use peer::{Peer, ShortRead};
pub use registry::Registry;
pub use reserve::Reserve;
pub use schedule::{Firing, MissedTicks};
pub use signals::{Sender, Signal, SignalEvent};
pub use source::{
    AsAny, Class, Completed, Event, EventSource, Next, OperationId, Readiness, Removed,
};
pub use sources::Sources;
pub use stall::{Doing, Stall};
pub use stream::{Link, StreamEnd, StreamHandler, StreamOptions, write_to};
pub use waker::Waker;

pub(crate) use base::Succession;
pub(crate) use clock::{monotonic_nanos, unix_seconds, wall};
pub(crate) use demultiplexer::{Demultiplexer, Registrar, Watch, events, translate};
pub(crate) use gate::Gate;
pub(crate) use listener::{Acceptor, Listener, concerns_one_connection};
pub(crate) use net::resolve;
pub(crate) use socket_file::SocketFile;
pub(crate) use waker::Remote;
