//! What connects a server on one loop with the same server on others, and with whoever reads its counters.

use std::sync::Arc;

use super::board::Board;
use super::meter::LoopMetrics;
use crate::connection::CloseReason;
use crate::reactor::{Context, Event, EventSource, Next, Removed, Result};
use crate::server::host::ServerHandle;
use crate::server::moving::MovingConnection;
use crate::service::Service;
use crate::slab::Token;

/// Takes settings and connections from other loops, gives them some if it has too many, and says what
/// this one counts when somebody asks.
pub(super) struct Member<S, V> {
    board: Arc<Board>,
    number: usize,
    handle: ServerHandle<S, V>,
    /// The slot where the next walk over the connections begins.
    slot: u32,
}

/// Slots of the loop that are looked at in one turn.
const SLOTS_PER_TURN: u32 = 1024;

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
            slot: 0,
        }
    }

    /// Puts it onto its loop.
    pub(super) fn attach(self, cx: &mut Context<'_, S>) -> Result<()> {
        self.publish(cx);
        let (board, number) = (Arc::clone(&self.board), self.number);
        let token = cx.insert(self)?;
        let waker = cx.waker(token);
        board.take_seat(number, waker.clone());
        waker.wake(); // somebody may have asked before there was whom to wake
        Ok(())
    }

    /// Says what the loop counts: at the end, too.
    pub(super) fn publish(&self, cx: &mut Context<'_, S>) {
        let question = self.board.question(); // before it is counted
        if let Some(server) = self.handle.metrics(cx) {
            let event_loop = cx.metrics().clone();
            let counted = LoopMetrics { server, event_loop };
            self.board.publish(self.number, question, counted);
        }
    }

    fn hear(&self, cx: &mut Context<'_, S>) {
        let news = self.board.take_news(self.number);
        let has_place = self.board.take_place(self.number);
        cx.with(self.handle.host, |host, cx| {
            let listener = news.and_then(|live| host.adopt(&live));
            if let Some(listener) = listener {
                cx.resume(listener);
            }
            // Not whenever somebody reads the counters: a listener that has no descriptor waits its time.
            if has_place {
                host.wake_listener(cx);
            }
        });
    }
}

impl<S: 'static, V: Service<S>> Member<S, V> {
    /// Goes on with what came from other loops.
    fn take_in(&self, moved: Vec<MovingConnection>, cx: &mut Context<'_, S>) {
        for connection in moved {
            let take_in = || self.handle.insert_connection(cx, connection);
            let inserted = self.board.arrive(self.number, take_in);
            if let Err(refused) = inserted {
                tracing::warn!(target: "trine::http", "a connection that moved found no place");
                let reason = CloseReason::Overloaded;
                self.handle.end_connection(cx, refused, reason);
            }
        }
    }

    /// Gives connections away while there are too many: from some slots on in each turn.
    fn even_out(&mut self, cx: &mut Context<'_, S>) -> Next {
        let Some((to, mut count)) = self.board.imbalance(self.number) else {
            return Next::Wait;
        };
        let bound = cx.index_bound();
        for _ in 0..SLOTS_PER_TURN.min(bound) {
            self.slot = (self.slot + 1) % bound;
            let Some(token) = cx.token_at(self.slot) else {
                continue;
            };
            if count == 0 || !self.give(token, to, cx) {
                continue;
            }
            count -= 1;
        }
        Next::Wait
    }

    /// Whether the connection, if it is one, is on its way.
    fn give(&self, token: Token, to: usize, cx: &mut Context<'_, S>) -> bool {
        let Ok(moving) = self.handle.take_connection(cx, token) else {
            return false; // it is something else, or busy
        };
        match self.board.give(to, moving) {
            Ok(()) => true,
            Err(refused) => {
                let back = self.handle.insert_connection(cx, refused);
                if let Err(refused) = back {
                    let reason = CloseReason::Overloaded;
                    self.handle.end_connection(cx, refused, reason);
                }
                false
            }
        }
    }
}

impl<S: 'static, V: Service<S>> EventSource<S> for Member<S, V> {
    fn handle(&mut self, event: Event, _: &mut S, cx: &mut Context<'_, S>) -> Next {
        match event {
            Event::Woken => {
                self.hear(cx);
                self.take_in(self.board.take_moved(self.number), cx);
                let next = self.even_out(cx);
                self.publish(cx);
                next
            }
            Event::Drain => {
                // They are told to drain, as all that are there.
                self.take_in(self.board.close_mailbox(self.number), cx);
                Next::Wait
            }
            _ => Next::Wait,
        }
    }

    fn removed(self: Box<Self>, _: Removed, _: &mut S, cx: &mut Context<'_, S>) {
        for connection in self.board.close_mailbox(self.number) {
            self.board.remove_coming(self.number);
            let reason = CloseReason::Forced;
            self.handle.end_connection(cx, connection, reason);
        }
    }

    fn name(&self) -> &'static str {
        "server member"
    }

    fn is_background(&self) -> bool {
        true
    }
}
