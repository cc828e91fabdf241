//! Heads of responses that must be taken and that must be refused.

use trine::http::{Framing, Method, ParseError, ParseError as E, ResponseFraming};

/// A head that must be taken in answer to a request with the method `answered`.
pub struct AcceptedResponse {
    pub why: &'static str,
    pub answered: Method,
    pub head: &'static [u8],
    pub framing: ResponseFraming,
    pub persistent: bool,
}

/// A head that must be refused; `section` is where the rule stands.
pub struct RefusedResponse {
    pub section: &'static str,
    pub answered: Method,
    pub head: &'static [u8],
    pub error: ParseError,
}

const NONE: ResponseFraming = ResponseFraming::SelfDelimited(Framing::None);
const CHUNKED: ResponseFraming = ResponseFraming::SelfDelimited(Framing::Chunked);
const CLOSE: ResponseFraming = ResponseFraming::UntilClose;
const TUNNEL: ResponseFraming = ResponseFraming::Tunnel;

const fn length(length: u64) -> ResponseFraming {
    ResponseFraming::SelfDelimited(Framing::Length(length))
}

/// In answer to GET; the connection stays open.
const fn open(
    why: &'static str,
    head: &'static [u8],
    framing: ResponseFraming,
) -> AcceptedResponse {
    to(Method::Get, why, head, framing)
}

const fn to(
    answered: Method,
    why: &'static str,
    head: &'static [u8],
    framing: ResponseFraming,
) -> AcceptedResponse {
    AcceptedResponse {
        why,
        answered,
        head,
        framing,
        persistent: true,
    }
}

/// The last one on its connection.
const fn last(row: AcceptedResponse) -> AcceptedResponse {
    AcceptedResponse {
        persistent: false,
        ..row
    }
}

/// In answer to GET.
const fn bad(section: &'static str, error: ParseError, head: &'static [u8]) -> RefusedResponse {
    RefusedResponse {
        section,
        answered: Method::Get,
        head,
        error,
    }
}

const fn bad_to(answered: Method, row: RefusedResponse) -> RefusedResponse {
    RefusedResponse { answered, ..row }
}

