//! On which rung of the ladder a server is: a pure state machine, fed with how much is left.
//!
//! ```text
//!             pressure at a threshold                at a higher one, at once
//!   Normal ─────────────────────────> a rung ────────────────────────────────> higher rung
//!     ^                                 │  ^                                       │
//!     └── gap below, and stayed ────────┘  └── gap below, and stayed: one down ────┘
//! ```
//!
//! Up at once and as far as needed; down one rung at a time, each after a stay and only when the
//! pressure is well below what led there. So a pressure that swings about a threshold enters a rung
//! once.

use super::ladder::{Ladder, Rung};
use crate::time::{Span, Tick};

/// How much of what there is at most is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pressure {
    /// In thousandths of the bytes there may be.
    pub memory: u32,
    /// In thousandths of the connections there may be.
    pub connections: u32,
    pub descriptors: Want,
    pub places: Want,
}

/// Whether a client came for whom there was no descriptor, or no place among the connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Want {
    #[default]
    None,
    /// One did, a moment ago.
    Somebody,
    /// And no connection is idle that could make room.
    NobodyIdle,
}

/// In thousandths: all there is.
pub const ALL: u32 = 1_000;

impl Pressure {
    /// What counts for `rung`. Connections count where they can be had: closing those that do nothing
    /// makes room. A request on one that is there takes no other, so it need not be refused for
    /// them; clients beyond the limit are the listener's business.
    pub fn on(&self, rung: Rung) -> u32 {
        let is_wanted = self.descriptors != Want::None || self.places != Want::None;
        match rung {
            Rung::Normal | Rung::ShortenIdle | Rung::CloseIdle if is_wanted => self.memory.max(ALL),
            Rung::Normal | Rung::ShortenIdle => self.memory.max(self.connections),
            Rung::NoKeepAlive if self.descriptors == Want::NobodyIdle => self.memory.max(ALL),
            Rung::CloseIdle | Rung::NoKeepAlive | Rung::Refuse | Rung::PauseAccepting => {
                self.memory
            }
        }
    }

    /// What there is least of.
    pub fn cause(&self) -> &'static str {
        match (self.descriptors, self.places) {
            (Want::None, Want::None) if self.memory >= self.connections => "memory",
            (Want::None, _) => "connections",
            _ => "descriptors",
        }
    }
}

/// How many of a whole `count` are, in thousandths; nothing has a limit of zero.
pub fn share(count: usize, whole: usize) -> u32 {
    let thousandths = (count as u128 * u128::from(ALL)) / (whole.max(1) as u128);
    u32::try_from(thousandths).unwrap_or(u32::MAX)
}

/// How long a client counts that found no room: a listener tries ten times in it.
const WANTED: Span = Span::from_secs(1);

/// The rung a server is on, and what it has been through.
#[derive(Debug)]
pub struct Overload {
    ladder: Ladder,
    rung: Rung,
    /// When the rung was entered.
    since: Tick,
    descriptors: Wanted,
    places: Wanted,
    entries: [u64; Rung::ALL.len()],
    spent: [Span; Rung::ALL.len()],
}

/// What a client wanted, until so long after it came.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    want: Want,
    until: Tick,
    /// Whether a client has come since the last pass began.
    is_new: bool,
}

/// From one rung to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    pub from: Rung,
    pub to: Rung,
}

impl Overload {
    pub fn new(ladder: Ladder) -> Overload {
        Overload {
            ladder,
            rung: Rung::Normal,
            since: Tick::ZERO,
            descriptors: Wanted::NOTHING,
            places: Wanted::NOTHING,
            entries: [0; Rung::ALL.len()],
            spent: [Span::ZERO; Rung::ALL.len()],
        }
    }

    #[inline]
    pub fn rung(&self) -> Rung {
        self.rung
    }

    /// Is on the rung that somebody else has found.
    #[inline]
    pub fn follow(&mut self, rung: Rung) {
        self.rung = rung;
    }

    pub fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    /// How often `rung` was entered, from below.
    pub fn entries(&self, rung: Rung) -> u64 {
        self.entries[rung.index()]
    }

    /// How long the server was on `rung`, until `now`. Not counted for [`Rung::Normal`].
    pub fn spent(&self, rung: Rung, now: Tick) -> Span {
        let before = self.spent[rung.index()];
        match self.rung == rung && rung != Rung::Normal {
            true => plus(before, now.since(self.since)),
            false => before,
        }
    }

