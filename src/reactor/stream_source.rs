//! The source behind one byte stream: its states and deadlines, and when its handler is called. Its
//! face is in `stream.rs`, its socket and its buffers in `stream_pipe.rs`.
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
use super::net::Stream;
use super::peer::Peer;
use super::registry::Registry;
use super::source::{Event, EventSource, Next, Readiness, Removed};
use super::stream::{Link, StreamEnd, StreamHandler, Wish};
use super::stream_host::{self, StreamHost};
use super::stream_pipe::{Arrived, StreamPipe};
use crate::time::{Span, Tick};

/// Bytes read by one connection in one turn at most.
const READ_PER_TURN: usize = 64 * 1024;
/// How long, and for how many bytes, a peer is read from that has been told the end.
const LINGER: Span = Span::from_secs(2);
const LINGER_BYTES: usize = 64 * 1024;
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

/// Whether the handler has something to say later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hold {
    Free,
    /// It has: no end before that.
    Owing,
    /// It has, and there is no reading before that.
    Paused,
}

/// One connection.
pub(super) struct StreamSource<S> {
    pipe: StreamPipe,
    host: Local<StreamHost<S>>,
    peer: Peer,
    state: State,
    hold: Hold,
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
            pipe: StreamPipe::new(stream, &peer),
            host,
            peer,
            state: State::New,
            hold: Hold::Free,
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
        let fits = self.pipe.queued() + bytes.len() <= self.output_max;
        if fits {
            self.pipe.append(bytes);
        } else {
            self.cut(StreamEnd::SlowReader);
        }
        fits
    }

    /// Ends it without sending what waits.
    fn cut(&mut self, why: StreamEnd) {
        self.pipe.discard_output();
        self.hold = Hold::Free;
        self.state = State::Closing {
            until: Tick::NEVER,
            taken: 0,
            why,
        };
        if why != StreamEnd::Idle {
            self.pipe.abort_on_close();
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
        let was_full = !self.has_room(host);
        self.write(host, cx.now());
        self.pipe.settle(&mut host.buffers);
        if was_full && self.hold == Hold::Paused && self.has_room(host) {
            return Next::Again; // it is called then
        }
        self.next(host, cx.now())
    }

    /// Gives the handler its turn without news of the peer.
    fn resume(&mut self, host: &mut StreamHost<S>, state: &mut S, cx: &mut Context<'_, S>) {
        if let State::Lingering { .. } = self.state {
            return; // all is said
        }
        let had_nothing_to_take = self.pipe.queued() == 0;
        self.call(host, cx, |handler, bytes, link| {
            handler.resumed(bytes, link, state)
        });
        if !cx.contains(cx.token()) {
            self.cut(StreamEnd::Closed); // the handler removed it
        }
        if let State::Closing { until, taken, .. } = &mut self.state
            && had_nothing_to_take
        {
            (*until, *taken) = (cx.now().after(host.options.write_window), 0);
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
        let (received, output) = self.pipe.both(buffers);
        let mut link = Link {
            output,
            wish: &mut wish,
            peer: &self.peer,
            output_max: self.output_max,
            cx,
        };
        let consumed = f(&mut **handler, received, &mut link);
        self.pipe.consume(consumed);
        self.hold = match wish {
            Wish::Owe => Hold::Owing,
            Wish::Pause => Hold::Paused,
            Wish::GoOn | Wish::Close | Wish::Cut => Hold::Free,
        };
        match wish {
            Wish::GoOn | Wish::Owe | Wish::Pause => {}
            Wish::Close => self.finish(StreamEnd::Closed, host, cx.now()),
            Wish::Cut => self.cut(StreamEnd::SlowReader),
        }
    }

    fn has_room(&self, host: &StreamHost<S>) -> bool {
        self.pipe.queued() < host.options.output_high
    }

    fn may_read(&self, host: &StreamHost<S>) -> bool {
        self.pipe.is_readable()
            && self.hold != Hold::Paused
            && self.has_room(host)
            && matches!(self.state, State::Quiet { .. } | State::Sending { .. })
    }

    /// Reads until the kernel has no more, the peer has too much to take, or the budget is spent.
    fn read(&mut self, host: &mut StreamHost<S>, state: &mut S, cx: &mut Context<'_, S>) {
        let mut budget = READ_PER_TURN;
        while budget > 0 && self.may_read(host) {
            match self.pipe.read(budget, &mut host.buffers) {
                Ok(Arrived::End) => self.finish(StreamEnd::PeerClosed, host, cx.now()),
                Ok(Arrived::Bytes(len)) => {
                    budget -= len;
                    if let State::Quiet { until } = &mut self.state {
                        *until = cx.now().after(host.options.idle);
                    }
                    self.call(host, cx, |handler, bytes, link| {
                        handler.received(bytes, link, state)
                    });
                    if !cx.contains(cx.token()) {
                        return; // the handler removed it
                    }
                    let is_unfinished = self.hold != Hold::Paused;
                    if is_unfinished && self.pipe.held() > host.options.input_max {
                        self.cut(StreamEnd::MessageTooLong);
                    }
                }
                Ok(Arrived::Nothing) => {}
                Err(error) => self.cut(broken(&error)),
            }
        }
    }

    fn write(&mut self, host: &StreamHost<S>, now: Tick) {
        match self.pipe.write() {
            Ok(sent) => self.wrote(sent, host, now),
            Err(error) => self.cut(broken(&error)),
        }
    }

    fn wrote(&mut self, sent: usize, host: &StreamHost<S>, now: Tick) {
        let options = &host.options;
        let queued = self.pipe.queued();
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
            State::Quiet { until } if now >= *until => match self.hold {
                Hold::Free => self.cut(StreamEnd::Idle),
                Hold::Owing | Hold::Paused => *until = now.after(host.options.idle),
            },
            State::Sending { until, taken } | State::Closing { until, taken, .. }
                if now >= *until =>
            {
                // A stream that is owed something has nothing to take meanwhile.
                if *taken < host.options.write_least && self.pipe.queued() > 0 {
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
            self.pipe.end_output();
            self.state = State::Lingering {
                until: now.after(LINGER),
                left: LINGER_BYTES,
                why,
            };
        }
        if let State::Lingering { until, left, .. } = &mut self.state {
            *left = self.pipe.discard_input(*left);
            if *left > 0 {
                return Next::Until(*until);
            }
        }
        self.end = why;
        Next::Close
    }

    /// Whether nothing is left to send, now or later.
    fn is_finished(&self) -> bool {
        self.pipe.queued() == 0 && self.hold == Hold::Free
    }

    fn next(&mut self, host: &StreamHost<S>, now: Tick) -> Next {
        // Asked after writing: a peer that took its output may be read from again, and no edge
        // will say so.
        let more = self.may_read(host);
        match self.state {
            State::Closing { why, .. } if self.is_finished() => match why {
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
        self.pipe.register(registry)
    }

    fn handle(&mut self, event: Event, state: &mut S, cx: &mut Context<'_, S>) -> Next {
        let next = cx.with(self.host, |host, cx| {
            if self.state == State::New {
                self.open(host, state, cx);
            }
            match event {
                Event::Ready(readiness) => self.pipe.heard(readiness),
                Event::Deadline => {
                    // Before a peer is judged slow, what it has taken is counted: there may be
                    // room that no edge has told of yet.
                    self.pipe.heard(Readiness::WRITABLE);
                    self.write(host, cx.now());
                    self.expire(host, cx.now());
                }
                Event::Woken => self.resume(host, state, cx),
                Event::Resumed => {
                    self.expire(host, cx.now()); // in time, whatever keeps it busy
                    if self.hold == Hold::Paused && self.has_room(host) {
                        self.resume(host, state, cx);
                    }
                }
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
