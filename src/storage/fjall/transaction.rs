//! One batch as [`Rows`]: a snapshot of the engine, and what the batch has changed so far.
//!
//! The engine has batches, but none that can be read before they are committed. So the changes are kept
//! in sorted maps, which reads look at first and pages are merged with.
//!
//! Keys of values begin with one byte of ours: the engine has no empty keys.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;

use ::fjall::{Database, Error, Iter, Keyspace, PersistMode, Readable, Snapshot};

use crate::storage::envelope;
use crate::storage::operation::Revision;
use crate::storage::rows::{Before, Revisions, Rows, RowsMut, SWEEP_ROWS_MAX};

/// Before each key of a value.
const PREFIX: u8 = b'k';
/// The numbers about the store itself, in the keyspace `meta`.
const FORMAT: (&str, u64) = ("format", 1);
const MARK: &str = "revisions";

/// The three tables.
pub(super) struct Tables {
    pub(super) database: Database,
    values: Keyspace,
    expiries: Keyspace,
    meta: Keyspace,
}

impl Tables {
    /// Opens or makes them; `Ok(Err)` says which format is there, when it is not ours.
    pub(super) fn open(database: Database) -> Result<Result<(Tables, u64), u64>, Error> {
        let is_new = database.keyspace_count() == 0;
        let keyspace = |name| database.keyspace(name, ::fjall::KeyspaceCreateOptions::default);
        let tables = Tables {
            values: keyspace("values")?,
            expiries: keyspace("expiries")?,
            meta: keyspace("meta")?,
            database: database.clone(),
        };
        if is_new {
            let mut batch = database.batch().durability(Some(PersistMode::SyncAll));
            batch.insert(&tables.meta, FORMAT.0, FORMAT.1.to_le_bytes());
            batch.commit()?;
        }
        match tables.number(FORMAT.0)? {
            format if format == FORMAT.1 => {}
            format => return Ok(Err(format)),
        }
        let mark = tables.number(MARK)?;
        Ok(Ok((tables, mark)))
    }

    fn number(&self, name: &str) -> Result<u64, Error> {
        let number = self.meta.get(name)?;
        let number = number.and_then(|number| number[..].try_into().ok());
        Ok(number.map_or(0, u64::from_le_bytes))
    }

    /// Rows of the expiry index from `swept` on that are due at `now`, at most [`SWEEP_ROWS_MAX`].
    pub(super) fn due(&self, swept: u64, now: u64) -> Result<Vec<Vec<u8>>, Error> {
        let from = envelope::encode_expiry(swept, &[]);
        let until = envelope::encode_expiry(now.saturating_add(1), &[]);
        let mut due = Vec::new();
        if from < until {
            for row in self.expiries.range(from..until).take(SWEEP_ROWS_MAX) {
                due.push(row.key()?.to_vec());
            }
        }
        Ok(due)
    }
}

fn stored(key: &[u8]) -> Vec<u8> {
    [&[PREFIX], key].concat()
}

/// What a reader sees: everything up to one batch.
pub(super) struct View<'t> {
    tables: &'t Tables,
    snapshot: Snapshot,
}

impl<'t> View<'t> {
    pub(super) fn new(tables: &'t Tables) -> View<'t> {
        let snapshot = tables.database.snapshot();
        View { tables, snapshot }
    }

    fn range(&self, from: &[u8], until: Option<&[u8]>) -> Iter {
        let until = until.map_or(Bound::Unbounded, |until| Bound::Excluded(stored(until)));
        let range = (Bound::Included(stored(from)), until);
        self.snapshot.range(&self.tables.values, range)
    }
}

impl Rows for View<'_> {
    type Error = Error;

