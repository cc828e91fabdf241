//! However octets arrive, the result is the same, and the work is linear.

mod http_cases;

use http_cases::{ACCEPTED, BAD_BODIES, CHUNKED, REFUSED, limits};
use trine::http::{BodyDecoder, Framing, Limits, ParseError, Progress, RequestParser};

/// What a parser says after being fed `message` up to each of `ends` in turn.
fn outcome(message: &[u8], ends: impl Iterator<Item = usize>, limits: &Limits) -> String {
    let mut parser = RequestParser::default();
    let mut last = Ok(Progress::Partial);
    for end in ends {
        last = parser.feed(&message[..end], limits);
        if last != Ok(Progress::Partial) {
            break;
        }
    }
    match last {
        Ok(Progress::Complete) => format!("{:?}", parser.head()),
        other => format!("{other:?}"),
    }
}

/// The same for a chunked body: the content and where it ended, or the error.
fn body_outcome(body: &[u8], ends: impl Iterator<Item = usize>) -> String {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    let mut bytes = body.to_vec();
    for end in ends {
        match decoder.feed(&mut bytes[..end], &limits()) {
            Ok(Progress::Partial) => {}
            Ok(Progress::Complete) => {
                return format!("{:?} {}", &bytes[..decoder.decoded()], decoder.consumed());
            }
            Err(error) => return format!("{error:?}"),
        }
    }
    "Partial".to_owned()
}

#[test]
fn a_head_cut_anywhere_gives_what_the_whole_gives() {
    let accepted = ACCEPTED.iter().map(|row| row.head.as_bytes());
    for head in accepted.chain(REFUSED.iter().map(|row| row.head)) {
        let len = head.len();
        let whole = outcome(head, std::iter::once(len), &limits());
        assert_eq!(
            outcome(head, 0..=len, &limits()),
            whole,
            "{}",
            head.escape_ascii()
        );
        for first in 0..len {
            let ends = [first, len].into_iter();
            assert_eq!(
                outcome(head, ends, &limits()),
                whole,
                "{first} {}",
                head.escape_ascii()
            );
        }
    }
}

/// The same for a message at the front of a buffer that goes on with `behind`.
fn outcome_within(message: &[u8], behind: &[u8], first: usize, limits: &Limits) -> String {
    let mut parser = RequestParser::default();
    let mut last = Ok(Progress::Partial);
    for end in [first, message.len()] {
        // What a connection has there: what is still to come, or what was there before.
        let buffer = [&message[..end], behind].concat();
        last = parser.feed_within(&buffer, end, limits);
        if last != Ok(Progress::Partial) {
            break;
        }
    }
    match last {
        Ok(Progress::Complete) => format!("{:?}", parser.head()),
        other => format!("{other:?}"),
    }
}

#[test]
fn what_lies_behind_the_octets_held_has_no_say() {
    let accepted = ACCEPTED.iter().map(|row| row.head.as_bytes());
    for head in accepted.chain(REFUSED.iter().map(|row| row.head)) {
        let whole = outcome(head, std::iter::once(head.len()), &limits());
        for first in 0..=head.len() {
            let rest = &head[first..];
            let behinds = [
                rest,
                b"\r\n\r\n",
                b"a",
                b" / HTTP/1.1\r\n",
                b": b\r\n\r\n",
                b"\n",
            ];
            for behind in behinds {
                let behind = [behind, &[b'x'; 100], b"\r\n\r\n"].concat();
                let within = outcome_within(head, &behind, first, &limits());
                assert_eq!(within, whole, "{first} {}", head.escape_ascii());
            }
        }
    }
}

#[test]
fn a_body_cut_anywhere_gives_what_the_whole_gives() {
    let accepted = CHUNKED.iter().map(|row| row.0);
    for body in accepted.chain(BAD_BODIES.iter().map(|row| row.body)) {
        let followed = [body, b"GET / HTTP/1.1\r\n"].concat();
        for body in [body, &followed] {
            let len = body.len();
            let whole = body_outcome(body, std::iter::once(len));
            assert_eq!(
                body_outcome(body, 0..=len),
                whole,
                "{}",
                body.escape_ascii()
            );
            for first in 0..len {
                let ends = [first, len].into_iter();
                assert_eq!(
                    body_outcome(body, ends),
                    whole,
                    "{first} {}",
                    body.escape_ascii()
                );
            }
        }
    }
}

#[test]
fn limits_hold_without_a_line_end_ever_coming() {
    let endless: [(&[u8], ParseError); 3] = [
        (b"GET /", ParseError::TargetTooLong { limit: 8192 }),
        (
            b"GET / HTTP/1.1\r\nX: ",
            ParseError::HeadTooLong { limit: 16384 },
        ),
        (b"", ParseError::MethodTooLong),
    ];
    for (front, error) in endless {
        let message = [front, &[b'a'; 20_000]].concat();
        let limits = Limits::default();
        let mut parser = RequestParser::default();
        let refused =
            (0..=message.len()).find_map(|end| parser.feed(&message[..end], &limits).err());
        assert_eq!(refused, Some(error));
        assert_eq!(
            outcome(&message, std::iter::once(message.len()), &limits),
            format!("Err({error:?})")
        );
    }
}

#[test]
fn octet_by_octet_each_octet_is_classified_once() {
    let long = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "\ta b".repeat(4000)
    );
    let limits = Limits {
        head_bytes_max: 1 << 20,
        ..Limits::default()
    };
    let heads = ACCEPTED.iter().map(|row| row.head).chain([&long[..]]);
    for head in heads {
        let mut parser = RequestParser::default();
        for end in 0..=head.len() {
            let _ = parser.feed(&head.as_bytes()[..end], &limits);
        }
        assert_eq!(parser.octets_examined(), head.len() as u64, "{head}");
    }
}

#[test]
fn chunk_framing_is_classified_once_and_content_not_at_all() {
    let body = [
        &b"7d0\r\n"[..],
        &[b'a'; 2000],
        b"\r\n1\r\nb\r\n0\r\nX: y\r\n\r\n",
    ]
    .concat();
    let mut bytes = body.clone();
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    for end in 0..=bytes.len() {
        let _ = decoder.feed(&mut bytes[..end], &Limits::default());
    }
    assert_eq!((decoder.decoded(), decoder.consumed()), (2001, body.len()));
    let lines = "7d0\r\n1\r\n0\r\nX: y\r\n\r\n";
    assert_eq!(decoder.octets_examined(), lines.len() as u64);
}
