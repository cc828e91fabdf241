//! The grammar of single octets, by a table: the portable path beside the
//! [block classifier](super::block), and what that leaves over.
//!
//! The classes of RFC 9110 and RFC 3986 that a field name, a target or a host need are bits of one
//! table. Runs are looked for by blocks where whole blocks are at hand, and octet by octet behind
//! the last one.

use super::block::{self, BLOCK};

/// `tchar` (RFC 9110, 5.6.2).
const TOKEN: u8 = 1;
/// What a request target may consist of: visible ASCII without `#`, which ends a URI before its
/// fragment and is never sent (RFC 9112, 3.2).
const TARGET: u8 = 2;
/// `unreserved / sub-delims` (RFC 3986, 2): a registered name but for percent-encoding.
const HOST: u8 = 4;

const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut octet = 0x21;
    while octet < 0x7f {
        if octet != b'#' {
            table[octet as usize] |= TARGET;
        }
        if octet.is_ascii_alphanumeric() {
            table[octet as usize] |= TOKEN | HOST;
        }
        octet += 1;
    }
    mark(
        mark(table, b"!#$%&'*+-.^_`|~", TOKEN),
        b"-._~!$&'()*+,;=",
        HOST,
    )
}

const fn mark(mut table: [u8; 256], octets: &[u8], class: u8) -> [u8; 256] {
    let mut index = 0;
    while index < octets.len() {
        table[octets[index] as usize] |= class;
        index += 1;
    }
    table
}

/// The length of the token in front of `octets`, 0 if there is none.
#[inline(never)]
pub(super) fn token_len(octets: &[u8]) -> usize {
    run_len(octets, TOKEN)
}

/// Whether `octets` are a token: not empty, and nothing else.
pub(super) fn is_token(octets: &[u8]) -> bool {
    !octets.is_empty() && token_len(octets) == octets.len()
}

/// The length of the request target in front of `octets`, as far as single octets tell.
pub(super) fn target_len(octets: &[u8]) -> usize {
    block::target_len(octets).unwrap_or_else(|| {
        let done = whole_blocks(octets);
        done + run_len(&octets[done..], TARGET)
    })
}

/// The length of the registered name in front of `octets`, without percent-encoded octets.
pub(super) fn host_len(octets: &[u8]) -> usize {
    run_len(octets, HOST)
}

/// How many octets fill whole blocks.
fn whole_blocks(octets: &[u8]) -> usize {
    octets.len() / BLOCK * BLOCK
}

/// How many octets in front are of the class.
#[inline(always)]
fn run_len(octets: &[u8], class: u8) -> usize {
    let other = |&octet: &u8| CLASSES[octet as usize] & class == 0;
    octets.iter().position(other).unwrap_or(octets.len())
}

/// Whether `octet` is optional white space (RFC 9110, 5.6.3).
#[inline]
pub(super) fn is_blank(octet: u8) -> bool {
    octet == b' ' || octet == b'\t'
}

/// `octets` without white space at both ends.
pub(super) fn trim(octets: &[u8]) -> &[u8] {
    let start = octets.iter().position(|&o| !is_blank(o));
    let end = octets.iter().rposition(|&o| !is_blank(o));
    match (start, end) {
        (Some(start), Some(last)) => &octets[start..=last],
        _ => &[],
    }
}

/// The number that `digits` write, if they are digits and at least one, and it is below 2^64.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    let append = |number: u64, &octet: &u8| {
        let digit = octet.wrapping_sub(b'0');
        let shifted = number.checked_mul(10)?;
        shifted.checked_add(u64::from(digit)).filter(|_| digit < 10)
    };
    let number = digits.iter().try_fold(0, append);
    number.filter(|_| !digits.is_empty())
}

/// Whether `name` is `lower` but for the case of letters. `name` is a token and `lower` a
/// lower-case one, so setting bit 5 maps nothing but letters onto letters.
#[inline]
pub(super) fn folds_to<const N: usize>(name: &[u8], lower: &[u8; N]) -> bool {
    let Ok(name) = <&[u8; N]>::try_from(name) else {
        return false;
    };
    if N < WORD {
        let padded = |octets: &[u8; N]| {
            let mut word = [b' '; WORD];
            word[..N].copy_from_slice(octets);
            u64::from_ne_bytes(word)
        };
        return padded(name) | every(0x20) == padded(lower);
    }
    // The last word overlaps the one before, so that no octet is left over.
    let folds = |at: usize| {
        let (found, wanted) = (word(&name[at..at + WORD]), word(&lower[at..at + WORD]));
        found | every(0x20) == wanted
    };
    folds(0) && (N < 2 * WORD || folds(WORD)) && folds(N - WORD)
}

/// The index of the first control octet but HTAB, or the length if there is none: of what no
/// field value may hold.
pub(super) fn first_control(octets: &[u8]) -> usize {
    let mut from = 0;
    loop {
        let at = from + first_below_space(&octets[from..]);
        if octets.get(at) != Some(&b'\t') {
            return at;
        }
        from = at + 1;
    }
}

/// The index of the first control octet, HTAB included, or the length if there is none: of what
/// ends a line, or may not be in one. O(index).
#[inline(never)]
pub(super) fn first_below_space(octets: &[u8]) -> usize {
    block::text_len(octets).unwrap_or_else(|| {
        let done = whole_blocks(octets);
        let tail = &octets[done..];
        let control = tail.iter().position(u8::is_ascii_control);
        done + control.unwrap_or(tail.len())
    })
}

/// How many octets are compared at once.
const WORD: usize = size_of::<u64>();

/// A word of this octet.
#[inline]
const fn every(octet: u8) -> u64 {
    u64::from_ne_bytes([octet; WORD])
}

#[inline]
fn word(chunk: &[u8]) -> u64 {
    u64::from_le_bytes(chunk.try_into().expect("chunks have the size of a word"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scans_with_and_without_blocks_end_where_a_search_octet_by_octet_ends() {
        for length in 0..40 {
            for at in 0..length {
                for octet in 0..=255 {
                    let mut octets = vec![b'a'; length];
                    octets[at] = octet;
                    octets[length - 1 - at / 2] = 0x80 | octet;
                    let control = |&o: &u8| o.is_ascii_control() && o != b'\t';
                    let naive = octets.iter().position(control).unwrap_or(length);
                    assert_eq!(first_control(&octets), naive, "{octets:x?}");
                    assert_eq!(target_len(&octets), run_len(&octets, TARGET), "{octets:x?}");
                }
            }
        }
    }

    #[test]
    fn numbers_are_digits_below_two_to_the_power_of_64() {
        for (digits, number) in [
            ("0", Some(0)),
            ("00000000000000000000000042", Some(42)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("99999999999999999999999", None),
            ("", None),
            ("+5", None),
            ("-0", None),
            ("1_0", None),
            ("1 2", None),
            ("0x5", None),
            ("5,5", None),
        ] {
            assert_eq!(decimal(digits.as_bytes()), number, "{digits}");
        }
    }
}
