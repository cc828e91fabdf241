//! When to accept: the listener's state machine, without its socket.

use crate::time::{Span, Tick};

/// What to do with the next connection in the kernel's queue.
///
/// ```text
///          no room                 out of descriptors
///   Full <───────── Open ───────────────────────────> Exhausted { retry_at }
///     └─ one closed ─> ^ <── the retry, or one closed ──────┘
///
///   any state ── drain ──> Closed: nothing leads back
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accept {
    /// Take it.
    Open,
    /// Leave it in the queue until one of ours has closed.
    Full,
    /// The process or the machine has no descriptor or memory for it.
    Exhausted {
        /// When to try again.
        retry_at: Tick,
    },
    /// The listener ends.
    Closed,
}

/// What happened to the listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// The connection limit is reached.
    NoRoom,
    /// A connection closed.
    OneClosed,
    /// `accept` failed for want of descriptors or memory.
    OutOfResources,
    /// The deadline of the state has come.
    Deadline,
    /// The server drains.
    Drain,
}

/// A closed connection frees a descriptor, but another process may take it first; ten attempts a
/// second cost nothing and are soon enough.
const RETRY: Span = Span::from_millis(100);

impl Accept {
    /// The state after `input`. Pairs not listed change nothing.
    #[must_use]
    pub fn next(self, input: Input, now: Tick) -> Accept {
        use Accept::{Closed, Exhausted, Full, Open};
        match (self, input) {
            (Closed, _) | (_, Input::Drain) => Closed,
            (Open, Input::NoRoom) => Full,
            (Full, Input::OneClosed) => Open,
            (Open, Input::OutOfResources) => Exhausted {
                retry_at: now.after(RETRY),
            },
            (Exhausted { .. }, Input::Deadline | Input::OneClosed) => Open,
            (state, _) => state,
        }
    }

    /// When this state ends by itself.
    #[must_use]
    pub fn deadline(self) -> Option<Tick> {
        match self {
            Accept::Exhausted { retry_at } => Some(retry_at),
            Accept::Open | Accept::Full | Accept::Closed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUTS: [Input; 5] = [
        Input::NoRoom,
        Input::OneClosed,
        Input::OutOfResources,
        Input::Deadline,
        Input::Drain,
    ];

    #[test]
    fn running_out_of_descriptors_pauses_accepting_until_the_retry() {
        let paused = Accept::Open.next(Input::OutOfResources, Tick(1_000));
        assert_eq!(paused.deadline(), Some(Tick(1_100)));
        assert_eq!(paused.next(Input::Deadline, Tick(1_100)), Accept::Open);
    }

    #[test]
    fn a_full_listener_opens_when_a_connection_closes_and_not_by_time() {
        let full = Accept::Open.next(Input::NoRoom, Tick(0));
        assert_eq!((full, full.deadline()), (Accept::Full, None));
        assert_eq!(full.next(Input::Deadline, Tick(9)), Accept::Full);
        assert_eq!(full.next(Input::OneClosed, Tick(9)), Accept::Open);
    }

    #[test]
    fn a_closed_listener_never_opens_again() {
        for input in INPUTS {
            assert_eq!(Accept::Closed.next(input, Tick(5)), Accept::Closed);
        }
        for state in [
            Accept::Open,
            Accept::Full,
            Accept::Exhausted { retry_at: Tick(9) },
        ] {
            assert_eq!(state.next(Input::Drain, Tick(5)), Accept::Closed);
        }
    }
}
