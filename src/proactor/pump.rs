//! The proactor as a source of its loop: it hears of what the driver has done, looks after times and
//! dropped handles, and hands to the kernel, once a turn, what was gathered.

use std::io;
use std::os::fd::OwnedFd;

use super::device::Device;
use super::operation::Outcome;
use super::shared::{Flush, Intake, Shared};
use super::table::Lane;
use crate::reactor::{Context, Event, EventSource, Local, Next, Registry, Removed};
use crate::time::Tick;

#[derive(Debug)]
pub(super) struct Pump {
    shared: Local<Shared>,
    /// What becomes readable when the kernel has completions.
    ring: Option<OwnedFd>,
    /// The deadline it waits for.
    waits_for: Tick,
}

impl Pump {
    pub(super) fn new(shared: Local<Shared>, ring: Option<OwnedFd>) -> Pump {
        Pump {
            shared,
            ring,
            waits_for: Tick::NEVER,
        }
    }
}

impl<S: 'static> EventSource<S> for Pump {
    fn register(&mut self, registry: &mut Registry<'_>) -> io::Result<()> {
        match &self.ring {
            Some(ring) => registry.readable_descriptor(ring),
            None => Ok(()),
        }
    }

    fn handle(&mut self, event: Event, _: &mut S, cx: &mut Context<'_, S>) -> Next {
        let waited_for = self.waits_for;
        let served = cx.with(self.shared, |shared, cx| {
            if let (Event::Resumed, Some(home)) = (event, &mut shared.home) {
                home.flush = Flush::Idle;
            }
            match event {
                Event::Deadline => shared.expire(waited_for, cx),
                Event::Drain => shared.stop_accepting(cx),
                _ => {}
            }
            let left = shared.serve(cx);
            (left, shared.next_deadline())
        });
        let Some((left, deadline)) = served else {
            return Next::Close;
        };
        // What was left would let a deadline stand that may have moved, so it comes by a resume.
        if left {
            cx.resume(cx.token());
        }
        self.waits_for = deadline;
        Next::Until(deadline)
    }

    /// The loop ends, or somebody ends the proactor: with it go the operations.
    fn removed(self: Box<Self>, _: Removed, _: &mut S, cx: &mut Context<'_, S>) {
        cx.unshare(self.shared);
    }

    fn name(&self) -> &'static str {
        "proactor"
    }

    fn is_background(&self) -> bool {
        true
    }
}

impl Shared {
    /// Whether there is more to do in this turn's end or the next.
    fn serve<S: 'static>(&mut self, cx: &mut Context<'_, S>) -> bool {
        self.release_dropped(cx);
        self.sweep(cx);
        self.drive(cx)
    }

    /// The time is `now` or later.
    fn expire<S: 'static>(&mut self, now: Tick, cx: &mut Context<'_, S>) {
        while let Some(id) = self.table.expired(now) {
            self.complete(id, Outcome::TimedOut, false, cx);
        }
        if matches!(self.intake, Intake::Closing { until } if until <= now) {
            self.intake = Intake::Closed;
            self.cancel_all(|_, _| true, cx);
        }
    }

    /// The loop drains: clients in the queue are for who comes after us.
    fn stop_accepting<S: 'static>(&mut self, cx: &mut Context<'_, S>) {
        let accepts = |shared: &Shared, lane| match lane {
            Some(Lane::In(token)) => shared.table.look(token).is_some_and(Device::is_listener),
            _ => false,
        };
        self.cancel_all(accepts, cx);
    }

    fn next_deadline(&self) -> Tick {
        let timer = self.table.next_wake().unwrap_or(Tick::NEVER);
        let timer = timer.min(self.driver.retry_at().unwrap_or(Tick::NEVER));
        match self.intake {
            Intake::Closing { until } => timer.min(until),
            Intake::Open | Intake::Closed => timer,
        }
    }
}