#[rustfmt::skip] // one row, one line
pub const ACCEPTED_RESPONSES: &[AcceptedResponse] = &[
    open("a length", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", length(5)),
    open("a length of 0", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", NONE),
    open("a length with zeros in front", b"HTTP/1.1 200 OK\r\nContent-Length: 007\r\n\r\n", length(7)),
    open("chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", CHUNKED),
    last(open("no framing", b"HTTP/1.1 200 OK\r\n\r\n", CLOSE)),
    last(open("no framing and an offer to stay", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", CLOSE)),
    open("an empty phrase", b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", NONE),
    open("a phrase of blanks", b"HTTP/1.1 200  \t \r\nContent-Length: 0\r\n\r\n", NONE),
    open("a phrase with HTAB and digits", b"HTTP/1.1 404 4\t0 4: no\r\nContent-Length: 0\r\n\r\n", NONE),
    open("a phrase in UTF-8", b"HTTP/1.1 200 \xc3\xa9t\xc3\xa9\r\nContent-Length: 0\r\n\r\n", NONE),
    open("a phrase in no encoding", b"HTTP/1.1 200 \xff\x80\r\nContent-Length: 0\r\n\r\n", NONE),
    open("a phrase longer than a block", b"HTTP/1.1 431 Request Header Fields Too Large, Much Too Large\r\nContent-Length: 0\r\n\r\n", NONE),
    open("a code nobody registered", b"HTTP/1.1 999 \r\nContent-Length: 0\r\n\r\n", NONE),
    open("names fold case, blanks are free", b"HTTP/1.1 200 OK\r\ncOnTeNt-LeNgTh:\t5 \t\r\n\r\n", length(5)),
    open("an empty value", b"HTTP/1.1 200 OK\r\nX:\r\nContent-Length: 5\r\n\r\n", length(5)),
    open("any token is a name", b"HTTP/1.1 200 OK\r\n!#$%&'*+-.^_`|~09: a\r\nContent-Length: 5\r\n\r\n", length(5)),
    open("a higher minor version is 1.1", b"HTTP/1.9 200 OK\r\nContent-Length: 5\r\n\r\n", length(5)),
    open("Host and Expect mean nothing", b"HTTP/1.1 200 OK\r\nHost: \r\nHost: a b\r\nExpect: x\r\nContent-Length: 0\r\n\r\n", NONE),
    open("as many fields as may be", b"HTTP/1.1 200 OK\r\nA: a\r\nB: b\r\nC: c\r\nD: d\r\nContent-Length: 0\r\n\r\n", NONE),
    last(open("1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", length(5))),
    open("1.0 that stays", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive\r\n\r\n", length(5)),
    last(open("1.1 that ends", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: a, CLOSE,\r\n\r\n", length(5))),
    last(open("close wins", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", length(5))),
    open("204", b"HTTP/1.1 204 No Content\r\n\r\n", NONE),
    open("204 with a length", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", NONE),
    open("205 is framed as any", b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", NONE),
    open("304 with the length of what was not sent", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99999999999\r\n\r\n", NONE),
    open("100", b"HTTP/1.1 100 Continue\r\n\r\n", NONE),
    open("103", b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n", NONE),
    last(open("101", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", TUNNEL)),
    to(Method::Head, "HEAD with a length beyond the limit", b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", NONE),
    to(Method::Head, "HEAD with chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", NONE),
    to(Method::Head, "HEAD without framing", b"HTTP/1.1 200 OK\r\n\r\n", NONE),
    last(to(Method::Connect, "CONNECT", b"HTTP/1.1 200 \r\n\r\n", TUNNEL)),
    last(to(Method::Connect, "CONNECT ignores framing fields", b"HTTP/1.1 299 OK\r\nContent-Length: x\r\nContent-Length: 5\r\nTransfer-Encoding: y\r\n\r\n", TUNNEL)),
    to(Method::Connect, "CONNECT refused", b"HTTP/1.1 407 No\r\nContent-Length: 5\r\n\r\n", length(5)),
    open("a length at the limit", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", length(1000)),
];

#[rustfmt::skip] // one row, one line
pub const REFUSED_RESPONSES: &[RefusedResponse] = &[
    // The status line.
    bad("9112 2.2", E::EmptyLines { limit: 0 }, b"\r\nHTTP/1.1 200 OK\r\n\r\n"),
    bad("9112 2.3", E::Version, b" HTTP/1.1 200 OK\r\n\r\n"),
    bad("9112 2.3", E::Version, b"200 OK\r\n\r\n"),
    bad("9112 2.3", E::Version, b"HTTP/1.1\r\n\r\n"),
    bad("9112 2.3", E::Version, b"HTTP/1.1\t200 OK\r\n\r\n"),
    bad("9112 2.3", E::Version, b"http/1.1 200 OK\r\n\r\n"),
    bad("9112 2.3", E::Version, b"HTTP/1.10 200 OK\r\n\r\n"),
    bad("9112 2.3", E::Version, b"HTTP/01.1 200 OK\r\n\r\n"),
    bad("9112 2.3", E::Version, b"HTTP/1 200 OK\r\n\r\n"),
    bad("9112 2.3", E::Version, b"HTTP/1,1 200 OK\r\n\r\n"),
    bad("9112 2.3", E::Version, b"HTTP/1.x 200 OK\r\n\r\n"),
    bad("9112 2.3", E::Version, b"ICY 200 OK\r\n\r\n"),
    bad("9112 2.3", E::Version, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("9110 15.6.6", E::VersionUnsupported, b"HTTP/2.0 200 OK\r\n\r\n"),
    bad("9110 15.6.6", E::VersionUnsupported, b"HTTP/0.9 200 OK\r\n\r\n"),
    bad("9112 4", E::StatusCode, b"HTTP/1.1 \r\n\r\n"),
    bad("9112 4", E::StatusCode, b"HTTP/1.1  200 OK\r\n\r\n"),
    bad("9112 4", E::StatusCode, b"HTTP/1.1 200\r\n\r\n"),
    bad("9112 4", E::StatusCode, b"HTTP/1.1 200\tOK\r\n\r\n"),
    bad("9112 4", E::StatusCode, b"HTTP/1.1 200OK\r\n\r\n"),
    bad("9112 4", E::StatusCode, b"HTTP/1.1 20 OK\r\n\r\n"),
    bad("9112 4", E::StatusCode, b"HTTP/1.1 2000 OK\r\n\r\n"),
    bad("9112 4", E::StatusCode, b"HTTP/1.1 099 OK\r\n\r\n"),
    bad("9112 4", E::StatusCode, b"HTTP/1.1 000 OK\r\n\r\n"),
    bad("9112 4", E::StatusCode, b"HTTP/1.1 +20 OK\r\n\r\n"),
    bad("9112 4", E::StatusCode, b"HTTP/1.1 2x0 OK\r\n\r\n"),
    bad("9112 4", E::StatusCode, b"HTTP/1.1 OK\r\n\r\n"),
    // Line ends and control octets.
    bad("9112 2.2", E::BareLf, b"HTTP/1.1 200 OK\n\r\n"),
    bad("9112 2.2", E::BareLf, b"\nHTTP/1.1 200 OK\r\n\r\n"),
    bad("9112 2.2", E::BareLf, b"HTTP/1.1 200 O\nK: a\r\n\r\n"),
    bad("9112 2.2", E::BareLf, b"HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n"),
    bad("9112 2.2", E::BareLf, b"HTTP/1.1 200 OK\r\nA: b\r\n\n"),
    bad("9112 2.2", E::BareCr, b"HTTP/1.1 200 O\rK\r\n\r\n"),
    bad("9112 2.2", E::BareCr, b"HTTP/1.1 200 OK\r\r\n\r\n"),
    bad("9112 2.2", E::BareCr, b"HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n"),
    bad("9112 2.2", E::BareCr, b"HTTP/1.1 200 OK\r\n\rA: b\r\n\r\n"),
    bad("9110 5.5", E::ControlOctet, b"HTTP/1.1 200 O\0K\r\n\r\n"),
    bad("9110 5.5", E::ControlOctet, b"HTTP/1.1 200 OK\x7f\r\n\r\n"),
    bad("9110 5.5", E::ControlOctet, b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n"),
    bad("9110 5.5", E::ControlOctet, b"HTTP/1.1 200 OK\r\nA\x0b: b\r\n\r\n"),
    // Fields.
    bad("9112 5.2", E::FoldedLine, b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"),
    bad("9112 5.2", E::FoldedLine, b"HTTP/1.1 200 OK\r\n\tA: b\r\n\r\n"),
    bad("9112 5.1", E::FieldName, b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n"),
    bad("9112 5.1", E::FieldName, b"HTTP/1.1 200 OK\r\nContent-Length\t: 5\r\n\r\n"),
    bad("9112 5.1", E::FieldName, b"HTTP/1.1 200 OK\r\n: 5\r\n\r\n"),
    bad("9112 5.1", E::FieldName, b"HTTP/1.1 200 OK\r\nA\r\n\r\n"),
    bad("9112 5.1", E::FieldName, b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n"),
    bad("9112 5.1", E::FieldName, b"HTTP/1.1 200 OK\r\n\xe9: c\r\n\r\n"),
    // Framing.
    bad("9112 6.3", E::ContentLength, b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n"),
    bad("9112 6.3", E::ContentLength, b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n"),
    bad("9112 6.3", E::ContentLength, b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n"),
    bad("9112 6.3", E::ContentLength, b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n"),
    bad("9112 6.3", E::ContentLength, b"HTTP/1.1 204 OK\r\nContent-Length: x\r\n\r\n"),
    bad("9112 6.3", E::ContentLengthRepeated, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"),
    bad("9112 6.3", E::ContentLengthRepeated, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n"),
    bad("9112 6.1", E::AmbiguousFraming, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
    bad("9112 6.1", E::AmbiguousFraming, b"HTTP/1.1 304 \r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"),
    bad_to(Method::Head, bad("9112 6.1", E::AmbiguousFraming, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n")),
    bad_to(Method::Connect, bad("9112 6.1", E::AmbiguousFraming, b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n")),
    bad("9112 6.1", E::TransferEncodingInHttp10, b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    bad("9112 6.1", E::TransferCodingUnknown, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
    bad("9112 6.3", E::TransferEncoding, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n"),
    bad("9112 6.3", E::TransferEncoding, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"),
    bad("9112 6.3", E::TransferEncoding, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n"),
    bad("9112 6.3", E::TransferEncoding, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
    bad("9112 6.3", E::TransferEncoding, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: ,chunked\r\n\r\n"),
    bad("9112 6.3", E::TransferEncoding, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x80chunked\r\n\r\n"),
    bad("9112 6.3", E::TransferEncoding, b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n"),
    bad("9112 6.3", E::TransferEncoding, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;a=b\r\n\r\n"),
    // Limits.
    bad("9110 15.5.14", E::BodyTooLong { limit: 1000 }, b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n"),
    bad("6585 5", E::TooManyFields { limit: 5 }, b"HTTP/1.1 200 OK\r\nA: a\r\nB: b\r\nC: c\r\nD: d\r\nE: e\r\nF: f\r\n\r\n"),
    bad("6585 5", E::HeadTooLong { limit: 300 }, &[b'H'; 301]),
    bad("6585 5", E::HeadTooLong { limit: 300 }, b"HTTP/1.1 200 OK\r\nA: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n"),
];
