//! Any other descriptor: the way out for what trine has no source for (a terminal, a netlink
//! socket, inotify, another library's handle).

use std::io;
use std::os::fd::AsFd;

use super::context::Context;
use super::registry::Registry;
use super::source::{Event, EventSource, Next, Readiness};

/// Owns a descriptor and hands its readiness to a closure.
pub(super) struct DescriptorSource<D, F> {
    pub(super) descriptor: D,
    pub(super) call: F,
}

impl<S, D, F> EventSource<S> for DescriptorSource<D, F>
where
    S: 'static,
    D: AsFd + 'static,
    F: FnMut(&mut S, &mut D, Readiness, &mut Context<'_, S>) -> Next + 'static,
{
    fn register(&mut self, registry: &mut Registry<'_>) -> io::Result<()> {
        registry.descriptor(&self.descriptor)
    }

    fn handle(&mut self, event: Event, state: &mut S, cx: &mut Context<'_, S>) -> Next {
        let readiness = match event {
            Event::Drain => return Next::Close,
            Event::Ready(readiness) => readiness,
            // Nothing new: whatever the closure left undone.
            _ => Readiness::default(),
        };
        (self.call)(state, &mut self.descriptor, readiness, cx)
    }

    fn name(&self) -> &'static str {
        "descriptor"
    }
}
