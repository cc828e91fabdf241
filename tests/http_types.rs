//! Conversions from and to the types of the `http` crate.
#![cfg(feature = "http-types")]

use bytes::Bytes;
use http::HeaderMap;
use trine::http::{
    ConversionError, FieldError, Limits, Method, Progress, Request, RequestParser, Response,
    Status, Version,
};

fn converted(message: &str, body: &str) -> Result<http::Request<Bytes>, ConversionError> {
    let limits = Limits {
        head_bytes_max: 1 << 20,
        target_bytes_max: 1 << 18,
        fields_max: u16::MAX,
        ..Limits::default()
    };
    let mut parser = RequestParser::default();
    let progress = parser.feed(message.as_bytes(), &limits);
    assert_eq!(progress, Ok(Progress::Complete), "{message}");
    let request = Request::new(message.as_bytes(), parser.head(), body.as_bytes());
    http::Request::try_from(&request)
}

fn values<'a>(fields: &'a HeaderMap, name: &str) -> Vec<&'a [u8]> {
    let values = fields.get_all(name).iter();
    values.map(http::HeaderValue::as_bytes).collect()
}

#[test]
fn a_request_says_the_same_in_the_other_type() {
    let message = "PATCH /a/b?c=%20 HTTP/1.0\r\nHost: x:1\r\nA: 1\r\nContent-Length: 5\r\n\
                   a:\t\u{e9}\tb \r\nConnection: close\r\n\r\n";
    let request = converted(message, "hello").unwrap();
    assert_eq!(request.method(), http::Method::PATCH);
    assert_eq!(request.uri(), "/a/b?c=%20");
    assert_eq!(request.version(), http::Version::HTTP_10);
    assert_eq!(request.body(), "hello");
    let fields = request.headers();
    assert_eq!(fields.len(), 5);
    assert_eq!(values(fields, "a"), [&b"1"[..], "\u{e9}\tb".as_bytes()]);
    assert_eq!(values(fields, "host"), [b"x:1"]);
    assert_eq!(values(fields, "content-length"), [b"5"]);
    assert_eq!(values(fields, "connection"), [b"close"]);
}

#[test]
fn a_chunked_request_has_a_length_and_no_coding_any_more() {
    let message = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n";
    for body in ["", "hello"] {
        let request = converted(message, body).unwrap();
        let fields = request.headers();
        assert_eq!(values(fields, "transfer-encoding"), [b""; 0]);
        let length = body.len().to_string();
        assert_eq!(values(fields, "content-length"), [length.as_bytes()]);
    }
}

#[test]
fn each_form_of_target_is_taken_and_names_one_host() {
    for (line, uri, host) in [
        ("GET /", "/", "h"),
        ("GET //evil/..?", "//evil/..?", "h"),
        ("GET /http://x/y", "/http://x/y", "h"),
        ("OPTIONS *", "*", "h"),
        ("CONNECT b:1", "b:1", "h"),
        ("GET http://b?q", "http://b/?q", "b"),
        ("GET http://b:1/c?d://e", "http://b:1/c?d://e", "b:1"),
        ("GET HttpS://[::1]/c", "https://[::1]/c", "[::1]"),
        ("B-REW /", "/", "h"),
    ] {
        let message = format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n");
        let request = converted(&message, "").expect(line);
        assert_eq!(request.uri(), uri, "{line}");
        assert_eq!(request.method(), line.split(' ').next().unwrap());
        let hosts = values(request.headers(), "host");
        assert_eq!(hosts, [host.as_bytes()], "{line}");
    }
}

