//! From a response to octets, straight into the output buffer.
//!
//! Room for the whole response is made once, then its pieces are copied behind one another. They
//! are few, and most are whole lines of a size known beforehand: the status line of 200, the date,
//! the common content types.
//!
//! What is sent besides the response's own fields: `Date` always; `Content-Length` except where
//! RFC 9110, 8.6 forbids it (1xx, 204) or nobody knows it (304 without a body); `Connection:
//! close` when the connection ends; `Connection: keep-alive` when it stays open for a 1.0 client,
//! which would not know. `Transfer-Encoding` only where the content comes in pieces of which nobody
//! knows how many.
//! Content is left out for HEAD and for 1xx, 204, 205 and 304.

use bytes::Bytes;

use super::response::ContentType;
use super::{HttpDate, Response, Status, Version};
use crate::buffer::Buffer;

/// What the encoder must know about the exchange besides the response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResponseContext {
    /// Of the request.
    pub version: Version,
    /// The request was HEAD: the head of the answer to GET, without content.
    pub head_only: bool,
    /// The connection ends after this response.
    pub close: bool,
}

impl ResponseContext {
    /// The exchange that is nearly all of them.
    pub(crate) const PLAIN: ResponseContext = ResponseContext {
        version: Version::Http11,
        head_only: false,
        close: false,
    };
}

/// More than all pieces of a head can have but those in [`Response`]'s own list: status line,
/// date, connection, content type, length, end.
const OWN_PIECES_BYTES_MAX: usize = 256;

/// Appends `response` to `output`, in O(bytes) and without an allocation once the buffer is large
/// enough.
#[inline]
pub fn encode(response: &Response, context: ResponseContext, date: &HttpDate, output: &mut Buffer) {
    match plain_content(response) {
        Some(content) if context == ResponseContext::PLAIN => encode_plain(content, date, output),
        _ => encode_any(response, context, date, output),
    }
}

/// The content of a text with status 200 and nothing to be said about it.
#[inline(always)]
pub(crate) fn plain_content(response: &Response) -> Option<&[u8]> {
    let is_plain = response.status == Status::OK
        && response.content_type == ContentType::Text
        && response.field_lines.is_empty();
    is_plain.then_some(&response.body[..])
}

/// [Plain](plain_content) content in a [plain](ResponseContext::PLAIN) exchange: as [`encode`], in three
/// pieces.
#[inline(always)]
pub(crate) fn encode_plain(content: &[u8], date: &HttpDate, output: &mut Buffer) {
    let most = OWN_PIECES_BYTES_MAX + content.len();
    let mut pieces = Pieces::within(output.space_of(most));
    pieces.put(date.plain_head());
    pieces.put_number_and_end(content.len() as u64);
    pieces.put_slice(content);
    let left = pieces.space.len();
    output.filled_but(left, most);
}

#[inline(never)]
fn encode_any(response: &Response, context: ResponseContext, date: &HttpDate, output: &mut Buffer) {
    let (length, content) = content_of(response, context);
    let _ = output.space(OWN_PIECES_BYTES_MAX + response.field_lines.len() + content.len());
    let length = length.map_or(Content::Undeclared, |length| Content::Length(length as u64));
    encode_head(response, length, context, date, output);
    output.append(content);
}

/// As [`encode`], but of content longer than `most` bytes nothing yet: that is returned, and is to
/// follow. A shared body is not copied for every client that takes its time.
#[inline]
pub(crate) fn encode_beginning(
    response: &Response,
    context: ResponseContext,
    date: &HttpDate,
    output: &mut Buffer,
    most: usize,
) -> Option<Bytes> {
    if response.body.len() > most && !content_of(response, context).1.is_empty() {
        let length = Content::Length(response.body.len() as u64);
        encode_head(response, length, context, date, output);
        return Some(response.body.clone());
    }
    encode(response, context, date, output);
    None
}

