//! Whoever runs the connections of a server, as its books know it: without the types of the service and
//! of its state.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::carrier::Carrier;
use super::ledger::{Ledger, Note, Tally};
use crate::connection::{Connection, Deadlines};
use crate::reactor::{Peer, Waker};
use crate::server::host::Host;
use crate::server::ladder::Rung;
use crate::server::observer::Noted;
use crate::server::recording::Recording;
use crate::server::reload::Live;
use crate::slab::Token;
use crate::time::Tick;

/// Runs connections that a loop accepts.
pub(super) trait Elsewhere: Send {
    /// What to wake when it has come to its end.
    fn tell_at_the_end(&self, waker: Waker);

    /// Takes a connection over. What could not be is dropped.
    fn seat(&self, arrival: Arrival, ledger: &Arc<Ledger>) -> io::Result<()>;

    /// How many slots there are to look at for connections.
    fn slots(&self) -> u32;

    /// Who sits in a slot, and since when it has been idle, if somebody does and is.
    fn idle_since(
        &self,
        slot: u32,
        now: Tick,
        deadlines: (&Deadlines, Option<&Deadlines>),
    ) -> Option<(Token, Tick)>;

    /// Asks one of them to go if it is idle still. False when it is not, or is gone; and when it was asked
    /// before and no thread has come to it, so that nobody counts on its place.
    fn ask_for_place(&self, token: Token) -> bool;
}

/// An accepted connection on its way to whoever runs it.
pub(in crate::server) struct Arrival {
    pub(in crate::server) carrier: Carrier,
    pub(in crate::server) peer: Peer,
    pub(in crate::server) connection: Connection,
    pub(in crate::server) noted: Option<Noted>,
    /// Which one it is, counted from 1.
    pub(in crate::server) number: u64,
    /// When it came.
    pub(in crate::server) nanos: u64,
}

/// Who runs the connections of a server, and what is written about them.
pub(in crate::server) struct Afar {
    ledger: Arc<Ledger>,
    team: Box<dyn Elsewhere>,
    places_max: usize,
}

impl Afar {
    pub(super) fn new(ledger: Arc<Ledger>, team: Box<dyn Elsewhere>, places_max: usize) -> Afar {
        Afar {
            ledger,
            team,
            places_max,
        }
    }

    /// Has the bytes of `host` counted together with those of the threads.
    pub(in crate::server) fn adopt<S, V>(self, host: &mut Host<S, V>) {
        host.pools = self.ledger.pools();
        host.afar = Some(self);
    }

    /// From now on the loop is woken for what is written here, and at the end.
    pub(super) fn open(&self, bell: Waker) {
        self.team.tell_at_the_end(bell.clone());
        self.ledger.open(bell);
    }

    pub(super) fn take_notes(&self) -> Vec<Note> {
        self.ledger.take_notes()
    }

    pub(in crate::server) fn seat(&self, arrival: Arrival) -> io::Result<()> {
        // One that is ferried leaves its note with its ferry.
        let is_owed = arrival.carrier.descriptor().is_some() && self.ledger.owe();
        let seated = self.team.seat(arrival, &self.ledger);
        if is_owed && seated.is_err() {
            self.ledger.owe_no_more();
        }
        seated
    }

    /// The note of one more connection comes by the ledger. False when nobody reads it.
    pub(super) fn owe(&self) -> bool {
        self.ledger.owe()
    }

    /// Nobody reads the ledger any more. How many notes were still to come.
    pub(super) fn close(&self) -> (Vec<Note>, usize) {
        self.ledger.close()
    }

    /// Has the threads go by new settings. How many connections there may be.
    pub(in crate::server) fn take(&self, live: &Live) -> usize {
        self.ledger.publish(&live.config);
        live.connections_max.min(self.places_max)
    }

    pub(in crate::server) fn publish_rung(&self, rung: Rung) {
        self.ledger.publish_rung(rung);
    }

    pub(in crate::server) fn counted(&self) -> Tally {
        self.ledger.counted()
    }

    pub(in crate::server) fn recorder(&self) -> Option<&Recording> {
        self.ledger.recorder()
    }

    pub(in crate::server) fn slots(&self) -> u32 {
        self.team.slots()
    }

    pub(in crate::server) fn idle_since(
        &self,
        slot: u32,
        now: Tick,
        deadlines: (&Deadlines, Option<&Deadlines>),
    ) -> Option<(Token, Tick)> {
        self.team.idle_since(slot, now, deadlines)
    }

    pub(in crate::server) fn ask_for_place(&self, token: Token) -> bool {
        self.team.ask_for_place(token)
    }
}

impl fmt::Debug for Afar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Afar({} places)", self.places_max)
    }
}
