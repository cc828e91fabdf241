//! An alarm on the wall clock: a timerfd on CLOCK_REALTIME, absolute, so the kernel itself moves its
//! expiry when the clock is set, forwards (at once, if the time is past now) or back.

use std::io;
use std::time::{Duration, SystemTime};

use timerfd::{ClockId, SetTimeFlags, TimerFd, TimerState};

use super::registry::Registry;
#[cfg(feature = "testing")]
use super::simulated::SimulatedSocket;

#[derive(Debug)]
pub(super) enum WallAlarm {
    Linux(TimerFd),
    #[cfg(feature = "testing")]
    Simulated(SimulatedSocket),
}

impl WallAlarm {
    pub(super) fn linux(time: SystemTime) -> io::Result<WallAlarm> {
        let since_epoch = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let mut alarm = TimerFd::new_custom(ClockId::Realtime, true, true)?;
        // Zero would disarm it; the kernel counts nanoseconds in an i64.
        let at = since_epoch.clamp(Duration::from_nanos(1), Duration::from_secs(9_000_000_000));
        alarm.set_state(TimerState::Oneshot(at), SetTimeFlags::Abstime);
        Ok(WallAlarm::Linux(alarm))
    }

    pub(super) fn register(&self, registry: &mut Registry<'_>) -> io::Result<()> {
        match self {
            WallAlarm::Linux(alarm) => registry.readable_descriptor(alarm),
            #[cfg(feature = "testing")]
            WallAlarm::Simulated(alarm) => registry.simulated(alarm),
        }
    }

    /// Whether it has rung since the last look.
    pub(super) fn has_rung(&mut self) -> bool {
        match self {
            WallAlarm::Linux(alarm) => alarm.read() > 0,
            #[cfg(feature = "testing")]
            WallAlarm::Simulated(alarm) => alarm.take_wall_alarm(),
        }
    }
}
