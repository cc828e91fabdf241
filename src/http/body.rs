//! Bodies: from the octets behind a head to the content, in place.
//!
//! A body of known length is simply awaited, and so is the end of the connection where that ends a
//! response. Chunked content is moved together at the front of
//! the octets as it arrives, so that a whole body is one slice and no second buffer is needed:
//!
//! ```text
//!   0           decoded              consumed          bytes.len()
//!   |  content  | gap: framing, moved content |  not examined  |
//! ```
//!
//! The framing of chunks is lines again, so the line machine reads them:
//!
//! ```text
//!   SizeLine ── size > 0 ──> Data ── all of it ──> DataEnd ── CR LF ──> SizeLine
//!   SizeLine ── size 0 ──> Trailers ── line ──> Trailers ── empty line ──> Complete
//!   any ── rule or limit broken ──> Failed
//! ```
//!
//! Trailers are checked like fields and kept apart from them: nothing in them touches framing,
//! routing or the next message. They stay where they are until the message is released.
//!
//! Whoever wants a body in pieces [takes](BodyDecoder::take) the content that is there; a body that
//! is taken so is never whole in memory.
//!
//! Invariant: `decoded <= consumed`, and octets before `consumed` are never looked at again.

use super::chunk::{self, ChunkSize};
use super::headers;
use super::line::{Line, LineMachine};
use super::{Framing, Limits, ParseError, Progress, ResponseFraming};

/// Collects a whole body in place.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    /// Bytes of content at the front.
    decoded: usize,
    /// Bytes of content that were taken away from the front.
    taken: u64,
    /// Where the trailer lines begin, once they do.
    trailers_start: Option<usize>,
    /// Also holds the position, whatever the state.
    lines: LineMachine,
    /// Octets of size lines and extensions that no content paid for; see [`Limits`].
    overhead: u32,
    /// Octets of trailer lines.
    trailer_bytes: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// A body of known length.
    Length {
        left: u64,
    },
    /// A body that the end of the connection ends.
    UntilClose,
    SizeLine,
    Data {
        left: u64,
    },
    DataEnd,
    Trailers,
    Complete,
    Failed(ParseError),
}

impl BodyDecoder {
    /// A decoder for one body; without a body it is complete from the start.
    #[must_use]
    pub fn new(framing: Framing) -> BodyDecoder {
        BodyDecoder::beginning_in(match framing {
            Framing::None => State::Complete,
            Framing::Length(left) => State::Length { left },
            Framing::Chunked => State::SizeLine,
        })
    }

    /// The same for the body of a response. In front of a tunnel there is none.
    #[must_use]
    pub fn of_response(framing: ResponseFraming) -> BodyDecoder {
        match framing {
            ResponseFraming::SelfDelimited(framing) => BodyDecoder::new(framing),
            ResponseFraming::UntilClose => BodyDecoder::beginning_in(State::UntilClose),
            ResponseFraming::Tunnel => BodyDecoder::beginning_in(State::Complete),
        }
    }

    fn beginning_in(state: State) -> BodyDecoder {
        BodyDecoder {
            state,
            decoded: 0,
            taken: 0,
            trailers_start: None,
            lines: LineMachine::default(),
            overhead: 0,
            trailer_bytes: 0,
        }
    }

    /// Examines what is new in `bytes`: all octets held behind the head, with those before
    /// [`consumed`](BodyDecoder::consumed) as this decoder left them. Octets behind the body are
    /// not touched.
    ///
    /// # Errors
    ///
    /// The rule or limit the body breaks; the same one again for every later call.
    pub fn feed(&mut self, bytes: &mut [u8], limits: &Limits) -> Result<Progress, ParseError> {
        loop {
            match self.step(bytes, limits) {
                Ok(Some(state)) => self.state = state,
                Ok(None) => return Ok(Progress::Partial),
                Err(error) => {
                    self.state = State::Failed(error);
                    return Err(error);
                }
            }
            if let State::Complete = self.state {
                return Ok(Progress::Complete);
            }
        }
    }

