//! A loop in virtual time, and the hands that turn its clock.

use super::super::base::Base;
use super::super::kernel::{Batch, Kernel};
use super::super::virtual_kernel::VirtualKernel;
use super::super::{Context, Event, EventLoop, EventSource, Next, Readiness, Sources};
use crate::slab::Token;

pub(super) const MILLI: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1_000 * MILLI;

pub(super) fn virtual_loop<S: 'static>() -> EventLoop<S> {
    let base = Base::new(Kernel::Virtual(VirtualKernel::new())).unwrap();
    EventLoop::over(base, Batch::Virtual(Vec::new()))
}

/// The machine under a loop, from outside it or from a callback.
pub(super) fn machine<S: 'static>(on: &mut impl Sources<S>) -> &mut VirtualKernel {
    let core = on.context().core;
    match &mut core.base.kernel {
        Kernel::Virtual(kernel) => kernel,
        _ => panic!("the test runs in virtual time"),
    }
}

/// What the clock shows, in nanoseconds, without counting as a reading of the loop.
pub(super) fn clock<S: 'static>(on: &mut impl Sources<S>) -> u64 {
    machine(on).nanos
}

/// A source that is what its closure says.
pub(super) struct Probe<F>(pub(super) F);

impl<S, F> EventSource<S> for Probe<F>
where
    S: 'static,
    F: FnMut(Event, &mut S, &mut Context<'_, S>) -> Next + 'static,
{
    fn handle(&mut self, event: Event, state: &mut S, cx: &mut Context<'_, S>) -> Next {
        (self.0)(event, state, cx)
    }

    fn name(&self) -> &'static str {
        "probe"
    }
}

/// Inserts a [`Probe`].
pub(super) fn probe<S, F>(on: &mut impl Sources<S>, call: F) -> Token
where
    S: 'static,
    F: FnMut(Event, &mut S, &mut Context<'_, S>) -> Next + 'static,
{
    on.context().insert(Probe(call)).unwrap()
}

/// The next waits of the loop find `token` readable, once each.
pub(super) fn script_readable<S: 'static>(on: &mut impl Sources<S>, token: Token, waits: usize) {
    let batches = (0..waits).map(|_| vec![(token, Readiness::READABLE)]);
    machine(on).script.extend(batches);
}

/// Runs turns until the loop ends or `turns` have passed.
pub(super) fn run_turns<S: 'static>(on: &mut EventLoop<S>, state: &mut S, turns: usize) {
    use super::super::Turn;
    for _ in 0..turns {
        if on.turn(state).unwrap() == Turn::Ended {
            return;
        }
    }
}
