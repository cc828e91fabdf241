//! The `Date` field, written once a second.

use std::fmt;
use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

/// Length of a date in bytes: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
const DATE_BYTES: usize = 29;
const NAME: &str = "Date: ";
/// The last second of the year 9999, beyond which the form has no years.
const LAST_SECOND: u64 = 253_402_300_799;

/// The head that nearly all answers begin with, up to the number that is their length.
const TEMPLATE: &[u8; PLAIN_HEAD_BYTES] = b"HTTP/1.1 200 OK\r\n\
    Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: ";
const PLAIN_HEAD_BYTES: usize = 111;
/// Where the `Date` field stands in it.
const LINE_START: usize = "HTTP/1.1 200 OK\r\n".len();
const LINE_BYTES: usize = NAME.len() + DATE_BYTES + "\r\n".len();
const TEXT_START: usize = LINE_START + NAME.len();

/// A moment as HTTP writes it, kept inside of the head that most answers begin with, so that a
/// response copies both in one piece, and in any other head as the whole field line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HttpDate {
    plain_head: [u8; PLAIN_HEAD_BYTES],
}

impl HttpDate {
    /// The date `seconds` after the beginning of 1970, at most the end of the year 9999.
    #[must_use]
    pub fn from_unix(seconds: u64) -> HttpDate {
        let moment = UNIX_EPOCH + Duration::from_secs(seconds.min(LAST_SECOND));
        let mut plain_head = *TEMPLATE;
        let mut text = &mut plain_head[TEXT_START..TEXT_START + DATE_BYTES];
        write!(text, "{}", httpdate::HttpDate::from(moment)).expect("every date has 29 bytes");
        HttpDate { plain_head }
    }

    /// The date alone, 29 bytes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = &self.plain_head[TEXT_START..TEXT_START + DATE_BYTES];
        std::str::from_utf8(text).expect("a date is ASCII")
    }

    /// `Date: ` with the date and the line end.
    #[inline]
    pub(super) fn line(&self) -> &[u8; LINE_BYTES] {
        let line = self.plain_head[LINE_START..].first_chunk();
        line.expect("the line is part of the head")
    }

    /// The head of a plain text with status 200 on a connection that stays open, up to the number
    /// that is its length.
    #[inline]
    pub(super) fn plain_head(&self) -> &[u8; PLAIN_HEAD_BYTES] {
        &self.plain_head
    }
}

impl fmt::Debug for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Keeps the text of the present second.
#[derive(Debug)]
pub struct DateCache {
    second: u64,
    date: HttpDate,
}

impl DateCache {
    /// The date for `unix_seconds`, written anew only when the second is another one. A clock set
    /// back is followed.
    #[inline]
    pub fn at(&mut self, unix_seconds: u64) -> &HttpDate {
        if unix_seconds != self.second {
            self.second = unix_seconds;
            self.date = HttpDate::from_unix(unix_seconds);
        }
        &self.date
    }
}

impl Default for DateCache {
    fn default() -> DateCache {
        DateCache {
            second: 0,
            date: HttpDate::from_unix(0),
        }
    }
}
