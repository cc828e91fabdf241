//! Whatever a service puts into a response is refused by name, or comes out as exactly one
//! response that says it, read back by httparse and by a split at line ends.
//!
//! Input: one octet of choices, two of a status, one that counts fields; for each field the length
//! of its name, the name, the length of its value, the value; then the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trine::buffer::Buffer;
use trine::http::{
    FieldError, HttpDate, Response, ResponseContext, Status, Version, encode, encode_continue,
    encode_error,
};

type Field<'a> = (&'a [u8], &'a [u8]);

fuzz_target!(|input: &[u8]| {
    let Some((&[choices, high, low, count], mut rest)) = input.split_first_chunk::<4>() else {
        return;
    };
    let code = u16::from_be_bytes([high, low]);
    let status = Status::from_code(code);
    assert_eq!(status.is_some(), (100..=999).contains(&code));
    let Some(status) = status else { return };
    let context = ResponseContext {
        version: [Version::Http11, Version::Http10][usize::from(choices & 1)],
        head_only: choices & 2 != 0,
        close: choices & 4 != 0,
    };
    let fields = (0..count).map(|_| (prefixed(&mut rest), prefixed(&mut rest)));
    let fields: Vec<Field> = fields.collect();
    let (response, mut content_type) = made(choices >> 3, rest);
    let mut response = match choices & 0x80 {
        0 => response,
        _ => response.with_status(status),
    };
    let mut taken = Vec::new();
    for (name, value) in fields {
        let with_field = response.clone().with_field(name.to_vec(), value.to_vec());
        match (with_field, fault(name, value)) {
            (Ok(with_field), None) => response = with_field,
            (Err(error), Some(expected)) => {
                assert_eq!(error, expected);
                continue;
            }
            (result, expected) => panic!("{result:?}, expected {expected:?}"),
        }
        if name.eq_ignore_ascii_case(b"content-type") {
            content_type = None;
        }
        taken.push((name, value));
    }
    let date = HttpDate::from_unix(u64::from(code) << (choices % 40));
    let expected = Expected {
        status: response.status(),
        date: date.as_str(),
        content_type,
        fields: &taken,
        body: response.body(),
    };
    check(&expected, context, |output| {
        encode(&response, context, &date, output);
    });
    let refusal = Expected {
        status,
        content_type: Some("text/plain; charset=utf-8"),
        fields: &[],
        body: status.reason().as_bytes(),
        ..expected
    };
    let last = ResponseContext {
        version: Version::Http11,
        head_only: false,
        close: true,
    };
    check(&refusal, last, |output| encode_error(status, &date, output));
});

/// Takes a text with its length in front; what is left if it is longer.
fn prefixed<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let (len, behind) = rest.split_first().unwrap_or((&0, &[]));
    let text;
    (text, *rest) = behind.split_at(usize::from(*len).min(behind.len()));
    text
}

/// A response by one of the constructors, and the type it declares.
fn made(choice: u8, body: &[u8]) -> (Response, Option<&'static str>) {
    let body = body.to_vec();
    let plain = Some("text/plain; charset=utf-8");
    match choice % 5 {
        0 => (Response::text(body), plain),
        1 => (Response::html(body), Some("text/html; charset=utf-8")),
        2 => (Response::bytes(body), None),
        3 => (Response::not_found(), plain),
        _ => (Response::new(Status::OK), None),
    }
}

/// The rules, said once more.
fn fault(name: &[u8], value: &[u8]) -> Option<FieldError> {
    let is_token = |octet: &u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(octet);
    let is_text = |octet: &u8| matches!(octet, b'\t' | 0x20..=0x7e | 0x80..);
    let reserved = ["content-length", "transfer-encoding", "connection", "date"];
    let lower = name.to_ascii_lowercase();
    if name.is_empty() || !name.iter().all(is_token) {
        Some(FieldError::Name)
    } else if !value.iter().all(is_text) {
        Some(FieldError::Value)
    } else if reserved.iter().any(|reserved| reserved.as_bytes() == lower) {
        Some(FieldError::Reserved)
    } else {
        None
    }
}

