//! Conversions from and to the types of the `http` crate (feature `http-types`).
//!
//! They are for code that is written against those types: routers, test tools, handlers that run
//! elsewhere too. It is an adapter at the edge: nothing inside trine uses them, and each
//! conversion costs what those types cost, a map with its allocations and a copy of the body.
//!
//! What is converted means the same on both sides, or there is an error. So a request arrives
//! without the framing that was taken off its body, and with the one host that it was meant for; a
//! response cannot bring framing of its own along.

use std::fmt;

use ::http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use ::http::{HeaderMap, StatusCode, Uri};
use bytes::Bytes;

use super::{FieldError, Framing, Method, Request, Response, Status, Version};

/// Copies the request.
///
/// Two fields are not what the client wrote, because RFC 9112 has it so. A body that came in chunks
/// is here without them: `Transfer-Encoding` has gone and `Content-Length` says the length (7.1.3).
/// And of an absolute target the authority stands in `Host` too (3.2.2), so that nobody downstream
/// can read another one.
///
/// ```
/// use trine::{Request, Response};
///
/// fn answer(request: &Request<'_>) -> Result<Response, Box<dyn std::error::Error>> {
///     let request = http::Request::try_from(request)?;
///     let response = elsewhere(&request)?;
///     Ok(Response::try_from(response)?)
/// }
///
/// fn elsewhere(request: &http::Request<bytes::Bytes>) -> http::Result<http::Response<String>> {
///     http::Response::builder()
///         .header("Content-Type", "text/plain")
///         .body(format!("{} has {} bytes\n", request.uri(), request.body().len()))
/// }
/// # let message = b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
/// # let mut parser = trine::http::RequestParser::default();
/// # let _ = parser.feed(message, &trine::http::Limits::default()).unwrap();
/// # let response = answer(&Request::new(message, parser.head(), b"hi")).unwrap();
/// # assert_eq!(response.body(), b"/a has 2 bytes\n");
/// ```
impl TryFrom<&Request<'_>> for ::http::Request<Bytes> {
    type Error = ConversionError;

    /// # Errors
    ///
    /// [`Target`](ConversionError::Target) when the target is none that [`Uri`] takes, and
    /// [`Fields`](ConversionError::Fields) when there are more fields than a [`HeaderMap`] takes,
    /// which the default [`Limits`](super::Limits) do not let happen.
    fn try_from(request: &Request<'_>) -> Result<Self, ConversionError> {
        let target = Uri::try_from(request.target()).map_err(|_| ConversionError::Target)?;
        let method = ::http::Method::from_bytes(request.method_name().as_bytes());
        let mut converted = ::http::Request::new(Bytes::copy_from_slice(request.body()));
        *converted.method_mut() = method.map_err(|_| ConversionError::Method)?;
        *converted.uri_mut() = target;
        *converted.version_mut() = request.version().into();
        *converted.headers_mut() = fields_of(request)?;
        Ok(converted)
    }
}

fn fields_of(request: &Request<'_>) -> Result<HeaderMap, ConversionError> {
    let mut fields = HeaderMap::new();
    for (name, value) in request.fields() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| ConversionError::Fields)?;
        let value = match name {
            TRANSFER_ENCODING => continue,
            HOST => request.host().map_or(value, str::as_bytes),
            _ => value,
        };
        let value = HeaderValue::from_bytes(value).map_err(|_| ConversionError::Fields)?;
        let appended = fields.try_append(name, value);
        appended.map_err(|_| ConversionError::Fields)?;
    }
    if request.head().framing() == Framing::Chunked {
        let inserted = fields.try_insert(CONTENT_LENGTH, request.body().len().into());
        inserted.map_err(|_| ConversionError::Fields)?;
    }
    Ok(fields)
}

