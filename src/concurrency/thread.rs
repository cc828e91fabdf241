//! Where threads begin: nothing else in the library starts one.

use std::io;
use std::thread::{Builder, JoinHandle};

/// A thread called `name`, of which the kernel shows the first 15 bytes.
pub(crate) fn start_thread(
    name: String,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name).spawn(run)
}
