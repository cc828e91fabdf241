//! The main machine: request line, then fields, then the judgement of the whole head.
//!
//! It stands on the line machine ([`line`](super::line)) and sees nothing but whole lines:
//!
//! ```text
//!   RequestLine ── empty line ──> RequestLine           (a few, RFC 9112, 2.2)
//!   RequestLine ── line ──> Fields
//!   Fields ── line ──> Fields
//!   Fields ── empty line ──> Complete
//!   any ── rule or limit broken ──> Failed              (nothing leads out but reset)
//! ```
//!
//! There are two ways through a line. The short one takes a line that is whole and plain, as
//! nearly all are, from its first octet to its last, and says nothing of any other. The long one
//! leaves it to the line machine to find the end, however the octets arrive, and alone knows of
//! partial lines and of errors. Both read a line by the same scans and the same rules, so the
//! short way takes nothing that the long one would refuse or understand otherwise.
//!
//! Fed whole or octet by octet, the result is the same, errors included, because nothing depends
//! on anything but lines and their offsets; limits are bounds on how far the line machine may
//! look. The short way is tried once for a line at most, and an octet is read a fixed number of
//! times, so the work is linear.
//!
//! Invariant: in `Complete`, all offsets in the head are within its `len` bytes, and name, target
//! and host are ASCII.

use super::authority::Authority;
use super::block::{Controls, SLACK};
use super::head::{FieldSpan, Span};
use super::headers::{self, Expect, FieldFacts, LINE_END};
use super::line::{Line, LineMachine};
use super::request_line::{self, Form, RequestLine};
use super::{Framing, Head, Limits, Method, ParseError, Version};

/// How far a machine is with its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Progress {
    /// All octets given were taken; more are needed.
    Partial,
    /// The end was found.
    Complete,
}

/// Turns the octets of a request's head into a [`Head`], however they arrive.
#[derive(Default, Debug)]
pub struct RequestParser {
    state: State,
    lines: LineMachine,
    form: Form,
    /// The authority of the target, if it has one.
    authority: Option<Span>,
    facts: FieldFacts,
    head: Head,
}

#[derive(Clone, Copy, Debug)]
enum State {
    RequestLine { empty_lines: u8 },
    Fields,
    Complete,
    Failed(ParseError),
}

impl Default for State {
    fn default() -> State {
        State::RequestLine { empty_lines: 0 }
    }
}

impl RequestParser {
    /// Examines what is new in `message`: all octets held of the present message, the first one
    /// at 0. It only ever grows until [`reset`](RequestParser::reset); octets behind the head have
    /// no say.
    ///
    /// # Errors
    ///
    /// The rule or limit the message breaks; the same one again for every later call.
    #[inline]
    pub fn feed(&mut self, message: &[u8], limits: &Limits) -> Result<Progress, ParseError> {
        self.feed_within(message, message.len(), limits)
    }

    /// The same for a message that is the first `len` octets of `buffer`. What lies behind them has
    /// no say, but blocks of octets are read across their end, so this is the faster way for
    /// whoever has initialised bytes there, 32 or more.
    ///
    /// # Errors
    ///
    /// As [`feed`](RequestParser::feed).
    ///
    /// # Panics
    ///
    /// When `len` is more than `buffer` has.
    #[inline(always)]
    pub fn feed_within(
        &mut self,
        buffer: &[u8],
        len: usize,
        limits: &Limits,
    ) -> Result<Progress, ParseError> {
        if len == self.lines.next() + 1 && self.only_grows(&buffer[..len], limits) {
            return Ok(Progress::Partial);
        }
        self.advance(buffer, len, limits);
        match self.state {
            State::RequestLine { .. } | State::Fields => Ok(Progress::Partial),
            State::Complete => Ok(Progress::Complete),
            State::Failed(error) => Err(error),
        }
    }

    /// The head; meaningful after [`Progress::Complete`].
    #[inline]
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Makes ready for the next message; keeps the memory of the table of fields.
    #[inline]
    pub fn reset(&mut self) {
        self.state = State::default();
        self.lines.reset();
        self.facts = FieldFacts::default();
        self.head.fields.clear();
        self.head.method = Method::Get; // what is refused before its method is read gets content
    }

    /// Whether any octet besides empty lines was seen: whether a request has begun.
    #[must_use]
    pub fn started(&self) -> bool {
        match self.state {
            State::RequestLine { .. } => self.lines.has_text(),
            State::Fields | State::Complete | State::Failed(_) => true,
        }
    }

    /// How many octets were classified since the parser was made, for tests that the work is
    /// linear however the octets arrive.
    #[must_use]
    pub fn octets_examined(&self) -> u64 {
        self.lines.examined()
    }

