//! The flight recorder: what each connection has been through lately, kept until it is known whether
//! anybody needs it.
//!
//! ```text
//!   accepted ── open ──> lives[token] ── close ──> ended: the last 64 ──> recycled
//!   driver ── note ────────^                 └── ended badly: logged
//! ```
//!
//! Each connection has a ring of its own, so however busy the others are, the beginning of a head that
//! drips for ten seconds is there when it is cut; in one ring for all it would have been overwritten
//! within milliseconds. What a visit of the loop to a connection did is one entry, and a visit that was
//! like the last is added to its entry: a keep-alive connection with a thousand requests has one.
//!
//! The rings stand beside the connections, by slot, so that one without a recorder is no larger for it.
//!
//! Invariant: a life in `lives` is of a live connection, or of one whose last call is still to come.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::timeline::{Happened, Record, Timeline};
use crate::connection::{CloseReason, StateKind};
use crate::http::Status;
use crate::reactor::Peer;
use crate::slab::Token;

/// Connections that ended, whose lives are kept.
const ENDED_MAX: usize = 64;

/// The lives of the connections of one server.
#[derive(Debug)]
pub(super) struct Recorder {
    entries: NonZeroUsize,
    /// By the slot of the connection's token.
    lives: Vec<Option<Box<Life>>>,
    ended: VecDeque<Box<Life>>,
}

/// What one visit of the loop to a connection moved, and when.
#[derive(Clone, Copy)]
pub(super) struct Moved {
    pub nanos: u64,
    pub read: usize,
    pub written: usize,
    pub requests: u32,
}

/// What one visit of the loop to a connection was for, and what became of that.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub event: Happened,
    /// The state afterwards.
    pub state: StateKind,
    pub ending: Option<CloseReason>,
    /// By the server itself.
    pub answered: Option<Status>,
}

impl Moved {
    /// Whether the loop came for nothing, unless the state is another.
    fn is_nothing(self) -> bool {
        self.read + self.written == 0 && self.requests == 0
    }
}

/// What one connection has been through.
#[derive(Debug)]
pub(super) struct Life {
    /// What is being added to. Here, as most visits are like the last one and touch nothing else.
    latest: Entry,
    token: Token,
    number: u64,
    peer: Peer,
    /// When it was accepted, in nanoseconds.
    accepted: u64,
    /// When and why it ended.
    end: Option<(u64, CloseReason)>,
    /// The entries before the latest, oldest first.
    before: VecDeque<Entry>,
    /// How many entries there were.
    noted: u64,
}

/// A visit, or several that were alike. 48 bytes.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The time of the first visit, in nanoseconds.
    first: u64,
    last: u64,
    read: u64,
    written: u64,
    requests: u32,
    /// 0 for none.
    answered: u16,
    kind: Kind,
}

/// What visits have in common that share an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Kind {
    event: Happened,
    state: StateKind,
    ending: Option<CloseReason>,
}

/// Requests that came and were answered at once.
const ORDINARY: Kind = Kind {
    event: Happened::Ready,
    state: StateKind::Idle,
    ending: None,
};

const NOTHING: Entry = Entry {
    first: 0,
    last: 0,
    read: 0,
    written: 0,
    requests: 0,
    answered: 0,
    kind: Kind {
        event: Happened::Ready,
        state: StateKind::Closed,
        ending: None, // no visit is like this
    },
};

impl Recorder {
    pub(super) fn new(entries: NonZeroUsize) -> Recorder {
        Recorder {
            entries,
            lives: Vec::new(),
            ended: VecDeque::new(),
        }
    }

    /// The connection `token`, the `number`th, was accepted.
    pub(super) fn open(&mut self, token: Token, nanos: u64, number: u64, peer: Peer) {
        let before = match self.ended.len() >= ENDED_MAX {
            true => self.ended.pop_front().map(|life| life.before),
            false => None,
        };
        let room = self.entries.get() - 1;
        let mut before = before.unwrap_or_else(|| VecDeque::with_capacity(room));
        before.clear();
        let life = Box::new(Life {
            latest: NOTHING,
            token,
            number,
            peer,
            accepted: nanos,
            end: None,
            before,
            noted: 0,
        });
        self.begin(life);
    }

