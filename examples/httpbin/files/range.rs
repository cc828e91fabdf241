//! Which part of a file was asked for (RFC 9110, 14).

use std::ops::Range;

/// What the `Range` field of a request asks of a file.
#[derive(PartialEq, Eq, Debug)]
pub enum Part {
    /// All of it: there is no such field, or it is one that a server may ignore. It may ignore all
    /// (RFC 9110, 14.2), and does with those it does not understand and with several ranges at once:
    /// few clients ask for them, and a server that gives them can be made to send a file many times
    /// over (CVE-2011-3192).
    All,
    /// Those bytes; there is at least one.
    Bytes(Range<u64>),
    /// Nothing that it has: 416.
    Nothing,
}

/// What `field` asks of a file of `len` bytes. In O(length of the field); a number too large for us
/// is larger than any file (CVE-2017-7529 was a sum of such).
pub fn part(field: &[u8], len: u64) -> Part {
    let Some((unit, ranges)) = field.split_at_checked("bytes=".len()) else {
        return Part::All;
    };
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return Part::All;
    }
    let (mut asked, mut found) = (0, None);
    for range in ranges.split(|&octet| octet == b',') {
        let range = range.trim_ascii();
        if range.is_empty() {
            continue; // an empty element of a list is none (RFC 9110, 5.6.1)
        }
        let Some(bytes) = one(range, len) else {
            return Part::All;
        };
        asked += 1;
        found = found.or(Some(bytes).filter(|bytes| !bytes.is_empty()));
    }
    match found {
        _ if asked == 0 => Part::All,
        Some(bytes) if asked == 1 => Part::Bytes(bytes),
        Some(_) => Part::All,
        None if len == 0 => Part::All, // no range says "nothing, as there is nothing"
        None => Part::Nothing,
    }
}

/// The bytes that one range means, none if the file has none of them; `None` if it is no range.
fn one(range: &[u8], len: u64) -> Option<Range<u64>> {
    let dash = range.iter().position(|&octet| octet == b'-')?;
    let (first, last) = (&range[..dash], &range[dash + 1..]);
    if first.is_empty() {
        let suffix = number(last)?;
        return Some(len.saturating_sub(suffix)..len);
    }
    let first = number(first)?;
    let end = match last {
        b"" => len,
        last => match number(last)? {
            last if last < first => return None,
            last => last.saturating_add(1).min(len),
        },
    };
    Some(first.min(end)..end)
}

/// Decimal digits alone.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |number: u64, digit: &u8| {
        let digit = u64::from(digit - b'0');
        number.saturating_mul(10).saturating_add(digit)
    };
    Some(digits.iter().fold(0, add))
}
