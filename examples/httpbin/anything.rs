//! A request as JSON, for testers who compare what they sent with what was understood.

use std::fmt::Write;
use std::hash::Hasher;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fnv::FnvHasher;
use trine::Response;
use trine::http::{Request, Version};

/// Everything that was understood. Values may be any octets, so they are in base64; method and
/// target map octet by octet to U+0000 to U+00FF.
pub fn describe(request: &Request<'_>) -> Response {
    let mut hash = FnvHasher::default();
    hash.write(request.body());
    let version = match request.version() {
        Version::Http10 => "1.0",
        Version::Http11 => "1.1",
    };
    let json = format!(
        "{{\"method\":{},\"target\":{},\"version\":\"{version}\",\"headers\":{},\
         \"body_len\":{},\"body_fnv1a64\":\"{:016x}\",\"trailers\":{}}}\n",
        quoted(request.method_name()),
        quoted(request.target()),
        pairs(request.fields()),
        request.body().len(),
        hash.finish(),
        pairs(request.trailers()),
    );
    let response = Response::bytes(json).with_field("Content-Type", "application/json");
    response.unwrap_or_else(|_| unreachable!("a literal"))
}

/// `[[name, base64 of value], ...]`
fn pairs<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let pair = |(name, value)| format!("[{},\"{}\"]", quoted(name), STANDARD.encode(value));
    format!("[{}]", fields.map(pair).collect::<Vec<_>>().join(","))
}

/// A JSON string (RFC 8259, 7).
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\0'..' ' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(character)); // strings take all
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}
