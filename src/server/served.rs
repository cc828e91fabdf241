//! One exchange that is over, as [`Server::on_served`](super::Server::on_served) tells of it.

use std::fmt;
use std::time::Duration;

use crate::connection::{Asked, CloseReason, Record};
use crate::http::{Request, Status};
use crate::reactor::Peer;
use crate::time::Span;

/// A request and how it was answered, told when the last byte of the answer was taken by the kernel
/// for the client, or when the connection ended before.
///
/// There is one for each request given to the service, and one for each answer of the server's own:
/// 400 and 431 for what is no request, 408 for what came too late, 503 for whom there was no room.
pub struct Served<'a> {
    pub(super) peer: &'a Peer,
    pub(super) record: &'a Record,
    pub(super) content_bytes: u64,
    pub(super) ended: Ended,
    pub(super) took: Span,
    pub(super) unix_seconds: u64,
}

/// How an exchange ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// All of the answer was taken.
    Whole,
    /// The connection ended before that, for this reason.
    Cut(CloseReason),
}

/// In a word or two, for logs: `whole`, or the reason.
impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Whole => f.write_str("whole"),
            Ended::Cut(reason) => reason.fmt(f),
        }
    }
}

impl<'a> Served<'a> {
    /// Who asked.
    #[must_use]
    pub fn peer(&self) -> &'a Peer {
        self.peer
    }

    /// The request without its body; `None` when it was not given to the service, as it was no
    /// whole request.
    #[must_use]
    pub fn request(&self) -> Option<Request<'a>> {
        match &self.record.asked {
            Asked::Whole(request) => Some(request.as_request()),
            Asked::Fragment(_) => None,
        }
    }

    /// The first line as it came, without its end: any octets, if it was no request, and of those at
    /// most 2 KiB; empty if nothing came.
    #[must_use]
    pub fn request_line(&self) -> &'a [u8] {
        let octets = match &self.record.asked {
            Asked::Whole(request) => request.as_request().head_octets(),
            Asked::Fragment(octets) => octets,
        };
        let start = octets.iter().position(|octet| !b"\r\n".contains(octet));
        let line = &octets[start.unwrap_or(octets.len())..];
        let end = line.iter().position(|octet| b"\r\n".contains(octet));
        &line[..end.unwrap_or(line.len())]
    }

    /// The value of the first field with this name, in any case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.request()?.field(name)
    }

    /// The status answered; `None` when the connection ended before that.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.record.status()
    }

    /// How many bytes behind the head of the answer were taken, chunk framing included.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// How it ended.
    #[must_use]
    pub fn ended(&self) -> Ended {
        self.ended
    }

    /// From the end of the request's head to the end of the exchange, in whole milliseconds. Zero for
    /// what was no whole head.
    #[must_use]
    pub fn took(&self) -> Duration {
        Duration::from(self.took)
    }

    /// When it ended, in seconds since 1970.
    #[must_use]
    pub fn unix_seconds(&self) -> u64 {
        self.unix_seconds
    }
}

impl fmt::Debug for Served<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served")
            .field("peer", self.peer)
            .field("status", &self.status())
            .field("content_bytes", &self.content_bytes)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
