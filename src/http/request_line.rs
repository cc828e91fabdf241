//! The request line: method, target, version, one SP between them (RFC 9112, 3).

use super::authority::Authority;
use super::block::{self, BLOCK};
use super::grammar::{target_len, token_len};
use super::head::Span;
use super::{Limits, Method, ParseError, Version};

/// SP, version and CR LF; the version is the same length whichever it is.
const TAIL_BYTES: usize = HTTP_11_TAIL.len();
const HTTP_11_TAIL: &[u8; 11] = b" HTTP/1.1\r\n";

/// What a request line says, with offsets into the line.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestLine {
    pub method: Method,
    pub method_name: Span,
    pub target: Span,
    pub form: Form,
    /// Of the absolute form.
    pub authority: Option<Span>,
    pub version: Version,
}

/// The forms of a request target (RFC 9112, 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Form {
    /// A path, and perhaps a query.
    #[default]
    Origin,
    /// A whole URI, whose authority stands in for `Host`.
    Absolute,
    /// Host and port, for CONNECT alone.
    Authority,
    /// `*`, for OPTIONS alone.
    Asterisk,
}

/// The longest request line taken, in bytes with its line end.
#[inline]
pub(super) fn bytes_max(limits: &Limits) -> usize {
    Method::BYTES_MAX + 1 + limits.target_bytes_max as usize + TAIL_BYTES
}

/// What is wrong with a line that did not end within [`bytes_max`].
pub(super) fn too_long(line: &[u8], limits: &Limits) -> ParseError {
    let limit = limits.target_bytes_max;
    method_len(line)
        .err()
        .unwrap_or(ParseError::TargetTooLong { limit })
}

/// Reads the line that `octets`, and the message, begin with if it is whole and as nearly all are:
/// with a path for a target, of HTTP/1.1. Returns it with its length, line end included.
///
/// Of any other it says nothing: that is for the line machine and [`parse`], which would say the
/// same of this one.
#[inline(always)]
pub(super) fn parse_plain(
    octets: &[u8],
    bound: usize,
    limits: &Limits,
) -> Option<(RequestLine, usize)> {
    let found = short_get(octets).or_else(|| any_path(block::reach(octets, bound)));
    let (method, method_len, target_len) = found?;
    if target_len > limits.target_bytes_max as usize {
        return None;
    }
    let line = RequestLine {
        method,
        method_name: Span::at(0, method_len),
        target: Span::at(method_len + 1, target_len),
        form: Form::Origin,
        authority: None,
        version: Version::Http11,
    };
    Some((line, method_len + 1 + target_len + TAIL_BYTES))
}

/// Octets in which a line is found that is short enough for a single look.
const WINDOW: usize = "GET ".len() + BLOCK + TAIL_BYTES;

/// The method and the lengths of method and target, of a line with GET and a path that ends in the
/// first block. All that is looked at lies within a window, so nothing needs to be checked again.
#[inline(always)]
fn short_get(octets: &[u8]) -> Option<(Method, usize, usize)> {
    let window: &[u8; WINDOW] = octets.first_chunk()?;
    let (_, rest) = window.split_first_chunk::<{ "GET ".len() }>()?;
    let target_len = block::short_target_len(rest.first_chunk()?);
    let is_get = window.first_chunk() == Some(b"GET /");
    let is_plain = is_get && is_http_11(rest[target_len..].first_chunk()?);
    is_plain.then_some((Method::Get, 3, target_len))
}

/// The same for any method but CONNECT and a path of any length.
#[inline(never)]
fn any_path(octets: &[u8]) -> Option<(Method, usize, usize)> {
    let (method, method_len) = method(octets).ok()?;
    let rest = octets.get(method_len + 1..)?;
    let target_len = block::target_len(rest)?;
    let tail = rest.get(target_len..)?.first_chunk()?;
    let is_plain = rest[0] == b'/' && method != Method::Connect && is_http_11(tail);
    is_plain.then_some((method, method_len, target_len))
}

