//! Replies as bytes, in both versions of the protocol.

use std::fmt::{self, Write};

use crate::buffer::Buffer;

/// Which version of the protocol the client speaks; 2 until it says `HELLO 3`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Protocol {
    /// What every client understands.
    #[default]
    Resp2,
    /// With maps and a null of its own.
    Resp3,
}

/// Appends replies to the bytes for a client.
#[derive(Debug)]
pub struct ReplyEncoder<'a> {
    output: &'a mut Buffer,
    protocol: Protocol,
}

impl<'a> ReplyEncoder<'a> {
    /// Replies in `protocol`, at the end of `output`.
    pub fn new(output: &'a mut Buffer, protocol: Protocol) -> ReplyEncoder<'a> {
        ReplyEncoder { output, protocol }
    }

    /// A short text of ours. A line end in it is replaced by a blank.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text);
    }

    /// What went wrong: a word in capitals for programs, then a sentence for people. A line end in it
    /// is replaced by a blank.
    pub fn error(&mut self, text: impl fmt::Display) {
        self.line(b'-', text);
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.output.append(b"+OK\r\n");
    }

    /// A number.
    #[inline]
    pub fn integer(&mut self, number: i64) {
        self.head(b':', itoa::Buffer::new().format(number));
    }

    /// Any bytes.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(bytes.len()).as_bytes();
        let (head, whole) = (digits.len() + 3, digits.len() + bytes.len() + 5);
        let space = self.output.space(whole);
        space[0] = b'$';
        space[1..head - 2].copy_from_slice(digits);
        space[head - 2..head].copy_from_slice(b"\r\n");
        space[head..whole - 2].copy_from_slice(bytes);
        space[whole - 2..whole].copy_from_slice(b"\r\n");
        self.output.filled(whole);
    }

    /// A text for people; some bytes to a client of version 2.
    pub fn text(&mut self, text: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => {
                self.head(b'=', itoa::Buffer::new().format(text.len() + 4));
                self.output.append(b"txt:");
                self.output.append(text.as_bytes());
                self.output.append(b"\r\n");
            }
        }
    }

    /// Nothing.
    #[inline]
    pub fn null(&mut self) {
        self.output.append(match self.protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// An array: `len` replies follow.
    pub fn array(&mut self, len: usize) {
        self.head(b'*', itoa::Buffer::new().format(len));
    }

    /// A map: `len` times a key and a value follow. An array of both to a client of version 2.
    pub fn map(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.array(len * 2),
            Protocol::Resp3 => self.head(b'%', itoa::Buffer::new().format(len)),
        }
    }

    #[inline]
    fn head(&mut self, mark: u8, digits: &str) {
        let digits = digits.as_bytes();
        let len = digits.len() + 3;
        let space = self.output.space(len);
        space[0] = mark;
        space[1..len - 2].copy_from_slice(digits);
        space[len - 2..len].copy_from_slice(b"\r\n");
        self.output.filled(len);
    }

    fn line(&mut self, mark: u8, text: impl fmt::Display) {
        self.output.append(&[mark]);
        // It fails only if the text does, which is then cut there.
        let _ = write!(Line(self.output), "{text}");
        self.output.append(b"\r\n");
    }
}

/// Appends text that must not end the line.
struct Line<'a>(&'a mut Buffer);

impl Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.as_bytes().chunk_by(|a, b| is_end(*a) == is_end(*b)) {
            match is_end(part[0]) {
                true => part.iter().for_each(|_| self.0.append(b" ")),
                false => self.0.append(part),
            }
        }
        Ok(())
    }
}

fn is_end(octet: u8) -> bool {
    octet == b'\r' || octet == b'\n'
}