    /// Takes note that the peer has closed the connection and all that came before was fed: the end
    /// of a body that lasts [until then](ResponseFraming::UntilClose).
    ///
    /// # Errors
    ///
    /// [`ParseError::Incomplete`] when the body says that there is more of it, and what
    /// [`feed`](BodyDecoder::feed) has refused.
    pub fn handle_close(&mut self) -> Result<(), ParseError> {
        self.state = match self.state {
            State::UntilClose | State::Complete => State::Complete,
            State::Failed(error) => State::Failed(error),
            _ => State::Failed(ParseError::Incomplete),
        };
        match self.state {
            State::Failed(error) => Err(error),
            _ => Ok(()),
        }
    }

    /// How many bytes of content lie at the front of the octets fed.
    #[must_use]
    pub fn decoded(&self) -> usize {
        self.decoded
    }

    /// The offset, in the octets fed, of the first one not examined; the end of the message once
    /// the body is complete.
    #[must_use]
    pub fn consumed(&self) -> usize {
        self.lines.next()
    }

    /// How many bytes of a body of declared length have not come yet; `None` for other bodies.
    #[must_use]
    pub(crate) fn missing(&self) -> Option<u64> {
        match self.state {
            State::Length { left } => Some(left),
            _ => None,
        }
    }

    /// Where the trailer lines of a whole body lie in the octets fed, each with its line end; they
    /// are [valid fields](super::Trailers). Empty for a body that is not chunked.
    #[must_use]
    pub fn trailers(&self) -> std::ops::Range<usize> {
        let start = self.trailers_start.unwrap_or_default();
        start..start + self.trailer_bytes as usize
    }

    /// Forgets the first `len` bytes of content, which somebody has taken, and whatever else was
    /// examined. Returns how many bytes at the front of `bytes`, the octets fed, are of no use any
    /// more: the caller drops them, and feeds what is left from then on.
    ///
    /// Content that was not taken is moved behind the framing that was in front of it, so take all
    /// there is.
    ///
    /// # Panics
    ///
    /// When there is less content than that.
    #[must_use]
    pub fn take(&mut self, len: usize, bytes: &mut [u8]) -> usize {
        let left = self.decoded.checked_sub(len);
        let left = left.expect("no more content is taken than there is");
        // A line that has not ended, and trailers, are still needed.
        let needed = self.trailers_start.unwrap_or(self.lines.start());
        let useless = needed - left;
        bytes.copy_within(len..self.decoded, useless);
        self.taken += len as u64;
        self.decoded = left;
        self.lines.rebase(useless);
        self.trailers_start = self.trailers_start.map(|start| start - useless);
        useless
    }

    /// How many octets were classified, content not among them; see
    /// [`RequestParser::octets_examined`](super::RequestParser::octets_examined).
    #[must_use]
    pub fn octets_examined(&self) -> u64 {
        self.lines.examined()
    }

    /// The next state, or `None` when more octets are needed.
    fn step(&mut self, bytes: &mut [u8], limits: &Limits) -> Result<Option<State>, ParseError> {
        match self.state {
            State::Length { left } => Ok(match self.take_content(bytes, left) {
                0 => Some(State::Complete),
                left => self.wait_in(State::Length { left }),
            }),
            State::UntilClose => self.take_all(bytes, limits),
            State::SizeLine => self.take_size_line(bytes, limits),
            State::Data { left } => Ok(match self.take_content(bytes, left) {
                0 => Some(State::DataEnd),
                left => self.wait_in(State::Data { left }),
            }),
            State::DataEnd => self.take_data_end(bytes),
            State::Trailers => self.take_trailer(bytes, limits),
            State::Complete => Ok(Some(State::Complete)),
            State::Failed(error) => Err(error),
        }
    }

    fn wait_in(&mut self, state: State) -> Option<State> {
        self.state = state;
        None
    }