    fn begin(&mut self, life: Box<Life>) {
        let place = life.token.index() as usize;
        if self.lives.len() <= place {
            self.lives.resize_with(place + 1, || None);
        }
        // A former tenant of the slot, removed by somebody else, has yet to have its last call.
        if let Some(former) = self.lives[place].replace(life) {
            self.keep(former);
        }
    }

    fn keep(&mut self, life: Box<Life>) {
        while self.ended.len() >= ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(life);
    }

    /// The loop has visited the connection for its socket, and left it idle. False when that is not
    /// what it did the last time, and is to be [noted](Recorder::note).
    #[inline]
    pub(super) fn repeat(&mut self, token: Token, moved: Moved) -> bool {
        match self.lives.get_mut(token.index() as usize) {
            Some(Some(life)) if life.latest.kind == ORDINARY => {
                life.latest.add(moved);
                true
            }
            _ => false,
        }
    }

    /// The loop has visited the connection.
    pub(super) fn note(&mut self, token: Token, moved: Moved, seen: Seen) {
        if let Some(Some(life)) = self.lives.get_mut(token.index() as usize) {
            life.note(moved, seen, self.entries.get() - 1);
        }
    }

    /// The connection is gone. What is to be said of it, if it ended badly.
    #[must_use]
    pub(super) fn close(
        &mut self,
        token: Token,
        nanos: u64,
        reason: CloseReason,
    ) -> Option<BadEnd> {
        let place = self.lives.get_mut(token.index() as usize)?;
        let mut life = place.take_if(|life| life.token == token)?;
        life.end = Some((nanos, reason));
        let blame = life.blame(reason);
        let bad = (blame != Blame::Nobody).then(|| BadEnd {
            blame,
            reason,
            life: life.timeline(),
        });
        self.keep(life);
        bad
    }

    /// The life of a connection that goes to another loop.
    pub(super) fn take(&mut self, token: Token) -> Option<Box<Life>> {
        let place = self.lives.get_mut(token.index() as usize)?;
        place.take_if(|life| life.token == token)
    }

    /// The connection `token` has come from another loop, with its life and its number there.
    pub(super) fn adopt(&mut self, token: Token, mut life: Box<Life>) {
        life.token = token;
        self.begin(life);
    }

    pub(super) fn explain(&self, number: u64) -> Option<Timeline> {
        let mut all = self.all();
        all.find(|life| life.number == number).map(Life::timeline)
    }

    pub(super) fn timelines(&self) -> Vec<Timeline> {
        let mut lives: Vec<&Life> = self.all().collect();
        lives.sort_unstable_by_key(|life| life.number);
        lives.into_iter().map(Life::timeline).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Life> {
        let live = self.lives.iter().flatten();
        live.chain(&self.ended).map(|life| &**life)
    }
}

impl Life {
    fn note(&mut self, moved: Moved, seen: Seen, room: usize) {
        let kind = Kind {
            event: seen.event,
            state: seen.state,
            ending: seen.ending,
        };
        if self.latest.kind == kind && seen.answered.is_none() {
            return self.latest.add(moved);
        }
        let present = match self.noted {
            0 => (StateKind::Head, None),
            _ => (self.latest.kind.state, self.latest.kind.ending),
        };
        let is_same = present == (kind.state, kind.ending) && seen.answered.is_none();
        if !is_same || !moved.is_nothing() {
            self.push(moved, kind, seen.answered, room);
        }
    }

    fn push(&mut self, moved: Moved, kind: Kind, answered: Option<Status>, room: usize) {
        if self.noted > 0 {
            if self.before.len() >= room {
                self.before.pop_front();
            }
            if room > 0 {
                self.before.push_back(self.latest);
            }
        }
        self.noted += 1;
        self.latest = Entry {
            first: moved.nanos,
            kind,
            answered: answered.map_or(0, Status::code),
            ..NOTHING
        };
        self.latest.add(moved);
    }

