//! Reads what a server counts, from any thread, on however many loops it is.

use std::fmt;
use std::sync::Arc;

use super::board::Board;
use crate::concurrency::WorkerMetrics;
use crate::server::metrics::ServerMetrics;

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
        let mut sum = ServerMetrics::new();
        for one in self.loops() {
            sum.add(&one);
        }
        sum
    }

    /// The counters of each loop in their order; one, unless it is
    /// [loop per core](super::Model::LoopPerCore). How evenly `accepted` and `connections` are spread
    /// is the imbalance of accepting.
    #[must_use]
    pub fn loops(&self) -> Vec<ServerMetrics> {
        let counted = self.board.counted();
        self.board.ask();
        counted
    }

    /// The counters of the workers, if there are any.
    #[must_use]
    pub fn workers(&self) -> Option<WorkerMetrics> {
        self.board.workers.get().map(|workers| workers.read())
    }
}

impl fmt::Debug for ServerMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerMeter({} loops)", self.board.loops())
    }
}
