//! What a source says about itself when it is inserted.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use super::base::Base;
use super::demultiplexer::Watch;
use super::net::{Stream, StreamListener};
use super::signals::Signal;
#[cfg(feature = "testing")]
use super::simulated::SimulatedSocket;
use super::slot::{Facts, Watched};
use super::waker::Waker;
use crate::slab::Token;
use crate::time::Tick;

/// Lent to [`EventSource::register`](super::EventSource::register).
#[derive(Debug)]
pub struct Registry<'a> {
    pub(super) base: &'a mut Base,
    pub(super) token: Token,
    pub(super) facts: &'a mut Facts,
}

impl Registry<'_> {
    /// Watches `fd` for reading and writing, edge-triggered, for as long as the source lives. The
    /// loop deregisters it before the source, which owns it, is dropped.
    ///
    /// # Errors
    ///
    /// What `epoll_ctl` says: `AlreadyExists` when this loop watches it already, `PermissionDenied`
    /// for files and directories, which are always ready; `InvalidInput` for a second descriptor.
    pub fn descriptor(&mut self, fd: &impl AsFd) -> io::Result<()> {
        self.watch(fd, Watch::Both)
    }

    /// Like [`descriptor`](Registry::descriptor), for reading only: listeners, datagram sockets.
    ///
    /// # Errors
    ///
    /// As [`descriptor`](Registry::descriptor).
    pub fn readable_descriptor(&mut self, fd: &impl AsFd) -> io::Result<()> {
        self.watch(fd, Watch::Reading)
    }

    /// Wants [`Event::Signal`](super::Event::Signal) for `signal`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the signal cannot be caught; what the kernel says otherwise.
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        self.base.subscribe(signal, self.token)?;
        self.facts.has_signals = true;
        Ok(())
    }

    /// The source's token.
    #[must_use]
    pub fn token(&self) -> Token {
        self.token
    }

    /// What other threads wake this source with.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.base.waker(self.token)
    }

    /// The present tick, as [`Context::now`](super::Context::now).
    #[must_use]
    pub fn now(&self) -> Tick {
        self.base.now()
    }

    /// [`descriptor`](Registry::descriptor) for the loop's own streams, which may be simulated.
    #[inline]
    pub(crate) fn stream(&mut self, stream: &Stream) -> io::Result<()> {
        #[cfg(feature = "testing")]
        if let Some(socket) = stream.as_simulated() {
            return self.watch_simulated(socket.number(), Watch::Both);
        }
        self.descriptor(stream)
    }

    /// [`readable_descriptor`](Registry::readable_descriptor) for the loop's own listeners.
    pub(crate) fn listener(&mut self, listener: &StreamListener) -> io::Result<()> {
        #[cfg(feature = "testing")]
        if let Some(socket) = listener.as_simulated() {
            return self.watch_simulated(socket.number(), Watch::Reading);
        }
        self.readable_descriptor(listener)
    }

    /// [`readable_descriptor`](Registry::readable_descriptor) for what else a simulated machine has.
    #[cfg(feature = "testing")]
    pub(super) fn simulated(&mut self, socket: &SimulatedSocket) -> io::Result<()> {
        self.watch_simulated(socket.number(), Watch::Reading)
    }

    #[cfg(feature = "testing")]
    fn watch_simulated(&mut self, number: u32, watch: Watch) -> io::Result<()> {
        self.base.watch_simulated(number, self.token)?;
        self.facts.fd = Some(Watched {
            fd: number as i32, // small
            watch,
        });
        Ok(())
    }

    fn watch(&mut self, fd: &impl AsFd, watch: Watch) -> io::Result<()> {
        if self.facts.fd.is_some() {
            let what = "a source has one descriptor; insert another source for the second";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        self.base.watch(fd.as_fd(), self.token, watch)?;
        self.facts.fd = Some(Watched {
            fd: fd.as_fd().as_raw_fd(),
            watch,
        });
        Ok(())
    }
}
