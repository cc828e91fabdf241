//! A connection on its way from one loop to another.

use super::{Counted, Driver, OnLoop};
use crate::connection::Connection;
use crate::reactor::{Held, Local, Readiness, ShortRead, Stream};
use crate::server::host::Host;
use crate::service::Service;

/// What of a connection goes along.
pub(in crate::server) struct Luggage {
    pub(in crate::server) connection: Connection,
    stream: Stream,
    short_read: ShortRead,
}

impl<S: 'static, V: Service<S>, T> Driver<S, Held<Host<S, V>>, T> {
    /// Whether it belongs to the server of `host`.
    pub(in crate::server) fn is_of(&self, host: Local<Host<S, V>>) -> bool {
        self.home.key() == host
    }
}

impl<S: 'static, V: Service<S>> OnLoop<S, V> {
    /// Whether it can go on elsewhere.
    pub(in crate::server) fn is_movable(&self) -> bool {
        self.exchange.is_none() && self.counted == Counted::Served && self.connection.is_movable()
    }

    /// Leaves its loop, which has let go of the socket.
    pub(in crate::server) fn pack(self) -> Luggage {
        Luggage {
            connection: self.connection,
            stream: self.stream,
            short_read: self.short_read,
        }
    }

    /// For the loop of `home`, which is to register the socket: that brings what was missed meanwhile.
    pub(in crate::server) fn unpack(luggage: Luggage, home: Held<Host<S, V>>) -> OnLoop<S, V> {
        Driver {
            connection: luggage.connection,
            stream: luggage.stream,
            home,
            ready: Readiness::READABLE.union(Readiness::WRITABLE),
            end: crate::connection::CloseReason::HandlerPanicked, // unless it ends by itself
            counted: Counted::Served,
            short_read: luggage.short_read,
            exchange: None,
        }
    }
}
