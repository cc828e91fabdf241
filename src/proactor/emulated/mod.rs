//! The Proactor emulated over the Reactor (POSA2, "Proactor", implementation 5): an operation waits at
//! its socket until that is ready, then it is done without waiting, and its completion is told.
//!
//! Always there, on every kernel, and the measure of the other driver.

mod files;

use std::io;
use std::rc::Rc;

pub(super) use files::Files;
use rustix::io::Errno;

use super::device::Resource;
use super::operation::{Filled, Memory, Outcome, Passed};
use super::request::{Request, Room, Times};
use super::shared::{Shared, wrong_kind};
use super::table::Lane;
use crate::reactor::{
    Context, Event, EventSource, Local, Next, OperationId, Readiness, Registry, Result, ShortRead,
    Stream, StreamListener, concerns_one_connection,
};
use crate::slab::Token;
use crate::time::Tick;

/// Completions of one socket in one turn, before others get theirs.
const PER_TURN: usize = 16;
/// Failed connections in a row that are passed over before the operation is told.
const FAILURES_MAX: usize = 64;

/// After a short read the socket is empty, unless one of these ended the read.
const MARKS: Readiness = Readiness::READ_CLOSED.union(Readiness::PRIORITY);

/// Hears of one socket of the proactor.
#[derive(Debug)]
pub(super) struct Watcher {
    shared: Local<Shared>,
    token: Token,
    resource: Resource,
}

/// Begins to watch the socket of `token`.
pub(super) fn watch<S: 'static>(
    shared: &mut Shared,
    token: Token,
    cx: &mut Context<'_, S>,
) -> Result<()> {
    let local = shared.home()?.local;
    let device = shared.table.device(token).ok_or_else(wrong_kind)?;
    let watcher = Watcher {
        shared: local,
        token,
        resource: device.resource.clone(),
    };
    let source = match cx.insert(watcher) {
        Ok(source) => source,
        Err(refused) => {
            shared.table.release(token);
            return Err(refused.into());
        }
    };
    device.station.source = Some(source);
    // Room to send there mostly is; whether there are bytes the kernel tells at once.
    device.station.ready = match device.resource {
        Resource::Stream(_) => Readiness::WRITABLE,
        _ => Readiness::READABLE,
    };
    Ok(())
}

/// An operation comes to its socket.
pub(super) fn begin<S: 'static>(
    shared: &mut Shared,
    id: OperationId,
    lane: Lane,
    request: Request,
    cx: &mut Context<'_, S>,
) {
    let (Lane::In(token) | Lane::Out(token) | Lane::File(token)) = lane;
    let failed = match &request {
        Request::Connect { stream, address } => {
            let began = stream.connect(*address);
            began
                .and_then(|()| watch(shared, token, cx).map_err(io::Error::from))
                .err()
        }
        _ => None,
    };
    if let Some(error) = failed {
        return shared.complete(id, Outcome::Failed(error, Memory::None), false, cx);
    }
    let connects = matches!(request, Request::Connect { .. });
    let Some(device) = shared.table.device(token) else {
        return;
    };
    let station = &mut device.station;
    if connects {
        station.ready = Readiness::default(); // it says when it is connected, or refused
    }
    match lane {
        Lane::In(_) => station.input = Some((id, request)),
        _ => station.output = Some((id, request)),
    }
    let source = station.source;
    let left = match lane {
        Lane::In(_) => take_in(shared, token, cx),
        _ => give_out(shared, token, cx),
    };
    if let Some(source) = source.filter(|_| left) {
        cx.resume(source);
    }
}

/// Tries what waits at a socket, though the kernel has not said that it is ready.
pub(super) fn look_at<S: 'static>(shared: &mut Shared, token: Token, cx: &mut Context<'_, S>) {
    let Some(device) = shared.table.device(token) else {
        return;
    };
    let station = &mut device.station;
    let maybe = Readiness::READABLE.union(Readiness::WRITABLE);
    station.ready = station.ready.union(maybe);
    let source = station.source;
    give_out(shared, token, cx);
    let left = take_in(shared, token, cx);
    if let Some(source) = source.filter(|_| left) {
        cx.resume(source);
    }
}

/// Takes `id` from its socket: what it had.
pub(super) fn withdraw(shared: &mut Shared, id: OperationId, token: Token) -> Option<Memory> {
    let station = &mut shared.table.device(token)?.station;
    let is_it = |waiting: &mut (OperationId, Request)| waiting.0 == id;
    let input = station.input.take_if(is_it);
    let (_, request) = input.or_else(|| station.output.take_if(is_it))?;
    Some(request.into_memory())
}

/// Does what waits to receive or accept, as far as the socket is ready. Whether more can be done now.
fn take_in<S: 'static>(shared: &mut Shared, token: Token, cx: &mut Context<'_, S>) -> bool {
    for _ in 0..PER_TURN {
        let Some(device) = shared.table.device(token) else {
            return false;
        };
        if !device.station.ready.is_readable() {
            return false;
        }
        match device.station.input.take() {
            Some((id, Request::Receive { stream, room })) => {
                receive(shared, (token, id), stream, room, cx);
            }
            Some((id, Request::Accept { listener, times })) => {
                accept(shared, (token, id), listener, times, cx);
            }
            _ => return false,
        }
    }
    true
}

