//! Messages that must be taken and messages that must be refused, shared by the tests that feed
//! them whole and the tests that feed them in pieces.
#![allow(dead_code, unused_imports, reason = "each test crate uses a part")]

mod bodies;
mod responses;

pub use bodies::{BAD_BODIES, CHUNKED};
pub use responses::{ACCEPTED_RESPONSES, REFUSED_RESPONSES};
use trine::http::{Framing, Limits, ParseError, ParseError as E};

/// A head that must be taken.
pub struct Accepted {
    pub why: &'static str,
    pub head: &'static str,
    pub framing: Framing,
    pub persistent: bool,
}

/// A head that must be refused; `section` is where the rule stands.
pub struct Refused {
    pub section: &'static str,
    pub head: &'static [u8],
    pub status: u16,
    pub error: ParseError,
}

/// Small limits, so that rows stay short.
pub fn limits() -> Limits {
    Limits {
        head_bytes_max: 300,
        target_bytes_max: 40,
        fields_max: 5,
        body_bytes_max: 1000,
        streamed_bytes_max: 1000,
        chunk_overhead_bytes_max: 40,
        trailer_bytes_max: 40,
        empty_lines_max: 2,
    }
}

const fn open(why: &'static str, head: &'static str, framing: Framing) -> Accepted {
    Accepted {
        why,
        head,
        framing,
        persistent: true,
    }
}

const fn last(why: &'static str, head: &'static str) -> Accepted {
    Accepted {
        why,
        head,
        framing: Framing::None,
        persistent: false,
    }
}

const fn row(
    section: &'static str,
    status: u16,
    error: ParseError,
    head: &'static [u8],
) -> Refused {
    Refused {
        section,
        head,
        status,
        error,
    }
}

const NONE: Framing = Framing::None;

pub const ACCEPTED: &[Accepted] = &[
    open(
        "the least a 1.1 client may send",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        NONE,
    ),
    open(
        "names fold case, blanks are free",
        "GET / HTTP/1.1\r\nhOsT:\t a \t\r\n\r\n",
        NONE,
    ),
    open(
        "empty lines in front",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        NONE,
    ),
    open(
        "a higher minor version is 1.1",
        "GET / HTTP/1.9\r\nHost: a\r\n\r\n",
        NONE,
    ),
    open(
        "any token is a method",
        "M-SEARCH!#$%&'*+.^_`|~09az / HTTP/1.1\r\nHost: a\r\n\r\n",
        NONE,
    ),
    open(
        "a method of 32 octets",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345 / HTTP/1.1\r\nHost: a\r\n\r\n",
        NONE,
    ),
    open(
        "a query and odd octets",
        "GET /a?b=c|\"<>{}[]^`\\~ HTTP/1.1\r\nHost: a\r\n\r\n",
        NONE,
    ),
    open(
        "a target at its limit",
        "GET /234567890123456789012345678901234567890 HTTP/1.1\r\nHost: a\r\n\r\n",
        NONE,
    ),
    open(
        "asterisk form",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        NONE,
    ),
    open(
        "asterisk form without a host",
        "OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n",
        NONE,
    ),
    open(
        "authority form",
        "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        NONE,
    ),
    open(
        "authority form, IPv6",
        "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n",
        NONE,
    ),
    open(
        "absolute form",
        "GET http://b:80/x?y HTTP/1.1\r\nHost: a\r\n\r\n",
        NONE,
    ),
    open(
        "absolute form, https, no path",
        "GET HTTPS://b HTTP/1.1\r\nHost: a\r\n\r\n",
        NONE,
    ),
    open(
        "absolute form, empty Host",
        "GET http://b?q HTTP/1.1\r\nHost:\r\n\r\n",
        NONE,
    ),
    open(
        "an empty value",
        "GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n",
        NONE,
    ),
    open(
        "a value of blanks",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \t \r\n\r\n",
        NONE,
    ),
    open(
        "HTAB and obs-text in a value",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\tc é\r\n\r\n",
        NONE,
    ),
    open(
        "five fields, the limit",
        "GET / HTTP/1.1\r\nHost: a\r\nA:1\r\nA:2\r\nA:3\r\nA:4\r\n\r\n",
        NONE,
    ),
    open(
        "a length",
        "GET / HTTP/1.1\r\nHost: a\r\ncontent-LENGTH: 0005\r\n\r\n",
        Framing::Length(5),
    ),
    open(
        "a length of nothing",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        NONE,
    ),
    open(
        "the longest body",
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n",
        Framing::Length(1000),
    ),
    open(
        "chunked in any case",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:  CHUNKED\t\r\n\r\n",
        Framing::Chunked,
    ),
    open(
        "an expectation",
        "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n",
        Framing::Length(1),
    ),
    open(
        "an offer to upgrade",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        NONE,
    ),
    open(
        "unknown options",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: ,foo,, closed\r\n\r\n",
        NONE,
    ),
    open(
        "keep-alive of 1.0",
        "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
        NONE,
    ),
    last("1.0 without keep-alive", "GET / HTTP/1.0\r\n\r\n"),
    last(
        "close",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n",
    ),
    last(
        "close wins",
        "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
    ),
    last(
        "close wins over lines",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: x , close\r\nConnection: keep-alive\r\n\r\n",
    ),
    last(
        "unknown expectation of 1.0",
        "GET / HTTP/1.0\r\nExpect: gold\r\n\r\n",
    ),
];

