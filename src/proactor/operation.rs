//! What an operation is given and what it gives back: memory goes in with its start and comes out
//! with its completion, whatever has become of it.
//!
//! Invariant: between the two nobody but the operation can reach the memory. What is dropped is dropped
//! by its owner of that moment: the table while the operation is under way, the user's code after it.

use std::fmt;
use std::io;
use std::ops::Deref;

use bytes::{Bytes, BytesMut};

use super::handle::Socket;
use crate::reactor::{Error, OperationId, Peer};

/// What an operation has to give.
#[derive(Debug)]
pub struct Completion {
    /// Which operation.
    pub operation: OperationId,
    /// Whether the operation goes on, and more completions of it come. The last one says false.
    pub more: bool,
    /// What it came to.
    pub outcome: Outcome,
}

/// What an operation came to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// A client was accepted.
    Accepted(Socket, Peer),
    /// The connection stands.
    Connected(Socket),
    /// Bytes came from a socket; none is the end of the stream.
    Received(Filled),
    /// Bytes went to a socket.
    Sent(Passed),
    /// Bytes were read from a file; none is its end, fewer than there was room for is no error.
    Read(Filled),
    /// Bytes were written to a file.
    Written(Passed),
    /// What was written to the file before the start is on the disk.
    Synced,
    /// The time has come.
    TimedOut,
    /// The kernel refused; the memory that the operation had.
    Failed(io::Error, Memory),
    /// It was cancelled before it came to anything; the memory that it had.
    Cancelled(Memory),
}

/// The outcomes of operations on files, which cross threads.
#[derive(Debug)]
pub(super) enum FileOutcome {
    Read(Filled),
    Written(Passed),
    Synced,
    Failed(io::Error, Memory),
}

impl From<FileOutcome> for Outcome {
    fn from(outcome: FileOutcome) -> Outcome {
        match outcome {
            FileOutcome::Read(filled) => Outcome::Read(filled),
            FileOutcome::Written(passed) => Outcome::Written(passed),
            FileOutcome::Synced => Outcome::Synced,
            FileOutcome::Failed(error, memory) => Outcome::Failed(error, memory),
        }
    }
}

/// The memory of an operation that has done nothing with it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Memory {
    /// It had none.
    None,
    /// Room to receive or read into.
    Room(BytesMut),
    /// Bytes to send or write.
    Payload(Payload),
}

/// A buffer, and how much of it an operation has filled. Dereferences to the filled part.
pub struct Filled {
    buffer: BytesMut,
    /// Invariant: at most `buffer.len()`.
    len: usize,
}

impl Filled {
    pub(super) fn new(buffer: BytesMut, len: usize) -> Filled {
        let len = len.min(buffer.len());
        Filled { buffer, len }
    }

    /// The same buffer with `bytes` in it. Given back when there is no room for them.
    pub(crate) fn refilled(mut self, bytes: &[u8]) -> Result<Payload, Filled> {
        match self.buffer.get_mut(..bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len = bytes.len();
                Ok(Payload::from(self))
            }
            None => Err(self),
        }
    }

    /// The whole buffer, as long as it was when the operation began.
    #[must_use]
    pub fn into_buffer(self) -> BytesMut {
        self.buffer
    }
}

impl Deref for Filled {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl fmt::Debug for Filled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filled({} of {} bytes)", self.len, self.buffer.len())
    }
}

/// Bytes to be sent or written, of which a part may have gone already.
pub struct Payload {
    held: Held,
    /// Invariant: `start <= end <= held.len()`.
    start: usize,
    end: usize,
}

enum Held {
    Own(BytesMut),
    Shared(Bytes),
}

impl Payload {
    fn new(held: Held, end: usize) -> Payload {
        Payload {
            held,
            start: 0,
            end,
        }
    }

    /// What has not gone yet.
    #[inline]
    #[must_use]
    pub fn remaining(&self) -> &[u8] {
        match &self.held {
            Held::Own(bytes) => &bytes[self.start..self.end],
            Held::Shared(bytes) => &bytes[self.start..self.end],
        }
    }

    /// Whether all has gone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The buffer, if these bytes were in one of their own; whole, whatever has gone.
    #[must_use]
    pub fn into_buffer(self) -> Option<BytesMut> {
        match self.held {
            Held::Own(bytes) => Some(bytes),
            Held::Shared(_) => None,
        }
    }

    pub(super) fn advance(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Payload {
        let end = bytes.len();
        Payload::new(Held::Shared(bytes), end)
    }
}

impl From<BytesMut> for Payload {
    fn from(bytes: BytesMut) -> Payload {
        let end = bytes.len();
        Payload::new(Held::Own(bytes), end)
    }
}

/// The filled part.
impl From<Filled> for Payload {
    fn from(filled: Filled) -> Payload {
        Payload::new(Held::Own(filled.buffer), filled.len)
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Payload {
        Payload::from(Bytes::from(bytes))
    }
}

impl From<&'static [u8]> for Payload {
    fn from(bytes: &'static [u8]) -> Payload {
        Payload::from(Bytes::from_static(bytes))
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Payload({} of {} bytes left)",
            self.end - self.start,
            self.end
        )
    }
}

/// What has become of bytes to be sent or written.
#[derive(Debug)]
pub struct Passed {
    /// How many bytes went with this operation: at least one, unless there were none.
    pub count: usize,
    /// The payload without them. When it is not empty, start again with it.
    pub rest: Payload,
}

impl Passed {
    pub(super) fn new(mut rest: Payload, count: usize) -> Passed {
        rest.advance(count);
        Passed { count, rest }
    }
}

/// Why an operation did not begin, and the memory that it was given.
pub struct Refused<M> {
    /// Untouched.
    pub memory: M,
    /// Why.
    pub error: Error,
}

impl<M> fmt::Debug for Refused<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<M> fmt::Display for Refused<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<M> std::error::Error for Refused<M> {}

impl<M> From<Refused<M>> for Error {
    fn from(refused: Refused<M>) -> Error {
        refused.error
    }
}
