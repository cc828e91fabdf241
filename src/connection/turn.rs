//! What a turn of the loop lends to a connection, and what the connection wishes in return.

use super::close_reason::CloseReason;
use super::config::Config;
use super::journal::Journal;
use super::pools::Pools;
use crate::http::{HttpDate, Status};
use crate::time::Tick;

/// An exchange that takes or gives a little at a time has so many turns of its own before others get
/// theirs.
const CALLS_PER_TURN: u32 = 64;

/// What one turn of the loop lends to one connection: the time, the settings, buffers, and a
/// budget, so that a connection with much to do lets others have their turn.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The time of this turn.
    pub now: Tick,
    /// The same moment for the `Date` field.
    pub date: &'a HttpDate,
    /// The same for all turns of a connection.
    pub config: &'a Config,
    /// Where buffers come from.
    pub pools: &'a mut Pools,
    /// Requests this connection has had answered in this turn.
    pub(super) requests: u32,
    /// Calls of an exchange in pieces that this connection may still have in this turn.
    pub(super) calls_left: u32,
    /// Bytes this connection has read in this turn.
    pub(super) bytes_read: usize,
    /// The connection's own answer, after which it ends, if one was given in this turn.
    pub(super) failure: Option<Status>,
    pub(super) admits: Admission,
    /// Where this connection notes its exchanges, if somebody wants to know.
    pub(crate) journal: Option<&'a mut Journal>,
}

/// Whose requests are given to the service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Admission {
    Everybody,
    /// No one's: they are told 503.
    Nobody,
}

impl<'a> Turn<'a> {
    /// A turn with a full budget. Make one for each connection in each turn of the loop, and use
    /// it for everything that happens to the connection in that turn.
    #[inline]
    #[must_use]
    pub fn new(now: Tick, date: &'a HttpDate, config: &'a Config, pools: &'a mut Pools) -> Self {
        Turn {
            now,
            date,
            config,
            pools,
            requests: 0,
            calls_left: CALLS_PER_TURN,
            bytes_read: 0,
            failure: None,
            admits: Admission::Everybody,
            journal: None,
        }
    }

    /// Whether as many requests were answered as one connection may have in a turn.
    #[inline(always)]
    pub(super) fn is_spent(&self) -> bool {
        self.requests >= self.config.requests_per_turn_max.max(1)
    }

    /// In this turn, a request whose body is still to come is [turned
    /// away](super::Connection::turn_away) when it is announced. Whole ones are up to the caller.
    pub fn admit_nobody(&mut self) {
        self.admits = Admission::Nobody;
    }

    /// How many bytes the connection has read in this turn.
    #[inline]
    #[must_use]
    pub fn bytes_read(&self) -> usize {
        self.bytes_read
    }

    /// How many requests of the connection the service was given in this turn.
    #[inline]
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.requests
    }

    /// The answer that the connection itself has given in this turn, and after which it ends: the
    /// request was refused, too late, or the service failed.
    #[inline]
    #[must_use]
    pub fn failure(&self) -> Option<Status> {
        self.failure
    }
}

/// What a connection wishes its driver to do next, from [`poll`](super::Connection::poll).
///
/// Whenever the driver cannot go on and is going to wait, it says so by
/// [`handle_blocked`](super::Connection::handle_blocked).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Step {
    /// Read into [`input_space`](super::Connection::input_space) and tell; if the socket has
    /// nothing now, wait until it has.
    Read,
    /// Write [`output`](super::Connection::output) and tell how much went; if the socket takes
    /// nothing now, wait until it does.
    Write,
    /// A whole request is there: call [`answer`](super::Connection::answer), then poll again.
    Request,
    /// A head is there that announces a body: call [`announce`](super::Connection::announce).
    Announced,
    /// There is something to do for whoever has the exchange in hand: call
    /// [`exchange`](super::Connection::exchange).
    Exchange,
    /// An answer is promised: wait for its wake-up, then poll again.
    Wait,
    /// Shut the writing half of the socket down, then poll again. Comes at most once.
    Shutdown,
    /// The budget is spent: poll again in a later turn, whether or not something happens.
    Again,
    /// Close the socket (by a reset if [`resets`](CloseReason::resets)) and forget the connection.
    Close(CloseReason),
}
