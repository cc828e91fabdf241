//! Authorities: hosts with an optional port, in `Host` and in targets.

use std::net::Ipv6Addr;

use super::grammar::{decimal, host_len};

/// A valid `uri-host [ ":" port ]` (RFC 9110, 7.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Authority {
    pub host_is_empty: bool,
    /// Whether a port is named that one can connect to.
    pub has_port: bool,
}

impl Authority {
    /// Checks all of `octets`. User information is refused as everything outside the grammar is
    /// (RFC 9110, 4.2.4), and so are the address forms of the future, which nobody has defined.
    #[inline]
    pub fn parse(octets: &[u8]) -> Option<Authority> {
        let host_len = match octets.first() {
            Some(b'[') => address_len(octets)?,
            _ => registered_name_len(octets)?,
        };
        Some(Authority {
            host_is_empty: host_len == 0,
            has_port: has_port(&octets[host_len..])?,
        })
    }
}

/// The length of a registered name or IPv4 address (RFC 3986, 3.2.2).
#[inline(always)]
fn registered_name_len(octets: &[u8]) -> Option<usize> {
    let len = host_len(octets);
    match octets.get(len) {
        Some(b'%') => encoded_name_len(octets, len),
        _ => Some(len),
    }
}

/// The same from the first percent-encoded octet on.
#[cold]
fn encoded_name_len(octets: &[u8], mut len: usize) -> Option<usize> {
    while let Some(b'%') = octets.get(len) {
        let digits = octets.get(len + 1..len + 3)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        len += 3;
        len += host_len(&octets[len..]);
    }
    Some(len)
}

/// The length of a bracketed IPv6 address.
#[cold]
fn address_len(octets: &[u8]) -> Option<usize> {
    let close = octets.iter().position(|&octet| octet == b']')?;
    let address = std::str::from_utf8(&octets[1..close]).ok()?;
    address.parse::<Ipv6Addr>().ok()?;
    Some(close + 1)
}

/// Whether there is a port and it is not 0; a colon alone names none.
#[inline]
fn has_port(octets: &[u8]) -> Option<bool> {
    let Some((colon, digits)) = octets.split_first() else {
        return Some(false);
    };
    let mut zeros = true;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        zeros &= digit == b'0';
    }
    // Four digits fit whatever they are; more are worth a second look.
    let fits = digits.len() < 5 || decimal(digits).is_some_and(|port| port <= 65_535);
    (*colon == b':' && fits).then_some(!zeros)
}

#[cfg(test)]
mod tests {
    use super::super::block::{BLOCK, SLACK, plain_authority_len, short_authority_len};
    use super::*;

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        let valid = [
            "",
            "a",
            "a.b:80",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:443",
            "a:",
            ":80",
            "x_y",
            "%41b%2d:1",
            "a!$&'()*+,;=~",
            "a:0000080",
            "a:65535",
        ];
        for text in valid {
            assert!(Authority::parse(text.as_bytes()).is_some(), "{text}");
        }
        let invalid = [
            "a b", "a/b", "u@a", "a:b", "a:1:2", "[::1", "[::1]x", "[a]", "[v1.x]", "%4", "%zz",
            "a:65536", "a:-1", "a:+1", "::1", "a\\b", "a,b c", "é", "a?b", "a#b", "a\"",
        ];
        for text in invalid {
            assert_eq!(Authority::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_the_block_classifier_calls_a_plain_authority_is_one() {
        let plain_len = |text: &str| {
            let padded = [text.as_bytes(), b"\r\n", &[0; SLACK]].concat();
            let len = plain_authority_len(&padded);
            let short = padded.first_chunk().and_then(short_authority_len);
            assert!(
                short.is_none_or(|short| short == BLOCK || Some(short) == len),
                "{text}"
            );
            len.filter(|&len| len == text.len())
        };
        for text in [
            "a",
            "127.0.0.1:8080",
            "a.b:80",
            "a:",
            "www.a-long-name.example.org:443",
        ] {
            assert!(plain_len(text).is_some(), "{text}");
        }
        for text in [
            "", ":80", "a:65535", "a:65536", "a:1:2", "u@a", "[::1]", "%41", "a,b",
        ] {
            assert!(plain_len(text).is_none(), "{text}");
        }
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..100_000 {
            let octets = std::iter::repeat_with(|| random.choice(*b"aZ09-.:%_@").unwrap_or(b'a'));
            let text = String::from_utf8(octets.take(40).collect()).unwrap_or_default();
            let text = &text[..random.usize(0..40)];
            if plain_len(text).is_some() {
                let found = Authority::parse(text.as_bytes());
                assert!(found.is_some_and(|found| !found.host_is_empty), "{text}");
            }
        }
    }
}
