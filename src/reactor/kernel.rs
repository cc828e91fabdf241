//! The one seam between the loop and the machine: the clock, waiting, arming the alarm,
//! registering descriptors.
//!
//! An enum, not a trait object and not a type parameter: the choice is made where the loop is
//! made, calls are resolved statically (with one variant the `match` vanishes), and sources never
//! see which one they run on. In tests another variant stands in: a clock that moves when
//! it is told to and readiness that is scripted, so a loop that stalls for ten seconds, or a
//! timer due in a year, is tested in microseconds; or, with the feature `testing` too, a whole
//! machine with a network, see `simulated/`.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, SystemTime};

use super::clock;
use super::demultiplexer::{self, Demultiplexer, EVENTS_PER_WAIT, SIGNALS, TIMER, Watch};
#[cfg(feature = "testing")]
use super::simulated::Network;
use super::slot::Watched;
use super::source::Readiness;
#[cfg(test)]
use super::virtual_kernel::VirtualKernel;
use super::wall_alarm::WallAlarm;
use crate::slab::Token;

#[derive(Debug)]
pub(super) enum Kernel {
    Linux(Demultiplexer),
    #[cfg(test)]
    Virtual(VirtualKernel),
    #[cfg(feature = "testing")]
    Simulated(Network),
}

/// What one wait brought.
#[derive(Debug)]
pub(super) enum Batch {
    Linux(mio::Events),
    #[cfg(test)]
    Virtual(Vec<(Token, Readiness)>),
    #[cfg(feature = "testing")]
    Simulated(Vec<(Token, Readiness)>),
}

/// Which of the loop's own descriptors a wait reported.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Specials {
    pub(super) timer: bool,
    pub(super) signal: bool,
    /// There may be more events than these.
    pub(super) full: bool,
}

impl Batch {
    /// Calls `f` with each event. Those of the loop's own descriptors are for no source that there is.
    #[inline]
    pub(super) fn for_each(&self, mut f: impl FnMut(Token, Readiness)) {
        match self {
            Batch::Linux(events) => {
                for event in events {
                    let (token, readiness) = demultiplexer::translate(event);
                    f(token, readiness);
                }
            }
            #[cfg(test)]
            Batch::Virtual(events) => others(events).for_each(|(token, ready)| f(token, ready)),
            #[cfg(feature = "testing")]
            Batch::Simulated(events) => others(events).for_each(|(token, ready)| f(token, ready)),
        }
    }

    pub(super) fn specials(&self) -> Specials {
        let mut specials = Specials::default();
        let mut count = 0;
        let mut look = |token: Token| {
            count += 1;
            specials.timer |= token == TIMER;
            specials.signal |= token == SIGNALS;
        };
        match self {
            Batch::Linux(events) => events
                .iter()
                .for_each(|event| look(demultiplexer::token(event))),
            #[cfg(test)]
            Batch::Virtual(events) => events.iter().for_each(|(token, _)| look(*token)),
            #[cfg(feature = "testing")]
            Batch::Simulated(events) => events.iter().for_each(|(token, _)| look(*token)),
        }
        specials.full = count >= EVENTS_PER_WAIT;
        specials
    }
}

/// Whether it names one of the loop's own descriptors.
#[inline]
pub(super) fn is_special(token: Token) -> bool {
    token.index() == u32::MAX
}

#[cfg(any(test, feature = "testing"))]
fn others(events: &[(Token, Readiness)]) -> impl Iterator<Item = (Token, Readiness)> {
    let all = events.iter().copied();
    all.filter(|(token, _)| !is_special(*token))
}

impl Kernel {
    pub(super) fn linux() -> io::Result<(Kernel, Batch)> {
        let kernel = Kernel::Linux(Demultiplexer::new()?);
        Ok((kernel, Batch::Linux(demultiplexer::events())))
    }

    /// Nanoseconds on the monotonic clock.
    #[inline]
    pub(super) fn nanos(&self) -> u64 {
        match self {
            Kernel::Linux(_) => clock::monotonic_nanos(),
            #[cfg(test)]
            Kernel::Virtual(kernel) => kernel.nanos(),
            #[cfg(feature = "testing")]
            Kernel::Simulated(network) => network.nanos(),
        }
    }

    pub(super) fn wall(&self) -> SystemTime {
        match self {
            Kernel::Linux(_) => clock::wall(),
            #[cfg(test)]
            Kernel::Virtual(kernel) => kernel.wall(),
            #[cfg(feature = "testing")]
            Kernel::Simulated(network) => network.wall(),
        }
    }

