//! Datagrams: UDP and Unix datagram sockets.
//!
//! The socket is read until it is empty, at most [`DATAGRAMS_PER_TURN`] a turn. It is watched for
//! reading only: under edge triggering every datagram sent would report room to send. When there
//! is no room, [`DatagramSocket::send`] says so, and the datagram is lost, as datagrams are.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use mio::net::{UdpSocket, UnixDatagram};

use super::context::Context;
use super::error::{Error, Result};
use super::net::resolve;
use super::registry::Registry;
use super::source::{Event, EventSource, Next};
use crate::time::Span;

/// Datagrams taken in one turn at most.
const DATAGRAMS_PER_TURN: usize = 256;

/// Errors in a row after which reading pauses.
const FAILURES_MAX: usize = 32;
/// For how long.
const RETRY: Span = Span::from_millis(100);

/// The longest datagram of the network, in bytes. A longer one of a Unix socket is cut to this.
const DATAGRAM_BYTES_MAX: usize = 65_536;

/// A bound datagram socket.
pub struct DatagramSocket(Socket);

enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

/// Where a datagram came from, or goes to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum DatagramPeer {
    /// An address on the network.
    Network(SocketAddr),
    /// The socket file of another process.
    Path(PathBuf),
    /// A Unix socket without a name: it cannot be answered.
    Unnamed,
}

impl DatagramSocket {
    /// Binds a UDP socket.
    ///
    /// # Errors
    ///
    /// When there is no such address, or what the kernel says: it is in use, or not of this
    /// machine.
    pub fn bind_udp(address: impl ToSocketAddrs) -> Result<DatagramSocket> {
        let address = resolve(address)?;
        let socket = UdpSocket::bind(address).map(|socket| DatagramSocket(Socket::Udp(socket)));
        socket.map_err(|error| Error::io("bind", address.to_string(), error))
    }

    /// Binds a Unix datagram socket at `path`, which must not exist.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn bind_unix(path: impl AsRef<Path>) -> Result<DatagramSocket> {
        let path = path.as_ref();
        let socket = UnixDatagram::bind(path).map(|socket| DatagramSocket(Socket::Unix(socket)));
        socket.map_err(|error| Error::io("bind", path.display().to_string(), error))
    }

    /// The address a UDP socket is bound to: the port the kernel chose for port 0.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Socket::Udp(socket) => socket.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    /// Sends one datagram.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the kernel has no room; `InvalidInput` for a peer of the other kind or
    /// without a name; what the kernel says otherwise.
    pub fn send(&self, bytes: &[u8], to: &DatagramPeer) -> io::Result<()> {
        let sent = match (&self.0, to) {
            (Socket::Udp(socket), DatagramPeer::Network(address)) => {
                socket.send_to(bytes, *address)
            }
            (Socket::Unix(socket), DatagramPeer::Path(path)) => socket.send_to(bytes, path),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "no address to send to",
            )),
        };
        sent.map(|_| ()) // a datagram goes whole or not at all
    }

    /// Reads one datagram.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is none; what the kernel says otherwise, for example that an
    /// earlier datagram was refused.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, DatagramPeer)> {
        match &self.0 {
            Socket::Udp(socket) => socket
                .recv_from(buffer)
                .map(|(len, from)| (len, DatagramPeer::Network(from))),
            Socket::Unix(socket) => socket.recv_from(buffer).map(|(len, from)| {
                let path = from
                    .as_pathname()
                    .map(|path| DatagramPeer::Path(path.to_owned()));
                (len, path.unwrap_or(DatagramPeer::Unnamed))
            }),
        }
    }
}

impl AsFd for DatagramSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Socket::Udp(socket) => socket.as_fd(),
            Socket::Unix(socket) => socket.as_fd(),
        }
    }
}

impl fmt::Debug for DatagramSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatagramSocket({:?})", self.local_address())
    }
}

/// One datagram, and the socket to answer it on.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// What it says.
    pub bytes: &'a [u8],
    /// Who sent it.
    pub from: &'a DatagramPeer,
    /// The socket it came to.
    pub socket: &'a DatagramSocket,
}

impl Datagram<'_> {
    /// Sends `bytes` back to where this came from.
    ///
    /// # Errors
    ///
    /// As [`DatagramSocket::send`].
    pub fn reply(&self, bytes: &[u8]) -> io::Result<()> {
        self.socket.send(bytes, self.from)
    }
}

/// Reads a datagram socket and calls a closure for each datagram.
pub(super) struct DatagramSource<F> {
    socket: DatagramSocket,
    buffer: Box<[u8]>,
    call: F,
}

impl<F> DatagramSource<F> {
    pub(super) fn new(socket: DatagramSocket, call: F) -> DatagramSource<F> {
        DatagramSource {
            socket,
            buffer: vec![0; DATAGRAM_BYTES_MAX].into(),
            call,
        }
    }
}

impl<S, F> EventSource<S> for DatagramSource<F>
where
    S: 'static,
    F: FnMut(&mut S, Datagram<'_>, &mut Context<'_, S>) + 'static,
{
    fn register(&mut self, registry: &mut Registry<'_>) -> io::Result<()> {
        registry.readable_descriptor(&self.socket)
    }

    fn handle(&mut self, event: Event, state: &mut S, cx: &mut Context<'_, S>) -> Next {
        if matches!(event, Event::Drain) {
            return Next::Close;
        }
        let mut failures = 0;
        for _ in 0..DATAGRAMS_PER_TURN {
            match self.socket.receive(&mut self.buffer) {
                Ok((len, from)) => {
                    failures = 0;
                    let bytes = &self.buffer[..len];
                    (self.call)(
                        state,
                        Datagram {
                            bytes,
                            from: &from,
                            socket: &self.socket,
                        },
                        cx,
                    );
                    if !cx.contains(cx.token()) {
                        return Next::Close; // the call removed it
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Next::Wait,
                // The answer of the network to something sent earlier (ECONNREFUSED), or a signal:
                // the next datagram is as good as any.
                Err(_) if failures < FAILURES_MAX => failures += 1,
                // It does not end: look again when something comes, or in a while.
                Err(_) => return Next::Until(cx.now().after(RETRY)),
            }
        }
        Next::Again
    }

    fn name(&self) -> &'static str {
        "datagram"
    }
}

#[cfg(test)]
mod tests {
    use super::super::EventLoop;
    use super::*;

    /// A connected socket hears of the network's answers to what it sent; each is one error of a
    /// read, before whatever stands in the queue.
    #[test]
    fn errors_between_datagrams_are_not_errors_in_a_row() {
        const DATAGRAMS: u32 = 3 * FAILURES_MAX as u32;
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let gone = peer.local_addr().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        for _ in 0..DATAGRAMS {
            peer.send_to(b"hello", socket.local_addr().unwrap())
                .unwrap();
        }
        socket.connect(gone).unwrap();
        drop(peer);
        let answer = |heard: &mut u32, datagram: Datagram<'_>, _: &mut Context<'_, u32>| {
            *heard += 1;
            let Socket::Udp(socket) = &datagram.socket.0 else {
                return;
            };
            let _ = socket.send(b"is there anybody?"); // refused, as the next read says
        };
        let mut events = EventLoop::<u32>::new().unwrap();
        let source = DatagramSource::new(DatagramSocket(Socket::Udp(socket)), answer);
        events.insert(source).unwrap();
        let mut heard = 0;
        let _ = events.turn_now(&mut heard).unwrap();
        assert_eq!(heard, DATAGRAMS);
    }
}
