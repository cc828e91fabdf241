//! A callback that keeps the loop, as seen from outside while it does, and what it does meanwhile: the
//! kernel knows in which system call a thread waits, and tells whoever belongs to the same process.

use std::fmt;
use std::fs;
use std::time::Duration;

use crate::slab::Token;

/// A source that keeps its loop: everybody else waits meanwhile. From
/// [`EventLoop::watch_stalls`](super::EventLoop::watch_stalls).
///
/// ```text
/// http connection (4v1) has run for 1.2 s, waiting in clock_nanosleep
/// http connection (4v1) ran for 3.2 s
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Stall {
    /// What the source is called, by [`EventSource::name`](super::EventSource::name).
    pub source: &'static str,
    /// Which one it is.
    pub token: Token,
    /// For how long it has been seen to run: up to a quarter of the limit less than it has.
    pub lasted: Duration,
    /// What it is doing, or that it has returned.
    pub doing: Doing,
}

/// What a callback that keeps the loop does, by `/proc`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Doing {
    /// It runs, or is ready to run: it waits in no system call.
    Computing,
    /// It waits in a system call.
    SystemCall {
        /// The number of the call on this architecture.
        number: i64,
        /// Its name, for those that callbacks are wont to wait in.
        name: Option<&'static str>,
    },
    /// It waits for the kernel outside of a system call: for a page to be read in, or to go on after a
    /// stop.
    Suspended,
    /// The kernel does not say.
    Unknown,
    /// It has returned: the stall is over, and this is the last that is said about it.
    Returned,
}

impl Doing {
    /// What `thread` of this process does now.
    pub(super) fn of_thread(thread: i32) -> Doing {
        let said = fs::read_to_string(format!("/proc/self/task/{thread}/syscall"));
        said.map_or(Doing::Unknown, |said| Doing::parse(&said))
    }

    /// The form is `running`, or a number (-1 outside of a system call) and addresses: proc(5).
    fn parse(said: &str) -> Doing {
        let first = said.split_ascii_whitespace().next();
        match first.map(|first| (first, first.parse())) {
            Some(("running", _)) => Doing::Computing,
            Some((_, Ok(-1))) => Doing::Suspended,
            Some((_, Ok(number))) => Doing::SystemCall {
                number,
                name: name_of(number),
            },
            _ => Doing::Unknown,
        }
    }
}

/// The system calls in which callbacks are wont to wait.
const NAMES: &[(libc::c_long, &str)] = &[
    (libc::SYS_accept4, "accept4"),
    (libc::SYS_clock_nanosleep, "clock_nanosleep"),
    (libc::SYS_connect, "connect"),
    (libc::SYS_epoll_pwait, "epoll_pwait"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, "epoll_wait"),
    (libc::SYS_fallocate, "fallocate"),
    (libc::SYS_fcntl, "fcntl"),
    (libc::SYS_fdatasync, "fdatasync"),
    (libc::SYS_flock, "flock"),
    (libc::SYS_fsync, "fsync"),
    (libc::SYS_ftruncate, "ftruncate"),
    (libc::SYS_futex, "futex"),
    (libc::SYS_getdents64, "getdents64"),
    (libc::SYS_io_uring_enter, "io_uring_enter"),
    (libc::SYS_msync, "msync"),
    (libc::SYS_nanosleep, "nanosleep"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, "open"),
    (libc::SYS_openat, "openat"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, "poll"),
    (libc::SYS_ppoll, "ppoll"),
    (libc::SYS_pread64, "pread64"),
    (libc::SYS_preadv, "preadv"),
    (libc::SYS_pselect6, "pselect6"),
    (libc::SYS_pwrite64, "pwrite64"),
    (libc::SYS_pwritev, "pwritev"),
    (libc::SYS_read, "read"),
    (libc::SYS_readv, "readv"),
    (libc::SYS_recvfrom, "recvfrom"),
    (libc::SYS_recvmsg, "recvmsg"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rename, "rename"),
    (libc::SYS_renameat2, "renameat2"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_select, "select"),
    (libc::SYS_sendmsg, "sendmsg"),
    (libc::SYS_sendto, "sendto"),
    (libc::SYS_sync_file_range, "sync_file_range"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_unlink, "unlink"),
    (libc::SYS_unlinkat, "unlinkat"),
    (libc::SYS_wait4, "wait4"),
    (libc::SYS_waitid, "waitid"),
    (libc::SYS_write, "write"),
    (libc::SYS_writev, "writev"),
];

fn name_of(number: i64) -> Option<&'static str> {
    // The width of the numbers differs by architecture.
    let found = NAMES
        .iter()
        .find(|(known, _)| i128::from(*known) == i128::from(number));
    found.map(|(_, name)| *name)
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doing::Computing => f.write_str("running, in no system call"),
            Doing::SystemCall {
                name: Some(name), ..
            } => write!(f, "waiting in {name}"),
            Doing::SystemCall { number, .. } => write!(f, "waiting in system call {number}"),
            Doing::Suspended => f.write_str("waiting for the kernel outside of a system call"),
            Doing::Unknown => f.write_str("doing what the kernel does not say"),
            Doing::Returned => f.write_str("returned"),
        }
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stall {
            source,
            token,
            lasted,
            doing,
        } = self;
        match doing {
            Doing::Returned => write!(f, "{source} ({token:?}) ran for {lasted:.1?}"),
            _ => write!(f, "{source} ({token:?}) has run for {lasted:.1?}, {doing}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_of_a_thread_is_understood_whatever_it_is() {
        let sleeps = format!("{} 0x0 0x0 0x7ffd 0x0\n", libc::SYS_clock_nanosleep);
        for (said, expected) in [
            ("running\n", "running, in no system call"),
            (&*sleeps, "waiting in clock_nanosleep"),
            ("99999 0x1\n", "waiting in system call 99999"),
            (
                "-1 0x7ffd 0x7f\n",
                "waiting for the kernel outside of a system call",
            ),
            ("", "doing what the kernel does not say"),
            ("nonsense", "doing what the kernel does not say"),
        ] {
            assert_eq!(Doing::parse(said).to_string(), expected, "{said:?}");
        }
        assert_eq!(Doing::of_thread(-1), Doing::Unknown, "there is none");
    }
}
