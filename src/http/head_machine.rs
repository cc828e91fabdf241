//! The main machine: start line, then fields, then the judgement of the whole head.
//!
//! It is the same for requests and responses. What is special to one of them, its start line and
//! what its fields mean, is in the [`Draft`] the machine fills:
//! [`request_parser`](super::request_parser) and [`response_parser`](super::response_parser) are
//! this machine with a public face.
//!
//! It stands on the line machine ([`line`](super::line)) and sees nothing but whole lines:
//!
//! ```text
//!   StartLine ── empty line ──> StartLine               (a few, RFC 9112, 2.2; none in responses)
//!   StartLine ── line ──> Fields
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
//! Invariant: in `Complete` and `Plain`, all offsets in the head are within its `len` bytes, and names of
//! fields are ASCII.

use super::block::{Controls, reach};
use super::head::FieldSpan;
use super::headers::{self, Field, FieldFacts, LINE_END, PlainHost};
use super::line::{Line, LineMachine};
use super::{Limits, ParseError};

/// How far a machine is with its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Progress {
    /// All octets given were taken; more are needed.
    Partial,
    /// The end was found.
    Complete,
}

/// A head in the making: what the machine leaves to the kind of message.
pub(super) trait Draft {
    /// What a start line says.
    type StartLine;

    /// The longest start line taken, in bytes with its line end.
    fn start_line_bytes_max(limits: &Limits) -> usize;

    /// What is wrong with a start line that did not end within these bytes.
    fn start_line_too_long(line: &[u8], limits: &Limits) -> ParseError;

    /// How many empty lines may precede the start line.
    fn empty_lines_max(limits: &Limits) -> u8;

    /// Reads the start line that `octets` begin with, as the message does, if it is whole and
    /// plain; returns it with its length, line end included. Of any other it says nothing: that is for
    /// [`parse`](Draft::parse), which would say the same of this one. Little more than the first
    /// `bound` octets is looked at.
    fn parse_plain(
        octets: &[u8],
        bound: usize,
        limits: &Limits,
    ) -> Option<(Self::StartLine, usize)>;

    /// Reads the start line `line`, which ends in CR LF; `start` is its offset in the message.
    fn parse(line: &[u8], start: usize, limits: &Limits) -> Result<Self::StartLine, ParseError>;

    /// Takes over what the start line says.
    fn begin(&mut self, line: &Self::StartLine);

    /// The table of fields.
    fn fields(&mut self) -> &mut Vec<FieldSpan>;

    /// Takes note in `facts` of a field, if it is one that counts in this kind of message.
    fn note(&self, facts: &mut FieldFacts, field: &Field<'_>) -> Result<(), ParseError>;

    /// Reads the line in front of `octets` if it is a plain `Host`, where that is what nearly
    /// always comes first; `start` is its offset in the message.
    fn parse_plain_host(octets: &[u8], start: usize) -> Option<PlainHost>;

    /// The same as [`conclude`](Draft::conclude) for a head of `len` bytes with a plain start line,
    /// this plain `Host`, and no other field.
    fn conclude_plain(&mut self, host: FieldSpan, len: usize);

    /// Judges the head as a whole; `octets` end with it.
    fn conclude(
        &mut self,
        facts: &FieldFacts,
        octets: &[u8],
        limits: &Limits,
    ) -> Result<(), ParseError>;
}

/// See the module.
#[derive(Default, Debug)]
pub(super) struct HeadMachine<D> {
    state: State,
    lines: LineMachine,
    facts: FieldFacts,
    draft: D,
}

#[derive(Clone, Copy, Debug)]
enum State {
    StartLine {
        empty_lines: u8,
    },
    Fields,
    Complete,
    /// Complete by the short way from end to end: nothing else was touched.
    Plain,
    Failed(ParseError),
}

impl Default for State {
    fn default() -> State {
        State::StartLine { empty_lines: 0 }
    }
}

impl<D: Draft> HeadMachine<D> {
    pub fn new(draft: D) -> HeadMachine<D> {
        HeadMachine {
            state: State::default(),
            lines: LineMachine::default(),
            facts: FieldFacts::default(),
            draft,
        }
    }

