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

/// What one visit of the loop to a connection did.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub event: Happened,
    /// The state afterwards.
    pub state: StateKind,
    pub ending: Option<CloseReason>,
    /// By the server itself.
    pub answered: Option<Status>,
    pub read: usize,
    pub written: usize,
    pub requests: u32,
}

impl Seen {
    /// Whether nothing was moved: the loop came for nothing, unless the state is another.
    fn is_empty(self) -> bool {
        self.read + self.written == 0 && self.requests == 0 && self.answered.is_none()
    }
}

/// What one connection has been through.
#[derive(Debug)]
struct Life {
    token: Token,
    number: u64,
    peer: Peer,
    /// When it was accepted, in nanoseconds.
    accepted: u64,
    /// When and why it ended.
    end: Option<(u64, CloseReason)>,
    entries: Box<[Entry]>,
    /// The place of the latest entry.
    latest: usize,
    /// How many there were.
    noted: u64,
}

/// A visit, or several that were alike. 32 bytes; counts stop at the most they can hold.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The time of the first visit, in nanoseconds.
    first: u64,
    last: u64,
    read: u32,
    written: u32,
    requests: u16,
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
        let entries = match self.ended.len() >= ENDED_MAX {
            true => self.ended.pop_front().map(|life| life.entries),
            false => None,
        };
        let entries = entries.unwrap_or_else(|| vec![NOTHING; self.entries.get()].into());
        let life = Box::new(Life::new(token, (number, peer), nanos, entries));
        let place = token.index() as usize;
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

    /// The loop has visited the connection.
    #[inline]
    pub(super) fn note(&mut self, token: Token, nanos: u64, seen: Seen) {
        if let Some(Some(life)) = self.lives.get_mut(token.index() as usize) {
            life.note(nanos, seen);
        }
    }

    /// The connection is gone.
    pub(super) fn close(&mut self, token: Token, nanos: u64, reason: CloseReason) {
        let place = self.lives.get_mut(token.index() as usize);
        let life = place.and_then(|place| place.take_if(|life| life.token == token));
        let Some(mut life) = life else {
            return;
        };
        life.end = Some((nanos, reason));
        life.log(reason);
        self.keep(life);
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
    fn new(
        token: Token,
        (number, peer): (u64, Peer),
        accepted: u64,
        entries: Box<[Entry]>,
    ) -> Life {
        Life {
            token,
            number,
            peer,
            accepted,
            end: None,
            entries,
            latest: 0,
            noted: 0,
        }
    }

    #[inline]
    fn note(&mut self, nanos: u64, seen: Seen) {
        let kind = Kind {
            event: seen.event,
            state: seen.state,
            ending: seen.ending,
        };
        let latest = &mut self.entries[self.latest];
        if latest.kind == kind && seen.answered.is_none() {
            return latest.add(nanos, seen);
        }
        self.push(nanos, kind, seen);
    }

    #[inline(never)]
    fn push(&mut self, nanos: u64, kind: Kind, seen: Seen) {
        let before = self.entries[self.latest].kind;
        let is_first = self.noted == 0;
        let is_same = match is_first {
            true => kind.state == StateKind::Head && kind.ending.is_none(),
            false => (kind.state, kind.ending) == (before.state, before.ending),
        };
        if is_same && seen.is_empty() {
            return;
        }
        if !is_first {
            self.latest = (self.latest + 1) % self.entries.len();
        }
        self.noted += 1;
        let entry = &mut self.entries[self.latest];
        *entry = Entry {
            first: nanos,
            kind,
            answered: seen.answered.map_or(0, Status::code),
            ..NOTHING
        };
        entry.add(nanos, seen);
    }

    /// From the oldest entry that is left to the latest.
    fn kept(&self) -> impl Iterator<Item = &Entry> {
        let len = self.entries.len();
        let kept = usize::try_from(self.noted).map_or(len, |noted| noted.min(len));
        let oldest = self.latest + len + 1 - kept;
        (oldest..oldest + kept).map(move |place| &self.entries[place % len])
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

    /// Says what led to a bad end.
    fn log(&self, reason: CloseReason) {
        let (connection, peer) = (self.number, &self.peer);
        match self.blame(reason) {
            Blame::Server => {
                let life = self.timeline();
                tracing::warn!(target: "trine::http", connection, %peer, %reason, %life, "a connection ended badly");
            }
            Blame::Client => {
                let life = self.timeline();
                tracing::info!(target: "trine::http", connection, %peer, %reason, %life, "a connection ended badly");
            }
            Blame::Nobody => {}
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
        let kept: Vec<&Entry> = self.kept().collect();
        let (latest, before) = match kept[..] {
            [.., before, latest] => (latest, before.kind.state),
            [latest] => (latest, StateKind::Head),
            [] => return false,
        };
        latest.requests > 0 || !matches!(before, StateKind::Idle | StateKind::Head)
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

impl Entry {
    #[inline]
    fn add(&mut self, nanos: u64, seen: Seen) {
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        self.last = nanos;
        self.read = self.read.saturating_add(count(seen.read));
        self.written = self.written.saturating_add(count(seen.written));
        let requests = u16::try_from(seen.requests).unwrap_or(u16::MAX);
        self.requests = self.requests.saturating_add(requests);
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
