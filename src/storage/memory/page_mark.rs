//! What a page gives as `next`: how far the scan has come, and where it began.
//!
//! ```text
//!   tag (16) | shard (2) | slot (4) | the least key that is meant
//! ```
//!
//! The tag is random and other in each store, so no key is mistaken for a mark. Who makes one up gets
//! no more than he could ask for.

use bytes::{Buf, Bytes};

/// Octets of a mark before the key.
const HEAD: usize = 22;

/// How far a scan has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PageMark {
    pub(super) shard: u16,
    pub(super) slot: u32,
    /// The least key that is meant.
    pub(super) from: Bytes,
}

impl PageMark {
    /// The beginning of a scan, or what it gave as a mark.
    pub(super) fn read(from: &Bytes, tag: &[u8; 16]) -> PageMark {
        if from.len() < HEAD || !from.starts_with(tag) {
            return PageMark {
                shard: 0,
                slot: 0,
                from: from.clone(),
            };
        }
        let mut rest = from.slice(tag.len()..);
        PageMark {
            shard: rest.get_u16(),
            slot: rest.get_u32(),
            from: rest,
        }
    }

    pub(super) fn write(&self, tag: &[u8; 16]) -> Bytes {
        let mut mark = Vec::with_capacity(HEAD + self.from.len());
        mark.extend_from_slice(tag);
        mark.extend_from_slice(&self.shard.to_be_bytes());
        mark.extend_from_slice(&self.slot.to_be_bytes());
        mark.extend_from_slice(&self.from);
        mark.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_a_key_is_none() {
        let tag = [9; 16];
        let key = Bytes::from_static(b"a key of more than twenty-two octets");
        let begin = PageMark::read(&key, &tag);
        assert_eq!((begin.shard, begin.slot, &begin.from), (0, 0, &key));
        let mark = PageMark {
            shard: 3,
            slot: 70_000,
            from: key,
        };
        assert_eq!(PageMark::read(&mark.write(&tag), &tag), mark);
    }
}
