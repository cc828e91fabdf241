//! What is asked of a socket that is not read or written yet: to be connected to, to be waited for, and
//! who is there. The calls of `net.rs` for the connector and the proactor.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use socket2::{Domain, SockAddr, SockRef};

use super::net::{Stream, StreamListener, inherited, stream_socket};
use super::peer::Peer;

impl Stream {
    /// Begins to connect to `address`: done, or refused, when the stream is writable; then
    /// [`connected`](Stream::connected) says which.
    pub(crate) fn connect(&self, address: SocketAddr) -> io::Result<()> {
        match SockRef::from(self).connect(&SockAddr::from(address)) {
            Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => Ok(()),
            result => result,
        }
    }

    /// A socket of the kind that reaches `address`, with the options of an accepted one.
    pub(crate) fn unconnected(address: SocketAddr) -> io::Result<Stream> {
        let socket = stream_socket(Domain::for_address(address))?;
        inherited(SockRef::from(&socket))?;
        Ok(Stream::from(OwnedFd::from(socket)))
    }

    /// What has become of [`connect`](Stream::connect): who is at the other end, or `None` while it is
    /// under way still.
    ///
    /// # Errors
    ///
    /// Why it cannot be connected. Says it once.
    pub(crate) fn connected(&self) -> io::Result<Option<Peer>> {
        match SockRef::from(self).take_error()? {
            Some(error) => Err(error),
            None => Ok(self.peer().ok()), // ENOTCONN: woken for nothing
        }
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> io::Result<Peer> {
        let address = SockRef::from(self).peer_addr()?.as_socket();
        Ok(address.map_or(Peer::Local, Peer::Network))
    }

    /// Whether calls that would have to wait do so: what io_uring wants, and the loop does not.
    pub(crate) fn set_waiting(&self, waiting: bool) -> io::Result<()> {
        SockRef::from(self).set_nonblocking(!waiting)
    }
}

impl StreamListener {
    /// As [`Stream::set_waiting`].
    pub(crate) fn set_waiting(&self, waiting: bool) -> io::Result<()> {
        SockRef::from(self).set_nonblocking(!waiting)
    }
}
