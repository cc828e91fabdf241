//! What happens to a connection beside its socket becoming ready: its deadline, the drain, a wake-up,
//! work left over.

use super::{Counted, Driver};
use crate::connection::{Step, Turn};
use crate::reactor::{Event, Readiness};
use crate::server::transport::Transport;

impl<S: 'static, H, T: Transport> Driver<S, H, T> {
    pub(super) fn handle_event(
        &mut self,
        event: Event,
        is_draining: bool,
        turn: &mut Turn<'_>,
        written: &mut usize,
    ) -> Step {
        match event {
            Event::Deadline => self.handle_deadline(turn, written),
            Event::Resumed => self.handle_resumed(is_draining, turn),
            Event::Drain => self.handle_drain(turn),
            Event::Woken => {
                self.connection.handle_woken();
                self.connection.poll(turn)
            }
            Event::Ready(_) | Event::Signal(_) | Event::Completed(_) => self.connection.poll(turn),
        }
    }

    /// Before a client is judged late, what it has sent and taken is counted: the kernel may not
    /// have told of all of it yet. What came in time wins.
    #[cold]
    fn handle_deadline(&mut self, turn: &mut Turn<'_>, written: &mut usize) -> Step {
        let moved = if !self.connection.output().is_empty() {
            self.ready = self.ready.union(Readiness::WRITABLE);
            self.write(turn, written)
        } else if self.connection.is_reading() {
            self.ready = self.ready.union(Readiness::READABLE);
            self.read_all(turn)
        } else {
            None
        };
        if let Some(step @ Step::Shutdown) = moved {
            return step; // comes once; and the linger has just begun
        }
        self.connection.handle_deadline(turn);
        self.connection.poll(turn)
    }

    /// After `Next::Again` nothing is armed for a deadline that has changed meanwhile. No effect
    /// before its time.
    #[cold]
    fn handle_resumed(&mut self, is_draining: bool, turn: &mut Turn<'_>) -> Step {
        self.connection.handle_deadline(turn);
        if self.connection.is_asked_for_place() {
            return self.handle_asked_for_place(turn);
        }
        match is_draining {
            true => self.handle_drain(turn), // accepted by a server that drains already
            false => self.connection.poll(turn),
        }
    }

    /// A request may have come that the kernel has not reported yet: looks for it first.
    #[cold]
    fn handle_drain(&mut self, turn: &mut Turn<'_>) -> Step {
        if self.connection.is_reading() {
            self.ready = self.ready.union(Readiness::READABLE);
            if let Some(step @ Step::Shutdown) = self.read_all(turn) {
                return step; // comes once
            }
        }
        if self.counted == Counted::Served && !self.connection.is_idle() {
            self.counted = Counted::Finishing;
        }
        self.connection.handle_drain();
        self.connection.poll(turn)
    }

    /// Reads until there is something else to do, or nothing to read.
    #[cold]
    pub(super) fn read_all(&mut self, turn: &mut Turn<'_>) -> Option<Step> {
        loop {
            match self.read(turn)? {
                Step::Read => {}
                step => return Some(step),
            }
        }
    }
}
