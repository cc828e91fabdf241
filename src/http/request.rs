//! Requests as a service sees them.

use super::head::{FieldSpan, text};
use super::{Head, Method, Trailers, Version};

/// A request, borrowed from the connection's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Request<'b> {
    message: &'b [u8],
    head: &'b Head,
    body: &'b [u8],
    trailers: Trailers<'b>,
}

impl<'b> Request<'b> {
    /// The request whose head `head` was parsed from `message`.
    #[must_use]
    pub fn new(message: &'b [u8], head: &'b Head, body: &'b [u8]) -> Request<'b> {
        Request {
            message,
            head,
            body,
            trailers: Trailers::default(),
        }
    }

    /// The same with the trailers behind its body.
    #[must_use]
    pub(crate) fn with_trailers(self, trailers: Trailers<'b>) -> Request<'b> {
        Request { trailers, ..self }
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        self.head.method
    }

    /// The method as the client wrote it.
    #[must_use]
    pub fn method_name(&self) -> &'b str {
        self.head.method_name.text_of(self.message)
    }

    /// The request target as the client wrote it.
    #[must_use]
    pub fn target(&self) -> &'b str {
        self.head.target.text_of(self.message)
    }

    /// The target without its query; of an absolute URI the path alone (`/` if empty); `*` and
    /// the authority of CONNECT as they are. Percent-encoded octets are left encoded.
    #[inline]
    #[must_use]
    pub fn path(&self) -> &'b str {
        match self.head.target.of(self.message) {
            [b'/'] => "/",
            target @ [b'/', ..] => text(without_query(target)),
            target => self.path_of_other_form(target),
        }
    }

    #[inline(never)]
    fn path_of_other_form(&self, target: &'b [u8]) -> &'b str {
        let path = text(without_query(target));
        match path.split_once("://") {
            Some((_, rest)) if self.method() != Method::Connect => {
                rest.find('/').map_or("/", |slash| &rest[slash..])
            }
            _ => path,
        }
    }

    /// What follows the first `?` of the target.
    #[must_use]
    pub fn query(&self) -> Option<&'b str> {
        self.target().split_once('?').map(|(_, query)| query)
    }

    /// The version the request is processed as.
    #[must_use]
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// The host and port the client meant: of an absolute URI its authority (RFC 9112, 3.2.2:
    /// `Host` is ignored then), else the value of `Host`.
    #[must_use]
    pub fn host(&self) -> Option<&'b str> {
        self.head.host.map(|span| span.text_of(self.message))
    }

    /// The value of the first field with this name, in any case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'b [u8]> {
        FieldSpan::first_named(&self.head.fields, name, self.message)
    }

    /// All fields in the order they came, names as the client wrote them.
    pub fn fields(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> + use<'b> {
        let message = self.message;
        self.head.fields.iter().map(move |field| field.of(message))
    }

    /// The whole body, without chunk framing.
    #[must_use]
    pub fn body(&self) -> &'b [u8] {
        self.body
    }

    /// The fields behind a chunked body.
    #[must_use]
    pub fn trailers(&self) -> Trailers<'b> {
        self.trailers
    }

    /// What the head says apart from its texts.
    #[must_use]
    pub fn head(&self) -> &'b Head {
        self.head
    }

    /// How many bytes head, body and trailers have together, without chunk framing.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.head.len() + self.body.len() + self.trailers.lines().len()
    }

    /// A copy of the head alone.
    pub(crate) fn head_to_owned(&self) -> OwnedRequest {
        Request::new(self.message, self.head, &[]).to_owned()
    }

    /// The octets of the head, as they came.
    pub(crate) fn head_octets(&self) -> &'b [u8] {
        &self.message[..self.head.len()]
    }

    /// A copy that lives on its own, for an answer that comes later or from elsewhere.
    #[must_use]
    pub fn to_owned(&self) -> OwnedRequest {
        let mut bytes = Vec::with_capacity(self.octets());
        bytes.extend_from_slice(&self.message[..self.head.len()]);
        bytes.extend_from_slice(self.body);
        bytes.extend_from_slice(self.trailers.lines());
        OwnedRequest {
            bytes,
            body_len: self.body.len(),
            head: self.head.clone(),
        }
    }
}

/// A request with its own memory: two allocations, one for all octets and one for the table of
/// fields.
#[derive(Clone, Debug)]
pub struct OwnedRequest {
    /// The head as it came, then the body without chunk framing, then the trailer lines.
    bytes: Vec<u8>,
    body_len: usize,
    head: Head,
}

impl OwnedRequest {
    /// The request, borrowed from here.
    #[must_use]
    pub fn as_request(&self) -> Request<'_> {
        let (message, rest) = self.bytes.split_at(self.head.len());
        let (body, trailers) = rest.split_at(self.body_len);
        Request::new(message, &self.head, body).with_trailers(Trailers::new(trailers))
    }
}

#[inline]
fn without_query(target: &[u8]) -> &[u8] {
    let mark = target.iter().position(|&octet| octet == b'?');
    &target[..mark.unwrap_or(target.len())]
}
