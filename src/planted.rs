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
    /// What a service answered before it panicked is sent, too.
    PanicLeavesAnswer,
    /// A drain goes on when its time is over.
    DrainNeverForced,
    /// Deadlines are measured on the wall clock.
    WallClockDeadline,
    /// The date of answers is read once and never again.
    DateStandsStill,
    /// A job whose call panicked is dropped without an answer.
    JobLostOnPanic,
    /// A job that is done is counted twice.
    JobCountedTwice,
    /// One job more than the limit waits in the queue.
    QueueOffByOne,
    /// A queue that is half full turns jobs away.
    RefusedWithRoom,
    /// A write is acknowledged before it is synced.
    AcknowledgedBeforeSync,
    /// After a sync that failed, a store opens its file again and goes on.
    SyncFailureForgotten,
    /// Whoever asked is told what came of the next one's operation.
    OutcomeOfAnother,
    /// A read does not wait for a write of its key that came before it.
    ReadOvertakesWrite,
}

impl Bug {
    /// Those of the loop and the server.
    pub const SERVER: [Bug; 18] = [
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
        Bug::PanicLeavesAnswer,
        Bug::DrainNeverForced,
        Bug::WallClockDeadline,
        Bug::DateStandsStill,
    ];
    /// Those of workers and their queue.
    pub const WORKERS: [Bug; 4] = [
        Bug::JobLostOnPanic,
        Bug::JobCountedTwice,
        Bug::QueueOffByOne,
        Bug::RefusedWithRoom,
    ];
    /// Those of a storage unit and the durable store.
    pub const STORE: [Bug; 4] = [
        Bug::AcknowledgedBeforeSync,
        Bug::SyncFailureForgotten,
        Bug::OutcomeOfAnother,
        Bug::ReadOvertakesWrite,
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
