//! The Proactor on io_uring: the kernel does the operations.
//!
//! ```text
//!   a turn's operations ── one io_uring_enter, before the loop waits ──> kernel
//!   epoll (the ring's eventfd) ──> pump ── up to a budget ──> completions, told in this turn
//! ```
//!
//! Accepting and receiving go on by themselves (multishot) where the kernel can, with buffers that it
//! chooses when bytes come. Where it cannot, the driver asks anew each time; who started the operation
//! sees no difference. Nor is one seen when the kernel ends such an operation for want of room: it is
//! asked anew, and no completion is lost, as the kernel keeps those that the queue has no room for.

mod address;
mod flight;
mod kernel;

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use self::flight::Ability;
use self::kernel::{Done, Gain, Kernel};
use super::driver::Driver;
use super::operation::{Filled, Memory, Outcome, Passed};
use super::options::ProactorOptions;
use super::pool::Pool;
use super::request::{FileRequest, Request, Room, Times};
use super::shared::Shared;
use crate::reactor::{Context, OperationId, ShortRead, Stream, concerns_one_connection};
use crate::time::{Span, Tick};

/// Completions taken from the kernel in one go, before other sources get their turn.
const COMPLETIONS_MAX: usize = 1024;
/// Until the kernel is called again when it has refused a call.
const RETRY: Span = Span::from_millis(10);

pub(super) struct Ring {
    kernel: Kernel,
    able: Ability,
    overflows: u64,
    standing: Standing,
}

/// How the kernel took the last call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    Well,
    /// For want of memory, mostly. It is not asked all the time.
    Refused {
        retry_at: Tick,
    },
}

impl Ring {
    pub(super) fn new(options: &ProactorOptions, pool: &mut Pool) -> io::Result<Ring> {
        Ok(Ring {
            kernel: Kernel::new(options.ring_entries, options.buffers, pool)?,
            able: Ability {
                multishot_accept: true,
                multishot_receive: true,
            },
            overflows: 0,
            standing: Standing::Well,
        })
    }

    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.kernel.descriptor()
    }

    /// System calls made, and times the completion queue was too small.
    pub(super) fn counted(&self) -> (u64, u64) {
        (self.kernel.enters, self.overflows)
    }

    pub(super) fn begin(&mut self, id: OperationId, request: Request, pool: &mut Pool) {
        self.kernel.start(id, request, self.able, pool);
    }

    pub(super) fn cancel(&mut self, id: OperationId) {
        self.kernel.cancel(id);
    }

    /// Whether the kernel has something for us, and would not say so.
    fn has_more(&mut self) -> bool {
        self.kernel.listen();
        let may_enter = self.standing == Standing::Well;
        self.kernel.has_completions() || may_enter && self.kernel.wants_enter()
    }

    /// When to call the kernel again, if it refused.
    pub(super) fn retry_at(&self) -> Option<Tick> {
        match self.standing {
            Standing::Well => None,
            Standing::Refused { retry_at } => Some(retry_at),
        }
    }

    /// Hands over what was gathered, and has the kernel do what it put off.
    fn enter(&mut self, now: Tick) {
        let early = self.retry_at().is_some_and(|retry_at| now < retry_at);
        if early || !self.kernel.wants_enter() {
            return;
        }
        self.overflows += u64::from(self.kernel.is_overflown());
        self.standing = match self.kernel.enter() {
            Ok(()) => Standing::Well,
            // The operations stay where they are, and are handed over again.
            Err(error) => {
                if self.standing == Standing::Well {
                    tracing::error!(target: "trine::proactor", %error, "io_uring_enter is refused: operations wait");
                }
                let retry_at = now.after(RETRY);
                Standing::Refused { retry_at }
            }
        };
    }
}

/// Hands over and takes back. Whether there is more to take.
pub(super) fn drive<S: 'static>(shared: &mut Shared, cx: &mut Context<'_, S>) -> bool {
    if let Some(ring) = ring(shared) {
        if ring.kernel.is_forked() {
            return false; // the loop finds out and ends
        }
        ring.kernel.hush();
        ring.enter(cx.now());
    }
    for _ in 0..COMPLETIONS_MAX {
        let Shared { driver, pool, .. } = &mut *shared;
        let Driver::Ring(ring) = driver else {
            return false;
        };
        match ring.kernel.next(pool) {
            Some(done) => land(shared, done, cx),
            None => break,
        }
    }
    ring(shared).is_some_and(Ring::has_more)
}

fn ring(shared: &mut Shared) -> Option<&mut Ring> {
    match &mut shared.driver {
        Driver::Ring(ring) => Some(ring),
        Driver::Emulated(_) => None,
    }
}

/// One completion of the kernel becomes one of ours, or the operation is put to the kernel anew.
fn land<S: 'static>(shared: &mut Shared, done: Done, cx: &mut Context<'_, S>) {
    let Done {
        id,
        request,
        result,
        able,
    } = done;
    match result {
        Ok(gain) => match request {
            // It goes on, so it accepts or receives.
            None => land_one_of_many(shared, id, gain, cx),
            Some(request) => land_last(shared, id, request, gain, cx),
        },
        Err(error) => {
            // An error is always the last word.
            if let Some(request) = request {
                land_error(shared, id, request, (error, able), cx);
            }
        }
    }
}