/// How the end of the content is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Content {
    /// It is nowhere said: there is none, or it ends with the connection.
    Undeclared,
    /// After so many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
}

/// Appends the head of `response` alone.
pub(crate) fn encode_head(
    response: &Response,
    content: Content,
    context: ResponseContext,
    date: &HttpDate,
    output: &mut Buffer,
) {
    let fields = &response.field_lines[..];
    let mut pieces = Pieces::new(output, fields.len());
    pieces.put_status(response.status);
    pieces.put(date.line());
    if context.close {
        pieces.put(b"Connection: close\r\n");
    } else if context.version == Version::Http10 {
        pieces.put(b"Connection: keep-alive\r\n");
    }
    match response.content_type {
        ContentType::Undeclared => {}
        ContentType::Text => pieces.put(b"Content-Type: text/plain; charset=utf-8\r\n"),
        ContentType::Html => pieces.put(b"Content-Type: text/html; charset=utf-8\r\n"),
    }
    if !fields.is_empty() {
        pieces.put_slice(fields);
    }
    match content {
        Content::Length(length) => {
            pieces.put(b"Content-Length: ");
            pieces.put_number_and_end(length);
        }
        Content::Chunked => pieces.put(b"Transfer-Encoding: chunked\r\n\r\n"),
        Content::Undeclared => pieces.put(b"\r\n"),
    }
    let len = pieces.written();
    output.filled(len);
}

/// What a chunk has around its data, at most.
pub(crate) const CHUNK_OVERHEAD_BYTES_MAX: usize = 16 + 2 + 2;

/// Appends `data` as one chunk; nothing if it is empty, as an empty chunk is the last one.
pub(crate) fn encode_chunk(data: &[u8], output: &mut Buffer) {
    if data.is_empty() {
        return;
    }
    let mut size = [b'0'; 16];
    let mut at = size.len();
    let mut rest = data.len();
    while rest > 0 {
        at -= 1;
        size[at] = b"0123456789abcdef"[rest & 15];
        rest >>= 4;
    }
    let mut pieces = Pieces::new(output, data.len());
    pieces.put_slice(&size[at..]);
    pieces.put(b"\r\n");
    pieces.put_slice(data);
    pieces.put(b"\r\n");
    let len = pieces.written();
    output.filled(len);
}

/// Appends the chunk that ends the content.
pub(crate) fn encode_last_chunk(output: &mut Buffer) {
    output.append(b"0\r\n\r\n");
}

/// Appends `100 (Continue)`: the client may send the body it announced.
pub fn encode_continue(output: &mut Buffer) {
    output.append(b"HTTP/1.1 100 Continue\r\n\r\n");
}

/// Appends an answer of the server's own, its reason as text, after which the connection ends.
pub fn encode_error(status: Status, date: &HttpDate, output: &mut Buffer) {
    let response = Response::text(status.reason()).with_status(status);
    let context = ResponseContext {
        version: Version::Http11,
        head_only: false,
        close: true,
    };
    encode(&response, context, date, output);
}

/// The value of `Content-Length`, if there is to be one, and the content to be sent.
#[inline(always)]
fn content_of(response: &Response, context: ResponseContext) -> (Option<usize>, &[u8]) {
    let body = &response.body[..];
    match response.status {
        Status::OK if !context.head_only => (Some(body.len()), body),
        Status::NO_CONTENT => (None, &[]),
        status if status.is_informational() => (None, &[]),
        // RFC 9110, 15.3.6: no content, and a length that says so.
        Status::RESET_CONTENT => (Some(0), &[]),
        // RFC 9110, 8.6: the length the answer to a GET would have had, or none.
        Status::NOT_MODIFIED => (Some(body.len()).filter(|&length| length > 0), &[]),
        _ if context.head_only => (Some(body.len()), &[]),
        _ => (Some(body.len()), body),
    }
}

/// Writes one piece behind another into the space of a buffer.
struct Pieces<'a> {
    /// What is left.
    space: &'a mut [u8],
    space_len: usize,
}