    /// `accept` got no descriptor.
    pub fn handle_no_descriptor(&mut self, now: Tick) {
        self.descriptors.comes(now);
    }

    /// A client came, and there were as many connections as there may be.
    pub fn handle_no_place(&mut self, now: Tick) {
        self.places.comes(now);
    }

    /// Whether a client for whom there is no room is to wait: some may be had from somebody idle.
    pub fn may_make_room(&self) -> bool {
        self.ladder.threshold(Rung::CloseIdle) <= ALL
            && self.places.want != Want::NobodyIdle
            && self.descriptors.want != Want::NobodyIdle
    }

    /// Whether room is to be made now, with so much of the memory in use: for it, or for a client that has
    /// come since the last pass. One that came before has had its turn.
    pub fn wants_room(&self, memory: u32) -> bool {
        let somebody_came = self.descriptors.is_new || self.places.is_new;
        somebody_came || memory >= self.ladder.threshold(Rung::CloseIdle)
    }

    /// All connections are going to be looked at.
    pub fn begin_pass(&mut self) {
        self.descriptors.is_new = false;
        self.places.is_new = false;
    }

    /// All connections were looked at, to make room, and so many of them gave up their places.
    pub fn handle_pass(&mut self, evicted: usize) {
        for wanted in [&mut self.descriptors, &mut self.places] {
            wanted.want = match (wanted.want, evicted) {
                (Want::None, _) => Want::None,
                (_, 0) => Want::NobodyIdle,
                _ => Want::Somebody,
            };
        }
    }

    /// The pressure now, with so much of the memory and of the connections in use, in thousandths.
    pub fn pressure(&self, memory: u32, connections: u32) -> Pressure {
        Pressure {
            memory,
            connections,
            descriptors: self.descriptors.want,
            places: self.places.want,
        }
    }

    /// Goes to the rung that the pressure calls for, with so much in use.
    pub fn handle_shares(&mut self, memory: u32, connections: u32, now: Tick) -> Option<Change> {
        self.descriptors.passes(now);
        self.places.passes(now);
        let pressure = self.pressure(memory, connections);
        let called_for = self.ladder.rung(&pressure, 0);
        if called_for > self.rung {
            return Some(self.go(called_for, now));
        }
        let has_stayed = now >= self.since.after(self.ladder.stay);
        let is_held = self.ladder.rung(&pressure, self.ladder.gap) >= self.rung;
        match self.rung {
            Rung::Normal => None,
            rung if has_stayed && !is_held => Some(self.go(rung.below(), now)),
            _ => None,
        }
    }

    /// Back to normal, whatever the pressure.
    pub fn handle_drain(&mut self, now: Tick) {
        (self.descriptors, self.places) = (Wanted::NOTHING, Wanted::NOTHING);
        if self.rung != Rung::Normal {
            self.go(Rung::Normal, now);
        }
    }

    fn go(&mut self, to: Rung, now: Tick) -> Change {
        let from = self.rung;
        if from != Rung::Normal {
            let spent = &mut self.spent[from.index()];
            *spent = plus(*spent, now.since(self.since));
        }
        for rung in Rung::ALL {
            self.entries[rung.index()] += u64::from(rung > from && rung <= to);
        }
        (self.rung, self.since) = (to, now);
        Change { from, to }
    }
}

impl Wanted {
    const NOTHING: Wanted = Wanted {
        want: Want::None,
        until: Tick::ZERO,
        is_new: false,
    };

    fn comes(&mut self, now: Tick) {
        self.until = now.after(WANTED);
        self.is_new = true;
        if self.want == Want::None {
            self.want = Want::Somebody;
        }
    }

    fn passes(&mut self, now: Tick) {
        if now >= self.until {
            self.want = Want::None;
        }
    }
}

