//! Signals handed to a closure.

use std::io;

use super::context::Context;
use super::registry::Registry;
use super::signals::{Signal, SignalEvent};
use super::source::{Event, EventSource, Next};

/// Subscribes to some signals and calls a closure for each that arrives.
pub(super) struct SignalSource<F> {
    pub(super) signals: Vec<Signal>,
    pub(super) call: F,
}

impl<S, F> EventSource<S> for SignalSource<F>
where
    S: 'static,
    F: FnMut(&mut S, SignalEvent, &mut Context<'_, S>) + 'static,
{
    fn register(&mut self, registry: &mut Registry<'_>) -> io::Result<()> {
        self.signals
            .iter()
            .try_for_each(|signal| registry.signal(*signal))
    }

    fn handle(&mut self, event: Event, state: &mut S, cx: &mut Context<'_, S>) -> Next {
        if let Event::Signal(signal) = event {
            (self.call)(state, signal, cx);
        }
        Next::Wait
    }

    fn name(&self) -> &'static str {
        "signals"
    }

    fn is_background(&self) -> bool {
        true
    }
}
