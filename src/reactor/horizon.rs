//! Up to which tick deadlines may be judged: bytes that came in time win, and one wait reports no
//! more than a batch of them.
//!
//! ```text
//!   batch 1 full   batch 2 full   batch 3 full      the queue of the kernel is first come, first
//!   ├── a round of as many batches as hold ──┤      served: when a round is over, all that was
//!   ^ due when it began                      │      ready when it began has been dispatched
//!                                            └─> deadlines up to that tick may be judged
//! ```
//!
//! A batch that is not full has emptied the queue: all deadlines that are due may be judged.
//!
//! Invariant: the horizon never goes back, so a backlog of deadlines has its budget in every turn,
//! in the middle of a round too.

use super::demultiplexer::EVENTS_PER_WAIT;
use crate::time::Tick;

/// Batches in a row for which a deadline waits at most, however many sources there are: some
/// 16,000 events.
const BATCHES_MAX: usize = 16;

/// Descriptors of the loop itself that a batch may report: timerfd, eventfd, signal pipe.
const OWN_DESCRIPTORS: usize = 3;

#[derive(Debug)]
pub(super) struct Horizon {
    /// What may be judged.
    reached: Tick,
    round: Option<Round>,
}

/// Full batches in a row.
#[derive(Clone, Copy, Debug)]
struct Round {
    /// The tick that was due when its first batch was fetched.
    began: Tick,
    batches: usize,
}

impl Horizon {
    pub(super) fn new() -> Horizon {
        Horizon {
            reached: Tick::ZERO,
            round: None,
        }
    }

    /// The horizon behind a batch that was fetched when `due` was due, in a loop of `sources`.
    pub(super) fn behind(&mut self, batch_is_full: bool, due: Tick, sources: usize) -> Tick {
        if !batch_is_full {
            self.round = None;
            self.reached = due;
            return due;
        }
        let mut round = self.round.unwrap_or(Round {
            began: due,
            batches: 0,
        });
        round.batches += 1;
        let hold_all = (sources + OWN_DESCRIPTORS).div_ceil(EVENTS_PER_WAIT);
        self.round = match round.batches >= hold_all.min(BATCHES_MAX) {
            true => {
                self.reached = round.began;
                None
            }
            false => Some(round),
        };
        self.reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_of_full_batches_moves_the_horizon_to_where_the_round_began() {
        let sources = 3 * EVENTS_PER_WAIT - OWN_DESCRIPTORS;
        let mut horizon = Horizon::new();
        let mut at = |full, due| horizon.behind(full, Tick(due), sources).0;
        assert_eq!([at(false, 5), at(true, 7), at(true, 8)], [5, 5, 5]);
        assert_eq!(at(true, 9), 7, "what was ready at 7 has been reported");
        assert_eq!([at(true, 10), at(true, 11), at(true, 12)], [7, 7, 10]);
        assert_eq!([at(true, 13), at(false, 14)], [10, 14]);
        assert_eq!(at(true, 15), 14, "a round begins anew");
    }

    #[test]
    fn a_round_is_as_long_as_the_sources_need_and_no_longer_than_sixteen_batches() {
        let one_batch = EVENTS_PER_WAIT - OWN_DESCRIPTORS;
        let rows = [(0, 1), (one_batch, 1), (one_batch + 1, 2), (1_000_000, 16)];
        for (sources, batches) in rows {
            let mut horizon = Horizon::new();
            let first = (1..).find(|_| horizon.behind(true, Tick(1), sources) == Tick(1));
            assert_eq!(first, Some(batches), "{sources} sources");
        }
    }
}
