//! Why connections end: one reason for each way, so that a counter for each tells attacks,
//! misconfiguration and ordinary life apart.

use std::fmt;

use crate::http::{ParseError, Status};

/// Why a connection ended.
///
/// Reasons are dense from zero, so counters are an array:
/// `closed[reason.index()] += 1` with `[u64; CloseReason::ALL.len()]`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client closed between two messages; everything received was answered.
    PeerClosed,
    /// The client asked for it: `Connection: close`, or HTTP/1.0 without `keep-alive`.
    CloseRequested,
    /// The client reset the connection, or the socket failed.
    PeerReset,
    /// The client closed inside a message (400).
    Truncated,
    /// Nothing came for the keep-alive time after an answer (silent).
    IdleTimeout,
    /// No octet of a first request came in time (silent).
    NeverSpoke,
    /// A request head took too long (408).
    HeadTimeout,
    /// A request body took too long as a whole (408).
    BodyTimeout,
    /// A request body came below the lowest rate allowed (408).
    BodyTooSlow,
    /// The client took the answer below the lowest rate allowed (reset).
    WriteTimeout,
    /// The bytes were not a request that the parser takes (400, 417, 501 or 505).
    BadRequest,
    /// A limit of the parser was passed (413, 414 or 431).
    TooLarge,
    /// The service did not answer in time (504).
    HandlerTimeout,
    /// The service panicked (500).
    HandlerPanicked,
    /// The service returned without having answered or deferred, or with an interim response as
    /// its answer (500).
    Unanswered,
    /// The service dropped a deferred answer unsent (500).
    Abandoned,
    /// The service gave an answer up that had begun (reset).
    Aborted,
    /// The answer was complete before the request's body was, and more of it was left than is read
    /// for nobody.
    Unread,
    /// The connection had its share of requests; the last answer said so.
    RequestCap,
    /// The server drains: what was under way is answered.
    Drained,
    /// The server drains, and nothing was under way.
    DrainedIdle,
    /// The server had no room for one more connection (503).
    Overloaded,
    /// It was idle, and the server needed its place (silent).
    Evicted,
    /// The server was short of memory or connections; the last answer said so by `Connection: close`.
    Shed,
    /// The server was short of memory and did not give the request to the service (503).
    Refused,
    /// The body would have taken the server beyond the memory it may have (503).
    MemoryLimit,
    /// The server would not wait any longer.
    Forced,
}

impl CloseReason {
    /// Every reason, in the order of [`index`](CloseReason::index).
    pub const ALL: [CloseReason; 27] = [
        CloseReason::PeerClosed,
        CloseReason::CloseRequested,
        CloseReason::PeerReset,
        CloseReason::Truncated,
        CloseReason::IdleTimeout,
        CloseReason::NeverSpoke,
        CloseReason::HeadTimeout,
        CloseReason::BodyTimeout,
        CloseReason::BodyTooSlow,
        CloseReason::WriteTimeout,
        CloseReason::BadRequest,
        CloseReason::TooLarge,
        CloseReason::HandlerTimeout,
        CloseReason::HandlerPanicked,
        CloseReason::Unanswered,
        CloseReason::Abandoned,
        CloseReason::Aborted,
        CloseReason::Unread,
        CloseReason::RequestCap,
        CloseReason::Drained,
        CloseReason::DrainedIdle,
        CloseReason::Overloaded,
        CloseReason::Evicted,
        CloseReason::Shed,
        CloseReason::Refused,
        CloseReason::MemoryLimit,
        CloseReason::Forced,
    ];

    /// The place of this reason in an array of counters, below `ALL.len()`.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether to end by a reset: there are bytes the client does not take, and the kernel must
    /// not keep them for it; or it must not take what it has for a whole answer.
    #[must_use]
    pub const fn resets(self) -> bool {
        matches!(
            self,
            CloseReason::WriteTimeout | CloseReason::Aborted | CloseReason::Forced
        )
    }

    /// The reason when a request is refused for `error`.
    pub(super) fn of_refusal(error: ParseError) -> CloseReason {
        match error.status() {
            Status::CONTENT_TOO_LARGE
            | Status::URI_TOO_LONG
            | Status::REQUEST_HEADER_FIELDS_TOO_LARGE => CloseReason::TooLarge,
            _ => CloseReason::BadRequest,
        }
    }
}

/// The name for logs and metrics: lower case words.
impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CloseReason::PeerClosed => "peer closed",
            CloseReason::CloseRequested => "close requested",
            CloseReason::PeerReset => "peer reset",
            CloseReason::Truncated => "truncated",
            CloseReason::IdleTimeout => "idle timeout",
            CloseReason::NeverSpoke => "never spoke",
            CloseReason::HeadTimeout => "head timeout",
            CloseReason::BodyTimeout => "body timeout",
            CloseReason::BodyTooSlow => "body too slow",
            CloseReason::WriteTimeout => "write timeout",
            CloseReason::BadRequest => "bad request",
            CloseReason::TooLarge => "too large",
            CloseReason::HandlerTimeout => "handler timeout",
            CloseReason::HandlerPanicked => "handler panicked",
            CloseReason::Unanswered => "unanswered",
            CloseReason::Abandoned => "abandoned",
            CloseReason::Aborted => "aborted",
            CloseReason::Unread => "unread",
            CloseReason::RequestCap => "request cap",
            CloseReason::Drained => "drained",
            CloseReason::DrainedIdle => "drained idle",
            CloseReason::Overloaded => "overloaded",
            CloseReason::Evicted => "evicted",
            CloseReason::Shed => "shed",
            CloseReason::Refused => "refused",
            CloseReason::MemoryLimit => "memory limit",
            CloseReason::Forced => "forced",
        })
    }
}
