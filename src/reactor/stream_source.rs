//! The source behind one byte stream; its face is in `stream.rs`.
//!
//! ```text
//!   New ── opened ──> Quiet <── all sent ── Sending
//!                       └── bytes to send ──> ^
//!   Quiet, Sending ── end of file, close(), drain, a limit ──> Closing ── all sent ──> gone
//!                                        close(), drain: all sent ──> Lingering ──────> gone
//! ```
//!
//! Each state carries its deadline: Quiet the idle one, Sending and Closing the end of the window
//! in which the peer has to take some bytes.

use std::fmt;
use std::io;

use super::context::Context;
use super::local::Local;
use super::net::{Peer, ShortRead, Stream};
use super::registry::Registry;
use super::source::{Event, EventSource, Next, Readiness, Removed};
use super::stream::{Link, StreamEnd, StreamHandler, Wish};
use super::stream_host::{self, StreamHost};
use crate::buffer::Buffer;
use crate::time::{Span, Tick};

/// Bytes read by one connection in one turn at most.
const READ_PER_TURN: usize = 64 * 1024;
/// How long, and for how many bytes, a peer is read from that has been told the end.
const LINGER: Span = Span::from_secs(2);
const LINGER_BYTES: usize = 64 * 1024;
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

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Accepted; the handler does not know it yet.
    New,
    /// Open, with nothing to send.
    Quiet { until: Tick },
    /// Open, with bytes to send: `taken` of them in the window that ends at `until`.
    Sending { until: Tick, taken: usize },
    /// What is in the output goes out, then it ends for the reason `why`.
    Closing {
        until: Tick,
        taken: usize,
        why: StreamEnd,
    },
    /// Our end is said; up to `left` more bytes of the peer are discarded.
    Lingering {
        until: Tick,
        left: usize,
        why: StreamEnd,
    },
}

/// One connection.
pub(super) struct StreamSource<S> {
    stream: Stream,
    host: Local<StreamHost<S>>,
    peer: Peer,
    state: State,
    /// What the kernel said and no read or write has used up.
    ready: Readiness,
    /// Present while it holds bytes, or is being filled.
    input: Option<Box<Buffer>>,
    output: Option<Box<Buffer>>,
    output_max: usize,
    end: StreamEnd,
}