    /// Whether the one new octet of `message` makes the present line longer and no more, for the
    /// sake of clients that drip.
    #[inline(always)]
    fn only_grows(&mut self, message: &[u8], limits: &Limits) -> bool {
        let head_end = limits.head_bytes_max as usize;
        let line_end_max = match self.state {
            State::RequestLine { .. } => {
                head_end.min(self.lines.start() + request_line::bytes_max(limits))
            }
            State::Fields => head_end,
            State::Complete | State::Failed(_) => 0,
        };
        message.len() <= line_end_max && self.lines.only_grows(message)
    }

    #[inline(never)]
    fn advance(&mut self, buffer: &[u8], len: usize, limits: &Limits) {
        if let State::RequestLine { .. } | State::Fields = self.state
            && let Err(error) = self.take_lines(buffer, len, limits)
        {
            self.state = State::Failed(error);
        }
    }

    #[inline(always)]
    fn take_lines(&mut self, buffer: &[u8], len: usize, limits: &Limits) -> Result<(), ParseError> {
        let message = &buffer[..len];
        let end = loop {
            if let Some(end) = self.take_plain_lines(buffer, len, limits)? {
                break end;
            }
            match self.take_line(message, limits)? {
                Taken::Line => {}
                Taken::End(end) => break end,
                Taken::Nothing => return Ok(()),
            }
        };
        self.conclude(&message[..end], limits)?;
        self.state = State::Complete;
        Ok(())
    }

    /// The short way: takes plain lines up to one that is not, or to the end of the head, which it
    /// returns. Scans may run into what lies behind the message; a line that ends there is not
    /// taken.
    #[inline(always)]
    fn take_plain_lines(
        &mut self,
        buffer: &[u8],
        len: usize,
        limits: &Limits,
    ) -> Result<Option<usize>, ParseError> {
        let Some(mut at) = self.lines.untouched() else {
            return Ok(None);
        };
        let bound = len.min(limits.head_bytes_max as usize);
        let octets = &buffer[..buffer.len().min(bound + SLACK)];
        if let State::RequestLine { .. } = self.state {
            let rest = octets.get(at..);
            let line = rest.and_then(|rest| request_line::parse_plain(rest, at, limits));
            let Some((line, line_len)) = line.filter(|(_, line_len)| at + line_len <= bound) else {
                return Ok(None);
            };
            self.begin_head(&line);
            at += line_len;
        }
        let host = octets.get(at..);
        let host = host.and_then(|rest| headers::parse_plain_host(rest, at));
        if let Some((span, line_len)) = host.filter(|(_, line_len)| at + line_len <= bound) {
            self.push_field(span, limits)?;
            self.facts.note_plain_host(span.value)?;
            at += line_len;
        }
        // More fields, or the end.
        if octets.get(at..bound).and_then(<[u8]>::first_chunk) != Some(LINE_END) {
            return self.take_plain_fields(octets, at, bound, limits);
        }
        let end = at + LINE_END.len();
        self.lines.pass(end);
        Ok(Some(end))
    }

    /// The short way through fields, from the one at `at`.
    #[inline(never)]
    fn take_plain_fields(
        &mut self,
        octets: &[u8],
        mut at: usize,
        bound: usize,
        limits: &Limits,
    ) -> Result<Option<usize>, ParseError> {
        let mut controls = Controls::from(octets, at);
        let mut end = None;
        while let Some(text_len) = whole_line(octets, &mut controls, at, bound) {
            let behind = at + text_len + LINE_END.len();
            if text_len == 0 {
                at = behind;
                end = Some(at);
                break;
            }
            let Some(field) = headers::parse_plain(&octets[at..], text_len, at) else {
                break;
            };
            self.push_field(field.span, limits)?;
            self.facts.note(&field)?;
            at = behind;
        }
        self.lines.pass(at);
        Ok(end)
    }

    /// Takes the next line, whatever it is.
    #[inline(never)]
    fn take_line(&mut self, message: &[u8], limits: &Limits) -> Result<Taken, ParseError> {
        match self.state {
            State::RequestLine { empty_lines } => {
                self.take_request_line(message, empty_lines, limits)
            }
            _ => self.take_field_line(message, limits),
        }
    }

    #[inline(always)]
    fn take_request_line(
        &mut self,
        message: &[u8],
        empty_lines: u8,
        limits: &Limits,
    ) -> Result<Taken, ParseError> {
        let line_start = self.lines.start();
        let bound = message
            .len()
            .min(line_start + request_line::bytes_max(limits));
        let (start, end) = match self.lines.poll(&message[..bound]) {
            Line::Complete { start, end } => (start, end),
            Line::Bad(error) => return Err(error),
            Line::Open if bound < message.len() => {
                return Err(request_line::too_long(&message[line_start..bound], limits));
            }
            Line::Open => return Ok(Taken::Nothing),
        };
        if end - start > LINE_END.len() {
            let line = request_line::parse(&message[start..end], start, limits)?;
            self.begin_head(&line);
            return Ok(Taken::Line);
        }
        let limit = limits.empty_lines_max;
        if empty_lines >= limit {
            return Err(ParseError::EmptyLines { limit });
        }
        let empty_lines = empty_lines + 1;
        self.state = State::RequestLine { empty_lines };
        Ok(Taken::Line)
    }

