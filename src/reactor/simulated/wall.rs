//! The wall clock of a simulated machine, which may be set, and the alarms on it.

use std::time::{Duration, SystemTime};

use super::trace::Mark;
use super::world::{Owner, World};

const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// When a simulation begins, in nanoseconds since 1970: the date of the examples in RFC 9110.
pub(super) const EPOCH_NANOS: i64 = 784_111_777 * NANOS_PER_SECOND;
/// How far chance sets the clock at most: a little more than ten years.
const STEP_SECONDS_MAX: u32 = 400_000_000;
/// Between which times chance sets it, so that neither 1970 nor 2100 is passed.
const SECONDS: (i64, i64) = (1_000_000, 4_000_000_000);

/// A timer on the wall clock, as timerfd has them.
#[derive(Debug)]
pub(super) struct WallAlarm {
    /// When it rings, in nanoseconds since 1970; `None` when it has.
    pub(super) at: Option<i64>,
    /// Whether it has and nobody has looked.
    pub(super) has_rung: bool,
    /// `None` once it is closed.
    pub(super) number: Option<u32>,
}

impl World {
    /// Nanoseconds since 1970.
    fn wall_nanos(&self) -> i64 {
        let nanos = i64::try_from(self.nanos).unwrap_or(i64::MAX);
        nanos.saturating_add(self.wall_offset)
    }

    pub(super) fn wall(&self) -> SystemTime {
        let nanos = self.wall_nanos();
        let distance = Duration::from_nanos(nanos.unsigned_abs());
        match nanos >= 0 {
            true => SystemTime::UNIX_EPOCH + distance,
            false => SystemTime::UNIX_EPOCH - distance,
        }
    }

    /// Has the wall clock show `nanos` since 1970.
    pub(super) fn set_wall(&mut self, nanos: i64) {
        self.wall_offset += nanos.saturating_sub(self.wall_nanos());
        self.note(Mark::WallSet, nanos as u64, 0);
    }

    pub(super) fn set_wall_by_chance(&mut self) {
        if self.strikes(|faults| faults.wall_steps) {
            // As often by seconds as by years.
            let digits = self.dice.up_to(STEP_SECONDS_MAX.ilog10() as usize + 1) as u32;
            let most = 10_u32.saturating_pow(digits).min(STEP_SECONDS_MAX);
            let seconds = self.dice.up_to(most as usize) as i64;
            let now = self.wall_nanos();
            let to = match self.dice.below(2) {
                0 => now / NANOS_PER_SECOND + seconds,
                _ => now / NANOS_PER_SECOND - seconds,
            };
            let to = to.clamp(SECONDS.0, SECONDS.1) * NANOS_PER_SECOND;
            self.set_wall(to + now.rem_euclid(NANOS_PER_SECOND));
        }
    }

    /// An alarm at a time of the wall clock; the number of its descriptor.
    pub(super) fn set_wall_alarm(&mut self, at: SystemTime) -> u32 {
        let since = at
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let index = self.alarms.len();
        let number = self.open(Owner::Alarm(index));
        self.alarms.push(WallAlarm {
            at: Some(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)),
            has_rung: false,
            number: Some(number),
        });
        number
    }

    /// When the next of them rings, if the wall clock is not set before.
    pub(super) fn next_wall_alarm(&self) -> u64 {
        let armed = self.alarms.iter().filter(|alarm| alarm.number.is_some());
        let at = armed.filter_map(|alarm| alarm.at).min();
        let at = at.map(|at| at.saturating_sub(self.wall_offset));
        at.map_or(u64::MAX, |at| u64::try_from(at).unwrap_or(0))
    }

    pub(super) fn ring_wall_alarms(&mut self) {
        let now = self.wall_nanos();
        for index in 0..self.alarms.len() {
            let alarm = &mut self.alarms[index];
            if let (Some(at), Some(number)) = (alarm.at, alarm.number)
                && at <= now
            {
                alarm.at = None;
                alarm.has_rung = true;
                self.note(Mark::WallAlarm, index as u64, 0);
                self.announce(number);
            }
        }
    }

    /// Whether it has rung since the last look.
    pub(super) fn take_wall_alarm(&mut self, number: u32) -> bool {
        match self.files[number as usize].owner {
            Owner::Alarm(index) => std::mem::take(&mut self.alarms[index].has_rung),
            _ => false,
        }
    }
}
