//! Which responses are taken, which are refused, what is read from those taken, and where they end.

mod http_cases;

use http_cases::{ACCEPTED_RESPONSES, REFUSED_RESPONSES, limits};
use trine::buffer::Buffer;
use trine::http::{
    BodyDecoder, Framing, HttpDate, Limits, Method, ParseError, Progress, Response,
    ResponseContext, ResponseFraming, ResponseParser, ResponseView, Status, Version, encode,
    encode_continue, encode_error,
};

fn parsed(answered: Method, message: &[u8], limits: &Limits) -> Result<ResponseParser, ParseError> {
    let mut parser = ResponseParser::new(answered);
    match parser.feed(message, limits)? {
        Progress::Complete => Ok(parser),
        Progress::Partial => panic!("{} is not complete", message.escape_ascii()),
    }
}

#[test]
fn responses_within_the_rules_are_taken() {
    for row in ACCEPTED_RESPONSES {
        let parser = parsed(row.answered, row.head, &limits());
        let parser = parser.unwrap_or_else(|error| panic!("{}: {error}", row.why));
        let head = parser.head();
        assert_eq!(head.framing(), row.framing, "{}", row.why);
        assert_eq!(head.is_persistent(), row.persistent, "{}", row.why);
        assert_eq!(head.len(), row.head.len(), "{}", row.why);
    }
}

#[test]
fn responses_outside_the_rules_are_refused_by_the_same_rules() {
    for row in REFUSED_RESPONSES {
        let result = parsed(row.answered, row.head, &limits()).map(drop);
        let shown = row.head.escape_ascii();
        assert_eq!(result, Err(row.error), "RFC {} {shown}", row.section);
        let section = row.section.replace(' ', ", ");
        assert!(row.error.to_string().contains(&section), "{}", row.error);
    }
}

#[test]
fn httparse_reads_what_is_taken_in_the_same_way() {
    for row in ACCEPTED_RESPONSES {
        let parser = parsed(row.answered, row.head, &limits()).unwrap();
        let ours = ResponseView::new(row.head, parser.head(), b"");
        let mut fields = [httparse::EMPTY_HEADER; 16];
        let mut theirs = httparse::Response::new(&mut fields);
        if row.head.starts_with(b"HTTP/1.9") {
            assert_eq!(theirs.parse(row.head), Err(httparse::Error::Version));
            continue;
        }
        let end = httparse::Status::Complete(row.head.len());
        assert_eq!(theirs.parse(row.head), Ok(end), "{}", row.why);
        assert_eq!(theirs.code, Some(ours.status().code()), "{}", row.why);
        let minor = u8::from(ours.version() == Version::Http11);
        assert_eq!(theirs.version, Some(minor), "{}", row.why);
        // It shows no phrase that is not ASCII.
        let reason = Some(ours.reason()).filter(|reason| reason.is_ascii());
        let their_reason = theirs.reason.map(str::as_bytes);
        assert_eq!(their_reason, reason.or(Some(b"")), "{}", row.why);
        let fields = theirs.headers.iter().map(|field| (field.name, field.value));
        assert!(ours.fields().eq(fields), "{}", row.why);
    }
}

#[test]
fn a_code_is_three_digits_and_none_below_100() {
    for code in 0..=999 {
        let head = format!("HTTP/1.1 {code:03} x\r\nContent-Length: 0\r\n\r\n");
        let taken = parsed(Method::Get, head.as_bytes(), &limits());
        let status = taken.map(|parser| parser.head().status());
        let expected = Status::from_code(code).ok_or(ParseError::StatusCode);
        assert_eq!(status, expected, "{code}");
    }
}

