//! The address of a socket as the kernel reads it, at a place that does not move.

use std::net::SocketAddr;

use socket2::SockAddr;

/// On the heap, behind a `Vec`, so that the flight which owns it may move.
pub(super) struct SocketAddress(Vec<SockAddr>);

impl From<SocketAddr> for SocketAddress {
    fn from(address: SocketAddr) -> SocketAddress {
        SocketAddress(vec![SockAddr::from(address)])
    }
}

impl SocketAddress {
    pub(super) fn as_ptr<T>(&self) -> (*const T, u32) {
        let address = &self.0[0];
        (address.as_ptr().cast(), address.len())
    }
}
