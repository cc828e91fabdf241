//! One connection of the simulated network: two pipes with bounded buffers, and what has become of
//! its ends.
//!
//! ```text
//!   client ── outbox ──> inbound (bounded) ──> server
//!   client <── received <── outbound (bounded) ── server
//! ```

use std::collections::VecDeque;

use super::super::source::Readiness;

/// Bytes that one direction holds between a write and the read of them.
pub(super) const PIPE_BYTES: usize = 64 * 1024;

/// One direction.
#[derive(Debug)]
pub(super) struct Pipe {
    bytes: VecDeque<u8>,
    capacity: usize,
    /// No more comes behind the bytes.
    pub(super) is_finished: bool,
}

impl Pipe {
    fn new(capacity: usize) -> Pipe {
        Pipe {
            bytes: VecDeque::new(),
            capacity,
            is_finished: false,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.bytes.len())
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Fills `buffer` from the front; there are as many bytes.
    pub(super) fn take(&mut self, buffer: &mut [u8]) {
        let (front, back) = self.bytes.as_slices();
        let split = front.len().min(buffer.len());
        let (head, tail) = buffer.split_at_mut(split);
        head.copy_from_slice(&front[..split]);
        tail.copy_from_slice(&back[..tail.len()]);
        self.bytes.drain(..buffer.len());
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// Where the server's end is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Server {
    /// In the queue of the listener.
    Queued,
    /// Accepted, under this descriptor number.
    Open(u32),
    Closed,
}

/// When things happened to a connection, in nanoseconds since the simulation began.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Moments {
    /// The server accepted it.
    pub accepted: Option<u64>,
    /// The server wrote something, the last time.
    pub written: Option<u64>,
    /// The server closed it.
    pub closed: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) server: Server,
    pub(super) inbound: Pipe,
    pub(super) outbound: Pipe,
    /// What the client has sent and the network has not taken yet.
    pub(super) outbox: VecDeque<u8>,
    /// The client sends nothing behind the outbox.
    pub(super) client_finishes: bool,
    pub(super) client_is_closed: bool,
    /// Whether the client takes what comes as it comes.
    pub(super) client_reads: bool,
    pub(super) received: Vec<u8>,
    /// Reset, as the server sees it, or as the client does.
    pub(super) reset_for_server: bool,
    pub(super) reset_for_client: bool,
    /// The machine did it, not the client: by a fault.
    pub(super) was_struck: bool,
    /// The server wants its close to be a reset.
    pub(super) aborts: bool,
    pub(super) moments: Moments,
    /// Whether it stands in the list of those that have bytes to move.
    pub(super) is_flowing: bool,
}

impl Connection {
    pub(super) fn new(capacity: usize) -> Connection {
        Connection {
            server: Server::Queued,
            inbound: Pipe::new(capacity),
            outbound: Pipe::new(capacity),
            outbox: VecDeque::new(),
            client_finishes: false,
            client_is_closed: false,
            client_reads: true,
            received: Vec::new(),
            reset_for_server: false,
            reset_for_client: false,
            was_struck: false,
            aborts: false,
            moments: Moments::default(),
            is_flowing: false,
        }
    }

    /// What epoll would say of the server's end.
    pub(super) fn readiness(&self) -> Readiness {
        if self.reset_for_server {
            return Readiness::READABLE
                .union(Readiness::WRITABLE)
                .union(Readiness::READ_CLOSED)
                .union(Readiness::WRITE_CLOSED)
                .union(Readiness::ERROR);
        }
        let mut ready = Readiness::default();
        if self.inbound.len() > 0 || self.inbound.is_finished {
            ready = ready.union(Readiness::READABLE);
        }
        if self.outbound.room() > 0 {
            ready = ready.union(Readiness::WRITABLE);
        }
        if self.inbound.is_finished {
            ready = ready.union(Readiness::READ_CLOSED);
            if self.outbound.is_finished {
                ready = ready.union(Readiness::WRITE_CLOSED);
            }
        }
        ready
    }

    /// Whether the network has something of the client's to move.
    pub(super) fn has_to_flow(&self) -> bool {
        !self.outbox.is_empty() || (self.client_finishes && !self.inbound.is_finished)
    }

    /// Moves up to `max` bytes of the client's towards the server, and its end behind them. Whether
    /// something moved.
    pub(super) fn flow(&mut self, max: usize) -> bool {
        if self.server == Server::Closed || self.reset_for_server {
            self.outbox.clear();
            self.client_finishes = false;
            return false;
        }
        let len = max.min(self.outbox.len()).min(self.inbound.room());
        self.inbound.bytes.extend(self.outbox.drain(..len));
        let finishes = self.client_finishes && self.outbox.is_empty() && !self.inbound.is_finished;
        self.inbound.is_finished |= finishes;
        len > 0 || finishes
    }

    /// The client takes up to `max` bytes of what has come. Whether it took some.
    pub(super) fn receive(&mut self, max: usize) -> usize {
        let len = max.min(self.outbound.len());
        let (front, back) = self.outbound.bytes.as_slices();
        let split = front.len().min(len);
        self.received.extend_from_slice(&front[..split]);
        self.received.extend_from_slice(&back[..len - split]);
        self.outbound.bytes.drain(..len);
        len
    }
}