#[test]
fn the_body_is_framed_by_method_status_and_fields() {
    use ResponseFraming::{SelfDelimited, Tunnel, UntilClose};
    let declarations = [
        ("", UntilClose),
        ("Content-Length: 0\r\n", SelfDelimited(Framing::None)),
        ("Content-Length: 7\r\n", SelfDelimited(Framing::Length(7))),
        (
            "Transfer-Encoding: chunked\r\n",
            SelfDelimited(Framing::Chunked),
        ),
    ];
    let methods = [
        Method::Get,
        Method::Head,
        Method::Post,
        Method::Connect,
        Method::Options,
        Method::Other,
    ];
    for (fields, declared) in declarations {
        for answered in methods {
            for code in 100..=999 {
                let head = format!("HTTP/1.1 {code} \r\n{fields}\r\n");
                let parser = parsed(answered, head.as_bytes(), &limits()).unwrap();
                let expected = match (code, answered) {
                    (101, _) | (200..=299, Method::Connect) => Tunnel,
                    (100..=199 | 204 | 304, _) | (_, Method::Head) => SelfDelimited(Framing::None),
                    _ => declared,
                };
                let framing = parser.head().framing();
                assert_eq!(framing, expected, "{answered:?} {head}");
                let ends_itself = matches!(framing, SelfDelimited(_));
                assert_eq!(
                    parser.head().is_persistent(),
                    ends_itself,
                    "{answered:?} {head}"
                );
            }
        }
    }
}

#[test]
fn a_response_is_read_through_the_bytes_it_came_in() {
    let message = b"HTTP/1.0 404 N\xf6t  Found \r\nSet-Cookie: a\r\nset-cookie:\tb \r\n\r\n<p>";
    let parser = parsed(Method::Get, message, &limits()).unwrap();
    let response = ResponseView::new(message, parser.head(), b"<p>");
    assert_eq!(response.status(), Status::NOT_FOUND);
    assert_eq!(response.version(), Version::Http10);
    assert_eq!(response.reason(), b"N\xf6t  Found ");
    assert_eq!(response.field("SET-COOKIE"), Some(&b"a"[..]));
    assert_eq!(response.field("Cookie"), None);
    let fields: Vec<_> = response.fields().collect();
    assert_eq!(fields, [("Set-Cookie", &b"a"[..]), ("set-cookie", b"b")]);
    assert_eq!(
        (response.body(), response.head().field_count()),
        (&b"<p>"[..], 2)
    );
    assert_eq!(response.head().len(), message.len() - "<p>".len());
}

#[test]
fn an_error_is_final_until_the_next_message() {
    let (bad, good) = (b"HTTP/1.1 200 OK\n\n", b"HTTP/1.1 204 \r\n\r\n");
    let mut parser = ResponseParser::new(Method::Get);
    assert!(!parser.started());
    assert_eq!(parser.feed(bad, &limits()), Err(ParseError::BareLf));
    assert_eq!(parser.feed(good, &limits()), Err(ParseError::BareLf));
    assert!(parser.started());
    parser.reset(Method::Get);
    assert!(!parser.started());
    assert_eq!(parser.feed(good, &limits()), Ok(Progress::Complete));
}

#[test]
fn nothing_of_one_message_is_left_in_the_next() {
    let first = b"HTTP/1.0 500 x\r\nA: b\r\nConnection: keep-alive\r\nContent-Length: 7\r\n\r\n";
    let second = b"HTTP/1.1 200 \r\n\r\n";
    let mut parser = parsed(Method::Head, first, &limits()).unwrap();
    for answered in [Method::Get, Method::Connect, Method::Head] {
        parser.reset(answered);
        assert_eq!(parser.feed(second, &limits()), Ok(Progress::Complete));
        let fresh = parsed(answered, second, &limits()).unwrap();
        assert_eq!(
            format!("{:?}", parser.head()),
            format!("{:?}", fresh.head())
        );
    }
}

