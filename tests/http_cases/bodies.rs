//! Chunked bodies that must be taken and that must be refused.

use trine::http::{ParseError, ParseError as E};

/// A chunked body that must be refused.
pub struct BadBody {
    pub section: &'static str,
    pub body: &'static [u8],
    pub status: u16,
    pub error: ParseError,
}

const fn bad(section: &'static str, status: u16, error: E, body: &'static [u8]) -> BadBody {
    BadBody {
        section,
        body,
        status,
        error,
    }
}

/// A chunked body and its content.
pub const CHUNKED: &[(&[u8], &[u8])] = &[
    (b"0\r\n\r\n", b""),
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    (
        b"1\r\na\r\n2\r\nbc\r\n003\r\ndef\r\n0000\r\n\r\n",
        b"abcdef",
    ),
    (
        b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
        b"01234567890123456789",
    ),
    (b"3\r\na\r\n\r\n0\r\n\r\n", b"a\r\n"),
    (b"5;a;b=c;d=\"e\"\r\nhello\r\n0;x\r\n\r\n", b"hello"),
    (
        b"5 ; a = \"\\\"\\\\ \t\xe9;\" \t; b\r\nhello\r\n0\r\n\r\n",
        b"hello",
    ),
    (
        b"5\r\nhello\r\n0\r\nX: y\r\nContent-Length: 9\r\n\r\n",
        b"hello",
    ),
];

pub const BAD_BODIES: &[BadBody] = &[
    bad("9112 7.1", 400, E::ChunkSize, b"\r\nhello"),
    bad("9112 7.1", 400, E::ChunkSize, b"g\r\nhello"),
    bad("9112 7.1", 400, E::ChunkSize, b"+5\r\nhello"),
    bad("9112 7.1", 400, E::ChunkSize, b"-1\r\nhello"),
    bad("9112 7.1", 400, E::ChunkSize, b"0x5\r\nhello"),
    bad("9112 7.1", 400, E::ChunkSize, b"5_0\r\nhello"),
    bad("9112 7.1", 400, E::ChunkSize, b" 5\r\nhello"),
    bad("9112 7.1", 400, E::ChunkSize, b";a\r\n\r\n"),
    bad("9112 7.1", 400, E::ChunkSize, b"8000000000000000\r\n"),
    bad("9112 7.1", 400, E::ChunkSize, b"10000000000000005\r\nhello"),
    bad("9112 7.1", 400, E::ChunkSize, b"fffffffffffffffff\r\n"),
    bad("9112 7.1.1", 400, E::ChunkExtension, b"5 \r\nhello"),
    bad("9112 7.1.1", 400, E::ChunkExtension, b"5;\r\nhello"),
    bad("9112 7.1.1", 400, E::ChunkExtension, b"5;=a\r\nhello"),
    bad("9112 7.1.1", 400, E::ChunkExtension, b"5;a=\r\nhello"),
    bad("9112 7.1.1", 400, E::ChunkExtension, b"5;a=\"b\r\nhello"),
    bad(
        "9112 7.1.1",
        400,
        E::ChunkExtension,
        b"5;a=\"b\\\"\r\nhello",
    ),
    bad("9112 7.1.1", 400, E::ChunkExtension, b"5;a=\"b\"c\r\nhello"),
    bad("9112 7.1.1", 400, E::ChunkExtension, b"5;a b\r\nhello"),
    bad("9112 7.1", 400, E::BareLf, b"5\nhello\r\n0\r\n\r\n"),
    bad("9112 7.1", 400, E::BareLf, b"5;a\nhello\r\n0\r\n\r\n"),
    bad(
        "9112 7.1",
        400,
        E::BareLf,
        b"5;a=\"\n\"\r\nhello\r\n0\r\n\r\n",
    ),
    bad("9112 7.1", 400, E::BareCr, b"5\rhello\r\n0\r\n\r\n"),
    bad("9112 7.1", 400, E::BareCr, b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    bad(
        "9112 7.1",
        400,
        E::ControlOctet,
        b"5;a=\0\r\nhello\r\n0\r\n\r\n",
    ),
    bad("9112 7.1", 400, E::ChunkEnd, b"5\r\nhelloXX0\r\n\r\n"),
    bad("9112 7.1", 400, E::ChunkEnd, b"5\r\nhello\n0\r\n\r\n"),
    bad("9112 7.1", 400, E::ChunkEnd, b"5\r\nhello\rX0\r\n\r\n"),
    bad("9112 7.1", 400, E::ChunkEnd, b"5\r\nhello0\r\n\r\n"),
    bad("9112 7.1.2", 400, E::FieldName, b"0\r\nXX\r\n"),
    bad("9112 7.1.2", 400, E::FieldName, b"0\r\nX : y\r\n\r\n"),
    bad("9112 7.1.2", 400, E::FieldName, b"0\r\n: y\r\n\r\n"),
    bad("9112 7.1.2", 400, E::FoldedLine, b"0\r\nX: y\r\n z\r\n\r\n"),
    bad("9112 7.1.2", 400, E::BareLf, b"0\r\nX: y\nZ: w\r\n\r\n"),
    bad("9112 7.1.2", 400, E::BareLf, b"0\r\n\n"),
    bad("9112 7.1.2", 400, E::BareCr, b"0\r\n\rX"),
    bad(
        "9110 15.5.14",
        413,
        E::BodyTooLong { limit: 1000 },
        b"3e9\r\n",
    ),
    bad(
        "9110 15.5.14",
        413,
        E::BodyTooLong { limit: 1000 },
        b"1\r\na\r\n3e8\r\n",
    ),
    bad(
        "9110 15.5.14",
        413,
        E::BodyTooLong { limit: 1000 },
        b"7fffffffffffffff\r\n",
    ),
    bad(
        "9112 7.1.1",
        413,
        E::ChunkOverheadTooLong { limit: 40 },
        b"5;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ),
    bad(
        "9112 7.1.1",
        413,
        E::ChunkOverheadTooLong { limit: 40 },
        b"5;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
    ),
    bad(
        "9112 7.1",
        413,
        E::ChunkOverheadTooLong { limit: 40 },
        b"0000000000000000000000000000000000000000000000000000000000000000005\r\n",
    ),
    bad(
        "6585 5",
        431,
        E::TrailersTooLong { limit: 40 },
        b"0\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ),
    bad(
        "6585 5",
        431,
        E::TrailersTooLong { limit: 40 },
        b"0\r\nX: aaaaaaaaaaaaaaa\r\nX: aaaaaaaaaaaaaaa\r\nX: a\r\n\r\n",
    ),
];
