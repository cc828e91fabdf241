//! A response fed whole, cut anywhere and octet by octet gives the same, head and body; what is
//! accepted, httparse accepts as well and reads the same way.
//!
//! Input: one octet that chooses the limits, one that chooses the method of the request, three
//! that say where to cut, then the message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trine::http::{
    BodyDecoder, Framing, Limits, Method, ParseError, Progress, ResponseFraming, ResponseHead,
    ResponseParser, ResponseView, Version,
};

fuzz_target!(|input: &[u8]| {
    let Some((&[limits, answered, ref cuts @ ..], message)) = input.split_first_chunk::<5>() else {
        return;
    };
    let (limits, answered) = (self::limits(limits), method(answered));
    let mut ends = cuts.map(|cut| usize::from(cut) * message.len() / 255);
    ends.sort_unstable();
    let every: Vec<usize> = (0..message.len().min(600)).collect();
    let mut whole = ResponseParser::new(answered);
    let result = feed(&mut whole, message, &[], &limits);
    for ends in [&ends[..], &every] {
        let mut cut = ResponseParser::new(answered);
        assert_eq!(feed(&mut cut, message, ends, &limits), result);
        if result == Ok(Progress::Complete) {
            assert_eq!(format!("{:?}", cut.head()), format!("{:?}", whole.head()));
        }
        assert!(ends.len() < every.len() || cut.octets_examined() <= message.len() as u64);
    }
    for behind in [&b"\r\n\r\n"[..], message, &[b'a'; 100]] {
        check_behind(answered, message, behind, &ends, &limits, &whole, result);
    }
    if result == Ok(Progress::Complete) {
        let (head, head_len) = (whole.head(), whole.head().len());
        assert!(head_len <= message.len());
        compare(message, head);
        check_framing(answered, message, head);
        let body = &message[head_len..];
        let decoded = decode(head.framing(), body, &[], &limits);
        let ends = ends.map(|end| end.min(body.len()));
        assert_eq!(decode(head.framing(), body, &ends, &limits), decoded);
        let every: Vec<usize> = (0..body.len().min(600)).collect();
        assert_eq!(decode(head.framing(), body, &every, &limits), decoded);
        check_body(head.framing(), body, decoded, &limits);
    }
});

fn limits(choice: u8) -> Limits {
    match choice % 2 {
        0 => Limits::default(),
        _ => Limits {
            head_bytes_max: 120,
            fields_max: 3,
            body_bytes_max: 100,
            streamed_bytes_max: 100,
            ..Limits::default()
        },
    }
}

fn method(choice: u8) -> Method {
    let methods = [Method::Get, Method::Head, Method::Connect, Method::Other];
    methods[usize::from(choice) % methods.len()]
}

fn feed(
    parser: &mut ResponseParser,
    message: &[u8],
    ends: &[usize],
    limits: &Limits,
) -> Result<Progress, ParseError> {
    for &end in ends {
        if parser.feed(&message[..end], limits)? == Progress::Complete {
            break;
        }
    }
    parser.feed(message, limits)
}

/// What lies behind the message has no say: not even the rest of a head.
fn check_behind(
    answered: Method,
    message: &[u8],
    behind: &[u8],
    ends: &[usize],
    limits: &Limits,
    whole: &ResponseParser,
    result: Result<Progress, ParseError>,
) {
    let buffer = [message, behind, &[0; 50]].concat();
    let mut within = ResponseParser::new(answered);
    for end in ends.iter().copied().chain([message.len()]) {
        let progress = within.feed_within(&buffer, end, limits);
        if end == message.len() || progress != Ok(Progress::Partial) {
            assert_eq!(progress, result);
            break;
        }
    }
    if result == Ok(Progress::Complete) {
        let head = format!("{:?}", whole.head());
        assert_eq!(format!("{:?}", within.head()), head);
    }
}

