//! Where threads begin: nothing else in the library starts one.
//!
//! No thread masks signals. A handler runs on whichever thread the kernel picks and does no more than
//! write to the loop's self-pipe; it is installed with `SA_RESTART`, so a call that it interrupts is
//! restarted. What a worker calls that is never restarted (a sleep, a `poll` of its own) may end early
//! with `EINTR`, as in any program that handles signals; the standard library repeats those.

use std::io;
use std::thread::{Builder, JoinHandle};

/// A thread called `name`, of which the kernel shows the first 15 bytes.
pub(crate) fn start_thread<T: Send + 'static>(
    name: String,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name).spawn(run)
}