/// Two words, the last one over the end of the first, are compared faster than so many octets.
#[inline(always)]
fn is_http_11(tail: &[u8; TAIL_BYTES]) -> bool {
    tail.first_chunk::<8>() == HTTP_11_TAIL.first_chunk()
        && tail.last_chunk::<4>() == HTTP_11_TAIL.last_chunk()
}

/// Reads `line`, which ends in CR LF; `start` is its offset in the message.
pub(super) fn parse(line: &[u8], start: usize, limits: &Limits) -> Result<RequestLine, ParseError> {
    let (method, method_len) = method(line)?;
    let rest = &line[method_len + 1..];
    let Some((target, tail)) = rest.split_last_chunk::<TAIL_BYTES>() else {
        return Err(ParseError::Version);
    };
    let version = version(tail)?;
    if target.len() > limits.target_bytes_max as usize {
        let limit = limits.target_bytes_max;
        return Err(ParseError::TargetTooLong { limit });
    }
    let (target_start, method_name) = (start + method_len + 1, Span::at(start, method_len));
    if target_len(target) < target.len() {
        return Err(ParseError::Target);
    }
    let mut authority = None;
    let form = match (target, method) {
        ([b'/', ..], _) if method != Method::Connect => Form::Origin,
        ([b'*'], Method::Options) => Form::Asterisk,
        (_, Method::Connect) => authority_form(target)?,
        _ => {
            authority = Some(authority_of(target, target_start)?);
            Form::Absolute
        }
    };
    Ok(RequestLine {
        method,
        method_name,
        target: Span::at(target_start, target.len()),
        form,
        authority,
        version,
    })
}

/// The method in front of `line` and its length; a SP is behind it.
#[inline(always)]
fn method(line: &[u8]) -> Result<(Method, usize), ParseError> {
    if line.first_chunk() == Some(b"GET ") {
        return Ok((Method::Get, 3));
    }
    other_method(line)
}

#[inline(never)]
fn other_method(line: &[u8]) -> Result<(Method, usize), ParseError> {
    let len = method_len(line)?;
    Ok((Method::from_token(&line[..len]), len))
}

/// The length of the method in front of `line`, which a SP ends.
fn method_len(line: &[u8]) -> Result<usize, ParseError> {
    let front = &line[..line.len().min(Method::BYTES_MAX + 1)];
    match token_len(front) {
        len if len > Method::BYTES_MAX => Err(ParseError::MethodTooLong),
        len if len > 0 && front.get(len) == Some(&b' ') => Ok(len),
        _ => Err(ParseError::Method),
    }
}

/// The version at the end of the line.
#[inline]
fn version(tail: &[u8; TAIL_BYTES]) -> Result<Version, ParseError> {
    if is_http_11(tail) {
        return Ok(Version::Http11);
    }
    match tail {
        [b' ', name @ .., b'\r', b'\n'] => Version::from_name(name),
        _ => Err(ParseError::Version),
    }
}

/// CONNECT needs a host and a port that is not 0 (RFC 9110, 9.3.6).
fn authority_form(target: &[u8]) -> Result<Form, ParseError> {
    match Authority::parse(target) {
        Some(Authority {
            host_is_empty: false,
            has_port: true,
        }) => Ok(Form::Authority),
        _ => Err(ParseError::Target),
    }
}

/// The authority of a URI of the schemes this server speaks; it must name a host (RFC 9110,
/// 4.2.1).
fn authority_of(target: &[u8], start: usize) -> Result<Span, ParseError> {
    let after = |scheme: &[u8]| {
        let front = target.get(..scheme.len())?;
        front.eq_ignore_ascii_case(scheme).then_some(scheme.len())
    };
    let scheme_len = after(b"http://").or_else(|| after(b"https://"));
    let scheme_len = scheme_len.ok_or(ParseError::Target)?;
    let rest = &target[scheme_len..];
    let ends = |&octet: &u8| octet == b'/' || octet == b'?';
    let len = rest.iter().position(ends).unwrap_or(rest.len());
    match Authority::parse(&rest[..len]) {
        Some(Authority {
            host_is_empty: false,
            ..
        }) => Ok(Span::at(start + scheme_len, len)),
        _ => Err(ParseError::Target),
    }
}
