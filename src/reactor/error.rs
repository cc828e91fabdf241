//! What can go wrong around the loop, as one opaque error that names the operation, the thing and
//! what to do about it.

use std::error;
use std::fmt;
use std::io;

/// Why an operation of the loop failed.
///
/// Its `Debug` is its `Display`, so that returning it from `main` prints a sentence.
pub struct Error {
    kind: ErrorKind,
    operation: &'static str,
    subject: String,
    source: Option<io::Error>,
}

/// The kinds of [`Error`], for programs that decide by them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The kernel refused a system call; [`error::Error::source`] says why.
    Io,
    /// A value cannot be used: an address, a path, a length of time, a signal.
    Invalid,
    /// A signal that no program can catch (KILL, STOP) or that must not be (SEGV, PIPE);
    /// [`Signal::is_forbidden`](super::Signal::is_forbidden) has the list.
    ForbiddenSignal,
    /// The process was forked, and this is the child: its loop shares the parent's epoll set.
    Forked,
    /// The drain was cut short, by its deadline or on demand, with work unfinished.
    DrainForced,
    /// The table of sources is full, or that of operations.
    Full,
    /// A stream receives, or sends, already: one operation each way at a time.
    Busy,
    /// The loop drains: nothing new begins.
    Draining,
    /// What was to set a loop up panicked.
    Panicked,
    /// The process that listening sockets were to be taken over from does not hand them over.
    HandOver,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        operation: &'static str,
        subject: impl Into<String>,
    ) -> Error {
        Error {
            kind,
            operation,
            subject: subject.into(),
            source: None,
        }
    }

    pub(crate) fn io(
        operation: &'static str,
        subject: impl Into<String>,
        source: io::Error,
    ) -> Error {
        Error {
            kind: ErrorKind::Io,
            operation,
            subject: subject.into(),
            source: Some(source),
        }
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What to do about it, where that is known.
    fn remedy(&self) -> Option<&'static str> {
        match self.kind {
            ErrorKind::Io => self.io_remedy(),
            ErrorKind::ForbiddenSignal => Some("choose another signal"),
            ErrorKind::Forked => Some("make a new loop in the child, or exec"),
            ErrorKind::DrainForced => Some("allow a longer drain, or shorter requests"),
            ErrorKind::HandOver => Some("it serves on; end it first, or start this program later"),
            ErrorKind::Full => Some("begin fewer at a time, or run several loops"),
            ErrorKind::Busy => Some("start it when the one under way has completed"),
            ErrorKind::Draining => Some("finish what is under way"),
            ErrorKind::Invalid | ErrorKind::Panicked => None,
        }
    }

    fn io_remedy(&self) -> Option<&'static str> {
        match self.source.as_ref()?.kind() {
            io::ErrorKind::AddrInUse => {
                Some("stop the program that has this address, or choose another")
            }
            io::ErrorKind::AddrNotAvailable => Some("use an address of this machine"),
            io::ErrorKind::PermissionDenied => {
                Some("ports below 1024 need CAP_NET_BIND_SERVICE; paths need write access")
            }
            io::ErrorKind::AlreadyExists => Some("a descriptor can be registered once"),
            io::ErrorKind::ConnectionRefused => Some("start the program that listens there"),
            io::ErrorKind::TimedOut => Some("allow more time, or see whether the machine is there"),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}", self.operation, self.subject)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        if let Some(remedy) = self.remedy() {
            write!(f, " ({remedy})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match (&error.source, error.kind) {
            (Some(source), _) => source.kind(),
            (None, ErrorKind::Invalid | ErrorKind::ForbiddenSignal) => io::ErrorKind::InvalidInput,
            (None, _) => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// The result of an operation of the loop.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a source could not be inserted, and the source.
pub struct InsertError<T> {
    /// What was to be inserted, untouched.
    pub source: T,
    /// Why it was not.
    pub error: Error,
}

impl<T> fmt::Debug for InsertError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<T> fmt::Display for InsertError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<T> error::Error for InsertError<T> {}

impl<T> From<InsertError<T>> for Error {
    fn from(error: InsertError<T>) -> Error {
        error.error
    }
}
