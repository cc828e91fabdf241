//! Why bytes are not a message that trine takes.

use std::fmt;

use super::Status;

/// Why bytes are not an HTTP/1.1 request, or not a response.
///
/// Each variant is one rule of the grammar or one limit, so that a test can name the rule and the
/// server can choose the status from the error alone. After any of them the boundaries of later
/// messages are unknown: a server answers [`status`](ParseError::status) and closes, a client
/// closes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ParseError {
    /// A CR that no LF follows (RFC 9112, 2.2).
    BareCr,
    /// A LF that no CR precedes (RFC 9112, 2.2 allows to accept it; trine does not).
    BareLf,
    /// NUL, DEL or another control octet in a line (RFC 9110, 5.5).
    ControlOctet,
    /// More than `limit` empty lines before the request line (RFC 9112, 2.2).
    EmptyLines {
        /// In lines.
        limit: u8,
    },
    /// The method is empty or not a token (RFC 9112, 3.1).
    Method,
    /// The method is longer than [`Method::BYTES_MAX`](super::Method::BYTES_MAX) (RFC 9112, 3).
    MethodTooLong,
    /// The request target is empty, has an octet that no URI has, or a form that the method does
    /// not allow (RFC 9112, 3.2).
    Target,
    /// The request target is longer than `limit` (RFC 9112, 3).
    TargetTooLong {
        /// In bytes.
        limit: u32,
    },
    /// The request line does not end in one SP and an HTTP version (RFC 9112, 2.3 and 3), or the
    /// status line does not begin with a version and one SP (RFC 9112, 4).
    Version,
    /// A major version other than 1 (RFC 9110, 15.6.6).
    VersionUnsupported,
    /// The status code is not three digits, from 100 on, with one SP behind them (RFC 9112, 4).
    StatusCode,
    /// A field line that begins with white space: a folded line (RFC 9112, 5.2), or white space
    /// before the first field (RFC 9112, 2.2).
    FoldedLine,
    /// A field name is empty, is not a token, is followed by white space or has no colon
    /// (RFC 9112, 5.1).
    FieldName,
    /// The head is longer than `limit` (RFC 6585, 5).
    HeadTooLong {
        /// In bytes; the request line, all fields and all line ends.
        limit: u32,
    },
    /// More than `limit` field lines (RFC 6585, 5).
    TooManyFields {
        /// In field lines.
        limit: u16,
    },
    /// An HTTP/1.1 request without `Host` (RFC 9112, 3.2).
    HostMissing,
    /// More than one `Host` (RFC 9112, 3.2).
    HostRepeated,
    /// A `Host` that is not a host with an optional port (RFC 9112, 3.2).
    Host,
    /// A `Content-Length` that is not a number of digits below 2^64 (RFC 9112, 6.3).
    ContentLength,
    /// More than one `Content-Length`, be they equal or not (RFC 9112, 6.3).
    ContentLengthRepeated,
    /// Both `Content-Length` and `Transfer-Encoding` (RFC 9112, 6.1).
    AmbiguousFraming,
    /// `Transfer-Encoding` in an HTTP/1.0 message (RFC 9112, 6.1).
    TransferEncodingInHttp10,
    /// The last transfer coding is not `chunked`, or `chunked` comes twice (RFC 9112, 6.3).
    TransferEncoding,
    /// A transfer coding other than `chunked` below it (RFC 9112, 6.1).
    TransferCodingUnknown,
    /// An `Expect` other than `100-continue` (RFC 9110, 10.1.1).
    Expectation,
    /// The body is longer than `limit` (RFC 9110, 15.5.14).
    BodyTooLong {
        /// In bytes.
        limit: u64,
    },
    /// A chunk size that is empty, not hexadecimal or does not fit (RFC 9112, 7.1).
    ChunkSize,
    /// A chunk extension outside the grammar (RFC 9112, 7.1.1).
    ChunkExtension,
    /// Chunk data that CR LF does not follow (RFC 9112, 7.1).
    ChunkEnd,
    /// The size lines and extensions of one body are longer than `limit` (RFC 9112, 7.1.1).
    ChunkOverheadTooLong {
        /// In bytes.
        limit: u32,
    },
    /// The trailer section is longer than `limit` (RFC 6585, 5).
    TrailersTooLong {
        /// In bytes.
        limit: u32,
    },
    /// The connection was closed before the body was whole (RFC 9112, 8).
    Incomplete,
}

