//! What a connection holds while it has bytes of a request: the bytes, and how far the parser is.

use crate::buffer::{Buffer, Meter};
use crate::http::{
    BodyDecoder, Framing, Head, Limits, ParseError, Progress, Request, RequestParser, Trailers,
};

/// A buffer with less than one in so many bytes used is too large for what it holds.
const SPARSE: usize = 8;
/// The least and the most room a read gets, in bytes; in between as much as is held already, so
/// that a trickle never makes a large buffer and growing costs O(1) a byte.
const ROOM: (usize, usize) = (128, 4 * 1024);

/// Received bytes and the machines that read them. Lives in a pool; a connection without bytes
/// has none.
///
/// Invariant: the first byte held is the first of a message; of its body while that is taken in
/// pieces.
#[derive(Debug)]
pub(super) struct Input {
    bytes: Buffer,
    parser: RequestParser,
    /// Complete and empty unless the head announced a body.
    body: BodyDecoder,
}

impl Input {
    /// In bytes: the most room that a read asks for.
    pub const ROOM_MAX: usize = ROOM.1;

    pub fn with_capacity(capacity: usize, meter: &Meter) -> Input {
        Input {
            bytes: Buffer::metered(capacity, meter),
            parser: RequestParser::default(),
            body: BodyDecoder::new(Framing::None),
        }
    }

    /// Counts with `meter` from now on.
    pub fn move_to(&mut self, meter: &Meter) {
        self.bytes.move_to(meter);
    }

    /// Where the next bytes are to be read into.
    #[inline(always)]
    pub fn space(&mut self) -> &mut [u8] {
        self.bytes.space(self.room())
    }

    /// The same for an input without bytes.
    #[inline(always)]
    pub fn whole_space(&mut self) -> &mut [u8] {
        match self.capacity() >= ROOM.0 {
            true => self.bytes.whole(),
            false => self.bytes.space(ROOM.0),
        }
    }

    /// `len` bytes were read into [`whole_space`](Input::whole_space).
    #[inline(always)]
    pub fn filled_whole(&mut self, len: usize) {
        self.bytes.filled_whole(len);
    }

    /// The least room that the next read gets.
    #[inline(always)]
    fn room(&self) -> usize {
        match self.bytes.len() {
            0 => ROOM.0,
            len => len.clamp(ROOM.0, ROOM.1),
        }
    }

    /// How many bytes the next read adds to what is held in memory.
    pub fn growth(&self) -> usize {
        self.bytes.growth(self.room())
    }

    #[inline(always)]
    pub fn filled(&mut self, len: usize) {
        self.bytes.filled(len);
    }

    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    #[inline(always)]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Whether a message has begun: any octet other than empty lines.
    pub fn has_begun(&self) -> bool {
        self.parser.started()
    }

    pub fn parse_head(&mut self, limits: &Limits) -> Result<Progress, ParseError> {
        let (buffer, len) = self.bytes.data_within();
        self.parser.feed_within(buffer, len, limits)
    }

    /// Whether the first bytes, of which none was parsed, are seen at once to be a whole request without
    /// a body. Otherwise [`parse_head`](Input::parse_head) says what they are.
    #[inline(always)]
    pub fn begins_with_request(&mut self, limits: &Limits) -> bool {
        let (buffer, len) = self.bytes.data_within();
        self.parser.begin(buffer, len, limits)
    }

    /// Meaningful once [`parse_head`](Input::parse_head) said that the head is complete.
    pub fn head(&self) -> &Head {
        self.parser.head()
    }

    /// Whether the client waits for leave to send the body it announced: with a byte of the body
    /// here it does not wait any more (RFC 9110, 10.1.1).
    pub fn waits_for_continue(&self) -> bool {
        self.head().expects_continue() && self.bytes.len() == self.head().len()
    }

    /// Makes ready to collect the body the head announced.
    pub fn begin_body(&mut self, framing: Framing) {
        self.body = BodyDecoder::new(framing);
    }

    pub fn collect_body(&mut self, limits: &Limits) -> Result<Progress, ParseError> {
        let head_len = self.parser.head().len();
        self.body
            .feed(&mut self.bytes.data_mut()[head_len..], limits)
    }

    /// The whole request; meaningful once head and body are complete.
    #[inline]
    pub fn request(&self) -> Request<'_> {
        if self.body.consumed() > 0 {
            return self.request_with_body();
        }
        let (buffer, _) = self.bytes.data_within();
        Request::new(&buffer[..self.head().len()], self.head(), &[])
    }

    #[inline(never)]
    fn request_with_body(&self) -> Request<'_> {
        let (head, rest) = self.bytes.data().split_at(self.head().len());
        let trailers = Trailers::new(&rest[self.body.trailers()]);
        Request::new(head, self.head(), &rest[..self.body.decoded()]).with_trailers(trailers)
    }

    /// The request as far as its head goes.
    pub fn request_head(&self) -> Request<'_> {
        let (head, _) = self.bytes.data().split_at(self.head().len());
        Request::new(head, self.head(), &[])
    }

    /// Forgets the head, whose body is taken in pieces.
    pub fn release_head(&mut self) {
        self.consume(self.head().len());
        self.parser.reset();
    }

    /// What is held of a body that is taken in pieces, and what follows it.
    pub fn body(&self) -> &[u8] {
        self.bytes.data()
    }

    /// The same, for its decoder.
    pub fn body_mut(&mut self) -> &mut [u8] {
        self.bytes.data_mut()
    }

    /// Forgets the first `len` bytes.
    pub fn consume(&mut self, len: usize) {
        self.bytes.consume(len);
    }

    /// Forgets the first message; what follows it, if anything, is the next.
    #[inline]
    pub fn release_message(&mut self) {
        let body_len = self.body.consumed();
        self.bytes.consume(self.head().len() + body_len);
        self.parser.reset();
        if body_len > 0 {
            self.body = BodyDecoder::new(Framing::None);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.parser.reset();
        self.body = BodyDecoder::new(Framing::None);
    }

    /// Moves what is held to a buffer of its own size and leaves this one empty for others, if it
    /// has at least `large` bytes and is hardly used. The new one is at most half as large and is
    /// not sparse, so a byte is moved O(1) times.
    pub fn shrink(&mut self, large: usize, meter: &Meter) -> Option<Input> {
        let len = self.bytes.len();
        if len == 0 || self.capacity() < large || self.capacity() / SPARSE < len {
            return None;
        }
        let mut bytes = Buffer::metered((2 * len).next_power_of_two(), meter);
        bytes.append(self.bytes.data());
        self.bytes.clear();
        Some(Input {
            bytes,
            parser: std::mem::take(&mut self.parser),
            body: std::mem::replace(&mut self.body, BodyDecoder::new(Framing::None)),
        })
    }
}