/// What the client is to read.
#[derive(Clone, Copy)]
struct Expected<'a> {
    status: Status,
    date: &'a str,
    content_type: Option<&'a str>,
    fields: &'a [Field<'a>],
    body: &'a [u8],
}

impl Expected<'_> {
    /// The value of `Content-Length` and the content (RFC 9110, 8.6 and 15; RFC 9112, 6.3).
    fn content(&self, head_only: bool) -> (Option<usize>, &[u8]) {
        let len = self.body.len();
        match self.status.code() {
            100..200 | 204 => (None, &[]),
            205 => (Some(0), &[]),
            304 if len == 0 => (None, &[]),
            304 => (Some(len), &[]),
            _ if head_only => (Some(len), &[]),
            _ => (Some(len), self.body),
        }
    }

    /// All fields in the order in which they are sent.
    fn lines(&self, context: ResponseContext) -> Vec<(Vec<u8>, Vec<u8>)> {
        let connection = match context {
            ResponseContext { close: true, .. } => Some("close"),
            ResponseContext {
                version: Version::Http10,
                ..
            } => Some("keep-alive"),
            _ => None,
        };
        let length = self.content(context.head_only).0;
        let length = length.map(|length| length.to_string());
        let own = |name: &'static str, value: Option<&str>| {
            value.map(|value| (name.into(), value.into()))
        };
        let given = |&(name, value): &Field| (name.to_vec(), trimmed(value).to_vec());
        own("Date", Some(self.date))
            .into_iter()
            .chain(own("Connection", connection))
            .chain(own("Content-Type", self.content_type))
            .chain(self.fields.iter().map(given))
            .chain(own("Content-Length", length.as_deref()))
            .collect()
    }
}

/// White space around a value is not part of it (RFC 9110, 5.5).
fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', inner @ ..] | [inner @ .., b' ' | b'\t'] = value {
        value = inner;
    }
    value
}

/// What is appended is one response, as expected, and nothing else.
fn check(expected: &Expected, context: ResponseContext, append: impl FnOnce(&mut Buffer)) {
    const IN_FRONT: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut output = Buffer::default();
    encode_continue(&mut output);
    append(&mut output);
    let octets = output.data().strip_prefix(IN_FRONT);
    let octets = octets.expect("what waits to be written is left alone");
    let lines = expected.lines(context);

    let mut headers = vec![httparse::EMPTY_HEADER; lines.len() + 1];
    let mut seen = httparse::Response::new(&mut headers);
    let head_len = match seen.parse(octets) {
        Ok(httparse::Status::Complete(head_len)) => head_len,
        other => panic!("httparse: {other:?}"),
    };
    assert_eq!(seen.version, Some(1));
    assert_eq!(seen.code, Some(expected.status.code()));
    assert_eq!(seen.reason, Some(expected.status.reason()));
    let fields = seen.headers.iter();
    let fields: Vec<_> = fields
        .map(|field| (field.name.as_bytes().to_vec(), field.value.to_vec()))
        .collect();
    assert_eq!(fields, lines);

    // No length, no content; and behind the content nothing.
    let (length, content) = expected.content(context.head_only);
    assert!(length.is_some() || content.is_empty());
    assert_eq!(&octets[head_len..], content);

    // No reader who ends lines or texts elsewhere finds more of them.
    let head = &octets[..head_len];
    let count = |octet: u8| head.iter().filter(|&&found| found == octet).count();
    let line_ends = head.windows(2).filter(|pair| pair == b"\r\n").count();
    assert_eq!(line_ends, lines.len() + 2);
    assert_eq!((count(b'\r'), count(b'\n')), (line_ends, line_ends));
    let control = |octet: &&u8| octet.is_ascii_control() && !b"\r\n\t".contains(octet);
    assert_eq!(head.iter().find(control), None);
}
