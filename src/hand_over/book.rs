//! What a process has to hand over.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use super::message::Name;
use crate::reactor::SocketFile;
use crate::time::Span;

/// The sockets of a process that passes them on, and the files that belong to them.
#[derive(Debug)]
pub(super) struct Book {
    /// Of second descriptors: the first ones are with their sources.
    pub(super) sockets: Vec<(Name, OwnedFd)>,
    /// Files of Unix sockets that the process before removes as long as it is in charge.
    pub(super) paths: Vec<PathBuf>,
    /// Those that this one removes at its end.
    pub(super) files: Vec<SocketFile>,
    /// How long a successor may take to set itself up.
    pub(super) patience: Span,
    /// How long the drain may take that follows.
    pub(super) grace: std::time::Duration,
}

impl Book {
    pub(super) fn names(&self) -> Vec<Name> {
        self.sockets.iter().map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(|(_, socket)| socket.as_fd())
    }

    /// The files are ours from now on. One that is gone was removed by somebody else.
    pub(super) fn take_charge(&mut self) {
        let paths = self.paths.drain(..);
        self.files
            .extend(paths.filter_map(|path| SocketFile::at(&path).ok()));
    }

    /// Everything is another process's from now on.
    pub(super) fn let_go(&mut self) {
        self.sockets.clear();
        self.files.drain(..).for_each(SocketFile::leave);
    }
}
