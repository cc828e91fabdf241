//! Commands as people type them: words with blanks between, quoted as in Redis.
//!
//! Double quotes take `\n \r \t \b \a \xHH` and a backslash before anything else; single quotes
//! take `\'` only. A quote may begin in the middle of a word, but its end is the word's.

use super::arguments::Place;

/// A quote has no end, or something stands right behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Unbalanced;

/// Takes `line` apart: appends the words to `text` and their places in it to `places`.
pub(super) fn split(
    line: &[u8],
    text: &mut Vec<u8>,
    places: &mut Vec<Place>,
) -> Result<(), Unbalanced> {
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let start = text.len();
        rest = word(rest, text)?.trim_ascii_start();
        places.push(Place::of(start, text.len()));
    }
    Ok(())
}

/// Appends the word in front of `rest` to `text`; what stands behind it.
fn word<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    loop {
        rest = match rest {
            [] => return Ok(rest),
            [blank, ..] if blank.is_ascii_whitespace() => return Ok(rest),
            [b'"', inner @ ..] => return quoted(inner, text, double),
            [b'\'', inner @ ..] => return quoted(inner, text, single),
            [octet, behind @ ..] => {
                text.push(*octet);
                behind
            }
        };
    }
}

/// One byte of what stands between quotes, and how many bytes write it; `None` at the end quote.
type Unquote = fn(&[u8]) -> Option<(u8, usize)>;

fn quoted<'a>(
    mut rest: &'a [u8],
    text: &mut Vec<u8>,
    unquote: Unquote,
) -> Result<&'a [u8], Unbalanced> {
    while !rest.is_empty() {
        let Some((octet, len)) = unquote(rest) else {
            return match &rest[1..] {
                [octet, ..] if !octet.is_ascii_whitespace() => Err(Unbalanced),
                behind => Ok(behind),
            };
        };
        text.push(octet);
        rest = &rest[len..];
    }
    Err(Unbalanced)
}

fn double(rest: &[u8]) -> Option<(u8, usize)> {
    let hex = |octet: u8| char::from(octet).to_digit(16);
    match *rest {
        [b'"', ..] | [] => None,
        [b'\\', b'x', high, low, ..] => match (hex(high), hex(low)) {
            (Some(high), Some(low)) => Some(((high << 4 | low) as u8, 4)),
            _ => Some((b'x', 2)),
        },
        [b'\\', escaped, ..] => {
            let octet = match escaped {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'b' => 0x08,
                b'a' => 0x07,
                other => other,
            };
            Some((octet, 2))
        }
        [octet, ..] => Some((octet, 1)),
    }
}

fn single(rest: &[u8]) -> Option<(u8, usize)> {
    match *rest {
        [b'\'', ..] | [] => None,
        [b'\\', b'\'', ..] => Some((b'\'', 2)),
        [octet, ..] => Some((octet, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_as_redis_splits_it() {
        type Row<'a> = (&'a [u8], Option<&'a [&'a [u8]]>);
        let rows: [Row<'_>; 12] = [
            (b"", Some(&[])),
            (b" \t ", Some(&[])),
            (b"GET  key ", Some(&[b"GET", b"key"])),
            (b"SET k \"a b\"", Some(&[b"SET", b"k", b"a b"])),
            (b"k 'a \\' b' c", Some(&[b"k", b"a ' b", b"c"])),
            (
                b"\"\\x41\\n\\r\\t\\b\\a\\\"\\\\\\q\"",
                Some(&[b"A\n\r\t\x08\x07\"\\q"]),
            ),
            (b"\"\\xg1\"", Some(&[b"xg1"])),
            (b"foo\"bar\" x", Some(&[b"foobar", b"x"])),
            (b"\"\" ''", Some(&[b"", b""])),
            (b"\"open", None),
            (b"\"a\"b", None),
            (b"'open\\'", None),
        ];
        for (line, expected) in rows {
            let (mut text, mut places) = (Vec::new(), Vec::new());
            let done = split(line, &mut text, &mut places);
            let words: Vec<&[u8]> = places.iter().map(|place| &text[place.range()]).collect();
            let shown = line.escape_ascii();
            assert_eq!(done.ok().map(|()| &words[..]), expected, "{shown}");
        }
    }
}
