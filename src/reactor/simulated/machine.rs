//! What a simulated machine has besides its network: threads, disks, a wall clock.

use std::time::SystemTime;

use super::dice::Dice;
use super::faults::Faults;
use super::trace::Mark;
use super::{Network, SimulatedSocket};

/// For threads, whose steps are taken between the turns of the loop.
impl Network {
    pub(crate) fn now_nanos(&self) -> u64 {
        self.lock().nanos
    }

    pub(crate) fn faults<R>(&self, f: impl FnOnce(&Faults) -> R) -> R {
        f(&self.lock().faults)
    }

    /// When the next thread takes its next step: the loop sleeps no longer.
    pub(crate) fn set_next_step(&self, nanos: Option<u64>) {
        self.lock().next_step = nanos.unwrap_or(u64::MAX);
    }

    /// What disks have cost since the last call, in nanoseconds.
    pub(crate) fn take_io_nanos(&self) -> u64 {
        std::mem::take(&mut self.lock().io_nanos)
    }
}

/// For disks.
impl Network {
    /// Throws for a fault.
    pub(crate) fn strikes(&self, chance: impl Fn(&Faults) -> f64) -> bool {
        self.lock().strikes(chance)
    }

    /// Has chance decide.
    pub(crate) fn throw<R>(&self, f: impl FnOnce(&mut Dice) -> R) -> R {
        f(&mut self.lock().dice)
    }

    /// One I/O of a disk begins: it is noted, and takes its time.
    pub(crate) fn begin_io(&self, kind: u64, offset: u64, bytes: &[u8]) {
        let world = &mut *self.lock();
        let at = world.nanos;
        world
            .trace
            .note_bytes(Mark::Disk, at, kind ^ offset << 3, bytes);
        if world.strikes(|faults| faults.disk_delays) {
            let most = world.faults.disk_delay_max.as_nanos() as usize; // milliseconds, in sense
            world.io_nanos += world.dice.below(most) as u64;
        }
    }
}

/// The wall clock.
impl Network {
    pub(crate) fn wall_time(&self) -> SystemTime {
        self.lock().wall()
    }

    /// Has the wall clock show `time`, as an administrator does, or NTP.
    pub(crate) fn set_wall(&self, time: SystemTime) {
        let nanos = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX),
        };
        self.lock().set_wall(nanos);
    }

    pub(in super::super) fn wall_alarm(&self, at: SystemTime) -> SimulatedSocket {
        SimulatedSocket {
            network: self.clone(),
            number: self.lock().set_wall_alarm(at),
        }
    }
}

impl SimulatedSocket {
    /// Whether an alarm on the wall clock has rung since the last look.
    pub(in super::super) fn take_wall_alarm(&self) -> bool {
        self.network.lock().take_wall_alarm(self.number)
    }
}
