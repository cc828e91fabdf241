//! Sessions of the durable store: one that writes, and readers.
//!
//! ```text
//!   run(batch) ── no write in it ──> a snapshot
//!       └── else ──> one transaction: each operation, in order ── nothing changed ──> abort
//!                                                  └──────> commit, one sync ──> outcomes
//! ```
//!
//! Invariant: no outcome of a batch is given before its transaction has ended, those of reads included:
//! they may have seen what the commit then failed to keep.

use std::sync::{Arc, PoisonError};

use redb::{Durability, ReadableDatabase};

use super::medium::Trouble;
use super::shared::{Opened, Shared, State};
use super::transaction::{self, Changes, Snapshot};
use super::{CAPABILITIES, Recovery};
use crate::storage::fault::{Fault, Outcome};
use crate::storage::operation::Request;
use crate::storage::rows::{self, SWEEP_ROWS_MAX, Stop};
use crate::storage::store::{Outcomes, Session};
use crate::time::Span;

/// The committer.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    /// Rows are put together here.
    buffer: Vec<u8>,
    /// Whether a batch was begun and has not ended: after a panic.
    is_running: bool,
}

/// Reads what is committed, beside the committer.
#[derive(Debug)]
pub(super) struct Reader {
    shared: Arc<Shared>,
}

/// How a transaction failed.
enum Broken {
    /// It is certainly not there.
    Before(redb::Error),
    /// Nor is this; the engine found damage when it did the operation with this index.
    Damaged(usize),
    /// It may be there, or not, or not last.
    Commit,
}

