//! The kernel's side of io_uring, in safe form: the only file of the library with `unsafe`.
//!
//! What a submission points to (buffers, addresses, the descriptor it works on) is owned here, in
//! `flights`, from before it is pushed until its last completion has been seen. A caller gives an
//! owned [`Request`] and gets it back with [`Done`]; there is no way to reach the memory in between.
//!
//! ```text
//!   start ──> flights + waiting ── enter ──> submission queue ──> kernel ──> completion queue ──> next
//!             (owned here) ──────────────────────────────────────────────────────────────> (given back)
//! ```
//!
//! Invariant: a flight is removed when its submission was never pushed, or its last completion was seen.
//! Invariant: memory given to the kernel does not move: the heap behind a `BytesMut`, a `Bytes` or a `Vec`.
//! Invariant: a buffer in `provided` is the kernel's from its publication until a completion names it.
//!
//! A ring that is dropped cancels what is in flight and waits for it; what does not end in time is
//! leaked, with its memory.
#![allow(unsafe_code)] // each block says why it is sound

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU16, Ordering, fence};
use std::time::Duration;

use bytes::BytesMut;
use io_uring::types::{BufRingEntry, SubmitArgs, Timespec};
use io_uring::{IoUring, Probe, cqueue, opcode, squeue};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use super::super::pool::Pool;
use super::super::request::{Request, Room};
use super::flight::{Ability, Flight, GROUP, length};
use crate::reactor::OperationId;
use crate::slab::Token;

/// The user data of a cancel: no operation has this index.
const CANCEL: u64 = u64::MAX;
/// What provided buffers are aligned to: a page.
const PAGE: usize = 4096;
/// How long a dropped ring waits for what is in flight: so many times this long.
const LAST_WAIT: Duration = Duration::from_millis(20);
const LAST_WAITS: u32 = 100;

pub(super) struct Kernel {
    ring: IoUring,
    /// By the index of the operation.
    flights: Vec<Option<Flight>>,
    in_flight: usize,
    /// Submissions that are not in the queue yet, in order.
    waiting: VecDeque<squeue::Entry>,
    provided: Option<Provided>,
    eventfd: OwnedFd,
    /// The process that made the ring.
    process: u32,
    pub(super) enters: u64,
}

/// A completion.
pub(super) struct Done {
    pub(super) id: OperationId,
    /// What was asked; `None` while the operation goes on.
    pub(super) request: Option<Request>,
    pub(super) result: Result<Gain, Errno>,
    /// What the kernel was taken to know when the operation was put.
    pub(super) able: Ability,
}

/// What came of it.
pub(super) enum Gain {
    Count(usize),
    /// A client.
    Accepted(OwnedFd),
    /// Bytes in a buffer that was chosen for them.
    Chosen(BytesMut, usize),
}

impl Kernel {
    /// A ring with `entries` submissions, if the kernel grants it and knows all that is needed.
    pub(super) fn new(entries: u32, buffers: u16, pool: &mut Pool) -> io::Result<Kernel> {
        let ring = open(entries)?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        let needed = [
            opcode::Accept::CODE,
            opcode::Connect::CODE,
            opcode::Recv::CODE,
            opcode::Send::CODE,
            opcode::Read::CODE,
            opcode::Write::CODE,
            opcode::Fsync::CODE,
            opcode::AsyncCancel::CODE,
        ];
        let knows_all = needed.iter().all(|code| probe.is_supported(*code));
        // Since 5.11 a wait takes a deadline, which the end of a ring needs; before 5.8 the kernel has no word
        // to silence its eventfd by.
        let params = ring.params();
        if !knows_all || !params.is_feature_nodrop() || !params.is_feature_ext_arg() {
            let what = "the kernel's io_uring lacks an operation that is needed";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        ring.submitter().register_eventfd(eventfd.as_raw_fd())?;
        let provided = Provided::new(&ring, buffers, pool);
        if let Err(error) = &provided {
            // An older kernel has none, or refuses the memory.
            tracing::warn!(target: "trine::proactor", %error, "io_uring takes no buffers ahead: each receive under way holds one of its own");
        }
        let provided = provided.ok();
        Ok(Kernel {
            ring,
            flights: Vec::new(),
            in_flight: 0,
            waiting: VecDeque::new(),
            provided,
            eventfd,
            process: std::process::id(),
            enters: 0,
        })
    }

    /// What becomes readable when there is something to take. The ring's own descriptor would not do: the
    /// kernel does not say there that it has put work off until it is called.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.eventfd.try_clone()
    }

    /// No word to the eventfd from now on: we look by ourselves.
    pub(super) fn hush(&mut self) {
        self.ring.completion().disable_eventfd();
    }

    /// A word to the eventfd for what comes from now on. To be followed by a last look.
    pub(super) fn listen(&mut self) {
        self.ring.completion().enable_eventfd();
        // What the kernel does after it has seen the flag unset is seen by the look that follows.
        fence(Ordering::SeqCst);
    }

