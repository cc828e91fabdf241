//! One connection to one node: the only file of this store that makes or calls a socket.
//!
//! A link never connects again by itself. What `WAIT` answers is about the writes of the connection on
//! which it is asked, and on a fresh one it is an empty promise; so whoever holds a link knows that all
//! its commands went the same way.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};

use redis::{Cmd, Parser, Value};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::replicas::Replicas;
use super::script::Names;
use super::slot_map::Node;
use crate::time::Span;

/// A connection, and what is known of it.
pub(super) struct Link {
    stream: TcpStream,
    parser: Parser,
    /// What this node calls the scripts.
    pub names: Names,
    pub replicas: Replicas,
}

impl Link {
    /// Connects. A silence of `answer` ends a wait for an answer.
    pub fn open(node: &Node, connect: Span, answer: Span) -> io::Result<Link> {
        let mut failure = io::Error::other("the name has no address");
        for address in (&*node.host, node.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, connect.into()) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(answer.into()))?;
                    stream.set_write_timeout(Some(answer.into()))?;
                    return Ok(Link {
                        stream,
                        parser: Parser::new(),
                        names: Names::default(),
                        replicas: Replicas::default(),
                    });
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Whether nothing has come that nobody asked for: the end of the stream, most of all. A node that
    /// is gone is noticed here, before anything is sent, rather than by a write of unknown end.
    pub fn is_quiet(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        matches!(recv(&self.stream, &mut [0], flags), Err(Errno::AGAIN))
    }

    /// Sends all of `octets`.
    ///
    /// # Errors
    ///
    /// How many the kernel took before it failed; those behind them never leave.
    pub fn send(&mut self, octets: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut taken = 0;
        while taken < octets.len() {
            match self.stream.write(&octets[taken..]) {
                Ok(0) => return Err((taken, io::ErrorKind::WriteZero.into())),
                Ok(len) => taken += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((taken, error)),
            }
        }
        Ok(())
    }

    /// The next answer.
    ///
    /// # Errors
    ///
    /// When none comes in time, the stream ends, or it holds something else. The link is of no use then.
    pub fn receive(&mut self) -> io::Result<Value> {
        let parsed = self.parser.parse_value(Uninterrupted(&self.stream));
        parsed.map_err(io::Error::other)
    }

    /// Sends one command, and takes its answer, which is no error.
    ///
    /// # Errors
    ///
    /// As of sending and receiving, or what the node said.
    pub fn ask(&mut self, command: &Cmd) -> io::Result<Value> {
        let sent = self.send(&command.get_packed_command());
        sent.map_err(|(_, error)| error)?;
        self.told()
    }

    /// The next answer, which is no error.
    ///
    /// # Errors
    ///
    /// As of receiving, or what the node said.
    pub fn told(&mut self) -> io::Result<Value> {
        match self.receive()? {
            Value::ServerError(error) => Err(io::Error::other(error.to_string())),
            answer => Ok(answer),
        }
    }
}

/// Reads again when a signal has interrupted it.
struct Uninterrupted<'a>(&'a TcpStream);

impl Read for Uninterrupted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}
