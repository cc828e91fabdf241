//! Sessions of the store for many writes: one that writes, and readers.
//!
//! Invariant: no outcome of a batch is given before its commit has ended, those of reads included: they
//! may have seen what the commit then failed to keep.

use std::sync::{Arc, PoisonError};

use ::fjall::{Error, PersistMode};

use super::CAPABILITIES;
use super::shared::{Opened, Shared, State};
use super::transaction::{Changes, View};
use crate::storage::envelope;
use crate::storage::fault::{Fault, Outcome};
use crate::storage::operation::{Durability, Request};
use crate::storage::rows::{self, SWEEP_ROWS_MAX, Stop};
use crate::storage::store::{Outcomes, Session};
use crate::time::Span;

/// Writes, and sweeps what has expired.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    /// Rows are put together here.
    buffer: Vec<u8>,
    /// Before this time, in milliseconds since 1970, the expiry index is known to be empty: the engine
    /// would step over all that was removed from it.
    swept: u64,
}

/// Reads what is committed, beside the writer.
#[derive(Debug)]
pub(super) struct Reader {
    shared: Arc<Shared>,
}

/// What the engine is to do for an `Ok`.
fn persist_mode(batch: &[Request]) -> Option<PersistMode> {
    let writes = batch.iter().filter(|request| request.operation.is_write());
    match writes.map(|request| request.durability).max() {
        None | Some(Durability::Memory) => None,
        Some(Durability::Os) => Some(PersistMode::Buffer),
        // The journal has its length from the start; data is all there is to sync.
        Some(Durability::Synced | Durability::Replicated(_)) => Some(PersistMode::SyncData),
    }
}

/// What an error of the engine is for one operation.
fn fault(error: &Error) -> Fault {
    match error {
        Error::Io(_) | Error::Storage(::fjall::LsmError::Io(_)) => {
            Fault::Fenced("the disk could not be read")
        }
        _ => Fault::Corrupt,
    }
}

