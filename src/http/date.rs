//! The `Date` field, written once a second.

use std::fmt;
use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

/// Length of a date in bytes: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
const DATE_BYTES: usize = 29;
const NAME: &[u8; 6] = b"Date: ";
/// The last second of the year 9999, beyond which the form has no years.
const LAST_SECOND: u64 = 253_402_300_799;

/// A moment as HTTP writes it, kept as the whole field line so that a response copies it in one
/// piece.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HttpDate {
    line: [u8; NAME.len() + DATE_BYTES + 2],
}

impl HttpDate {
    /// The date `seconds` after the beginning of 1970, at most the end of the year 9999.
    #[must_use]
    pub fn from_unix(seconds: u64) -> HttpDate {
        let moment = UNIX_EPOCH + Duration::from_secs(seconds.min(LAST_SECOND));
        let mut line = *b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
        let mut text = &mut line[NAME.len()..NAME.len() + DATE_BYTES];
        write!(text, "{}", httpdate::HttpDate::from(moment)).expect("every date has 29 bytes");
        HttpDate { line }
    }

    /// The date alone, 29 bytes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = &self.line[NAME.len()..NAME.len() + DATE_BYTES];
        std::str::from_utf8(text).expect("a date is ASCII")
    }

    /// `Date: ` with the date and the line end.
    pub(super) fn line(&self) -> &[u8; NAME.len() + DATE_BYTES + 2] {
        &self.line
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