#[test]
fn a_target_or_a_number_of_fields_that_the_other_type_cannot_hold_is_an_error() {
    let long = format!("/{}", "a".repeat(70_000));
    for target in ["/a<b", "/a`", "http://%41b/", &long] {
        let message = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let error = converted(&message, "").unwrap_err();
        assert_eq!(error, ConversionError::Target, "{target}");
    }
    let fields: String = (0..40_000)
        .map(|number| format!("a{number}:\r\n"))
        .collect();
    for field in [&fields[..], &format!("{}:\r\n", "a".repeat(70_000))] {
        let message = format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n");
        let error = converted(&message, "").unwrap_err();
        assert_eq!(error, ConversionError::Fields);
    }
}

#[test]
fn a_response_keeps_status_fields_and_body() {
    let response = http::Response::builder()
        .status(299)
        .version(http::Version::HTTP_2)
        .header("Set-Cookie", "a=1")
        .header("Content-Type", "text/x")
        .header("Set-Cookie", &b"b=\xff"[..])
        .body("hello")
        .unwrap();
    let response = Response::try_from(response).unwrap();
    assert_eq!(response.status().code(), 299);
    assert_eq!(response.body(), b"hello");
    let text = encoded(&response);
    let lines: Vec<_> = text.split("\r\n").collect();
    let cookies: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("set-"))
        .collect();
    assert_eq!(cookies, [&"set-cookie: a=1", &"set-cookie: b=\\xff"]);
    assert!(lines.contains(&"content-type: text/x"));
    assert!(text.starts_with("HTTP/1.1 299 "), "{text}");
    assert!(text.ends_with("Content-Length: 5\r\n\r\nhello"), "{text}");
}

/// The octets sent, but for the date, with those outside ASCII escaped.
fn encoded(response: &Response) -> String {
    let mut output = trine::buffer::Buffer::default();
    let context = trine::http::ResponseContext {
        version: Version::Http11,
        head_only: false,
        close: false,
    };
    let date = trine::http::HttpDate::from_unix(0);
    trine::http::encode(response, context, &date, &mut output);
    let escaped = |&octet: &u8| match octet {
        0x80.. => octet.escape_ascii().to_string(),
        _ => char::from(octet).to_string(),
    };
    output.data().iter().map(escaped).collect()
}

#[test]
fn a_response_cannot_bring_its_own_framing_along() {
    let with = |name: &str, value: &str| {
        let response = http::Response::builder().header(name, value).body("hello");
        Response::try_from(response.unwrap())
    };
    for (name, value) in [
        ("Content-Length", "4"),
        ("Content-Length", "05"),
        ("Content-Length", "6"),
        ("Content-Length", ""),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Date", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ] {
        let error = with(name, value).map(drop).unwrap_err();
        assert_eq!(error, FieldError::Reserved, "{name}: {value}");
    }
    let text = encoded(&with("Content-Length", "5").unwrap());
    let lengths = text.to_ascii_lowercase().matches("content-length").count();
    assert_eq!(lengths, 1, "{text}");
}

#[test]
fn methods_statuses_and_versions_go_both_ways() {
    for name in [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ] {
        let theirs = http::Method::from_bytes(name.as_bytes()).unwrap();
        let ours = Method::from(&theirs);
        assert_ne!(ours, Method::Other);
        assert_eq!(http::Method::try_from(ours), Ok(theirs));
    }
    let theirs = http::Method::from_bytes(b"get").unwrap();
    assert_eq!(Method::from(&theirs), Method::Other);
    assert_eq!(
        http::Method::try_from(Method::Other),
        Err(ConversionError::Method)
    );
    for code in 100..=999 {
        let ours = Status::from_code(code).unwrap();
        let theirs = http::StatusCode::from(ours);
        assert_eq!((theirs.as_u16(), Status::from(theirs)), (code, ours));
    }
    for ours in [Version::Http10, Version::Http11] {
        assert_eq!(Version::try_from(http::Version::from(ours)), Ok(ours));
    }
    for theirs in [
        http::Version::HTTP_09,
        http::Version::HTTP_2,
        http::Version::HTTP_3,
    ] {
        assert_eq!(Version::try_from(theirs), Err(ConversionError::Version));
    }
}
