//! The parsed head of a request: what its first line and its fields say, as offsets into the
//! message; and the offsets themselves.

use super::{Framing, Method, Version};

/// A stretch of the message, in bytes from its first octet.
///
/// Invariant: `start <= end`, and `end` is within the head it was found in.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// The `len` octets from `start`. Heads are at most `u32::MAX` bytes long, as their limit is a
    /// `u32`, so nothing is cut off.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the limit of a head is a u32"
    )]
    pub fn at(start: usize, len: usize) -> Span {
        Span {
            start: start as u32,
            end: (start + len) as u32,
        }
    }

    /// The octets meant.
    #[inline]
    pub fn of(self, message: &[u8]) -> &[u8] {
        &message[self.start as usize..self.end as usize]
    }

    /// The same for what the parsers let pass only as ASCII.
    #[inline]
    pub fn text_of(self, message: &[u8]) -> &str {
        text(self.of(message))
    }
}

/// Octets that the parsers let pass only as ASCII.
pub(super) fn text(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).expect("the parsers let only ASCII pass here")
}

/// Where one field line lies; white space around the value is not part of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FieldSpan {
    pub name: Span,
    pub value: Span,
}

impl FieldSpan {
    /// The value of the first field with this name, in any case.
    pub fn first_named<'b>(
        fields: &[FieldSpan],
        name: &str,
        message: &'b [u8],
    ) -> Option<&'b [u8]> {
        let wanted = |field: &&FieldSpan| {
            let found = field.name.of(message);
            found.len() == name.len() && found.eq_ignore_ascii_case(name.as_bytes())
        };
        let field = fields.iter().find(wanted)?;
        Some(field.value.of(message))
    }

    /// Name and value.
    pub fn of(self, message: &[u8]) -> (&str, &[u8]) {
        (self.name.text_of(message), self.value.of(message))
    }
}

/// What the head of a request says; its texts are read through
/// [`Request`](super::Request), which has the bytes.
#[derive(Clone, Debug)]
pub struct Head {
    pub(super) fields: Vec<FieldSpan>,
    pub(super) method_name: Span,
    pub(super) target: Span,
    pub(super) host: Option<Span>,
    pub(super) len: u32,
    pub(super) framing: Framing,
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) persistent: bool,
    pub(super) expects_continue: bool,
    pub(super) upgrade: bool,
}

impl Default for Head {
    fn default() -> Head {
        Head {
            fields: Vec::new(),
            method_name: Span::default(),
            target: Span::default(),
            host: None,
            len: 0,
            framing: Framing::None,
            method: Method::Other,
            version: Version::Http11,
            persistent: false,
            expects_continue: false,
            upgrade: false,
        }
    }
}

impl Head {
    /// Of HTTP/1.1, and no field says anything of a body or the connection.
    #[inline(always)]
    pub(super) fn asks_nothing(&mut self) {
        self.framing = Framing::None;
        (self.persistent, self.upgrade, self.expects_continue) = (true, false, false);
    }

    /// Whether the answer is written in the [plain](super::ResponseContext) context if the connection
    /// stays open.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.persistent && self.version == Version::Http11 && self.method != Method::Head
    }

    /// Bytes from the first octet of the message (empty lines in front included) to the end of
    /// the line that ends the head: where the body begins.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a parsed head is never empty")]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// How the end of the body is found.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether the client lets the connection stay open after this exchange: `close` says no,
    /// then 1.1 says yes, then 1.0 with `keep-alive` says yes (RFC 9112, 9.3).
    #[must_use]
    pub fn is_persistent(&self) -> bool {
        self.persistent
    }

    /// Whether the client waits for `100 (Continue)` or a final status before it sends the body:
    /// a 1.1 request with a body and `Expect: 100-continue` (RFC 9110, 10.1.1).
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// Whether a 1.1 client offers to change the protocol: `Upgrade`, and `upgrade` among the
    /// `Connection` options. It is allowed to ignore it (RFC 9110, 7.8).
    #[must_use]
    pub fn offers_upgrade(&self) -> bool {
        self.upgrade
    }

    /// The method; [`Request::method_name`](super::Request::method_name) has its text.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// The version the request is processed as.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// How many field lines the head has.
    #[must_use]
    pub fn field_count(&self) -> usize {
        self.fields.len()
    }
}
