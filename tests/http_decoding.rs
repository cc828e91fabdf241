//! Percent-decoding: what is read of paths and queries.

use std::borrow::Cow;

use trine::http::{Limits, Progress, Request, RequestParser, SegmentError};

fn with_target<T>(target: &str, look: impl FnOnce(Request<'_>) -> T) -> T {
    let method = match target {
        "*" => "OPTIONS",
        target if target.contains(['/', '?']) => "GET",
        _ => "CONNECT",
    };
    let message = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut parser = RequestParser::default();
    let progress = parser.feed(message.as_bytes(), &Limits::default());
    assert_eq!(progress, Ok(Progress::Complete), "{target}");
    look(Request::new(message.as_bytes(), parser.head(), b""))
}

type Segment = Result<&'static [u8], SegmentError>;

const PERCENT: Segment = Err(SegmentError::Percent);
const NUL: Segment = Err(SegmentError::Nul);

#[test]
fn a_path_is_split_at_its_slashes_and_its_segments_are_decoded_after_that() {
    let table: &[(&str, &[Segment])] = &[
        ("/", &[Ok(b"")]),
        ("/a", &[Ok(b"a")]),
        ("/a/", &[Ok(b"a"), Ok(b"")]),
        ("//a", &[Ok(b""), Ok(b"a")]),
        ("/a/b?c/d", &[Ok(b"a"), Ok(b"b")]),
        ("/a%20b/c+d", &[Ok(b"a b"), Ok(b"c+d")]),
        ("/a%2fb/c%2F", &[Ok(b"a/b"), Ok(b"c/")]),
        ("/a%3Fb%23", &[Ok(b"a?b#")]),
        ("/%c3%A9/%ff", &[Ok("é".as_bytes()), Ok(b"\xff")]),
        ("/%2e%2E/../.", &[Ok(b".."), Ok(b".."), Ok(b".")]),
        ("/%25%32%66", &[Ok(b"%2f")]), // decoded once
        ("/%252f", &[Ok(b"%2f")]),
        ("/a%0d%0ab", &[Ok(b"a\r\nb")]),
        ("/%00", &[NUL]),
        ("/a/b%00.png/c", &[Ok(b"a"), NUL, Ok(b"c")]),
        ("/%", &[PERCENT]),
        ("/a%4/b", &[PERCENT, Ok(b"b")]),
        ("/%4/1", &[PERCENT, Ok(b"1")]), // no digits from behind a slash
        ("/%zz/%+1/%u0041", &[PERCENT, PERCENT, PERCENT]),
        ("/%41%", &[PERCENT]),
        ("/%%41", &[PERCENT]),
        ("/%00%", &[PERCENT]),
        ("http://b", &[Ok(b"")]),
        ("http://b/%61?c", &[Ok(b"a")]),
        ("*", &[]),
        ("b:1", &[]),
    ];
    for (target, expected) in table {
        with_target(target, |request| {
            let segments: Vec<_> = request.path_segments().collect();
            let segments: Vec<_> = segments
                .iter()
                .map(|s| s.as_deref().map_err(|&e| e))
                .collect();
            assert_eq!(&segments[..], *expected, "{target}");
        });
    }
}

#[test]
fn a_query_is_read_as_a_form_and_nothing_in_it_is_an_error() {
    let table: &[(&str, &[(&str, &str)])] = &[
        ("/", &[]),
        ("/?", &[]),
        ("/?&&", &[]),
        ("/?a", &[("a", "")]),
        ("/?a=", &[("a", "")]),
        ("/?=", &[("", "")]),
        ("/?=b", &[("", "b")]),
        ("/?a=b=c&&d=e&", &[("a", "b=c"), ("d", "e")]),
        ("/?a=1&a=2", &[("a", "1"), ("a", "2")]),
        ("/?a+b=c+d%2B+", &[("a b", "c d+ ")]),
        ("/?a%26b=c%3dd", &[("a&b", "c=d")]),
        ("/?a=%2f%2F", &[("a", "//")]),
        ("/?a=%00%0d%0a", &[("a", "\0\r\n")]),
        ("/?q=100%", &[("q", "100%")]),
        ("/?q=%4&r=%zz%41", &[("q", "%4"), ("r", "%zzA")]),
        ("/?q=%2541", &[("q", "%41")]), // decoded once
        ("/?q=%c3%a9&r=%ff", &[("q", "é"), ("r", "\u{fffd}")]),
        ("/?a;b=c?d/e", &[("a;b", "c?d/e")]),
        ("/%3Fa=b", &[]),
        ("http://b?a=b", &[("a", "b")]),
        ("*", &[]),
    ];
    for (target, expected) in table {
        with_target(target, |request| {
            let pairs: Vec<_> = request.query_pairs().collect();
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(n, v)| (n.as_ref(), v.as_ref()))
                .collect();
            assert_eq!(&pairs[..], *expected, "{target}");
        });
    }
}

#[test]
fn what_has_nothing_encoded_is_not_copied() {
    with_target("/plain/%61?plain=text&a+b=%61", |request| {
        let segments: Vec<_> = request.path_segments().map(Result::unwrap).collect();
        assert!(matches!(segments[..], [Cow::Borrowed(_), Cow::Owned(_)]));
        let pairs: Vec<_> = request.query_pairs().collect();
        assert!(matches!(pairs[0], (Cow::Borrowed(_), Cow::Borrowed(_))));
        assert!(matches!(pairs[1], (Cow::Owned(_), Cow::Owned(_))));
    });
}
