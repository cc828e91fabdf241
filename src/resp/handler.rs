//! The conversations of one listener, moved by the streams of the loop.

use super::backend::Backend;
use super::conversation::{Conversation, RespTurn, Want};
use crate::reactor::{Context, Link, StreamEnd, StreamHandler};
use crate::slab::Token;

/// All connections of a listener.
#[derive(Debug)]
pub(super) struct RespHandler {
    backend: Backend,
    /// By the index of the connection's token, of which no two that live have the same.
    conversations: Vec<Option<Box<Conversation>>>,
}

impl RespHandler {
    pub fn new(backend: Backend) -> RespHandler {
        RespHandler {
            backend,
            conversations: Vec::new(),
        }
    }

    fn place(&mut self, token: Token) -> &mut Option<Box<Conversation>> {
        let index = token.index() as usize;
        if index >= self.conversations.len() {
            self.conversations.resize_with(index + 1, || None);
        }
        &mut self.conversations[index]
    }

    fn handle<S: 'static>(&mut self, bytes: &[u8], link: &mut Link<'_, '_, S>) -> usize {
        let index = link.token().index() as usize;
        let Some(Some(conversation)) = self.conversations.get_mut(index) else {
            return bytes.len();
        };
        let (output, peer, cx) = link.parts();
        let advance = conversation.handle(
            bytes,
            &mut RespTurn {
                output,
                backend: &mut self.backend,
                now: cx.now(),
                peer,
                wake: &|| {
                    let waker = cx.waker(cx.token());
                    Box::new(move || waker.wake())
                },
            },
        );
        match advance.want {
            Want::Bytes => {}
            Want::Outcomes => link.owe(),
            Want::Room => link.pause(),
            Want::End => link.close(),
        }
        advance.consumed
    }
}

impl<S: 'static> StreamHandler<S> for RespHandler {
    fn opened(&mut self, link: &mut Link<'_, '_, S>, _: &mut S) {
        let counters = &mut self.backend.counters;
        counters.connected += 1;
        counters.connections += 1;
        let id = counters.connections;
        *self.place(link.token()) = Some(Box::new(Conversation::new(id)));
    }

    fn received(&mut self, bytes: &[u8], link: &mut Link<'_, '_, S>, _: &mut S) -> usize {
        self.handle(bytes, link)
    }

    fn resumed(&mut self, bytes: &[u8], link: &mut Link<'_, '_, S>, _: &mut S) -> usize {
        self.handle(bytes, link)
    }

    fn closed(&mut self, _: StreamEnd, _: &mut S, cx: &mut Context<'_, S>) {
        if self.place(cx.token()).take().is_some() {
            self.backend.counters.connected -= 1;
        }
    }
}
