//! Status codes of responses (RFC 9110, 15).

use std::fmt;

/// A status code from 100 to 999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

impl Status {
    /// 100: go on and send the body.
    pub const CONTINUE: Status = Status(100);
    /// 101: the connection speaks another protocol from here on.
    pub const SWITCHING_PROTOCOLS: Status = Status(101);
    /// 200.
    pub const OK: Status = Status(200);
    /// 201.
    pub const CREATED: Status = Status(201);
    /// 202.
    pub const ACCEPTED: Status = Status(202);
    /// 204: success without content.
    pub const NO_CONTENT: Status = Status(204);
    /// 205: success, and the form is to be emptied; never has content.
    pub const RESET_CONTENT: Status = Status(205);
    /// 206.
    pub const PARTIAL_CONTENT: Status = Status(206);
    /// 301.
    pub const MOVED_PERMANENTLY: Status = Status(301);
    /// 302.
    pub const FOUND: Status = Status(302);
    /// 303.
    pub const SEE_OTHER: Status = Status(303);
    /// 304: what the client has is still good.
    pub const NOT_MODIFIED: Status = Status(304);
    /// 307.
    pub const TEMPORARY_REDIRECT: Status = Status(307);
    /// 308.
    pub const PERMANENT_REDIRECT: Status = Status(308);
    /// 400.
    pub const BAD_REQUEST: Status = Status(400);
    /// 401.
    pub const UNAUTHORIZED: Status = Status(401);
    /// 403.
    pub const FORBIDDEN: Status = Status(403);
    /// 404.
    pub const NOT_FOUND: Status = Status(404);
    /// 405.
    pub const METHOD_NOT_ALLOWED: Status = Status(405);
    /// 408: the request took too long to arrive.
    pub const REQUEST_TIMEOUT: Status = Status(408);
    /// 409.
    pub const CONFLICT: Status = Status(409);
    /// 411.
    pub const LENGTH_REQUIRED: Status = Status(411);
    /// 412.
    pub const PRECONDITION_FAILED: Status = Status(412);
    /// 413: the body is longer than the server takes.
    pub const CONTENT_TOO_LARGE: Status = Status(413);
    /// 414: the request target is longer than the server takes.
    pub const URI_TOO_LONG: Status = Status(414);
    /// 415.
    pub const UNSUPPORTED_MEDIA_TYPE: Status = Status(415);
    /// 416: the content has none of the bytes that were asked for.
    pub const RANGE_NOT_SATISFIABLE: Status = Status(416);
    /// 417: an `Expect` the server does not know.
    pub const EXPECTATION_FAILED: Status = Status(417);
    /// 422.
    pub const UNPROCESSABLE_CONTENT: Status = Status(422);
    /// 429.
    pub const TOO_MANY_REQUESTS: Status = Status(429);
    /// 431: the head is longer than the server takes.
    pub const REQUEST_HEADER_FIELDS_TOO_LARGE: Status = Status(431);
    /// 500.
    pub const INTERNAL_SERVER_ERROR: Status = Status(500);
    /// 501: a method or a transfer coding the server does not have.
    pub const NOT_IMPLEMENTED: Status = Status(501);
    /// 502.
    pub const BAD_GATEWAY: Status = Status(502);
    /// 503: too much to do now.
    pub const SERVICE_UNAVAILABLE: Status = Status(503);
    /// 504: whoever should have answered did not in time.
    pub const GATEWAY_TIMEOUT: Status = Status(504);
    /// 505: a major version other than 1.
    pub const HTTP_VERSION_NOT_SUPPORTED: Status = Status(505);
    /// 507.
    pub const INSUFFICIENT_STORAGE: Status = Status(507);

    /// The status with this code, if it has three digits.
    #[must_use]
    pub const fn from_code(code: u16) -> Option<Status> {
        match code {
            100..=999 => Some(Status(code)),
            _ => None,
        }
    }

