//! What the streams of one listener share, and how each comes to be.

use super::context::Context;
use super::gate::Gate;
use super::listener::Acceptor;
use super::local::Local;
use super::net::Stream;
use super::peer::Peer;
use super::stream::{StreamHandler, StreamOptions};
use super::stream_source::StreamSource;
use crate::buffer::BufferPool;
use crate::slab::Token;

/// What the streams of one listener share. It goes with the last of them, or with the listener if
/// that stays longer.
pub(super) struct StreamHost<S> {
    pub(super) handler: Box<dyn StreamHandler<S>>,
    pub(super) options: StreamOptions,
    pub(super) gate: Gate,
    /// What idle connections do not hold.
    pub(super) buffers: BufferPool,
    /// Nobody accepts for it any more.
    pub(super) is_without_listener: bool,
}

impl<S: 'static> StreamHost<S> {
    pub(super) fn new(handler: impl StreamHandler<S>, options: StreamOptions) -> StreamHost<S> {
        StreamHost {
            handler: Box::new(handler),
            gate: Gate::new(options.connections_max),
            options,
            buffers: BufferPool::new(16 * 1024, 64),
            is_without_listener: false,
        }
    }

    fn is_needed(&self) -> bool {
        self.gate.live() > 0 || !self.is_without_listener
    }
}

/// A connection is over. Lets in whoever waits for room; the host, if it was the last that needs
/// it.
pub(super) fn leave<S: 'static>(
    host: Local<StreamHost<S>>,
    cx: &mut Context<'_, S>,
) -> Option<StreamHost<S>> {
    let left = cx.with(host, |host, _| (host.gate.leave(), host.is_needed()));
    let (listener, is_needed) = left?;
    if let Some(listener) = listener {
        cx.resume(listener);
    }
    if is_needed { None } else { cx.unshare(host) }
}

/// Makes a source of each connection.
pub(super) struct StreamAcceptor<S> {
    pub(super) host: Local<StreamHost<S>>,
}

impl<S: 'static> Acceptor<S> for StreamAcceptor<S> {
    fn has_room(&mut self, listener: Token, cx: &mut Context<'_, S>) -> bool {
        cx.with(self.host, |host, _| host.gate.has_room(listener))
            .unwrap_or(false)
    }

    fn wait_for_room(&mut self, listener: Token, cx: &mut Context<'_, S>) {
        cx.with(self.host, |host, _| host.gate.wait(listener));
    }

    fn accept(&mut self, stream: Stream, peer: Peer, _state: &mut S, cx: &mut Context<'_, S>) {
        let limits = cx.with(self.host, |host, _| {
            host.gate.enter();
            host.options.output_max
        });
        let source = StreamSource::new(stream, peer, self.host, limits.unwrap_or(0));
        if let Err(refused) = cx.insert(source) {
            tracing::warn!(target: "trine::loop", error = %refused.error, "connection dropped");
            leave(self.host, cx);
        }
    }

    fn closed(&mut self, cx: &mut Context<'_, S>) {
        let is_needed = cx.with(self.host, |host, _| {
            host.is_without_listener = true;
            host.is_needed()
        });
        if is_needed == Some(false) {
            cx.unshare(self.host);
        }
    }
}
