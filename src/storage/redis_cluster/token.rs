//! Where the next page of a scan begins: all that a scan has to remember.
//!
//! A scan goes round the slots once, from the slot of its first key on, and in each slot in the order
//! of the keys. So a place in it is a slot and a key, whatever was written meanwhile and wherever the
//! slot is served.
//!
//! ```text
//!   mark 4 | slot where it began 2 | slots done 2 | keys of the next one are done up to: length 4, key
//!          | the first key that was asked for | CRC32C 4
//! ```

use bytes::Bytes;

use super::slot_map::{SLOTS, slot_of};

/// No text begins so.
const MARK: [u8; 4] = [0xff, b't', b'p', 1];

/// A place in a scan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// The slot where the scan began.
    pub first: u16,
    /// How many slots are done; below [`SLOTS`].
    pub done: u16,
    /// The last key that was seen of the next slot, if any was.
    pub after: Option<Bytes>,
    /// The least key that is meant.
    pub from: Bytes,
}

impl Place {
    /// Where a scan with this `from` goes on, or begins if that is a key.
    pub fn of(from: &Bytes) -> Place {
        Place::read(from).unwrap_or_else(|| Place {
            first: slot_of(from),
            done: 0,
            after: None,
            from: from.clone(),
        })
    }

    /// The slot that comes next.
    pub fn slot(&self) -> u16 {
        (self.first + self.done) % SLOTS
    }

    /// The place behind the slots of this one before `slot`, or `None` at the end of the scan. `slot`
    /// is not before that of this place, and may be [`SLOTS`].
    pub fn behind(&self, slot: u16) -> Option<Place> {
        let done = self.done + (slot - self.slot());
        (done < SLOTS).then(|| Place {
            done,
            after: None,
            ..self.clone()
        })
    }

    fn read(token: &Bytes) -> Option<Place> {
        let (body, sum) = token.split_last_chunk()?;
        let (mark, rest) = body.split_first_chunk()?;
        if *mark != MARK || *sum != crc32c::crc32c(body).to_be_bytes() {
            return None;
        }
        let (first, rest) = rest.split_first_chunk()?;
        let (done, rest) = rest.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (first, done) = (u16::from_be_bytes(*first), u16::from_be_bytes(*done));
        let (after, from) = match u32::from_be_bytes(*len) {
            NO_KEY => (None, rest),
            len => rest
                .split_at_checked(len as usize)
                .map(|(after, from)| (Some(after), from))?,
        };
        (first < SLOTS && done < SLOTS).then(|| Place {
            first,
            done,
            after: after.map(|key| token.slice_ref(key)),
            from: token.slice_ref(from),
        })
    }

    /// What [`Place::of`] reads.
    pub fn token(&self) -> Bytes {
        let after = self.after.as_deref();
        let len = after.map_or(NO_KEY, |key| key.len() as u32); // keys are shorter by far
        let mut token = MARK.to_vec();
        token.extend(self.first.to_be_bytes());
        token.extend(self.done.to_be_bytes());
        token.extend(len.to_be_bytes());
        token.extend_from_slice(after.unwrap_or_default());
        token.extend_from_slice(&self.from);
        token.extend(crc32c::crc32c(&token).to_be_bytes());
        token.into()
    }
}

/// In the place of a length.
const NO_KEY: u32 = u32::MAX;

/// The slot of a key, or that at which a page begins: the one function by which lanes are chosen.
pub(super) fn slot_of_key_or_token(octets: &[u8]) -> u16 {
    match octets.starts_with(&MARK) {
        true => Place::of(&Bytes::copy_from_slice(octets)).slot(),
        false => slot_of(octets),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(after: Option<&'static str>) -> Place {
        Place {
            first: 16_000,
            done: 500,
            after: after.map(Bytes::from),
            from: Bytes::from("from"),
        }
    }

    #[test]
    fn a_token_is_read_as_it_was_written() {
        for after in [None, Some(""), Some("key")] {
            let place = place(after);
            let token = place.token();
            assert_eq!(Place::of(&token), place);
            assert_eq!(slot_of_key_or_token(&token), 116);
        }
    }

    #[test]
    fn what_is_no_token_is_a_key() {
        let token = place(Some("key")).token();
        for len in 0..token.len() {
            let cut = token.slice(..len);
            assert_eq!(Place::of(&cut).from, cut, "{len} octets of it");
        }
        for bit in 0..token.len() * 8 {
            let mut flipped = token.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let flipped = Bytes::from(flipped);
            assert_eq!(Place::of(&flipped).from, flipped, "bit {bit}");
            assert_eq!(slot_of_key_or_token(&flipped), slot_of(&flipped));
        }
    }

    #[test]
    fn a_scan_goes_round_the_slots_once() {
        let begun = Place {
            done: 0,
            ..place(None)
        };
        let turned = begun.behind(SLOTS).unwrap();
        assert_eq!((turned.slot(), turned.done), (0, 384));
        let nearly = turned.behind(15_999).unwrap();
        assert_eq!((nearly.slot(), nearly.done), (15_999, SLOTS - 1));
        assert_eq!(nearly.behind(16_000), None);
    }
}