fn receive<S: 'static>(
    shared: &mut Shared,
    (token, id): (Token, OperationId),
    stream: Rc<Stream>,
    room: Room,
    cx: &mut Context<'_, S>,
) {
    let (mut buffer, chosen) = match room {
        Room::Given(buffer) => (buffer, None),
        Room::Chosen(times) => (shared.pool.take(), Some(times)),
    };
    let received = stream.read(&mut buffer);
    let Some(device) = shared.table.device(token) else {
        return;
    };
    let station = &mut device.station;
    match received {
        Ok(len) => {
            let short = len < buffer.len() && station.short_read == ShortRead::Empties;
            if short && !station.ready.intersects(MARKS) {
                station.ready = station.ready.without(Readiness::READABLE);
            }
            let more = len > 0 && chosen == Some(Times::Many);
            if more {
                let room = Room::Chosen(Times::Many);
                station.input = Some((id, Request::Receive { stream, room }));
            }
            let filled = Filled::new(buffer, len);
            shared.complete(id, Outcome::Received(filled), more, cx);
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let used_up = Readiness::READABLE.union(MARKS).union(Readiness::ERROR);
            station.ready = station.ready.without(used_up);
            let room = match chosen {
                None => Room::Given(buffer),
                Some(times) => {
                    shared.pool.give(buffer);
                    Room::Chosen(times)
                }
            };
            station.input = Some((id, Request::Receive { stream, room }));
        }
        Err(error) => {
            let memory = match chosen {
                None => Memory::Room(buffer),
                Some(_) => {
                    shared.pool.give(buffer);
                    Memory::None
                }
            };
            shared.complete(id, Outcome::Failed(error, memory), false, cx);
        }
    }
}

fn accept<S: 'static>(
    shared: &mut Shared,
    (token, id): (Token, OperationId),
    listener: Rc<StreamListener>,
    times: Times,
    cx: &mut Context<'_, S>,
) {
    let mut failures = 0;
    let accepted = loop {
        match listener.accept() {
            Err(error) if concerns_one_connection(error) && failures < FAILURES_MAX => {
                failures += 1
            }
            result => break result,
        }
    };
    let again = Some((id, Request::Accept { listener, times }));
    let (outcome, more) = match accepted {
        Ok((stream, peer)) => match shared.adopt(stream, peer.short_read(), cx) {
            Ok(socket) => (Outcome::Accepted(socket, peer), times == Times::Many),
            Err(error) => (Outcome::Failed(error.into(), Memory::None), false),
        },
        Err(Errno::WOULDBLOCK) => {
            if let Some(device) = shared.table.device(token) {
                let ready = device.station.ready;
                device.station.ready = ready.without(Readiness::READABLE.union(Readiness::ERROR));
                device.station.input = again;
            }
            return;
        }
        Err(error) => (Outcome::Failed(error.into(), Memory::None), false),
    };
    if let Some(device) = shared.table.device(token).filter(|_| more) {
        device.station.input = again;
    }
    shared.complete(id, outcome, more, cx);
}

/// Does what waits to send or connect, if the socket is ready. Never leaves more that can be done now.
fn give_out<S: 'static>(shared: &mut Shared, token: Token, cx: &mut Context<'_, S>) -> bool {
    let Some(device) = shared.table.device(token) else {
        return false;
    };
    let station = &mut device.station;
    if !station.ready.is_writable() {
        return false;
    }
    let used_up = Readiness::WRITABLE.union(Readiness::ERROR);
    match station.output.take() {
        Some((id, Request::Send { stream, payload })) => match stream.write(payload.remaining()) {
            Ok(count) => {
                let passed = Passed::new(payload, count);
                shared.complete(id, Outcome::Sent(passed), false, cx);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                station.ready = station.ready.without(used_up);
                station.output = Some((id, Request::Send { stream, payload }));
            }
            Err(error) => {
                let memory = Memory::Payload(payload);
                shared.complete(id, Outcome::Failed(error, memory), false, cx);
            }
        },
        Some((id, Request::Connect { stream, address })) => {
            let outcome = match stream.connected() {
                Err(error) => Outcome::Failed(error, Memory::None),
                Ok(Some(peer)) => match shared.connected(token, &peer) {
                    Some(socket) => Outcome::Connected(socket),
                    None => return false,
                },
                Ok(None) => {
                    // Woken for nothing: it is still on its way.
                    station.ready = station.ready.without(used_up);
                    station.output = Some((id, Request::Connect { stream, address }));
                    return false;
                }
            };
            shared.complete(id, outcome, false, cx);
        }
        _ => {}
    }
    false
}

impl<S: 'static> EventSource<S> for Watcher {
    fn register(&mut self, registry: &mut Registry<'_>) -> io::Result<()> {
        match &self.resource {
            Resource::Stream(stream) => registry.stream(stream),
            Resource::Listener(listener) => registry.listener(listener),
            Resource::File(_) => Ok(()),
        }
    }

    fn handle(&mut self, event: Event, _: &mut S, cx: &mut Context<'_, S>) -> Next {
        let token = self.token;
        let left = cx.with(self.shared, |shared, cx| {
            if let Event::Ready(readiness) = event
                && let Some(device) = shared.table.device(token)
            {
                device.station.ready = device.station.ready.union(readiness);
            }
            give_out(shared, token, cx);
            take_in(shared, token, cx)
        });
        match left {
            Some(true) => Next::Again,
            // Not `Wait`: bytes that nobody has asked for yet stay where they are.
            Some(false) => Next::Until(Tick::NEVER),
            None => Next::Close,
        }
    }

    fn name(&self) -> &'static str {
        "proactor socket"
    }

    fn is_background(&self) -> bool {
        true
    }
}