#[test]
fn informational_responses_come_before_the_one_that_answers() {
    let mut rest = &b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 103 \r\nLink: a\r\n\r\n\
        HTTP/1.1 200 \r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi"[..];
    let mut seen = Vec::new();
    let mut parser = ResponseParser::new(Method::Head);
    for answered in [Method::Head, Method::Get] {
        loop {
            parser.reset(answered);
            assert_eq!(parser.feed(rest, &limits()), Ok(Progress::Complete));
            rest = &rest[parser.head().len()..];
            seen.push((parser.head().status().code(), parser.head().framing()));
            if !parser.head().status().is_informational() {
                break;
            }
        }
    }
    let none = ResponseFraming::SelfDelimited(Framing::None);
    let two = ResponseFraming::SelfDelimited(Framing::Length(2));
    assert_eq!(seen, [(100, none), (103, none), (200, none), (200, two)]);
    assert_eq!(rest, b"hi");
}

#[test]
fn a_connection_that_closes_ends_only_a_body_that_lasts_until_then() {
    use ResponseFraming::{SelfDelimited, Tunnel, UntilClose};
    let incomplete = Err(ParseError::Incomplete);
    for (framing, body, content, result) in [
        (UntilClose, &b""[..], &b""[..], Ok(())),
        (UntilClose, b"5\r\nhello", b"5\r\nhello", Ok(())),
        (Tunnel, b"hello", b"", Ok(())),
        (SelfDelimited(Framing::None), b"", b"", Ok(())),
        (
            SelfDelimited(Framing::Length(5)),
            b"hello",
            b"hello",
            Ok(()),
        ),
        (
            SelfDelimited(Framing::Length(5)),
            b"hell",
            b"hell",
            incomplete,
        ),
        (SelfDelimited(Framing::Length(5)), b"", b"", incomplete),
        (
            SelfDelimited(Framing::Chunked),
            b"5\r\nhello\r\n0\r\n\r\n",
            b"hello",
            Ok(()),
        ),
        (
            SelfDelimited(Framing::Chunked),
            b"5\r\nhello\r\n0\r\n",
            b"hello",
            incomplete,
        ),
        (
            SelfDelimited(Framing::Chunked),
            b"5\r\nhello\r\n",
            b"hello",
            incomplete,
        ),
        (
            SelfDelimited(Framing::Chunked),
            b"5\r\nhel",
            b"hel",
            incomplete,
        ),
        (SelfDelimited(Framing::Chunked), b"", b"", incomplete),
    ] {
        for first in 0..=body.len() {
            let mut bytes = body.to_vec();
            let mut decoder = BodyDecoder::of_response(framing);
            let _ = decoder.feed(&mut bytes[..first], &limits()).unwrap();
            let _ = decoder.feed(&mut bytes, &limits()).unwrap();
            assert_eq!(&bytes[..decoder.decoded()], content, "{framing:?}");
            assert_eq!(decoder.handle_close(), result, "{framing:?}");
            assert_eq!(decoder.handle_close(), result, "{framing:?}, once more");
            let again = decoder.feed(&mut bytes, &limits());
            assert_eq!(again, result.map(|()| Progress::Complete), "{framing:?}");
        }
    }
}

#[test]
fn a_body_until_the_close_is_bounded_like_any_other() {
    let limits = limits();
    let limit = limits.body_bytes_max;
    for step in [1, 7, 1000, 1001] {
        let mut bytes = vec![b'a'; 1001];
        let mut decoder = BodyDecoder::of_response(ResponseFraming::UntilClose);
        for end in (0..=1000).step_by(step) {
            let progress = decoder.feed(&mut bytes[..end], &limits);
            assert_eq!(progress, Ok(Progress::Partial));
            assert_eq!((decoder.decoded(), decoder.consumed()), (end, end));
        }
        let error = Err(ParseError::BodyTooLong { limit });
        assert_eq!(decoder.feed(&mut bytes, &limits), error);
        assert_eq!(decoder.handle_close(), error.map(|_: Progress| ()));
    }
}

