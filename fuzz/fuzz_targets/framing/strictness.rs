//! Where trine is stricter than the model: for each error, how the request can be seen to deserve
//! it. Written from the RFCs and not from the parser.

use std::net::Ipv6Addr;

use super::generator::EXTENSIONS;
use super::model::{Head, Piece, chunks, elements, size};
use trine::http::{Limits, ParseError};

/// Whether the request in front of `octets` breaks the rule that `error` names.
pub fn is_broken(error: ParseError, octets: &[u8]) -> bool {
    let head = Head::read(octets);
    let pieces = match (head.behind, head.codings()) {
        (Some(behind), Some(_)) => chunks(behind).0,
        _ => Vec::new(),
    };
    let body = Body { pieces: &pieces };
    let line = RequestLine::read(head.lines[0]);
    match error {
        ParseError::BareCr
        | ParseError::BareLf
        | ParseError::ControlOctet
        | ParseError::FoldedLine
        | ParseError::FieldName => lines_break(error, &head, &body),
        ParseError::EmptyLines { limit } => head.empty_lines > usize::from(limit),
        ParseError::Method => !line.method_is_token,
        ParseError::MethodTooLong => token_len(head.lines[0]) > 32,
        ParseError::Target => line.method_is_token && !line.target_is_valid(),
        ParseError::Version => line.version.is_none(),
        ParseError::VersionUnsupported => line.version.is_some_and(|[major, _]| major != b'1'),
        ParseError::ChunkSize => body.sizes().any(|line| !has_size(line)),
        ParseError::ChunkExtension => body.sizes().any(|line| !has_known_extensions(line)),
        ParseError::ChunkEnd => body.ends().any(|end| !b"\r\n".starts_with(end)),
        ParseError::BodyTooLong { limit } => {
            let length = head
                .values("content-length")
                .first()
                .and_then(|v| decimal(v));
            let sizes = body.sizes().filter_map(size);
            let total = sizes.fold(length.unwrap_or(0), u64::saturating_add);
            limit == Limits::default().body_bytes_max && total > limit
        }
        ParseError::HostRepeated => head.values("host").len() > 1,
        ParseError::ContentLength => {
            let lengths = head.values("content-length");
            lengths.iter().any(|value| decimal(value).is_none())
        }
        ParseError::ContentLengthRepeated => head.values("content-length").len() > 1,
        _ => head.behind.is_some() && fields_break(error, &head, &line),
    }
}

/// The rules for single lines, be they in the head or between chunks.
fn lines_break(error: ParseError, head: &Head, body: &Body) -> bool {
    let sizes = body.sizes();
    let mut lines = head
        .lines
        .iter()
        .copied()
        .chain(sizes)
        .chain(body.trailers());
    let mut fields = head.lines.iter().copied().skip(1).chain(body.trailers());
    let is_blank = |line: &[u8]| matches!(line.first(), Some(b' ' | b'\t'));
    match error {
        ParseError::BareLf => lines.any(|line| line.contains(&b'\n')),
        ParseError::BareCr => lines.any(|line| line.contains(&b'\r')),
        ParseError::ControlOctet => lines.any(|line| {
            let is_control = |octet: &u8| octet.is_ascii_control() && !b"\t\r\n".contains(octet);
            line.iter().any(is_control)
        }),
        ParseError::FoldedLine => fields.any(is_blank),
        _ => fields.any(|line| {
            let len = token_len(line);
            !is_blank(line) && (len == 0 || line.get(len) != Some(&b':'))
        }),
    }
}

/// The rules for which the head has to be whole.
fn fields_break(error: ParseError, head: &Head, line: &RequestLine) -> bool {
    let is_http10 = line.version == Some(*b"10");
    let (hosts, lengths) = (head.values("host"), head.values("content-length"));
    let codings = head.codings().unwrap_or_default();
    let is_chunked = |coding: &&[u8]| coding.eq_ignore_ascii_case(b"chunked");
    match error {
        ParseError::HostMissing => hosts.is_empty() && !is_http10,
        ParseError::Host => match Authority::read(hosts[0]) {
            None => true,
            Some(found) => found.host.is_empty() && line.target.starts_with(b"/"),
        },
        ParseError::AmbiguousFraming => !lengths.is_empty() && !codings.is_empty(),
        ParseError::TransferEncodingInHttp10 => is_http10 && !codings.is_empty(),
        ParseError::TransferEncoding => {
            let chunked = codings.iter().filter(|coding| is_chunked(coding)).count();
            let ends_chunked = codings.last().is_some_and(is_chunked);
            codings.iter().any(|coding| coding.is_empty()) || !ends_chunked || chunked > 1
        }
        ParseError::TransferCodingUnknown => {
            codings.len() > 1 && codings.last().is_some_and(is_chunked)
        }
        ParseError::Expectation => {
            let values = head.values("expect");
            let all = values.iter().flat_map(|value| elements(value));
            let known = |element: &[u8]| element.eq_ignore_ascii_case(b"100-continue");
            !is_http10 && { all }.any(|element| !element.is_empty() && !known(element))
        }
        _ => false, // streams are too short for the other limits
    }
}

