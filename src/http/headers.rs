//! Field lines: a name, a colon, a value (RFC 9112, 5), and the few fields that decide how the
//! connection goes on.
//!
//! [`FieldFacts`] gathers what those fields say, line by line; [`framing`](super::framing) and
//! the main machine judge it when the head is complete. A field that must not come twice is
//! refused when it does.

use super::block::{self, AUTHORITY_WINDOW, BLOCK};
use super::framing::TransferCoding;
use super::grammar::{decimal, folds_to, is_blank, token_len, trim};
use super::head::{FieldSpan, Span};
use super::{ParseError, Version};

pub(super) const LINE_END: &[u8; 2] = b"\r\n";

/// A field line taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'b> {
    pub name: &'b [u8],
    /// Without white space around it.
    pub value: &'b [u8],
    pub span: FieldSpan,
}

/// Reads the line of `text_len` octets in front of `octets`, which is text, if it is as nearly all
/// are: a plain name and one SP before a value.
///
/// Of any other it says nothing: that is for the line machine and [`parse`], which would say the
/// same of this one.
#[inline(always)]
pub(super) fn parse_plain(octets: &[u8], text_len: usize, start: usize) -> Option<Field<'_>> {
    let name_len = block::plain_name_len(octets).filter(|&len| len > 0)?;
    let line = octets.get(..text_len)?;
    let (name, rest) = line.split_at_checked(name_len)?;
    let value = rest.strip_prefix(b": ")?;
    if value.first() == Some(&b' ') || value.last() == Some(&b' ') {
        return None;
    }
    let value_start = name.len() + ": ".len();
    let span = FieldSpan {
        name: Span::at(start, name.len()),
        value: Span::at(start + value_start, value.len()),
    };
    Some(Field { name, value, span })
}

/// A `Host` line with a [plain authority](block::plain_authority_len).
#[derive(Clone, Copy, Debug)]
pub(super) struct PlainHost {
    pub span: FieldSpan,
    /// The line that ends the head is next.
    pub is_last: bool,
}

/// Reads the line in front of `octets`, `start` in the message, if it is `Host` with a
/// [plain authority](block::plain_authority_len).
#[inline(always)]
pub(super) fn parse_plain_host(octets: &[u8], start: usize) -> Option<PlainHost> {
    let window: &[u8; HOST_NAME.len() + AUTHORITY_WINDOW] = octets.first_chunk()?;
    let (name, value) = window.split_first_chunk::<{ HOST_NAME.len() }>()?;
    let is_host = folds_to(name.first_chunk::<4>()?, b"host") && name.last_chunk() == Some(b": ");
    if !is_host {
        return None;
    }
    let (len, behind): (usize, &[u8; 4]) = match block::short_authority_len(value.first_chunk()?)? {
        BLOCK => {
            let value = block::reach(octets.get(HOST_NAME.len()..)?, HOST_BYTES);
            let len = block::plain_authority_len(value)?;
            (len, value.get(len..)?.first_chunk()?)
        }
        len => (len, value.get(len..)?.first_chunk()?),
    };
    let span = FieldSpan {
        name: Span::at(start, "Host".len()),
        value: Span::at(start + HOST_NAME.len(), len),
    };
    let is_last = behind.last_chunk() == Some(LINE_END);
    (behind.first_chunk() == Some(LINE_END)).then_some(PlainHost { span, is_last })
}

const HOST_NAME: &str = "Host: ";

/// A host that is longer takes a closer look.
const HOST_BYTES: usize = 255;

impl PlainHost {
    /// The length of the message up to the end of this line.
    #[inline(always)]
    pub fn end(self) -> usize {
        self.span.value.end as usize + LINE_END.len()
    }
}

/// Reads `line`, which has no line end any more; `start` is its offset in the message.
pub(super) fn parse(line: &[u8], start: usize) -> Result<Field<'_>, ParseError> {
    match split_name(line) {
        Some((name, value)) => Ok(Field::new(name, value, start)),
        None if line.first().copied().is_some_and(is_blank) => Err(ParseError::FoldedLine),
        None => Err(ParseError::FieldName),
    }
}

/// The trailer fields behind a chunked body, in the order they came: pairs of name and value. They
/// say nothing of framing, routing or the connection, whatever their names are (RFC 9110, 6.5.1).
#[derive(Clone, Copy, Default, Debug)]
pub struct Trailers<'b> {
    /// Lines that were checked, each with its line end.
    lines: &'b [u8],
}

impl<'b> Trailers<'b> {
    /// What [`BodyDecoder::trailers`](super::BodyDecoder::trailers) points at.
    pub(crate) fn new(lines: &'b [u8]) -> Trailers<'b> {
        Trailers { lines }
    }

    /// The lines as they came.
    pub(super) fn lines(self) -> &'b [u8] {
        self.lines
    }
}

impl<'b> Iterator for Trailers<'b> {
    type Item = (&'b str, &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let len = self.lines.windows(2).position(|two| two == LINE_END)?;
        let (line, rest) = self.lines.split_at(len);
        self.lines = &rest[LINE_END.len()..];
        let field = parse(line, 0).ok()?;
        Some((std::str::from_utf8(field.name).ok()?, field.value))
    }
}

/// The name in front of a colon, and what is behind it.
#[inline(always)]
fn split_name(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = octets.split_at_checked(token_len(octets))?;
    let behind = rest.strip_prefix(b":")?;
    (!name.is_empty()).then_some((name, behind))
}