impl<'a> Pieces<'a> {
    /// Makes room for `others` bytes besides the pieces that are the encoder's own.
    #[inline(always)]
    fn new(output: &'a mut Buffer, others: usize) -> Pieces<'a> {
        let space_len = OWN_PIECES_BYTES_MAX + others;
        Pieces::within(&mut output.space(space_len)[..space_len])
    }

    /// Writes into this space, which is enough for all pieces.
    #[inline(always)]
    fn within(space: &'a mut [u8]) -> Pieces<'a> {
        let space_len = space.len();
        Pieces { space, space_len }
    }

    /// How many bytes were written.
    #[inline(always)]
    fn written(self) -> usize {
        self.space_len - self.space.len()
    }

    /// For pieces of a known size, which are copied in place.
    #[inline(always)]
    fn put<const N: usize>(&mut self, piece: &[u8; N]) {
        let (front, rest) = std::mem::take(&mut self.space)
            .split_first_chunk_mut()
            .expect(ROOM_WAS_MADE);
        *front = *piece;
        self.space = rest;
    }

    #[inline(always)]
    fn put_slice(&mut self, piece: &[u8]) {
        let (front, rest) = std::mem::take(&mut self.space)
            .split_at_mut_checked(piece.len())
            .expect(ROOM_WAS_MADE);
        front.copy_from_slice(piece);
        self.space = rest;
    }

    #[inline(always)]
    fn put_status(&mut self, status: Status) {
        if status == Status::OK {
            return self.put(b"HTTP/1.1 200 OK\r\n");
        }
        self.put_other_status(status);
    }

    #[inline(never)]
    fn put_other_status(&mut self, status: Status) {
        if let Some(line) = status.line() {
            return self.put_slice(line.as_bytes());
        }
        self.put(b"HTTP/1.1 ");
        self.put_slice(itoa::Buffer::new().format(status.code()).as_bytes());
        self.put(b" Unknown\r\n");
    }

    /// A number and the end of the head.
    #[inline(always)]
    fn put_number_and_end(&mut self, number: u64) {
        let Some((text, text_len)) = short_number_line(number) else {
            self.put_slice(itoa::Buffer::new().format(number).as_bytes());
            return self.put(b"\r\n\r\n");
        };
        let (front, _) = self.space.split_first_chunk_mut().expect(ROOM_WAS_MADE);
        *front = text;
        let space = std::mem::take(&mut self.space);
        self.space = space.get_mut(text_len..).expect(ROOM_WAS_MADE);
    }
}

const ROOM_WAS_MADE: &str = "room was made for all pieces";

/// A number of at most four digits with CR LF CR LF behind, and how many of the octets are that.
///
/// The digits are found side by side in one word, which is several times cheaper than writing them
/// one by one and copying what comes out.
#[inline(always)]
fn short_number_line(number: u64) -> Option<([u8; 8], usize)> {
    let number = u32::try_from(number)
        .ok()
        .filter(|&number| number < 10_000)?;
    // Two numbers below 100, each of which is split in tens and ones: n * 103 / 1024 is n / 10.
    let pairs = (number / 100) | (number % 100) << 16;
    let tens = ((pairs * 103) >> 10) & 0x000f_000f;
    let digits = tens | (pairs - tens * 10) << 8;
    let zeros = (digits | 1 << 24).trailing_zeros() / 8;
    let text = u64::from(digits + 0x3030_3030) | u64::from(u32::from_le_bytes(*b"\r\n\r\n")) << 32;
    Some(((text >> (8 * zeros)).to_le_bytes(), 8 - zeros as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_numbers_are_written_as_their_digits() {
        for number in 0..10_000 {
            let (text, len) = short_number_line(number).unwrap();
            assert_eq!(text[..len], *format!("{number}\r\n\r\n").as_bytes());
        }
        assert_eq!(short_number_line(10_000), None);
        assert_eq!(short_number_line(u64::MAX), None);
    }
}
