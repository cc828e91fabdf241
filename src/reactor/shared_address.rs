//! Several listening sockets at one address, for as many loops (`SO_REUSEPORT`, socket(7)).

use std::io;
use std::net::ToSocketAddrs;

use socket2::{SockAddr, SockRef};

use super::error::{Error, ErrorKind, Result};
use super::net::{StreamListener, tcp_socket};

impl StreamListener {
    /// Listens on `address` with `sockets` sockets, for as many loops. The kernel gives a connection
    /// to one of them, by a hash of its addresses (`SO_REUSEPORT`, socket(7)), whether or not its loop
    /// has time; so each must be served, and one that is dropped takes its queue along.
    ///
    /// # Errors
    ///
    /// As [`bind_tcp`](StreamListener::bind_tcp). An address that another program shares with
    /// nobody but itself is in use, too.
    pub fn bind_tcp_for(
        sockets: usize,
        address: impl ToSocketAddrs,
    ) -> Result<Vec<StreamListener>> {
        // Bound without sharing it is refused when anybody listens there; it also gets the port.
        let first = StreamListener::bind_tcp(address)?;
        let mut all = first.more(sockets.saturating_sub(1))?;
        all.insert(0, first);
        all.truncate(sockets);
        Ok(all)
    }

    /// So many more sockets that listen on the address of this one, with which the kernel spreads the
    /// connections from now on; who waits in the queue of this one stays there.
    ///
    /// # Errors
    ///
    /// For a Unix socket, and for one that another user bound.
    pub(crate) fn more(&self, sockets: usize) -> Result<Vec<StreamListener>> {
        let Some(address) = self.local_address() else {
            let what = "a Unix socket: only TCP has several sockets at one address";
            return Err(Error::new(ErrorKind::Invalid, "divide", what));
        };
        let listen = || {
            let own = SockRef::from(self);
            own.set_reuse_port(true)?;
            let another = |_| {
                let socket = tcp_socket(address)?;
                if address.is_ipv6() {
                    socket.set_only_v6(own.only_v6()?)?;
                }
                socket.set_reuse_port(true)?;
                StreamListener::listening(socket, &SockAddr::from(address))
            };
            (0..sockets).map(another).collect::<io::Result<_>>()
        };
        listen().map_err(|error| Error::io("listen on", address.to_string(), error))
    }
}
