//! The system calls of a simulated machine, as the loop's own sockets make them.
//!
//! A call keeps the promises of edge-triggered epoll: what a read left, or a write could not place,
//! is announced by a new edge when there is more to read, or room.

use std::net::{Ipv4Addr, SocketAddr};

use rustix::io::Errno;

use super::connection::Server;
use super::trace::Mark;
use super::world::{Owner, World};

/// The longest time for which descriptors are out, in nanoseconds.
const EXHAUSTED_NANOS: usize = 1_000_000_000;

impl World {
    fn connection_of(&self, number: u32) -> Result<usize, Errno> {
        match self.files[number as usize].owner {
            Owner::Connection(id) => Ok(id),
            Owner::Listener(_) | Owner::Alarm(_) | Owner::Nobody => Err(Errno::BADF),
        }
    }

    /// What may happen to any call on a connection.
    fn begin_call(&mut self, id: usize) -> Result<(), Errno> {
        if self.strikes(|faults| faults.interrupts) {
            return Err(Errno::INTR);
        }
        self.stall();
        if self.strikes(|faults| faults.resets) {
            self.strike(id);
        }
        Ok(())
    }

    pub(super) fn read(&mut self, number: u32, buffer: &mut [u8]) -> Result<usize, Errno> {
        let id = self.connection_of(number)?;
        self.begin_call(id)?;
        if self.connections[id].reset_for_server {
            return Err(Errno::CONNRESET);
        }
        let available = self.connections[id].inbound.len();
        if available == 0 {
            return match self.connections[id].inbound.is_finished {
                true => Ok(0),
                false => Err(Errno::AGAIN),
            };
        }
        if self.strikes(|faults| faults.would_block) {
            self.later.push(number);
            return Err(Errno::AGAIN);
        }
        let mut len = available.min(buffer.len());
        if self.strikes(|faults| faults.short_reads) {
            len = self.dice.up_to(len);
            self.later.push(number);
        }
        let entry = &mut self.connections[id];
        entry.inbound.take(&mut buffer[..len]);
        let at = self.nanos;
        self.trace
            .note_bytes(Mark::Read, at, id as u64, &buffer[..len]);
        self.flow(id); // there is room
        Ok(len)
    }

    pub(super) fn write(&mut self, number: u32, bytes: &[u8]) -> Result<usize, Errno> {
        let id = self.connection_of(number)?;
        self.begin_call(id)?;
        let entry = &mut self.connections[id];
        if entry.reset_for_server || entry.outbound.is_finished {
            return Err(Errno::PIPE);
        }
        if entry.client_is_closed {
            self.reset_server(id); // the answer of the client's machine
            return Ok(bytes.len());
        }
        let room = entry.outbound.room();
        if room == 0 {
            return Err(Errno::AGAIN); // the edge comes when the client takes some
        }
        if self.strikes(|faults| faults.would_block) {
            self.later.push(number);
            return Err(Errno::AGAIN);
        }
        let mut len = bytes.len().min(room);
        if self.strikes(|faults| faults.short_writes) {
            len = self.dice.up_to(len);
            self.later.push(number);
        }
        let (at, entry) = (self.nanos, &mut self.connections[id]);
        entry.outbound.put(&bytes[..len]);
        entry.moments.written = Some(at);
        if entry.client_reads {
            entry.receive(usize::MAX);
        }
        self.trace
            .note_bytes(Mark::Written, at, id as u64, &bytes[..len]);
        Ok(len)
    }

    pub(super) fn shutdown_write(&mut self, number: u32) -> Result<(), Errno> {
        let id = self.connection_of(number)?;
        self.note(Mark::Finished, id as u64, 1);
        let entry = &mut self.connections[id];
        if entry.reset_for_server {
            return Err(Errno::NOTCONN);
        }
        entry.outbound.is_finished = true;
        if entry.inbound.is_finished {
            self.announce(number);
        }
        Ok(())
    }

    pub(super) fn abort_on_close(&mut self, number: u32) {
        if let Ok(id) = self.connection_of(number) {
            self.connections[id].aborts = true;
        }
    }

    /// Closes a descriptor. Bytes that the server has not read make a reset of it, as in the kernel.
    pub(super) fn close(&mut self, number: u32) {
        match self.files[number as usize].owner {
            Owner::Connection(id) => {
                self.note(Mark::Closed, id as u64, 0);
                let (at, entry) = (self.nanos, &mut self.connections[id]);
                entry.moments.closed = Some(at);
                entry.server = Server::Closed;
                entry.outbound.is_finished = true;
                if entry.aborts || entry.inbound.len() > 0 {
                    entry.reset_for_client = true;
                    entry.outbound.clear();
                }
                entry.inbound.clear();
                self.open -= 1;
                self.flow(id); // what comes now is answered with a reset
            }
            Owner::Listener(index) => {
                self.listeners[index].number = None;
                for id in std::mem::take(&mut self.listeners[index].queue) {
                    self.connections[id].server = Server::Closed;
                    self.connections[id].reset_for_client = true;
                }
            }
            Owner::Alarm(index) => self.alarms[index].number = None,
            Owner::Nobody => return,
        }
        self.release(number);
    }

    pub(super) fn has_waiting(&self, number: u32) -> bool {
        match self.files[number as usize].owner {
            Owner::Listener(index) => !self.listeners[index].queue.is_empty(),
            _ => false,
        }
    }

    pub(super) fn accept(&mut self, number: u32) -> Result<(u32, SocketAddr), Errno> {
        let Owner::Listener(index) = self.files[number as usize].owner else {
            return Err(Errno::BADF);
        };
        if self.strikes(|faults| faults.interrupts) {
            return Err(Errno::INTR);
        }
        if self.listeners[index].queue.is_empty() {
            return Err(Errno::AGAIN);
        }
        if self.nanos < self.exhausted_until && !self.strikes(|faults| faults.reprieves) {
            return Err(Errno::MFILE);
        }
        if self.strikes(|faults| faults.exhaustion) {
            self.exhausted_until = self.nanos + self.dice.below(EXHAUSTED_NANOS) as u64;
            return Err(Errno::MFILE);
        }
        let id = self.listeners[index].queue.pop_front();
        let id = id.ok_or(Errno::AGAIN)?;
        if self.strikes(|faults| faults.aborted_accepts) {
            self.connections[id].server = Server::Closed;
            self.connections[id].was_struck = true;
            self.connections[id].reset_for_client = true;
            return Err(Errno::CONNABORTED);
        }
        let opened = self.open(Owner::Connection(id));
        self.open += 1;
        self.note(Mark::Accepted, id as u64, u64::from(opened));
        self.connections[id].server = Server::Open(opened);
        self.connections[id].moments.accepted = Some(self.nanos);
        // Addresses for documentation (RFC 5737).
        let client = Ipv4Addr::new(198, 51, 100, (id >> 14 & 0xff) as u8);
        let port = 1024 + (id & 0x3fff) as u16;
        Ok((opened, SocketAddr::from((client, port))))
    }
}
