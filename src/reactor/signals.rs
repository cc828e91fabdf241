//! Signals as events: the self-pipe trick, by `signal-hook-mio`.
//!
//! A handler that runs in signal context may do almost nothing. It sets a flag for its signal and
//! writes a byte into a pipe the loop watches; the loop then dispatches [`Event::Signal`] like
//! any other event, before I/O. A full pipe loses nothing, because the flags are what counts.
//! Equal signals that arrive before the loop looks are one event, as in the kernel; different
//! signals never merge.
//!
//! Beside the flag a second action of the same handler keeps who sent the signal. It is
//! registered first, so a flag that is set has its sender recorded.
//!
//! Several loops of one process may subscribe to the same signal; each gets it. A disposition,
//! once taken, is kept: dropping the loop does not bring back the default, so a signal that
//! arrives afterwards is ignored and does not kill a program on its way out.
//!
//! [`Event::Signal`]: super::Event::Signal

use std::fmt;
use std::io;

use signal_hook::consts::{FORBIDDEN, signal};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook_mio::v1_0::Signals;

use super::kernel::Kernel;
#[cfg(feature = "testing")]
use super::simulated::Network;
use crate::slab::Token;

/// A signal, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signal(i32);

impl Signal {
    /// Stop, politely (what service managers send).
    pub const TERM: Signal = Signal(signal::SIGTERM);
    /// Interrupt from the keyboard.
    pub const INT: Signal = Signal(signal::SIGINT);
    /// Quit from the keyboard.
    pub const QUIT: Signal = Signal(signal::SIGQUIT);
    /// By convention: read the configuration again.
    pub const HUP: Signal = Signal(signal::SIGHUP);
    /// For the program to define.
    pub const USR1: Signal = Signal(signal::SIGUSR1);
    /// For the program to define.
    pub const USR2: Signal = Signal(signal::SIGUSR2);
    /// A child stopped or ended. For one child, a child source is the better tool.
    pub const CHLD: Signal = Signal(signal::SIGCHLD);
    /// The terminal's size changed.
    pub const WINCH: Signal = Signal(signal::SIGWINCH);