fn plus(span: Span, more: Span) -> Span {
    Span::from_millis(span.as_millis().saturating_add(more.as_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Tick {
        Tick(millis)
    }

    /// The rung after each of these shares of the memory, so many milliseconds apart.
    fn rungs(overload: &mut Overload, from: u64, step: u64, shares: &[u32]) -> Vec<Rung> {
        let mut now = from;
        let each = shares.iter().map(|memory| {
            overload.handle_shares(*memory, 0, at(now));
            now += step;
            overload.rung()
        });
        each.collect()
    }

    #[test]
    fn pressure_leads_up_at_once_and_down_one_rung_at_a_time() {
        use Rung::{CloseIdle, NoKeepAlive, Normal, PauseAccepting, Refuse, ShortenIdle};
        let mut overload = Overload::new(Ladder::default());
        let up = rungs(&mut overload, 0, 1, &[799, 800, 900, 950, 980, 1_000]);
        let all = [
            Normal,
            ShortenIdle,
            CloseIdle,
            NoKeepAlive,
            Refuse,
            PauseAccepting,
        ];
        assert_eq!(up, all);
        let down = rungs(&mut overload, 1_005, 1_000, &[0; 6]);
        assert_eq!(
            down,
            [Refuse, NoKeepAlive, CloseIdle, ShortenIdle, Normal, Normal]
        );
        assert_eq!(rungs(&mut overload, 9_000, 1, &[5_000]), [PauseAccepting]);
        assert_eq!(
            Rung::ALL.map(|rung| overload.entries(rung)),
            [0, 2, 2, 2, 2, 2]
        );
        assert_eq!(overload.spent(Refuse, at(9_000)), Span::from_millis(1_001));
        assert_eq!(
            overload.spent(PauseAccepting, at(9_500)),
            Span::from_millis(1_500)
        );
    }

    #[test]
    fn pressure_that_swings_about_a_threshold_enters_a_rung_once() {
        let mut overload = Overload::new(Ladder::default());
        let swings: Vec<u32> = (0..100).map(|n| 850 + 100 * (n % 2)).collect();
        rungs(&mut overload, 0, 2_000, &swings);
        assert_eq!(overload.entries(Rung::NoKeepAlive), 1);
        // Nor does one that falls far, but not for as long as a stay.
        let swings: Vec<u32> = (0..100).map(|n| 950 * (n % 2)).collect();
        rungs(&mut overload, 300_000, 499, &swings);
        assert_eq!(overload.entries(Rung::ShortenIdle), 1);
    }

    #[test]
    fn connections_lead_to_the_first_rung_and_a_client_without_a_place_to_the_second() {
        let mut overload = Overload::new(Ladder::default());
        overload.handle_shares(0, 1_000, at(0));
        assert_eq!(overload.rung(), Rung::ShortenIdle);
        overload.handle_no_place(at(1));
        overload.handle_shares(0, 1_000, at(1));
        assert_eq!(
            (overload.rung(), overload.may_make_room()),
            (Rung::CloseIdle, true)
        );
        overload.handle_pass(0);
        overload.handle_shares(0, 1_000, at(2));
        assert_eq!(
            (overload.rung(), overload.may_make_room()),
            (Rung::CloseIdle, false)
        );
        overload.handle_pass(1);
        assert!(overload.may_make_room());
        overload.handle_shares(0, 0, at(1_001));
        assert_eq!(overload.rung(), Rung::ShortenIdle);
    }

    #[test]
    fn without_descriptors_and_with_nobody_idle_answers_are_the_last_and_no_request_is_refused() {
        let mut overload = Overload::new(Ladder::default());
        overload.handle_no_descriptor(at(0));
        overload.handle_shares(0, 0, at(0));
        assert_eq!(overload.rung(), Rung::CloseIdle);
        overload.handle_pass(0);
        overload.handle_shares(0, 0, at(0));
        assert_eq!(overload.rung(), Rung::NoKeepAlive);
    }

    #[test]
    fn a_ladder_that_is_off_is_never_entered() {
        let mut overload = Overload::new(Ladder::off());
        overload.handle_no_descriptor(at(0));
        overload.handle_no_place(at(0));
        overload.handle_shares(u32::MAX, 1_000, at(0));
        assert_eq!(
            (overload.rung(), overload.may_make_room()),
            (Rung::Normal, false)
        );
    }

    #[test]
    fn the_idle_time_shrinks_in_proportion_to_what_is_left() {
        let (ladder, configured) = (Ladder::default(), Span::from_secs(75));
        let span = |memory| {
            let overload = Overload::new(ladder);
            ladder.idle_span(configured, &overload.pressure(memory, 0))
        };
        let seconds = [0, 800, 850, 900, 2_000].map(|memory| span(memory).as_millis() / 1_000);
        assert_eq!(seconds, [75, 75, 40, 5, 5]);
        let short = ladder.idle_span(Span::from_secs(2), &Pressure::default());
        assert_eq!(short, Span::from_secs(2));
    }
}
