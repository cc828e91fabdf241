//! What the tests of the proactor share: a source from a closure, a run on both drivers, and a loop
//! that ends when the test has seen what it waits for.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::cell::Cell;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use trine::proactor::{Completion, Pattern, Proactor, ProactorOptions};
use trine::reactor::{Removed, Stream, StreamListener, Turn};
use trine::{Context, Event, EventLoop, EventSource, Next};

/// What a test waits at most for something that should come at once.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Set when io_uring is denied to this process, so that the emulation has to take over.
const DENIED: &str = "TRINE_URING_DENIED";

thread_local! {
    /// Whether an actor has panicked: the loop goes on, but the test has failed.
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// A source from a closure.
pub struct Actor<F>(pub F);

impl<S: 'static, F> EventSource<S> for Actor<F>
where
    F: FnMut(Event, &mut S, &mut Context<'_, S>) -> Next + 'static,
{
    fn handle(&mut self, event: Event, state: &mut S, cx: &mut Context<'_, S>) -> Next {
        (self.0)(event, state, cx)
    }

    fn removed(self: Box<Self>, why: Removed, _: &mut S, _: &mut Context<'_, S>) {
        if why == Removed::Panicked {
            PANICKED.set(true);
        }
    }

    fn name(&self) -> &'static str {
        "actor"
    }
}

/// The drivers that this build has.
pub fn patterns() -> Vec<Pattern> {
    match cfg!(feature = "io-uring") {
        true => vec![Pattern::Emulated, Pattern::IoUring],
        false => vec![Pattern::Emulated],
    }
}

/// Runs `test` with each driver.
pub fn on_each(test: impl Fn(ProactorOptions)) {
    for pattern in patterns() {
        println!("{pattern:?}");
        test(ProactorOptions {
            pattern,
            ..ProactorOptions::default()
        });
        assert!(!PANICKED.get(), "an actor has panicked");
    }
}

/// A loop with a proactor, which is the one that was asked for.
pub fn start<S: 'static>(options: ProactorOptions) -> (EventLoop<S>, Proactor) {
    let mut events = EventLoop::new().unwrap();
    let proactor = Proactor::new(&mut events, options).unwrap();
    let pattern = proactor.pattern(&mut events.context()).unwrap();
    let denied = std::env::var_os(DENIED).is_some();
    assert_eq!(
        pattern,
        if denied {
            Pattern::Emulated
        } else {
            options.pattern
        }
    );
    (events, proactor)
}

/// Turns the loop until `done`, or panics when that takes too long.
pub fn run_until<S: 'static>(
    events: &mut EventLoop<S>,
    state: &mut S,
    mut done: impl FnMut(&mut S) -> bool,
) {
    let until = Instant::now() + PATIENCE;
    // The loop sleeps without a limit: a tick sees to it that we look.
    let tick = trine::Sources::every(events, Duration::from_millis(20), |_, _, _| {}).unwrap();
    while !done(state) {
        assert!(!PANICKED.get(), "an actor has panicked");
        assert!(Instant::now() < until, "not done in time");
        assert_eq!(events.turn(state).unwrap(), Turn::Goes);
    }
    events.context().remove(tick);
}

/// Turns the loop until nothing is under way and nothing is open.
pub fn run_until_quiet<S: 'static>(events: &mut EventLoop<S>, proactor: Proactor, state: &mut S) {
    let until = Instant::now() + PATIENCE;
    let tick = trine::Sources::every(events, Duration::from_millis(5), |_, _, _| {}).unwrap();
    loop {
        let metrics = proactor.metrics(&mut events.context()).unwrap();
        if metrics.started > 0 && metrics.started == metrics.ended && metrics.descriptors == 0 {
            break;
        }
        assert!(!PANICKED.get(), "an actor has panicked");
        assert!(Instant::now() < until, "not quiet in time: {metrics:?}");
        let _ = events.turn(state).unwrap();
    }
    let _ = events.turn_now(state).unwrap(); // what has ended is told
    events.context().remove(tick);
}

/// A listener on a port that the kernel chose.
pub fn listener() -> (StreamListener, SocketAddr) {
    let listener = StreamListener::bind_tcp("127.0.0.1:0").unwrap();
    let address = listener.local_address().unwrap();
    (listener, address)
}

/// Two ends of a connection: one for the loop, one for the test.
pub fn pair() -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (near, _) = listener.accept().unwrap();
    far.set_read_timeout(Some(PATIENCE)).unwrap();
    near.set_nonblocking(true).unwrap();
    (Stream::from(OwnedFd::from(near)), far)
}

/// What an event brings, if it is a completion.
pub fn completion<S: 'static>(
    proactor: Proactor,
    event: Event,
    cx: &mut Context<'_, S>,
) -> Option<Completion> {
    match event {
        Event::Completed(completed) => proactor.take(cx, completed),
        _ => None,
    }
}
