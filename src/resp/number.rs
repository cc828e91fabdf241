//! Numbers as arguments and values write them.

/// The number that `digits` write, as Redis reads it: an optional minus and digits without zeros in
/// front, nothing else, within 64 bits.
pub(super) fn integer(digits: &[u8]) -> Option<i64> {
    let magnitude = digits.strip_prefix(b"-").unwrap_or(digits);
    let is_canonical = match magnitude {
        [b'0'] => magnitude.len() == digits.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    // Only digits and a sign: it is text, and fails only if it is too large.
    is_canonical.then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_way_to_write_a_number_is_one() {
        for number in [0, 1, -1, 10, 999, i64::MAX, i64::MIN] {
            assert_eq!(integer(number.to_string().as_bytes()), Some(number));
        }
        let wrong = [
            "",
            "-",
            "+1",
            "01",
            "-0",
            "00",
            " 1",
            "1 ",
            "1a",
            "--1",
            "1.0",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
        ];
        for text in wrong {
            assert_eq!(integer(text.as_bytes()), None, "{text}");
        }
    }
}