    /// The code, 100 to 999.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.0
    }

    /// The reason phrase of the code, or `"Unknown"`.
    #[must_use]
    pub fn reason(self) -> &'static str {
        let phrase = |line: &'static str| &line["HTTP/1.1 200 ".len()..line.len() - "\r\n".len()];
        self.line().map_or("Unknown", phrase)
    }

    /// Whether it only announces another response (1xx).
    #[must_use]
    pub const fn is_informational(self) -> bool {
        self.0 < 200
    }

    /// Whether the request was understood and done (2xx).
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self.0, 200..=299)
    }

    /// The status that three digits write, if it is at least 100.
    #[inline]
    pub(super) fn from_digits(digits: [u8; 3]) -> Option<Status> {
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let append = |code: u16, digit: u8| code * 10 + u16::from(digit - b'0');
        Status::from_code(digits.into_iter().fold(0, append))
    }

    /// The whole status line with its line end, for the codes named above: the one table of
    /// phrases, in the shape in which the encoder copies it.
    #[inline]
    pub(super) fn line(self) -> Option<&'static str> {
        Some(match self.0 {
            100 => "HTTP/1.1 100 Continue\r\n",
            101 => "HTTP/1.1 101 Switching Protocols\r\n",
            200 => "HTTP/1.1 200 OK\r\n",
            201 => "HTTP/1.1 201 Created\r\n",
            202 => "HTTP/1.1 202 Accepted\r\n",
            204 => "HTTP/1.1 204 No Content\r\n",
            205 => "HTTP/1.1 205 Reset Content\r\n",
            206 => "HTTP/1.1 206 Partial Content\r\n",
            301 => "HTTP/1.1 301 Moved Permanently\r\n",
            302 => "HTTP/1.1 302 Found\r\n",
            303 => "HTTP/1.1 303 See Other\r\n",
            304 => "HTTP/1.1 304 Not Modified\r\n",
            307 => "HTTP/1.1 307 Temporary Redirect\r\n",
            308 => "HTTP/1.1 308 Permanent Redirect\r\n",
            400 => "HTTP/1.1 400 Bad Request\r\n",
            401 => "HTTP/1.1 401 Unauthorized\r\n",
            403 => "HTTP/1.1 403 Forbidden\r\n",
            404 => "HTTP/1.1 404 Not Found\r\n",
            405 => "HTTP/1.1 405 Method Not Allowed\r\n",
            408 => "HTTP/1.1 408 Request Timeout\r\n",
            409 => "HTTP/1.1 409 Conflict\r\n",
            411 => "HTTP/1.1 411 Length Required\r\n",
            412 => "HTTP/1.1 412 Precondition Failed\r\n",
            413 => "HTTP/1.1 413 Content Too Large\r\n",
            414 => "HTTP/1.1 414 URI Too Long\r\n",
            415 => "HTTP/1.1 415 Unsupported Media Type\r\n",
            416 => "HTTP/1.1 416 Range Not Satisfiable\r\n",
            417 => "HTTP/1.1 417 Expectation Failed\r\n",
            422 => "HTTP/1.1 422 Unprocessable Content\r\n",
            429 => "HTTP/1.1 429 Too Many Requests\r\n",
            431 => "HTTP/1.1 431 Request Header Fields Too Large\r\n",
            500 => "HTTP/1.1 500 Internal Server Error\r\n",
            501 => "HTTP/1.1 501 Not Implemented\r\n",
            502 => "HTTP/1.1 502 Bad Gateway\r\n",
            503 => "HTTP/1.1 503 Service Unavailable\r\n",
            504 => "HTTP/1.1 504 Gateway Timeout\r\n",
            505 => "HTTP/1.1 505 HTTP Version Not Supported\r\n",
            507 => "HTTP/1.1 507 Insufficient Storage\r\n",
            _ => return None,
        })
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.reason())
    }
}
