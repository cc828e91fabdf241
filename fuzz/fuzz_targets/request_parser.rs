//! A head fed whole, cut anywhere and octet by octet gives the same; what is accepted, httparse
//! accepts as well and reads the same way.
//!
//! Input: one octet that chooses the limits, three that say where to cut, then the message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trine::http::{Limits, ParseError, Progress, Request, RequestParser};

fuzz_target!(|input: &[u8]| {
    let Some((&[choice, ref cuts @ ..], message)) = input.split_first_chunk::<4>() else {
        return;
    };
    let limits = limits(choice);
    let (mut whole, mut cut, mut dripped) = Default::default();
    let result = feed(&mut whole, message, &[], &limits);
    let mut ends = cuts.map(|cut| usize::from(cut) * message.len() / 255);
    ends.sort_unstable();
    assert_eq!(feed(&mut cut, message, &ends, &limits), result);
    let every: Vec<usize> = (0..message.len().min(600)).collect();
    assert_eq!(feed(&mut dripped, message, &every, &limits), result);
    assert!(dripped.octets_examined() <= message.len() as u64);
    // What lies behind the message has no say: not even the rest of a head.
    for behind in [&b"\r\n\r\n"[..], message, &[b'a'; 100]] {
        let buffer = [message, behind, &[0; 50]].concat();
        let mut within = RequestParser::default();
        for end in ends.into_iter().chain([message.len()]) {
            let progress = within.feed_within(&buffer, end, &limits);
            if end == message.len() || progress != Ok(Progress::Partial) {
                assert_eq!(progress, result);
                break;
            }
        }
        if result == Ok(Progress::Complete) {
            assert_eq!(
                format!("{:?}", within.head()),
                format!("{:?}", whole.head())
            );
        }
    }
    if result == Ok(Progress::Complete) {
        let head = format!("{:?}", whole.head());
        assert_eq!(format!("{:?}", cut.head()), head);
        assert_eq!(format!("{:?}", dripped.head()), head);
        compare(message, &whole);
    }
});

fn limits(choice: u8) -> Limits {
    match choice % 2 {
        0 => Limits::default(),
        _ => Limits {
            head_bytes_max: 120,
            target_bytes_max: 20,
            fields_max: 3,
            body_bytes_max: 100,
            streamed_bytes_max: 100,
            empty_lines_max: 1,
            ..Limits::default()
        },
    }
}

fn feed(
    parser: &mut RequestParser,
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

/// What we accept is a subset of what httparse accepts, but for minor versions above 1.
fn compare(message: &[u8], parser: &RequestParser) {
    let head_len = parser.head().len();
    assert!(head_len <= message.len());
    let ours = Request::new(message, parser.head(), b"");
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut theirs = httparse::Request::new(&mut fields);
    match theirs.parse(message) {
        Ok(status) => assert_eq!(status, httparse::Status::Complete(head_len)),
        Err(httparse::Error::Version) => {
            let line = message[..head_len]
                .windows(9)
                .find(|text| text.starts_with(b" HTTP/1."));
            assert!(line.is_some_and(|version| version[8] > b'1'));
            return;
        }
        Err(error) => panic!("httparse: {error}"),
    }
    assert_eq!(theirs.method, Some(ours.method_name()));
    assert_eq!(theirs.path, Some(ours.target()));
    let fields = theirs.headers.iter().map(|field| (field.name, field.value));
    assert!(ours.fields().eq(fields));
    let _ = (
        ours.path(),
        ours.query(),
        ours.host(),
        ours.to_owned().as_request().target(),
    );
}
