//! What the two processes say to each other: one datagram each, a line of text and, behind it, what it
//! carries.
//!
//! ```text
//!   successor                          process before
//!       │ ask ─────────────────────────────> │
//!       │ <──── sockets: names, descriptors  │
//!       │  (sets itself up)                  │  (goes on serving)
//!       │ ready ───────────────────────────> │
//!       │ <────────────────────────────── go │  stops accepting, drains
//!       v                                    v
//! ```
//!
//! In place of `sockets` and `go` there may be `refused`, with the reason.

use std::fmt;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Of the protocol. Both sides must speak the same: two releases of one program do.
pub(super) const VERSION: u16 = 1;

/// In bytes: the longest message there is.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Sockets that are passed at most: what one message of the kernel carries (SCM_MAX_FD is 253).
pub(super) const SOCKETS_MAX: usize = 250;

/// What every message begins with, followed by the version and a space.
const MAGIC: &str = "trine-hand-over ";

/// In front of what a message carries, and between its items. No path contains it.
const SEPARATOR: u8 = 0;

/// What a socket was asked for as, by which a successor finds it: `tcp 127.0.0.1:0`, `unix /run/a`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Name(Vec<u8>);

impl Name {
    pub(super) fn tcp(address: SocketAddr) -> Name {
        Name(format!("tcp {address}").into_bytes())
    }

    pub(super) fn unix(path: &Path) -> Name {
        Name([b"unix ", path.as_os_str().as_bytes()].concat())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Message {
    /// The successor is there and wants the sockets.
    Ask,
    /// Here they are, by name; the descriptors come with it in the same order. Before them comes that
    /// of the socket of the protocol itself, which has no name.
    Sockets(Vec<Name>),
    /// The successor serves.
    Ready,
    /// The process before has stopped accepting.
    Go,
    /// It does not hand over, for this reason.
    Refused(String),
}

/// Why bytes are no message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Unreadable {
    /// Somebody else's protocol.
    Foreign,
    /// Ours, of this version.
    Version(u16),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Foreign => f.write_str("it speaks another protocol"),
            Unreadable::Version(version) => {
                write!(f, "it speaks version {version}, this program {VERSION}")
            }
        }
    }
}

impl Message {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = format!("{MAGIC}{VERSION} {}", self.word()).into_bytes();
        match self {
            Message::Sockets(names) => {
                for Name(name) in names {
                    bytes.push(SEPARATOR);
                    bytes.extend_from_slice(name);
                }
            }
            Message::Refused(reason) => {
                bytes.push(SEPARATOR);
                bytes.extend_from_slice(reason.as_bytes());
            }
            Message::Ask | Message::Ready | Message::Go => {}
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Message, Unreadable> {
        let mut items = bytes.split(|byte| *byte == SEPARATOR);
        let head = items.next().and_then(|head| str::from_utf8(head).ok());
        let rest = head.and_then(|head| head.strip_prefix(MAGIC));
        let (version, word) = rest
            .and_then(|rest| rest.split_once(' '))
            .ok_or(Unreadable::Foreign)?;
        match version.parse() {
            Ok(VERSION) => {}
            Ok(other) => return Err(Unreadable::Version(other)),
            Err(_) => return Err(Unreadable::Foreign),
        }
        Ok(match word {
            "ask" => Message::Ask,
            "ready" => Message::Ready,
            "go" => Message::Go,
            "sockets" => Message::Sockets(items.map(|name| Name(name.to_vec())).collect()),
            "refused" => {
                let reason = items.next().unwrap_or_default();
                Message::Refused(String::from_utf8_lossy(reason).into_owned())
            }
            _ => return Err(Unreadable::Foreign),
        })
    }

    fn word(&self) -> &'static str {
        match self {
            Message::Ask => "ask",
            Message::Sockets(_) => "sockets",
            Message::Ready => "ready",
            Message::Go => "go",
            Message::Refused(_) => "refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_read_as_it_was_written() {
        let names = vec![
            Name::tcp("127.0.0.1:0".parse().unwrap()),
            Name::unix(Path::new("/run/a b\n")),
        ];
        for message in [
            Message::Ask,
            Message::Sockets(names),
            Message::Sockets(Vec::new()),
            Message::Ready,
            Message::Go,
            Message::Refused("too late".to_owned()),
        ] {
            assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn what_is_no_message_of_this_version_is_told_apart() {
        let rows: [(&[u8], Unreadable); 6] = [
            (b"", Unreadable::Foreign),
            (b"GET / HTTP/1.1\r\n", Unreadable::Foreign),
            (b"trine-hand-over 1 dance", Unreadable::Foreign),
            (b"trine-hand-over one ask", Unreadable::Foreign),
            (b"trine-hand-over 2 ask", Unreadable::Version(2)),
            (b"\xff\0\xff", Unreadable::Foreign),
        ];
        for (bytes, expected) in rows {
            assert_eq!(Message::decode(bytes), Err(expected), "{bytes:?}");
        }
    }
}
