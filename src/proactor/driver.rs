//! The interface of the two drivers: what can be asked of whoever does the operations.
//!
//! | asked | emulated | io_uring |
//! |---|---|---|
//! | [`begin`](Shared::begin) | tried at once if the socket is known to be ready, else it waits for it | put into the submission queue |
//! | [`end`](Shared::end) | given back at once, unless a thread has it | a wish to the kernel |
//! | [`drive`](Shared::drive) | what threads have done | all that was gathered goes to the kernel, what has completed comes |
//! | [`look_at`](Shared::look_at) | tried at once, whatever is known of the socket | as `drive`, until the kernel has put nothing off |
//! | [`watch`](Shared::watch) | a source of the loop that hears of the socket | nothing |
//!
//! Each ends every operation that it began by `Shared::complete`, with the last word said once.

use std::io;
use std::os::fd::OwnedFd;

use super::device::Device;
use super::emulated::{self, Files};
use super::operation::Outcome;
use super::options::{Pattern, ProactorOptions};
use super::pool::Pool;
use super::request::Request;
#[cfg(feature = "io-uring")]
use super::ring::Ring;
use super::shared::Shared;
use super::table::Lane;
use crate::reactor::{Context, Error, OperationId, Result};
use crate::slab::Token;
use crate::time::Tick;

/// How often the kernel is called for one look.
#[cfg(feature = "io-uring")]
const LOOKS: usize = 4;

pub(super) enum Driver {
    Emulated(Files),
    #[cfg(feature = "io-uring")]
    Ring(Box<Ring>),
}

impl Driver {
    /// The driver that `options` ask for; the emulation when io_uring is not to be had.
    pub(super) fn new(options: &ProactorOptions, pool: &mut Pool) -> Driver {
        #[cfg(feature = "io-uring")]
        if options.pattern == Pattern::IoUring {
            match Ring::new(options, pool) {
                Ok(ring) => return Driver::Ring(Box::new(ring)),
                Err(error) => {
                    tracing::warn!(target: "trine::proactor", %error, "io_uring is not to be had: operations are emulated over epoll");
                }
            }
        }
        let _ = pool; // the emulation takes buffers when bytes are there
        Driver::Emulated(Files::new(options.file_threads))
    }

    /// Which one it is.
    pub(super) fn pattern(&self) -> Pattern {
        match self {
            Driver::Emulated(_) => Pattern::Emulated,
            #[cfg(feature = "io-uring")]
            Driver::Ring(_) => Pattern::IoUring,
        }
    }

    /// Calls of `io_uring_enter`, and times that the completion queue was too small.
    pub(super) fn counted(&self) -> (u64, u64) {
        match self {
            Driver::Emulated(_) => (0, 0),
            #[cfg(feature = "io-uring")]
            Driver::Ring(ring) => ring.counted(),
        }
    }

    /// When to call upon it again though it says nothing.
    pub(super) fn retry_at(&self) -> Option<Tick> {
        match self {
            Driver::Emulated(_) => None,
            #[cfg(feature = "io-uring")]
            Driver::Ring(ring) => ring.retry_at(),
        }
    }

    /// What becomes readable when there are completions, if that is a descriptor.
    pub(super) fn descriptor(&self) -> Result<Option<OwnedFd>> {
        match self {
            Driver::Emulated(_) => Ok(None),
            #[cfg(feature = "io-uring")]
            Driver::Ring(ring) => {
                let watched = ring.descriptor().map(Some);
                watched.map_err(|error| Error::io("watch", "an io_uring", error))
            }
        }
    }
}

impl Shared {
    /// Sets a socket to what the driver needs: io_uring waits for a socket itself, if it may.
    pub(super) fn ready_for_driver(&self, set: impl Fn(bool) -> io::Result<()>) -> Result<()> {
        let set = match &self.driver {
            Driver::Emulated(_) => set(false),
            #[cfg(feature = "io-uring")]
            Driver::Ring(_) => set(true),
        };
        set.map_err(|error| Error::io("attach", "a socket to a proactor", error))
    }

    pub(super) fn begin<S: 'static>(
        &mut self,
        id: OperationId,
        lane: Lane,
        request: Request,
        cx: &mut Context<'_, S>,
    ) {
        match &mut self.driver {
            Driver::Emulated(files) => match (request, &self.home) {
                (Request::File(request), Some(home)) => files.start(id, request, &home.waker),
                (request, _) => emulated::begin(self, id, lane, request, cx),
            },
            #[cfg(feature = "io-uring")]
            Driver::Ring(ring) => {
                ring.begin(id, request, &mut self.pool);
                self.flush_later(cx);
            }
        }
    }

    /// Asks that `id` ends.
    pub(super) fn end<S: 'static>(&mut self, id: OperationId, lane: Lane, cx: &mut Context<'_, S>) {
        match &mut self.driver {
            Driver::Emulated(files) => {
                let memory = match lane {
                    Lane::In(token) | Lane::Out(token) => emulated::withdraw(self, id, token),
                    Lane::File(_) => files.cancel(id).map(|request| request.into_memory()),
                };
                if let Some(memory) = memory {
                    self.complete(id, Outcome::Cancelled(memory), false, cx);
                }
            }
            #[cfg(feature = "io-uring")]
            Driver::Ring(ring) => {
                ring.cancel(id);
                self.flush_later(cx);
            }
        }
    }

    /// Takes what has been done, and hands over what is to be done. Whether there is more.
    pub(super) fn drive<S: 'static>(&mut self, cx: &mut Context<'_, S>) -> bool {
        match &mut self.driver {
            Driver::Emulated(files) => {
                // No more at a time than there are threads, so no budget.
                let Some(home) = &self.home else {
                    return false;
                };
                let mut done = Vec::new();
                while let Some(outcome) = files.take_done(&home.waker) {
                    done.push(outcome);
                }
                for (id, outcome) in done {
                    self.complete(id, outcome.into(), false, cx);
                }
                false
            }
            #[cfg(feature = "io-uring")]
            Driver::Ring(_) => super::ring::drive(self, cx),
        }
    }

    /// Completes what can complete by now on the socket of `token`, though nobody has said so yet.
    pub(super) fn look_at<S: 'static>(&mut self, token: Token, cx: &mut Context<'_, S>) {
        match &self.driver {
            Driver::Emulated(_) => emulated::look_at(self, token, cx),
            #[cfg(feature = "io-uring")]
            Driver::Ring(_) => {
                // A receive waits before it is tried, and what woke it is done with a later call: what
                // lies there already comes with the second call, or the third.
                for _ in 0..LOOKS {
                    if !self.drive(cx) {
                        return;
                    }
                }
                self.call_pump(cx);
            }
        }
    }

    /// Begins to hear of the socket of `token`, where the driver needs to.
    pub(super) fn watch<S: 'static>(
        &mut self,
        token: Token,
        cx: &mut Context<'_, S>,
    ) -> Result<()> {
        match &self.driver {
            Driver::Emulated(_) => emulated::watch(self, token, cx),
            #[cfg(feature = "io-uring")]
            Driver::Ring(_) => Ok(()),
        }
    }

    /// The descriptor is closed, or handed back.
    pub(super) fn unwatch<S: 'static>(&mut self, device: &Device, cx: &mut Context<'_, S>) {
        if let Some(source) = device.station.source {
            drop(cx.take::<emulated::Watcher>(source));
            cx.remove(source); // when it is the one that runs
        }
    }
}
