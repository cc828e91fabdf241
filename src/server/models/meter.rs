//! Reads what a server counts, from any thread, on however many loops it is.

use std::fmt;
use std::sync::Arc;

use super::board::Board;
use crate::concurrency::WorkerMetrics;
use crate::reactor::Metrics;
use crate::server::metrics::ServerMetrics;

/// What one loop of a server counts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoopMetrics {
    /// Of the server on it.
    pub server: ServerMetrics,
    /// Of the loop itself.
    pub event_loop: Metrics,
}

/// What the server counts on all loops.
pub(in crate::server) fn sum(loops: &[LoopMetrics]) -> ServerMetrics {
    let mut sum = ServerMetrics::new();
    for one in loops {
        sum.add(&one.server);
    }
    sum
}

/// Reads the counters of a server under any [model](super::Model). Clones read the same.
///
/// A reading waits for no loop: it gives what each loop last said, and asks all of them to say it anew,
/// which they do in their next turn. So who reads once a second is told how it was a second ago, who reads
/// seldom reads twice, and while nobody reads nothing is done. When a loop has ended, what it said last is
/// exact.
#[derive(Clone)]
pub struct ServerMeter {
    board: Arc<Board>,
}

impl ServerMeter {
    pub(super) fn new(board: &Arc<Board>) -> ServerMeter {
        let board = Arc::clone(board);
        ServerMeter { board }
    }

    /// The counters of all loops together. O(loops), and a wake-up of each.
    #[must_use]
    pub fn read(&self) -> ServerMetrics {
        sum(&self.loops())
    }

    /// The counters of each loop in their order; one, unless it is
    /// [loop per core](super::Model::LoopPerCore). How unevenly `accepted` and `connections` are spread is
    /// the imbalance of accepting.
    #[must_use]
    pub fn loops(&self) -> Vec<LoopMetrics> {
        let counted = self.board.counted();
        self.board.ask();
        counted
    }

    /// Asks all loops to say what they count, for whoever wants counters that are no older than this
    /// call: they are the [`answer`](ServerMeter::answer). O(loops), and a wake-up of each.
    #[must_use]
    pub fn ask(&self) -> Question {
        Question(self.board.ask())
    }

    /// The counters of all loops together, once each of them has counted after the `question`; `None` before
    /// that, within a turn or so of each. It never waits.
    #[must_use]
    pub fn answer(&self, question: &Question) -> Option<ServerMetrics> {
        Some(sum(&self.board.answer(question.0)?))
    }

    /// The counters of the workers, if there are any.
    #[must_use]
    pub fn workers(&self) -> Option<WorkerMetrics> {
        self.board.workers.get().map(|workers| workers.read())
    }
}

/// What the loops of a server were asked by [`ServerMeter::ask`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Question(u64);

impl fmt::Debug for ServerMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerMeter({} loops)", self.board.loops())
    }
}
