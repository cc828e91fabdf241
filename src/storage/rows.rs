//! What the embedded engines have in common: operations on rows of two ordered tables.
//!
//! An engine gives [`Rows`] and [`RowsMut`] for one transaction; conditions, revisions, expiry and
//! pages are here, once. The rows are [envelopes](super::envelope).
//!
//! Invariant: a value that expires has its row in the expiry index, written in the same transaction.
//! The index may name what is not so any more: it is compared with the value before that is removed.

use bytes::Bytes;

use super::envelope::{self, Header};
use super::fault::Fault;
use super::operation::{Condition, Entry, Operation, Page, Reply, Revision, Written};
use crate::time::Span;

/// Rows that one page looks at, at most: no transaction stays open for long.
pub(super) const PAGE_ROWS_MAX: usize = 1024;
/// After so many bytes of keys and values a page ends.
const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Values that one call of maintain removes, at most.
pub(super) const SWEEP_ROWS_MAX: usize = 512;
/// Revisions are reserved in the file by so many: one write in a million carries the mark.
const RESERVED: u64 = 1 << 20;

/// Why an operation was not done.
pub(super) enum Stop<E> {
    /// It concerns this operation.
    Fault(Fault),
    /// The engine failed.
    Engine(E),
}

impl<E> From<E> for Stop<E> {
    fn from(error: E) -> Stop<E> {
        Stop::Engine(error)
    }
}

/// The values, as one transaction sees them.
pub(super) trait Rows {
    type Error;

    /// Looks at the row of `key`, if there is one.
    fn look<T>(&self, key: &[u8], look: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Self::Error>;

    /// Visits keys and rows from `from` on and before `until`, in order, until `visit` says no.
    fn visit(
        &self,
        from: &[u8],
        until: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Self::Error>;
}

/// What was there before a write.
#[derive(Clone, Copy, Default)]
pub(super) struct Before {
    /// When it expires, if it does.
    expires: Option<u64>,
}

impl Before {
    /// What `row` says of itself.
    pub(super) fn of(key: &[u8], row: &[u8]) -> Before {
        Before {
            expires: envelope::expiry(key, row),
        }
    }
}

/// The values and the expiry index, as one transaction writes them.
pub(super) trait RowsMut: Rows {
    /// Writes the row of `key`; what was there.
    fn replace(&mut self, key: &[u8], row: &[u8]) -> Result<Option<Before>, Self::Error>;

    /// Removes the row of `key`; what was there.
    fn remove(&mut self, key: &[u8]) -> Result<Option<Before>, Self::Error>;

    /// Adds a row to the expiry index.
    fn index(&mut self, expires: u64, key: &[u8]) -> Result<(), Self::Error>;

    /// Removes a row from the expiry index, if it is there.
    fn unindex(&mut self, expires: u64, key: &[u8]) -> Result<(), Self::Error>;

    /// A revision that no value has had.
    fn revision(&mut self) -> Result<Revision, Self::Error>;

    /// A buffer to encode rows in.
    fn buffer(&mut self) -> &mut Vec<u8>;
}

/// Where revisions come from. They grow through all the life of a store.
///
/// Invariant: those below `reserved` were given out, or are kept for this process: the mark in the file
/// is at least `reserved` once a transaction that took any of them is committed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Revisions {
    next: u64,
    reserved: u64,
}

impl Revisions {
    /// After opening a store whose mark is `mark`.
    pub(super) fn from_mark(mark: u64) -> Revisions {
        let next = mark.max(1);
        Revisions {
            next,
            reserved: next,
        }
    }

    /// The next one, and the mark to be written along with it, if it must be raised.
    pub(super) fn take(&mut self) -> (Revision, Option<u64>) {
        let revision = Revision::new(self.next).expect("counts from one up");
        self.next += 1;
        if revision.get() < self.reserved {
            return (revision, None);
        }
        self.reserved = revision.get().saturating_add(RESERVED);
        (revision, Some(self.reserved))
    }

