//! Commands out of bytes, as they come: RESP arrays of bulk strings, and lines.
//!
//! ```text
//!             '*'                    more
//!   Start ─────────> Count ──> Length ──> Argument ──> Complete
//!     │                          ^───────────┘            ^
//!     └─ anything else ──> Inline ── line feed ───────────┘
//! ```
//!
//! The parser keeps where it is and where the arguments are, as places in the bytes it is given; so
//! it resumes where it stopped and copies nothing, but for the words of a line, which may be quoted.
//!
//! Invariant: a line that counts arguments or bytes has 14 bytes at most and is looked at again when
//! its end was missing; of anything else no byte is looked at twice.

use std::fmt;

use super::arguments::{Arguments, Place};
use super::error::ProtocolError;
use super::inline;
use super::limits::RespLimits;

/// How far the parser is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// The command goes on behind the bytes.
    Partial,
    /// The command is complete.
    Complete {
        /// How many bytes it has. Consume them before the next one.
        len: usize,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Start,
    /// There is no line feed in the first `scanned` bytes.
    Inline {
        scanned: usize,
    },
    /// The number of arguments is to come.
    Count,
    /// `left` arguments are to come; what says the length of the first one begins at `at`.
    Length {
        left: u32,
        at: usize,
    },
    /// The first of `left` arguments is at `start`, and has `len` bytes.
    Argument {
        left: u32,
        start: usize,
        len: usize,
    },
    Complete {
        len: usize,
        form: Form,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Array,
    Line,
}

/// Takes one command after the other out of the bytes of a connection.
pub struct RequestParser {
    state: State,
    places: Vec<Place>,
    /// The words of a line without their quotes.
    words: Vec<u8>,
}

impl Default for RequestParser {
    fn default() -> RequestParser {
        RequestParser::new()
    }
}

/// Arguments and bytes of a line that the parser keeps room for between commands.
const SPARE_MAX: usize = 1024;

impl RequestParser {
    /// A parser at the beginning of a command. Allocates with the first one.
    #[must_use]
    pub const fn new() -> RequestParser {
        RequestParser {
            state: State::Start,
            places: Vec::new(),
            words: Vec::new(),
        }
    }

    /// Goes on with the command that `bytes` begin with. They are all that came and was not consumed:
    /// the same as last time with more behind them.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes; the parser is of no more use then.
    pub fn parse(&mut self, bytes: &[u8], limits: &RespLimits) -> Result<Progress, ProtocolError> {
        loop {
            let next = match self.state {
                State::Start => match bytes.first() {
                    Some(b'*') => Some(State::Count),
                    Some(_) => Some(State::Inline { scanned: 0 }),
                    None => None,
                },
                State::Inline { scanned } => self.inline(bytes, scanned, limits)?,
                State::Count => self.count(bytes, limits)?,
                State::Length { left, at } => self.arguments_from(bytes, left, at, limits)?,
                State::Argument { left, start, len } => self.argument(bytes, left, start, len)?,
                State::Complete { len, .. } => return Ok(Progress::Complete { len }),
            };
            match next {
                Some(state) => self.state = state,
                None => return Ok(Progress::Partial),
            }
        }
    }

    /// The arguments of a complete command, its name first, in the `bytes` that
    /// [`parse`](RequestParser::parse) was given. None before it is complete; a command may have none.
    #[must_use]
    pub fn arguments<'a>(&'a self, bytes: &'a [u8]) -> Arguments<'a> {
        let (text, places) = match self.state {
            State::Complete { form, .. } => match form {
                Form::Array => (bytes, &self.places[..]),
                Form::Line => (&self.words[..], &self.places[..]),
            },
            _ => (bytes, &[][..]),
        };
        Arguments::new(text, places)
    }

    /// Begins with the next command, in the bytes behind this one.
    pub fn reset(&mut self) {
        self.state = State::Start;
        self.places.clear();
        self.words.clear();
    }

    /// Whether nothing of a command was seen.
    #[must_use]
    pub fn is_at_start(&self) -> bool {
        self.state == State::Start
    }

    /// Gives memory back that only an unusual command needed.
    pub fn shrink(&mut self) {
        self.places.shrink_to(SPARE_MAX);
        self.words.shrink_to(SPARE_MAX);
    }

    fn inline(
        &mut self,
        bytes: &[u8],
        scanned: usize,
        limits: &RespLimits,
    ) -> Result<Option<State>, ProtocolError> {
        let limit = limits.inline_bytes_max;
        let found = bytes[scanned..].iter().position(|&octet| octet == b'\n');
        let end = found.map_or(bytes.len(), |at| scanned + at);
        if end > limit as usize {
            return Err(ProtocolError::InlineTooLong { limit });
        }
        if found.is_none() {
            self.state = State::Inline { scanned: end };
            return Ok(None);
        }
        let line = &bytes[..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        inline::split(line, &mut self.words, &mut self.places)
            .map_err(|inline::Unbalanced| ProtocolError::Quotes)?;
        if self.places.len() > limits.arguments_max as usize {
            let limit = limits.arguments_max;
            return Err(ProtocolError::TooManyArguments { limit });
        }
        Ok(Some(State::Complete {
            len: end + 1,
            form: Form::Line,
        }))
    }

    /// The line that counts the arguments. A command of none, or of a negative number, is one that
    /// says nothing.
    fn count(&mut self, bytes: &[u8], limits: &RespLimits) -> Result<Option<State>, ProtocolError> {
        if let [b'*', ones @ b'1'..=b'9', b'\r', b'\n', ..] = bytes {
            let left = u32::from(ones - b'0');
            if left <= limits.arguments_max {
                return Ok(Some(State::Length { left, at: 4 }));
            }
        }
        let negative = bytes.get(1) == Some(&b'-');
        let start = if negative { 2 } else { 1 };
        let (count, at) = match number(bytes, start) {
            Number::Is { value, end } => (value, end),
            Number::Unfinished => return Ok(None),
            Number::Wrong => return Err(ProtocolError::Count),
        };
        if negative || count == 0 {
            return match negative && count == 0 {
                true => Err(ProtocolError::Count),
                false => Ok(Some(complete(at))),
            };
        }
        match u32::try_from(count) {
            Ok(left) if left <= limits.arguments_max => Ok(Some(State::Length { left, at })),
            _ => Err(ProtocolError::TooManyArguments {
                limit: limits.arguments_max,
            }),
        }
    }

    /// Goes through arguments for as long as they are there as a whole.
    fn arguments_from(
        &mut self,
        bytes: &[u8],
        mut left: u32,
        mut at: usize,
        limits: &RespLimits,
    ) -> Result<Option<State>, ProtocolError> {
        loop {
            let Some((start, len)) = length(bytes, at, limits)? else {
                self.state = State::Length { left, at };
                return Ok(None);
            };
            if !is_ended(bytes, start + len)? {
                return Ok(Some(State::Argument { left, start, len }));
            }
            self.places.push(Place::of(start, start + len));
            at = start + len + 2;
            left -= 1;
            if left == 0 {
                return Ok(Some(complete(at)));
            }
        }
    }

    /// The argument whose end was missing.
    fn argument(
        &mut self,
        bytes: &[u8],
        left: u32,
        start: usize,
        len: usize,
    ) -> Result<Option<State>, ProtocolError> {
        let end = start + len;
        if !is_ended(bytes, end)? {
            return Ok(None);
        }
        self.places.push(Place::of(start, end));
        let at = end + 2;
        Ok(Some(match left {
            1 => complete(at),
            _ => State::Length { left: left - 1, at },
        }))
    }
}

/// Whether the argument that ends at `end` is there as a whole, with its CR LF.
#[inline]
fn is_ended(bytes: &[u8], end: usize) -> Result<bool, ProtocolError> {
    match bytes.get(end..) {
        Some([b'\r', b'\n', ..]) => Ok(true),
        None | Some([] | [b'\r']) => Ok(false),
        Some(_) => Err(ProtocolError::ArgumentEnd),
    }
}

impl fmt::Debug for RequestParser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestParser({:?})", self.state)
    }
}