impl<'b> Field<'b> {
    /// The field whose line begins at `start` and has `text` behind the colon.
    #[inline(always)]
    fn new(name: &'b [u8], text: &'b [u8], start: usize) -> Field<'b> {
        let mut value = text.strip_prefix(b" ").unwrap_or(text);
        while let [b' ' | b'\t', inner @ ..] = value {
            value = inner;
        }
        let value_start = name.len() + 1 + text.len() - value.len();
        while let [inner @ .., b' ' | b'\t'] = value {
            value = inner;
        }
        let span = FieldSpan {
            name: Span::at(start, name.len()),
            value: Span::at(start + value_start, value.len()),
        };
        Field { name, value, span }
    }
}

/// What `Connection` and `Expect` and their like have said so far.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct FieldFacts {
    pub host: Option<Span>,
    /// The host is [plain](block::plain_authority_len) and so valid.
    pub host_is_plain: bool,
    /// Any of the fields below was there.
    pub any_other: bool,
    pub content_length: Option<u64>,
    pub coding: TransferCoding,
    pub expect: Expect,
    pub close: bool,
    pub keep_alive: bool,
    pub upgrade_option: bool,
    pub upgrade_field: bool,
}

/// What the client expects of the server before it sends the body (RFC 9110, 10.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Expect {
    #[default]
    Nothing,
    Continue,
    Unknown,
}

impl FieldFacts {
    /// Takes note of a field of a request. Its length and first letter tell most names apart from
    /// the known ones at once.
    #[inline(always)]
    pub fn note_of_request(&mut self, field: &Field<'_>) -> Result<(), ParseError> {
        let first = field.name.first().map_or(0, |letter| letter | 0x20);
        match (field.name.len(), first) {
            // What nearly every client says; in 1.1 it changes nothing. Values have no octet that
            // folds to a hyphen by mistake.
            (10, b'c') if folds_to(field.value, b"keep-alive") => {
                self.keep_alive |= folds_to(field.name, b"connection");
                Ok(())
            }
            (4, b'h') | (6, b'e') | (7, b'u') | (10 | 14, b'c') | (17, b't') => {
                self.note_known(field.name, field.value, field.span.value)
            }
            _ => Ok(()),
        }
    }

    /// The same for a response, in which `Host` and `Expect` mean nothing.
    #[inline(always)]
    pub fn note_of_response(&mut self, field: &Field<'_>) -> Result<(), ParseError> {
        let first = field.name.first().map_or(0, |letter| letter | 0x20);
        match (field.name.len(), first) {
            (10 | 14, b'c') | (17, b't') => {
                self.note_known(field.name, field.value, field.span.value)
            }
            _ => Ok(()),
        }
    }

    #[inline(never)]
    fn note_known(&mut self, name: &[u8], value: &[u8], span: Span) -> Result<(), ParseError> {
        match name.len() {
            4 if folds_to(name, b"host") => return self.note_host(span),
            6 if folds_to(name, b"expect") => self.note_expect(value),
            7 if folds_to(name, b"upgrade") => self.upgrade_field = true,
            10 if folds_to(name, b"connection") => self.note_connection(value),
            14 if folds_to(name, b"content-length") => self.note_length(value)?,
            17 if folds_to(name, b"transfer-encoding") => self.coding = self.coding.and(value),
            _ => return Ok(()),
        }
        self.any_other = true;
        Ok(())
    }

    /// Whether the sender lets the connection stay open (RFC 9112, 9.3): `close` says no, then 1.1
    /// says yes, then 1.0 with `keep-alive` says yes.
    #[inline]
    pub fn keeps_open(&self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.keep_alive)
    }

    /// Takes note of a `Host` with a [plain authority](block::plain_authority_len), the first field.
    #[inline(always)]
    pub fn note_plain_host(&mut self, span: Span) {
        self.host_is_plain = true;
        self.host = Some(span);
    }

    /// Two `Host` fields are refused even when equal: whoever stands in front may have used the
    /// other one. The value is judged with the target, at the end of the head.
    #[inline(always)]
    fn note_host(&mut self, span: Span) -> Result<(), ParseError> {
        match self.host.replace(span) {
            None => Ok(()),
            Some(_) => Err(ParseError::HostRepeated),
        }
    }

    /// RFC 9110, 8.6 allows to refuse repeated equal lengths or to collapse them; lists such as
    /// `5, 5` are not numbers, so all of these are refused.
    fn note_length(&mut self, value: &[u8]) -> Result<(), ParseError> {
        let length = decimal(value).ok_or(ParseError::ContentLength)?;
        match self.content_length.replace(length) {
            None => Ok(()),
            Some(_) => Err(ParseError::ContentLengthRepeated),
        }
    }

    /// A list, over all lines; empty elements are ignored (RFC 9110, 5.6.1.2 and 10.1.1).
    fn note_expect(&mut self, value: &[u8]) {
        let expectations = value.split(|&octet| octet == b',').map(trim);
        for expectation in expectations.filter(|expectation| !expectation.is_empty()) {
            let is_known = expectation.eq_ignore_ascii_case(b"100-continue");
            self.expect = match (is_known, self.expect) {
                (true, Expect::Nothing | Expect::Continue) => Expect::Continue,
                _ => Expect::Unknown,
            };
        }
    }

    /// Options are a list, over all lines; empty and unknown elements are ignored (RFC 9110,
    /// 5.6.1.2 and 7.6.1).
    fn note_connection(&mut self, value: &[u8]) {
        for option in value.split(|&octet| octet == b',').map(trim) {
            match option.len() {
                5 => self.close |= option.eq_ignore_ascii_case(b"close"),
                7 => self.upgrade_option |= option.eq_ignore_ascii_case(b"upgrade"),
                10 => self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive"),
                _ => {}
            }
        }
    }
}
