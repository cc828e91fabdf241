//! Responses as a service makes them.
//!
//! A response owns what it says; made of literals it owns nothing and allocates nothing. What is
//! in it can be sent as it is: [`Response::with_field`] refuses, rather than repairs, a value with
//! a line end, which would let whoever chose the value write fields, or a whole second response,
//! of their own (response splitting). Length, connection and date are not for a service to say:
//! the [encoder](super::encode) writes them.

use std::fmt;

use bytes::Bytes;

use super::Status;
use super::grammar::{first_control, is_token};

/// An answer: a status, fields, and the whole body.
///
/// Made from literals it allocates nothing.
#[derive(Clone, Debug)]
pub struct Response {
    pub(super) status: Status,
    pub(super) content_type: ContentType,
    /// All fields given, as whole lines with their ends.
    /// Invariant: names are tokens and not framing fields; values have no CR, LF or NUL.
    pub(super) field_lines: Vec<u8>,
    pub(super) body: Bytes,
}

/// What the constructors declare the body to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ContentType {
    /// Nothing, or what a field says.
    Undeclared,
    Text,
    Html,
}

impl Response {
    /// An answer with an empty body.
    #[inline]
    #[must_use]
    pub fn new(status: Status) -> Response {
        Response {
            status,
            content_type: ContentType::Undeclared,
            field_lines: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// 200 with a text (`text/plain; charset=utf-8`).
    #[inline]
    #[must_use]
    pub fn text(body: impl Into<Bytes>) -> Response {
        Response {
            content_type: ContentType::Text,
            ..Response::bytes(body)
        }
    }

    /// 200 with a page (`text/html; charset=utf-8`).
    #[inline]
    #[must_use]
    pub fn html(body: impl Into<Bytes>) -> Response {
        Response {
            content_type: ContentType::Html,
            ..Response::bytes(body)
        }
    }

    /// 200 with octets of no declared type; give one by
    /// [`with_field`](Response::with_field) `("Content-Type", ..)`.
    #[inline]
    #[must_use]
    pub fn bytes(body: impl Into<Bytes>) -> Response {
        Response {
            body: body.into(),
            ..Response::new(Status::OK)
        }
    }

    /// 404 with a short text.
    #[must_use]
    pub fn not_found() -> Response {
        Response::text("Not Found\n").with_status(Status::NOT_FOUND)
    }

    /// The same with another status.
    #[inline]
    #[must_use]
    pub fn with_status(self, status: Status) -> Response {
        Response { status, ..self }
    }

    /// The same with one more field; `Content-Type` replaces the one the constructor chose.
    ///
    /// # Errors
    ///
    /// When the name is not a token, the value has CR, LF, NUL or another control octet, or the
    /// field is one that the encoder writes itself.
    pub fn with_field(
        mut self,
        name: impl Into<Bytes>,
        value: impl Into<Bytes>,
    ) -> Result<Response, FieldError> {
        let (name, value) = (name.into(), value.into());
        if !is_token(&name) {
            return Err(FieldError::Name);
        }
        if first_control(&value) < value.len() {
            return Err(FieldError::Value);
        }
        if RESERVED
            .iter()
            .any(|reserved| name.eq_ignore_ascii_case(reserved))
        {
            return Err(FieldError::Reserved);
        }
        if name.eq_ignore_ascii_case(b"content-type") {
            self.content_type = ContentType::Undeclared;
        }
        self.field_lines.reserve(name.len() + value.len() + 4);
        for piece in [&name[..], b": ", &value, b"\r\n"] {
            self.field_lines.extend_from_slice(piece);
        }
        Ok(self)
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// What the encoder writes from what it knows better.
const RESERVED: [&[u8]; 4] = [
    b"content-length",
    b"transfer-encoding",
    b"connection",
    b"date",
];

/// Why a field cannot be part of a response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FieldError {
    /// The name is not a token (RFC 9110, 5.1).
    Name,
    /// The value has CR, LF, NUL or another control octet (RFC 9110, 5.5): it could end the field
    /// and begin another, or another response.
    Value,
    /// `Content-Length`, `Transfer-Encoding`, `Connection` and `Date` are the encoder's.
    Reserved,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FieldError::Name => "field name is not a token (RFC 9110, 5.1)",
            FieldError::Value => "control octet in a field value (RFC 9110, 5.5)",
            FieldError::Reserved => "field is written by the encoder alone",
        })
    }
}

impl std::error::Error for FieldError {}
