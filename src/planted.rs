//! Mistakes made on purpose, so that the simulation can be seen to find them. Built under
//! `--cfg trine_planted` only, which `.ci/sim` sets; otherwise nothing of this is there.
//!
//! Each is a mistake that a loop or a server in use has made. One at a time is made, on the thread
//! that asked for it.

use std::cell::Cell;

/// A mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// A token finds whoever is in its slot, whatever its generation.
    GenerationUnchecked,
    /// A source that waits for no deadline any more still gets the old one.
    TimerNotCancelled,
    /// A body that was not read is taken for the next request.
    BodyIsARequest,
    /// Of two wake-ups between two looks, the second is lost.
    WakeUpLost,
    /// A promised answer is given twice.
    AnsweredTwice,
    /// "It would block" is taken for the end of the stream.
    WouldBlockIsTheEnd,
    /// What a short write left over is taken for written.
    ShortWriteLoses,
    /// The end of a stream that comes together with its last bytes is not seen.
    EndLost,
    /// An error of accept parks the listener for good.
    ListenerParked,
    /// A drain forgets who waits for an answer.
    DrainForgets,
    /// Deadlines come a tick early.
    DeadlineEarly,
    /// The alarm rings some ticks late.
    DeadlineLate,
    /// One connection more than the limit is served.
    LimitOffByOne,
    /// A source with work left is not called again.
    WorkForgotten,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 14] = [
        Bug::GenerationUnchecked,
        Bug::TimerNotCancelled,
        Bug::BodyIsARequest,
        Bug::WakeUpLost,
        Bug::AnsweredTwice,
        Bug::WouldBlockIsTheEnd,
        Bug::ShortWriteLoses,
        Bug::EndLost,
        Bug::ListenerParked,
        Bug::DrainForgets,
        Bug::DeadlineEarly,
        Bug::DeadlineLate,
        Bug::LimitOffByOne,
        Bug::WorkForgotten,
    ];
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Makes `bug` on this thread from now on, or none.
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether `bug` is to be made.
pub(crate) fn has(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}