    /// Takes an operation over, to be handed to the kernel with the next [`enter`](Kernel::enter).
    ///
    /// # Panics
    ///
    /// When an operation of the same index is in flight: the kernel would be left with its memory.
    pub(super) fn start(
        &mut self,
        id: OperationId,
        request: Request,
        able: Ability,
        pool: &mut Pool,
    ) {
        let index = id.token().index() as usize;
        if self.flights.len() <= index {
            self.flights.resize_with(index + 1, || None);
        }
        assert!(self.flights[index].is_none(), "{id:?} is in flight already");
        let flight = self.flights[index].insert(Flight::new(id, request, able));
        let provided = self.provided.is_some();
        let entry = flight.entry(provided, pool);
        self.in_flight += 1;
        let entry = entry.user_data(id.token().to_bits());
        self.waiting.push_back(entry);
    }

    /// Whether this process is a fork of the one that made the ring, whose memory the kernel shares: nothing
    /// of the ring may be touched.
    pub(super) fn is_forked(&self) -> bool {
        self.process != std::process::id()
    }

    /// Asks that `id` ends: it will complete, as cancelled or otherwise.
    pub(super) fn cancel(&mut self, id: OperationId) {
        let entry = opcode::AsyncCancel::new(id.token().to_bits()).build();
        self.waiting.push_back(entry.user_data(CANCEL)); // behind it, if it waits as well
    }

    /// Whether the kernel has to be called: to take submissions, or to give what it holds back.
    pub(super) fn wants_enter(&mut self) -> bool {
        let submission = self.ring.submission();
        !self.waiting.is_empty()
            || !submission.is_empty()
            || submission.taskrun()
            || submission.cq_overflow()
    }

    /// Whether the completion queue has been full.
    pub(super) fn is_overflown(&mut self) -> bool {
        self.ring.submission().cq_overflow()
    }

    /// Hands all that waits to the kernel, and has it give what it has done.
    ///
    /// # Errors
    ///
    /// What the kernel says, but that it was interrupted, or is to be asked again when completions have
    /// been taken.
    pub(super) fn enter(&mut self) -> io::Result<()> {
        loop {
            self.push_waiting();
            self.enters += 1;
            let entered = self.ring.submit();
            match entered.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO)) {
                Ok(0) if !self.waiting.is_empty() => return Ok(()),
                Ok(_) if self.waiting.is_empty() => return Ok(()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::BUSY) => return Ok(()), // when completions were taken
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn push_waiting(&mut self) {
        let mut submission = self.ring.submission();
        while let Some(entry) = self.waiting.pop_front() {
            // SAFETY: what `entry` points to is in the flight of its user data, which is not removed
            // before its last completion; a cancel points to nothing.
            if unsafe { submission.push(&entry) }.is_err() {
                self.waiting.push_front(entry); // full
                return;
            }
        }
    }

    /// Whether there are completions to take.
    pub(super) fn has_completions(&mut self) -> bool {
        !self.ring.completion().is_empty()
    }

    /// The next completion. `pool` replaces a provided buffer that was used.
    pub(super) fn next(&mut self, pool: &mut Pool) -> Option<Done> {
        loop {
            let entry = self.ring.completion().next()?;
            if entry.user_data() != CANCEL
                && let Some(done) = self.land(&entry, pool)
            {
                return Some(done);
            }
        }
    }

    fn land(&mut self, entry: &cqueue::Entry, pool: &mut Pool) -> Option<Done> {
        let token = Token::from_bits(entry.user_data());
        let slot = self.flights.get_mut(token.index() as usize)?;
        let flight = slot.as_mut().filter(|flight| flight.id.token() == token)?;
        let id = flight.id;
        let provided = cqueue::buffer_select(entry.flags())
            .and_then(|number| self.provided.as_mut()?.replace(number, pool));
        let result = match u32::try_from(entry.result()) {
            Err(_) => {
                provided.into_iter().for_each(|buffer| pool.give(buffer));
                Err(Errno::from_raw_os_error(entry.result().wrapping_neg()))
            }
            Ok(count) => Ok(match (&flight.request, provided) {
                (Request::Accept { .. }, _) => {
                    // SAFETY: the kernel has just made this descriptor, for nobody else.
                    Gain::Accepted(unsafe { OwnedFd::from_raw_fd(count as RawFd) })
                }
                (
                    Request::Receive {
                        room: Room::Chosen(_),
                        ..
                    },
                    provided,
                ) => {
                    let buffer = provided.or_else(|| flight.room.take());
                    Gain::Chosen(buffer.unwrap_or_default(), count as usize)
                }
                _ => Gain::Count(count as usize),
            }),
        };
        let able = flight.able;
        let request = match cqueue::more(entry.flags()) {
            true => None,
            false => {
                self.in_flight -= 1;
                let flight = slot.take()?;
                flight.room.into_iter().for_each(|buffer| pool.give(buffer));
                Some(flight.request)
            }
        };
        Some(Done {
            id,
            request,
            result,
            able,
        })
    }
}

fn open(entries: u32) -> io::Result<IoUring> {
    let best = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .build(entries);
    match best {
        // An older kernel.
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
            IoUring::new(entries)
        }
        result => result,
    }
}

