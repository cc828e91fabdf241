//! A machine made of numbers, for tests of the loop: time passes when the loop sleeps, readiness
//! comes from a script.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use super::source::Readiness;
use crate::slab::Token;

#[derive(Debug)]
pub(super) struct VirtualKernel {
    pub(super) nanos: u64,
    pub(super) wall: SystemTime,
    pub(super) process: u32,
    /// When the alarm rings, in nanoseconds since the loop began.
    pub(super) armed: Option<u64>,
    /// Readiness to report, one batch a wait.
    pub(super) script: VecDeque<Vec<(Token, Readiness)>>,
    /// How often the loop slept, and how often it armed the alarm.
    pub(super) sleeps: usize,
    pub(super) arms: usize,
    /// How often the loop read the monotonic clock.
    pub(super) clock_reads: Cell<u64>,
    /// How many descriptors were ever registered, and deregistered.
    pub(super) registered: Cell<usize>,
    pub(super) deregistered: Cell<usize>,
}

impl VirtualKernel {
    pub(super) fn new() -> VirtualKernel {
        VirtualKernel {
            nanos: 0,
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777),
            process: 1,
            armed: None,
            script: VecDeque::new(),
            sleeps: 0,
            arms: 0,
            clock_reads: Cell::new(0),
            registered: Cell::new(0),
            deregistered: Cell::new(0),
        }
    }

    pub(super) fn nanos(&self) -> u64 {
        self.clock_reads.set(self.clock_reads.get() + 1);
        self.nanos
    }

    pub(super) fn wall(&self) -> SystemTime {
        self.wall + Duration::from_nanos(self.nanos)
    }

    pub(super) fn process(&self) -> u32 {
        self.process
    }

    /// A sleep with nothing scripted lasts until the alarm; without an alarm it would last for
    /// ever, which a test has to hear about.
    pub(super) fn wait(&mut self, events: &mut Vec<(Token, Readiness)>, sleep: bool) {
        events.clear();
        if let Some(batch) = self.script.pop_front() {
            events.extend(batch);
        } else if sleep {
            let alarm = self
                .armed
                .expect("the loop sleeps with no alarm and no event");
            self.nanos = self.nanos.max(alarm);
            self.sleeps += 1;
        }
        if self.armed.is_some_and(|alarm| alarm <= self.nanos) {
            self.armed = None;
            events.push((super::demultiplexer::TIMER, Readiness::READABLE));
        }
    }

    pub(super) fn register(&self) {
        self.registered.set(self.registered.get() + 1);
    }

    pub(super) fn deregister(&self) {
        self.deregistered.set(self.deregistered.get() + 1);
    }

    pub(super) fn arm(&mut self, nanos: u64) {
        self.armed = Some(nanos);
        self.arms += 1;
    }
}