    /// Which process this is; a forked child differs from the one that made the loop.
    pub(super) fn process(&self) -> u32 {
        match self {
            Kernel::Linux(_) => std::process::id(),
            #[cfg(test)]
            Kernel::Virtual(kernel) => kernel.process(),
            #[cfg(feature = "testing")]
            Kernel::Simulated(_) => 1, // a simulated machine has one process, which never forks
        }
    }

    pub(super) fn wait(&mut self, batch: &mut Batch, sleep: bool) -> io::Result<()> {
        match (self, batch) {
            (Kernel::Linux(demultiplexer), Batch::Linux(events)) => {
                demultiplexer.wait(events, sleep)
            }
            #[cfg(test)]
            (Kernel::Virtual(kernel), Batch::Virtual(events)) => {
                kernel.wait(events, sleep);
                Ok(())
            }
            #[cfg(feature = "testing")]
            (Kernel::Simulated(network), Batch::Simulated(events)) => {
                network.wait(events, sleep);
                Ok(())
            }
            #[cfg(any(test, feature = "testing"))]
            _ => unreachable!("a batch is made together with its kernel"),
        }
    }

    /// Ends a sleep when the monotonic clock shows `nanos`.
    pub(super) fn arm(&mut self, nanos: u64) {
        match self {
            Kernel::Linux(demultiplexer) => demultiplexer.arm(Duration::from_nanos(nanos)),
            #[cfg(test)]
            Kernel::Virtual(kernel) => kernel.arm(nanos),
            #[cfg(feature = "testing")]
            Kernel::Simulated(network) => network.arm(nanos),
        }
    }

    pub(super) fn register(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        watch: Watch,
    ) -> io::Result<()> {
        match self {
            Kernel::Linux(demultiplexer) => demultiplexer.register(fd, token, watch),
            #[cfg(test)]
            Kernel::Virtual(kernel) => {
                kernel.register();
                Ok(())
            }
            #[cfg(feature = "testing")]
            Kernel::Simulated(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a simulated machine watches simulated sockets only",
            )),
        }
    }

    /// Watches a socket of the simulated machine, by its number.
    #[cfg(feature = "testing")]
    pub(super) fn register_simulated(&self, number: u32, token: Token) -> io::Result<()> {
        match self {
            Kernel::Simulated(network) => {
                network.register(number, token);
                Ok(())
            }
            _ => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a simulated socket is watched on its own machine only",
            )),
        }
    }

    pub(super) fn deregister(&self, watched: Watched) -> io::Result<()> {
        match self {
            Kernel::Linux(demultiplexer) => demultiplexer.deregister(watched.fd),
            #[cfg(test)]
            Kernel::Virtual(kernel) => {
                kernel.deregister();
                Ok(())
            }
            #[cfg(feature = "testing")]
            Kernel::Simulated(network) => {
                network.deregister(watched.fd as u32); // never negative
                Ok(())
            }
        }
    }

    /// Whether a stream has bytes to read right now: asks the kernel.
    pub(super) fn is_readable(&self, watched: Watched) -> bool {
        match (self, watched.watch) {
            (Kernel::Linux(_), Watch::Both) => {
                demultiplexer::is_readable(watched.fd).unwrap_or(false)
            }
            // A full listener waits for room, not for its socket.
            _ => false,
        }
    }

    /// Rings when the wall clock shows `time`.
    pub(super) fn wall_alarm(&self, time: SystemTime) -> io::Result<WallAlarm> {
        match self {
            #[cfg(feature = "testing")]
            Kernel::Simulated(network) => Ok(WallAlarm::Simulated(network.wall_alarm(time))),
            _ => WallAlarm::linux(time),
        }
    }

    pub(super) fn register_signals(&self, source: &mut impl mio::event::Source) -> io::Result<()> {
        match self {
            Kernel::Linux(demultiplexer) => demultiplexer.register_signals(source),
            #[cfg(test)]
            Kernel::Virtual(_) => Ok(()),
            #[cfg(feature = "testing")]
            Kernel::Simulated(_) => Ok(()),
        }
    }

    pub(super) fn waker(&self) -> io::Result<Option<mio::Waker>> {
        match self {
            Kernel::Linux(demultiplexer) => demultiplexer.waker().map(Some),
            #[cfg(test)]
            Kernel::Virtual(_) => Ok(None),
            #[cfg(feature = "testing")]
            Kernel::Simulated(_) => Ok(None),
        }
    }
}
