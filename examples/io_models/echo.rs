//! What the plain servers share: listening, accepting, and one echo.
//!
//! A client that does not take what it is sent, until the kernel has no more room for it, is closed: a
//! plain server keeps nothing for it. trine's streams do, within limits.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::calls::Calls;

/// More clients at once than any demonstration has.
const BACKLOG: i32 = 4096;
/// Out of descriptors: others close theirs meanwhile.
const BREATH: Duration = Duration::from_millis(10);

pub fn listen(address: SocketAddr) -> Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from(socket))
}

/// Everybody in the queue of a listener that does not wait, as sockets that do not wait.
pub fn accept_all(listener: &TcpListener, calls: &Calls) -> Vec<TcpStream> {
    let mut accepted = Vec::new();
    loop {
        calls.made(1);
        match listener.accept() {
            Ok((stream, _)) => {
                calls.made(2);
                if stream.set_nonblocking(true).is_ok() && stream.set_nodelay(true).is_ok() {
                    accepted.push(stream);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return accepted,
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(_) => {
                thread::sleep(BREATH);
                return accepted;
            }
        }
    }
}

/// What a look at one client came to.
#[derive(PartialEq, Eq)]
pub enum Look {
    Nothing,
    Echoed,
    Over,
}

/// Sends back what has arrived, if any has. A short read has emptied the socket.
pub fn look(mut stream: &TcpStream, calls: &Calls) -> Look {
    let mut bytes = [0; 4096];
    calls.made(1);
    let arrived = match stream.read(&mut bytes) {
        Ok(0) => return Look::Over,
        Ok(arrived) => arrived,
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            return Look::Nothing;
        }
        Err(_) => return Look::Over,
    };
    calls.made(1);
    match stream.write(&bytes[..arrived]) {
        Ok(sent) if sent == arrived => Look::Echoed,
        _ => Look::Over,
    }
}