    /// Examines what is new in the message, which is the first `len` octets of `buffer`. What lies
    /// behind them has no say, but blocks of octets are read across their end.
    #[inline(always)]
    pub fn feed_within(
        &mut self,
        buffer: &[u8],
        len: usize,
        limits: &Limits,
    ) -> Result<Progress, ParseError> {
        if let State::StartLine { .. } = self.state
            && self.lines.next() == 0
            && self.begin(buffer, len, limits)
        {
            return Ok(Progress::Complete);
        }
        if len == self.lines.next() + 1 && self.only_grows(&buffer[..len], limits) {
            return Ok(Progress::Partial);
        }
        self.go_on(buffer, len, limits)
    }

    /// Makes ready for the next message; keeps the memory of the table of fields. The draft is
    /// otherwise left to its owner.
    #[inline]
    pub fn reset(&mut self) -> &mut D {
        if !matches!(self.state, State::Plain) {
            self.lines.reset();
            self.facts = FieldFacts::default();
        }
        self.state = State::default();
        self.draft.fields().clear();
        &mut self.draft
    }

    #[inline]
    pub fn draft(&self) -> &D {
        &self.draft
    }

    /// Whether any octet besides empty lines was seen: whether a message has begun.
    pub fn started(&self) -> bool {
        match self.state {
            State::StartLine { .. } => self.lines.has_text(),
            State::Fields | State::Complete | State::Plain | State::Failed(_) => true,
        }
    }

    /// How many octets were classified since the machine was made.
    pub fn octets_examined(&self) -> u64 {
        self.lines.examined()
    }

    /// Whether the one new octet of `message` makes the present line longer and no more, for the
    /// sake of peers that drip.
    #[inline(always)]
    fn only_grows(&mut self, message: &[u8], limits: &Limits) -> bool {
        let head_end = limits.head_bytes_max as usize;
        let line_end_max = match self.state {
            State::StartLine { .. } => {
                head_end.min(self.lines.start() + D::start_line_bytes_max(limits))
            }
            State::Fields => head_end,
            State::Complete | State::Plain | State::Failed(_) => 0,
        };
        message.len() <= line_end_max && self.lines.only_grows(message)
    }

    /// The short way into a message of which nothing was examined yet: takes the start line and the
    /// field that nearly always comes first. True when the head ends behind that; otherwise, and
    /// whenever more comes, it goes on by [`feed_within`](HeadMachine::feed_within).
    #[inline(always)]
    pub fn begin(&mut self, buffer: &[u8], len: usize, limits: &Limits) -> bool {
        let bound = buffer[..len].len().min(limits.head_bytes_max as usize);
        let line = D::parse_plain(buffer, bound, limits);
        let Some((line, line_len)) = line.filter(|(_, line_len)| *line_len <= bound) else {
            return false;
        };
        self.draft.begin(&line);
        let rest = buffer.get(line_len..);
        let host = rest.and_then(|rest| D::parse_plain_host(rest, line_len));
        let Some(host) = host.filter(|host| host.end() <= bound && limits.fields_max > 0) else {
            return self.begin_fields_at(line_len);
        };
        let end = host.end() + LINE_END.len();
        if host.is_last && end <= bound {
            self.draft.conclude_plain(host.span, end);
            self.lines.count(end);
            self.state = State::Plain;
            return true;
        }
        self.draft.fields().push(host.span);
        self.facts.note_plain_host(host.span.value);
        self.begin_fields_at(host.end())
    }

    /// The lines up to `at` are taken; the head goes on.
    fn begin_fields_at(&mut self, at: usize) -> bool {
        self.state = State::Fields;
        self.lines.pass(at);
        false
    }