impl<S: 'static> StreamSource<S> {
    pub(super) fn new(
        stream: Stream,
        peer: Peer,
        host: Local<StreamHost<S>>,
        output_max: usize,
    ) -> StreamSource<S> {
        StreamSource {
            stream,
            host,
            peer,
            state: State::New,
            ready: Readiness::READABLE.union(Readiness::WRITABLE),
            input: None,
            output: None,
            output_max,
            end: StreamEnd::Panicked, // unless it ends by itself
        }
    }

    /// Queues `bytes` from outside; the caller resumes the source. Not when it ends: what it had
    /// to say is complete, and one that was cut would wait for its peer again.
    pub(super) fn queue(&mut self, bytes: &[u8]) -> bool {
        if matches!(self.state, State::Closing { .. } | State::Lingering { .. }) {
            return false;
        }
        let fits = self.queued() + bytes.len() <= self.output_max;
        if fits {
            self.output.get_or_insert_default().append(bytes);
        } else {
            self.cut(StreamEnd::SlowReader);
        }
        fits
    }

    /// Bytes that wait for the peer.
    fn queued(&self) -> usize {
        self.output.as_deref().map_or(0, Buffer::len)
    }

    /// Ends it without sending what waits.
    fn cut(&mut self, why: StreamEnd) {
        self.output = None;
        self.state = State::Closing {
            until: Tick::NEVER,
            taken: 0,
            why,
        };
        if why != StreamEnd::Idle {
            self.stream.abort_on_close();
        }
    }

    /// Ends it when what waits is sent. The first reason counts.
    fn finish(&mut self, why: StreamEnd, host: &StreamHost<S>, now: Tick) {
        if !matches!(self.state, State::Closing { .. } | State::Lingering { .. }) {
            let until = now.after(host.options.write_window);
            self.state = State::Closing {
                until,
                taken: 0,
                why,
            };
        }
    }

    /// Introduces the connection to the handler, before anything else happens to it.
    fn open(&mut self, host: &mut StreamHost<S>, state: &mut S, cx: &mut Context<'_, S>) {
        self.state = State::Quiet {
            until: cx.now().after(host.options.idle),
        };
        self.call(host, cx, |handler, _, link| {
            handler.opened(link, state);
            0
        });
    }

    fn run(&mut self, host: &mut StreamHost<S>, state: &mut S, cx: &mut Context<'_, S>) -> Next {
        self.read(host, state, cx);
        if let Err(error) = self.write(host, cx.now()) {
            self.cut(broken(&error));
        }
        self.settle(host);
        self.next(host, cx.now())
    }

    /// Gives back the buffers that hold nothing.
    fn settle(&mut self, host: &mut StreamHost<S>) {
        for buffer in [&mut self.input, &mut self.output] {
            if let Some(empty) = buffer.take_if(|buffer| buffer.is_empty()) {
                host.buffers.give(empty);
            }
        }
    }

    /// Calls the handler, and does what it wishes.
    fn call(
        &mut self,
        host: &mut StreamHost<S>,
        cx: &mut Context<'_, S>,
        f: impl FnOnce(&mut dyn StreamHandler<S>, &[u8], &mut Link<'_, '_, S>) -> usize,
    ) {
        let mut wish = Wish::GoOn;
        let StreamHost {
            handler, buffers, ..
        } = host;
        let mut link = Link {
            output: self.output.get_or_insert_with(|| buffers.take()),
            wish: &mut wish,
            peer: &self.peer,
            output_max: self.output_max,
            cx,
        };
        let received = self.input.as_deref().map_or(&[][..], Buffer::data);
        let consumed = f(&mut **handler, received, &mut link).min(received.len());
        if let Some(input) = &mut self.input {
            input.consume(consumed);
        }
        match wish {
            Wish::GoOn => {}
            Wish::Close => self.finish(StreamEnd::Closed, host, cx.now()),
            Wish::Cut => self.cut(StreamEnd::SlowReader),
        }
    }

    fn may_read(&self, host: &StreamHost<S>) -> bool {
        self.ready.is_readable()
            && self.queued() < host.options.output_high
            && matches!(self.state, State::Quiet { .. } | State::Sending { .. })
    }

    /// Reads until the kernel has no more, the peer has too much to take, or the budget is spent.
    fn read(&mut self, host: &mut StreamHost<S>, state: &mut S, cx: &mut Context<'_, S>) {
        let mut budget = READ_PER_TURN;
        while budget > 0 && self.may_read(host) {
            let input = self.input.get_or_insert_with(|| host.buffers.take());
            let space = input.space(READ_SIZE);
            let room = space.len().min(budget);
            match self.stream.read(&mut space[..room]) {
                Ok(0) => self.finish(StreamEnd::PeerClosed, host, cx.now()),
                Ok(len) => {
                    budget -= len;
                    self.received(len, room, cx.now(), host);
                    self.call(host, cx, |handler, bytes, link| {
                        handler.received(bytes, link, state)
                    });
                    if !cx.contains(cx.token()) {
                        return; // the handler removed it
                    }
                    if self.input.as_deref().map_or(0, Buffer::len) > host.options.input_max {
                        self.cut(StreamEnd::MessageTooLong);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ready = self.ready.without(READ_USED_UP);
                }
                Err(error) => self.cut(broken(&error)),
            }
        }
    }

    fn received(&mut self, len: usize, room: usize, now: Tick, host: &StreamHost<S>) {
        if let Some(input) = &mut self.input {
            input.filled(len);
        }
        if let State::Quiet { until } = &mut self.state {
            *until = now.after(host.options.idle);
        }
        if len < room
            && self.peer.short_read() == ShortRead::Empties
            && !self.ready.intersects(MARKS)
        {
            self.ready = self.ready.without(Readiness::READABLE);
        }
    }

    fn write(&mut self, host: &StreamHost<S>, now: Tick) -> io::Result<()> {
        let mut sent = 0;
        while let Some(output) = self
            .output
            .as_deref_mut()
            .filter(|output| !output.is_empty())
        {
            if !self.ready.is_writable() {
                break;
            }
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
        self.wrote(sent, host, now);
        Ok(())
    }

    fn wrote(&mut self, sent: usize, host: &StreamHost<S>, now: Tick) {
        let options = &host.options;
        let queued = self.queued();
        match &mut self.state {
            State::Quiet { .. } if queued > 0 => {
                self.state = State::Sending {
                    until: now.after(options.write_window),
                    taken: 0,
                };
            }
            State::Sending { .. } if queued == 0 => {
                self.state = State::Quiet {
                    until: now.after(options.idle),
                };
            }
            State::Sending { taken, .. } | State::Closing { taken, .. } => *taken += sent,
            State::New | State::Quiet { .. } | State::Lingering { .. } => {}
        }
    }

    /// The deadline of the state has come.
    fn expire(&mut self, host: &StreamHost<S>, now: Tick) {
        match &mut self.state {
            State::New => {}
            State::Quiet { until } if now >= *until => self.cut(StreamEnd::Idle),
            State::Sending { until, taken } | State::Closing { until, taken, .. }
                if now >= *until =>
            {
                if *taken < host.options.write_least {
                    self.cut(StreamEnd::SlowReader);
                } else {
                    (*until, *taken) = (now.after(host.options.write_window), 0);
                }
            }
            State::Lingering { until, left, .. } if now >= *until => *left = 0,
            _ => {}
        }
    }

    /// What is in the output is sent. A peer that may still be sending is told so and read from
    /// for a while: closing with bytes unread would destroy what it has not received yet.
    fn linger(&mut self, why: StreamEnd, now: Tick) -> Next {
        if let State::Closing { .. } = self.state {
            let _ = self.stream.shutdown_write(); // it fails if the peer is gone: as well
            self.ready = self.ready.union(Readiness::READABLE);
            self.state = State::Lingering {
                until: now.after(LINGER),
                left: LINGER_BYTES,
                why,
            };
        }
        let mut scrap = [0; 4096];
        while let State::Lingering {
            until,
            left: left @ 1..,
            ..
        } = &mut self.state
        {
            match self.stream.read(&mut scrap) {
                Ok(len @ 1..) => *left = left.saturating_sub(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Next::Until(*until);
                }
                Ok(_) | Err(_) => *left = 0,
            }
        }
        self.end = why;
        Next::Close
    }

    fn next(&mut self, host: &StreamHost<S>, now: Tick) -> Next {
        // Asked after writing: a peer that took its output may be read from again, and no edge
        // will say so.
        let more = self.may_read(host);
        match self.state {
            State::Closing { why, .. } if self.queued() == 0 => match why {
                StreamEnd::Closed | StreamEnd::Drained => self.linger(why, now),
                _ => {
                    self.end = why;
                    Next::Close
                }
            },
            State::Lingering { why, .. } => self.linger(why, now),
            State::Quiet { .. } | State::Sending { .. } if more => Next::Again,
            State::New => Next::Wait,
            State::Quiet { until }
            | State::Sending { until, .. }
            | State::Closing { until, .. } => Next::Until(until),
        }
    }
}

impl<S: 'static> EventSource<S> for StreamSource<S> {
    fn register(&mut self, registry: &mut Registry<'_>) -> io::Result<()> {
        registry.stream(&self.stream)
    }

    fn handle(&mut self, event: Event, state: &mut S, cx: &mut Context<'_, S>) -> Next {
        let next = cx.with(self.host, |host, cx| {
            if self.state == State::New {
                self.open(host, state, cx);
            }
            match event {
                Event::Ready(readiness) => self.ready = self.ready.union(readiness),
                Event::Deadline => {
                    // Before a peer is judged slow, what it has taken is counted: there may be
                    // room that no edge has told of yet.
                    self.ready = self.ready.union(Readiness::WRITABLE);
                    if let Err(error) = self.write(host, cx.now()) {
                        self.cut(broken(&error));
                    }
                    self.expire(host, cx.now());
                }
                Event::Resumed => self.expire(host, cx.now()), // in time, whatever keeps it busy
                Event::Drain => self.finish(StreamEnd::Drained, host, cx.now()),
                _ => {}
            }
            self.run(host, state, cx)
        });
        next.unwrap_or(Next::Close)
    }

    fn removed(self: Box<Self>, why: Removed, state: &mut S, cx: &mut Context<'_, S>) {
        let end = match (why, self.state) {
            (Removed::Closed, _) => self.end,
            (Removed::Panicked, _) => StreamEnd::Panicked,
            (_, State::Lingering { why, .. }) => why,
            (Removed::Cancelled, _) => StreamEnd::Closed,
            (Removed::Forced | Removed::Drained, _) => StreamEnd::Drained,
        };
        let mut tell = |host: &mut StreamHost<S>, cx: &mut Context<'_, S>| {
            if self.state != State::New {
                host.handler.closed(end, state, cx);
            }
        };
        // First, for the handler may panic.
        if let Some(mut host) = stream_host::leave(self.host, cx) {
            return tell(&mut host, cx);
        }
        cx.with(self.host, tell);
    }

    /// One that only lingers has sent all there was to say.
    fn is_settled(&self) -> bool {
        matches!(self.state, State::Lingering { .. })
    }

    fn name(&self) -> &'static str {
        "stream"
    }
}

fn broken(_error: &io::Error) -> StreamEnd {
    StreamEnd::Broken
}

impl<S> fmt::Debug for StreamSource<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamSource({}, {:?})", self.peer, self.state)
    }
}
