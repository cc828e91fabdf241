//! The line of an access log: the combined format that log tools read, with everything from outside
//! escaped.
//!
//! What a client sends goes to a terminal, a pager or another program one day, and must not be more
//! than text there: no line end that would make a second entry, no escape sequence that a terminal
//! obeys (CVE-2009-4487), no quote that ends its field.

use std::fmt::{self, Write};

use super::Served;
use crate::http::HttpDate;
use crate::reactor::Peer;

/// In bytes: what is longer is cut off, and says so by `...`.
const FIELD_MAX: usize = 1024;

impl Served<'_> {
    /// The line of the combined log format for it, without a line end:
    ///
    /// ```text
    /// 192.0.2.7 - - [06/Nov/1994:08:49:37 +0000] "GET /a HTTP/1.1" 200 5 "-" "curl/7.88.1"
    /// ```
    ///
    /// Request line, referrer and user agent are [escaped](Escaped) and at most 1 KiB each. What is
    /// not there is `-`, the status of an exchange without an answer too. The time is that of the end,
    /// in UTC. Append to it what you want to know besides.
    #[must_use]
    pub fn combined(&self) -> Combined<'_> {
        Combined { served: self }
    }
}

/// From [`Served::combined`].
#[derive(Debug)]
pub struct Combined<'a> {
    served: &'a Served<'a>,
}

impl fmt::Display for Combined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let served = self.served;
        match served.peer() {
            Peer::Network(address) => address.ip().to_canonical().fmt(f)?,
            Peer::Local => f.write_str("local")?,
        }
        f.write_str(" - - [")?;
        write_time(served.unix_seconds(), f)?;
        f.write_str("] ")?;
        let line = served.request_line();
        write_quoted(Some(line).filter(|line| !line.is_empty()), f)?;
        match served.status() {
            Some(status) => write!(f, " {} ", status.code())?,
            None => f.write_str(" - ")?,
        }
        write!(f, "{} ", served.content_bytes())?;
        write_quoted(served.field("Referer"), f)?;
        f.write_char(' ')?;
        write_quoted(served.field("User-Agent"), f)
    }
}

fn write_quoted(field: Option<&[u8]>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match field {
        Some(octets) => write!(f, "\"{}\"", Escaped(octets)),
        None => f.write_str("\"-\""),
    }
}

/// `06/Nov/1994:08:49:37 +0000`, out of `Sun, 06 Nov 1994 08:49:37 GMT`.
fn write_time(unix_seconds: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let date = HttpDate::from_unix(unix_seconds);
    let mut words = date.as_str().split(' ').skip(1);
    let mut word = || words.next().unwrap_or_default();
    let (day, month, year, time) = (word(), word(), word(), word());
    write!(f, "{day}/{month}/{year}:{time} +0000")
}

/// Octets from outside as text for a log: printable ASCII as it is; all else, and quotes and
/// backslashes, as `\xNN`. Of more than 1 KiB the first 1 KiB and `...`.
///
/// ```
/// use trine::server::Escaped;
///
/// let agent = b"curl \x1b[31m\"\r\n";
/// assert_eq!(Escaped(agent).to_string(), r"curl \x1B[31m\x22\x0D\x0A");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = &self.0[..self.0.len().min(FIELD_MAX)];
        for &octet in octets {
            match octet {
                b'"' | b'\\' => write!(f, "\\x{octet:02X}")?,
                b' '..=b'~' => f.write_char(char::from(octet))?,
                _ => write!(f, "\\x{octet:02X}")?,
            }
        }
        match octets.len() < self.0.len() {
            true => f.write_str("..."),
            false => Ok(()),
        }
    }
}