fn land_one_of_many<S: 'static>(
    shared: &mut Shared,
    id: OperationId,
    gain: Gain,
    cx: &mut Context<'_, S>,
) {
    let outcome = match gain {
        Gain::Accepted(fd) => match accepted(shared, fd, cx) {
            Some(outcome) => outcome,
            None => return, // gone before we looked
        },
        Gain::Chosen(buffer, len) => Outcome::Received(Filled::new(buffer, len)),
        Gain::Count(_) => return,
    };
    shared.complete(id, outcome, true, cx);
}

fn land_last<S: 'static>(
    shared: &mut Shared,
    id: OperationId,
    request: Request,
    gain: Gain,
    cx: &mut Context<'_, S>,
) {
    let wanted = shared.table.is_wanted(id);
    let (outcome, again) = match (request, gain) {
        (Request::Accept { listener, times }, Gain::Accepted(fd)) => {
            let again = Request::Accept { listener, times };
            match accepted(shared, fd, cx) {
                Some(outcome) => (outcome, (times == Times::Many).then_some(again)),
                None if wanted => return restart(shared, id, again, cx),
                None => (Outcome::Cancelled(Memory::None), None),
            }
        }
        (Request::Receive { stream, room }, Gain::Chosen(buffer, len)) => {
            let goes_on = len > 0 && matches!(room, Room::Chosen(Times::Many));
            let again = goes_on.then_some(Request::Receive { stream, room });
            (Outcome::Received(Filled::new(buffer, len)), again)
        }
        (request, Gain::Count(count)) => (counted(shared, id, request, count), None),
        (request, _) => (Outcome::Cancelled(request.into_memory()), None),
    };
    let again = again.filter(|_| wanted);
    shared.complete(id, outcome, again.is_some(), cx);
    // Whoever owned it may be gone, and it over with it.
    if let Some(request) = again {
        match shared.table.is_wanted(id) {
            true => restart(shared, id, request, cx),
            false => shared.complete(id, Outcome::Cancelled(Memory::None), false, cx),
        }
    }
}

/// The outcome of an operation whose result is a count of bytes, or nothing.
fn counted(shared: &mut Shared, id: OperationId, request: Request, count: usize) -> Outcome {
    match request {
        Request::Receive {
            room: Room::Given(buffer),
            ..
        } => Outcome::Received(Filled::new(buffer, count)),
        Request::Send { payload, .. } => Outcome::Sent(Passed::new(payload, count)),
        Request::File(FileRequest::Read { room, .. }) => Outcome::Read(Filled::new(room, count)),
        Request::File(FileRequest::Write { payload, .. }) => {
            Outcome::Written(Passed::new(payload, count))
        }
        Request::File(FileRequest::Sync { .. }) => Outcome::Synced,
        Request::Connect { stream, .. } => {
            let token = shared.table.descriptor_of(id);
            let socket = stream.peer().map(|peer| shared.connected(token?, &peer));
            match socket {
                Ok(Some(socket)) => Outcome::Connected(socket),
                Ok(None) => Outcome::Cancelled(Memory::None),
                Err(error) => Outcome::Failed(error, Memory::None),
            }
        }
        other => Outcome::Cancelled(other.into_memory()),
    }
}

fn accepted<S: 'static>(
    shared: &mut Shared,
    fd: OwnedFd,
    cx: &mut Context<'_, S>,
) -> Option<Outcome> {
    let stream = Stream::from(fd);
    let peer = stream.peer().ok()?;
    Some(match shared.adopt(stream, ShortRead::SaysNothing, cx) {
        Ok(socket) => Outcome::Accepted(socket, peer),
        Err(error) => Outcome::Failed(error.into(), Memory::None),
    })
}

fn land_error<S: 'static>(
    shared: &mut Shared,
    id: OperationId,
    request: Request,
    (error, able): (Errno, Ability),
    cx: &mut Context<'_, S>,
) {
    let again = match (&request, error) {
        (_, Errno::INTR | Errno::AGAIN) => true,
        (Request::Accept { times, .. }, error) => {
            let unknown = error == Errno::INVAL && *times == Times::Many && able.multishot_accept;
            if unknown {
                forget(shared, |able| able.multishot_accept = false);
            }
            unknown || concerns_one_connection(error)
        }
        (
            Request::Receive {
                room: Room::Chosen(_),
                ..
            },
            Errno::NOBUFS,
        ) => true,
        (
            Request::Receive {
                room: Room::Chosen(Times::Many),
                ..
            },
            Errno::INVAL,
        ) if able.multishot_receive => {
            forget(shared, |able| able.multishot_receive = false);
            true
        }
        _ => false,
    };
    if again && shared.table.is_wanted(id) {
        return restart(shared, id, request, cx);
    }
    let memory = request.into_memory();
    let outcome = match error {
        Errno::CANCELED => Outcome::Cancelled(memory),
        _ if again => Outcome::Cancelled(memory),
        error => Outcome::Failed(error.into(), memory),
    };
    shared.complete(id, outcome, false, cx);
}

/// The kernel does not know it: those that are put from now on do without.
fn forget(shared: &mut Shared, what: impl FnOnce(&mut Ability)) {
    if let Some(ring) = ring(shared) {
        what(&mut ring.able);
    }
}

fn restart<S: 'static>(
    shared: &mut Shared,
    id: OperationId,
    request: Request,
    cx: &mut Context<'_, S>,
) {
    let Shared { driver, pool, .. } = &mut *shared;
    if let Driver::Ring(ring) = driver {
        ring.begin(id, request, pool);
        shared.flush_later(cx);
    }
}
