//! Child processes as events: one pidfd each, readable when the child has ended.
//!
//! No SIGCHLD, so nothing is shared with other parts of the program that have children of their
//! own, and a thousand children that end at once are a thousand events.
//!
//! The standard library starts the child with an empty signal mask and default dispositions, and
//! every descriptor of trine is close-on-exec, so the child gets none of them.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::context::Context;
use super::registry::Registry;
use super::source::{Event, EventSource, Next};

/// How a child ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum ChildExit {
    /// It exited, or a signal killed it.
    Exited(ExitStatus),
    /// Somebody else in this process took its status first (`waitpid(-1)`): it has ended, nobody
    /// knows how.
    Stolen,
}

/// Waits for one child.
pub(super) struct ChildSource<F> {
    child: Child,
    pidfd: OwnedFd,
    call: Option<F>,
}

impl<F> ChildSource<F> {
    /// Fails, with the child, when the kernel has no pidfd for it.
    pub(super) fn new(child: Child, call: F) -> Result<ChildSource<F>, (Child, io::Error)> {
        match open(&child) {
            Ok(pidfd) => Ok(ChildSource {
                child,
                pidfd,
                call: Some(call),
            }),
            Err(error) => Err((child, error)),
        }
    }

    /// Ends a child that cannot be watched.
    pub(super) fn abandon(mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }

    /// `None` while it runs.
    fn look(&mut self) -> Option<ChildExit> {
        match self.child.try_wait() {
            Ok(status) => status.map(ChildExit::Exited),
            Err(_) => Some(ChildExit::Stolen), // ECHILD: there is nothing left to wait for
        }
    }
}

fn open(child: &Child) -> io::Result<OwnedFd> {
    let id = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(Errno::SRCH)?;
    Ok(pidfd_open(id, PidfdFlags::empty())?) // always close-on-exec, and never read
}

impl<S, F> EventSource<S> for ChildSource<F>
where
    S: 'static,
    F: FnOnce(&mut S, ChildExit, &mut Context<'_, S>) + 'static,
{
    fn register(&mut self, registry: &mut Registry<'_>) -> io::Result<()> {
        registry.readable_descriptor(&self.pidfd)
    }

    fn handle(&mut self, _event: Event, state: &mut S, cx: &mut Context<'_, S>) -> Next {
        let Some(exit) = self.look() else {
            return Next::Wait;
        };
        if let Some(call) = self.call.take() {
            call(state, exit, cx);
        }
        Next::Close
    }

    fn name(&self) -> &'static str {
        "child"
    }
}
