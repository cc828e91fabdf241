//! What a server counts.

use std::time::Duration;

use super::ladder::Rung;
use crate::connection::CloseReason;
use crate::proactor::Pattern;

/// Counters of one server, on one loop or on all that it has. Those that do not say what is so now only grow.
#[derive(Clone, Debug)]
pub struct ServerMetrics {
    /// Connections now.
    pub connections: usize,
    /// How many there may be; see [`Server::connections_max`](super::Server::connections_max).
    pub connections_max: usize,
    /// In bytes, what connections hold in buffers now, with answers that nobody else has; see
    /// [`Pools::memory`](crate::connection::Pools::memory).
    pub memory: usize,
    /// In bytes, buffers that are kept for the next connection that needs one.
    pub memory_spare: usize,
    /// How many bytes connections may hold; see [`Server::memory_max`](super::Server::memory_max).
    pub memory_max: usize,
    /// Descriptors that are kept back now; see
    /// [`Server::reserve_descriptors`](super::Server::reserve_descriptors).
    pub descriptors_kept: usize,
    /// What is done now about being short of something; of several loops, by the one that does most.
    pub rung: Rung,
    /// Who does the operations of a server [by a proactor](super::Server::proactor): where io_uring was
    /// asked for and is not to be had, the emulation; of several loops, if one of them has to. `None` over
    /// the reactor.
    pub pattern: Option<Pattern>,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that came from the same server on [another loop](super::ServerHandle::insert_connection).
    /// Not in `accepted`.
    pub taken_over: u64,
    /// Connections that went to the same server on [another loop](super::ServerHandle::take_connection).
    pub given_away: u64,
    /// Clients that were closed at once, without a word, as the process had no descriptor for them. Not
    /// in `accepted`.
    pub turned_away: u64,
    /// Requests given to the service.
    pub requests: u64,
    /// Calls of the service, of its exchanges and of [`on_served`](super::Server::on_served) that panicked,
    /// and exchanges that did so when they were dropped.
    pub panics: u64,
    /// Times that new settings were [taken](super::Server::on_reload).
    pub reloads: u64,
    /// Times that they could not be, and the old ones stayed.
    pub reloads_failed: u64,
    /// Times that a connection had had its share of a turn, in requests or bytes read, and the rest of
    /// its work waited for the others.
    pub shares_spent: u64,
    pub(super) rung_entries: [u64; Rung::ALL.len()],
    pub(super) rung_times: [Duration; Rung::ALL.len()],
    pub(super) closed: [u64; CloseReason::ALL.len()],
}

impl ServerMetrics {
    pub(super) fn new() -> ServerMetrics {
        let closed = [0; CloseReason::ALL.len()];
        ServerMetrics {
            connections: 0,
            connections_max: 0,
            memory: 0,
            memory_spare: 0,
            memory_max: 0,
            descriptors_kept: 0,
            rung: Rung::Normal,
            pattern: None,
            rung_entries: [0; Rung::ALL.len()],
            rung_times: [Duration::ZERO; Rung::ALL.len()],
            accepted: 0,
            taken_over: 0,
            given_away: 0,
            turned_away: 0,
            requests: 0,
            panics: 0,
            reloads: 0,
            reloads_failed: 0,
            shares_spent: 0,
            closed,
        }
    }

    /// Adds what another loop of the same server counts.
    pub(super) fn add(&mut self, other: &ServerMetrics) {
        let ServerMetrics {
            connections,
            connections_max,
            memory,
            memory_spare,
            memory_max,
            descriptors_kept,
            rung,
            pattern,
            accepted,
            taken_over,
            given_away,
            turned_away,
            requests,
            panics,
            reloads,
            reloads_failed,
            shares_spent,
            rung_entries,
            rung_times,
            closed,
        } = other;
        self.connections += connections;
        self.connections_max += connections_max;
        self.memory += memory;
        self.memory_spare += memory_spare;
        self.memory_max += memory_max;
        self.descriptors_kept += descriptors_kept;
        self.rung = self.rung.max(*rung);
        self.pattern = match (self.pattern, *pattern) {
            (Some(Pattern::Emulated), _) => self.pattern,
            (own, other) => other.or(own),
        };
        self.accepted += accepted;
        self.taken_over += taken_over;
        self.given_away += given_away;
        self.turned_away += turned_away;
        self.requests += requests;
        self.panics += panics;
        self.reloads += reloads;
        self.reloads_failed += reloads_failed;
        self.shares_spent += shares_spent;
        for (sum, count) in self.rung_entries.iter_mut().zip(rung_entries) {
            *sum += count;
        }
        for (sum, time) in self.rung_times.iter_mut().zip(rung_times) {
            *sum += *time;
        }
        for (sum, count) in self.closed.iter_mut().zip(closed) {
            *sum += count;
        }
    }

    /// Says what became of the connections, when a drain is over.
    #[cold]
    pub(super) fn report_drain(&self) {
        let DrainCount {
            finished,
            idle,
            cut,
        } = self.drain();
        let requests = self.requests;
        match cut {
            0 => {
                tracing::info!(target: "trine::http", finished, idle, requests, "drained: nothing was cut");
            }
            _ => {
                tracing::warn!(target: "trine::http", cut, finished, idle, requests, "drained by force");
            }
        }
    }

    pub(super) fn count_close(&mut self, reason: CloseReason) {
        self.closed[reason.index()] += 1;
    }

    /// How many connections ended for `reason`.
    #[must_use]
    pub fn closed(&self, reason: CloseReason) -> u64 {
        self.closed[reason.index()]
    }

    /// How many times `rung` was entered, from a lower one.
    #[must_use]
    pub fn rung_entries(&self, rung: Rung) -> u64 {
        self.rung_entries[rung.index()]
    }

    /// How long the server was on `rung`, the present stay included. Zero for [`Rung::Normal`], which is
    /// the rest.
    #[must_use]
    pub fn rung_time(&self, rung: Rung) -> Duration {
        self.rung_times[rung.index()]
    }

    /// Every reason for which a connection ended, with how many did.
    pub fn closes(&self) -> impl Iterator<Item = (CloseReason, u64)> {
        let all = CloseReason::ALL
            .into_iter()
            .map(|reason| (reason, self.closed(reason)));
        all.filter(|(_, count)| *count > 0)
    }

    /// What became of the connections that were there when the server drained, so far.
    #[must_use]
    pub fn drain(&self) -> DrainCount {
        DrainCount {
            finished: self.closed(CloseReason::Drained),
            idle: self.closed(CloseReason::DrainedIdle),
            cut: self.closed(CloseReason::Forced),
        }
    }

    /// How many connections ended. `accepted` is this and `connections` together; `taken_over` and
    /// `given_away` come to it where connections move between loops.
    #[must_use]
    pub fn closed_total(&self) -> u64 {
        self.closed.iter().sum()
    }
}

/// What became of the connections that a drain found, or let in. Those that ended by themselves
/// meanwhile have other [reasons](ServerMetrics::closes).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DrainCount {
    /// Their last request was answered, in whole.
    pub finished: u64,
    /// Nothing was under way.
    pub idle: u64,
    /// A request was not answered when the drain was forced.
    pub cut: u64,
}
