//! Who is at the other end of a stream, and what that says of the socket.

use std::fmt;
use std::net::SocketAddr;

/// Who is at the other end of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Peer {
    /// An address on the network.
    Network(SocketAddr),
    /// A process of this machine, by a Unix socket.
    Local,
}

impl Peer {
    /// What a read that gave less than there was room for says of the socket. On a Unix socket a
    /// passed descriptor ends a read in the middle, and no edge follows for what stands behind it.
    #[must_use]
    pub fn short_read(&self) -> ShortRead {
        match self {
            Peer::Network(_) => ShortRead::Empties,
            Peer::Local => ShortRead::SaysNothing,
        }
    }
}

/// What follows from a read that gave less than there was room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShortRead {
    /// There is no more, unless the peer's end of file or the mark of urgent data ended it.
    Empties,
    /// There may be more.
    SaysNothing,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Network(address) => address.fmt(f),
            Peer::Local => f.write_str("local"),
        }
    }
}
