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
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

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
    /// Readable when it has ended. `None` when it had before it could be watched,
    pidfd: Option<OwnedFd>,
    /// and how.
    ended: Option<ChildExit>,
    call: Option<F>,
}

impl<F> ChildSource<F> {
    /// Fails when the kernel has no pidfd for a child that runs; the child is killed then.
    pub(super) fn new(mut child: Child, call: F) -> io::Result<ChildSource<F>> {
        let pidfd = open(&child);
        // Only now, and whatever became of the pidfd: a child that still runs has kept its id for
        // itself, so the pidfd is its own, and so is a signal to the id. Of one that somebody else
        // has waited for, the id may be any process's.
        let (pidfd, ended) = match (look(&mut child), pidfd) {
            (Some(exit), _) => (None, Some(exit)),
            (None, Ok(pidfd)) => (Some(pidfd), None),
            (None, Err(error)) => {
                let _ = child.kill().and_then(|()| child.wait());
                return Err(error);
            }
        };
        Ok(ChildSource {
            child,
            pidfd,
            ended,
            call: Some(call),
        })
    }

    /// Ends a child that cannot be watched. By its pidfd, which is never another process's.
    pub(super) fn abandon(mut self) {
        if let Some(pidfd) = &self.pidfd
            && pidfd_send_signal(pidfd, Signal::Kill).is_ok()
        {
            let _ = self.child.wait();
        }
    }
}

/// `None` while it runs.
fn look(child: &mut Child) -> Option<ChildExit> {
    match child.try_wait() {
        Ok(status) => status.map(ChildExit::Exited),
        Err(_) => Some(ChildExit::Stolen), // ECHILD: there is nothing left to wait for
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
        match &self.pidfd {
            Some(pidfd) => registry.readable_descriptor(pidfd),
            None => Ok(()), // its first call says how it ended
        }
    }

    fn handle(&mut self, _event: Event, state: &mut S, cx: &mut Context<'_, S>) -> Next {
        let exit = self.ended.take().or_else(|| look(&mut self.child));
        let Some(exit) = exit else {
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
