//! Chunked content decoded in place, whole or cut anywhere, is what a naive decoder makes of it.
//!
//! Input: three octets that say where to cut, then the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trine::http::{BodyDecoder, Framing, Limits, ParseError, Progress};

type Outcome = Result<Option<(Vec<u8>, usize)>, ParseError>;

fuzz_target!(|input: &[u8]| {
    let Some((cuts, body)) = input.split_first_chunk::<3>() else {
        return;
    };
    let limits = Limits {
        body_bytes_max: 4096,
        ..Limits::default()
    };
    let whole = decode(body, &[], &limits);
    let mut ends = cuts.map(|cut| usize::from(cut) * body.len() / 255);
    ends.sort_unstable();
    assert_eq!(decode(body, &ends, &limits), whole);
    let every: Vec<usize> = (0..body.len().min(600)).collect();
    assert_eq!(decode(body, &every, &limits), whole);
    let taken = take_in_pieces(body, &ends, usize::from(cuts[0]) % 7, &limits);
    assert_eq!(taken, whole);
    assert_eq!(take_in_pieces(body, &every, 0, &limits), whole);
    let naive = naive(body).filter(|(content, _)| content.len() <= 4096);
    match whole {
        Err(ParseError::ChunkOverheadTooLong { .. } | ParseError::TrailersTooLong { .. }) => {}
        whole => assert_eq!(whole.ok().flatten(), naive),
    }
});

fn decode(body: &[u8], ends: &[usize], limits: &Limits) -> Outcome {
    let mut bytes = body.to_vec();
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    for end in ends.iter().copied().chain([body.len()]) {
        let progress = decoder.feed(&mut bytes[..end], limits)?;
        assert!(decoder.decoded() <= decoder.consumed() && decoder.consumed() <= end);
        if progress == Progress::Complete {
            assert_eq!(bytes[decoder.consumed()..], body[decoder.consumed()..]);
            return Ok(Some((
                bytes[..decoder.decoded()].to_vec(),
                decoder.consumed(),
            )));
        }
    }
    Ok(None)
}

/// The same with the content taken away as it comes, but for its last `left` octets, and with
/// everything that is of no use any more forgotten.
fn take_in_pieces(body: &[u8], ends: &[usize], left: usize, limits: &Limits) -> Outcome {
    let (mut held, mut content, mut forgotten) = (Vec::new(), Vec::new(), 0);
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    for end in ends.iter().copied().chain([body.len()]) {
        held.extend_from_slice(&body[forgotten + held.len()..end]);
        let progress = decoder.feed(&mut held, limits)?;
        let left = if progress == Progress::Complete {
            0
        } else {
            left
        };
        let len = decoder.decoded().saturating_sub(left);
        content.extend_from_slice(&held[..len]);
        let useless = decoder.take(len, &mut held);
        held.drain(..useless);
        forgotten += useless;
        if progress == Progress::Complete {
            let trailers = &held[decoder.trailers()];
            assert!(trailers.is_empty() || trailers.ends_with(b"\r\n"));
            return Ok(Some((content, forgotten + decoder.consumed())));
        }
    }
    Ok(None)
}

/// Takes a complete body apart with copies and without any state between octets.
fn naive(body: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut content = Vec::new();
    let mut at = 0;
    loop {
        let line = line(&body[at..])?;
        at += line.chars().count() + 2;
        let digits: String = line.chars().take_while(char::is_ascii_hexdigit).collect();
        let significant = digits.trim_start_matches('0');
        if digits.is_empty() || significant.len() > 15 || !extensions(&line[digits.len()..]) {
            return None;
        }
        let size = usize::from_str_radix(&digits[digits.len() - significant.len()..], 16);
        let size = size.unwrap_or(0);
        if size == 0 {
            break;
        }
        content.extend_from_slice(body.get(at..at.checked_add(size)?)?);
        at += size;
        if body.get(at..at + 2)? != b"\r\n" {
            return None;
        }
        at += 2;
    }
    loop {
        let line = line(&body[at..])?;
        at += line.chars().count() + 2;
        if line.is_empty() {
            return Some((content, at));
        }
        let (name, _) = line.split_once(':')?;
        if name.is_empty() || !name.chars().all(is_token) {
            return None;
        }
    }
}

/// The text before the first CR LF, one character an octet, if it has no control octet.
fn line(octets: &[u8]) -> Option<String> {
    let end = octets.windows(2).position(|pair| pair == b"\r\n")?;
    let text: String = octets[..end]
        .iter()
        .map(|&octet| char::from(octet))
        .collect();
    let sound = text.chars().all(|c| c == '\t' || !c.is_ascii_control());
    sound.then_some(text)
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// Cuts at the semicolons outside quotes, then each piece at its first equals sign.
fn extensions(text: &str) -> bool {
    let mut pieces = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ';' if !quoted => {
                pieces.push(String::new());
                continue;
            }
            _ => {}
        }
        pieces.last_mut().expect("never empty").push(c);
    }
    let blank = [' ', '\t'];
    let last = pieces.len() - 1;
    let piece = |(index, piece): (usize, &String)| {
        // White space is allowed in front of a semicolon and behind it, not at the end.
        let piece = piece.trim_start_matches(blank);
        let piece = if index < last {
            piece.trim_end_matches(blank)
        } else {
            piece
        };
        let (name, value) = match piece.split_once('=') {
            Some((name, value)) => (
                name.trim_end_matches(blank),
                Some(value.trim_start_matches(blank)),
            ),
            None => (piece, None),
        };
        let token = |text: &str| !text.is_empty() && text.chars().all(is_token);
        token(name) && value.is_none_or(|value| token(value) || is_quoted(value))
    };
    let before = &pieces[0];
    !quoted
        && (text.is_empty() || last > 0 && before.chars().all(|c| blank.contains(&c)))
        && pieces.iter().enumerate().skip(1).all(piece)
}

/// Whether the first quote closes at the very end.
fn is_quoted(text: &str) -> bool {
    let Some(inner) = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
    else {
        return false;
    };
    let unescaped = inner.replace("\\\\", "").replace("\\\"", "");
    text.len() > 1 && !unescaped.contains('"') && !unescaped.ends_with('\\')
}
