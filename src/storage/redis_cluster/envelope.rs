//! How a value is stored: as a string with a head.
//!
//! ```text
//!   version 1 | revision 8 | expires 8, ms since 1970, 0 for never | CRC32C of key and value 4 | value
//! ```
//!
//! A get is one `GET`, a put one `SET` inside a script, and a touch rewrites 16 octets in place.

use bytes::Bytes;

use crate::storage::{Entry, Fault, Revision};

const VERSION: u8 = 1;

/// The octets before the value.
pub(super) const HEAD: usize = 21;

/// The checksum of a value, as it stands in the envelope.
pub(super) fn checksum(key: &[u8], value: &[u8]) -> [u8; 4] {
    let crc = crc32c::crc32c_append(crc32c::crc32c(key), value);
    crc.to_be_bytes()
}

/// What is stored, opened.
pub(super) fn open(key: &Bytes, stored: Vec<u8>) -> Result<Entry, Fault> {
    let (mut entry, sum) = open_head(key, &stored)?;
    entry.value = Bytes::from(stored).slice(HEAD..);
    match sum == checksum(key, &entry.value) {
        true => Ok(entry),
        false => Err(Fault::Corrupt),
    }
}

/// The head of what is stored, with the checksum that it has; the value is left empty.
pub(super) fn open_head(key: &Bytes, stored: &[u8]) -> Result<(Entry, [u8; 4]), Fault> {
    let fields = || {
        let (version, rest) = stored.split_first()?;
        let (revision, rest) = rest.split_first_chunk::<8>()?;
        let (expires, rest) = rest.split_first_chunk()?;
        let (sum, _) = rest.split_first_chunk()?;
        let revision = revision_of(revision)?;
        (*version == VERSION).then_some((revision, u64::from_be_bytes(*expires), *sum))
    };
    let (revision, expires, sum) = fields().ok_or(Fault::Corrupt)?;
    let entry = Entry {
        key: key.clone(),
        value: Bytes::new(),
        revision,
        expires: (expires > 0).then_some(expires),
    };
    Ok((entry, sum))
}

/// A revision of 8 octets.
pub(super) fn revision_of(octets: &[u8]) -> Option<Revision> {
    let octets = octets.try_into().ok()?;
    Revision::new(u64::from_be_bytes(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(key: &[u8], value: &[u8]) -> Vec<u8> {
        let (revision, expires) = (7_u64.to_be_bytes(), 9_u64.to_be_bytes());
        [&[1], &revision[..], &expires, &checksum(key, value), value].concat()
    }

    #[test]
    fn a_stored_value_opens_to_what_it_was() {
        let key = Bytes::from("key");
        let entry = open(&key, stored(b"key", b"value")).unwrap();
        assert_eq!((entry.revision.get(), entry.expires), (7, Some(9)));
        assert_eq!((entry.key, &entry.value[..]), (key, &b"value"[..]));
    }

    #[test]
    fn no_flipped_bit_and_no_cut_of_key_or_value_is_ever_a_value() {
        let key = Bytes::from("key");
        let whole = stored(b"key", b"value");
        for len in 0..whole.len() {
            assert_eq!(open(&key, whole[..len].to_vec()), Err(Fault::Corrupt));
        }
        for bit in (0..8).chain(17 * 8..whole.len() * 8) {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&key, flipped), Err(Fault::Corrupt), "bit {bit}");
        }
        let other = Bytes::from("kez");
        assert_eq!(open(&other, whole), Err(Fault::Corrupt), "another's value");
    }
}
