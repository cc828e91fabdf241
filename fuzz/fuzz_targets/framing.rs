//! Pipelined requests, valid ones and such with a few octets changed, end where a naive reader of
//! the whole stream says they end; or they are refused, by a rule that they can be seen to break,
//! and nothing is accepted behind that.
//!
//! Three parties: the `generator` knows what it wrote, the `model` reads it naively and leniently,
//! and `strictness` is the list of what trine refuses beyond the model, as code.
//!
//! Input: choices of the generator, of the changes, then of the pieces in which the stream is fed.
#![no_main]

#[path = "framing/generator.rs"]
mod generator;
#[path = "framing/model.rs"]
mod model;
#[path = "framing/strictness.rs"]
mod strictness;

use generator::Choices;
use libfuzzer_sys::fuzz_target;
use model::Stop;
use trine::http::{BodyDecoder, Limits, ParseError, Progress, RequestParser};

/// A request by its boundary and its content.
#[derive(Clone, PartialEq, Debug)]
struct Message {
    /// The offset in the stream of what follows it.
    end: usize,
    body: Vec<u8>,
}

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    let (mut stream, written) = generator::stream(&mut choices);
    let changes = choices.below(4);
    for _ in 0..changes {
        generator::change(&mut choices, &mut stream);
    }
    let ends = generator::ends(&mut choices, stream.len());
    let (found, error) = fed(&stream, &ends, choices.below(2) == 1);
    assert_eq!(fed(&stream, &[], false), (found.clone(), error), "{ends:?}");

    let (expected, stop) = model::read(&stream);
    if changes == 0 {
        assert_eq!((&found, error), (&written, None));
        assert_eq!(expected, written, "the model is wrong");
    }
    let Some(error) = error else {
        assert_ne!(stop, Stop::Faulty, "{}", stream.escape_ascii());
        assert_eq!(found, expected, "{}", stream.escape_ascii());
        return;
    };
    assert!(expected.starts_with(&found), "{}", stream.escape_ascii());
    let refused = &stream[found.last().map_or(0, |message| message.end)..];
    assert!(
        strictness::is_broken(error, refused),
        "{error:?}: {}",
        refused.escape_ascii()
    );
});

/// What trine makes of the stream, given up to each of `ends` and then whole.
fn fed(stream: &[u8], ends: &[usize], within: bool) -> (Vec<Message>, Option<ParseError>) {
    let mut octets = stream.to_vec();
    let mut reader = Reader::default();
    let mut error = None;
    for &end in ends.iter().chain([&stream.len(), &stream.len()]) {
        let result = loop {
            match reader.take(&mut octets, end, within) {
                Ok(Progress::Complete) => assert_eq!(error, None, "accepted behind an error"),
                Ok(Progress::Partial) => break None,
                Err(error) => break Some(error),
            }
        };
        assert!(
            error.is_none() || result == error,
            "{error:?} was not final"
        );
        error = result;
    }
    (reader.found, error)
}

/// Reads one request behind the other, as a connection does.
#[derive(Default)]
struct Reader {
    parser: RequestParser,
    /// Once the head is complete.
    body: Option<BodyDecoder>,
    /// Where the present request begins.
    start: usize,
    found: Vec<Message>,
}

impl Reader {
    /// Takes one request from the octets before `end`.
    fn take(
        &mut self,
        octets: &mut [u8],
        end: usize,
        within: bool,
    ) -> Result<Progress, ParseError> {
        let limits = Limits::default();
        if self.body.is_none() {
            let held = end - self.start;
            let progress = match within {
                true => self
                    .parser
                    .feed_within(&octets[self.start..], held, &limits)?,
                false => self.parser.feed(&octets[self.start..end], &limits)?,
            };
            if progress == Progress::Partial {
                return Ok(progress);
            }
        }
        let head = self.parser.head();
        let body_start = self.start + head.len();
        let framing = head.framing();
        let body = self.body.get_or_insert_with(|| BodyDecoder::new(framing));
        if body.feed(&mut octets[body_start..end], &limits)? == Progress::Partial {
            return Ok(Progress::Partial);
        }
        self.start = body_start + body.consumed();
        self.found.push(Message {
            end: self.start,
            body: octets[body_start..body_start + body.decoded()].to_vec(),
        });
        self.body = None;
        self.parser.reset();
        Ok(Progress::Complete)
    }
}
