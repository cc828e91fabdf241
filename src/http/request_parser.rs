//! Requests: the [head machine](super::head_machine) over [request lines](super::request_line),
//! and what the head of a request must have to be one.
//!
//! Invariant: once complete, method, target and host are ASCII.

use super::authority::Authority;
use super::head::{FieldSpan, Span};
use super::head_machine::{Draft, HeadMachine};
use super::headers::{self, Expect, Field, FieldFacts, PlainHost};
use super::request_line::{self, Form, RequestLine};
use super::{Framing, Head, Limits, Method, ParseError, Progress, Version};

/// Turns the octets of a request's head into a [`Head`], however they arrive.
#[derive(Default, Debug)]
pub struct RequestParser {
    machine: HeadMachine<RequestDraft>,
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
        self.machine.feed_within(buffer, len, limits)
    }

    /// Begins with a message of which nothing was examined, in the arguments of
    /// [`feed_within`](RequestParser::feed_within), which goes on with it. True when the head is complete,
    /// of HTTP/1.1, announces no body and is not of CONNECT: what nearly all are is seen by a single look.
    #[inline(always)]
    pub(crate) fn begin(&mut self, buffer: &[u8], len: usize, limits: &Limits) -> bool {
        self.machine.begin(buffer, len, limits)
    }

    /// The head; meaningful after [`Progress::Complete`].
    #[inline]
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.machine.draft().head
    }

    /// Makes ready for the next message; keeps the memory of the table of fields.
    #[inline]
    pub fn reset(&mut self) {
        let draft = self.machine.reset();
        draft.head.method = Method::Get; // what is refused before its method is read gets content
    }

    /// Whether any octet besides empty lines was seen: whether a request has begun.
    #[must_use]
    pub fn started(&self) -> bool {
        self.machine.started()
    }

    /// How many octets were classified since the parser was made, for tests that the work is
    /// linear however the octets arrive.
    #[must_use]
    pub fn octets_examined(&self) -> u64 {
        self.machine.octets_examined()
    }
}

/// What is known of the request so far.
#[derive(Default, Debug)]
struct RequestDraft {
    form: Form,
    /// The authority of the target, if it has one.
    authority: Option<Span>,
    head: Head,
}

impl Draft for RequestDraft {
    type StartLine = RequestLine;

    #[inline(always)]
    fn start_line_bytes_max(limits: &Limits) -> usize {
        request_line::bytes_max(limits)
    }

    fn start_line_too_long(line: &[u8], limits: &Limits) -> ParseError {
        request_line::too_long(line, limits)
    }

    fn empty_lines_max(limits: &Limits) -> u8 {
        limits.empty_lines_max
    }

    #[inline(always)]
    fn parse_plain(octets: &[u8], bound: usize, limits: &Limits) -> Option<(RequestLine, usize)> {
        request_line::parse_plain(octets, bound, limits)
    }

    fn parse(line: &[u8], start: usize, limits: &Limits) -> Result<RequestLine, ParseError> {
        request_line::parse(line, start, limits)
    }

    #[inline(always)]
    fn begin(&mut self, line: &RequestLine) {
        self.head.method = line.method;
        self.head.method_name = line.method_name;
        self.head.target = line.target;
        self.head.version = line.version;
        (self.form, self.authority) = (line.form, line.authority);
    }

    #[inline(always)]
    fn fields(&mut self) -> &mut Vec<FieldSpan> {
        &mut self.head.fields
    }

    #[inline(always)]
    fn note(&self, facts: &mut FieldFacts, field: &Field<'_>) -> Result<(), ParseError> {
        facts.note_of_request(field)
    }

    #[inline(always)]
    fn parse_plain_host(octets: &[u8], start: usize) -> Option<PlainHost> {
        headers::parse_plain_host(octets, start)
    }

    #[inline(always)]
    fn conclude_plain(&mut self, host: FieldSpan, len: usize) {
        self.head.fields.push(host);
        self.head.host = Some(host.value);
        self.head.len = Span::at(0, len).end;
        self.head.asks_nothing();
    }

    #[inline(always)]
    fn conclude(
        &mut self,
        facts: &FieldFacts,
        octets: &[u8],
        limits: &Limits,
    ) -> Result<(), ParseError> {
        let head = &mut self.head;
        head.len = Span::at(0, octets.len()).end;
        // RFC 9112, 3.2.2: the authority of the target stands in the place of Host.
        head.host = self.authority.or(facts.host);
        if facts.any_other || !facts.host_is_plain || head.version != Version::Http11 {
            return self.judge(facts, octets, limits);
        }
        head.asks_nothing();
        Ok(())
    }
}

impl RequestDraft {
    #[inline(never)]
    fn judge(
        &mut self,
        facts: &FieldFacts,
        octets: &[u8],
        limits: &Limits,
    ) -> Result<(), ParseError> {
        let head = &mut self.head;
        let is_http11 = head.version == Version::Http11;
        head.framing = Framing::decide(head.version, facts.coding, facts.content_length)?;
        match facts.host {
            None if is_http11 => return Err(ParseError::HostMissing),
            Some(host) if !facts.host_is_plain => judge_host(host.of(octets), self.form)?,
            _ => {}
        }
        head.persistent = facts.keeps_open(head.version);
        head.upgrade = is_http11 && facts.upgrade_field && facts.upgrade_option;
        // RFC 9110, 10.1.1: expectations of 1.0 clients are ignored.
        head.expects_continue = match facts.expect {
            Expect::Unknown if is_http11 => return Err(ParseError::Expectation),
            Expect::Continue => is_http11 && head.framing != Framing::None,
            Expect::Nothing | Expect::Unknown => false,
        };
        head.framing.check(limits)
    }
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