impl ParseError {
    /// The status that tells the client what it did wrong. Of a response that cannot be taken a
    /// client is told 502 by whoever asked in its name, whatever the rule (RFC 9110, 15.6.3);
    /// rules that only responses can break say so here.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            ParseError::MethodTooLong | ParseError::TransferCodingUnknown => {
                Status::NOT_IMPLEMENTED
            }
            ParseError::TargetTooLong { .. } => Status::URI_TOO_LONG,
            ParseError::VersionUnsupported => Status::HTTP_VERSION_NOT_SUPPORTED,
            ParseError::HeadTooLong { .. }
            | ParseError::TooManyFields { .. }
            | ParseError::TrailersTooLong { .. } => Status::REQUEST_HEADER_FIELDS_TOO_LARGE,
            ParseError::BodyTooLong { .. } | ParseError::ChunkOverheadTooLong { .. } => {
                Status::CONTENT_TOO_LARGE
            }
            ParseError::Expectation => Status::EXPECTATION_FAILED,
            ParseError::StatusCode => Status::BAD_GATEWAY,
            _ => Status::BAD_REQUEST,
        }
    }

    /// The rule in words and the section that states it.
    fn rule(self) -> (&'static str, &'static str) {
        match self {
            ParseError::BareCr => ("CR without LF", "RFC 9112, 2.2"),
            ParseError::BareLf => ("LF without CR", "RFC 9112, 2.2"),
            ParseError::ControlOctet => ("control octet in a line", "RFC 9110, 5.5"),
            ParseError::EmptyLines { .. } => ("too many empty lines", "RFC 9112, 2.2"),
            ParseError::Method => ("method is not a token", "RFC 9112, 3.1"),
            ParseError::MethodTooLong => ("method too long", "RFC 9112, 3"),
            ParseError::Target => ("request target not valid here", "RFC 9112, 3.2"),
            ParseError::TargetTooLong { .. } => ("request target too long", "RFC 9112, 3"),
            ParseError::Version => ("HTTP version missing or malformed", "RFC 9112, 2.3"),
            ParseError::VersionUnsupported => ("major version is not 1", "RFC 9110, 15.6.6"),
            ParseError::StatusCode => ("status code is not three digits", "RFC 9112, 4"),
            ParseError::FoldedLine => ("line begins with white space", "RFC 9112, 5.2"),
            ParseError::FieldName => ("field name is not a token and a colon", "RFC 9112, 5.1"),
            ParseError::HeadTooLong { .. } => ("head too long", "RFC 6585, 5"),
            ParseError::TooManyFields { .. } => ("too many fields", "RFC 6585, 5"),
            ParseError::HostMissing => ("no Host", "RFC 9112, 3.2"),
            ParseError::HostRepeated => ("more than one Host", "RFC 9112, 3.2"),
            ParseError::Host => ("Host is not a host and port", "RFC 9112, 3.2"),
            ParseError::ContentLength => ("Content-Length is not a number", "RFC 9112, 6.3"),
            ParseError::ContentLengthRepeated => ("Content-Length repeated", "RFC 9112, 6.3"),
            ParseError::AmbiguousFraming => ("length and transfer coding", "RFC 9112, 6.1"),
            ParseError::TransferEncodingInHttp10 => ("transfer coding in 1.0", "RFC 9112, 6.1"),
            ParseError::TransferEncoding => ("chunked is not last and once", "RFC 9112, 6.3"),
            ParseError::TransferCodingUnknown => ("transfer coding unknown", "RFC 9112, 6.1"),
            ParseError::Expectation => ("expectation unknown", "RFC 9110, 10.1.1"),
            ParseError::BodyTooLong { .. } => ("body too long", "RFC 9110, 15.5.14"),
            ParseError::ChunkSize => ("chunk size is not a number", "RFC 9112, 7.1"),
            ParseError::ChunkExtension => ("chunk extension malformed", "RFC 9112, 7.1.1"),
            ParseError::ChunkEnd => ("chunk data does not end in CR LF", "RFC 9112, 7.1"),
            ParseError::ChunkOverheadTooLong { .. } => ("chunk lines too long", "RFC 9112, 7.1.1"),
            ParseError::TrailersTooLong { .. } => ("trailers too long", "RFC 6585, 5"),
            ParseError::Incomplete => ("closed before the body was whole", "RFC 9112, 8"),
        }
    }

    /// The limit that was passed, if it is one.
    fn limit(self) -> Option<u64> {
        match self {
            ParseError::EmptyLines { limit } => Some(limit.into()),
            ParseError::TooManyFields { limit } => Some(limit.into()),
            ParseError::BodyTooLong { limit } => Some(limit),
            ParseError::TargetTooLong { limit }
            | ParseError::HeadTooLong { limit }
            | ParseError::ChunkOverheadTooLong { limit }
            | ParseError::TrailersTooLong { limit } => Some(limit.into()),
            _ => None,
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rule, section) = self.rule();
        f.write_str(rule)?;
        if let Some(limit) = self.limit() {
            write!(f, ", limit {limit}")?;
        }
        write!(f, " ({section})")
    }
}

impl std::error::Error for ParseError {}
