//! One response as a client reads it.

use crate::http::{
    BodyDecoder, Limits, Method, ParseError, Progress, ResponseParser, ResponseView,
};

/// A whole response: its head, and its body without framing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    status: u16,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    raw: Vec<u8>,
}

impl Answer {
    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The value of the first field called `name`, whatever its case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        let mut fields = self.fields.iter();
        let found = fields.find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_slice())
    }

    /// The body, without chunk framing.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The octets it came as, framing included.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The first whole final response in `received`, to a request with the method `answered`, and
    /// how many octets it took with those [informational](crate::http::Status::is_informational)
    /// ones before it. `None` when there is less; `has_ended` says that no more comes.
    ///
    /// # Errors
    ///
    /// The rule of the protocol that the octets break.
    pub(super) fn parse(
        received: &[u8],
        answered: Method,
        has_ended: bool,
    ) -> Result<Option<(Answer, usize)>, ParseError> {
        let limits = Limits {
            body_bytes_max: u64::MAX,
            ..Limits::default()
        };
        let mut begin = 0;
        loop {
            let mut parser = ResponseParser::new(answered);
            let message = &received[begin..];
            if parser.feed(message, &limits)? == Progress::Partial {
                return Ok(None);
            }
            let head = parser.head();
            if head.status().is_informational() {
                begin += head.len();
                continue;
            }
            let mut octets = message[head.len()..].to_vec();
            let mut decoder = BodyDecoder::of_response(head.framing());
            if decoder.feed(&mut octets, &limits)? == Progress::Partial {
                // One that breaks off is not whole either.
                if !has_ended || decoder.handle_close().is_err() {
                    return Ok(None);
                }
            }
            let len = head.len() + decoder.consumed();
            octets.truncate(decoder.decoded());
            let view = ResponseView::new(message, head, &octets);
            let fields = view.fields();
            let answer = Answer {
                status: view.status().code(),
                fields: fields
                    .map(|(name, value)| (name.to_owned(), value.to_vec()))
                    .collect(),
                raw: message[..len].to_vec(),
                body: octets,
            };
            return Ok(Some((answer, begin + len)));
        }
    }
}
