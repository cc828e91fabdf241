//! The line in front of a chunk: its size and its extensions (RFC 9112, 7.1).
//!
//! ```text
//!   1*HEXDIG *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] ) CR LF
//! ```
//!
//! Extensions mean nothing to trine, but they are held to their grammar: a reader that skips
//! "anything" to the line end is how a LF inside one came to hide a chunk from a front end.

use super::ParseError;
use super::grammar::{is_blank, token_len};

/// Octets of a size line that data can pay for: sixteen digits and the line end.
pub(super) const PAID_BYTES_MAX: usize = 18;

/// What a size line says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ChunkSize {
    /// In bytes; 0 for the last chunk.
    pub size: u64,
    /// Octets of the line, digits and line end, that do not count as overhead as the data is at
    /// least as long. Extensions always count, and so do the lines of very small chunks.
    pub paid: usize,
}

/// Reads `line`, which ends in CR LF.
pub(super) fn parse(line: &[u8]) -> Result<ChunkSize, ParseError> {
    let text = &line[..line.len() - "\r\n".len()];
    let digits = text.iter().take_while(|octet| octet.is_ascii_hexdigit());
    let digits_len = digits.count();
    let size = hexadecimal(&text[..digits_len]).ok_or(ParseError::ChunkSize)?;
    let plain = (digits_len + "\r\n".len()).min(PAID_BYTES_MAX);
    let paid = usize::try_from(size).map_or(plain, |size| size.min(plain));
    match text.get(digits_len) {
        None => Ok(ChunkSize { size, paid }),
        Some(b';' | b' ' | b'\t') if are_extensions(&text[digits_len..]) => {
            Ok(ChunkSize { size, paid })
        }
        Some(b';' | b' ' | b'\t') => Err(ParseError::ChunkExtension),
        Some(_) => Err(ParseError::ChunkSize),
    }
}

/// The number that `digits` write, if there is at least one and it is below 2^63, so that no
/// position computed from it can overflow. Leading zeros are allowed; they count as overhead.
fn hexadecimal(digits: &[u8]) -> Option<u64> {
    let append = |number: u64, &octet: &u8| {
        let digit = char::from(octet).to_digit(16)?;
        let fits = number <= (i64::MAX as u64) >> 4;
        fits.then_some(number << 4 | u64::from(digit))
    };
    let number = digits.iter().try_fold(0, append);
    number.filter(|_| !digits.is_empty())
}

/// Whether `text` is nothing but extensions. Control octets cannot occur: the line machine let
/// none pass.
fn are_extensions(mut text: &[u8]) -> bool {
    while !text.is_empty() {
        let Some(rest) = extension(text) else {
            return false;
        };
        text = rest;
    }
    true
}

/// What follows the extension in front of `text`.
fn extension(text: &[u8]) -> Option<&[u8]> {
    let name = skip_blanks(skip_blanks(text).strip_prefix(b";")?);
    let rest = skip_token(name)?;
    let Some(value) = skip_blanks(rest).strip_prefix(b"=") else {
        return Some(rest);
    };
    let value = skip_blanks(value);
    match value.strip_prefix(b"\"") {
        Some(quoted) => skip_quoted(quoted),
        None => skip_token(value),
    }
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let len = text.iter().take_while(|&&octet| is_blank(octet)).count();
    &text[len..]
}

fn skip_token(text: &[u8]) -> Option<&[u8]> {
    match token_len(text) {
        0 => None,
        len => Some(&text[len..]),
    }
}

/// What follows the closing quote (RFC 9110, 5.6.4); a backslash takes the next octet along.
fn skip_quoted(text: &[u8]) -> Option<&[u8]> {
    let mut octets = text.iter();
    loop {
        match octets.next()? {
            b'"' => return Some(octets.as_slice()),
            b'\\' => octets.next().map(drop)?,
            _ => {}
        }
    }
}
