//! Responses: what is sent, read back by a parser that is not ours.

use std::time::{Duration, UNIX_EPOCH};

use trine::buffer::Buffer;
use trine::http::{
    DateCache, FieldError, HttpDate, Response, ResponseContext, Status, Version, encode,
    encode_continue, encode_error,
};

const KEPT: ResponseContext = ResponseContext {
    version: Version::Http11,
    head_only: false,
    close: false,
};

/// A response as the client sees it.
#[derive(Debug)]
struct Seen {
    code: u16,
    reason: String,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Seen {
    fn field(&self, name: &str) -> Option<&str> {
        let mut found = self
            .fields
            .iter()
            .filter(|field| field.0.eq_ignore_ascii_case(name));
        let value = found
            .next()
            .map(|field| std::str::from_utf8(&field.1).unwrap());
        assert!(found.next().is_none(), "{name} is there twice");
        value
    }
}

fn sent(response: &Response, context: ResponseContext) -> Seen {
    let mut output = Buffer::default();
    encode(
        response,
        context,
        &HttpDate::from_unix(784_111_777),
        &mut output,
    );
    read(output.data())
}

fn read(octets: &[u8]) -> Seen {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut fields);
    let head_len = response.parse(octets).unwrap().unwrap();
    assert_eq!(response.version, Some(1));
    let field = |field: &&mut httparse::Header<'_>| (field.name.to_owned(), field.value.to_vec());
    Seen {
        code: response.code.unwrap(),
        reason: response.reason.unwrap().to_owned(),
        fields: response
            .headers
            .iter_mut()
            .map(|found| field(&found))
            .collect(),
        body: octets[head_len..].to_vec(),
    }
}