fn before(error: impl Into<redb::Error>) -> Broken {
    Broken::Before(error.into())
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Writer {
        Writer {
            shared,
            buffer: Vec::new(),
            is_running: false,
        }
    }

    /// Does `batch` in one transaction: all its outcomes, once it is committed.
    fn transact(
        &mut self,
        opened: &Opened,
        batch: &[Request],
        now: u64,
    ) -> Result<Vec<Outcome>, Broken> {
        let mut outcomes = Vec::with_capacity(batch.len());
        self.commit(opened, |changes| {
            for (index, request) in batch.iter().enumerate() {
                if let Err(fault) = CAPABILITIES.check(request) {
                    outcomes.push(Err(fault));
                    continue;
                }
                outcomes.push(match rows::write(changes, &request.operation, now) {
                    Ok(reply) => Ok(reply),
                    Err(Stop::Fault(fault)) => Err(fault),
                    Err(Stop::Engine(redb::Error::Corrupted(_))) => {
                        return Err(Broken::Damaged(index));
                    }
                    Err(Stop::Engine(error)) => return Err(before(error)),
                });
            }
            Ok(())
        })?;
        Ok(outcomes)
    }

    /// Runs `change` in a transaction and commits it, if anything was changed.
    fn commit(
        &mut self,
        opened: &Opened,
        change: impl FnOnce(&mut Changes<'_>) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        // Held to the end: another writer of the lane must not take the same revisions.
        let revisions = self.shared.revisions.lock();
        let mut revisions = revisions.unwrap_or_else(PoisonError::into_inner);
        let mut transaction = opened.database.begin_write().map_err(before)?;
        let durable = transaction.set_durability(Durability::Immediate);
        durable.map_err(before)?;
        #[cfg(trine_planted)]
        if crate::planted::has(crate::planted::Bug::AcknowledgedBeforeSync) {
            let none = transaction.set_durability(Durability::None);
            none.map_err(before)?;
        }
        transaction.set_quick_repair(self.shared.options.recovery == Recovery::Fast);
        let (is_changed, taken) = {
            let changes = Changes::new(&transaction, *revisions, &mut self.buffer);
            let mut changes = changes.map_err(before)?;
            change(&mut changes)?;
            changes.end()
        };
        let result = if is_changed {
            transaction.commit().map_err(|_| Broken::Commit)
        } else {
            transaction.abort().map_err(before)
        };
        revisions.settle(taken, is_changed && result.is_ok());
        result
    }

    fn run_open(&mut self, opened: &Opened, batch: &[Request], outcomes: &mut Outcomes<'_>) {
        if let Some(trouble) = opened.watch.trouble() {
            return outcomes.fail_rest(Fault::Fenced(trouble.why()));
        }
        let now = self.shared.options.clock.unix_millis();
        self.is_running = true;
        let result = self.transact(opened, batch, now);
        self.is_running = false;
        match result {
            Ok(results) => {
                for (index, outcome) in results.into_iter().enumerate() {
                    outcomes.set(index, outcome);
                }
            }
            Err(Broken::Before(_)) => outcomes.fail_rest(Fault::Fenced(noted(opened).why())),
            Err(Broken::Damaged(index)) => {
                outcomes.set(index, Err(Fault::Corrupt));
                outcomes.fail_rest(BESIDE_DAMAGE);
            }
            Err(Broken::Commit) => {
                let why = noted(opened).why();
                for (index, request) in batch.iter().enumerate() {
                    outcomes.set(
                        index,
                        Err(if request.operation.is_write() {
                            Fault::Unknown(why)
                        } else {
                            Fault::Fenced(why)
                        }),
                    );
                }
            }
        }
    }

    /// Removes what has expired, at most [`SWEEP_ROWS_MAX`] values; whether there may be more.
    fn sweep(&mut self, opened: &Opened) -> Result<bool, Fault> {
        if let Some(trouble) = opened.watch.trouble() {
            return Err(Fault::Fenced(trouble.why()));
        }
        let now = self.shared.options.clock.unix_millis();
        let snapshot = opened.database.begin_read().map_err(redb::Error::from);
        let due = snapshot.and_then(|snapshot| transaction::due(&snapshot, now));
        let due = due.map_err(|error| broken(opened, &error))?;
        if due.is_empty() {
            return Ok(false);
        }
        self.is_running = true;
        let result = self.commit(opened, |changes| rows::sweep(changes, &due).map_err(before));
        self.is_running = false;
        match result {
            Ok(()) => Ok(due.len() == SWEEP_ROWS_MAX),
            Err(Broken::Before(error)) => Err(broken(opened, &error)),
            Err(Broken::Damaged(_)) => Err(Fault::Corrupt),
            Err(Broken::Commit) => Err(Fault::Unknown(noted(opened).why())),
        }
    }
}

/// For operations that were in one batch with one that met damage.
const BESIDE_DAMAGE: Fault = Fault::Retry {
    after: Span::ZERO,
    why: "another operation of the same batch met damage",
};

/// What keeps the database from going on, after an error of the engine.
fn noted(opened: &Opened) -> Trouble {
    opened.watch.note(Trouble::Engine);
    opened.watch.trouble().unwrap_or(Trouble::Engine)
}

fn broken(opened: &Opened, error: &redb::Error) -> Fault {
    match error {
        redb::Error::Corrupted(_) => Fault::Corrupt,
        _ => Fault::Fenced(noted(opened).why()),
    }
}

/// Does a batch in which nothing is written.
fn run_snapshot(shared: &Shared, opened: &Opened, batch: &[Request], outcomes: &mut Outcomes<'_>) {
    let snapshot = opened.database.begin_read().map_err(redb::Error::from);
    let snapshot = match snapshot.and_then(|transaction| Snapshot::new(&transaction)) {
        Ok(snapshot) => snapshot,
        Err(error) => return outcomes.fail_rest(broken(opened, &error)),
    };
    let now = shared.options.clock.unix_millis();
    for (index, request) in batch.iter().enumerate() {
        let outcome = CAPABILITIES.check(request).and_then(|()| {
            rows::read(&snapshot, &request.operation, now).map_err(|stop| match stop {
                Stop::Fault(fault) => fault,
                Stop::Engine(error) => broken(opened, &error),
            })
        });
        outcomes.set(index, outcome);
    }
}

/// Runs `run` on the database, if there is one.
fn with_opened(
    shared: &Shared,
    outcomes: &mut Outcomes<'_>,
    run: impl FnOnce(&Opened, &mut Outcomes<'_>),
) {
    match &*shared.state() {
        State::Open(opened) | State::Rescued(opened) => run(opened, outcomes),
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
            false => run_snapshot(&shared, opened, batch, outcomes),
        });
    }

    fn reopen(&mut self) -> Result<(), Fault> {
        if std::mem::take(&mut self.is_running)
            && let State::Open(opened) = &*self.shared.state()
        {
            opened.watch.note(Trouble::Engine); // a panic may have left it half done
        }
        self.shared.reopen()
    }

    fn maintain(&mut self, _budget: Span) -> Result<bool, Fault> {
        let shared = self.shared.clone();
        match &*shared.state() {
            State::Open(opened) => self.sweep(opened),
            State::Rescued(_) => Err(Fault::Fenced(Trouble::Lost.why())),
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
            run_snapshot(&self.shared, opened, batch, outcomes);
        });
    }

    fn reopen(&mut self) -> Result<(), Fault> {
        self.shared.reopen_to_read()
    }
}
