//! Signal-driven I/O: SIGIO says that a socket has something, through trine's signal source, and the
//! server then looks at all of them.
//!
//! It has to, as the signal does not say which socket: SIGIO is one signal for all, and several that come
//! before it is looked at are one. (F_SETSIG with a real-time signal queues one for each socket, with its
//! number, until the queue is full; then SIGIO comes, and it is all of them again. epoll was made to end
//! that.)
//!
//! A socket sends SIGIO when it has O_ASYNC and an *owner*. The owner is set by `fcntl(F_SETOWN)`, for
//! which there is no safe function in Rust yet, neither in std nor in rustix, nix or socket2. But the
//! owner belongs to the open file description, which a child shares: so a line of Perl sets it, three
//! sockets at a time. That costs milliseconds for each three clients, when they come, and nothing after.

use std::io::{Error, Result};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use trine::{EventLoop, Signal, Sources};

use crate::calls::{Calls, Place};
use crate::echo::{Look, accept_all, listen, look};

/// One epoll_wait; and for one signal the two writes of its handler (that it came, and from whom), the
/// return from it, and two reads of each of the two pipes, the second finding nothing.
const CALLS_A_TURN: u64 = 8;

struct Hall {
    listener: TcpListener,
    clients: Vec<TcpStream>,
    calls: Calls,
}

pub fn serve(place: Place) -> Result<()> {
    place.prepare();
    let listener = listen(place.address)?;
    listener.set_nonblocking(true)?;
    let mut events = EventLoop::new()?;
    let io = Signal::from_number(libc::SIGIO).ok_or(Error::other("no SIGIO"))?;
    events.signals([io], |hall: &mut Hall, _, cx| {
        hall.look_at_all();
        hall.calls.by_loop(cx.metrics().turns * CALLS_A_TURN);
    })?;
    send_signals_to_us(&[&listener])?;
    place.open(listener.local_addr()?, "one SIGIO for all sockets")?;
    let mut hall = Hall {
        listener,
        clients: Vec::new(),
        calls: place.calls,
    };
    hall.look_at_all(); // who came before the signals did
    Ok(events.run(&mut hall)?)
}

impl Hall {
    fn look_at_all(&mut self) {
        self.let_in();
        let calls = &self.calls;
        self.clients
            .retain(|client| look(client, calls) != Look::Over);
    }

    /// What they said before their signals were switched on, the look at all that follows finds.
    fn let_in(&mut self) {
        let mut came = accept_all(&self.listener, &self.calls);
        while !came.is_empty() {
            let three = came.split_off(came.len().saturating_sub(3));
            match send_signals_to_us(&three) {
                Ok(()) => self.clients.extend(three),
                Err(error) => eprintln!("{}: clients turned away: {error}", crate::NAME),
            }
        }
    }
}

/// Whether there is a Perl.
pub fn is_possible() -> bool {
    Command::new("perl")
        .args(["-e", "1"])
        .status()
        .is_ok_and(|ended| ended.success())
}

/// Three sockets are as many as a child can be given in safe code: its standard streams.
fn send_signals_to_us(sockets: &[impl AsFd]) -> Result<()> {
    const SET_OWNER: &str = "fcntl($_, 8, getppid) or exit 1 for \\*STDIN, \\*STDOUT, \\*STDERR";
    let nth = |n: usize| match sockets.get(n).or(sockets.first()) {
        Some(socket) => socket.as_fd().try_clone_to_owned().map(Stdio::from),
        None => Ok(Stdio::null()),
    };
    let mut perl = Command::new("perl");
    perl.args(["-e", SET_OWNER]).env("PERL_BADLANG", "0"); // it must not say anything to clients
    perl.stdin(nth(0)?).stdout(nth(1)?).stderr(nth(2)?);
    let ended = perl.status().map_err(|error| {
        Error::new(
            error.kind(),
            format!("the owner of a socket is set by perl: {error}"),
        )
    })?;
    if !ended.success() {
        return Err(Error::other("perl could not set the owner of a socket"));
    }
    for socket in sockets {
        let signals = OFlags::from_bits_retain(libc::O_ASYNC as u32);
        fcntl_setfl(socket, fcntl_getfl(socket)? | signals)?;
    }
    Ok(())
}
