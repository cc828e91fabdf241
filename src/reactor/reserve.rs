//! Descriptors kept back for when the process has no other.
//!
//! A limit on descriptors is the process's: whoever takes the last one, the next `accept` or `open`
//! fails wherever it is. A [`Reserve`] holds some that do nothing, and gives one up at the moment that
//! matters; the kernel hands it to the very next call that asks. Another thread may be quicker: keep
//! one more than is needed where threads open files.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{EventfdFlags, eventfd};

use super::error::{Error, Result};

/// Descriptors that are kept for later.
///
/// ```
/// use std::fs::File;
/// use trine::reactor::Reserve;
///
/// // Made at the start, when there are descriptors.
/// let mut reserve = Reserve::new(1)?;
/// // Whatever the rest of the process has taken meanwhile, this one can be opened.
/// let log = reserve.lend(|| File::create("/dev/null"));
/// assert!(log.is_ok());
/// # Ok::<(), trine::Error>(())
/// ```
#[derive(Debug)]
pub struct Reserve {
    kept: Vec<OwnedFd>,
    wanted: usize,
}

impl Reserve {
    /// Keeps `descriptors` back.
    ///
    /// # Errors
    ///
    /// When the process has not that many left.
    pub fn new(descriptors: usize) -> Result<Reserve> {
        let mut reserve = Reserve::empty(descriptors);
        match reserve.fill() {
            Ok(()) => Ok(reserve),
            Err(error) => {
                let what = format!("{descriptors} descriptors in reserve");
                Err(Error::io("keep", what, error))
            }
        }
    }

    /// One that may be short from the beginning.
    pub(crate) fn as_far_as_possible(descriptors: usize) -> Reserve {
        let mut reserve = Reserve::empty(descriptors);
        reserve.refill();
        reserve
    }

    fn empty(wanted: usize) -> Reserve {
        Reserve {
            kept: Vec::new(),
            wanted,
        }
    }

    /// How many are kept now.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Calls `open` with one of them free for it to take, and then keeps as many as there were, if the
    /// process has them. A file that `open` keeps open may have taken the place of one for good; close
    /// something and [refill](Reserve::refill).
    pub fn lend<R>(&mut self, open: impl FnOnce() -> R) -> R {
        drop(self.kept.pop());
        let opened = open();
        self.refill();
        opened
    }

    /// Keeps as many as were asked for again, as far as the process has them. Whether it has all.
    pub fn refill(&mut self) -> bool {
        self.fill().is_ok()
    }

    /// Gives one up for good, or until the next [refill](Reserve::refill). False when none is kept.
    pub(crate) fn give_up(&mut self) -> bool {
        self.kept.pop().is_some()
    }

    fn fill(&mut self) -> io::Result<()> {
        while self.kept.len() < self.wanted {
            self.kept.push(eventfd(0, EventfdFlags::CLOEXEC)?);
        }
        Ok(())
    }
}
