//! Request methods and protocol versions.

use super::ParseError;

/// The registered methods a server meets; every other token is [`Other`](Method::Other), and its
/// name is read from the request ([`Request::method_name`](super::Request::method_name)).
///
/// Methods are case-sensitive (RFC 9110, 9.1): `get` is `Other`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`: like GET, answered without content
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `CONNECT`
    Connect,
    /// `OPTIONS`
    Options,
    /// `TRACE`
    Trace,
    /// `PATCH` (RFC 5789)
    Patch,
    /// Any other token of at most [`Method::BYTES_MAX`] octets.
    Other,
}

impl Method {
    /// The longest method accepted, in bytes; longer ones are answered 501.
    pub const BYTES_MAX: usize = 32;

    /// The method a token names.
    pub(super) fn from_token(token: &[u8]) -> Method {
        match token {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"CONNECT" => Method::Connect,
            b"OPTIONS" => Method::Options,
            b"TRACE" => Method::Trace,
            b"PATCH" => Method::Patch,
            _ => Method::Other,
        }
    }
}

/// The protocol version a message is processed as.
///
/// `HTTP/1.2` to `HTTP/1.9` are processed as 1.1, the highest minor version known (RFC 9110, 6.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

impl Version {
    /// The length of its name, whichever it is.
    pub(super) const NAME_BYTES: usize = "HTTP/1.1".len();

    /// The version with this name, which is case-sensitive and has one digit on each side of the
    /// dot (RFC 9112, 2.3).
    #[inline]
    pub(super) fn from_name(name: &[u8; Version::NAME_BYTES]) -> Result<Version, ParseError> {
        match name {
            b"HTTP/1.0" => Ok(Version::Http10),
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => Ok(Version::Http11),
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
                Err(ParseError::VersionUnsupported)
            }
            _ => Err(ParseError::Version),
        }
    }
}
