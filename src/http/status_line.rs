//! The status line: version, code, reason phrase (RFC 9112, 4).
//!
//! ```text
//!   HTTP-version SP 3DIGIT SP *( HTAB / SP / VCHAR / obs-text ) CR LF
//! ```
//!
//! The phrase may be empty; the SP in front of it may not be missing, as the grammar has it. RFC
//! 9112, 4 allows to take any white space for these SPs; trine does not. Codes are those that
//! [`Status`] has, 100 to 999: RFC 9110, 15 wants those above 599 treated as a server's error, not
//! as no response.

use super::block;
use super::head::Span;
use super::headers::LINE_END;
use super::{ParseError, Status, Version};

/// Where the reason phrase begins in the line.
const REASON_AT: usize = HTTP_11.len() + "200 ".len();
const HTTP_11: &[u8; 9] = b"HTTP/1.1 ";

/// What a status line says, with offsets into the message.
#[derive(Clone, Copy, Debug)]
pub(super) struct StatusLine {
    pub version: Version,
    pub status: Status,
    pub reason: Span,
}

/// Reads the line that `octets`, and the message, begin with if it is whole and as nearly all are: of HTTP/1.1, without
/// HTAB. Returns it with its length, line end included.
///
/// Of any other it says nothing: that is for the line machine and [`parse`], which would say the
/// same of this one.
#[inline(always)]
pub(super) fn parse_plain(octets: &[u8]) -> Option<(StatusLine, usize)> {
    let (version, rest) = octets.split_first_chunk()?;
    let (status, phrase) = status(rest)?;
    let reason_len = block::text_len(phrase)?;
    if version != HTTP_11 || phrase.get(reason_len..)?.first_chunk() != Some(LINE_END) {
        return None;
    }
    let line = StatusLine {
        version: Version::Http11,
        status,
        reason: Span::at(REASON_AT, reason_len),
    };
    Some((line, REASON_AT + reason_len + LINE_END.len()))
}

/// Reads `line`, which ends in CR LF and is text but for that; `start` is its offset in the
/// message.
pub(super) fn parse(line: &[u8], start: usize) -> Result<StatusLine, ParseError> {
    let text = &line[..line.len() - LINE_END.len()];
    let (name, rest) = text.split_first_chunk().ok_or(ParseError::Version)?;
    let version = Version::from_name(name)?;
    let rest = rest.strip_prefix(b" ").ok_or(ParseError::Version)?;
    let (status, phrase) = status(rest).ok_or(ParseError::StatusCode)?;
    Ok(StatusLine {
        version,
        status,
        reason: Span::at(start + REASON_AT, phrase.len()),
    })
}

/// The status in front of `octets`, and what is behind the SP that ends it.
#[inline(always)]
fn status(octets: &[u8]) -> Option<(Status, &[u8])> {
    let (&digits, rest) = octets.split_first_chunk()?;
    Some((Status::from_digits(digits)?, rest.strip_prefix(b" ")?))
}
