//! What the flight recorder is told of a visit to a connection.

use super::Driver;
use crate::connection::{StateKind, Turn};
use crate::http::Status;
use crate::reactor::Event;
use crate::server::present::Present;
use crate::server::recorder::{Moved, Seen};
use crate::server::recording::Recording;
use crate::server::timeline::Happened;
use crate::server::transport::Transport;

impl<S: 'static, H, T: Transport> Driver<S, H, T> {
    /// Tells the flight recorder what came of an event. Apart, so that a server without one is not
    /// longer for it.
    #[cold]
    #[inline(never)]
    pub(super) fn record(
        &self,
        recorder: &mut Recording,
        event: Event,
        turn: &Turn<'_>,
        written: usize,
        cx: &impl Present,
    ) {
        let moved = Moved {
            nanos: cx.nanos(),
            read: turn.bytes_read(),
            written,
            requests: turn.requests(),
        };
        if let Event::Ready(_) = event
            && self.connection.state_kind() == StateKind::Idle
            && recorder.add(|recorder| recorder.repeat(cx.token(), moved))
        {
            return;
        }
        self.record_news(recorder, event, turn.failure(), moved, cx);
    }

    #[inline(never)]
    fn record_news(
        &self,
        recorder: &mut Recording,
        event: Event,
        answered: Option<Status>,
        moved: Moved,
        cx: &impl Present,
    ) {
        let seen = Seen {
            event: Happened::of(event),
            state: self.connection.state_kind(),
            ending: self.connection.ending(),
            answered,
        };
        recorder.add(|recorder| recorder.note(cx.token(), moved, seen));
    }
}
