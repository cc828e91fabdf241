//! The states of a connection: one enum, with the data and the deadline inside each.

use std::mem::ManuallyDrop;

use super::close_reason::CloseReason;
use super::deferred::Slot;
use super::exchange::Streaming;
use super::state_kind::StateKind;
use super::turn::Turn;
use crate::http::ResponseContext;
use crate::sync::Arc;
use crate::time::Tick;

/// Where a connection is in its one line of states.
///
/// ```text
///            head whole, no body
///    ┌─────────────────────────────────────────┐
///    │   head whole        wanted whole        v    promised             delayed
///  Head ──────> Announced ──────> Body ─────> Ready ──────────> Waiting ──────────> Held
///    ^              │          body whole       │                  │                  │
///    │ begun        └─ wanted in pieces ─┐      ├─ in pieces ─┐    │                  │
///    │                                   v      │             v    │                  │
///  Idle <── both bodies ended ──── Streaming    │         Streaming│                  │
///    ^  └── head whole ──> Announced, Ready     │ answered         │ answered         │ due
///    └──────────────────────────────────────────┴──────────────────┴──────────────────┘
///
///  Idle, Body ── there is output and no whole request ──> Writing ── written ──> Idle, Body
///  Ready ── answered, and nothing else is held ──────────> Writing ── written ──> Idle
///
///  Ready, Waiting, Held, Streaming ── answered last ──┐             written
///                                                     ├──> Writing ─────────> Lingering ──> Closed
///  any but Closed ── refused, too late ───────────────┘       │                                ^
///                                                             └── written, nothing to await ───┘
/// ```
///
/// Accept begins in Head; in a drain Idle ends in Writing, with nothing to write. Every state can end
/// in Closed at once: by its deadline if there is no answer to give, by the client's end between
/// messages, by a reset, or by force.
///
/// Seen between calls, which may pass through a state without a stop, these are all the ways there
/// are; `tests/connection_states.rs` takes each of them and finds no other.
///
/// | from | to |
/// |---|---|
/// | head | announced, ready, writing, closed |
/// | idle | head, announced, ready, writing, closed |
/// | announced | body, ready, writing, streaming |
/// | ready | streaming, waiting, held, writing |
/// | streaming | idle, writing, closed |
/// | body | ready, writing, closed |
/// | waiting | held, writing, closed |
/// | held | writing, closed |
/// | writing | idle, head, body, lingering, closed |
/// | lingering | closed |
#[derive(Debug)]
pub(super) enum State {
    /// Between two messages. Nothing of the next one has come, or it is not looked at yet.
    Idle { until: Tick },
    /// Accepted, or inside the head of a request. Bytes do not extend it.
    Head { until: Tick },
    /// A whole head that announces a body is held, and the service was not asked yet how it wants
    /// that.
    Announced { until: Tick },
    /// Inside the body of a request, until `until` and as long as it comes fast enough.
    Body {
        until: Tick,
        window_end: Tick,
        window_bytes: u32,
    },
    /// A whole request is held and was not given to the service yet.
    Ready { until: Tick },
    /// The service promised an answer.
    Waiting {
        until: Tick,
        slot: Arc<Slot>,
        context: ResponseContext,
    },
    /// The answer is in the slot and is given at `due`.
    Held {
        due: Tick,
        slot: Arc<Slot>,
        context: ResponseContext,
    },
    /// The service takes the body, or gives the answer's, in pieces.
    Streaming(Box<Streaming>),
    /// There is output and nothing else to do, as long as the client takes it fast enough.
    Writing {
        window_end: Tick,
        window_bytes: u32,
        then: Then,
    },
    /// Our half is shut; what the client still sends is discarded, so that the kernel does not
    /// answer it with a reset that overtakes our last answer (RFC 9112, 9.6).
    Lingering {
        until: Tick,
        bytes_left: u32,
        reason: CloseReason,
    },
    /// Over.
    Closed { reason: CloseReason },
}

/// In place of a count: the socket took all it was given so far, which says nothing of the client.
/// More than any rate asks for, and what is added to it leaves it as it is.
pub(super) const NOT_JUDGED: u32 = u32::MAX;

/// What follows when the output is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Then {
    /// The next message, or the rest of the one that has begun.
    Head,
    /// The body of the present message.
    Body,
    /// Nothing, and the client sends nothing any more either.
    Close(CloseReason),
    /// Nothing, but the client may still be sending.
    Linger(CloseReason),
}

impl Then {
    /// Whether requests may follow.
    pub fn goes_on(self) -> bool {
        matches!(self, Then::Head | Then::Body)
    }
}

impl State {
    /// Writing from now on.
    #[inline(always)]
    pub fn writing(then: Then, turn: &Turn<'_>) -> State {
        State::Writing {
            window_end: turn.now.after(turn.config.deadlines.write_rate.window),
            window_bytes: NOT_JUDGED,
            then,
        }
    }

    /// Becomes `next`. Only some states own anything; the others are left without a look at what there
    /// would be to drop.
    #[inline(always)]
    pub fn change(&mut self, next: State) {
        let next = ManuallyDrop::new(next); // nobody drops it, so it need not be in memory
        if self.owns() {
            self.let_go();
        }
        self.follow(ManuallyDrop::into_inner(next));
    }

    /// The same for a state that is known to own nothing.
    #[inline(always)]
    pub fn follow(&mut self, next: State) {
        debug_assert!(!self.owns(), "{self:?}");
        std::mem::forget(std::mem::replace(self, next));
    }

    #[inline(always)]
    fn owns(&self) -> bool {
        matches!(
            self,
            State::Waiting { .. } | State::Held { .. } | State::Streaming(_)
        )
    }

    /// Drops what the state owns.
    #[cold]
    #[inline(never)]
    fn let_go(&mut self) {
        *self = State::Idle { until: Tick::NEVER };
    }

    /// When this state ends by itself.
    #[inline]
    pub fn deadline(&self) -> Tick {
        match *self {
            State::Idle { until }
            | State::Head { until }
            | State::Announced { until }
            | State::Ready { until }
            | State::Waiting { until, .. }
            | State::Held { due: until, .. }
            | State::Lingering { until, .. } => until,
            State::Body {
                until, window_end, ..
            } => until.min(window_end),
            State::Streaming(ref streaming) => streaming.until,
            State::Writing { window_end, .. } => window_end,
            State::Closed { .. } => Tick::NEVER,
        }
    }

    /// Which state this is.
    #[inline]
    pub fn kind(&self) -> StateKind {
        match self {
            State::Idle { .. } => StateKind::Idle,
            State::Head { .. } => StateKind::Head,
            State::Announced { .. } => StateKind::Announced,
            State::Body { .. } => StateKind::Body,
            State::Ready { .. } => StateKind::Ready,
            State::Waiting { .. } => StateKind::Waiting,
            State::Held { .. } => StateKind::Held,
            State::Streaming(_) => StateKind::Streaming,
            State::Writing { .. } => StateKind::Writing,
            State::Lingering { .. } => StateKind::Lingering,
            State::Closed { .. } => StateKind::Closed,
        }
    }

    /// Why the connection ends, once that is certain.
    pub fn ending(&self) -> Option<CloseReason> {
        match self {
            State::Writing { then, .. } => match then {
                Then::Close(reason) | Then::Linger(reason) => Some(*reason),
                Then::Head | Then::Body => None,
            },
            State::Lingering { reason, .. } | State::Closed { reason } => Some(*reason),
            _ => None,
        }
    }
}
