//! The socket of one byte stream, the bytes on their way through it, and what the kernel has said
//! of it. Decides nothing: that is for `stream_source.rs`.
//!
//! Invariant: a buffer is there only while it holds bytes or is being filled, so a silent stream
//! has none.

use std::io;

use super::net::Stream;
use super::peer::{Peer, ShortRead};
use super::registry::Registry;
use super::source::Readiness;
use crate::buffer::{Buffer, BufferPool};

/// Room made for each read.
const READ_SIZE: usize = 16 * 1024;

/// What a read, or a write, that would block has used up: the next edge says it anew.
const READ_USED_UP: Readiness = Readiness::READABLE.union(MARKS).union(Readiness::ERROR);
const WRITE_USED_UP: Readiness = Readiness::WRITABLE
    .union(Readiness::WRITE_CLOSED)
    .union(Readiness::ERROR);

/// A short read has emptied the socket, unless something else ended it: the peer's end of file,
/// or the mark of urgent data, neither of which need bring a new edge.
const MARKS: Readiness = Readiness::READ_CLOSED.union(Readiness::PRIORITY);

/// What a read has brought.
pub(super) enum Arrived {
    /// So many bytes, at least one, at the end of the input.
    Bytes(usize),
    /// Nothing yet; an edge says when.
    Nothing,
    /// The peer sends no more.
    End,
}

/// The socket with its input and its output.
pub(super) struct StreamPipe {
    stream: Stream,
    short_read: ShortRead,
    /// What the kernel said and no read or write has used up.
    ready: Readiness,
    input: Option<Box<Buffer>>,
    output: Option<Box<Buffer>>,
}

impl StreamPipe {
    pub fn new(stream: Stream, peer: &Peer) -> StreamPipe {
        StreamPipe {
            stream,
            short_read: peer.short_read(),
            ready: Readiness::READABLE.union(Readiness::WRITABLE),
            input: None,
            output: None,
        }
    }

    pub fn register(&self, registry: &mut Registry<'_>) -> io::Result<()> {
        registry.stream(&self.stream)
    }

    /// The kernel says `readiness` of it.
    pub fn heard(&mut self, readiness: Readiness) {
        self.ready = self.ready.union(readiness);
    }

    /// Whether a read may bring anything, as far as is known.
    pub fn is_readable(&self) -> bool {
        self.ready.is_readable()
    }

    /// Bytes that were received and are not done with.
    pub fn held(&self) -> usize {
        self.input.as_deref().map_or(0, Buffer::len)
    }

    /// Bytes that wait for the peer.
    pub fn queued(&self) -> usize {
        self.output.as_deref().map_or(0, Buffer::len)
    }

    /// What was received and is not done with, and where to put what the peer is to get.
    pub fn both(&mut self, buffers: &mut BufferPool) -> (&[u8], &mut Buffer) {
        let received = self.input.as_deref().map_or(&[][..], Buffer::data);
        (received, self.output.get_or_insert_with(|| buffers.take()))
    }

    /// The first `len` bytes that were received are done with, or all of them if they are fewer.
    pub fn consume(&mut self, len: usize) {
        if let Some(input) = &mut self.input {
            input.consume(len.min(input.len()));
        }
    }

    /// Queues `bytes` for the peer.
    pub fn append(&mut self, bytes: &[u8]) {
        self.output.get_or_insert_default().append(bytes);
    }

    /// Reads at most `budget` bytes; one system call.
    pub fn read(&mut self, budget: usize, buffers: &mut BufferPool) -> io::Result<Arrived> {
        let input = self.input.get_or_insert_with(|| buffers.take());
        let space = input.space(READ_SIZE);
        let room = space.len().min(budget);
        match self.stream.read(&mut space[..room]) {
            Ok(0) => Ok(Arrived::End),
            Ok(len) => {
                input.filled(len);
                let is_short = len < room && self.short_read == ShortRead::Empties;
                if is_short && !self.ready.intersects(MARKS) {
                    self.ready = self.ready.without(Readiness::READABLE);
                }
                Ok(Arrived::Bytes(len))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.ready = self.ready.without(READ_USED_UP);
                Ok(Arrived::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes as much of what is queued as the kernel takes. Returns how much that was.
    pub fn write(&mut self) -> io::Result<usize> {
        let mut sent = 0;
        let Some(output) = self.output.as_deref_mut() else {
            return Ok(sent);
        };
        while !output.is_empty() && self.ready.is_writable() {
            match self.stream.write(output.data()) {
                Ok(len) => {
                    sent += len;
                    output.consume(len);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ready = self.ready.without(WRITE_USED_UP);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    /// Gives back the buffers that hold nothing.
    pub fn settle(&mut self, buffers: &mut BufferPool) {
        for buffer in [&mut self.input, &mut self.output] {
            if let Some(empty) = buffer.take_if(|buffer| buffer.is_empty()) {
                buffers.give(empty);
            }
        }
    }

    /// Forgets what the peer has not taken.
    pub fn discard_output(&mut self) {
        self.output = None;
    }

    /// Makes the coming close abortive.
    pub fn abort_on_close(&self) {
        self.stream.abort_on_close();
    }

    /// Tells the peer that no more comes.
    pub fn end_output(&self) {
        let _ = self.stream.shutdown_write(); // it fails if the peer is gone: as well
    }

    /// Takes bytes that nobody wants out of the socket, about `left` of them at most. Returns how
    /// many may still come; none when the stream is at its end.
    pub fn discard_input(&self, mut left: usize) -> usize {
        let mut scrap = [0; 4096];
        while left > 0 {
            match self.stream.read(&mut scrap) {
                Ok(len @ 1..) => left = left.saturating_sub(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return left,
                Ok(_) | Err(_) => return 0,
            }
        }
        left
    }
}
