//! A server under the concurrency model of one value: the same service, the same settings, the same
//! connections.
//!
//! ```text
//!   Single             thread ── loop ── listener, connections, service
//!   HalfSyncHalfAsync  thread ── loop ── listener, connections ── queue ──> workers, each with a service
//!   LeaderFollowers    thread ── loop ── listener; threads ── connections, each with a service
//!   LoopPerCore        thread ── loop 0 ── listener, connections, service    the limits divided,
//!                      thread ── loop 1 ── listener, connections, service    the end shared
//! ```
//!
//! | take | when | costs |
//! |---|---|---|
//! | [`Single`](Model::Single) | answers take microseconds; one processor is enough | nothing |
//! | [`HalfSyncHalfAsync`](Model::HalfSyncHalfAsync) | the service waits: for a disk, a lock, another server | a queue and a wake-up for each request |
//! | [`LeaderFollowers`](Model::LeaderFollowers) | one processor is not enough, and there are few connections, or calls that differ much: whoever is free serves | a hand-over of the lead for each event; a state for each thread |
//! | [`LoopPerCore`](Model::LoopPerCore) | one processor is not enough, and there are many connections | a state for each loop; few connections may share one loop while the other has none |
//!
//! Several loops are one server to whoever operates it: they drain and end together, SIGHUP asks for
//! new settings once and all take them, and a [`ServerMeter`] has the sum and the parts.
//!
//! What is counted by time or by event on each loop is a sum of all: 10 s of pressure on 4 loops are 40 s
//! on a rung, and 4 entries. A flight recorder numbers the connections of its loop.

mod board;
mod desk;
mod load;
mod member;
mod meter;
mod serving;
mod vigil;

use crate::concurrency::{Pinning, TeamOptions, WorkerOptions};

pub(super) use board::Part;
pub(super) use desk::{Desk, Intake};
pub(super) use meter::sum;
pub use meter::{LoopMetrics, Question, ServerMeter};
pub use serving::Serving;

/// How many threads there are, and which does what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Model {
    /// One loop, on the calling thread, which calls the service: a call must not wait.
    #[default]
    Single,
    /// One loop, on the calling thread, and workers that call the service: a call may wait. See
    /// [`HalfSyncHalfAsync`](crate::concurrency::HalfSyncHalfAsync).
    HalfSyncHalfAsync(WorkerOptions),
    /// One loop, on the calling thread, that accepts, and a team of threads that take turns at waiting for
    /// the events of all connections; whoever finds one serves it, with a service and a state of its own.
    /// A call may wait, as long as there are more threads than calls that do. See
    /// [`LeaderFollowers`](crate::concurrency::LeaderFollowers) and
    /// [`Server::attach_team`](super::Server::attach_team).
    LeaderFollowers(TeamOptions),
    /// Several loops, each on a thread of its own, with connections, a service and a state of its own: a
    /// call must not wait. See [`LoopPerCore`](crate::concurrency::LoopPerCore).
    LoopPerCore(CoreOptions),
}

/// How many loops there are, where they run, and how connections come to them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoreOptions {
    /// Loops, and so threads; at least 1.
    pub loops: usize,
    /// Where they run.
    pub pinning: Pinning,
    /// Who gives connections to the loops.
    pub accepting: Accepting,
    /// How many connections a loop may have more than the one with the fewest, at least 1, before it
    /// gives it the half of what it has more: those that are between two requests, or still sending one.
    /// Looked at when a connection comes to the loop that has too many. `None` leaves each where it came,
    /// which is cheapest, and well where they are many; a server [by operations](super::Server::proactor)
    /// takes nothing else.
    pub rebalancing: Option<usize>,
}

impl Default for CoreOptions {
    /// As many as processors that the process may use, not pinned, spread by the kernel.
    fn default() -> CoreOptions {
        let processors = std::thread::available_parallelism();
        CoreOptions {
            loops: processors.map_or(1, usize::from),
            pinning: Pinning::None,
            accepting: Accepting::Kernel,
            rebalancing: None,
        }
    }
}

/// Who gives connections to the loops.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Accepting {
    /// The kernel: each loop has a listening socket with the same address (`SO_REUSEPORT`), and a hash of
    /// a client's address and port decides. Nothing is shared; with few clients it is uneven, which the
    /// [meter](ServerMeter::loops) shows.
    ///
    /// Not for Unix sockets, which cannot be shared, nor for those that are
    /// [handed over](crate::hand_over), of whose queues a successor would get one, nor for those that
    /// came [as a descriptor](crate::reactor::StreamListener::from_descriptor): from a service manager,
    /// or from a predecessor.
    #[default]
    Kernel,
    /// Loop 0 accepts, and gives each connection to the loop that has the fewest of those that have room.
    /// Even to one connection, for any socket, at the price of a wake-up for each connection that goes to
    /// another loop.
    ///
    /// When there is room nowhere, it is the idle clients of loop 0 that make some: those of the others stay
    /// for their time, and clients may get 503 while they do. So it is for descriptors, too.
    One,
}
