//! Keeps the loop that hears signals until the other loops have ended.
//!
//! A drain ends a loop when its own sources are done, and SIGTERM is heard on loop 0. Were that gone first, a
//! second SIGTERM would force nobody, and systemd would miss its watchdog, while others still serve.

use std::sync::Arc;

use super::board::Board;
use crate::reactor::{Context, Event, EventSource, Next, Result};

/// The source of loop 0 that a drain waits for until the last of the others has ended.
pub(super) struct Vigil(Arc<Board>);

impl Vigil {
    /// Puts it onto the loop that is to stay.
    pub(super) fn attach<S: 'static>(board: &Arc<Board>, cx: &mut Context<'_, S>) -> Result<()> {
        let token = cx.insert(Vigil(Arc::clone(board)))?;
        board.set_vigil(cx.waker(token));
        Ok(())
    }
}

impl<S: 'static> EventSource<S> for Vigil {
    fn handle(&mut self, _: Event, _: &mut S, cx: &mut Context<'_, S>) -> Next {
        match cx.is_draining() && self.0.are_others_over() {
            true => Next::Close,
            false => Next::Wait,
        }
    }

    fn name(&self) -> &'static str {
        "vigil for the other loops"
    }
}

/// Tells the board that its thread ends, however it does.
pub(super) struct Ending {
    board: Arc<Board>,
    number: usize,
}

impl Ending {
    pub(super) fn new(board: &Arc<Board>, number: usize) -> Ending {
        let board = Arc::clone(board);
        Ending { board, number }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.board.end(self.number);
    }
}