/// Takes status, fields and body over. Version and extensions have no say: the connection knows
/// what it speaks.
///
/// Fields of one name keep their order. The fields that the encoder writes are refused here as they
/// are by [`with_field`](Response::with_field), but for a `Content-Length` that says how long the
/// body is, as many builders put one there: it is left out, and the encoder writes the same.
/// Nothing else is left out silently: `Connection: close`, a `Date`, a transfer coding or another
/// length would be lost, so whoever means to lose them removes them first.
impl<B: Into<Bytes>> TryFrom<::http::Response<B>> for Response {
    type Error = FieldError;

    /// # Errors
    ///
    /// As [`with_field`](Response::with_field), for the first field that it refuses.
    fn try_from(response: ::http::Response<B>) -> Result<Response, FieldError> {
        let (head, body) = response.into_parts();
        let mut converted = Response::bytes(body).with_status(head.status.into());
        let length = HeaderValue::from(converted.body().len());
        for (name, value) in &head.headers {
            if name == CONTENT_LENGTH && value == length {
                continue;
            }
            let value = Bytes::copy_from_slice(value.as_bytes());
            converted = converted.with_field(Bytes::copy_from_slice(name.as_ref()), value)?;
        }
        Ok(converted)
    }
}

impl From<&::http::Method> for Method {
    fn from(method: &::http::Method) -> Method {
        Method::from_token(method.as_str().as_bytes())
    }
}

/// Of [`Method::Other`] the name is not known here; convert
/// [`Request::method_name`](super::Request::method_name) or the whole request.
impl TryFrom<Method> for ::http::Method {
    type Error = ConversionError;

    fn try_from(method: Method) -> Result<Self, ConversionError> {
        use ::http::Method as Theirs;
        Ok(match method {
            Method::Get => Theirs::GET,
            Method::Head => Theirs::HEAD,
            Method::Post => Theirs::POST,
            Method::Put => Theirs::PUT,
            Method::Delete => Theirs::DELETE,
            Method::Connect => Theirs::CONNECT,
            Method::Options => Theirs::OPTIONS,
            Method::Trace => Theirs::TRACE,
            Method::Patch => Theirs::PATCH,
            Method::Other => return Err(ConversionError::Method),
        })
    }
}

impl From<StatusCode> for Status {
    fn from(status: StatusCode) -> Status {
        Status::from_code(status.as_u16()).expect("both are from 100 to 999")
    }
}

impl From<Status> for StatusCode {
    fn from(status: Status) -> StatusCode {
        StatusCode::from_u16(status.code()).expect("both are from 100 to 999")
    }
}

impl From<Version> for ::http::Version {
    fn from(version: Version) -> ::http::Version {
        match version {
            Version::Http10 => ::http::Version::HTTP_10,
            Version::Http11 => ::http::Version::HTTP_11,
        }
    }
}

impl TryFrom<::http::Version> for Version {
    type Error = ConversionError;

    fn try_from(version: ::http::Version) -> Result<Version, ConversionError> {
        match version {
            ::http::Version::HTTP_10 => Ok(Version::Http10),
            ::http::Version::HTTP_11 => Ok(Version::Http11),
            _ => Err(ConversionError::Version),
        }
    }
}

/// Why something has no equal among the types of the other side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConversionError {
    /// A method whose name is not known: [`Method::Other`] without its request.
    Method,
    /// A version other than HTTP/1.0 and HTTP/1.1.
    Version,
    /// A target that is no [`Uri`]: it has octets that a URI should encode, or a host that the
    /// `http` crate does not know how to write.
    Target,
    /// More fields than a [`HeaderMap`] holds, or a longer name.
    Fields,
}

impl fmt::Display for ConversionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConversionError::Method => "the name of the method is not known",
            ConversionError::Version => "neither HTTP/1.0 nor HTTP/1.1",
            ConversionError::Target => "request target is no http::Uri",
            ConversionError::Fields => "more fields than an http::HeaderMap holds",
        })
    }
}

impl std::error::Error for ConversionError {}