#[test]
fn a_text_is_sent_with_its_type_length_and_date() {
    let seen = sent(&Response::text("Hello, World!"), KEPT);
    assert_eq!((seen.code, &seen.reason[..]), (200, "OK"));
    assert_eq!(
        seen.field("Content-Type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(seen.field("Content-Length"), Some("13"));
    assert_eq!(seen.field("Date"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_eq!(
        (seen.fields.len(), &seen.body[..]),
        (3, &b"Hello, World!"[..])
    );
}

#[test]
fn fields_are_sent_in_order_and_a_type_given_replaces_the_default() {
    let response = Response::html("<p>")
        .with_field("Content-Type", "text/x")
        .and_then(|response| response.with_field("X-A", "1\t\u{e9}"))
        .and_then(|response| response.with_field("x-a", ""));
    let seen = sent(&response.unwrap(), KEPT);
    assert_eq!(seen.field("Content-Type"), Some("text/x"));
    let values: Vec<_> = seen
        .fields
        .iter()
        .filter(|field| field.0.len() == 3)
        .collect();
    assert_eq!(values[0].1, "1\t\u{e9}".as_bytes());
    assert_eq!((&values[1].0[..], &values[1].1[..]), ("x-a", &b""[..]));
}

#[test]
fn what_could_split_a_response_is_refused() {
    let with = |name: &'static str, value: &'static str| {
        Response::text("").with_field(name, value).map(drop)
    };
    for value in [
        "a\rb",
        "a\nb",
        "a\r\nSet-Cookie: b",
        "a\0b",
        "\r\n\r\nHTTP/1.1 200 OK",
        "\u{7f}",
        "\u{1b}",
    ] {
        assert_eq!(with("X", value), Err(FieldError::Value), "{value:?}");
    }
    for name in ["", "a b", "a:", "a\r\nb", "a\0", "é", "a\n"] {
        assert_eq!(with(name, "x"), Err(FieldError::Name), "{name:?}");
    }
    for name in ["content-length", "Transfer-Encoding", "CONNECTION", "Date"] {
        assert_eq!(with(name, "x"), Err(FieldError::Reserved), "{name}");
    }
}

#[test]
fn the_connection_field_says_what_the_client_cannot_know() {
    let says = |version, close| {
        let context = ResponseContext {
            version,
            close,
            ..KEPT
        };
        sent(&Response::text(""), context)
            .field("Connection")
            .map(str::to_owned)
    };
    assert_eq!(says(Version::Http11, false), None);
    assert_eq!(says(Version::Http11, true).as_deref(), Some("close"));
    assert_eq!(says(Version::Http10, false).as_deref(), Some("keep-alive"));
    assert_eq!(says(Version::Http10, true).as_deref(), Some("close"));
}

#[test]
fn length_and_content_are_left_out_where_they_must_be() {
    let head = ResponseContext {
        head_only: true,
        ..KEPT
    };
    for (status, context, length, body) in [
        (Status::OK, KEPT, Some("5"), &b"hello"[..]),
        (Status::OK, head, Some("5"), b""),
        (Status::NO_CONTENT, KEPT, None, b""),
        (Status::NO_CONTENT, head, None, b""),
        (Status::RESET_CONTENT, KEPT, Some("0"), b""),
        (Status::NOT_MODIFIED, KEPT, Some("5"), b""),
        (Status::CONTINUE, KEPT, None, b""),
    ] {
        let seen = sent(&Response::text("hello").with_status(status), context);
        assert_eq!(seen.field("Content-Length"), length, "{status}");
        assert_eq!(seen.body, body, "{status}");
    }
    let seen = sent(&Response::new(Status::NOT_MODIFIED), KEPT);
    assert_eq!(seen.field("Content-Length"), None);
}

#[test]
fn every_code_of_three_digits_can_be_sent() {
    for code in 100..=999 {
        let status = Status::from_code(code).unwrap();
        let seen = sent(&Response::new(status), KEPT);
        assert_eq!((seen.code, &seen.reason[..]), (code, status.reason()));
    }
    assert_eq!([99, 1000].map(Status::from_code), [None, None]);
}

#[test]
fn lengths_are_written_in_full_whatever_their_size() {
    for length in [0, 1, 9, 10, 99, 100, 12_345, 1_000_000] {
        let body = vec![b'x'; length];
        let seen = sent(&Response::bytes(body.clone()), KEPT);
        assert_eq!(seen.field("Content-Length"), Some(&length.to_string()[..]));
        assert!(seen.body == body);
        assert_eq!(seen.field("Content-Type"), None);
    }
}

#[test]
fn responses_are_appended_to_what_waits_to_be_written() {
    let mut output = Buffer::default();
    let date = HttpDate::from_unix(0);
    encode_continue(&mut output);
    encode(&Response::not_found(), KEPT, &date, &mut output);
    encode_error(Status::URI_TOO_LONG, &date, &mut output);
    let rest = output
        .data()
        .strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        .unwrap();
    let first = read(rest);
    assert_eq!(first.code, 404);
    let length: usize = first.field("Content-Length").unwrap().parse().unwrap();
    let last = read(&first.body[length..]);
    assert_eq!((last.code, last.field("Connection")), (414, Some("close")));
    assert_eq!(last.body, b"URI Too Long");
}

#[test]
fn dates_are_those_of_the_calendar_and_end_with_the_year_9999() {
    for seconds in [0, 951_782_399, 951_782_400, 4_102_444_800, 253_402_300_799] {
        let date = HttpDate::from_unix(seconds);
        let parsed = httpdate::parse_http_date(date.as_str()).unwrap();
        assert_eq!(parsed, UNIX_EPOCH + Duration::from_secs(seconds));
    }
    assert_eq!(
        HttpDate::from_unix(u64::MAX).as_str(),
        "Fri, 31 Dec 9999 23:59:59 GMT"
    );
}

#[test]
fn the_date_kept_follows_the_clock_both_ways() {
    let mut dates = DateCache::default();
    for second in [0, 1, 1, 784_111_777, 5, 784_111_777] {
        assert_eq!(*dates.at(second), HttpDate::from_unix(second));
    }
}