    /// Moves what is there of `left` bytes of content to its place; gives how many are missing.
    fn take_content(&mut self, bytes: &mut [u8], left: u64) -> u64 {
        let from = self.lines.next();
        let held = bytes.len() - from;
        let len = usize::try_from(left).map_or(held, |left| left.min(held));
        if self.decoded != from {
            bytes.copy_within(from..from + len, self.decoded);
        }
        self.decoded += len;
        self.lines.skip(len);
        left - len as u64
    }

    /// Takes all that is there; there may always be more.
    fn take_all(&mut self, bytes: &mut [u8], limits: &Limits) -> Result<Option<State>, ParseError> {
        let limit = limits.body_bytes_max;
        let content = self.taken + self.decoded as u64;
        self.take_content(bytes, limit.saturating_sub(content));
        match self.lines.next() < bytes.len() {
            true => Err(ParseError::BodyTooLong { limit }),
            false => Ok(None),
        }
    }

    fn take_size_line(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Option<State>, ParseError> {
        let limit = limits.chunk_overhead_bytes_max;
        let too_long = ParseError::ChunkOverheadTooLong { limit };
        let allowed = limit.saturating_sub(self.overhead) as usize + chunk::PAID_BYTES_MAX;
        let Some((start, end)) = self.line(bytes, allowed, too_long)? else {
            return Ok(None);
        };
        let ChunkSize { size, paid } = chunk::parse(&bytes[start..end])?;
        self.overhead = add(self.overhead, end - start - paid, limit).ok_or(too_long)?;
        if size == 0 {
            self.trailers_start = Some(end);
            return Ok(Some(State::Trailers));
        }
        let limit = limits.body_bytes_max;
        match (self.taken + self.decoded as u64).checked_add(size) {
            Some(total) if total <= limit => Ok(Some(State::Data { left: size })),
            _ => Err(ParseError::BodyTooLong { limit }),
        }
    }

    /// Exactly CR LF ends the data; any two octets would do for some, and hide a request in a
    /// body (RFC 9112, 7.1).
    fn take_data_end(&mut self, bytes: &[u8]) -> Result<Option<State>, ParseError> {
        let end = b"\r\n";
        let held = &bytes[self.lines.next()..];
        match held.get(..end.len()) {
            Some(found) if found == end => {
                self.lines.skip(end.len());
                Ok(Some(State::SizeLine))
            }
            None if end.starts_with(held) => Ok(None),
            _ => Err(ParseError::ChunkEnd),
        }
    }

    fn take_trailer(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<State>, ParseError> {
        let limit = limits.trailer_bytes_max;
        let too_long = ParseError::TrailersTooLong { limit };
        let allowed = limit.saturating_sub(self.trailer_bytes) as usize;
        let Some((start, end)) = self.line(bytes, allowed, too_long)? else {
            return Ok(None);
        };
        if end - start == "\r\n".len() {
            return Ok(Some(State::Complete));
        }
        headers::parse(&bytes[start..end - "\r\n".len()], start)?;
        self.trailer_bytes = add(self.trailer_bytes, end - start, limit).ok_or(too_long)?;
        Ok(Some(State::Trailers))
    }

    /// The next line if it is whole; `too_long` if it does not end within `allowed` octets. The
    /// line end itself may always follow.
    fn line(
        &mut self,
        bytes: &[u8],
        allowed: usize,
        too_long: ParseError,
    ) -> Result<Option<(usize, usize)>, ParseError> {
        let bound = self.lines.start().saturating_add(allowed + "\r\n".len());
        match self.lines.poll(&bytes[..bound.min(bytes.len())]) {
            Line::Complete { start, end } => Ok(Some((start, end))),
            Line::Bad(error) => Err(error),
            Line::Open if bytes.len() > bound => Err(too_long),
            Line::Open => Ok(None),
        }
    }
}

/// `sum + more`, if that is within `limit`.
fn add(sum: u32, more: usize, limit: u32) -> Option<u32> {
    let sum = sum.checked_add(u32::try_from(more).ok()?)?;
    Some(sum).filter(|&sum| sum <= limit)
}
