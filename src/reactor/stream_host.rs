//! What the streams of one listener share, and how each comes to be.

use super::context::Context;
use super::gate::Gate;
use super::listener::Acceptor;
use super::local::Local;
use super::net::{Peer, Stream};
use super::stream::{StreamHandler, StreamOptions};
use super::stream_source::StreamSource;
use crate::buffer::BufferPool;
use crate::slab::Token;

/// What the streams of one listener share.
pub(super) struct StreamHost<S> {
    pub(super) handler: Box<dyn StreamHandler<S>>,
    pub(super) options: StreamOptions,
    pub(super) gate: Gate,
    /// What idle connections do not hold.
    pub(super) buffers: BufferPool,
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
            cx.with(self.host, |host, _| host.gate.leave());
        }
    }
}