struct Body<'a> {
    pieces: &'a [Piece<'a>],
}

impl<'a> Body<'a> {
    fn sizes(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::SizeLine(line) => Some(*line),
            _ => None,
        })
    }

    fn ends(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::DataEnd(end) => Some(*end),
            _ => None,
        })
    }

    fn trailers(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Trailer(line) => Some(*line),
            _ => None,
        })
    }
}

/// Whether the line begins with a number below 2^63 and goes on with what may follow one.
fn has_size(line: &[u8]) -> bool {
    let len = line
        .iter()
        .take_while(|octet| octet.is_ascii_hexdigit())
        .count();
    let digits = String::from_utf8_lossy(&line[..len]);
    let fits = i64::from_str_radix(&digits, 16).is_ok();
    fits && matches!(line.get(len), None | Some(b';' | b' ' | b'\t'))
}

/// Whether what follows the size is what the generator knows to be valid. The grammar itself is
/// the matter of the target `chunked_body`.
fn has_known_extensions(line: &[u8]) -> bool {
    let len = line
        .iter()
        .take_while(|octet| octet.is_ascii_hexdigit())
        .count();
    EXTENSIONS
        .iter()
        .any(|known| known.as_bytes() == &line[len..])
}

fn decimal(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    let is_digits = text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse().ok().filter(|_| is_digits)
}

struct RequestLine<'a> {
    /// In front of a space.
    method_is_token: bool,
    method: &'a [u8],
    target: &'a [u8],
    /// Major and minor, if the line ends in a space and a version.
    version: Option<[u8; 2]>,
}

impl<'a> RequestLine<'a> {
    fn read(line: &'a [u8]) -> RequestLine<'a> {
        let space = line.iter().position(|&octet| octet == b' ');
        let (method, rest) = line.split_at(space.unwrap_or(line.len()));
        let rest = rest.get(1..).unwrap_or_default();
        let (target, tail) = rest.split_at(rest.len().saturating_sub(" HTTP/1.1".len()));
        let version = match tail {
            [b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                Some([*major, *minor])
            }
            _ => None,
        };
        RequestLine {
            method_is_token: space.is_some()
                && !method.is_empty()
                && token_len(method) == method.len(),
            method,
            target,
            version,
        }
    }

    /// RFC 9112, 3.2.
    fn target_is_valid(&self) -> bool {
        let visible = |octet: &u8| octet.is_ascii_graphic() && *octet != b'#';
        let form = match (self.method, self.target) {
            (b"CONNECT", target) => Authority::read(target)
                .is_some_and(|found| !found.host.is_empty() && found.port.is_some_and(|p| p > 0)),
            (_, [b'/', ..]) => true,
            (b"OPTIONS", b"*") => true,
            (_, target) => absolute(target).is_some_and(|found| !found.host.is_empty()),
        };
        form && self.target.iter().all(visible)
    }
}

fn absolute(target: &[u8]) -> Option<Authority<'_>> {
    let text = std::str::from_utf8(target).ok()?;
    let (scheme, rest) = text.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let is_known = ["http", "https"].contains(&&scheme.to_ascii_lowercase()[..]);
    Authority::read(rest[..end].as_bytes()).filter(|_| is_known)
}

/// RFC 3986, 3.2, without user information.
struct Authority<'a> {
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    fn read(octets: &'a [u8]) -> Option<Authority<'a>> {
        let text = std::str::from_utf8(octets).ok()?;
        let host_end = match text.starts_with('[') {
            true => text.find(']')? + 1,
            false => text.find(':').unwrap_or(text.len()),
        };
        let (host, port) = text.split_at(host_end);
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return None,
            Some("") => None,
            Some(digits) if digits.bytes().all(|octet| octet.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            Some(_) => return None,
        };
        let is_valid = match host.strip_prefix('[') {
            Some(address) => address.strip_suffix(']')?.parse::<Ipv6Addr>().is_ok(),
            None => is_registered_name(host),
        };
        is_valid.then_some(Authority { host, port })
    }
}

fn is_registered_name(host: &str) -> bool {
    let mut parts = host.split('%');
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=".contains(c);
    let first = parts.next().is_some_and(|part| part.chars().all(plain));
    let encoded = |part: &str| {
        let digits = part.bytes().take(2).filter(u8::is_ascii_hexdigit).count();
        digits == 2 && part.chars().all(plain)
    };
    first && parts.all(encoded)
}

fn token_len(octets: &[u8]) -> usize {
    let is_token =
        |octet: &&u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(octet);
    octets.iter().take_while(is_token).count()
}
