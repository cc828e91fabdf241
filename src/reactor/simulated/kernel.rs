//! The wait of a simulated machine: time passes when the loop sleeps, readiness comes from the
//! network, and both as badly as the faults allow.

use super::super::demultiplexer::{EVENTS_PER_WAIT, SIGNALS, TIMER};
use super::super::signals::Signal;
use super::super::source::Readiness;
use super::trace::Mark;
use super::world::{Owner, World};
use crate::slab::Token;

impl World {
    /// One wait. A sleep with nothing to come ends at the alarm or, if that is later, at the limit.
    pub(super) fn wait(&mut self, events: &mut Vec<(Token, Readiness)>, sleep: bool) {
        events.clear();
        self.witness.waited();
        for number in std::mem::take(&mut self.later) {
            self.announce(number);
        }
        self.flow_all();
        self.ring_wall_alarms();
        self.collect(events);
        if !self.signals.is_empty() {
            events.push((SIGNALS, Readiness::READABLE));
        }
        let is_quiet = self.edges.is_empty() && self.later.is_empty() && self.flowing.is_empty();
        if sleep && events.is_empty() && is_quiet {
            let until = self.next_wake();
            self.has_rested = until > self.limit;
            self.nanos = self.nanos.max(until.min(self.limit));
            self.ring_wall_alarms();
            self.collect(events);
        }
        if self.alarm.is_some_and(|alarm| alarm <= self.nanos) {
            self.alarm = None;
            self.note(Mark::Alarm, 0, 0);
            events.push((TIMER, Readiness::READABLE));
        }
        if !events.is_empty() {
            // A wait that only ended at the limit is none of the loop's: chance has no part in it.
            self.disturb(events);
            self.set_wall_by_chance();
        }
    }

    /// Takes the edges of this wait. Each says what is so now, as epoll does.
    fn collect(&mut self, events: &mut Vec<(Token, Readiness)>) {
        for _ in 0..self.edges.len().min(EVENTS_PER_WAIT - 2) {
            let Some(number) = self.edges.pop_front() else {
                return;
            };
            if self.strikes(|faults| faults.delays) {
                self.edges.push_back(number);
                continue;
            }
            let file = &mut self.files[number as usize];
            file.has_edge = false;
            if let Some(token) = file.token {
                let readiness = self.readiness(number);
                if readiness != Readiness::default() {
                    events.push((token, readiness));
                }
            }
        }
    }

    /// When a sleep ends at the latest.
    fn next_wake(&self) -> u64 {
        let alarm = self.alarm.unwrap_or(u64::MAX);
        alarm.min(self.next_step).min(self.next_wall_alarm())
    }

    /// Signals that a program which handles them does not end by.
    fn signal_by_chance(&mut self, events: &mut Vec<(Token, Readiness)>) {
        if self.strikes(|faults| faults.signals) {
            for _ in 0..self.dice.up_to(30) {
                let signals = [
                    Signal::HUP,
                    Signal::USR1,
                    Signal::USR2,
                    Signal::CHLD,
                    Signal::WINCH,
                ];
                let signal = signals[self.dice.below(signals.len())];
                self.signal(signal.number());
            }
            if !self.signals.is_empty() {
                events.push((SIGNALS, Readiness::READABLE));
            }
        }
    }

    fn readiness(&self, number: u32) -> Readiness {
        match self.files[number as usize].owner {
            Owner::Connection(id) => self.connections[id].readiness(),
            Owner::Listener(index) if !self.listeners[index].queue.is_empty() => {
                Readiness::READABLE
            }
            Owner::Alarm(index) if self.alarms[index].has_rung => Readiness::READABLE,
            Owner::Listener(_) | Owner::Alarm(_) | Owner::Nobody => Readiness::default(),
        }
    }

    /// Adds events that no new fact stands behind, and mixes them.
    fn disturb(&mut self, events: &mut Vec<(Token, Readiness)>) {
        self.signal_by_chance(events);
        if self.strikes(|faults| faults.spurious) && !self.files.is_empty() {
            let number = self.dice.below(self.files.len());
            let spurious = Readiness::READABLE.union(Readiness::WRITABLE);
            let token = self.files[number].token;
            events.extend(token.map(|token| (token, spurious)));
        }
        if self.strikes(|faults| faults.duplicates) && !events.is_empty() {
            let twice = events[self.dice.below(events.len())];
            events.push(twice);
        }
        if self.strikes(|faults| faults.stale) && !self.past.is_empty() {
            let token = self.past[self.dice.below(self.past.len())];
            let last_words = Readiness::READABLE
                .union(Readiness::READ_CLOSED)
                .union(Readiness::WRITE_CLOSED)
                .union(Readiness::ERROR);
            events.push((token, last_words));
        }
        if self.strikes(|faults| faults.reorders) {
            self.dice.shuffle(events);
        }
    }
}
