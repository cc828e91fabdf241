//! The Proactor (POSA2): operations are started, and their completions are events of the same loop.
//!
//! A reactor says that a socket is ready, and the source then reads. A proactor is asked to read, and
//! says that it has: the *asynchronous operation processor* is the kernel (io_uring), or an emulation
//! over the reactor; the *completion handler* is the [`EventSource`](crate::EventSource) that started the
//! operation; the *completion event queue* is drained by the loop, with a budget, before deadlines.
//!
//! ```text
//!   source ── receive(socket, buffer) ──> operation table ──> driver: emulated, or io_uring
//!     ^                                                          │
//!     └── Event::Completed ── take: outcome and buffer <─────────┘
//! ```
//!
//! - **Memory belongs to the operation** from its start to its completion: it moves in, and comes back
//!   with the outcome, or with the error. A handle that is dropped, a source that is gone, a leaked
//!   value: nothing frees memory that the kernel may still write to.
//! - **Each operation completes exactly once**: with its result, or as cancelled. [`cancel`](Proactor::cancel)
//!   is a request; the result may have been faster. Those that go on ([`accept_many`](Proactor::accept_many),
//!   [`receive_many`](Proactor::receive_many)) say so with each completion, and have one last one.
//! - **Started in a turn, handed over once**: with io_uring all that a turn has started goes to the
//!   kernel with one system call, before the loop waits.
//! - **A completion that is not taken** in the call that tells of it is dropped: an accepted client is
//!   closed, a buffer goes back to the pool.
//! - **Draining**: when the loop drains, no connection begins any more and accepting is cancelled; what is
//!   under way goes on, as long as the sources that wait for it. [`close`](Proactor::close) ends all.
//!
//! A stream has at most one operation that receives and one that sends; a file any number. There is no
//! vectored one and none that sends a file: read, and send what was read.
//!
//! Deadlines stay what they are in this crate: a source returns [`Next::Until`](crate::Next::Until) and
//! cancels what is late.
//!
//! | driver | sockets | files | when |
//! |---|---|---|---|
//! | emulated | when epoll says that they are ready | a few threads | always there |
//! | io_uring | the kernel | the kernel | feature `io-uring`; where the kernel refuses it, the emulation takes over, with a warning |

mod carriage;
mod device;
mod driver;
mod emulated;
mod facade;
mod handle;
mod metrics;
mod operation;
mod options;
mod pool;
mod pump;
mod request;
#[cfg(feature = "io-uring")]
mod ring;
mod shared;
mod start;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use carriage::Came;
pub use facade::Proactor;
pub use handle::{DiskFile, Listening, Socket};
pub use metrics::ProactorMetrics;
pub use operation::{Completion, Filled, Memory, Outcome, Passed, Payload, Refused};
pub use options::{Pattern, ProactorOptions};
pub use request::Sync;
