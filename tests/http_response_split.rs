//! However the octets of a response arrive, the result is the same, and the work is linear.

mod http_cases;

use http_cases::{ACCEPTED_RESPONSES, REFUSED_RESPONSES, limits};
use trine::http::{Limits, Method, ParseError, Progress, ResponseParser};

/// The heads of both tables, with the methods they answer.
fn all_heads() -> impl Iterator<Item = (Method, &'static [u8])> {
    let accepted = ACCEPTED_RESPONSES
        .iter()
        .map(|row| (row.answered, row.head));
    accepted.chain(REFUSED_RESPONSES.iter().map(|row| (row.answered, row.head)))
}

/// What a parser says after being fed `message` up to each of `ends` in turn.
fn outcome(
    (answered, message): (Method, &[u8]),
    ends: impl Iterator<Item = usize>,
    limits: &Limits,
) -> String {
    let mut parser = ResponseParser::new(answered);
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

#[test]
fn a_head_cut_anywhere_gives_what_the_whole_gives() {
    for head in all_heads() {
        let (len, shown) = (head.1.len(), head.1.escape_ascii());
        let whole = outcome(head, std::iter::once(len), &limits());
        assert_eq!(outcome(head, 0..=len, &limits()), whole, "{shown}");
        for first in 0..len {
            let cut = outcome(head, [first, len].into_iter(), &limits());
            assert_eq!(cut, whole, "{first} {shown}");
        }
    }
}

#[test]
fn what_lies_behind_the_octets_held_has_no_say() {
    for (answered, head) in all_heads() {
        let shown = head.escape_ascii();
        let whole = outcome((answered, head), std::iter::once(head.len()), &limits());
        for first in 0..=head.len() {
            for behind in [
                &head[first..],
                b"\r\n\r\n",
                b"a",
                b" OK\r\n",
                b"00 \r\n",
                b"\n",
            ] {
                let mut parser = ResponseParser::new(answered);
                let mut last = Ok(Progress::Partial);
                for end in [first, head.len()] {
                    let buffer = [&head[..end], behind, &[b'x'; 100], b"\r\n\r\n"].concat();
                    last = parser.feed_within(&buffer, end, &limits());
                    if last != Ok(Progress::Partial) {
                        break;
                    }
                }
                let within = match last {
                    Ok(Progress::Complete) => format!("{:?}", parser.head()),
                    other => format!("{other:?}"),
                };
                assert_eq!(within, whole, "{first} {shown}");
            }
        }
    }
}

#[test]
fn octet_by_octet_each_octet_is_classified_once() {
    let value = "\ta b".repeat(4000);
    let long = format!("HTTP/1.1 200 {value}\r\nContent-Length: 0\r\nX: {value}\r\n\r\n");
    let limits = Limits {
        head_bytes_max: 1 << 20,
        ..Limits::default()
    };
    let heads = ACCEPTED_RESPONSES
        .iter()
        .map(|row| (row.answered, row.head));
    for (answered, head) in heads.chain([(Method::Get, long.as_bytes())]) {
        let mut parser = ResponseParser::new(answered);
        for end in 0..=head.len() {
            let _ = parser.feed(&head[..end], &limits);
        }
        let shown = head.escape_ascii();
        assert_eq!(parser.octets_examined(), head.len() as u64, "{shown}");
    }
}

#[test]
fn limits_hold_without_a_line_end_ever_coming() {
    let limits = Limits::default();
    let limit = limits.head_bytes_max;
    for front in [&b""[..], b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\nX: "] {
        let message = [front, &[b'a'; 20_000]].concat();
        let mut parser = ResponseParser::new(Method::Get);
        let mut feeds = (0..=message.len()).map(|end| (end, parser.feed(&message[..end], &limits)));
        let refused = feeds.find(|(_, result)| *result != Ok(Progress::Partial));
        let error = ParseError::HeadTooLong { limit };
        assert_eq!(refused, Some((limit as usize + 1, Err(error))));
        let whole = ResponseParser::new(Method::Get).feed(&message, &limits);
        assert_eq!(whole, Err(error));
    }
}
