//! What a connection sends and receives by.

use std::io;

use crate::reactor::{Context, Stream};

/// Bytes both ways, of which nothing waits: what cannot be done now is
/// [`WouldBlock`](io::ErrorKind::WouldBlock), and readiness says when to try again.
pub(crate) trait Transport {
    /// Reads what is there; 0 at the end.
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize>;
    /// Takes as much of `bytes` as there is room for.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Says that nothing more comes, after what was written.
    fn shutdown_write(&mut self) -> io::Result<()>;
    /// Has the end be a reset: what is not taken yet is not to arrive.
    fn abort_on_close(&mut self);
    /// Ends it. The descriptor is free afterwards, or as soon as the kernel lets go of it.
    fn close<S: 'static>(self, cx: &mut Context<'_, S>)
    where
        Self: Sized,
    {
        let _ = cx;
    }
}

impl Transport for Stream {
    #[inline(always)]
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        Stream::read(self, space)
    }

    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Stream::write(self, bytes)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Stream::shutdown_write(self)
    }

    fn abort_on_close(&mut self) {
        Stream::abort_on_close(self);
    }
}
