//! What may go wrong in a simulated machine, and how often.

use std::time::Duration;

use super::dice::Dice;

/// How often the machine does what machines may do. Each number is a probability, from 0 to 1, for
/// each time that it could happen.
///
/// None of these breaks a promise of the kernel: whoever reads until it would block and keeps what
/// was not written loses nothing to them, except by `resets`, `half_closes`, `aborted_accepts`,
/// `reprieves`, and `exhaustion`, for which a server closes who is idle: they end connections; and by
/// those of threads and disks, as each says.
#[derive(Clone, PartialEq, Debug)]
pub struct Faults {
    /// Bytes of a client arrive in several parts, which may break anywhere.
    pub split_arrivals: f64,
    /// A connection has small buffers: up to 4 KiB instead of 64.
    pub narrow: f64,
    /// A read gives less than there is; the rest is announced anew.
    pub short_reads: f64,
    /// A write takes less than there is room for.
    pub short_writes: f64,
    /// A read or write says that it would block (EAGAIN), and is announced later.
    pub would_block: f64,
    /// A call is interrupted by a signal (EINTR).
    pub interrupts: f64,
    /// At a read or write, the connection turns out to be reset.
    pub resets: f64,
    /// When a client sends something, that was the last it sends.
    pub half_closes: f64,
    /// A wait reports somebody for whom nothing has come.
    pub spurious: f64,
    /// A wait reports somebody twice.
    pub duplicates: f64,
    /// An event is reported in a later wait.
    pub delays: f64,
    /// The events of a wait come in any order.
    pub reorders: f64,
    /// A wait reports somebody who is gone.
    pub stale: f64,
    /// At an accept, descriptors are out (EMFILE) for up to a second.
    pub exhaustion: f64,
    /// While they are, one comes free for a moment; it may serve to turn a client away.
    pub reprieves: f64,
    /// A connection fails before it is accepted (ECONNABORTED).
    pub aborted_accepts: f64,
    /// During a call of the kernel, time passes: the process was stopped, or its disk was slow.
    pub stalls: f64,
    /// How long that lasts at most.
    pub stall_max: Duration,
    /// A thread with work in hand has to wait for a processor before its next step.
    pub pauses: f64,
    /// How long that lasts at most.
    pub pause_max: Duration,
    /// A thread with work in hand never comes back to it, or not before this fault is off.
    pub vanishes: f64,
    /// A read or write of a disk fails (EIO); of a write, a part may have been done.
    pub disk_errors: f64,
    /// A sync of a disk fails (EIO): some of what was written since the last one is on the disk, and
    /// the rest never will be, whatever a later sync says.
    pub sync_errors: f64,
    /// At a write, a disk is full (ENOSPC) for up to a second.
    pub disk_full: f64,
    /// A read, write or sync of a disk takes its time.
    pub disk_delays: f64,
    /// How long that lasts at most.
    pub disk_delay_max: Duration,
    /// At a wait, the wall clock is set, by seconds to years, forwards or back.
    pub wall_steps: f64,
    /// A wait comes with signals: up to 30 of HUP, USR1, USR2, CHLD and WINCH.
    pub signals: f64,
}

impl Faults {
    /// A machine that does what everybody hopes.
    #[must_use]
    pub const fn none() -> Faults {
        Faults {
            split_arrivals: 0.0,
            narrow: 0.0,
            short_reads: 0.0,
            short_writes: 0.0,
            would_block: 0.0,
            interrupts: 0.0,
            resets: 0.0,
            half_closes: 0.0,
            spurious: 0.0,
            duplicates: 0.0,
            delays: 0.0,
            reorders: 0.0,
            stale: 0.0,
            exhaustion: 0.0,
            reprieves: 0.0,
            aborted_accepts: 0.0,
            stalls: 0.0,
            stall_max: Duration::ZERO,
            pauses: 0.0,
            pause_max: Duration::ZERO,
            vanishes: 0.0,
            disk_errors: 0.0,
            sync_errors: 0.0,
            disk_full: 0.0,
            disk_delays: 0.0,
            disk_delay_max: Duration::ZERO,
            wall_steps: 0.0,
            signals: 0.0,
        }
    }

    /// Everything that may go wrong, often.
    #[must_use]
    pub const fn hostile() -> Faults {
        Faults {
            split_arrivals: 0.3,
            narrow: 0.2,
            short_reads: 0.2,
            short_writes: 0.2,
            would_block: 0.1,
            interrupts: 0.05,
            resets: 0.001,
            half_closes: 0.01,
            spurious: 0.05,
            duplicates: 0.05,
            delays: 0.1,
            reorders: 0.5,
            stale: 0.05,
            exhaustion: 0.02,
            reprieves: 0.2,
            aborted_accepts: 0.02,
            stalls: 0.002,
            stall_max: Duration::from_millis(400),
            pauses: 0.1,
            pause_max: Duration::from_millis(200),
            vanishes: 0.001,
            disk_errors: 0.000_2,
            sync_errors: 0.001,
            disk_full: 0.001,
            disk_delays: 0.1,
            disk_delay_max: Duration::from_millis(20),
            wall_steps: 0.005,
            signals: 0.005,
        }
    }

    /// [`hostile`](Faults::hostile), but nothing that ends a connection, a thread or a write: every
    /// answer arrives.
    #[must_use]
    pub const fn lossless() -> Faults {
        Faults {
            resets: 0.0,
            half_closes: 0.0,
            aborted_accepts: 0.0,
            reprieves: 0.0,
            vanishes: 0.0,
            disk_errors: 0.0,
            sync_errors: 0.0,
            disk_full: 0.0,
            exhaustion: 0.0,
            ..Faults::hostile()
        }
    }

    /// Some of [`hostile`](Faults::hostile), which `seed` chooses. A machine on which everything
    /// goes wrong at once never gets far enough for what needs a long run of luck.
    #[must_use]
    pub fn swarm(seed: u64) -> Faults {
        let mut faults = Faults::hostile();
        let mut dice = Dice::new(seed ^ 0x5eed_0fa1);
        for chance in faults.chances() {
            *chance *= [0.0, 0.0, 0.3, 1.0, 2.0][dice.below(5)];
        }
        faults
    }

    fn chances(&mut self) -> [&mut f64; 25] {
        [
            &mut self.split_arrivals,
            &mut self.narrow,
            &mut self.short_reads,
            &mut self.short_writes,
            &mut self.would_block,
            &mut self.interrupts,
            &mut self.resets,
            &mut self.half_closes,
            &mut self.spurious,
            &mut self.duplicates,
            &mut self.delays,
            &mut self.reorders,
            &mut self.stale,
            &mut self.exhaustion,
            &mut self.reprieves,
            &mut self.aborted_accepts,
            &mut self.stalls,
            &mut self.pauses,
            &mut self.vanishes,
            &mut self.disk_errors,
            &mut self.sync_errors,
            &mut self.disk_full,
            &mut self.disk_delays,
            &mut self.wall_steps,
            &mut self.signals,
        ]
    }
}

impl Default for Faults {
    fn default() -> Faults {
        Faults::none()
    }
}
