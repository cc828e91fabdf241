//! What a source can start.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;

use super::device::{Device, Resource};
use super::facade::Proactor;
use super::handle::{DiskFile, Listening, Socket};
use super::operation::{Memory, Payload, Refused};
use super::request::{FileRequest, Request, Room, Sync, Times};
use super::shared::{Shared, wrong_kind};
use super::table::Lane;
use crate::reactor::{Context, Error, ErrorKind, OperationId, Result, ShortRead, Stream};

type Started<M> = std::result::Result<OperationId, Refused<M>>;

/// Operations. Each completes exactly once, at the source that started it.
impl Proactor {
    /// Accepts one client.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] while the listener accepts already, [`ErrorKind::Draining`],
    /// [`ErrorKind::Full`]; so for all that follow.
    pub fn accept<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        listening: &Listening,
    ) -> Result<OperationId> {
        self.accept_times(cx, listening, Times::Once)
    }

    /// Accepts clients until it is cancelled, or fails: without descriptors or memory. Start it again
    /// then, a while later. What concerns one client only is passed over.
    ///
    /// # Errors
    ///
    /// As [`accept`](Proactor::accept).
    pub fn accept_many<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        listening: &Listening,
    ) -> Result<OperationId> {
        self.accept_times(cx, listening, Times::Many)
    }

    fn accept_times<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        listening: &Listening,
        times: Times,
    ) -> Result<OperationId> {
        self.with(cx, |shared, cx| {
            let listener = match &shared.device(&listening.0)?.resource {
                Resource::Listener(listener) => Rc::clone(listener),
                _ => return Err(wrong_kind()),
            };
            let request = Request::Accept { listener, times };
            let started = shared.start(Lane::In(listening.0.token), request, cx);
            started.map_err(|refused| refused.1)
        })
    }

    /// Connects to `address`. Refusal and the like come with the completion; there is no time limit but
    /// the kernel's: cancel it when it takes too long.
    ///
    /// # Errors
    ///
    /// As [`accept`](Proactor::accept), and when there is no descriptor for it.
    pub fn connect<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        address: SocketAddr,
    ) -> Result<OperationId> {
        self.with(cx, |shared, cx| {
            let stream = Stream::unconnected(address);
            let stream = stream.map_err(|error| Error::io("make", "a socket", error))?;
            shared.ready_for_driver(|waiting| stream.set_waiting(waiting))?;
            let stream = Rc::new(stream);
            let resource = Resource::Stream(Rc::clone(&stream));
            let token = shared.attach(Device::new(resource, ShortRead::SaysNothing))?;
            shared.start_connect(token, Request::Connect { stream, address }, cx)
        })
    }

    /// Receives what comes next, up to the length of `buffer`; none is the end of the stream.
    ///
    /// # Errors
    ///
    /// As [`accept`](Proactor::accept), and [`ErrorKind::Invalid`] for a buffer without room. The buffer
    /// comes back.
    pub fn receive<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        socket: &Socket,
        buffer: BytesMut,
    ) -> Started<BytesMut> {
        if buffer.is_empty() {
            return Err(roomless(buffer));
        }
        let start =
            |shared: &mut Shared, memory: &mut Option<BytesMut>, cx: &mut Context<'_, S>| {
                let stream = shared.stream(&socket.0)?;
                let room = Room::Given(memory.take().unwrap_or_default());
                let request = Request::Receive { stream, room };
                let started = shared.start(Lane::In(socket.0.token), request, cx);
                started.map_err(|refused| give_room(memory, *refused))
            };
        self.with_memory(cx, buffer, start)
    }

    /// Receives what comes next into a buffer of the proactor's own, which is chosen when there are
    /// bytes: who waits holds no memory. Give it back by [`recycle`](Proactor::recycle).
    ///
    /// # Errors
    ///
    /// As [`accept`](Proactor::accept).
    pub fn receive_chosen<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        socket: &Socket,
    ) -> Result<OperationId> {
        self.receive_times(cx, socket, Times::Once)
    }

    /// As [`receive_chosen`](Proactor::receive_chosen), again and again until the end of the stream, an
    /// error, or a cancel. There is no back-pressure but a cancel.
    ///
    /// # Errors
    ///
    /// As [`accept`](Proactor::accept).
    pub fn receive_many<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        socket: &Socket,
    ) -> Result<OperationId> {
        self.receive_times(cx, socket, Times::Many)
    }

    fn receive_times<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        socket: &Socket,
        times: Times,
    ) -> Result<OperationId> {
        self.with(cx, |shared, cx| {
            let stream = shared.stream(&socket.0)?;
            let room = Room::Chosen(times);
            let request = Request::Receive { stream, room };
            let started = shared.start(Lane::In(socket.0.token), request, cx);
            started.map_err(|refused| refused.1)
        })
    }

    /// Sends as much of `payload` as the socket takes; what is left comes back and can be sent again.
    ///
    /// # Errors
    ///
    /// As [`accept`](Proactor::accept). The payload comes back.
    pub fn send<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        socket: &Socket,
        payload: impl Into<Payload>,
    ) -> Started<Payload> {
        let start = |shared: &mut Shared, memory: &mut Option<Payload>, cx: &mut Context<'_, S>| {
            let stream = shared.stream(&socket.0)?;
            let payload = memory.take().unwrap_or_else(|| Payload::from(&b""[..]));
            let request = Request::Send { stream, payload };
            let started = shared.start(Lane::Out(socket.0.token), request, cx);
            started.map_err(|refused| give_payload(memory, *refused))
        };
        self.with_memory(cx, payload.into(), start)
    }

    /// Reads from `file` at the octet `at`, up to the length of `buffer`.
    ///
    /// # Errors
    ///
    /// As [`receive`](Proactor::receive), but a file is never busy.
    pub fn read<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        file: &DiskFile,
        buffer: BytesMut,
        at: u64,
    ) -> Started<BytesMut> {
        if buffer.is_empty() {
            return Err(roomless(buffer));
        }
        let start =
            |shared: &mut Shared, memory: &mut Option<BytesMut>, cx: &mut Context<'_, S>| {
                check_place(at)?;
                let token = file.0.token;
                let file = shared.file(&file.0)?;
                let room = memory.take().unwrap_or_default();
                let request = Request::File(FileRequest::Read { file, room, at });
                let started = shared.start(Lane::File(token), request, cx);
                started.map_err(|refused| give_room(memory, *refused))
            };
        self.with_memory(cx, buffer, start)
    }

    /// Writes to `file` at the octet `at` as much of `payload` as it takes.
    ///
    /// # Errors
    ///
    /// As [`send`](Proactor::send), but a file is never busy.
    pub fn write<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        file: &DiskFile,
        payload: impl Into<Payload>,
        at: u64,
    ) -> Started<Payload> {
        let start = |shared: &mut Shared, memory: &mut Option<Payload>, cx: &mut Context<'_, S>| {
            check_place(at)?;
            let token = file.0.token;
            let file = shared.file(&file.0)?;
            let payload = memory.take().unwrap_or_else(|| Payload::from(&b""[..]));
            let request = Request::File(FileRequest::Write { file, payload, at });
            let started = shared.start(Lane::File(token), request, cx);
            started.map_err(|refused| give_payload(memory, *refused))
        };
        self.with_memory(cx, payload.into(), start)
    }

    /// Brings to the disk what has been written to `file`: by operations that have completed, not by
    /// those under way. A failure means that it may be lost, and a second sync does not find it.
    ///
    /// # Errors
    ///
    /// As [`accept`](Proactor::accept), but a file is never busy.
    pub fn sync<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        file: &DiskFile,
        what: Sync,
    ) -> Result<OperationId> {
        self.with(cx, |shared, cx| {
            let token = file.0.token;
            let file = shared.file(&file.0)?;
            let request = Request::File(FileRequest::Sync { file, what });
            let started = shared.start(Lane::File(token), request, cx);
            started.map_err(|refused| refused.1)
        })
    }

    /// Completes when `delay` has passed, never earlier: on the loop's wheel with either driver.
    ///
    /// # Errors
    ///
    /// As [`accept`](Proactor::accept).
    pub fn timeout<S: 'static>(
        &self,
        cx: &mut Context<'_, S>,
        delay: Duration,
    ) -> Result<OperationId> {
        self.with(cx, |shared, cx| {
            shared.admit_any(cx)?;
            let id = shared.table.start_timer(cx.token(), cx.after(delay))?;
            shared.metrics.started += 1;
            shared.call_pump(cx);
            Ok(id)
        })
    }

    /// As [`with`](Proactor::with); `memory` comes back with an error.
    fn with_memory<S: 'static, M>(
        &self,
        cx: &mut Context<'_, S>,
        memory: M,
        f: impl FnOnce(&mut Shared, &mut Option<M>, &mut Context<'_, S>) -> Result<OperationId>,
    ) -> Started<M> {
        let mut kept = Some(memory);
        let started = self.with(cx, |shared, cx| f(shared, &mut kept, cx));
        match (started, kept) {
            (Err(error), Some(memory)) => Err(Refused { memory, error }),
            (Ok(id), _) => Ok(id),
            (Err(_), None) => unreachable!("what was refused comes back"),
        }
    }
}

/// The kernel counts with a sign; what is beyond means something else to it.
fn check_place(at: u64) -> Result<()> {
    match i64::try_from(at) {
        Ok(_) => Ok(()),
        Err(_) => {
            let what = format!("an operation at octet {at} of a file: it has at most 2^63");
            Err(Error::new(ErrorKind::Invalid, "start", what))
        }
    }
}

fn roomless(memory: BytesMut) -> Refused<BytesMut> {
    let what = "an operation with a buffer without room: give it the length to be filled";
    Refused {
        memory,
        error: Error::new(ErrorKind::Invalid, "start", what),
    }
}

fn give_room(memory: &mut Option<BytesMut>, (request, error): (Request, Error)) -> Error {
    if let Memory::Room(buffer) = request.into_memory() {
        *memory = Some(buffer);
    }
    error
}

fn give_payload(memory: &mut Option<Payload>, (request, error): (Request, Error)) -> Error {
    if let Memory::Payload(payload) = request.into_memory() {
        *memory = Some(payload);
    }
    error
}
