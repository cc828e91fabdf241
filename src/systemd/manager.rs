//! The socket on which the service manager is told things (sd_notify(3)).
//!
//! `sd-notify` knows the words and the watchdog's variables; the sending is here, because a loop must
//! not wait for a manager that does not read, and because the manager may listen at an abstract
//! address.

use std::env;
use std::ffi::OsStr;
use std::fmt::Write;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use sd_notify::NotifyState;

#[derive(Debug)]
pub(super) struct Manager(UnixDatagram);

impl Manager {
    /// The one that started us, if it wants to hear anything.
    pub(super) fn from_environment() -> io::Result<Option<Manager>> {
        let Some(address) = env::var_os("NOTIFY_SOCKET") else {
            return Ok(None);
        };
        let socket = UnixDatagram::unbound()?; // close-on-exec
        socket.connect_addr(&parse(&address)?)?;
        socket.set_nonblocking(true)?;
        Ok(Some(Manager(socket)))
    }

    /// Sends `message`, in whole or not at all; `WouldBlock` when the manager has not read the last
    /// ones.
    pub(super) fn tell(&self, message: &str) -> io::Result<()> {
        loop {
            match self.0.send(message.as_bytes()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return sent.map(drop),
            }
        }
    }
}

fn parse(address: &OsStr) -> io::Result<SocketAddr> {
    match address.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(address),
        _ => {
            let what = format!("NOTIFY_SOCKET={}", address.display());
            Err(io::Error::new(io::ErrorKind::InvalidInput, what))
        }
    }
}

/// A message that says all of `states`, each on its line.
pub(super) fn message(states: &[NotifyState<'_>]) -> String {
    let mut text = String::new();
    for state in states {
        let _ = writeln!(text, "{state}"); // a string takes all
    }
    text
}
