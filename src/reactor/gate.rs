//! The limit on the connections of one listener.

use crate::slab::Token;

/// Counts connections, and remembers whom to call when the count falls below the limit.
#[derive(Debug)]
pub(crate) struct Gate {
    live: usize,
    max: usize,
    /// The listener that found no room.
    waiting: Option<Token>,
}

impl Gate {
    pub(crate) fn new(max: usize) -> Gate {
        Gate {
            live: 0,
            max,
            waiting: None,
        }
    }

    /// Whether there is room for one more; if not, `listener` waits.
    pub(crate) fn has_room(&mut self, listener: Token) -> bool {
        let room = self.live < self.max;
        if !room {
            self.wait(listener);
        }
        room
    }

    /// `listener` waits for the next to leave.
    pub(crate) fn wait(&mut self, listener: Token) {
        self.waiting = Some(listener);
    }

    pub(crate) fn enter(&mut self) {
        self.live += 1;
    }

    /// One has left. The listener to resume, if one waits.
    #[must_use]
    pub(crate) fn leave(&mut self) -> Option<Token> {
        self.live -= 1;
        self.waiting.take()
    }

    /// Whether a listener waits.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// The listener that waits, which waits no more.
    pub(crate) fn take_waiting(&mut self) -> Option<Token> {
        self.waiting.take()
    }

    /// Connections now.
    pub(crate) fn live(&self) -> usize {
        self.live
    }
}
