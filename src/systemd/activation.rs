//! Sockets that systemd opened before it started us (sd_listen_fds(3)).

use std::env;
use std::fmt::Display;
use std::os::fd::OwnedFd;

use listenfd::ListenFd;

use crate::reactor::{Error, ErrorKind, Result, StreamListener};

/// More sockets than any unit has.
const SOCKETS_MAX: usize = 1_000;

/// A listening socket that systemd opened.
#[derive(Debug)]
#[non_exhaustive]
pub struct Activated {
    /// FileDescriptorName= of the socket unit; `unknown` when there are no names.
    pub name: String,
    /// The socket.
    pub listener: StreamListener,
}

/// The sockets that systemd passed to this process, in the order of the units; none when it passed none,
/// or passed them to another process (LISTEN_PID). Each can be taken once: the variables are unset,
/// so call this before other threads are started, and children do not see them. Only LISTEN_FDNAMES
/// is left, which says nothing without the others.
///
/// The descriptors are close-on-exec and non-blocking afterwards.
///
/// # Errors
///
/// When LISTEN_FDS is no number, or one that cannot be; when a descriptor is not a listening stream
/// socket (use `ListenStream=`, and `Accept=no`); when there are more or fewer names than sockets.
pub fn listeners() -> Result<Vec<Activated>> {
    let (Some(count), true) = (variable("LISTEN_FDS"), is_for_us()?) else {
        return Ok(Vec::new());
    };
    let count = match count.parse() {
        Ok(count) if count <= SOCKETS_MAX => count,
        _ => return fail(format!("LISTEN_FDS={count}: not a number of sockets")),
    };
    let names = names(count)?;
    let mut passed = ListenFd::from_env();
    let sockets = names.into_iter().enumerate();
    let sockets = sockets.map(|(at, name)| match take(&mut passed, at) {
        Ok(listener) => Ok(Activated { name, listener }),
        Err(error) => fail(format!("socket {} ({name}): {error}", at + 1)),
    });
    sockets.collect()
}

fn is_for_us() -> Result<bool> {
    match variable("LISTEN_PID") {
        None => Ok(false),
        Some(id) => match id.parse::<u32>() {
            Ok(id) => Ok(id == std::process::id()),
            Err(_) => fail(format!("LISTEN_PID={id}: not a process")),
        },
    }
}

fn names(count: usize) -> Result<Vec<String>> {
    let Some(names) = variable("LISTEN_FDNAMES") else {
        return Ok(vec!["unknown".to_owned(); count]);
    };
    let names: Vec<String> = names.split(':').map(str::to_owned).collect();
    match names.len() == count {
        true => Ok(names),
        false => fail(format!("{} names for {count} sockets", names.len())),
    }
}

/// The socket at place `at`, owned from now on.
fn take(passed: &mut ListenFd, at: usize) -> std::result::Result<StreamListener, String> {
    let network = passed.take_tcp_listener(at);
    let network = network.map(|taken| taken.map(OwnedFd::from));
    let taken = network.or_else(|_| {
        let local = passed.take_unix_listener(at);
        local.map(|taken| taken.map(OwnedFd::from))
    });
    match taken {
        Ok(Some(fd)) => StreamListener::from_descriptor(fd).map_err(|error| error.to_string()),
        Ok(None) => Err("it is not there".to_owned()),
        Err(_) => Err("it is not an open stream socket of TCP or Unix".to_owned()),
    }
}

fn variable(name: &str) -> Option<String> {
    env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

fn fail<T>(what: impl Display) -> Result<T> {
    let what = format!("sockets of systemd: {what}");
    Err(Error::new(ErrorKind::Invalid, "take", what))
}