#[test]
fn a_body_until_the_close_is_bounded_in_pieces_too() {
    let limits = limits();
    let limit = limits.body_bytes_max;
    let mut decoder = BodyDecoder::of_response(ResponseFraming::UntilClose);
    for _ in 0..10 {
        let mut bytes = vec![b'a'; 100];
        assert_eq!(decoder.feed(&mut bytes, &limits), Ok(Progress::Partial));
        assert_eq!(decoder.decoded(), 100);
        assert_eq!(decoder.take(100, &mut bytes), 100);
        assert_eq!((decoder.decoded(), decoder.consumed()), (0, 0));
    }
    let error = Err(ParseError::BodyTooLong { limit });
    assert_eq!(decoder.feed(&mut [b'a'], &limits), error);
}

/// Those with a phrase of their own, and all others.
fn statuses() -> impl Iterator<Item = Status> {
    (100..=999).filter_map(Status::from_code)
}

#[test]
fn all_that_the_encoder_writes_is_read_back() {
    let date = HttpDate::from_unix(784_111_777);
    let bodies: [&'static str; 3] = ["", "Hello, World!", "\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"];
    let contexts = [Version::Http10, Version::Http11]
        .into_iter()
        .flat_map(|version| {
            [(false, false), (false, true), (true, false), (true, true)].map(
                |(head_only, close)| ResponseContext {
                    version,
                    head_only,
                    close,
                },
            )
        });
    for context in contexts {
        for status in statuses() {
            for body in bodies {
                let response = Response::text(body).with_status(status);
                let response = response.with_field("X-A", "1\t\u{e9}: ,").unwrap();
                let response = response.with_field("x-b", "").unwrap();
                let mut output = Buffer::default();
                encode(&response, context, &date, &mut output);
                read_back(&response, context, output.data());
            }
        }
    }
}

/// Reads `message`, which the encoder made of `response`, and compares.
fn read_back(response: &Response, context: ResponseContext, message: &[u8]) {
    let shown = message.escape_ascii();
    let answered = match context.head_only {
        true => Method::Head,
        false => Method::Get,
    };
    let parser = parsed(answered, message, &Limits::default()).unwrap();
    let head = parser.head();
    let mut bytes = message[head.len()..].to_vec();
    let mut decoder = BodyDecoder::of_response(head.framing());
    let progress = decoder.feed(&mut bytes, &Limits::default());
    assert_eq!(progress, Ok(Progress::Complete), "{shown}");
    assert_eq!(decoder.consumed(), bytes.len(), "{shown}");
    let view = ResponseView::new(message, head, &bytes);
    let status = response.status();
    assert_eq!((view.status(), view.version()), (status, Version::Http11));
    assert_eq!(view.reason(), status.reason().as_bytes());
    assert_eq!(view.field("X-A"), Some("1\t\u{e9}: ,".as_bytes()));
    assert_eq!(view.field("X-B"), Some(&b""[..]));
    assert_eq!(
        view.field("Date"),
        Some(&b"Sun, 06 Nov 1994 08:49:37 GMT"[..])
    );
    let sends_none = context.head_only || matches!(status.code(), 100..=199 | 204 | 205 | 304);
    let content = if sends_none { b"" } else { response.body() };
    assert_eq!(view.body(), content, "{shown}");
    let stays = !context.close && status != Status::SWITCHING_PROTOCOLS;
    assert_eq!(head.is_persistent(), stays, "{shown}");
}

#[test]
fn what_the_server_says_of_its_own_is_read_back() {
    let mut output = Buffer::default();
    encode_continue(&mut output);
    let parser = parsed(Method::Put, output.data(), &limits()).unwrap();
    assert_eq!(parser.head().status(), Status::CONTINUE);
    assert!(parser.head().is_persistent());
    for status in statuses().filter(|status| status.code() >= 400) {
        let mut output = Buffer::default();
        encode_error(status, &HttpDate::from_unix(0), &mut output);
        let parser = parsed(Method::Get, output.data(), &limits()).unwrap();
        let head = parser.head();
        assert_eq!((head.status(), head.is_persistent()), (status, false));
        let body = &output.data()[head.len()..];
        assert_eq!(body, status.reason().as_bytes());
    }
}