    /// Signal number `number`, 1 to 64. Whether it can be caught is checked when it is
    /// subscribed to.
    #[must_use]
    pub const fn from_number(number: i32) -> Option<Signal> {
        if 1 <= number && number < NUMBERS as i32 {
            Some(Signal(number))
        } else {
            None
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Whether the kernel, or reason, forbids catching it:
    ///
    /// - KILL and STOP: the kernel allows no handler;
    /// - SEGV, BUS, ILL, FPE: the fault recurs as soon as the handler returns, and Rust has a
    ///   handler of its own for stack overflows, which puts the default back;
    /// - PIPE: the handler's own write, should it find the loop just gone, would cause it again,
    ///   for ever; and whoever writes learns of a broken pipe from the write;
    /// - 32 and 33: the threads of the C library use them among themselves.
    #[must_use]
    pub fn is_forbidden(self) -> bool {
        FORBIDDEN.contains(&self.0) || matches!(self.0, signal::SIGBUS | signal::SIGPIPE | 32 | 33)
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match signal_hook::low_level::signal_name(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

/// That a signal arrived, and from whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignalEvent {
    /// Which.
    pub signal: Signal,
    /// The process that sent it; `None` when the kernel did. Of several that sent it before the
    /// loop looked, the last; when there were more than five, the fifth.
    pub sender: Option<Sender>,
}

/// The process a signal came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sender {
    /// Its process id.
    pub process: i32,
    /// The user it runs as.
    pub user: u32,
}

/// One more than the highest signal number.
const NUMBERS: usize = 65;

/// Where signals come from.
enum Arrivals {
    Handlers {
        /// Flags and the self-pipe.
        flags: Signals,
        /// Who sent what, since the last look.
        origins: SignalsInfo<WithOrigin>,
    },
    #[cfg(feature = "testing")]
    Simulated(Network),
}

impl Arrivals {
    fn new(kernel: &Kernel) -> io::Result<Arrivals> {
        #[cfg(feature = "testing")]
        if let Kernel::Simulated(network) = kernel {
            return Ok(Arrivals::Simulated(network.clone()));
        }
        let none: [i32; 0] = [];
        let origins = SignalsInfo::with_exfiltrator(none, WithOrigin::default())?;
        let mut flags = Signals::new(none)?;
        kernel.register_signals(&mut flags)?;
        Ok(Arrivals::Handlers { flags, origins })
    }

    fn expect(&self, signal: Signal) -> io::Result<()> {
        match self {
            Arrivals::Handlers { flags, origins } => {
                origins.add_signal(signal.0)?; // first: see the module's header
                flags.add_signal(signal.0)
            }
            #[cfg(feature = "testing")]
            Arrivals::Simulated(network) => {
                network.expect_signal(signal.0);
                Ok(())
            }
        }
    }

    /// Marks in `set` which have arrived since the last look.
    fn look(&mut self, set: &mut [bool; NUMBERS]) {
        match self {
            Arrivals::Handlers { flags, .. } => {
                for number in flags.pending() {
                    set[number as usize] = true; // only numbers from_number let in are registered
                }
            }
            #[cfg(feature = "testing")]
            Arrivals::Simulated(network) => {
                for number in network.take_signals() {
                    set[number as usize] = true; // of a Signal
                }
            }
        }
    }

    fn note_senders(&mut self, senders: &mut [Option<Sender>; NUMBERS]) {
        match self {
            Arrivals::Handlers { origins, .. } => {
                for origin in origins.pending() {
                    senders[origin.signal as usize] = origin.process.map(|process| Sender {
                        process: process.pid,
                        user: process.uid,
                    });
                }
            }
            #[cfg(feature = "testing")]
            Arrivals::Simulated(_) => {} // nobody sent them
        }
    }
}

/// The subscriptions of one loop.
pub(super) struct SignalTable {
    arrivals: Arrivals,
    /// Who sent what last. Kept from one look to the next: a sender may be seen one look earlier
    /// than the flag, when the signal arrives between the two.
    senders: [Option<Sender>; NUMBERS],
    /// Subscribed sources, in the order of subscription.
    subscribers: Vec<(Signal, Token)>,
}

impl SignalTable {
    pub(super) fn new(kernel: &Kernel) -> io::Result<SignalTable> {
        Ok(SignalTable {
            arrivals: Arrivals::new(kernel)?,
            senders: [None; NUMBERS],
            subscribers: Vec::new(),
        })
    }

    /// Subscribes `token` to `signal`.
    pub(super) fn subscribe(&mut self, signal: Signal, token: Token) -> io::Result<()> {
        if signal.is_forbidden() {
            let what = format!("{signal:?} cannot be caught");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        self.arrivals.expect(signal)?;
        if !self.subscribers.contains(&(signal, token)) {
            self.subscribers.push((signal, token));
        }
        Ok(())
    }

    pub(super) fn unsubscribe(&mut self, token: Token) {
        self.subscribers
            .retain(|(_, subscriber)| *subscriber != token);
    }

    fn note_senders(&mut self) {
        self.arrivals.note_senders(&mut self.senders);
    }

    /// All signals that arrived since the last call, each with each of its subscribers.
    pub(super) fn drain(&mut self, arrived: &mut Vec<(Token, SignalEvent)>) {
        let mut set = [false; NUMBERS];
        self.arrivals.look(&mut set);
        self.note_senders();
        for &(signal, token) in &self.subscribers {
            if set[signal.0 as usize] {
                let sender = self.senders[signal.0 as usize];
                arrived.push((token, SignalEvent { signal, sender }));
            }
        }
    }
}

impl fmt::Debug for SignalTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignalTable({:?})", self.subscribers)
    }
}

#[cfg(test)]
mod tests {
    use super::super::virtual_kernel::VirtualKernel;
    use super::*;

    #[test]
    fn a_sender_that_is_seen_before_its_signal_is_kept_for_it() {
        let kernel = Kernel::Virtual(VirtualKernel::new());
        let mut table = SignalTable::new(&kernel).unwrap();
        let signal = Signal::from_number(60).unwrap();
        table.subscribe(signal, Token::from_bits(1)).unwrap();
        signal_hook::low_level::raise(signal.number()).unwrap();
        // A look that read the flags just before the signal came goes on to the senders.
        table.note_senders();
        let mut arrived = Vec::new();
        table.drain(&mut arrived);
        let [(_, event)] = arrived[..] else {
            panic!("{arrived:?}")
        };
        let sender = event.sender.expect("this process sent it");
        assert_eq!(sender.process, std::process::id() as i32);
    }
}
