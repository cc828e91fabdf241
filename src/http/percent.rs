//! Percent-decoding, at the edge: what a service reads of a target it has been given.
//!
//! The parser decodes nothing, so that everyone who reads a request sees the octets the client
//! sent. Here they are decoded once, by whoever asks for it, and each part of a target by the
//! rules that hold for it:
//!
//! - a path by RFC 3986, 2: it is split at its slashes first and its segments are decoded after
//!   that, because an encoded slash (`%2F`) is data of a segment and not a separator (RFC 3986,
//!   2.2). The RFC knows no repair for a `%` without two digits, so there is none: a path names
//!   what is asked for, and two readers that repair it differently let different clients in.
//! - a query by the rules of forms (WHATWG URL, `application/x-www-form-urlencoded`), which give
//!   every octet a meaning, so nothing is an error there.
//!
//! A path decoded as a whole is not offered: it could not tell `/a%2Fb` from `/a/b`.

use std::borrow::Cow;
use std::fmt;

use super::Request;

impl<'b> Request<'b> {
    /// The segments of the [path](Request::path), each percent-decoded: what stands between its
    /// slashes, so `/` has one, which is empty, and `/a/` has two. `*` and the authority of CONNECT
    /// have none.
    ///
    /// Allocates only for a segment with something encoded in it. A segment can hold any octet but
    /// NUL, slashes (`%2F`) and text that is not UTF-8 among them, and can be `.` or `..`: to look
    /// for a file, refuse those that are not plain names.
    ///
    /// # Errors
    ///
    /// For each segment by itself: a `%` that two hexadecimal digits do not follow, or NUL. The
    /// answer to that is 400.
    ///
    /// ```
    /// use trine::http::{Request, Response, Status};
    ///
    /// fn answer(request: Request<'_>) -> Response {
    ///     let segments: Result<Vec<_>, _> = request.path_segments().collect();
    ///     let Ok(segments) = segments else {
    ///         return Response::new(Status::BAD_REQUEST);
    ///     };
    ///     match segments.iter().map(AsRef::as_ref).collect::<Vec<_>>()[..] {
    ///         [b"users", name] => Response::bytes(name.to_vec()),
    ///         _ => Response::not_found(),
    ///     }
    /// }
    /// # let message = b"GET /users/J%c3%b6rg%2F2 HTTP/1.1\r\nHost: a\r\n\r\n";
    /// # let mut parser = trine::http::RequestParser::default();
    /// # let _ = parser.feed(message, &trine::http::Limits::default()).unwrap();
    /// # let response = answer(Request::new(message, parser.head(), b""));
    /// # assert_eq!(response.body(), "Jörg/2".as_bytes());
    /// ```
    pub fn path_segments(
        &self,
    ) -> impl Iterator<Item = Result<Cow<'b, [u8]>, SegmentError>> + use<'b> {
        let path = self.path().strip_prefix('/');
        path.into_iter()
            .flat_map(|path| path.split('/'))
            .map(decode_segment)
    }

    /// The pairs of name and value in the [query](Request::query), as forms and most clients write
    /// them: `+` is a space, `%XX` an octet. Empty pairs are left out, and a pair without `=` has
    /// an empty value; names may repeat, and the order is kept.
    ///
    /// Nothing is an error (WHATWG URL, 5.1): a `%` without two hexadecimal digits stands for
    /// itself, and octets that are not UTF-8 become U+FFFD. NUL and other control characters can
    /// occur. Allocates only for texts with something encoded in them. For other notations there
    /// is [`query`](Request::query).
    ///
    /// ```
    /// # let message = b"GET /search?q=a+b%26c&page=2&all HTTP/1.1\r\nHost: a\r\n\r\n";
    /// # let mut parser = trine::http::RequestParser::default();
    /// # let _ = parser.feed(message, &trine::http::Limits::default()).unwrap();
    /// # let request = trine::Request::new(message, parser.head(), b"");
    /// // GET /search?q=a+b%26c&page=2&all
    /// let pairs: Vec<_> = request.query_pairs().collect();
    /// let expected = [("q", "a b&c"), ("page", "2"), ("all", "")];
    /// assert_eq!(pairs, expected.map(|(name, value)| (name.into(), value.into())));
    /// ```
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'b, str>, Cow<'b, str>)> + use<'b> {
        form_urlencoded::parse(self.query().unwrap_or_default().as_bytes())
    }
}

fn decode_segment(segment: &str) -> Result<Cow<'_, [u8]>, SegmentError> {
    let mut encoded = segment.split('%').skip(1);
    let is_octet = |text: &str| {
        let digits = text.as_bytes().first_chunk::<2>();
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !encoded.all(is_octet) {
        return Err(SegmentError::Percent);
    }
    let decoded = Cow::from(percent_encoding::percent_decode_str(segment));
    match decoded.contains(&0) {
        true => Err(SegmentError::Nul),
        false => Ok(decoded),
    }
}

/// Why a segment of a path cannot be decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SegmentError {
    /// A `%` that two hexadecimal digits do not follow (RFC 3986, 2.1).
    Percent,
    /// An encoded NUL, which ends a name for whoever hands it to C, and not for us: what was
    /// checked would not be what is opened (RFC 3986, 7.3).
    Nul,
}

impl fmt::Display for SegmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SegmentError::Percent => "percent sign without two digits (RFC 3986, 2.1)",
            SegmentError::Nul => "NUL in a path (RFC 3986, 7.3)",
        })
    }
}

impl std::error::Error for SegmentError {}
