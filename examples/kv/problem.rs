//! What a client is told when it does not get what it asked for: JSON with a code and a sentence.

use std::borrow::Cow;

use trine::Response;
use trine::http::Status;
use trine::storage::{Fault, Health, Revision};
use trine::time::Span;

use super::answer::{tag, with};
use super::json::quoted;

/// One refusal.
pub struct Problem {
    status: Status,
    code: &'static str,
    sentence: Cow<'static, str>,
    field: Option<(&'static str, String)>,
}

impl Problem {
    fn new(status: Status, code: &'static str, sentence: impl Into<Cow<'static, str>>) -> Problem {
        Problem {
            status,
            code,
            sentence: sentence.into(),
            field: None,
        }
    }

    /// The request makes no sense.
    pub fn bad(code: &'static str, sentence: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(Status::BAD_REQUEST, code, sentence)
    }

    pub fn method(allowed: &'static str) -> Problem {
        let sentence = format!("The methods here are {allowed}.");
        Problem {
            field: Some(("Allow", allowed.to_owned())),
            ..Problem::new(Status::METHOD_NOT_ALLOWED, "bad_method", sentence)
        }
    }

    pub fn no_such_path() -> Problem {
        let sentence = "The paths are /kv, /kv/KEY, /metrics, /healthz and /readyz.";
        Problem::new(Status::NOT_FOUND, "no_such_path", sentence)
    }

    pub fn no_such_key() -> Problem {
        Problem::new(Status::NOT_FOUND, "no_such_key", "There is no such key.")
    }

    /// A condition did not hold.
    pub fn changed(present: Option<Revision>) -> Problem {
        let sentence = match present {
            Some(_) => "The value is not the one that the condition names.",
            None => "There is no value as the condition wants it.",
        };
        Problem {
            field: present.map(|revision| ("ETag", tag(revision))),
            ..Problem::new(Status::PRECONDITION_FAILED, "condition_failed", sentence)
        }
    }

    /// Nothing was done, and it may be tried again.
    fn later(code: &'static str, sentence: String, after: Span) -> Problem {
        let seconds = after.as_millis().div_ceil(1000).max(1);
        Problem {
            field: Some(("Retry-After", seconds.to_string())),
            ..Problem::new(Status::SERVICE_UNAVAILABLE, code, sentence)
        }
    }

    pub fn of(fault: Fault) -> Problem {
        match fault {
            Fault::Refused(why) => Problem::bad("refused", format!("The store refuses: {why}.")),
            Fault::Retry { after, why } => {
                Problem::later("try_again", format!("Not now: {why}."), after)
            }
            Fault::Unknown(why) => {
                let sentence = format!("It is not known whether it was written: {why}.");
                Problem::new(Status::GATEWAY_TIMEOUT, "unknown", sentence)
            }
            Fault::Corrupt => {
                let sentence = "The stored value fails its checksum.";
                Problem::new(Status::INTERNAL_SERVER_ERROR, "corrupt", sentence)
            }
            Fault::Fenced(why) => {
                let sentence = format!("The store takes no more work: {why}.");
                Problem::later("fenced", sentence, Span::from_secs(60))
            }
        }
    }

    /// Why the server is not ready, if it is not.
    pub fn of_health(health: &Health) -> Option<Problem> {
        let second = Span::from_secs(1);
        Some(match health {
            Health::Ready => return None,
            Health::Opening { percent } => {
                let sentence = format!("The store is being opened: {percent} % are done.");
                Problem::later("opening", sentence, second)
            }
            Health::Reopening => Problem::later(
                "reopening",
                "The store is being reopened.".to_owned(),
                second,
            ),
            Health::Fenced(why) => Problem::of(Fault::Fenced(why)),
            Health::Closed(why) => {
                let sentence = format!("The store is closed: {why}.");
                Problem::later("closed", sentence, Span::from_secs(60))
            }
            _ => Problem::later("not_ready", "The store is not ready.".to_owned(), second),
        })
    }

    pub fn response(self) -> Response {
        let json = format!(
            "{{\"code\":{},\"message\":{}}}\n",
            quoted(self.code),
            quoted(&self.sentence)
        );
        let response = Response::bytes(json).with_status(self.status);
        let response = with(response, "Content-Type", "application/json".to_owned());
        match self.field {
            Some((name, value)) => with(response, name, value),
            None => response,
        }
    }
}
