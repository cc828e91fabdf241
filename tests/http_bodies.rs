//! Bodies: what is content, where it ends, what is refused.

mod http_cases;

use http_cases::{BAD_BODIES, CHUNKED, limits};
use trine::http::{BodyDecoder, Framing, Limits, ParseError, Progress};

/// Feeds all of `body`; the content and the offset behind it when it is complete.
fn decoded(
    framing: Framing,
    body: &[u8],
    limits: &Limits,
) -> Result<Option<(Vec<u8>, usize)>, ParseError> {
    let mut bytes = body.to_vec();
    let mut decoder = BodyDecoder::new(framing);
    let progress = decoder.feed(&mut bytes, limits)?;
    let whole = (bytes[..decoder.decoded()].to_vec(), decoder.consumed());
    Ok((progress == Progress::Complete).then_some(whole))
}

#[test]
fn a_message_without_framing_has_no_body() {
    // So what follows a GET is the next request, whatever it is.
    assert_eq!(
        decoded(Framing::None, b"GET /", &limits()),
        Ok(Some((vec![], 0)))
    );
}

#[test]
fn a_body_of_known_length_is_that_long() {
    let framing = Framing::Length(5);
    assert_eq!(decoded(framing, b"hell", &limits()), Ok(None));
    assert_eq!(
        decoded(framing, b"helloGET", &limits()),
        Ok(Some((b"hello".to_vec(), 5)))
    );
    assert_eq!(
        decoded(Framing::Length(u64::MAX), b"hello", &limits()),
        Ok(None)
    );
}

#[test]
fn chunks_become_one_slice_and_leave_what_follows_untouched() {
    for (body, content) in CHUNKED {
        let followed = [body, &b"\r\nGET"[..]].concat();
        let shown = body.escape_ascii();
        assert_eq!(
            decoded(Framing::Chunked, body, &limits()),
            Ok(Some((content.to_vec(), body.len()))),
            "{shown}"
        );
        assert_eq!(
            decoded(Framing::Chunked, &followed, &limits()),
            Ok(Some((content.to_vec(), body.len()))),
            "{shown}"
        );
        for cut in 0..body.len() {
            assert_eq!(
                decoded(Framing::Chunked, &body[..cut], &limits()),
                Ok(None),
                "{shown} {cut}"
            );
        }
    }
}

#[test]
fn chunks_outside_the_rules_are_refused_with_the_status_of_the_rule() {
    for row in BAD_BODIES {
        let shown = row.body.escape_ascii();
        assert_eq!(
            decoded(Framing::Chunked, row.body, &limits()),
            Err(row.error),
            "RFC {} {shown}",
            row.section
        );
        assert_eq!(
            row.error.status().code(),
            row.status,
            "RFC {} {shown}",
            row.section
        );
    }
}

#[test]
fn an_error_in_a_body_is_final() {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    assert_eq!(
        decoder.feed(&mut b"x\r\n".to_vec(), &limits()),
        Err(ParseError::ChunkSize)
    );
    assert_eq!(
        decoder.feed(&mut b"0\r\n\r\n".to_vec(), &limits()),
        Err(ParseError::ChunkSize)
    );
}

#[test]
fn a_flood_of_tiny_chunks_or_extensions_is_cut_and_small_honest_chunks_are_not() {
    let limits = Limits::default();
    let refused_after = |chunk: &[u8]| {
        let mut body = chunk.repeat(100_000);
        body.truncate(1_000_000);
        let mut decoder = BodyDecoder::new(Framing::Chunked);
        let _ = decoder.feed(&mut body, &limits).err()?;
        Some(decoder.consumed())
    };
    assert!(refused_after(b"1\r\na\r\n").is_some_and(|octets| octets < 128 * 1024));
    assert!(refused_after(b"5;extension\r\nhello\r\n").is_some_and(|octets| octets < 128 * 1024));
    assert_eq!(refused_after(b"5\r\nhello\r\n"), None);
}

#[test]
fn the_body_limit_counts_content_and_no_framing() {
    let limits = Limits {
        body_bytes_max: 10,
        ..limits()
    };
    let body = b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n";
    assert_eq!(
        decoded(Framing::Chunked, body, &limits),
        Ok(Some((b"helloworld".to_vec(), body.len())))
    );
    let limits = Limits {
        body_bytes_max: 9,
        ..limits
    };
    assert_eq!(
        decoded(Framing::Chunked, body, &limits),
        Err(ParseError::BodyTooLong { limit: 9 })
    );
}

#[test]
fn content_taken_away_in_pieces_is_the_content_and_no_more_is_held_than_must_be() {
    let mut random = fastrand::Rng::with_seed(7);
    for (body, content) in CHUNKED.iter().copied() {
        for _ in 0..200 {
            let mut decoder = BodyDecoder::new(Framing::Chunked);
            let (mut held, mut taken, mut sent) = (Vec::new(), Vec::new(), 0);
            while sent < body.len() {
                let len = random.usize(1..=body.len() - sent);
                held.extend_from_slice(&body[sent..sent + len]);
                sent += len;
                let progress = decoder.feed(&mut held, &Limits::default()).unwrap();
                let is_last = progress == Progress::Complete;
                let all = decoder.decoded();
                let share = if is_last { all } else { random.usize(0..=all) };
                taken.extend_from_slice(&held[..share]);
                let useless = decoder.take(share, &mut held);
                held.drain(..useless);
                assert!(held.len() <= all - share + 60, "lines and trailers at most");
            }
            assert_eq!(taken, content);
            let trailers = String::from_utf8(held[decoder.trailers()].to_vec()).unwrap();
            assert_eq!(trailers.is_empty(), !body.ends_with(b": 9\r\n\r\n"));
        }
    }
}
