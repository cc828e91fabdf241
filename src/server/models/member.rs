//! What connects a server on one loop with the same server on others, and with whoever reads its counters.

use std::sync::Arc;

use super::board::Board;
use crate::reactor::{Context, Event, EventSource, Next, Result};
use crate::server::host::ServerHandle;
use crate::service::Service;

/// Takes settings from other loops, and says what this one counts when somebody asks.
pub(super) struct Member<S, V> {
    board: Arc<Board>,
    number: usize,
    handle: ServerHandle<S, V>,
}

impl<S: 'static, V: Service<S>> Member<S, V> {
    pub(super) fn new(
        board: &Arc<Board>,
        number: usize,
        handle: ServerHandle<S, V>,
    ) -> Member<S, V> {
        Member {
            board: Arc::clone(board),
            number,
            handle,
        }
    }

    /// Puts it onto its loop.
    pub(super) fn attach(self, cx: &mut Context<'_, S>) -> Result<()> {
        self.publish(cx);
        let (board, number) = (Arc::clone(&self.board), self.number);
        let token = cx.insert(self)?;
        board.take_seat(number, cx.waker(token));
        Ok(())
    }

    /// Says what the loop counts: at the end, too.
    pub(super) fn publish(&self, cx: &mut Context<'_, S>) {
        if let Some(metrics) = self.handle.metrics(cx) {
            self.board.publish(self.number, metrics);
        }
    }

    fn hear(&self, cx: &mut Context<'_, S>) {
        let news = self.board.take_news(self.number);
        cx.with(self.handle.host, |host, cx| {
            let listener = news.and_then(|live| host.adopt(&live));
            if let Some(listener) = listener {
                cx.resume(listener);
            }
            // Another loop has room, perhaps.
            host.wake_listener(cx);
        });
    }
}

impl<S: 'static, V: Service<S>> EventSource<S> for Member<S, V> {
    fn handle(&mut self, event: Event, _: &mut S, cx: &mut Context<'_, S>) -> Next {
        if let Event::Woken = event {
            self.hear(cx);
            self.publish(cx);
        }
        Next::Wait
    }

    fn name(&self) -> &'static str {
        "server member"
    }

    fn is_background(&self) -> bool {
        true
    }
}