fn one<R>(result: Result<R, Stop<Error>>) -> Result<R, Fault> {
    result.map_err(|stop| match stop {
        Stop::Fault(fault) => fault,
        Stop::Engine(error) => fault(&error),
    })
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Writer {
        Writer {
            shared,
            buffer: Vec::new(),
            swept: 0,
        }
    }

    fn run_open(&mut self, opened: &Opened, batch: &[Request], outcomes: &mut Outcomes<'_>) {
        if let Some(why) = opened.trouble() {
            return outcomes.fail_rest(Fault::Fenced(why));
        }
        let now = self.shared.options.clock.unix_millis();
        let mut results: Vec<Outcome> = Vec::with_capacity(batch.len());
        let committed = self.commit(opened, persist_mode(batch), |changes| {
            for request in batch {
                let admitted = CAPABILITIES.check(request);
                results.push(
                    admitted.and_then(|()| one(rows::write(changes, &request.operation, now))),
                );
            }
            Ok(())
        });
        match committed {
            Ok(()) => {
                for (index, outcome) in results.into_iter().enumerate() {
                    outcomes.set(index, outcome);
                }
            }
            Err(Stop::Fault(fault)) => outcomes.fail_rest(fault),
            Err(Stop::Engine(error)) => {
                // Poisoned before this batch: nothing of it was written.
                let is_certain = matches!(error, Error::Poisoned);
                let why = self.shared.note(opened, &error);
                for (index, request) in batch.iter().enumerate() {
                    let is_unsure = request.operation.is_write() && !is_certain;
                    outcomes.set(
                        index,
                        Err(match is_unsure {
                            true => Fault::Unknown(why),
                            false => Fault::Fenced(why),
                        }),
                    );
                }
            }
        }
    }

    /// Collects the changes that `change` makes, and commits them if there are any; an error of the
    /// engine is one of the commit.
    fn commit(
        &mut self,
        opened: &Opened,
        mode: Option<PersistMode>,
        change: impl FnOnce(&mut Changes<'_>) -> Result<(), Fault>,
    ) -> Result<(), Stop<Error>> {
        // Held to the end: it makes all writers take turns.
        let revisions = self.shared.revisions.lock();
        let mut revisions = revisions.unwrap_or_else(PoisonError::into_inner);
        let mut changes = Changes::new(&opened.tables, *revisions, &mut self.buffer);
        change(&mut changes).map_err(Stop::Fault)?;
        let taken = changes.revisions();
        let result = match changes.is_empty() {
            true => Ok(()),
            false => changes.commit(mode),
        };
        revisions.settle(taken, result.is_ok());
        Ok(result?)
    }

    /// Removes what has expired, at most [`SWEEP_ROWS_MAX`] values; whether there may be more.
    fn sweep(&mut self, opened: &Opened) -> Result<bool, Fault> {
        if let Some(why) = opened.trouble() {
            return Err(Fault::Fenced(why));
        }
        let now = self.shared.options.clock.unix_millis();
        if now < self.swept {
            self.swept = 0; // the clock went back
        }
        let due = opened
            .tables
            .due(self.swept, now)
            .map_err(|error| fault(&error))?;
        let Some(last) = due.last() else {
            return Ok(false);
        };
        let reached = envelope::decode_expiry(last).map_or(0, |(expires, _)| expires);
        let swept = self.commit(opened, None, |changes| {
            rows::sweep(changes, &due).map_err(|error| fault(&error))
        });
        swept.map_err(|stop| match stop {
            Stop::Fault(fault) => fault,
            Stop::Engine(error) => Fault::Fenced(self.shared.note(opened, &error)),
        })?;
        self.swept = reached;
        Ok(due.len() == SWEEP_ROWS_MAX)
    }
}

/// Does a batch in which nothing is written.
fn run_view(shared: &Shared, opened: &Opened, batch: &[Request], outcomes: &mut Outcomes<'_>) {
    let view = View::new(&opened.tables);
    let now = shared.options.clock.unix_millis();
    for (index, request) in batch.iter().enumerate() {
        let admitted = CAPABILITIES.check(request);
        let outcome = admitted.and_then(|()| one(rows::read(&view, &request.operation, now)));
        outcomes.set(index, outcome);
    }
}

/// Runs `run` on the tables, if there are any.
fn with_opened(
    shared: &Shared,
    outcomes: &mut Outcomes<'_>,
    run: impl FnOnce(&Opened, &mut Outcomes<'_>),
) {
    match &*shared.state() {
        State::Open(opened) => run(opened, outcomes),
        // Whoever was met by the failure itself opens it again.
        State::Down(fault) => outcomes.fail_rest(*fault),
        State::Closed => outcomes.fail_rest(Fault::Fenced("the store is closed")),
    }
}

impl Session for Writer {
    fn run(&mut self, batch: &[Request], outcomes: &mut Outcomes<'_>) {
        let shared = self.shared.clone();
        let has_write = batch.iter().any(|request| request.operation.is_write());
        with_opened(&shared, outcomes, |opened, outcomes| match has_write {
            true => self.run_open(opened, batch, outcomes),
            false => run_view(&shared, opened, batch, outcomes),
        });
    }

    fn reopen(&mut self) -> Result<(), Fault> {
        self.shared.reopen()
    }

    fn maintain(&mut self, _budget: Span) -> Result<bool, Fault> {
        let shared = self.shared.clone();
        match &*shared.state() {
            State::Open(opened) => self.sweep(opened),
            State::Down(fault) => Err(*fault),
            State::Closed => Err(Fault::Fenced("the store is closed")),
        }
    }
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>) -> Reader {
        Reader { shared }
    }
}

impl Session for Reader {
    fn run(&mut self, batch: &[Request], outcomes: &mut Outcomes<'_>) {
        with_opened(&self.shared, outcomes, |opened, outcomes| {
            run_view(&self.shared, opened, batch, outcomes);
        });
    }

    fn reopen(&mut self) -> Result<(), Fault> {
        // Reads need no reopening, unless the store is down.
        match &*self.shared.state() {
            State::Open(_) => return Ok(()),
            State::Down(_) | State::Closed => {}
        }
        self.shared.reopen()
    }
}