/// What we accept is a subset of what httparse accepts, and the parts are equal, but for
/// 1. minor versions above 1, which it refuses;
/// 2. reason phrases that are not ASCII, which it shows as empty.
fn compare(message: &[u8], head: &ResponseHead) {
    let ours = ResponseView::new(message, head, b"");
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut theirs = httparse::Response::new(&mut fields);
    match theirs.parse(message) {
        Ok(status) => assert_eq!(status, httparse::Status::Complete(head.len())),
        Err(httparse::Error::Version) if message[7] > b'1' => return,
        Err(error) => panic!("httparse: {error}"),
    }
    assert_eq!(theirs.code, Some(ours.status().code()));
    let minor = u8::from(ours.version() == Version::Http11);
    assert_eq!(theirs.version, Some(minor));
    let reason = Some(ours.reason()).filter(|reason| reason.is_ascii());
    assert_eq!(theirs.reason.map(str::as_bytes), reason.or(Some(b"")));
    let fields = theirs.headers.iter().map(|field| (field.name, field.value));
    assert!(ours.fields().eq(fields));
}

/// RFC 9112, 6.3 once more, from the fields as the view shows them.
fn check_framing(answered: Method, message: &[u8], head: &ResponseHead) {
    let view = ResponseView::new(message, head, b"");
    let code = head.status().code();
    let lengths = |name: &str| {
        let named = view
            .fields()
            .filter(|field| field.0.eq_ignore_ascii_case(name));
        named.map(|field| field.1).collect::<Vec<_>>()
    };
    let (length, coding) = (lengths("Content-Length"), lengths("Transfer-Encoding"));
    let is_tunnel = answered == Method::Connect && (200..300).contains(&code);
    if !is_tunnel {
        assert!(length.len() + coding.len() <= 1);
        assert!(
            coding
                .iter()
                .all(|coding| coding.eq_ignore_ascii_case(b"chunked"))
        );
        assert!(coding.is_empty() || head.version() == Version::Http11);
    }
    let number = |digits: &[u8]| str::from_utf8(digits).ok()?.parse::<u64>().ok();
    let expected = match (&length[..], &coding[..]) {
        _ if is_tunnel || code == 101 => ResponseFraming::Tunnel,
        _ if answered == Method::Head || code < 200 || code == 204 || code == 304 => {
            ResponseFraming::SelfDelimited(Framing::None)
        }
        ([], []) => ResponseFraming::UntilClose,
        ([digits], []) => ResponseFraming::SelfDelimited(match number(digits).unwrap() {
            0 => Framing::None,
            length => Framing::Length(length),
        }),
        _ => ResponseFraming::SelfDelimited(Framing::Chunked),
    };
    assert_eq!(head.framing(), expected);
    let ends_itself = matches!(expected, ResponseFraming::SelfDelimited(_));
    assert!(ends_itself || !head.is_persistent());
}

/// The content, how many octets it took, and whether the close of the connection leaves it whole.
type Decoded = Result<(Vec<u8>, usize, Result<(), ParseError>), ParseError>;

fn decode(framing: ResponseFraming, body: &[u8], ends: &[usize], limits: &Limits) -> Decoded {
    let mut bytes = body.to_vec();
    let mut decoder = BodyDecoder::of_response(framing);
    for end in ends.iter().copied().chain([body.len()]) {
        let progress = decoder.feed(&mut bytes[..end], limits)?;
        assert!(decoder.decoded() <= decoder.consumed() && decoder.consumed() <= end);
        if progress == Progress::Complete {
            assert_eq!(decoder.handle_close(), Ok(()));
            break;
        }
    }
    assert_eq!(bytes[decoder.consumed()..], body[decoder.consumed()..]);
    let closed = decoder.handle_close();
    bytes.truncate(decoder.decoded());
    Ok((bytes, decoder.consumed(), closed))
}

/// What is content without chunks; those have a target of their own.
fn check_body(framing: ResponseFraming, body: &[u8], decoded: Decoded, limits: &Limits) {
    let limit = limits.body_bytes_max;
    let (content, closed) = match framing {
        ResponseFraming::SelfDelimited(Framing::Chunked) => return,
        ResponseFraming::Tunnel | ResponseFraming::SelfDelimited(Framing::None) => (0, Ok(())),
        ResponseFraming::UntilClose if body.len() as u64 > limit => {
            return assert_eq!(decoded, Err(ParseError::BodyTooLong { limit }));
        }
        ResponseFraming::UntilClose => (body.len(), Ok(())),
        ResponseFraming::SelfDelimited(Framing::Length(length)) => {
            match body.get(..usize::try_from(length).unwrap()) {
                Some(content) => (content.len(), Ok(())),
                None => (body.len(), Err(ParseError::Incomplete)),
            }
        }
    };
    let expected = (body[..content].to_vec(), content, closed);
    assert_eq!(decoded, Ok(expected));
}
