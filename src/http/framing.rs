//! Framing: where the body ends, decided in one place.
//!
//! Request smuggling is two readers that disagree on this. So nothing here is repaired or chosen
//! between: where RFC 9112, 6 lets a server pick one of two lengths, it is refused, and where a
//! front end may have read something else, it is refused as well. Trailers and later messages
//! never come back here.

use super::grammar::trim;
use super::{Limits, Method, ParseError, Status, Version};

/// How the end of a body is found that says itself where it ends, as all of requests do (RFC 9112,
/// 6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// There is no body.
    None,
    /// The body has exactly this many bytes, at least one.
    Length(u64),
    /// The body is a sequence of chunks that ends itself.
    Chunked,
}

impl Framing {
    /// What `Content-Length` and `Transfer-Encoding` mean together. The method of a request has no
    /// say (RFC 9112, 6).
    #[inline]
    pub(super) fn decide(
        version: Version,
        coding: TransferCoding,
        content_length: Option<u64>,
    ) -> Result<Framing, ParseError> {
        use TransferCoding as Coding;
        match (coding, version, content_length) {
            (Coding::Absent, _, None | Some(0)) => Ok(Framing::None),
            (Coding::Absent, _, Some(length)) => Ok(Framing::Length(length)),
            (_, Version::Http10, _) => Err(ParseError::TransferEncodingInHttp10),
            (_, Version::Http11, Some(_)) => Err(ParseError::AmbiguousFraming),
            (Coding::Chunked, Version::Http11, None) => Ok(Framing::Chunked),
            (Coding::OtherThenChunked, _, _) => Err(ParseError::TransferCodingUnknown),
            (Coding::Other | Coding::Invalid, _, _) => Err(ParseError::TransferEncoding),
        }
    }

    /// Refuses a length above the limit before any of the body has come.
    #[inline]
    pub(super) fn check(self, limits: &Limits) -> Result<(), ParseError> {
        let limit = limits.any_body_bytes_max();
        match self {
            Framing::Length(length) if length > limit => Err(ParseError::BodyTooLong { limit }),
            _ => Ok(()),
        }
    }
}

/// How the end of a response's body is found (RFC 9112, 6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResponseFraming {
    /// The response says itself where it ends.
    SelfDelimited(Framing),
    /// The body is all that comes until the server closes the connection.
    UntilClose,
    /// There is no body, and what follows the head is not HTTP: `101 (Switching Protocols)`, and
    /// any 2xx to CONNECT.
    Tunnel,
}

impl ResponseFraming {
    /// What is `declared` by the fields, if anything is, in a response to a request with the method
    /// `answered`. Where RFC 9112, 6.3 says that there is no body, no field says otherwise.
    #[inline]
    pub(super) fn decide(
        answered: Method,
        status: Status,
        declared: Option<Framing>,
    ) -> ResponseFraming {
        use ResponseFraming::{SelfDelimited, Tunnel, UntilClose};
        match (status, answered) {
            (Status::SWITCHING_PROTOCOLS, _) => Tunnel,
            _ if is_tunnel(answered, status) => Tunnel,
            (Status::NO_CONTENT | Status::NOT_MODIFIED, _) | (_, Method::Head) => {
                SelfDelimited(Framing::None)
            }
            _ if status.is_informational() => SelfDelimited(Framing::None),
            _ => declared.map_or(UntilClose, SelfDelimited),
        }
    }
}

/// Whether the response makes the connection a tunnel: its `Content-Length` and
/// `Transfer-Encoding` are to be ignored (RFC 9110, 9.3.6).
#[inline]
pub(super) fn is_tunnel(answered: Method, status: Status) -> bool {
    answered == Method::Connect && status.is_success()
}

/// The transfer codings of all `Transfer-Encoding` lines so far, in the order they were applied.
///
/// ```text
///   Absent ── chunked ──> Chunked ────────────────── anything ──> Invalid
///   Absent ── other ──> Other ── other ──> Other
///                       Other ── chunked ──> OtherThenChunked ── anything ──> Invalid
/// ```
///
/// An empty element leads to `Invalid` from everywhere: it is legal in lists, but here it only
/// ever serves to hide a coding from one of two readers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum TransferCoding {
    #[default]
    Absent,
    /// Only codings trine does not have; where the body ends nobody can know.
    Other,
    /// `chunked`, once and alone.
    Chunked,
    /// `chunked` is last, above codings that trine does not have.
    OtherThenChunked,
    /// Something follows `chunked`, or an element is empty.
    Invalid,
}

impl TransferCoding {
    /// The codings after one more field line.
    pub fn and(self, value: &[u8]) -> TransferCoding {
        let codings = value.split(|&octet| octet == b',').map(trim);
        codings.fold(self, TransferCoding::and_one)
    }

    fn and_one(self, coding: &[u8]) -> TransferCoding {
        use TransferCoding::{Absent, Chunked, Invalid, Other, OtherThenChunked};
        let is_chunked = coding.eq_ignore_ascii_case(b"chunked");
        match (self, is_chunked) {
            _ if coding.is_empty() => Invalid,
            (Absent, true) => Chunked,
            (Other, true) => OtherThenChunked,
            (Absent | Other, false) => Other,
            (Chunked | OtherThenChunked | Invalid, _) => Invalid,
        }
    }
}
