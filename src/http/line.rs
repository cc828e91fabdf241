//! The line machine: where the next line of the message ends.
//!
//! Heads, chunk sizes and trailers are all made of lines, and only CR LF ends one. This machine
//! finds the ends and nothing else; what a line means is the business of the machines above it
//! ([`RequestParser`](super::RequestParser), [`ResponseParser`](super::ResponseParser),
//! [`BodyDecoder`](super::BodyDecoder)), which get each line whole and so need no states within a
//! line.
//!
//! ```text
//!            text               CR                 LF
//!   Text ─────────> Text   Text ────> Cr        Cr ────> Complete, then Text of the next line
//!   Text ── LF or another control octet ─────────────────> Bad
//!                                    Cr ── anything else ─> Bad
//! ```
//!
//! It may stop at any octet and goes on there with the next call, so it classifies no octet twice
//! (but for the few that fill up a word); the short way of whole plain lines may have read a line
//! once before. A reader that took a lone CR or LF for a line end, or
//! dropped a NUL, would see other lines than we do; refusing all three here, once, is what keeps
//! whole families of request smuggling out.
//!
//! Invariant: `start <= next`, and octets before `next` are never looked at again by it.

use super::ParseError;
use super::grammar::first_below_space;

/// What the octets so far are.
#[derive(Debug)]
pub(super) enum Line {
    /// A line that has not ended yet.
    Open,
    /// A whole line from its first octet up to `end`, the one after its CR LF.
    Complete { start: usize, end: usize },
    /// Not a line.
    Bad(ParseError),
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum State {
    #[default]
    Text,
    /// The last octet examined was a CR.
    Cr,
}

/// See the module.
#[derive(Clone, Default, Debug)]
pub(super) struct LineMachine {
    /// First octet of the line, as an offset into the octets given.
    start: usize,
    /// First octet not yet examined.
    next: usize,
    state: State,
    /// All octets ever examined, counted where they are read; see
    /// [`RequestParser::octets_examined`](super::RequestParser).
    examined: u64,
}

impl LineMachine {
    /// Looks for the end of the present line. `octets` are those of earlier calls and more.
    ///
    /// A line that is there from its first to its last octet, without HTAB, is the short way
    /// through; [`resume`](LineMachine::resume) is the whole machine.
    #[inline(always)]
    pub fn poll(&mut self, octets: &[u8]) -> Line {
        if self.state == State::Text {
            let Some(rest) = octets.get(self.next..) else {
                return Line::Open;
            };
            let text_len = match rest.first() {
                Some(b'\r') => 0,
                _ => first_below_space(rest),
            };
            self.examined += text_len as u64;
            let behind = rest.get(text_len..).unwrap_or_default();
            if behind.first_chunk() == Some(b"\r\n") {
                self.examined += 2;
                return self.complete(self.next + text_len + 2);
            }
            return self.resume(octets, self.next + text_len);
        }
        self.resume(octets, self.next)
    }

    /// Whether `octets` are so few more than before that the line is just longer now, or its CR
    /// has come: what a client that drips makes us do most.
    #[inline(always)]
    pub fn only_grows(&mut self, octets: &[u8]) -> bool {
        match octets.get(self.next..) {
            Some(b"\r") if self.state == State::Text => self.state = State::Cr,
            Some(&[octet]) if self.state == State::Text && !octet.is_ascii_control() => {}
            _ => return false,
        }
        self.examined += 1;
        self.pause(self.next + 1);
        true
    }

    /// The machine as drawn above, from `next` on; in `Text` there is nothing but text before it.
    #[inline(never)]
    fn resume(&mut self, octets: &[u8], mut next: usize) -> Line {
        loop {
            match (self.state, octets.get(next)) {
                (_, None) => return self.pause(next),
                (State::Text, Some(b'\r')) => {
                    self.state = State::Cr;
                    self.examined += 1;
                    next += 1;
                }
                (State::Text, Some(b'\t')) => {
                    let text_len = 1 + first_below_space(&octets[next + 1..]);
                    self.examined += text_len as u64;
                    next += text_len;
                }
                (State::Text, Some(b'\n')) => return Line::Bad(ParseError::BareLf),
                (State::Text, Some(_)) => return Line::Bad(ParseError::ControlOctet),
                (State::Cr, Some(b'\n')) => {
                    self.examined += 1;
                    return self.complete(next + 1);
                }
                (State::Cr, Some(_)) => return Line::Bad(ParseError::BareCr),
            }
        }
    }

    #[inline(always)]
    fn complete(&mut self, end: usize) -> Line {
        let start = self.start;
        self.pause(end);
        (self.start, self.state) = (end, State::Text);
        Line::Complete { start, end }
    }

    #[inline(always)]
    fn pause(&mut self, next: usize) -> Line {
        self.next = next;
        Line::Open
    }

    /// Where the present line begins, if nothing of it was examined yet.
    #[inline(always)]
    pub fn untouched(&self) -> Option<usize> {
        let nothing = self.next == self.start && self.state == State::Text;
        nothing.then_some(self.start)
    }

    /// Goes over whole lines that others have found, from the beginning of an untouched one to
    /// `end`.
    #[inline(always)]
    pub fn pass(&mut self, end: usize) {
        self.examined += (end - self.next) as u64;
        self.complete(end);
    }

    /// Counts `len` octets of a message that others have examined to its end.
    #[inline(always)]
    pub fn count(&mut self, len: usize) {
        self.examined += len as u64;
    }

    /// Goes over `len` octets that belong to no line; the next line begins behind them.
    pub fn skip(&mut self, len: usize) {
        self.next += len;
        self.start = self.next;
    }

    /// The first `len` octets, none of them of the present line, are gone: what follows is counted
    /// from 0.
    pub fn rebase(&mut self, len: usize) {
        self.start -= len;
        self.next -= len;
    }

    /// First octet of the present line.
    pub fn start(&self) -> usize {
        self.start
    }

    /// First octet not yet examined.
    pub fn next(&self) -> usize {
        self.next
    }

    /// Whether the present line has any octet besides a CR that may be its end.
    pub fn has_text(&self) -> bool {
        match self.state {
            State::Text => self.next > self.start,
            State::Cr => self.next > self.start + 1,
        }
    }

    /// All octets examined since the machine was made.
    pub fn examined(&self) -> u64 {
        self.examined
    }

    /// Begins another message at offset 0.
    pub fn reset(&mut self) {
        (self.start, self.next, self.state) = (0, 0, State::Text);
    }
}
