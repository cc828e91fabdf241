//! What may go wrong in a simulated machine, and how often.

use std::time::Duration;

use super::dice::Dice;

/// How often the machine does what machines may do. Each number is a probability, from 0 to 1, for
/// each time that it could happen.
///
/// None of these breaks a promise of the kernel: whoever reads until it would block and keeps what
/// was not written loses nothing to them, except by `resets`, `half_closes`, `aborted_accepts`,
/// `reprieves`, and `exhaustion`, for which a server closes who is idle: they end connections.
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
        }
    }

    /// [`hostile`](Faults::hostile), but nothing that ends a connection: every answer arrives.
    #[must_use]
    pub const fn lossless() -> Faults {
        Faults {
            resets: 0.0,
            half_closes: 0.0,
            aborted_accepts: 0.0,
            reprieves: 0.0,
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

    fn chances(&mut self) -> [&mut f64; 17] {
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
        ]
    }
}

impl Default for Faults {
    fn default() -> Faults {
        Faults::none()
    }
}