    #[inline(always)]
    fn take_field_line(&mut self, message: &[u8], limits: &Limits) -> Result<Taken, ParseError> {
        let limit = limits.head_bytes_max;
        let octets = &message[..message.len().min(limit as usize)];
        let (start, end) = match self.lines.poll(octets) {
            Line::Complete { start, end } => (start, end),
            Line::Bad(error) => return Err(error),
            Line::Open if octets.len() < message.len() => {
                return Err(ParseError::HeadTooLong { limit });
            }
            Line::Open => return Ok(Taken::Nothing),
        };
        if end - start == LINE_END.len() {
            return Ok(Taken::End(end));
        }
        let field = headers::parse(&octets[start..end - LINE_END.len()], start)?;
        self.push_field(field.span, limits)?;
        self.facts.note(&field)?;
        Ok(Taken::Line)
    }

    #[inline(always)]
    fn begin_head(&mut self, line: &RequestLine) {
        self.head.method = line.method;
        self.head.method_name = line.method_name;
        self.head.target = line.target;
        self.head.version = line.version;
        (self.form, self.authority) = (line.form, line.authority);
        self.state = State::Fields;
    }

    #[inline(always)]
    fn push_field(&mut self, span: FieldSpan, limits: &Limits) -> Result<(), ParseError> {
        if self.head.fields.len() >= usize::from(limits.fields_max) {
            let limit = limits.fields_max;
            return Err(ParseError::TooManyFields { limit });
        }
        self.head.fields.push(span);
        Ok(())
    }

    /// Judges the head as a whole; `octets` end with it.
    #[inline(always)]
    fn conclude(&mut self, octets: &[u8], limits: &Limits) -> Result<(), ParseError> {
        let head = &mut self.head;
        head.len = Span::at(0, octets.len()).end;
        // RFC 9112, 3.2.2: the authority of the target stands in the place of Host.
        head.host = self.authority.or(self.facts.host);
        if self.facts.any_other || !self.facts.host_is_plain || head.version != Version::Http11 {
            return self.judge(octets, limits);
        }
        head.framing = Framing::None;
        (head.persistent, head.upgrade, head.expects_continue) = (true, false, false);
        Ok(())
    }

    #[inline(never)]
    fn judge(&mut self, octets: &[u8], limits: &Limits) -> Result<(), ParseError> {
        let facts = &self.facts;
        let head = &mut self.head;
        let is_http11 = head.version == Version::Http11;
        head.framing = Framing::decide(head.version, facts.coding, facts.content_length)?;
        match facts.host {
            None if is_http11 => return Err(ParseError::HostMissing),
            Some(host) if !facts.host_is_plain => judge_host(host.of(octets), self.form)?,
            _ => {}
        }
        head.persistent = !facts.close && (is_http11 || facts.keep_alive);
        head.upgrade = is_http11 && facts.upgrade_field && facts.upgrade_option;
        // RFC 9110, 10.1.1: expectations of 1.0 clients are ignored.
        head.expects_continue = match facts.expect {
            Expect::Unknown if is_http11 => return Err(ParseError::Expectation),
            Expect::Continue => is_http11 && head.framing != Framing::None,
            Expect::Nothing | Expect::Unknown => false,
        };
        match head.framing {
            Framing::Length(length) if length > limits.any_body_bytes_max() => {
                let limit = limits.any_body_bytes_max();
                Err(ParseError::BodyTooLong { limit })
            }
            _ => Ok(()),
        }
    }
}

/// The length of the line at `at` without its end, if it is nothing but text and its end is within
/// the first `bound` octets.
#[inline(always)]
fn whole_line(octets: &[u8], controls: &mut Controls, at: usize, bound: usize) -> Option<usize> {
    let end = controls.next(octets, at);
    let is_whole = octets.get(end..bound)?.first_chunk() == Some(LINE_END);
    is_whole.then_some(end - at)
}

/// What [`RequestParser::take_line`] has taken.
enum Taken {
    Nothing,
    Line,
    /// The line that ends the head; the head ends here.
    End(usize),
}

/// Checks the value of `Host`. With a path an empty one would make an `http` URI without a host,
/// which must be refused (RFC 9110, 4.2.1).
#[inline]
fn judge_host(value: &[u8], form: Form) -> Result<(), ParseError> {
    match Authority::parse(value) {
        None => Err(ParseError::Host),
        Some(found) if found.host_is_empty && form == Form::Origin => Err(ParseError::Host),
        Some(_) => Ok(()),
    }
}
