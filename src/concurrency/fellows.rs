//! What loops that belong together tell each other: to drain, to end a drain at once, to stop.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::reactor::{Context, Event, EventLoop, EventSource, Next, Removed, Result, Waker};
use crate::slab::Token;

/// Loops that end together. Clones are the same; any thread may have one.
#[derive(Clone, Debug)]
pub struct Fellows {
    seats: Arc<[Seat]>,
}

/// One loop, as the others see it.
#[derive(Debug, Default)]
struct Seat {
    /// Set when the loop is set up.
    waker: OnceLock<Waker>,
    /// What it has been told and has not heard of yet: the last word counts, unless it is weaker.
    order: Mutex<Option<Order>>,
}

/// From the weakest to the strongest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Order {
    Drain { grace: Duration },
    Force,
    Stop,
}

impl Fellows {
    pub(super) fn new(loops: usize) -> Fellows {
        Fellows {
            seats: (0..loops).map(|_| Seat::default()).collect(),
        }
    }

    /// Has all loops [drain](Context::drain), for at most `grace`. No effect on those that do already.
    pub fn drain(&self, grace: Duration) {
        self.tell(None, Order::Drain { grace });
    }

    /// Ends the drain of all loops [at once](Context::force), and drains none that does not drain.
    pub fn force(&self) {
        self.tell(None, Order::Force);
    }

    /// [Stops](Context::stop) all loops.
    pub fn stop(&self) {
        self.tell(None, Order::Stop);
    }

    /// How many loops there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seats.len()
    }

    /// Whether there are none: never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    fn tell(&self, but: Option<usize>, order: Order) {
        for (number, seat) in self.seats.iter().enumerate() {
            if Some(number) != but {
                seat.tell(order);
            }
        }
    }
}

impl Seat {
    fn tell(&self, order: Order) {
        {
            let mut told = self.order.lock().unwrap_or_else(PoisonError::into_inner);
            *told = (*told).max(Some(order));
        }
        // One that is not set up yet looks when it is.
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }

    fn take(&self) -> Option<Order> {
        let mut told = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        told.take()
    }
}

/// Listens to the others, and tells them.
struct Fellow {
    fellows: Fellows,
    number: usize,
}

/// Puts onto a loop what connects it with the others.
pub(super) fn join_in<S: 'static>(
    fellows: &Fellows,
    number: usize,
    event_loop: &mut EventLoop<S>,
) -> Result<Token> {
    let fellow = Fellow {
        fellows: fellows.clone(),
        number,
    };
    let token = event_loop.insert(fellow)?;
    let waker = event_loop.context().waker(token);
    let _ = fellows.seats[number].waker.set(waker); // it is set once
    Ok(token)
}

impl<S: 'static> EventSource<S> for Fellow {
    fn register(&mut self, _: &mut crate::reactor::Registry<'_>) -> std::io::Result<()> {
        Ok(())
    }

    fn handle(&mut self, event: Event, _: &mut S, cx: &mut Context<'_, S>) -> Next {
        if let Event::Drain = event {
            let grace = cx.grace_left();
            let drain = Order::Drain { grace };
            self.fellows.tell(Some(self.number), drain);
        }
        match self.fellows.seats[self.number].take() {
            Some(Order::Drain { grace }) => cx.drain(grace),
            Some(Order::Force) => cx.force(),
            Some(Order::Stop) => cx.stop(),
            None => {}
        }
        Next::Wait
    }

    fn removed(self: Box<Self>, _: Removed, _: &mut S, cx: &mut Context<'_, S>) {
        if cx.is_forced() {
            self.fellows.tell(Some(self.number), Order::Force);
        }
    }

    fn name(&self) -> &'static str {
        "fellow loops"
    }

    fn is_background(&self) -> bool {
        true
    }
}
