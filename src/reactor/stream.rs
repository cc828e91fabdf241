//! Byte streams for protocols that are not HTTP: TCP and Unix stream sockets, served by a
//! [`StreamHandler`].
//!
//! Each connection is a source with an input and an output [`Buffer`], both empty and without
//! memory while nothing is under way. Safe without configuration:
//! - a peer that does not read is not read from while more than [`StreamOptions::output_high`]
//!   waits for it, and is cut when it takes less than a trickle, or when more than
//!   [`StreamOptions::output_max`] piles up;
//! - an unfinished message is bounded by [`StreamOptions::input_max`];
//! - there is an idle deadline and a connection limit.

use std::fmt;

use super::context::Context;
use super::error::{Error, ErrorKind, Result};
use super::peer::Peer;
use super::stream_source::StreamSource;
use super::waker::Waker;
use crate::buffer::Buffer;
use crate::slab::Token;
use crate::time::Span;

/// A protocol over byte streams. One value serves all connections of a listener; what it knows of
/// each, it keeps in the state, by [`Link::token`].
pub trait StreamHandler<S>: 'static {
    /// A client has connected.
    fn opened(&mut self, link: &mut Link<'_, '_, S>, state: &mut S) {
        let _ = (link, state);
    }

    /// `bytes` is everything received and not yet consumed. Returns how many of them are done
    /// with; the rest is kept, and comes again with what follows it.
    fn received(&mut self, bytes: &[u8], link: &mut Link<'_, '_, S>, state: &mut S) -> usize;

    /// The connection has its turn again without news of its peer: somebody woke it by
    /// [`Link::waker`], or the peer has taken so much that there is room again after a
    /// [`Link::pause`]. May come without a reason. `bytes` and what is returned are as of
    /// [`received`](StreamHandler::received).
    fn resumed(&mut self, bytes: &[u8], link: &mut Link<'_, '_, S>, state: &mut S) -> usize {
        let _ = (bytes, link, state);
        0
    }

    /// The connection `cx.token()` is over; its token means nothing any more, except as a key.
    /// Others can still be told: see [`write_to`].
    fn closed(&mut self, why: StreamEnd, state: &mut S, cx: &mut Context<'_, S>) {
        let _ = (why, state, cx);
    }
}

/// A closure that consumes whatever comes: what `tcp` takes.
impl<S, F> StreamHandler<S> for F
where
    F: FnMut(&mut S, &mut Link<'_, '_, S>, &[u8]) + 'static,
{
    fn received(&mut self, bytes: &[u8], link: &mut Link<'_, '_, S>, state: &mut S) -> usize {
        self(state, link, bytes);
        bytes.len()
    }
}

/// Why a stream ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StreamEnd {
    /// The peer said it will send no more, and everything for it was sent.
    PeerClosed,
    /// The peer, or the network, broke the connection.
    Broken,
    /// The handler closed it.
    Closed,
    /// Nothing came for [`StreamOptions::idle`].
    Idle,
    /// The peer took too little of what was sent to it.
    SlowReader,
    /// A message was longer than [`StreamOptions::input_max`].
    MessageTooLong,
    /// The loop drained.
    Drained,
    /// The handler panicked.
    Panicked,
}

/// The limits of the streams of one listener.
#[derive(Clone, Copy, Debug)]
pub struct StreamOptions {
    /// Connections at once; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Bytes of one unfinished message.
    pub input_max: usize,
    /// Bytes waiting for the peer above which nothing more is read from it.
    pub output_high: usize,
    /// Bytes waiting for the peer above which it is cut.
    pub output_max: usize,
    /// How long a connection may be silent.
    pub idle: Span,
    /// In each span of this length with something to take, the peer has to take
    /// [`StreamOptions::write_least`].
    pub write_window: Span,
    /// Bytes.
    pub write_least: usize,
}

impl Default for StreamOptions {
    fn default() -> StreamOptions {
        StreamOptions {
            connections_max: 10_000,
            input_max: 64 * 1024,
            output_high: 64 * 1024,
            output_max: 1024 * 1024,
            idle: Span::from_secs(600),
            write_window: Span::from_secs(5),
            write_least: 2_500,
        }
    }
}

