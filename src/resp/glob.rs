//! Patterns of keys: `*`, `?`, `[abc]`, `[^a-c]`, and a backslash before what is meant as it is.
//!
//! Only the last star is ever tried again: a star that was followed by a match need not match
//! otherwise. So the work is at most the product of both lengths, where a recursion for each star
//! would be exponential (`a*a*a*a*b`).

/// Whether all of `text` is what `pattern` means.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match pattern {
            [b'*', rest @ ..] => {
                pattern = rest;
                retry = Some((rest, text));
                continue;
            }
            [] if text.is_empty() => return true,
            _ => {}
        }
        if let Some((&octet, rest_of_text)) = text.split_first()
            && let Some(rest) = one(pattern, octet)
        {
            (pattern, text) = (rest, rest_of_text);
            continue;
        }
        // The last star takes one more.
        match &mut retry {
            Some((after_star, from)) if !from.is_empty() => {
                *from = &from[1..];
                (pattern, text) = (*after_star, *from);
            }
            _ => return false,
        }
    }
}

/// What is behind the first thing in `pattern`, if that means `octet`.
fn one(pattern: &[u8], octet: u8) -> Option<&[u8]> {
    match pattern {
        [b'?', rest @ ..] => Some(rest),
        [b'[', rest @ ..] => class(rest, octet),
        [b'\\', escaped, rest @ ..] => (*escaped == octet).then_some(rest),
        [literal, rest @ ..] => (*literal == octet).then_some(rest),
        [] => None,
    }
}

/// What is behind the class that began before `rest`, if `octet` is in it. A class that is not closed
/// ends with the pattern.
fn class(rest: &[u8], octet: u8) -> Option<&[u8]> {
    let (is_negated, mut rest) = match rest {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, rest),
    };
    let mut is_in = false;
    let behind = loop {
        rest = match rest {
            [] => break rest,
            [b']', behind @ ..] => break behind,
            [b'\\', escaped, more @ ..] => {
                is_in |= *escaped == octet;
                more
            }
            [low, b'-', high, more @ ..] => {
                is_in |= (*low.min(high)..=*low.max(high)).contains(&octet);
                more
            }
            [single, more @ ..] => {
                is_in |= *single == octet;
                more
            }
        };
    };
    (is_in != is_negated).then_some(behind)
}

/// What every match of `pattern` begins with.
pub(super) fn literal_prefix(pattern: &[u8]) -> &[u8] {
    let is_special = |octet: &u8| b"*?[\\".contains(octet);
    let end = pattern.iter().position(is_special);
    &pattern[..end.unwrap_or(pattern.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_redis() {
        let rows = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hbllo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-b]llo", "hbllo", true),
            ("h[b-a]llo", "hallo", true),
            ("h[\\]]llo", "h]llo", true),
            ("h[abc", "hb", true),
            ("a\\*c", "a*c", true),
            ("a\\*c", "abc", false),
            ("*a*b", "xaxbxb", true),
            ("*a*b", "xaxbxc", false),
            ("user:*:name", "user:12:name", true),
            ("**", "a", true),
            ("a\\", "a\\", true),
        ];
        for (pattern, text, expected) in rows {
            let is_match = matches(pattern.as_bytes(), text.as_bytes());
            assert_eq!(is_match, expected, "{pattern} {text}");
        }
        assert_eq!(literal_prefix(b"user:*"), b"user:");
    }

    #[test]
    fn a_pattern_of_many_stars_is_not_tried_in_every_way() {
        let pattern = b"a*".repeat(1_000);
        let text = b"a".repeat(10_000);
        assert!(!matches(&[&pattern[..], b"b"].concat(), &text));
    }
}
