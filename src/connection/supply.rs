//! The content of a large answer, which is not copied: it follows its head piece by piece, as the client
//! takes it.

use bytes::{Buf, Bytes};

use super::Connection;
use super::deferred::Wake;
use super::exchange::{Flow, Incoming, Outgoing, Producer, Streaming};
use super::progress::Polled;
use super::state::State;
use super::turn::Turn;
use crate::http::{Framing, ResponseContext};
use crate::time::Tick;

impl Connection {
    /// The head of a whole answer is in the output, and its content follows as the client takes it.
    pub(super) fn supply_from(
        &mut self,
        content: Bytes,
        until: Tick,
        context: ResponseContext,
        turn: &Turn<'_>,
    ) -> Polled {
        let deadlines = &turn.config.deadlines;
        let mut streaming = Streaming::new(context, Framing::None, until, deadlines);
        streaming.outgoing = Outgoing::Length(content.len() as u64);
        streaming.supply_charge = turn.pools.charge(&content);
        streaming.supply = content;
        streaming.incoming = Incoming::Ended;
        self.state.change(State::Streaming(Box::new(streaming)));
        None
    }

    /// Appends as much of the content as there is room for.
    pub(super) fn supply(&mut self, turn: &mut Turn<'_>) -> Polled {
        let before = self.said();
        let State::Streaming(streaming) = &mut self.state else {
            return None;
        };
        streaming.producer = Producer::Resting;
        let no_waker = || -> Box<dyn Wake> { Box::new(|| {}) };
        let mut supply = std::mem::take(&mut streaming.supply);
        let mut flow = Flow {
            output: self.output.get_or_insert_with(|| turn.pools.take_output()),
            context: &mut streaming.context,
            outgoing: &mut streaming.outgoing,
            supply: &mut streaming.supply,
            date: turn.date,
            high: turn.config.output_bytes_high,
            waker: &no_waker,
        };
        let len = flow.write(&supply);
        supply.advance(len);
        streaming.supply = supply;
        self.note_said(before, turn);
        None
    }
}
