//! One transaction of the engine as [`Rows`]: the three tables.

use std::ops::Bound;

use redb::{
    ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction,
};

use crate::storage::envelope;
use crate::storage::operation::Revision;
use crate::storage::rows::{Before, Revisions, Rows, RowsMut, SWEEP_ROWS_MAX};

/// Keys and their envelopes.
const VALUES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("values");
/// The expiry index.
const EXPIRIES: TableDefinition<&[u8], ()> = TableDefinition::new("expiries");
/// Numbers about the store itself, by their names.
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// The version of all this.
const FORMAT: (&str, u64) = ("format", 1);
/// The mark of [`Revisions`].
const MARK: &str = "revisions";

/// What a reader sees: one commit, until it is dropped.
pub(super) struct Snapshot {
    values: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl Snapshot {
    pub(super) fn new(transaction: &ReadTransaction) -> Result<Snapshot, redb::Error> {
        Ok(Snapshot {
            values: transaction.open_table(VALUES)?,
        })
    }
}

fn look<T>(
    values: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8],
    look: impl FnOnce(&[u8]) -> T,
) -> Result<Option<T>, redb::Error> {
    Ok(values.get(key)?.map(|row| look(row.value())))
}

fn visit(
    values: &impl ReadableTable<&'static [u8], &'static [u8]>,
    from: &[u8],
    until: Option<&[u8]>,
    visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
) -> Result<(), redb::Error> {
    if until.is_some_and(|until| until <= from) {
        return Ok(());
    }
    let end = until.map_or(Bound::Unbounded, Bound::Excluded);
    for row in values.range::<&[u8]>((Bound::Included(from), end))? {
        let (key, row) = row?;
        if !visit(key.value(), row.value()) {
            break;
        }
    }
    Ok(())
}

impl Rows for Snapshot {
    type Error = redb::Error;

    fn look<T>(&self, key: &[u8], f: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, redb::Error> {
        look(&self.values, key, f)
    }

    fn visit(
        &self,
        from: &[u8],
        until: Option<&[u8]>,
        f: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), redb::Error> {
        visit(&self.values, from, until, f)
    }
}

/// What the writer sees, its own writes included.
pub(super) struct Changes<'t> {
    transaction: &'t WriteTransaction,
    values: Table<'t, &'static [u8], &'static [u8]>,
    /// Opened when it is needed: most values never expire.
    expiries: Option<Table<'t, &'static [u8], ()>>,
    revisions: Revisions,
    is_changed: bool,
    buffer: &'t mut Vec<u8>,
}

impl<'t> Changes<'t> {
    pub(super) fn new(
        transaction: &'t WriteTransaction,
        revisions: Revisions,
        buffer: &'t mut Vec<u8>,
    ) -> Result<Changes<'t>, redb::Error> {
        Ok(Changes {
            transaction,
            values: transaction.open_table(VALUES)?,
            expiries: None,
            revisions,
            is_changed: false,
            buffer,
        })
    }

    /// Whether there is anything to commit, and what is to be known of revisions then.
    pub(super) fn end(self) -> (bool, Revisions) {
        (self.is_changed, self.revisions)
    }

    fn expiries(&mut self) -> Result<&mut Table<'t, &'static [u8], ()>, redb::Error> {
        match &mut self.expiries {
            Some(table) => Ok(table),
            none => Ok(none.insert(self.transaction.open_table(EXPIRIES)?)),
        }
    }
}

impl Rows for Changes<'_> {
    type Error = redb::Error;

    fn look<T>(&self, key: &[u8], f: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, redb::Error> {
        look(&self.values, key, f)
    }

    fn visit(
        &self,
        from: &[u8],
        until: Option<&[u8]>,
        f: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), redb::Error> {
        visit(&self.values, from, until, f)
    }
}

impl RowsMut for Changes<'_> {
    fn replace(&mut self, key: &[u8], row: &[u8]) -> Result<Option<Before>, redb::Error> {
        self.is_changed = true;
        let before = self.values.insert(key, row)?;
        Ok(before.map(|before| Before::of(key, before.value())))
    }

    fn remove(&mut self, key: &[u8]) -> Result<Option<Before>, redb::Error> {
        let before = self.values.remove(key)?;
        self.is_changed |= before.is_some();
        Ok(before.map(|before| Before::of(key, before.value())))
    }

    fn index(&mut self, expires: u64, key: &[u8]) -> Result<(), redb::Error> {
        let row = envelope::encode_expiry(expires, key);
        self.expiries()?.insert(&row[..], ())?;
        Ok(())
    }

    fn unindex(&mut self, expires: u64, key: &[u8]) -> Result<(), redb::Error> {
        let row = envelope::encode_expiry(expires, key);
        let was_there = self.expiries()?.remove(&row[..])?.is_some();
        self.is_changed |= was_there;
        Ok(())
    }

    fn revision(&mut self) -> Result<Revision, redb::Error> {
        let (revision, mark) = self.revisions.take();
        if let Some(mark) = mark {
            self.transaction.open_table(META)?.insert(MARK, mark)?;
        }
        Ok(revision)
    }

    fn buffer(&mut self) -> &mut Vec<u8> {
        self.buffer
    }
}

/// Rows of the expiry index that are due at `now`, at most [`SWEEP_ROWS_MAX`].
pub(super) fn due(transaction: &ReadTransaction, now: u64) -> Result<Vec<Vec<u8>>, redb::Error> {
    let expiries = transaction.open_table(EXPIRIES)?;
    let end = envelope::encode_expiry(now.saturating_add(1), &[]);
    let mut due = Vec::new();
    for row in expiries.range::<&[u8]>(..&end[..])?.take(SWEEP_ROWS_MAX) {
        due.push(row?.0.value().to_vec());
    }
    Ok(due)
}

/// Prepares a database that has just been opened; the mark of its revisions. `Ok(Err)` says which
/// format it has, when that is not ours.
pub(super) fn prepare(database: &redb::Database) -> Result<Result<u64, u64>, redb::Error> {
    let transaction = redb::ReadableDatabase::begin_read(database)?;
    match transaction.open_table(META) {
        Ok(meta) => {
            let number = |name| Ok::<_, redb::Error>(meta.get(name)?.map(|number| number.value()));
            let format = number(FORMAT.0)?.unwrap_or(0);
            let mark = number(MARK)?.unwrap_or(0);
            return Ok(if format == FORMAT.1 {
                Ok(mark)
            } else {
                Err(format)
            });
        }
        Err(redb::TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error.into()),
    }
    if transaction.list_tables()?.next().is_some() {
        return Ok(Err(0)); // a database of somebody else
    }
    let transaction = database.begin_write()?;
    transaction.open_table(META)?.insert(FORMAT.0, FORMAT.1)?;
    transaction.open_table(VALUES)?;
    transaction.open_table(EXPIRIES)?;
    transaction.commit()?;
    Ok(Ok(0))
}
