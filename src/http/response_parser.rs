//! Responses: the [head machine](super::head_machine) over [status lines](super::status_line), and
//! what the request that is answered has to say about the body.
//!
//! This is the client's side, where trust is no greater: a response that two readers understand
//! differently poisons the next one's answer on the same connection. So what is refused in a
//! request is refused here by the same rules, be there a body or not, and `Transfer-Encoding`
//! never falls back to [reading until the end](ResponseFraming::UntilClose), though RFC 9112, 6.3
//! would let it. Empty lines in front, which a server takes, a client does not. Only where the
//! response to CONNECT opens a tunnel the fields have no say at all, as RFC 9110, 9.3.6 demands.

use super::block::reach;
use super::framing::is_tunnel;
use super::head::{FieldSpan, Span};
use super::head_machine::{Draft, HeadMachine};
use super::headers::{Field, FieldFacts, PlainHost};
use super::status_line::{self, StatusLine};
use super::{Framing, Limits, Method, ParseError, Progress, ResponseFraming, ResponseHead};

/// Turns the octets of a response's head into a [`ResponseHead`], however they arrive.
///
/// ```
/// use trine::http::{Framing, Limits, Method, Progress, ResponseFraming, ResponseParser};
///
/// let limits = Limits::default();
/// let message = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
/// let mut parser = ResponseParser::new(Method::Get);
/// assert_eq!(parser.feed(&message[..9], &limits), Ok(Progress::Partial));
/// assert_eq!(parser.feed(message, &limits), Ok(Progress::Complete));
/// let framing = ResponseFraming::SelfDelimited(Framing::Length(5));
/// assert_eq!(parser.head().framing(), framing);
///
/// // The same octets in answer to HEAD have no body; what follows is the next response.
/// parser.reset(Method::Head);
/// assert_eq!(parser.feed(message, &limits), Ok(Progress::Complete));
/// let framing = ResponseFraming::SelfDelimited(Framing::None);
/// assert_eq!(parser.head().framing(), framing);
/// ```
#[derive(Debug)]
pub struct ResponseParser {
    machine: HeadMachine<ResponseDraft>,
}

impl ResponseParser {
    /// A parser for the response to a request with the method `answered`.
    #[must_use]
    pub fn new(answered: Method) -> ResponseParser {
        let head = ResponseHead::default();
        ResponseParser {
            machine: HeadMachine::new(ResponseDraft { answered, head }),
        }
    }

    /// Examines what is new in `message`: all octets held of the present message, the first one
    /// at 0. It only ever grows until [`reset`](ResponseParser::reset); octets behind the head have
    /// no say.
    ///
    /// # Errors
    ///
    /// The rule or limit the message breaks; the same one again for every later call.
    #[inline]
    pub fn feed(&mut self, message: &[u8], limits: &Limits) -> Result<Progress, ParseError> {
        self.feed_within(message, message.len(), limits)
    }

    /// The same for a message that is the first `len` octets of `buffer`; see
    /// [`RequestParser::feed_within`](super::RequestParser::feed_within).
    ///
    /// # Errors
    ///
    /// As [`feed`](ResponseParser::feed).
    ///
    /// # Panics
    ///
    /// When `len` is more than `buffer` has.
    #[inline]
    pub fn feed_within(
        &mut self,
        buffer: &[u8],
        len: usize,
        limits: &Limits,
    ) -> Result<Progress, ParseError> {
        self.machine.feed_within(buffer, len, limits)
    }

    /// The head; meaningful after [`Progress::Complete`].
    #[inline]
    #[must_use]
    pub fn head(&self) -> &ResponseHead {
        &self.machine.draft().head
    }

    /// Makes ready for the next response, to a request with the method `answered`; after an
    /// informational one that is the same request. Keeps the memory of the table of fields.
    #[inline]
    pub fn reset(&mut self, answered: Method) {
        self.machine.reset().answered = answered;
    }

    /// Whether any octet was seen: whether a response has begun. If not, a server that closes the
    /// connection has not answered; if so, it has broken off.
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

/// What is known of the response so far.
#[derive(Debug)]
struct ResponseDraft {
    /// The method of the request it answers.
    answered: Method,
    head: ResponseHead,
}

impl Draft for ResponseDraft {
    type StartLine = StatusLine;

    /// Only the limit of the whole head binds it.
    #[inline(always)]
    fn start_line_bytes_max(limits: &Limits) -> usize {
        limits.head_bytes_max as usize
    }

    fn start_line_too_long(_line: &[u8], limits: &Limits) -> ParseError {
        let limit = limits.head_bytes_max;
        ParseError::HeadTooLong { limit }
    }

    /// RFC 9112, 2.2 lets servers ignore them, not clients.
    fn empty_lines_max(_limits: &Limits) -> u8 {
        0
    }

    #[inline(always)]
    fn parse_plain(octets: &[u8], bound: usize, _: &Limits) -> Option<(StatusLine, usize)> {
        status_line::parse_plain(reach(octets, bound))
    }

    fn parse(line: &[u8], start: usize, _limits: &Limits) -> Result<StatusLine, ParseError> {
        status_line::parse(line, start)
    }

    #[inline(always)]
    fn begin(&mut self, line: &StatusLine) {
        self.head.version = line.version;
        self.head.status = line.status;
        self.head.reason = line.reason;
    }

    #[inline(always)]
    fn fields(&mut self) -> &mut Vec<FieldSpan> {
        &mut self.head.fields
    }

    #[inline(always)]
    fn note(&self, facts: &mut FieldFacts, field: &Field<'_>) -> Result<(), ParseError> {
        match is_tunnel(self.answered, self.head.status) {
            true => Ok(()),
            false => facts.note_of_response(field),
        }
    }

    /// Responses have no field that nearly always comes first.
    #[inline(always)]
    fn parse_plain_host(_octets: &[u8], _start: usize) -> Option<PlainHost> {
        None
    }

    fn conclude_plain(&mut self, _host: FieldSpan, _len: usize) {}

    fn conclude(
        &mut self,
        facts: &FieldFacts,
        octets: &[u8],
        limits: &Limits,
    ) -> Result<(), ParseError> {
        let head = &mut self.head;
        head.len = Span::at(0, octets.len()).end;
        let framing = Framing::decide(head.version, facts.coding, facts.content_length)?;
        let is_declared = facts.content_length.is_some() || framing != Framing::None;
        let declared = is_declared.then_some(framing);
        head.framing = ResponseFraming::decide(self.answered, head.status, declared);
        let ResponseFraming::SelfDelimited(framing) = head.framing else {
            head.persistent = false;
            return Ok(());
        };
        head.persistent = facts.keeps_open(head.version);
        framing.check(limits)
    }
}
