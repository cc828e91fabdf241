//! A key with its value as one piece of bytes, and what the allocator spends on it.
//!
//! They are copied, because the caller's bytes may be a few of a large buffer, which they would keep
//! from being freed, and no limit would know. [`Bytes`] are shared with those that read them, so
//! somewhere their owners are counted. In a small piece the count stands before the octets, in one
//! allocation, whose size is rounded as the allocator would round it; a large piece has a count of
//! its own, made at once, so that no read has to allocate.

use bytes::Bytes;

/// Sizes of small pieces go in steps of what allocators round to.
const STEP: usize = 16;

/// Makes one piece of a key and a value.
type Pack = fn(&[u8], &[u8]) -> Bytes;

/// Makes small pieces, by their size in steps.
const SMALL: [Pack; 17] = [
    small::<0>,
    small::<16>,
    small::<32>,
    small::<48>,
    small::<64>,
    small::<80>,
    small::<96>,
    small::<112>,
    small::<128>,
    small::<144>,
    small::<160>,
    small::<176>,
    small::<192>,
    small::<208>,
    small::<224>,
    small::<240>,
    small::<256>,
];

/// `key` and then `value`.
#[inline]
pub(super) fn packed(key: &[u8], value: &[u8]) -> Bytes {
    let steps = (key.len() + value.len()).div_ceil(STEP);
    match SMALL.get(steps) {
        Some(small) => small(key, value),
        None => large(key, value),
    }
}

/// What the allocator spends on `len` octets that were packed.
#[inline]
pub(super) fn charge(len: usize) -> usize {
    // A header of 8 octets, in steps of 16, and 32 at least.
    let allocated = |bytes: usize| (bytes + 8).next_multiple_of(STEP).max(32);
    let steps = len.div_ceil(STEP);
    match steps < SMALL.len() {
        true => allocated(8 + steps * STEP),
        false => allocated(len + 1) + allocated(24),
    }
}

fn small<const SIZE: usize>(key: &[u8], value: &[u8]) -> Bytes {
    let mut octets = [0; SIZE];
    let (first, rest) = octets.split_at_mut(key.len());
    first.copy_from_slice(key);
    rest[..value.len()].copy_from_slice(value);
    let mut packed = Bytes::from_owner(octets);
    packed.truncate(key.len() + value.len());
    packed
}

fn large(key: &[u8], value: &[u8]) -> Bytes {
    // With an octet more than needed, `Bytes` makes its count now, and not when it is first shared.
    let mut octets = Vec::with_capacity(key.len() + value.len() + 1);
    octets.extend_from_slice(key);
    octets.extend_from_slice(value);
    Bytes::from(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_a_value_of_any_length_are_packed_as_they_are() {
        let octets: Vec<u8> = (0..=255).cycle().take(600).collect();
        for len in 0..600 {
            for key_len in [0, 1, len / 2, len].into_iter().filter(|key| *key <= len) {
                let (key, value) = octets[..len].split_at(key_len);
                assert_eq!(packed(key, value), octets[..len], "{key_len} of {len}");
            }
        }
    }
}
