//! The real timerfd and eventfd, edge-triggered and never read.

use std::fs;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use super::super::clock;
use super::super::demultiplexer::{Demultiplexer, TIMER, events, token};

fn now() -> Duration {
    Duration::from_nanos(clock::monotonic_nanos())
}

#[test]
fn a_timerfd_set_to_the_past_or_to_zero_rings_at_once() {
    let mut kernel = Demultiplexer::new().unwrap();
    let mut batch = events();
    for at in [
        Duration::ZERO,
        Duration::from_nanos(1),
        now() - Duration::from_millis(1),
        now(),
    ] {
        kernel.arm(at);
        kernel.wait(&mut batch, true).unwrap();
        assert!(batch.iter().any(|event| token(event) == TIMER), "{at:?}");
    }
}

#[test]
fn a_timerfd_set_as_far_as_can_be_said_does_not_ring() {
    let mut kernel = Demultiplexer::new().unwrap();
    let mut batch = events();
    for at in [
        Duration::MAX,
        Duration::from_nanos(u64::MAX),
        Duration::from_secs(25 * 86_400),
    ] {
        kernel.arm(now().saturating_add(at));
        kernel.wait(&mut batch, false).unwrap();
        assert!(batch.is_empty(), "{at:?}");
    }
}

#[test]
fn a_timerfd_that_is_never_read_rings_every_time() {
    let mut kernel = Demultiplexer::new().unwrap();
    let mut batch = events();
    for _ in 0..10_000 {
        kernel.arm(Duration::ZERO);
        kernel.wait(&mut batch, true).unwrap();
        assert_eq!(batch.iter().count(), 1);
    }
}

#[test]
fn an_eventfd_that_is_never_read_wakes_every_time() {
    let mut kernel = Demultiplexer::new().unwrap();
    let waker = kernel.waker().unwrap();
    let mut batch = events();
    for _ in 0..100_000 {
        waker.wake().unwrap();
        kernel.wait(&mut batch, true).unwrap();
        assert_eq!(batch.iter().count(), 1);
    }
}

/// A duplicate of the eventfd inside `waker`, which does not give it out.
fn eventfd_of(waker: &mio::Waker) -> OwnedFd {
    let shown = format!("{waker:?}");
    // File { fd: 7, .. }, somewhere inside
    let number = shown.split("fd: ").find_map(|rest| {
        let end = rest.find(|letter: char| !letter.is_ascii_digit())?;
        rest[..end].parse().ok()
    });
    let number = number.expect("mio shows the descriptor");
    let process = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    pidfd_getfd(process, number, PidfdGetfdFlags::empty()).unwrap()
}

#[test]
fn an_eventfd_whose_counter_is_full_still_wakes() {
    let mut kernel = Demultiplexer::new().unwrap();
    let waker = kernel.waker().unwrap();
    let mut batch = events();
    let eventfd = eventfd_of(&waker);
    let shown = fs::read_to_string(format!("/proc/self/fdinfo/{}", eventfd.as_raw_fd())).unwrap();
    assert!(shown.contains("eventfd-count"), "{shown}");
    let mut eventfd = fs::File::from(eventfd);
    for _ in 0..10 {
        waker.wake().unwrap();
        kernel.wait(&mut batch, true).unwrap();
        // To the brim: what is left of 2^64 - 2.
        for step in (0..64).rev() {
            let _ = eventfd.write(&(1_u64 << step).to_ne_bytes());
        }
        let full = eventfd.write(&1_u64.to_ne_bytes()).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::WouldBlock);
        kernel.wait(&mut batch, false).unwrap(); // the edges of filling it
        waker.wake().unwrap();
        kernel.wait(&mut batch, true).unwrap();
        assert_eq!(batch.iter().count(), 1);
    }
}
