//! From one loop to another: what a connection takes along, and when it may go.
//!
//! Its deadlines need no change, as all loops agree about a tick.

use super::state::State;
use super::{Connection, Pools};

impl Connection {
    /// Whether it can go on elsewhere: it is between two messages, or inside the head of one or a body
    /// that is collected. Then nobody has a promise of this loop: no service, no thread that would wake it
    /// here, and no client that is just taking an answer.
    #[must_use]
    pub fn is_movable(&self) -> bool {
        let is_receiving = matches!(
            self.state,
            State::Idle { .. } | State::Head { .. } | State::Body { .. }
        );
        is_receiving && self.output().is_empty()
    }

    /// What it holds counts with `pools` from now on, as the buffers go there in the end.
    pub fn move_to(&mut self, pools: &Pools) {
        if let Some(input) = &mut self.input {
            input.move_to(pools.meter());
        }
        if let Some(output) = &mut self.output {
            output.move_to(pools.meter());
        }
    }
}