    fn look<T>(&self, key: &[u8], look: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Error> {
        let row = self.snapshot.get(&self.tables.values, stored(key))?;
        Ok(row.map(|row| look(&row)))
    }

    fn visit(
        &self,
        from: &[u8],
        until: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Error> {
        if until.is_some_and(|until| until <= from) {
            return Ok(());
        }
        for row in self.range(from, until) {
            let (key, row) = row.into_inner()?;
            if !visit(&key[1..], &row) {
                break;
            }
        }
        Ok(())
    }
}

/// What the writer sees, its own writes included.
pub(super) struct Changes<'t> {
    view: View<'t>,
    /// By key; `None` is removed.
    values: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// By row; whether it is there.
    expiries: BTreeMap<Vec<u8>, bool>,
    mark: Option<u64>,
    revisions: Revisions,
    buffer: &'t mut Vec<u8>,
}

impl<'t> Changes<'t> {
    pub(super) fn new(
        tables: &'t Tables,
        revisions: Revisions,
        buffer: &'t mut Vec<u8>,
    ) -> Changes<'t> {
        Changes {
            view: View::new(tables),
            values: BTreeMap::new(),
            expiries: BTreeMap::new(),
            mark: None,
            revisions,
            buffer,
        }
    }

    /// Whether there is anything to commit.
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty() && self.expiries.is_empty()
    }

    /// What is to be known of revisions after a commit.
    pub(super) fn revisions(&self) -> Revisions {
        self.revisions
    }

    /// Writes everything as one batch of the engine, and waits until it is durable.
    pub(super) fn commit(self, durability: Option<PersistMode>) -> Result<(), Error> {
        let tables = self.view.tables;
        let mut batch = tables.database.batch().durability(durability);
        for (key, row) in self.values {
            match row {
                Some(row) => batch.insert(&tables.values, stored(&key), row),
                None => batch.remove(&tables.values, stored(&key)),
            }
        }
        for (row, is_there) in self.expiries {
            match is_there {
                true => batch.insert(&tables.expiries, row, []),
                false => batch.remove(&tables.expiries, row),
            }
        }
        if let Some(mark) = self.mark {
            batch.insert(&tables.meta, MARK, mark.to_le_bytes());
        }
        batch.commit()
    }
}

impl Rows for Changes<'_> {
    type Error = Error;

    fn look<T>(&self, key: &[u8], look: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Error> {
        match self.values.get(key) {
            Some(changed) => Ok(changed.as_deref().map(look)),
            None => self.view.look(key, look),
        }
    }

    fn visit(
        &self,
        from: &[u8],
        until: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Error> {
        if until.is_some_and(|until| until <= from) {
            return Ok(());
        }
        let end = until.map_or(Bound::Unbounded, Bound::Excluded);
        let range = (Bound::Included(from), end);
        let mut changed = self.values.range::<[u8], _>(range).peekable();
        for row in self.view.range(from, until) {
            let (key, row) = row.into_inner()?;
            let key = &key[1..];
            let mut is_replaced = false;
            while let Some((own, change)) = changed.peek() {
                match own[..].cmp(key) {
                    Ordering::Greater => break,
                    order => is_replaced |= order == Ordering::Equal,
                }
                if change.as_ref().is_some_and(|row| !visit(own, row)) {
                    return Ok(());
                }
                changed.next();
            }
            if !is_replaced && !visit(key, &row) {
                return Ok(());
            }
        }
        for (key, change) in changed {
            if change.as_ref().is_some_and(|row| !visit(key, row)) {
                break;
            }
        }
        Ok(())
    }
}

impl RowsMut for Changes<'_> {
    fn replace(&mut self, key: &[u8], row: &[u8]) -> Result<Option<Before>, Error> {
        let before = self.look(key, |row| Before::of(key, row))?;
        self.values.insert(key.to_vec(), Some(row.to_vec()));
        Ok(before)
    }

    fn remove(&mut self, key: &[u8]) -> Result<Option<Before>, Error> {
        let before = self.look(key, |row| Before::of(key, row))?;
        if before.is_some() {
            self.values.insert(key.to_vec(), None);
        }
        Ok(before)
    }

    fn index(&mut self, expires: u64, key: &[u8]) -> Result<(), Error> {
        let row = envelope::encode_expiry(expires, key);
        self.expiries.insert(row, true);
        Ok(())
    }

    fn unindex(&mut self, expires: u64, key: &[u8]) -> Result<(), Error> {
        let row = envelope::encode_expiry(expires, key);
        self.expiries.insert(row, false);
        Ok(())
    }

    fn revision(&mut self) -> Result<Revision, Error> {
        let (revision, mark) = self.revisions.take();
        self.mark = mark.or(self.mark);
        Ok(revision)
    }

    fn buffer(&mut self) -> &mut Vec<u8> {
        self.buffer
    }
}
