//! Responses as a client receives them: the head as offsets, and the view that has the texts.

use super::head::{FieldSpan, Span};
use super::{Framing, ResponseFraming, Status, Version};

/// What the head of a response says; its texts are read through [`ResponseView`], which has the
/// bytes.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    pub(super) fields: Vec<FieldSpan>,
    pub(super) reason: Span,
    pub(super) len: u32,
    pub(super) framing: ResponseFraming,
    pub(super) status: Status,
    pub(super) version: Version,
    pub(super) persistent: bool,
}

impl Default for ResponseHead {
    fn default() -> ResponseHead {
        ResponseHead {
            fields: Vec::new(),
            reason: Span::default(),
            len: 0,
            framing: ResponseFraming::SelfDelimited(Framing::None),
            status: Status::OK,
            version: Version::Http11,
            persistent: false,
        }
    }
}

impl ResponseHead {
    /// Bytes from the first octet of the message to the end of the line that ends the head: where
    /// the body begins, or the tunnel.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a parsed head is never empty")]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// The status. After an [informational](Status::is_informational) one but 101, the response to
    /// the same request is still to come.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// The version the response is processed as.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// How the end of the body is found.
    #[must_use]
    pub fn framing(&self) -> ResponseFraming {
        self.framing
    }

    /// Whether another request may follow on the connection: the body says itself where it ends,
    /// and the server lets the connection stay open. `close` says no, then 1.1 says yes, then 1.0
    /// with `keep-alive` says yes (RFC 9112, 9.3).
    #[must_use]
    pub fn is_persistent(&self) -> bool {
        self.persistent
    }

    /// How many field lines the head has.
    #[must_use]
    pub fn field_count(&self) -> usize {
        self.fields.len()
    }
}

/// A response, borrowed from the buffer it came in.
#[derive(Clone, Copy, Debug)]
pub struct ResponseView<'b> {
    message: &'b [u8],
    head: &'b ResponseHead,
    body: &'b [u8],
}

impl<'b> ResponseView<'b> {
    /// The response whose head `head` was parsed from `message`.
    #[must_use]
    pub fn new(message: &'b [u8], head: &'b ResponseHead, body: &'b [u8]) -> ResponseView<'b> {
        ResponseView {
            message,
            head,
            body,
        }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.head.status
    }

    /// The reason phrase as the server wrote it, perhaps empty and not always ASCII. It is for
    /// people; a client ignores it (RFC 9112, 4).
    #[must_use]
    pub fn reason(&self) -> &'b [u8] {
        self.head.reason.of(self.message)
    }

    /// The version the response is processed as.
    #[must_use]
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// The value of the first field with this name, in any case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'b [u8]> {
        FieldSpan::first_named(&self.head.fields, name, self.message)
    }

    /// All fields in the order they came, names as the server wrote them.
    pub fn fields(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> + use<'b> {
        let message = self.message;
        self.head.fields.iter().map(move |field| field.of(message))
    }

    /// What was given for the body, without chunk framing.
    #[must_use]
    pub fn body(&self) -> &'b [u8] {
        self.body
    }

    /// What the head says apart from its texts.
    #[must_use]
    pub fn head(&self) -> &'b ResponseHead {
        self.head
    }
}
