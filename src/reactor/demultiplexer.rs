//! The synchronous event demultiplexer (POSA2): the only owner of `mio::Poll`, and of the one
//! timerfd that ends its sleep.
//!
//! Everything that wakes a sleeping loop is a readable descriptor: a socket, the signal pipe, the
//! eventfd of the waker, the timerfd. So `epoll_wait` never gets a timeout in milliseconds: a
//! signal that interrupts it costs no time, and a far deadline is not clamped.
//!
//! Neither the timerfd nor the eventfd is ever read. Both are registered edge-triggered, and each
//! new expiry or wake-up is a new edge whether or not the old count was fetched.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Poll};
use timerfd::{ClockId, SetTimeFlags, TimerFd, TimerState};

use super::source::Readiness;
use crate::slab::Token;

/// Tokens of the loop's own descriptors. No slot has their index.
pub(super) const TIMER: Token = Token::from_bits(1 << 32 | u32::MAX as u64);
const WAKER: Token = Token::from_bits(2 << 32 | u32::MAX as u64);
pub(super) const SIGNALS: Token = Token::from_bits(3 << 32 | u32::MAX as u64);

/// How many events one wait can bring. The kernel keeps the rest, first come first served.
pub(super) const EVENTS_PER_WAIT: usize = 1024;

/// The farthest a timerfd is armed; a later deadline is looked at again then. (The kernel takes
/// nanoseconds in an i64.)
const ARM_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

#[derive(Debug)]
pub(crate) struct Demultiplexer {
    poll: Poll,
    timer: TimerFd,
}

/// What a descriptor is watched for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Watch {
    /// Reading and writing, and urgent data: streams.
    Both,
    /// Reading: listeners, and datagram sockets, whose every sent datagram would be an edge.
    Reading,
}

impl Demultiplexer {
    pub(crate) fn new() -> io::Result<Demultiplexer> {
        let poll = Poll::new()?;
        let timer = TimerFd::new_custom(ClockId::Monotonic, true, true)?;
        let source = timer.as_raw_fd();
        poll.registry()
            .register(&mut SourceFd(&source), mio_token(TIMER), Interest::READABLE)?;
        Ok(Demultiplexer { poll, timer })
    }

    pub(crate) fn waker(&self) -> io::Result<mio::Waker> {
        mio::Waker::new(self.poll.registry(), mio_token(WAKER))
    }

    pub(super) fn register_signals(&self, source: &mut impl mio::event::Source) -> io::Result<()> {
        self.poll
            .registry()
            .register(source, mio_token(SIGNALS), Interest::READABLE)
    }

    pub(super) fn register(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        watch: Watch,
    ) -> io::Result<()> {
        register(self.poll.registry(), fd, token, watch)
    }

    /// For whoever registers while another thread waits.
    pub(crate) fn registrar(&self) -> io::Result<Registrar> {
        let registry = self.poll.registry().try_clone()?;
        Ok(Registrar { registry })
    }

    /// Called before the descriptor is closed: a duplicate in another process would otherwise
    /// keep the registration, and its events, alive.
    pub(super) fn deregister(&self, fd: RawFd) -> io::Result<()> {
        self.poll.registry().deregister(&mut SourceFd(&fd))
    }

    /// Waits until something is ready, or only looks when not allowed to `sleep`.
    pub(crate) fn wait(&mut self, events: &mut mio::Events, sleep: bool) -> io::Result<()> {
        let timeout = if sleep { None } else { Some(Duration::ZERO) };
        loop {
            match self.poll.poll(events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Makes the timerfd readable when CLOCK_MONOTONIC shows `at`; at once if that has passed.
    pub(crate) fn arm(&mut self, at: Duration) {
        // Zero would disarm it.
        let at = at.clamp(Duration::from_nanos(1), ARM_MAX);
        self.timer
            .set_state(TimerState::Oneshot(at), SetTimeFlags::Abstime);
    }
}

/// Registers and deregisters descriptors of one epoll set, from any thread.
#[derive(Debug)]
pub(crate) struct Registrar {
    registry: mio::Registry,
}

impl Registrar {
    pub(crate) fn register(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        watch: Watch,
    ) -> io::Result<()> {
        register(&self.registry, fd, token, watch)
    }

    /// As [`Demultiplexer::deregister`].
    pub(crate) fn deregister(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.registry.deregister(&mut SourceFd(&fd.as_raw_fd()))
    }
}

fn register(
    registry: &mio::Registry,
    fd: BorrowedFd<'_>,
    token: Token,
    watch: Watch,
) -> io::Result<()> {
    let interest = match watch {
        Watch::Both => Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY,
        Watch::Reading => Interest::READABLE,
    };
    registry.register(&mut SourceFd(&fd.as_raw_fd()), mio_token(token), interest)
}

/// Whether `fd` has something to read right now, by an epoll set made for the question: slow, and
/// meant for debug builds. Behind the peer's end of file, which is always readable, it cannot tell,
/// and says no.
pub(super) fn is_readable(fd: RawFd) -> io::Result<bool> {
    let mut poll = Poll::new()?;
    let mut events = mio::Events::with_capacity(1);
    poll.registry()
        .register(&mut SourceFd(&fd), mio::Token(0), Interest::READABLE)?;
    poll.poll(&mut events, Some(Duration::ZERO))?;
    Ok(events
        .iter()
        .any(|event| event.is_readable() && !event.is_read_closed()))
}

pub(crate) fn events() -> mio::Events {
    mio::Events::with_capacity(EVENTS_PER_WAIT)
}

fn mio_token(token: Token) -> mio::Token {
    mio::Token(token.to_bits() as usize) // trine runs on 64-bit Linux
}

/// What mio reports, in trine's words.
#[inline]
pub(crate) fn translate(event: &mio::event::Event) -> (Token, Readiness) {
    let mut readiness = Readiness::default();
    if event.is_readable() {
        readiness = readiness.union(Readiness::READABLE);
    }
    if event.is_writable() {
        readiness = readiness.union(Readiness::WRITABLE);
    }
    if event.is_error() || event.is_priority() || event.is_write_closed() || event.is_read_closed()
    {
        readiness = readiness.union(marks(event));
    }
    (token(event), readiness)
}

/// What else is reported than that bytes can be moved.
#[cold]
#[inline(never)]
fn marks(event: &mio::event::Event) -> Readiness {
    let mut marks = Readiness::default();
    if event.is_read_closed() {
        marks = marks.union(Readiness::READ_CLOSED);
    }
    if event.is_write_closed() {
        marks = marks.union(Readiness::WRITE_CLOSED);
    }
    if event.is_error() {
        marks = marks.union(Readiness::ERROR);
    }
    if event.is_priority() {
        marks = marks.union(Readiness::PRIORITY);
    }
    marks
}

#[inline]
pub(super) fn token(event: &mio::event::Event) -> Token {
    Token::from_bits(event.token().0 as u64)
}