impl StreamOptions {
    /// Refuses what would serve nobody, by the name of the option.
    pub(super) fn check(&self) -> Result<()> {
        let rows = [
            (
                "connections_max",
                self.connections_max == 0,
                "it would let nobody in",
            ),
            (
                "output_high",
                self.output_high == 0,
                "it would read from nobody",
            ),
            (
                "idle",
                self.idle == Span::ZERO,
                "it would cut everybody at once",
            ),
            (
                "write_window",
                self.write_window == Span::ZERO,
                "it would cut every reader at once",
            ),
        ];
        let Some((name, _, why)) = rows.into_iter().find(|(_, is_zero, _)| *is_zero) else {
            return Ok(());
        };
        let what = format!("streams with {name} of zero: {why}");
        Err(Error::new(ErrorKind::Invalid, "serve", what))
    }
}

/// What the handler wants to become of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wish {
    GoOn,
    /// Something for the peer comes later.
    Owe,
    /// The same, and nothing is to be read until then.
    Pause,
    Close,
    /// More was written than may wait.
    Cut,
}

/// A connection, as its handler sees it.
pub struct Link<'a, 'c, S> {
    pub(super) output: &'a mut Buffer,
    pub(super) wish: &'a mut Wish,
    pub(super) peer: &'a Peer,
    pub(super) output_max: usize,
    pub(super) cx: &'a mut Context<'c, S>,
}

impl<'c, S: 'static> Link<'_, 'c, S> {
    /// Queues `bytes` for the peer; they leave when the handler returns. False when more than
    /// [`StreamOptions::output_max`] would wait: the peer is a slow reader then, and is cut.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        if self.output.len() + bytes.len() > self.output_max {
            *self.wish = Wish::Cut;
            return false;
        }
        self.output.append(bytes);
        true
    }

    /// Queues `bytes` for any stream of this loop. False when it is gone, or has to be cut as a
    /// slow reader.
    pub fn write_to(&mut self, token: Token, bytes: &[u8]) -> bool {
        match token == self.cx.token() {
            true => self.write(bytes),
            false => write_to(self.cx, token, bytes),
        }
    }

    /// Ends the connection when everything queued for the peer is sent.
    pub fn close(&mut self) {
        if *self.wish != Wish::Cut {
            *self.wish = Wish::Close;
        }
    }

    /// Says that the handler has more for the peer, which comes later: a connection that ends
    /// meanwhile, because the peer sends no more or the loop drains, waits for it. So does one that
    /// would be idle. Holds until the handler is called next, which has to be brought about by
    /// [`waker`](Link::waker).
    pub fn owe(&mut self) {
        if *self.wish == Wish::GoOn {
            *self.wish = Wish::Owe;
        }
    }

    /// As [`owe`](Link::owe), and nothing is read until the handler is called next, by
    /// [`resumed`](StreamHandler::resumed): for bytes that cannot be done with now. It is also called
    /// when less than [`StreamOptions::output_high`] waits for the peer, if it was more.
    pub fn pause(&mut self) {
        if matches!(*self.wish, Wish::GoOn | Wish::Owe) {
            *self.wish = Wish::Pause;
        }
    }

    /// What other threads call the handler with, by [`resumed`](StreamHandler::resumed).
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.cx.waker(self.cx.token())
    }

    /// What waits for the peer, to be appended to by a protocol that bounds it itself; who the peer
    /// is; and the loop.
    pub(crate) fn parts(&mut self) -> (&mut Buffer, &Peer, &Context<'c, S>) {
        (self.output, self.peer, self.cx)
    }

    /// Names the connection; see [`write_to`](Link::write_to).
    #[must_use]
    pub fn token(&self) -> Token {
        self.cx.token()
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.peer
    }

    /// Bytes that wait for the peer.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.output.len()
    }

    /// The loop.
    pub fn context(&mut self) -> &mut Context<'c, S> {
        self.cx
    }
}

impl<S> fmt::Debug for Link<'_, '_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({:?}, {})", self.cx.token, self.peer)
    }
}

/// Queues `bytes` for a stream from outside its handler: from a timer, an inbox, another
/// listener's handler. False when it is gone, or has to be cut as a slow reader.
pub fn write_to<S: 'static>(cx: &mut Context<'_, S>, token: Token, bytes: &[u8]) -> bool {
    let Some(source) = cx.source_mut::<StreamSource<S>>(token) else {
        return false;
    };
    let accepted = source.queue(bytes);
    cx.resume(token);
    accepted
}
