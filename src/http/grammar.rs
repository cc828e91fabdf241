//! The grammar of single octets, and the scan that everything else rests on.
//!
//! [`first_below_space`] is the block classifier: the one place where octets are looked at a block at
//! a time, and so the one place to change when wider registers are to be used. Everything it
//! passes over is text: no line end, no NUL, nothing that could end a line early for another
//! reader. The classes of RFC 9110 and RFC 3986 that a field name, a target or a host need are
//! bits of one table; these are short, and the table beats arithmetic on words up to some dozens of
//! octets.

/// `tchar` (RFC 9110, 5.6.2).
const TOKEN: u8 = 1;
/// What a request target may consist of: visible ASCII without `#`, which ends a URI before its
/// fragment and is never sent (RFC 9112, 3.2).
const TARGET: u8 = 2;
/// `unreserved / sub-delims` (RFC 3986, 2): a registered name but for percent-encoding.
const HOST: u8 = 4;
const DIGIT: u8 = 8;

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
        if octet.is_ascii_digit() {
            table[octet as usize] |= DIGIT;
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
///
/// Short ones, which do not pay for more, are looked up octet by octet, the rest word by word.
#[inline(always)]
pub(super) fn target_len(octets: &[u8]) -> usize {
    let front = octets.first_chunk::<WORD>().map_or(octets, |front| front);
    match run_len(front, TARGET) {
        WORD => long_target_len(octets),
        len => len,
    }
}

#[inline(never)]
fn long_target_len(octets: &[u8]) -> usize {
    let len = word_run_len(octets, not_of_target);
    len + run_len(octets.get(len..).unwrap_or_default(), TARGET)
}

/// The length of the registered name in front of `octets`, without percent-encoded octets.
#[inline(always)]
pub(super) fn host_len(octets: &[u8]) -> usize {
    run_len(octets, HOST)
}

/// How many digits are in front of `octets`.
#[inline(always)]
pub(super) fn digits_len(octets: &[u8]) -> usize {
    run_len(octets, DIGIT)
}

/// How many octets in front are followed by one that `others` marks in its word, or by less than
/// a word.
#[inline(always)]
fn word_run_len(octets: &[u8], others: impl Fn(u64) -> u64) -> usize {
    let mut rest = octets;
    while let Some((chunk, behind)) = rest.split_first_chunk() {
        let marks = others(u64::from_le_bytes(*chunk));
        if marks != 0 {
            return octets.len() - rest.len() + first(marks);
        }
        rest = behind;
    }
    octets.len() - rest.len()
}

/// How many octets in front are of the class.
#[inline(always)]
fn run_len(octets: &[u8], class: u8) -> usize {
    let other = |&octet: &u8| CLASSES[octet as usize] & class == 0;
    let mut rest = octets;
    while let Some((four, behind)) = rest.split_first_chunk::<4>() {
        if let Some(len) = four.iter().position(other) {
            return octets.len() - rest.len() + len;
        }
        rest = behind;
    }
    let len = rest.iter().position(other).unwrap_or(rest.len());
    octets.len() - rest.len() + len
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
/// ends a line, or may not be in one.
///
/// O(index): nothing but the rest of a block is read behind it, and decides nothing.
#[inline(never)]
pub(super) fn first_below_space(octets: &[u8]) -> usize {
    let mut rest = octets;
    while let Some((block, behind)) = rest.split_first_chunk() {
        if has_control(block) {
            return octets.len() - rest.len() + first_control_in(block);
        }
        rest = behind;
    }
    let len = word_run_len(rest, controls);
    let tail = rest.get(len..).unwrap_or_default();
    let tail_len = tail.iter().position(u8::is_ascii_control);
    octets.len() - rest.len() + len + tail_len.unwrap_or(tail.len())
}

/// Without a branch within the block, which lets the compiler use vectors.
#[inline(always)]
fn has_control(block: &[u8; BLOCK]) -> bool {
    let control = |found, &octet: &u8| found | (octet < 0x20) | (octet == 0x7f);
    block.iter().fold(false, control)
}

/// The same for a block that has one.
#[inline(always)]
fn first_control_in(block: &[u8; BLOCK]) -> usize {
    let [low, high] = [word(&block[..WORD]), word(&block[WORD..])].map(controls);
    if low != 0 {
        return first(low);
    }
    WORD + first(high)
}

/// In octets; as many as pay for a vector loop.
const BLOCK: usize = 16;
/// How many octets the classifier takes at once.
const WORD: usize = size_of::<u64>();
const HIGH_BITS: u64 = u64::from_le_bytes([0x80; WORD]);

/// A word of this octet.
#[inline]
const fn every(octet: u8) -> u64 {
    u64::from_ne_bytes([octet; WORD])
}

#[inline]
fn word(chunk: &[u8]) -> u64 {
    u64::from_le_bytes(chunk.try_into().expect("chunks have the size of a word"))
}

/// The high bit of each control octet; only the lowest one counts.
#[inline(always)]
fn controls(word: u64) -> u64 {
    below(word, 0x20) | equal(word, 0x7f)
}

/// The high bit of each octet below `bound` (at most 0x80). Octets above the first one found may
/// be marked without reason, as the subtraction borrows from them.
#[inline]
fn below(word: u64, bound: u8) -> u64 {
    word.wrapping_sub(every(bound)) & !word & HIGH_BITS
}

/// The high bit of each octet equal to `octet`, with the same reservation.
#[inline]
fn equal(word: u64, octet: u8) -> u64 {
    below(word ^ (every(octet)), 1)
}

/// The high bit of each octet that no target has; only the lowest one counts.
#[inline(always)]
fn not_of_target(word: u64) -> u64 {
    below(word, 0x21) | equal(word, b'#') | equal(word, 0x7f) | (word & HIGH_BITS)
}

/// The index of the lowest octet marked, [`WORD`] if there is none.
#[inline]
fn first(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classifier_finds_what_a_search_octet_by_octet_finds() {
        for length in 0..40 {
            for at in 0..length {
                for octet in 0..=255 {
                    let mut octets = vec![b'a'; length];
                    octets[at] = octet;
                    octets[length - 1 - at / 2] = 0x80 | octet;
                    let control = |&o: &u8| o.is_ascii_control() && o != b'\t';
                    let naive = octets.iter().position(control).unwrap_or(length);
                    assert_eq!(first_control(&octets), naive, "{octets:x?}");
                    assert_eq!(token_len(&octets), run_len(&octets, TOKEN), "{octets:x?}");
                    assert_eq!(host_len(&octets), run_len(&octets, HOST), "{octets:x?}");
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
