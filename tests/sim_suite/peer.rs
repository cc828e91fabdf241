//! One client, with its manners, and what it may hold against the server.

use std::collections::VecDeque;
use std::time::Duration;

use trine::http::Method;
use trine::testing::{Answer, Client, Dice, Sim};

use super::outside::is_dated;
use super::run::SOON;
use super::service::{Asked, Kind, Model};

/// How a client behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// Sends whole requests, in pieces, and reads.
    Good,
    /// The same, but takes what comes when it likes.
    ReadsSlowly,
    /// Says nothing.
    Silent,
    /// Sends a head that never ends.
    Drips,
    /// Sends what is no request behind some that are.
    Garbles,
    /// Goes away in the middle.
    Leaves,
}

pub struct Peer {
    pub client: Client<Model>,
    pub manner: Manner,
    /// Octets still to be sent, in pieces.
    pieces: VecDeque<Vec<u8>>,
    is_planned_out: bool,
    /// Requests whose answers have not come.
    pub asked: VecDeque<Asked>,
    /// Those before this one were sent whole.
    pub answered: usize,
    /// In waits of the loop: when it last sent or got something.
    progress: u64,
    /// In time: the same.
    progress_at: Duration,
    sent_at: Duration,
    /// Nothing more that the server does to it is wrong, except a wrong answer.
    pub is_excused: bool,
    /// The loop drains: only the answer to what the service had in hand is owed.
    pub drain_owes: Option<usize>,
    /// It got a refusal or a last answer, after which nothing may come.
    pub was_refused: bool,
    pub has_left: bool,
    /// The number of its last request, which was sent just now.
    farewell: Option<u32>,
    /// How many requests a connection may make.
    cap: usize,
}

/// Waits of the loop within which a whole request is answered that nobody else is needed for.
const WAITS_MAX: u64 = 120;

impl Peer {
    pub fn new(mut client: Client<Model>, manner: Manner, cap: usize) -> Peer {
        if manner == Manner::ReadsSlowly {
            client.pause();
        }
        Peer {
            client,
            manner,
            pieces: VecDeque::new(),
            is_planned_out: manner == Manner::Silent,
            asked: VecDeque::new(),
            answered: 0,
            progress: 0,
            progress_at: Duration::ZERO,
            sent_at: Duration::ZERO,
            is_excused: false,
            drain_owes: None,
            was_refused: false,
            has_left: false,
            farewell: None,
            cap,
        }
    }

    /// Plans some more requests, cut into pieces anywhere.
    pub fn plan(&mut self, next_number: &mut u32, dice: &mut Dice) {
        if self.has_left || self.is_planned_out || self.asked.len() > 12 {
            return;
        }
        // Nothing is asked behind what is no request.
        self.is_planned_out = matches!(self.manner, Manner::Garbles | Manner::Drips);
        let mut octets = Vec::new();
        // Sometimes more at once than a connection gets in one turn.
        let is_burst = dice.below(16) == 0;
        let count = if is_burst { 40 } else { dice.up_to(6) };
        for _ in 0..count {
            *next_number += 1;
            let (number, kind) = (*next_number, Kind::Text);
            let asked = match is_burst {
                true => Asked { number, kind },
                false => Asked::random(number, dice),
            };
            octets.extend(asked.octets());
            self.asked.push_back(asked);
        }
        match self.manner {
            Manner::Drips => {
                self.asked.clear();
                octets = b"GET / HTTP/1.1\r\nhost: ".to_vec();
                octets.extend([b'x'; 30]);
            }
            Manner::Garbles => {
                let garbage: [&[u8]; 5] = [
                    b"\0\0\0\0\r\n\r\n",
                    b"GET\r\n\r\n",
                    b"GET / HTTP/3.0\r\nhost: x\r\n\r\n",
                    b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
                    b"GET / HTTP/1.1\r\n\r\n",
                ];
                octets.extend(garbage[dice.below(garbage.len())]);
            }
            _ => {}
        }
        while !octets.is_empty() {
            let most = if is_burst {
                20_000
            } else {
                [3, 40, 400, 20_000][dice.below(4)]
            };
            let len = dice.up_to(most).min(octets.len());
            self.pieces.push_back(octets.drain(..len).collect());
        }
    }

    /// Sends the next piece, or all.
    pub fn send(&mut self, all: bool, sim: &Sim<Model>) {
        let ends = self.client.ends();
        if self.has_left || !ends.is_open {
            return;
        }
        while let Some(piece) = self.pieces.pop_front() {
            self.client.send(&piece);
            self.note_progress(sim);
            self.sent_at = sim.elapsed();
            if !all {
                return;
            }
        }
    }

    /// Whether it has begun something that a deadline of the server may cut.
    pub fn is_midway(&self) -> bool {
        !self.pieces.is_empty() && !matches!(self.manner, Manner::Drips | Manner::Leaves)
    }

    pub fn stands_still_since(&self) -> Duration {
        self.progress_at
    }

    fn note_progress(&mut self, sim: &Sim<Model>) {
        self.progress = sim.step();
        self.progress_at = sim.elapsed();
    }

