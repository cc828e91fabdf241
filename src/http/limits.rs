//! Limits: how much of a message the parsers and the body decoder take before they refuse.
//!
//! Every list, line and body a peer can make longer has its limit here, and each limit has its
//! own variant of [`ParseError`](super::ParseError) and so its own status.

/// Upper bounds on one request or response, with the status a request beyond them gets. All are checked while the bytes come in, not after.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// In bytes; the first line, all fields, all line ends, and empty lines in front (431).
    pub head_bytes_max: u32,
    /// In bytes; the request target alone (414). RFC 9112, 3 recommends at least 8000 for the
    /// whole line.
    pub target_bytes_max: u32,
    /// How many field lines the head may have (431).
    pub fields_max: u16,
    /// In bytes, after decoding: a body that is collected before the service is called (413).
    pub body_bytes_max: u64,
    /// In bytes, after decoding: a body that the service takes in pieces, which are never in memory
    /// together (413).
    pub streamed_bytes_max: u64,
    /// In bytes, for one body: what chunk size lines are longer than they need be, that is
    /// extensions, and of size and line end what exceeds the data of the chunk (413).
    pub chunk_overhead_bytes_max: u32,
    /// In bytes, for one body: all trailer lines with their line ends (431).
    pub trailer_bytes_max: u32,
    /// How many empty lines may precede a request line (400); a status line never has any.
    pub empty_lines_max: u8,
}

impl Limits {
    /// In bytes: the longest body that may be declared, whatever becomes of it.
    pub(crate) fn any_body_bytes_max(&self) -> u64 {
        self.body_bytes_max.max(self.streamed_bytes_max)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            head_bytes_max: 16 * 1024,
            target_bytes_max: 8 * 1024,
            fields_max: 100,
            body_bytes_max: 1024 * 1024,
            streamed_bytes_max: u64::MAX,
            chunk_overhead_bytes_max: 16 * 1024,
            trailer_bytes_max: 16 * 1024,
            empty_lines_max: 8,
        }
    }
}
