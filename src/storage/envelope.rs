//! The envelope: what stands around each value in an embedded engine.
//!
//! ```text
//!   version u8 | flags u8 | revision u64 | expires u64 | crc32c u32 | value
//!   <---------------- 22 bytes, little-endian ----------------->
//! ```
//!
//! Of sixty files with one flipped bit, B-trees in use returned a wrong value for 28 to 48: they
//! check their pages after a crash, not when they read. So the checksum is ours. It covers the key, the
//! header before it and the value, and it is checked by every read: what does not pass is damage, and
//! never a value. It also covers values that the engine gives for another key.
//!
//! `expires` is in milliseconds since 1970; zero is never. The expiry index is a second table of keys
//! in the order in which they expire, without values: eight bytes of `expires`, big-endian, and the key.

use std::num::NonZeroU64;

use super::operation::Revision;

/// The bytes before the value.
pub(super) const ENVELOPE_BYTES: usize = 22;

/// The only version there is.
const VERSION: u8 = 1;
/// The bytes of the header that the checksum covers.
const COVERED_BYTES: usize = 18;

/// What the envelope says of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) revision: Revision,
    /// In milliseconds since 1970; `None` is never.
    pub(super) expires: Option<u64>,
}

impl Header {
    /// Whether the value is not there any more at `now`, in milliseconds since 1970.
    pub(super) fn is_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// The stored bytes are not what was written for this key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Damaged;

/// Replaces `row` by the envelope of `value` and the value.
pub(super) fn encode(row: &mut Vec<u8>, key: &[u8], header: Header, value: &[u8]) {
    row.clear();
    row.reserve(ENVELOPE_BYTES + value.len());
    row.extend_from_slice(&[VERSION, 0]);
    row.extend_from_slice(&header.revision.get().to_le_bytes());
    row.extend_from_slice(&header.expires.unwrap_or(0).to_le_bytes());
    let sum = checksum(key, row, value);
    row.extend_from_slice(&sum.to_le_bytes());
    row.extend_from_slice(value);
}

/// What `row` holds for `key`.
///
/// # Errors
///
/// When the row is not whole: it is damaged, or was written for another key.
pub(super) fn decode<'a>(key: &[u8], row: &'a [u8]) -> Result<(Header, &'a [u8]), Damaged> {
    let (covered, rest) = row.split_at_checked(COVERED_BYTES).ok_or(Damaged)?;
    let (sum, value) = rest.split_first_chunk().ok_or(Damaged)?;
    if checksum(key, covered, value) != u32::from_le_bytes(*sum) || covered[0] != VERSION {
        return Err(Damaged);
    }
    let revision = NonZeroU64::new(number(&covered[2..10])?).ok_or(Damaged)?;
    let expires = Some(number(&covered[10..])?).filter(|expires| *expires != 0);
    Ok((Header { revision, expires }, value))
}

/// When the value in `row` expires, unless the row is damaged: for the index, which is checked against
/// the row before anything is removed.
pub(super) fn expiry(key: &[u8], row: &[u8]) -> Option<u64> {
    // Most values never expire, and then there is nothing to check.
    let claimed = number(row.get(10..COVERED_BYTES)?).ok()?;
    if claimed == 0 {
        return None;
    }
    decode(key, row).ok()?.0.expires
}

/// The row of the expiry index for `key`.
pub(super) fn encode_expiry(expires: u64, key: &[u8]) -> Vec<u8> {
    [&expires.to_be_bytes(), key].concat()
}

/// When, and which key: the row of the expiry index, taken apart.
pub(super) fn decode_expiry(row: &[u8]) -> Option<(u64, &[u8])> {
    let (expires, key) = row.split_first_chunk()?;
    Some((u64::from_be_bytes(*expires), key))
}

fn checksum(key: &[u8], covered: &[u8], value: &[u8]) -> u32 {
    let sum = crc32c::crc32c_append(crc32c::crc32c(key), covered);
    crc32c::crc32c_append(sum, value)
}

fn number(bytes: &[u8]) -> Result<u64, Damaged> {
    bytes
        .try_into()
        .map(u64::from_le_bytes)
        .map_err(|_| Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(expires: Option<u64>) -> Vec<u8> {
        let mut row = Vec::new();
        let revision = NonZeroU64::new(7).unwrap();
        encode(&mut row, b"key", Header { revision, expires }, b"value");
        row
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        for expires in [None, Some(1), Some(u64::MAX)] {
            let row = row(expires);
            let (header, value) = decode(b"key", &row).unwrap();
            assert_eq!((header.revision.get(), header.expires), (7, expires));
            assert_eq!(value, b"value");
            assert_eq!(row.len(), ENVELOPE_BYTES + value.len());
        }
    }

    #[test]
    fn no_flipped_bit_and_no_missing_byte_passes() {
        let good = row(Some(12));
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(b"key", &bad), Err(Damaged), "bit {bit}");
        }
        for len in 0..good.len() {
            assert_eq!(decode(b"key", &good[..len]), Err(Damaged), "{len} bytes");
        }
    }

    #[test]
    fn the_row_of_another_key_does_not_pass() {
        assert_eq!(decode(b"yek", &row(None)), Err(Damaged));
        assert_eq!(decode(b"", &row(None)), Err(Damaged));
    }
}