    /// Takes over from a transaction that has ended; its mark counts only if it `is_committed`.
    pub(super) fn settle(&mut self, ended: Revisions, is_committed: bool) {
        self.next = self.next.max(ended.next);
        if is_committed {
            self.reserved = self.reserved.max(ended.reserved);
        }
    }
}

/// Does one operation that reads, at `now` in milliseconds since 1970.
pub(super) fn read<R: Rows>(
    rows: &R,
    operation: &Operation,
    now: u64,
) -> Result<Reply, Stop<R::Error>> {
    match operation {
        Operation::Get { key } => {
            let found = rows.look(key, |row| entry(key, row, true))?.transpose();
            let entry = found.map_err(|_| Stop::Fault(Fault::Corrupt))?;
            Ok(Reply::Got(entry.filter(|entry| !is_expired(entry, now))))
        }
        Operation::Scan {
            from,
            until,
            limit,
            keys_only,
        } => {
            let limit = usize::try_from(*limit).unwrap_or(PAGE_ROWS_MAX);
            page(rows, from, until.as_deref(), limit, !keys_only, now)
        }
        Operation::Put { .. } | Operation::Delete { .. } | Operation::Touch { .. } => {
            Err(Stop::Fault(Fault::Refused("this session only reads")))
        }
    }
}

/// Does one operation of any kind, at `now` in milliseconds since 1970.
pub(super) fn write<R: RowsMut>(
    rows: &mut R,
    operation: &Operation,
    now: u64,
) -> Result<Reply, Stop<R::Error>> {
    match operation {
        Operation::Put {
            key,
            value,
            ttl,
            condition,
        } => put(rows, key, value, *ttl, *condition, now),
        Operation::Delete { key, condition } => delete(rows, key, *condition, now),
        Operation::Touch { key, ttl } => touch(rows, key, *ttl, now),
        Operation::Get { .. } | Operation::Scan { .. } => read(rows, operation, now),
    }
}

fn put<R: RowsMut>(
    rows: &mut R,
    key: &Bytes,
    value: &[u8],
    ttl: Option<Span>,
    condition: Condition,
    now: u64,
) -> Result<Reply, Stop<R::Error>> {
    if let Some(conflict) = conflict(rows, key, condition, now)? {
        return Ok(conflict);
    }
    store(rows, key, value, ttl, now)
}

/// Writes `value` whatever is there, with a new revision.
fn store<R: RowsMut>(
    rows: &mut R,
    key: &[u8],
    value: &[u8],
    ttl: Option<Span>,
    now: u64,
) -> Result<Reply, Stop<R::Error>> {
    let revision = rows.revision()?;
    let expires = ttl.map(|ttl| now.saturating_add(ttl.as_millis()).max(1));
    let mut row = std::mem::take(rows.buffer());
    envelope::encode(&mut row, key, Header { revision, expires }, value);
    let before = rows.replace(key, &row);
    *rows.buffer() = row;
    let before = before?;
    let expired = before.and_then(|before| before.expires);
    if expired != expires {
        if let Some(expires) = expired {
            rows.unindex(expires, key)?;
        }
        if let Some(expires) = expires {
            rows.index(expires, key)?;
        }
    }
    let replaced = before.is_some() && expired.is_none_or(|expires| expires > now);
    Ok(Reply::Written(Written { revision, replaced }))
}

fn delete<R: RowsMut>(
    rows: &mut R,
    key: &[u8],
    condition: Condition,
    now: u64,
) -> Result<Reply, Stop<R::Error>> {
    if let Some(conflict) = conflict(rows, key, condition, now)? {
        return Ok(conflict);
    }
    let before = rows.remove(key)?;
    let expired = before.and_then(|before| before.expires);
    if let Some(expires) = expired {
        rows.unindex(expires, key)?;
    }
    let was_there = before.is_some() && expired.is_none_or(|expires| expires > now);
    Ok(Reply::Deleted(was_there))
}

fn touch<R: RowsMut>(
    rows: &mut R,
    key: &[u8],
    ttl: Option<Span>,
    now: u64,
) -> Result<Reply, Stop<R::Error>> {
    let found = rows.look(key, |row| {
        envelope::decode(key, row).map(|(header, value)| (header, value.to_vec()))
    })?;
    match found {
        Some(Err(_)) => Err(Stop::Fault(Fault::Corrupt)),
        Some(Ok((header, value))) if !header.is_expired(now) => store(rows, key, &value, ttl, now),
        Some(Ok(_)) | None => Ok(Reply::Conflict(None)),
    }
}

/// The conflict that keeps a write with `condition` from being done, if there is one.
fn conflict<R: Rows>(
    rows: &R,
    key: &[u8],
    condition: Condition,
    now: u64,
) -> Result<Option<Reply>, Stop<R::Error>> {
    if condition == Condition::Any {
        return Ok(None); // what is there need not be read: it is replaced even if it is damaged
    }
    let found = rows.look(key, |row| envelope::decode(key, row).map(|found| found.0))?;
    let header = found
        .transpose()
        .map_err(|_| Stop::Fault(Fault::Corrupt))?
        .filter(|header| !header.is_expired(now));
    let present = header.map(|header| header.revision);
    Ok((!condition.holds(present)).then_some(Reply::Conflict(present)))
}

/// One page. A damaged row ends it, so that the next begins there, and then is all there is to say:
/// who scans knows which key it is and can go on after it.
fn page<R: Rows>(
    rows: &R,
    from: &Bytes,
    until: Option<&[u8]>,
    limit: usize,
    with_values: bool,
    now: u64,
) -> Result<Reply, Stop<R::Error>> {
    let mut page = Page {
        entries: Vec::new(),
        next: None,
    };
    let (mut seen, mut bytes, mut is_corrupt) = (0, 0, false);
    rows.visit(from, until, &mut |key, row| {
        let is_full = page.entries.len() >= limit || bytes >= PAGE_BYTES_MAX;
        if is_full || seen >= PAGE_ROWS_MAX {
            page.next = Some(Bytes::copy_from_slice(key));
            return false;
        }
        seen += 1;
        match entry(key, row, with_values) {
            Ok(entry) if is_expired(&entry, now) => true,
            Ok(entry) => {
                bytes += entry.key.len() + entry.value.len();
                page.entries.push(entry);
                true
            }
            Err(_) => {
                is_corrupt = seen == 1;
                page.next = Some(Bytes::copy_from_slice(key));
                false
            }
        }
    })?;
    match is_corrupt {
        true => Err(Stop::Fault(Fault::Corrupt)),
        false => Ok(Reply::Page(page)),
    }
}

fn entry(key: &[u8], row: &[u8], with_value: bool) -> Result<Entry, envelope::Damaged> {
    let (header, value) = envelope::decode(key, row)?;
    let value = if with_value { value } else { &[] };
    Ok(Entry {
        key: Bytes::copy_from_slice(key),
        value: Bytes::copy_from_slice(value),
        revision: header.revision,
        expires: header.expires,
    })
}

fn is_expired(entry: &Entry, now: u64) -> bool {
    entry.expires.is_some_and(|expires| expires <= now)
}

/// Removes what the rows `due` of the expiry index name, where the values say the same. A damaged
/// value stays: it is to be seen as damage.
pub(super) fn sweep<R: RowsMut>(rows: &mut R, due: &[Vec<u8>]) -> Result<(), R::Error> {
    for row in due {
        let Some((expires, key)) = envelope::decode_expiry(row) else {
            continue;
        };
        let found = rows.look(key, |row| envelope::expiry(key, row))?;
        if found == Some(Some(expires)) {
            rows.remove(key)?;
        }
        rows.unindex(expires, key)?;
    }
    Ok(())
}
