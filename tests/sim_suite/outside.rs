//! What comes to a program from outside its connections: signals, and changes of the wall clock.

use std::time::{Duration, SystemTime};

use trine::testing::{Answer, Sim};
use trine::{Signal, Sources};

use super::run::Run;
use super::service::Model;

/// Those that the program counts.
const COUNTED: [Signal; 3] = [Signal::HUP, Signal::USR1, Signal::USR2];
/// How far in the future of the wall clock the alarm is set at most, in seconds.
const ALARM_SECONDS: usize = 100_000;

/// Has the program count signals, and set an alarm on the wall clock: when it is to ring.
pub fn listen(sim: &mut Sim<Model>) -> SystemTime {
    let seconds = sim.dice().up_to(ALARM_SECONDS) as u64;
    let at = sim.wall_clock() + Duration::from_secs(seconds);
    sim.with(|events, _| {
        let counted = events.signals(COUNTED, |model: &mut Model, event, _| {
            *model.signals.entry(event.signal.number()).or_default() += 1;
        });
        counted.expect("these can be caught");
        let set = events.at(at, |model: &mut Model, _| model.has_rung = true);
        set.expect("a simulated alarm can be set");
    });
    at
}

impl Run {
    /// Many signals at once, of one kind: the program is told once at least.
    pub fn storm(&mut self) {
        if self.sim.outcome().is_some() {
            return;
        }
        let signal = COUNTED[self.dice.below(COUNTED.len())];
        let count = |run: &mut Run| {
            let count = |model: &mut Model| model.signals.get(&signal.number()).copied();
            run.sim.with(|_, model| count(model)).unwrap_or_default()
        };
        let before = count(self);
        for _ in 0..self.dice.up_to(100) {
            self.sim.signal(signal);
        }
        self.sim.turn();
        let is_over = self.sim.outcome().is_some(); // before it could look
        assert!(is_over || count(self) > before, "{signal:?} was lost");
    }

    /// The alarm rings no sooner than the wall clock shows its time, as far as that only runs.
    pub fn judge_alarm(&mut self) {
        let has_rung = self.sim.with(|_, model| model.has_rung);
        let is_set = self.faults.wall_steps > 0.0;
        let is_due = self.sim.wall_clock() >= self.alarm;
        assert!(!has_rung || is_due || is_set, "the alarm has rung too soon");
    }

    /// With the faults off, the clock is set, and what goes by it follows.
    pub fn set_the_clock(&mut self) {
        if self.drains {
            return;
        }
        let has_rung = self.sim.with(|_, model| model.has_rung);
        let far = Duration::from_secs(self.dice.up_to(100_000_000) as u64);
        self.sim.set_wall_clock(self.alarm - far);
        self.sim.advance(Duration::from_secs(1));
        let has_rung_since = self.sim.with(|_, model| model.has_rung);
        assert_eq!(
            has_rung, has_rung_since,
            "the alarm rings when the clock goes back"
        );
        self.sim.set_wall_clock(self.alarm + far);
        self.sim.advance(Duration::from_secs(1));
        assert!(
            self.sim.with(|_, model| model.has_rung),
            "the alarm never rings"
        );
    }
}

/// Whether the date of `answer` is what the clock of `sim` shows, as it was within the last `lately`.
pub fn is_dated(answer: &Answer, sim: &Sim<Model>, lately: Duration) -> bool {
    let date = answer.field("date").map(String::from_utf8_lossy);
    let date = date.and_then(|date| httpdate::parse_http_date(&date).ok());
    let now = sim.wall_clock();
    date.is_some_and(|date| date <= now && date + lately + Duration::from_secs(1) >= now)
}
