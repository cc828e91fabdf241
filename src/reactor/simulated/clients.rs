//! The clients of a simulated machine, and the hand that turns its clock.

use std::net::SocketAddr;
use std::time::Duration;

use super::Network;
use super::connection::{Moments, Server};
use super::faults::Faults;
use super::trace::Mark;
use super::world::{Owner, World};

/// What a client sees of its connection, and what the simulation knows of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ends {
    /// The server has neither ended nor reset it.
    pub is_open: bool,
    /// It was reset.
    pub is_reset: bool,
    /// A fault ended it, not the client or the server.
    pub was_struck: bool,
    /// The server's end is closed.
    pub is_closed: bool,
    /// All that the client sent has been read by the server, or has met nobody.
    pub is_drained: bool,
    /// When things happened to it.
    pub moments: Moments,
}

impl World {
    pub(super) fn address_of(&self, number: u32) -> Option<SocketAddr> {
        match self.files[number as usize].owner {
            Owner::Listener(index) => Some(self.listeners[index].address),
            Owner::Connection(_) | Owner::Alarm(_) | Owner::Nobody => None,
        }
    }

    fn send(&mut self, id: usize, bytes: &[u8]) {
        let at = self.nanos;
        self.trace.note_bytes(Mark::Sent, at, id as u64, bytes);
        let cut = self.strikes(|faults| faults.half_closes);
        let entry = &mut self.connections[id];
        if entry.client_finishes || entry.client_is_closed || entry.reset_for_client {
            return;
        }
        entry.outbox.extend(bytes);
        if cut {
            entry.client_finishes = true;
            entry.was_struck = true;
        }
        self.flow(id);
    }

    fn finish(&mut self, id: usize) {
        self.note(Mark::Finished, id as u64, 0);
        self.connections[id].client_finishes = true;
        self.flow(id);
    }

    fn take(&mut self, id: usize, max: usize) {
        let was_full = self.connections[id].outbound.room() == 0;
        if self.connections[id].receive(max) > 0 && was_full {
            self.announce_connection(id);
        }
    }
}

/// What clients do. Each names its connection by the number that [`connect`](Network::connect)
/// gave.
impl Network {
    /// A client comes to `address`.
    pub fn connect(&self, address: SocketAddr) -> usize {
        self.lock().connect(address)
    }

    /// Sends `bytes`, as fast as the network takes them.
    pub fn send(&self, id: usize, bytes: &[u8]) {
        self.lock().send(id, bytes);
    }

    /// Sends nothing behind what was sent (FIN).
    pub fn finish(&self, id: usize) {
        self.lock().finish(id);
    }

    /// Closes: sends the end, and answers what still comes with a reset. With something unread, it is
    /// a reset at once, as in the kernel.
    pub fn close(&self, id: usize) {
        let world = &mut *self.lock();
        world.finish(id);
        world.connections[id].client_is_closed = true;
        if world.connections[id].outbound.len() > 0 {
            world.reset_server(id);
        }
    }

    /// Resets the connection.
    pub fn reset(&self, id: usize) {
        let world = &mut *self.lock();
        world.note(Mark::Reset, id as u64, 0);
        world.connections[id].client_is_closed = true;
        world.reset_server(id);
    }

    /// Whether the client takes what comes as it comes, or only when it is told to.
    pub fn set_reading(&self, id: usize, reads: bool) {
        let world = &mut *self.lock();
        world.connections[id].client_reads = reads;
        if reads {
            world.take(id, usize::MAX);
        }
    }

    /// Takes up to `max` bytes of what has come, for a client that does not take all by itself.
    pub fn receive(&self, id: usize, max: usize) {
        self.lock().take(id, max);
    }

    /// Calls `f` with what the client has received and not used yet; it may take from it.
    pub fn with_received<R>(&self, id: usize, f: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let mut received = std::mem::take(&mut self.lock().connections[id].received);
        let result = f(&mut received);
        self.lock().connections[id].received = received;
        result
    }

    /// What has become of a connection.
    #[must_use]
    pub fn ends(&self, id: usize) -> Ends {
        let world = self.lock();
        let entry = &world.connections[id];
        let has_ended = entry.outbound.is_finished && entry.outbound.len() == 0;
        Ends {
            is_open: !has_ended && !entry.reset_for_client,
            is_reset: entry.reset_for_client,
            was_struck: entry.was_struck,
            is_closed: entry.server == Server::Closed,
            is_drained: entry.outbox.is_empty() && entry.inbound.len() == 0,
            moments: entry.moments,
        }
    }
}

/// The clock, the faults, and what is known of a run.
impl Network {
    /// Time since the simulation began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.lock().nanos)
    }

    /// Lets the next sleeps go on for up to `duration` from now in all.
    pub fn allow(&self, duration: Duration) {
        let world = &mut *self.lock();
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        world.limit = world.nanos.saturating_add(nanos);
        world.has_rested = false;
    }

    /// Lets the clock go on to the next step of a thread, or to `until` if there is none before. Whether
    /// there was none.
    pub fn pass(&self, until: Duration) -> bool {
        let world = &mut *self.lock();
        let nanos = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        let has_ended = world.next_step > nanos;
        world.nanos = world.nanos.max(nanos.min(world.next_step));
        has_ended
    }

    /// Whether a sleep went as far as was allowed, so that nothing is left to do before.
    #[must_use]
    pub fn has_rested(&self) -> bool {
        self.lock().has_rested
    }

    /// Sends a signal to the program.
    pub fn signal(&self, number: i32) {
        self.lock().signal(number);
    }

    /// What may go wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        let world = &mut *self.lock();
        if faults.exhaustion == 0.0 {
            world.exhausted_until = 0;
        }
        world.faults = faults;
    }

    /// A hash over every event dispatched, every byte moved and every alarm, with its time.
    #[must_use]
    pub fn trace(&self) -> u64 {
        self.lock().trace.hash()
    }

    /// What the loop has done first that no loop may do, in a sentence.
    #[must_use]
    pub fn violation(&self) -> Option<String> {
        self.lock().witness.violation().cloned()
    }

    /// How many times the loop has waited.
    #[must_use]
    pub fn waits(&self) -> u64 {
        self.lock().witness.waits()
    }

    /// How many connections the server has open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.lock().open
    }
}
