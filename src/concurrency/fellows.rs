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
    /// What it has been told and has not heard of yet.
    orders: Mutex<Orders>,
}

/// What a loop is to do, in this order: a drain that is forced has to begin first.
#[derive(Clone, Copy, Default, Debug)]
struct Orders {
    drain: Option<Duration>,
    force: bool,
    stop: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
            let mut told = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
            match order {
                // The first counts, as it does for a loop that drains.
                Order::Drain { grace } => told.drain = told.drain.or(Some(grace)),
                Order::Force => told.force = true,
                Order::Stop => told.stop = true,
            }
        }
        // One that is not set up yet looks when it is.
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }

    fn take(&self) -> Orders {
        let mut told = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut told)
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
        let told = self.fellows.seats[self.number].take();
        if let Some(grace) = told.drain {
            cx.drain(grace);
        }
        if told.force {
            cx.force();
        }
        if told.stop {
            cx.stop();
        }
        Next::Wait
    }

    fn removed(self: Box<Self>, _: Removed, _: &mut S, cx: &mut Context<'_, S>) {
        if cx.is_forced() {
            // It may have been forced before anybody heard that it drains.
            let grace = Duration::ZERO;
            self.fellows.tell(Some(self.number), Order::Drain { grace });
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
