//! Whether a client needs the file, or must not have it: conditional requests (RFC 9110, 13).

use std::fs::Metadata;
use std::hash::Hasher;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fnv::FnvHasher;
use trine::http::Request;

/// What tells one state of a file from another.
#[derive(Clone, Debug)]
pub struct Validators {
    /// With its quotes, and `W/` in front if it is weak.
    pub tag: String,
    /// In seconds since 1970. `None` for a time that HTTP cannot write.
    pub modified: Option<u64>,
    /// The file changed so recently that it may change again without a trace: the tag is weak.
    is_fresh: bool,
}

/// How a request is to be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// With the file; with a part of it, if the client asked for one and may combine it with what it
    /// has.
    Send { may_be_part: bool },
    /// 304: it has it.
    NotModified,
    /// 412: the file is not the one it means.
    Failed,
}

/// In seconds. File systems keep times in steps of some milliseconds, `Last-Modified` in seconds.
const FRESH: u64 = 2;
/// The last second of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

impl Validators {
    /// Of a file as it was at `now`.
    pub fn new(file: &Metadata, now: SystemTime) -> Validators {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (seconds, nanos, len) = (file.mtime(), file.mtime_nsec(), file.len());
        let modified = u64::try_from(seconds).ok();
        let is_fresh = modified.is_some_and(|modified| modified.saturating_add(FRESH) > now);
        // Where the file lies is nobody's business (CVE-2003-1418).
        let mut place = FnvHasher::default();
        place.write_u64(file.dev());
        place.write_u64(file.ino());
        let weak = if is_fresh { "W/" } else { "" };
        let place = place.finish();
        Validators {
            tag: format!("{weak}\"{seconds:x}.{nanos:x}-{len:x}-{place:016x}\""),
            // None is later than `Date` (RFC 9110, 8.8.2.1).
            modified: modified
                .filter(|&seconds| seconds <= LAST_SECOND)
                .map(|seconds| seconds.min(now)),
            is_fresh,
        }
    }

    /// The value of `Last-Modified`.
    pub fn last_modified(&self) -> Option<String> {
        let time = UNIX_EPOCH.checked_add(Duration::from_secs(self.modified?))?;
        Some(httpdate::fmt_http_date(time))
    }

    /// Judges the preconditions of a GET or HEAD request, in the order of RFC 9110, 13.2.2.
    pub fn judge(&self, request: &Request<'_>) -> Verdict {
        match self.is_listed(request, "If-Match", Comparison::Strong) {
            Some(false) => return Verdict::Failed,
            Some(true) => {}
            None => {
                let since = date(request, "If-Unmodified-Since");
                if self
                    .modified
                    .zip(since)
                    .is_some_and(|(own, since)| own > since)
                {
                    return Verdict::Failed;
                }
            }
        }
        match self.is_listed(request, "If-None-Match", Comparison::Weak) {
            Some(true) => return Verdict::NotModified,
            Some(false) => {}
            None => {
                let since = date(request, "If-Modified-Since");
                if self
                    .modified
                    .zip(since)
                    .is_some_and(|(own, since)| own <= since)
                {
                    return Verdict::NotModified;
                }
            }
        }
        let may_be_part = match request.field("If-Range") {
            None => true,
            Some(tag) if tag.starts_with(b"\"") => tag == self.tag.as_bytes(),
            // A weak tag does not do; a date has to be the same one, and to be sure.
            Some(_) if self.is_fresh => false,
            Some(_) => {
                let dates = self.modified.zip(date(request, "If-Range"));
                dates.is_some_and(|(own, date)| own == date)
            }
        };
        Verdict::Send { may_be_part }
    }

    /// Whether the tag is in the lists of all fields with this name; `None` if there are none.
    fn is_listed(&self, request: &Request<'_>, name: &str, how: Comparison) -> Option<bool> {
        let mut fields = request
            .fields()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name));
        let first = fields.next()?;
        let mut values = std::iter::once(first).chain(fields).map(|(_, value)| value);
        Some(values.any(|value| value == b"*" || self.is_in(value, how)))
    }

    /// Whether the tag is in a list, up to where that is one.
    fn is_in(&self, mut list: &[u8], how: Comparison) -> bool {
        let own = self.tag.as_bytes();
        let opaque = own.strip_prefix(b"W/").unwrap_or(own);
        loop {
            let start = list.iter().position(|octet| !b" \t,".contains(octet));
            list = &list[start.unwrap_or(list.len())..];
            let (is_weak, quoted) = match list.strip_prefix(b"W/") {
                Some(rest) => (true, rest),
                None => (false, list),
            };
            let Some(end) = quoted
                .strip_prefix(b"\"")
                .and_then(|inner| inner.iter().position(|&octet| octet == b'"'))
            else {
                return false;
            };
            let (tag, rest) = quoted.split_at(end + 2);
            let comparable = how == Comparison::Weak || !(is_weak || self.is_fresh);
            if comparable && tag == opaque {
                return true;
            }
            list = rest;
        }
    }
}

/// RFC 9110, 8.8.3.2.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// Both are strong and the same.
    Strong,
    Weak,
}

/// The date in a field, in seconds since 1970. What is none is as good as absent (RFC 9110, 13.1.3).
fn date(request: &Request<'_>, name: &str) -> Option<u64> {
    let text = std::str::from_utf8(request.field(name)?).ok()?;
    let time = httpdate::parse_http_date(text).ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}