    /// Looks at what has come.
    pub fn look(&mut self, sim: &Sim<Model>) {
        loop {
            let method = match self.asked.front() {
                Some(Asked {
                    kind: Kind::Head, ..
                }) => Method::Head,
                _ => Method::Get,
            };
            if self.has_left {
                return; // what is left of it may be cut anywhere
            }
            let Some(answer) = self.client.next_answer(method) else {
                break;
            };
            self.note_progress(sim);
            assert!(!self.was_refused, "behind a refusal came {answer:?}");
            let front = self.asked.front();
            if front.is_some_and(|asked| asked.is_answered_by(&answer)) {
                if front.map(|asked| asked.number) == self.farewell {
                    assert!(is_dated(&answer, sim, SOON), "{answer:?} is not of today");
                }
                self.answered += 1;
                self.was_refused = self.is_told_the_end(&answer);
                self.asked.pop_front();
                self.drain_owes = self.drain_owes.map(|owes| owes.saturating_sub(1));
                continue;
            }
            self.was_refused = true;
            if answer.status() == 500 {
                let is_right = front.is_some_and(|front| front.is_given_up_by(&answer));
                assert!(is_right, "{answer:?} to {front:?}");
            }
            self.judge_refusal(answer.status(), front.copied());
        }
        self.judge(sim);
    }

    /// Whether `answer` says that it is the last, and rightly.
    fn is_told_the_end(&self, answer: &Answer) -> bool {
        let ends = answer.field("connection") == Some(b"close");
        let is_last = self.asked.front().map(|asked| asked.kind) == Some(Kind::Last);
        let may_end = self.is_excused || self.drain_owes.is_some() || self.answered == self.cap;
        assert!(
            ends || !(is_last || self.answered == self.cap),
            "it goes on: {answer:?}"
        );
        assert!(!ends || is_last || may_end, "it ends: {answer:?}");
        ends
    }

    /// Whether the server may refuse with `status`.
    fn judge_refusal(&self, status: u16, front: Option<Asked>) {
        let is_allowed = match status {
            503 => self.answered == 0 || self.is_excused,
            500 => front.is_some_and(Asked::is_answered_500),
            408 => matches!(self.manner, Manner::Drips | Manner::Leaves) || self.is_excused,
            400 | 501 | 505 => {
                self.manner == Manner::Drips
                    || (self.manner == Manner::Garbles && self.asked.is_empty())
                    || self.is_excused
                    || self.client.ends().was_struck // a body that ends early
            }
            _ => false,
        };
        let manner = self.manner;
        assert!(
            is_allowed,
            "{status} for a client that is {manner:?}, after {} answers, instead of one to {front:?}",
            self.answered
        );
    }

    fn judge(&mut self, sim: &Sim<Model>) {
        let ends = self.client.ends();
        let is_good = self.manner == Manner::Good && !self.is_excused && !self.was_refused;
        if !is_good || ends.was_struck || self.drain_owes.is_some() {
            return;
        }
        let is_owed = self.pieces.is_empty() && !self.asked.is_empty();
        if !ends.is_drained {
            self.progress = sim.step(); // a narrow network takes its time
        }
        if let Some(front) = self.asked.front().filter(|front| front.is_immediate())
            && is_owed
            && ends.is_open
            && ends.moments.accepted.is_some()
        {
            let waits = sim.step() - self.progress;
            assert!(
                waits < WAITS_MAX,
                "{front:?} was not answered in {waits} waits"
            );
        }
        // Out of descriptors, the listener turns clients away rather than let them wait.
        let moments = ends.moments;
        if moments.closed.is_some() && moments.closed == moments.accepted && self.answered == 0 {
            self.is_excused = true;
            return;
        }
        if !ends.is_open && !self.asked.is_empty() {
            let left = self.asked.front();
            let is_broken_off = left.is_some_and(|left| left.kind == Kind::PiecesBreak);
            assert!(
                is_broken_off || self.was_idle(),
                "closed after {} answers, with {left:?} unanswered: {ends:?}",
                self.answered
            );
            self.is_excused = true; // its request crossed the close of an idle connection
        }
    }

    /// Whether it was closed for being idle, and rightly: what it has sent since its last answer
    /// crossed the close.
    fn was_idle(&self) -> bool {
        let moments = self.client.ends().moments;
        let (Some(written), Some(closed)) = (moments.written, moments.closed) else {
            return false;
        };
        let (written, closed) = (Duration::from_nanos(written), Duration::from_nanos(closed));
        let has_crossed = closed.saturating_sub(self.sent_at) < Duration::from_secs(1);
        // Deadlines count from the beginning of a turn, which a stall may make long.
        closed - written >= Duration::from_secs(73) && (self.sent_at <= written || has_crossed)
    }

    /// What is known of it, for a test that fails.
    pub fn describe(&self) -> String {
        format!(
            "{:?}, with {} answers and waiting for {:?}: {:?}",
            self.manner,
            self.answered,
            self.asked.front(),
            self.client
        )
    }

    /// One more request, with the end of its stream at its heels.
    pub fn say_farewell(&mut self, number: u32) {
        let ends = self.client.ends();
        let is_at_rest = self.pieces.is_empty() && self.asked.is_empty();
        if is_at_rest && self.manner == Manner::Good && ends.is_open && !self.has_left {
            let kind = Kind::Text;
            self.farewell = Some(number);
            self.asked.push_back(Asked { number, kind });
            self.client.send(Asked { number, kind }.octets());
        }
        self.client.finish();
    }

    /// What is owed to it when everything has had its time.
    pub fn judge_at_the_end(&mut self, sim: &Sim<Model>) {
        self.look(sim);
        let ends = self.client.ends();
        let is_good = self.manner == Manner::Good && !self.is_excused && !self.was_refused;
        if !is_good || ends.was_struck {
            return;
        }
        let left = self.asked.front();
        match self.drain_owes {
            Some(owes) => assert_eq!(owes, 0, "the drain forgot {left:?}"),
            None => assert!(left.is_none(), "{left:?} was never answered: {ends:?}"),
        }
    }
}
