//! What a connection does for a server that is short of memory, connections or descriptors: ends with
//! its next answer, gives up its place while it is idle, or has its request refused.
//!
//! The server decides when; see the ladder in [`server`](crate::server).

use super::close_reason::CloseReason;
use super::config::Deadlines;
use super::input::Input;
use super::pools::Pools;
use super::state::State;
use super::turn::{Step, Turn};
use super::{Connection, Failure, Left, Plea, Quota};
use crate::http::Status;
use crate::time::Tick;

const REFUSED: Failure = Failure(Status::SERVICE_UNAVAILABLE, CloseReason::Refused);
pub(super) const MEMORY_LIMIT: Failure =
    Failure(Status::SERVICE_UNAVAILABLE, CloseReason::MemoryLimit);

impl Connection {
    /// The server would rather not keep the connection: the next answer is the last, and says
    /// `Connection: close`.
    pub fn handle_no_keep_alive(&mut self) {
        if let Quota::Requests(left) = self.quota
            && left > Left::ONE
        {
            self.quota = Quota::Requests(Left::ONE);
            self.plea = match self.plea {
                Plea::Nothing | Plea::LastAnswer => Plea::LastAnswer,
                Plea::Place | Plea::PlaceOrLastAnswer => Plea::PlaceOrLastAnswer,
            };
        }
    }

    /// Since when nothing has come and nothing was owed: from accept, or from the last answer.
    /// `None` while a request is under way, or is ending.
    ///
    /// It is told from the deadline that runs, which began under `deadlines` or, if those are new, under
    /// the ones `before`. When both can be true, it is the later: nobody is taken for older than he is.
    #[must_use]
    pub fn idle_since(
        &self,
        now: Tick,
        deadlines: &Deadlines,
        before: Option<&Deadlines>,
    ) -> Option<Tick> {
        let since = |deadlines: &Deadlines| {
            let (until, span) = match self.state {
                State::Idle { until } => (until, deadlines.idle),
                State::Head { until } if self.is_silent() => (until, deadlines.head),
                _ => return None,
            };
            Some(Tick(until.0.saturating_sub(span.as_millis())))
        };
        let possible = [Some(deadlines), before].into_iter().flatten();
        let possible = possible.filter_map(since).filter(|since| *since <= now);
        possible.max()
    }

    /// Asks it to go, if it is still idle when it is called next: the client's bytes may be here
    /// already. See [`handle_eviction`](Connection::handle_eviction).
    pub fn ask_for_place(&mut self) {
        self.plea = match self.plea {
            Plea::Nothing | Plea::Place => Plea::Place,
            Plea::LastAnswer | Plea::PlaceOrLastAnswer => Plea::PlaceOrLastAnswer,
        };
    }

    /// Whether it was asked to go and has not decided.
    #[inline]
    #[must_use]
    pub fn is_asked_for_place(&self) -> bool {
        matches!(self.plea, Plea::Place | Plea::PlaceOrLastAnswer)
    }

    /// Closes if it is idle still, after all that has come was [handed in](Connection::handle_input).
    /// That it was asked is forgotten otherwise.
    pub fn handle_eviction(&mut self, pools: &mut Pools) {
        let is_idle = match self.state {
            State::Idle { .. } | State::Head { .. } => self.is_silent(),
            _ => false,
        };
        if is_idle && self.output.is_none() {
            self.close(CloseReason::Evicted, pools);
        }
        self.plea = match self.plea {
            Plea::Nothing | Plea::Place => Plea::Nothing,
            Plea::LastAnswer | Plea::PlaceOrLastAnswer => Plea::LastAnswer,
        };
    }

    /// Answers 503 in place of the service, which is not asked, and ends. For a request that is
    /// [ready](Step::Request) or [announced](Step::Announced); otherwise only polls.
    pub fn turn_away(&mut self, turn: &mut Turn<'_>) -> Step {
        if let State::Ready { .. } | State::Announced { .. } = self.state {
            if let (Some(journal), Some(input)) = (turn.journal.as_deref_mut(), &self.input) {
                journal.begin(&input.request_head(), turn.now);
            }
            let context = self.unanswered_context();
            self.fail(REFUSED, context, turn);
        }
        self.poll(turn)
    }

    /// Whether what is under way is the last, whatever its client wants.
    pub(super) fn is_last(&self) -> bool {
        let is_shed = matches!(self.plea, Plea::LastAnswer | Plea::PlaceOrLastAnswer);
        self.quota == Quota::Draining || is_shed
    }

    fn is_silent(&self) -> bool {
        self.input.as_deref().is_none_or(Input::is_empty)
    }
}
