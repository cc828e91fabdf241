//! The connector (POSA2, Acceptor-Connector): brings a TCP connection about without waiting for it, and
//! hands the stream to whoever asked.
//!
//! `connect` on a non-blocking socket returns at once with EINPROGRESS. The socket is *writable* when it
//! is over, well or not; which of the two, SO_ERROR says (connect(2), and getpeername for a wake-up
//! without a reason). Nothing says so when the peer never answers but the kernel, minutes later, so there
//! is a deadline.
//!
//! ```text
//!            writable, no error ─────────> the stream
//!   Under way ── writable, SO_ERROR ─────> refused, unreachable, ...
//!            └── the deadline; the drain ─> timed out; draining
//! ```
//!
//! Invariant: `call` runs once, after the socket has left the loop, so that it can be inserted again by
//! another source; or never, when the connector is removed.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use super::context::Context;
use super::error::{Error, ErrorKind, Result};
use super::net::Stream;
use super::registry::Registry;
use super::source::{Event, EventSource, Next, Removed};
use crate::time::Tick;

/// One connection on its way.
pub(super) struct Connector<F> {
    stream: Stream,
    address: SocketAddr,
    state: State,
    call: F,
}

/// Where it has got to.
#[derive(Debug)]
enum State {
    UnderWay {
        until: Tick,
    },
    Connected,
    Failed(io::Error),
    /// The loop drains: nothing new begins.
    Draining,
}

impl<F> Connector<F> {
    /// Begins to connect to `address`. Fails only when there is no socket for it: what the network says
    /// at once is told like what it says later.
    pub(super) fn begin(address: SocketAddr, until: Tick, call: F) -> Result<Connector<F>> {
        let stream = Stream::unconnected(address);
        let stream = stream.map_err(|error| Error::io("make", "a socket", error))?;
        let state = match stream.connect(address) {
            Ok(()) => State::UnderWay { until },
            Err(error) => State::Failed(error),
        };
        Ok(Connector {
            stream,
            address,
            state,
            call,
        })
    }

    fn look(&mut self) {
        if let State::UnderWay { .. } = self.state {
            match self.stream.connected() {
                Ok(None) => {} // woken for nothing
                Ok(Some(_)) => self.state = State::Connected,
                Err(error) => self.state = State::Failed(error),
            }
        }
    }

    fn next(&self) -> Next {
        match self.state {
            State::UnderWay { until } => Next::Until(until),
            State::Connected | State::Failed(_) | State::Draining => Next::Close,
        }
    }
}

impl<S, F> EventSource<S> for Connector<F>
where
    S: 'static,
    F: FnOnce(&mut S, Result<Stream>, &mut Context<'_, S>) + 'static,
{
    fn register(&mut self, registry: &mut Registry<'_>) -> io::Result<()> {
        registry.stream(&self.stream)
    }

    fn handle(&mut self, event: Event, _: &mut S, _: &mut Context<'_, S>) -> Next {
        match event {
            Event::Ready(readiness) if readiness.is_writable() => self.look(),
            Event::Deadline => {
                self.look(); // it may have come with the same turn
                if let State::UnderWay { .. } = self.state {
                    self.state = State::Failed(io::ErrorKind::TimedOut.into());
                }
            }
            Event::Drain => {
                self.look();
                if let State::UnderWay { .. } = self.state {
                    self.state = State::Draining;
                }
            }
            _ => {}
        }
        self.next()
    }

    fn removed(self: Box<Self>, why: Removed, state: &mut S, cx: &mut Context<'_, S>) {
        let subject = || self.address.to_string();
        let result = match self.state {
            State::Connected => Ok(self.stream),
            State::Failed(error) => Err(Error::io("connect to", subject(), error)),
            State::UnderWay { .. } if why == Removed::Cancelled => return, // nobody asks any more
            State::UnderWay { .. } | State::Draining => {
                Err(Error::new(ErrorKind::Draining, "connect to", subject()))
            }
        };
        (self.call)(state, result, cx);
    }

    fn name(&self) -> &'static str {
        "connector"
    }
}

impl<F> fmt::Debug for Connector<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connector({}, {:?})", self.address, self.state)
    }
}