    /// Goes on with a message, line by line.
    #[inline(never)]
    fn go_on(
        &mut self,
        buffer: &[u8],
        len: usize,
        limits: &Limits,
    ) -> Result<Progress, ParseError> {
        if let State::StartLine { .. } | State::Fields = self.state
            && let Err(error) = self.take_lines(buffer, len, limits)
        {
            self.state = State::Failed(error);
        }
        match self.state {
            State::StartLine { .. } | State::Fields => Ok(Progress::Partial),
            State::Complete | State::Plain => Ok(Progress::Complete),
            State::Failed(error) => Err(error),
        }
    }

    fn take_lines(&mut self, buffer: &[u8], len: usize, limits: &Limits) -> Result<(), ParseError> {
        let message = &buffer[..len];
        let end = loop {
            if let State::Fields = self.state
                && let Some(at) = self.lines.untouched()
                && let Some(end) = self.take_plain_fields(buffer, len, at, limits)?
            {
                break end;
            }
            match self.take_line(message, limits)? {
                Taken::Line => {}
                Taken::End(end) => break end,
                Taken::Nothing => return Ok(()),
            }
        };
        self.draft.conclude(&self.facts, &message[..end], limits)?;
        self.state = State::Complete;
        Ok(())
    }

    /// The short way: takes plain fields, from the one at `at` up to one that is not, or to the end
    /// of the head, which it returns. Scans may run into what lies behind the message; a line that
    /// ends there is not taken.
    #[inline(never)]
    fn take_plain_fields(
        &mut self,
        buffer: &[u8],
        len: usize,
        mut at: usize,
        limits: &Limits,
    ) -> Result<Option<usize>, ParseError> {
        let bound = len.min(limits.head_bytes_max as usize);
        let octets = reach(buffer, bound);
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
            self.draft.note(&mut self.facts, &field)?;
            at = behind;
        }
        self.lines.pass(at);
        Ok(end)
    }

    /// Takes the next line, whatever it is.
    #[inline(never)]
    fn take_line(&mut self, message: &[u8], limits: &Limits) -> Result<Taken, ParseError> {
        match self.state {
            State::StartLine { empty_lines } => self.take_start_line(message, empty_lines, limits),
            _ => self.take_field_line(message, limits),
        }
    }

    #[inline(always)]
    fn take_start_line(
        &mut self,
        message: &[u8],
        empty_lines: u8,
        limits: &Limits,
    ) -> Result<Taken, ParseError> {
        let line_start = self.lines.start();
        let bound = message
            .len()
            .min(line_start + D::start_line_bytes_max(limits));
        let (start, end) = match self.lines.poll(&message[..bound]) {
            Line::Complete { start, end } => (start, end),
            Line::Bad(error) => return Err(error),
            Line::Open if bound < message.len() => {
                return Err(D::start_line_too_long(&message[line_start..bound], limits));
            }
            Line::Open => return Ok(Taken::Nothing),
        };
        if end - start > LINE_END.len() {
            let line = D::parse(&message[start..end], start, limits)?;
            self.begin_fields(&line);
            return Ok(Taken::Line);
        }
        let limit = D::empty_lines_max(limits);
        if empty_lines >= limit {
            return Err(ParseError::EmptyLines { limit });
        }
        let empty_lines = empty_lines + 1;
        self.state = State::StartLine { empty_lines };
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
        self.draft.note(&mut self.facts, &field)?;
        Ok(Taken::Line)
    }

    #[inline(always)]
    fn begin_fields(&mut self, line: &D::StartLine) {
        self.draft.begin(line);
        self.state = State::Fields;
    }

    #[inline(always)]
    fn push_field(&mut self, span: FieldSpan, limits: &Limits) -> Result<(), ParseError> {
        let fields = self.draft.fields();
        if fields.len() >= usize::from(limits.fields_max) {
            let limit = limits.fields_max;
            return Err(ParseError::TooManyFields { limit });
        }
        fields.push(span);
        Ok(())
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

/// What [`HeadMachine::take_line`] has taken.
enum Taken {
    Nothing,
    Line,
    /// The line that ends the head; the head ends here.
    End(usize),
}