fn complete(len: usize) -> State {
    State::Complete {
        len,
        form: Form::Array,
    }
}

/// The line at `at` that says how long the next argument is: where that begins, and its length.
/// `None` when the line is incomplete.
#[inline]
fn length(
    bytes: &[u8],
    at: usize,
    limits: &RespLimits,
) -> Result<Option<(usize, usize)>, ProtocolError> {
    // Nearly all are so short.
    let (len, start) = match bytes.get(at..) {
        Some([b'$', ones @ b'0'..=b'9', b'\r', b'\n', ..]) => (u64::from(ones - b'0'), at + 4),
        Some(
            [
                b'$',
                tens @ b'1'..=b'9',
                ones @ b'0'..=b'9',
                b'\r',
                b'\n',
                ..,
            ],
        ) => {
            let (tens, ones) = (tens - b'0', ones - b'0');
            (u64::from(tens * 10 + ones), at + 5)
        }
        Some([b'$', ..]) => match number(bytes, at + 1) {
            Number::Is { value, end } => (value, end),
            Number::Unfinished => return Ok(None),
            Number::Wrong => return Err(ProtocolError::Length),
        },
        Some(&[found, ..]) => return Err(ProtocolError::ExpectedArgument { found }),
        Some([]) | None => return Ok(None),
    };
    if len > u64::from(limits.argument_bytes_max) {
        let limit = limits.argument_bytes_max;
        return Err(ProtocolError::ArgumentTooLong { limit });
    }
    if start as u64 + len + 2 > u64::from(limits.command_bytes_max) {
        let limit = limits.command_bytes_max;
        return Err(ProtocolError::CommandTooLong { limit });
    }
    Ok(Some((start, len as usize))) // at most a limit of 32 bits
}

/// A line that is a number.
enum Number {
    Is { value: u64, end: usize },
    Unfinished,
    Wrong,
}

/// More digits than any limit has.
const DIGITS_MAX: usize = 10;

/// The number that stands at `start`, without a sign and without zeros in front.
fn number(bytes: &[u8], start: usize) -> Number {
    let mut value = 0;
    let mut at = start;
    while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
        if at - start == DIGITS_MAX || (at > start && value == 0) {
            return Number::Wrong;
        }
        value = value * 10 + u64::from(digit - b'0');
        at += 1;
    }
    match bytes.get(at..) {
        None | Some([]) => Number::Unfinished,
        Some(_) if at == start => Number::Wrong,
        Some([b'\r', b'\n', ..]) => Number::Is { value, end: at + 2 },
        Some([b'\r']) => Number::Unfinished,
        Some(_) => Number::Wrong,
    }
}