pub const REFUSED: &[Refused] = &[
    // Lines.
    row("9112 2.2", 400, E::BareLf, b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    row("9112 2.2", 400, E::BareLf, b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
    row("9112 2.2", 400, E::BareLf, b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 2.2", 400, E::BareLf, b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    row("9112 2.2", 400, E::BareCr, b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"),
    row("9112 2.2", 400, E::BareCr, b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"),
    row("9112 2.2", 400, E::BareCr, b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 2.2", 400, E::BareCr, b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n"),
    row("9110 5.5", 400, E::ControlOctet, b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n"),
    row("9110 5.5", 400, E::ControlOctet, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n"),
    row("9110 5.5", 400, E::ControlOctet, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x0bb\r\n\r\n"),
    row("9112 3.2", 400, E::ControlOctet, b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 2.2", 400, E::ControlOctet, b"\x16\x03\x01\x02\0\x01"),
    row("9112 2.2", 400, E::EmptyLines { limit: 2 }, b"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    // The request line.
    row("9112 3.1", 400, E::Method, b" GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 3.1", 400, E::Method, b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 3.1", 400, E::Method, b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 3.1", 400, E::Method, b"GET\r\n\r\n"),
    row("9112 3", 501, E::MethodTooLong, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456 / HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 3", 501, E::MethodTooLong, &[b'A'; 200]),
    row("9112 3.2", 400, E::Target, b"GET  HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 3", 400, E::Target, b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 3", 400, E::Target, b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 3.2", 400, E::Target, b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 3.2", 400, E::Target, b"GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 3.2", 400, E::Target, b"GET /#f HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 3.2", 400, E::Target, b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 3.2", 400, E::Target, b"GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 3.2.4", 400, E::Target, b"GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 3.2.4", 400, E::Target, b"OPTIONS *x HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 3.2.3", 400, E::Target, b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 3.2.3", 400, E::Target, b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9110 9.3.6", 400, E::Target, b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9110 9.3.6", 400, E::Target, b"CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9110 9.3.6", 400, E::Target, b"CONNECT a:0 HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9110 4.2.1", 400, E::Target, b"GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9110 4.2.1", 400, E::Target, b"GET http://:80/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9110 4.2.4", 400, E::Target, b"GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 3.2.2", 400, E::Target, b"GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 3", 414, E::TargetTooLong { limit: 40 }, b"GET /2345678901234567890123456789012345678901 HTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9112 3", 414, E::TargetTooLong { limit: 40 }, b"GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    row("9112 2.3", 400, E::Version, b"GET /\r\n\r\n"),
    row("9112 2.3", 400, E::Version, b"GET / \r\n\r\n"),
    row("9112 2.3", 400, E::Version, b"GET / http/1.1\r\nHost: a\r\n\r\n"),
    row("9112 2.3", 400, E::Version, b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
    row("9112 2.3", 400, E::Version, b"GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
    row("9112 2.3", 400, E::Version, b"GET / HTTP/1,1\r\nHost: a\r\n\r\n"),
    row("9112 2.3", 400, E::Version, b"GET / HTTP/1.x\r\nHost: a\r\n\r\n"),
    row("9112 2.3", 400, E::Version, b"GET / HTTPS/1.1\r\nHost: a\r\n\r\n"),
    row("9112 2.3", 400, E::Version, b"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n"),
    row("9110 15.6.6", 505, E::VersionUnsupported, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    row("9110 15.6.6", 505, E::VersionUnsupported, b"GET / HTTP/0.9\r\n\r\n"),
    // Fields.
    row("9112 5.2", 400, E::FoldedLine, b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n"),
    row("9112 5.2", 400, E::FoldedLine, b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n"),
    row("9112 2.2", 400, E::FoldedLine, b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    row("9112 5.2", 400, E::FoldedLine, b"GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n"),
    row("9112 5.1", 400, E::FieldName, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    row("9112 5.1", 400, E::FieldName, b"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n"),
    row("9112 5.1", 400, E::FieldName, b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n"),
    row("9112 5.1", 400, E::FieldName, b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n"),
    row("9112 5.1", 400, E::FieldName, b"GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n"),
    row("9112 5.1", 400, E::FieldName, b"GET / HTTP/1.1\r\nHost: a\r\nX\xa0: b\r\n\r\n"),
    row("9112 5.1", 400, E::FieldName, b"GET / HTTP/1.1\r\nHost: a\r\n\"X\": b\r\n\r\n"),
    row("6585 5", 431, E::TooManyFields { limit: 5 }, b"GET / HTTP/1.1\r\nHost: a\r\nA:1\r\nA:2\r\nA:3\r\nA:4\r\nA:5\r\n\r\n"),
    row("6585 5", 431, E::HeadTooLong { limit: 300 }, b"GET / HTTP/1.1\r\nHost: a\r\nCookie: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n"),
    // Host.
    row("9112 3.2", 400, E::HostMissing, b"GET / HTTP/1.1\r\n\r\n"),
    row("9112 3.2", 400, E::HostMissing, b"GET http://b/ HTTP/1.1\r\nHos: a\r\n\r\n"),
    row("9112 3.2", 400, E::HostRepeated, b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    row("9112 3.2", 400, E::HostRepeated, b"GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n"),
    row("9112 3.2", 400, E::Host, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    row("9112 3.2", 400, E::Host, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    row("9112 3.2", 400, E::Host, b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    row("9112 3.2", 400, E::Host, b"GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n"),
    row("9112 3.2", 400, E::Host, b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"),
    row("9112 3.2", 400, E::Host, b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
    row("9112 3.2", 400, E::Host, b"GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n"),
    row("9110 4.2.1", 400, E::Host, b"GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    row("9110 4.2.1", 400, E::Host, b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n"),
    // Framing.
    row("9112 6.3", 400, E::ContentLength, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n"),
    row("9112 6.3", 400, E::ContentLength, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"),
    row("9112 6.3", 400, E::ContentLength, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n"),
    row("9112 6.3", 400, E::ContentLength, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 2\r\n\r\n"),
    row("9112 6.3", 400, E::ContentLength, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_2\r\n\r\n"),
    row("9112 6.3", 400, E::ContentLength, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n"),
    row("9112 6.3", 400, E::ContentLength, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"),
    row("9112 6.3", 400, E::ContentLength, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: \xa05\r\n\r\n"),
    row("9110 8.6", 400, E::ContentLength, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n"),
    row("9110 8.6", 400, E::ContentLength, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551621\r\n\r\n"),
    row("9112 6.3", 400, E::ContentLengthRepeated, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"),
    row("9112 6.3", 400, E::ContentLengthRepeated, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-length: 6\r\n\r\n"),
    row("9112 6.1", 400, E::AmbiguousFraming, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
    row("9112 6.1", 400, E::AmbiguousFraming, b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"),
    row("9112 6.1", 400, E::AmbiguousFraming, b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\nContent-Length: 5\r\n\r\n"),
    row("9112 6.1", 400, E::TransferEncodingInHttp10, b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    row("9112 6.1", 400, E::TransferEncodingInHttp10, b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
    row("9112 6.3", 400, E::TransferEncoding, b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n"),
    row("9112 6.3", 400, E::TransferEncoding, b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"),
    row("9112 6.3", 400, E::TransferEncoding, b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n"),
    row("9112 6.3", 400, E::TransferEncoding, b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n"),
    row("9112 6.1", 400, E::TransferEncoding, b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
    row("9112 6.3", 400, E::TransferEncoding, b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n"),
    row("9112 6.3", 400, E::TransferEncoding, b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,chunked\r\n\r\n"),
    row("9112 6.3", 400, E::TransferEncoding, b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n"),
    row("9112 6.3", 400, E::TransferEncoding, b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\xa0\r\n\r\n"),
    row("9112 7.1", 400, E::TransferEncoding, b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n"),
    row("9112 6.1", 501, E::TransferCodingUnknown, b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
    row("9112 6.1", 501, E::TransferCodingUnknown, b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n"),
    row("9110 10.1.1", 417, E::Expectation, b"GET / HTTP/1.1\r\nHost: a\r\nExpect: gold\r\n\r\n"),
    row("9110 10.1.1", 417, E::Expectation, b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, x\r\n\r\n"),
    row("9110 10.1.1", 417, E::Expectation, b"GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nExpect: 100-continue\r\n\r\n"),
    row("9110 15.5.14", 413, E::BodyTooLong { limit: 1000 }, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n"),
    row("9110 15.5.14", 413, E::BodyTooLong { limit: 1000 }, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n"),
];
