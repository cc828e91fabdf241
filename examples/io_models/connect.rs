//! The client's side: `connect` without waiting, and its three ends.
//!
//! On a socket that does not wait, `connect` answers EINPROGRESS. When it is over the socket is writable,
//! and SO_ERROR says how it went. A machine that never answers is given up at a deadline of the loop's.

use std::io::{Error, ErrorKind, Result};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};
use trine::{EventLoop, Sources};

const TIME_LIMIT: Duration = Duration::from_millis(100);

/// Shows all three; whether they were.
pub fn show() -> Result<bool> {
    let here = SocketAddr::from(([127, 0, 0, 1], 0));
    let accepting = TcpListener::bind(here)?;
    let accepted = shows("someone accepts", accepting.local_addr()?, None)?;

    let deserted = TcpListener::bind(here)?.local_addr()?; // closed again
    let refused = shows(
        "nobody listens",
        deserted,
        Some(ErrorKind::ConnectionRefused),
    )?;

    // Its queue is full and it never accepts, so the kernel does not answer: as a machine that is off.
    let silent = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    silent.bind(&SockAddr::from(here))?;
    silent.listen(0)?;
    let address = silent
        .local_addr()?
        .as_socket()
        .ok_or(Error::other("no address"))?;
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, TIME_LIMIT) {
        queue.push(stream);
    }
    let timed_out = shows("nobody answers", address, Some(ErrorKind::TimedOut))?;
    Ok(accepted && refused && timed_out)
}

/// Connects once and says what came of it; whether it was `expected`, `None` for a connection.
fn shows(what: &str, address: SocketAddr, expected: Option<ErrorKind>) -> Result<bool> {
    let began = Instant::now();
    let mut events = EventLoop::<Option<trine::Result<()>>>::new()?;
    events.connect(address, TIME_LIMIT, |came, stream, _| {
        *came = Some(stream.map(drop))
    })?;
    let mut came = None;
    events.run(&mut came)?;
    let took = began.elapsed().as_secs_f64() * 1e3;
    let (said, kind) = match came {
        Some(Ok(())) => ("connected".to_owned(), None),
        Some(Err(error)) => (error.to_string(), Some(Error::from(error).kind())),
        None => ("never told".to_owned(), Some(ErrorKind::Other)),
    };
    println!("connect where {what:<15}  {took:6.1} ms  {said}");
    Ok(kind == expected)
}