    /// From the oldest entry that is left to the latest.
    fn kept(&self) -> impl Iterator<Item = &Entry> {
        let latest = Some(&self.latest).filter(|_| self.noted > 0);
        self.before.iter().chain(latest)
    }

    fn timeline(&self) -> Timeline {
        let records: Vec<Record> = self
            .kept()
            .map(|entry| entry.record(self.accepted))
            .collect();
        Timeline {
            connection: self.number,
            peer: self.peer.clone(),
            lost: self.noted - records.len() as u64,
            records,
            end: self
                .end
                .map(|(nanos, reason)| (since(self.accepted, nanos), reason)),
        }
    }

    fn blame(&self, reason: CloseReason) -> Blame {
        match reason {
            CloseReason::HandlerTimeout
            | CloseReason::HandlerPanicked
            | CloseReason::Unanswered
            | CloseReason::Abandoned
            | CloseReason::Aborted
            | CloseReason::Forced => Blame::Server,
            CloseReason::PeerReset if !self.was_busy() => Blame::Nobody,
            CloseReason::PeerReset
            | CloseReason::Truncated
            | CloseReason::NeverSpoke
            | CloseReason::HeadTimeout
            | CloseReason::BodyTimeout
            | CloseReason::BodyTooSlow
            | CloseReason::WriteTimeout
            | CloseReason::BadRequest
            | CloseReason::TooLarge
            | CloseReason::Unread => Blame::Client,
            _ => Blame::Nobody,
        }
    }

    /// Whether there was an exchange under way before the visit in which it ended.
    fn was_busy(&self) -> bool {
        let state = self.before.back().map(|entry| entry.kind.state);
        let is_between = matches!(state, None | Some(StateKind::Idle | StateKind::Head));
        self.latest.requests > 0 || !is_between
    }
}

/// Who is at fault when a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Blame {
    Server,
    Client,
    /// It is the ordinary end of a life, or one of many for the same cause, which are counted.
    Nobody,
}

/// What led to a bad end. Whoever hears of it is not ours: it is said when nothing is locked.
pub(super) struct BadEnd {
    blame: Blame,
    reason: CloseReason,
    life: Timeline,
}

impl BadEnd {
    pub(super) fn log(&self) {
        let BadEnd {
            blame,
            reason,
            life,
        } = self;
        let (connection, peer) = (life.connection, &life.peer);
        match blame {
            Blame::Server => {
                tracing::warn!(target: "trine::http", connection, %peer, %reason, %life, "a connection ended badly");
            }
            Blame::Client => {
                tracing::info!(target: "trine::http", connection, %peer, %reason, %life, "a connection ended badly");
            }
            Blame::Nobody => {}
        }
    }
}

impl Entry {
    #[inline]
    fn add(&mut self, moved: Moved) {
        self.last = moved.nanos;
        self.read += moved.read as u64;
        self.written += moved.written as u64;
        self.requests = self.requests.saturating_add(moved.requests);
    }

    fn record(&self, accepted: u64) -> Record {
        Record {
            first: since(accepted, self.first),
            last: since(accepted, self.last),
            event: self.kind.event,
            read: self.read,
            requests: self.requests,
            answered: Status::from_code(self.answered),
            written: self.written,
            state: self.kind.state,
            ending: self.kind.ending,
        }
    }
}

fn since(accepted: u64, nanos: u64) -> Duration {
    Duration::from_nanos(nanos.saturating_sub(accepted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_as_small_as_is_said() {
        let (entry, life, pointers) = (
            size_of::<Entry>(),
            size_of::<Life>(),
            2 * size_of::<usize>(),
        );
        assert_eq!(entry, 48);
        assert!(life - entry + pointers <= 200, "{life}");
    }
}