/// Buffers that the kernel takes when bytes come: a ring of their places, and the buffers.
struct Provided {
    /// `entries` of them, aligned to a page; the tail of the ring is inside the first.
    entries: *mut BufRingEntry,
    layout: Layout,
    /// By their numbers; as many as there are places, a power of two.
    buffers: Vec<BytesMut>,
    tail: u16,
}

impl Provided {
    fn new(ring: &IoUring, count: u16, pool: &mut Pool) -> io::Result<Provided> {
        let bytes = usize::from(count) * mem::size_of::<BufRingEntry>();
        let layout = Layout::from_size_align(bytes, PAGE).map_err(io::Error::other)?;
        // SAFETY: the layout has a size: `count` is at least 1.
        let entries = unsafe { alloc_zeroed(layout) }.cast::<BufRingEntry>();
        if entries.is_null() {
            handle_alloc_error(layout);
        }
        let mut provided = Provided {
            entries,
            layout,
            buffers: (0..count).map(|_| pool.take()).collect(),
            tail: 0,
        };
        // SAFETY: the memory is `count` entries, zeroed, and is freed by `Provided` only, which
        // `Kernel` drops after it has unregistered it, or never.
        unsafe {
            let submitter = ring.submitter();
            submitter.register_buf_ring_with_flags(entries as u64, count, GROUP, 0)?;
        }
        for number in 0..count {
            provided.publish(number);
        }
        Ok(provided)
    }

    /// Takes the buffer that a completion named, and gives the kernel another in its place.
    fn replace(&mut self, number: u16, pool: &mut Pool) -> Option<BytesMut> {
        let place = self.buffers.get_mut(usize::from(number))?;
        let used = mem::replace(place, pool.take());
        self.publish(number);
        Some(used)
    }

    /// Lets the kernel have buffer `number`.
    fn publish(&mut self, number: u16) {
        let buffer = &mut self.buffers[usize::from(number)];
        let (start, len) = (buffer.as_mut_ptr() as u64, length(buffer.len()));
        let index = usize::from(self.tail) & (self.buffers.len() - 1);
        // SAFETY: `index` is below the number of entries. The kernel does not read this one before the
        // tail says so, below. The setters leave the tail, which lies in the first entry, alone.
        unsafe {
            let entry = &mut *self.entries.add(index);
            entry.set_addr(start);
            entry.set_len(len);
            entry.set_bid(number);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: `entries` is the start of the ring, whose tail is 2 aligned bytes of it; the kernel
        // only reads it.
        unsafe {
            let tail = BufRingEntry::tail(self.entries)
                .cast_mut()
                .cast::<AtomicU16>();
            (*tail).store(self.tail, Ordering::Release);
        }
    }
}

impl Drop for Provided {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with this layout; unregistered, so nobody reads it.
        unsafe { dealloc(self.entries.cast(), self.layout) }
    }
}

impl Kernel {
    /// Leaves what the kernel may still reach where it is, for ever.
    fn leak(&mut self) {
        mem::forget(mem::take(&mut self.flights));
        mem::forget(self.provided.take());
    }
}

impl Drop for Kernel {
    /// Cancels what is in flight and waits for it, as the kernel may write to its memory until then.
    fn drop(&mut self) {
        if self.is_forked() {
            // A forked child: ring and operations are the parent's, which goes on.
            return self.leak();
        }
        let flights = self.flights.iter().flatten();
        let ids: Vec<OperationId> = flights.map(|flight| flight.id).collect();
        for id in ids {
            self.cancel(id);
        }
        let provided = self.provided.as_ref();
        let buffer_bytes = provided.map_or(0, |provided| provided.buffers[0].len());
        let mut pool = Pool::new(buffer_bytes, 1); // for bytes that nobody wants any more
        for _ in 0..LAST_WAITS {
            while self.next(&mut pool).is_some() {}
            if self.in_flight == 0 {
                break;
            }
            self.push_waiting();
            let patience = Timespec::from(LAST_WAIT);
            let args = SubmitArgs::new().timespec(&patience);
            let _ = self.ring.submitter().submit_with_args(1, &args); // late, or interrupted: again
        }
        if self.in_flight > 0 {
            let in_flight = self.in_flight;
            tracing::error!(target: "trine::proactor", in_flight, "operations did not end: their memory is leaked, as the kernel may write to it");
            self.leak();
        } else if self.provided.is_some()
            && self.ring.submitter().unregister_buf_ring(GROUP).is_err()
        {
            mem::forget(self.provided.take());
        }
    }
}
