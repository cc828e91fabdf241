//! What operations ask of a socket and readiness does not: to be connected to, to be waited for, and who
//! is there. The calls of `net.rs` for the proactor.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use socket2::{Domain, SockAddr, SockRef};

use super::net::{Stream, StreamListener, stream_socket};
use super::peer::Peer;

impl Stream {
    /// Begins to connect to `address`: done, or refused, when the stream is writable; then
    /// [`take_error`](Stream::take_error) says which.
    pub(crate) fn connect(&self, address: SocketAddr) -> io::Result<()> {
        match SockRef::from(self).connect(&SockAddr::from(address)) {
            Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => Ok(()),
            result => result,
        }
    }

    /// A socket of the kind that reaches `address`.
    pub(crate) fn unconnected(address: SocketAddr) -> io::Result<Stream> {
        let socket = stream_socket(Domain::for_address(address))?;
        Ok(Stream::from(OwnedFd::from(socket)))
    }

    /// What is wrong with the stream, for example why it could not be connected. Says it once.
    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        SockRef::from(self).take_error()
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
