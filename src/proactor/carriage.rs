//! What a connection of a server asks of the proactor beside what sources can start: to take in what
//! was accepted, to send a copy, to look at once for what may have completed, to close now.

use std::io;
use std::rc::Rc;

use bytes::BytesMut;

use super::facade::Proactor;
use super::handle::Socket;
use super::operation::{Completion, Filled, Memory, Outcome, Payload};
use super::request::{Request, Room, Times};
use super::shared::Shared;
use super::table::Lane;
use crate::reactor::{Completed, Context, OperationId, Result, ShortRead, Stream};

/// What an operation of a connection has come to. Memory that nobody needs has gone back.
#[derive(Debug)]
pub(crate) enum Came {
    /// At least one byte.
    Bytes(Filled),
    /// The end of the stream.
    End,
    /// So many bytes were taken.
    Sent(usize),
    /// As far as this operation goes, the stream is broken.
    Failed(io::Error),
    /// Somebody has cancelled it.
    Nothing,
}

impl Proactor {
    /// As [`attach`](Proactor::attach), with the stream itself: for what waits for nothing. Drop it before
    /// the socket is [released](Proactor::release).
    pub(crate) fn adopt<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        stream: Stream,
        short_read: ShortRead,
    ) -> Result<(Socket, Rc<Stream>)> {
        self.with(cx, |shared, cx| {
            shared.ready_for_driver(|waiting| stream.set_waiting(waiting))?;
            let socket = shared.adopt(stream, short_read, cx)?;
            let stream = shared.stream(&socket.0)?;
            Ok((socket, stream))
        })
    }

    /// As [`receive_chosen`](Proactor::receive_chosen), when `spent` has been read.
    pub(crate) fn receive_next<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        socket: &Socket,
        spent: Option<BytesMut>,
    ) -> Result<OperationId> {
        self.with(cx, |shared, cx| {
            spent
                .into_iter()
                .for_each(|buffer| shared.pool.give(buffer));
            let stream = shared.stream(&socket.0)?;
            let room = Room::Chosen(Times::Once);
            let request = Request::Receive { stream, room };
            let started = shared.start(Lane::In(socket.0.token), request, cx);
            started.map_err(|refused| refused.1)
        })
    }

    /// Sends a copy of `bytes`, in a buffer of the proactor's own if they fit.
    pub(crate) fn send_copy<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        socket: &Socket,
        bytes: &[u8],
    ) -> Result<OperationId> {
        self.with(cx, |shared, cx| {
            let payload = match bytes.len() <= shared.pool.buffer_bytes() {
                true => {
                    let mut buffer = shared.pool.take();
                    buffer[..bytes.len()].copy_from_slice(bytes);
                    Payload::from(Filled::new(buffer, bytes.len()))
                }
                false => Payload::from(BytesMut::from(bytes)),
            };
            let stream = shared.stream(&socket.0)?;
            let request = Request::Send { stream, payload };
            let started = shared.start(Lane::Out(socket.0.token), request, cx);
            started.map_err(|refused| {
                shared.reuse(refused.0.into_memory());
                refused.1
            })
        })
    }

    /// As [`take`](Proactor::take).
    #[inline]
    pub(crate) fn take_came<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        completed: Completed,
    ) -> Option<(OperationId, Came)> {
        let came = cx.with(self.shared, |shared, _| {
            let completion = shared.take(completed)?;
            Some(shared.came(completion))
        });
        came?
    }

    /// What operation `id` on `socket` has to give, if it has, though the loop has not told of it, and the
    /// kernel perhaps not yet the loop. O(completions that are not told).
    #[cold]
    pub(crate) fn take_early<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        socket: &Socket,
        id: OperationId,
    ) -> Option<Came> {
        let early = cx.with(self.shared, |shared, cx| {
            shared.look_at(socket.0.token, cx);
            let completion = shared.take_posted(id)?;
            Some(shared.came(completion).1)
        });
        early?
    }

    /// Cancels operation `id` on `socket`: what it has come to, if it ends at once. As [`take_early`] else.
    ///
    /// [`take_early`]: Proactor::take_early
    #[cold]
    pub(crate) fn cancel_early<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        socket: &Socket,
        id: OperationId,
    ) -> Option<Came> {
        self.cancel(cx, id);
        self.take_early(cx, socket, id)
    }

    /// Cancels what is under way on `socket` and closes it: at once, or when the kernel lets go.
    pub(crate) fn release<S: 'static>(&self, cx: &mut Context<'_, S>, socket: Socket) {
        cx.with(self.shared, |shared, cx| {
            shared.release(socket.0.disarm(), cx);
        });
    }
}

impl Shared {
    /// What `completion` means to a connection.
    #[inline]
    fn came(&mut self, completion: Completion) -> (OperationId, Came) {
        let came = match completion.outcome {
            Outcome::Received(filled) if filled.is_empty() => {
                self.pool.give(filled.into_buffer());
                Came::End
            }
            Outcome::Received(filled) => Came::Bytes(filled),
            Outcome::Sent(passed) => {
                self.recycle(passed.rest);
                Came::Sent(passed.count)
            }
            Outcome::Failed(error, memory) => {
                self.reuse(memory);
                Came::Failed(error)
            }
            Outcome::Cancelled(memory) => {
                self.reuse(memory);
                Came::Nothing
            }
            _ => Came::Nothing,
        };
        (completion.operation, came)
    }

    /// Keeps memory that nobody needs any more, if it is of the proactor's own.
    fn reuse(&mut self, memory: Memory) {
        match memory {
            Memory::Room(buffer) => self.pool.give(buffer),
            Memory::Payload(payload) => self.recycle(payload),
            Memory::None => {}
        }
    }
}
