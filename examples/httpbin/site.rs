//! What each path is answered with.

use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use trine::http::{Request, Status};
use trine::service::{Answered, Exchange, Reply, Service};
use trine::time::Span;
use trine::{Response, http};

use super::anything;
use super::files::Files;
use super::pieces::{Chunks, Echo, Octets};
use super::spawn::{Spawner, command_of};
use super::support::metrics_page::MetricsPage;

/// The service.
#[derive(Clone, Default)]
pub struct Site {
    /// Whether every path is `/anything`.
    pub is_anything: bool,
    /// Whether it runs on threads that may wait.
    pub may_block: bool,
    /// What `/files/...` is, if anything.
    pub files: Option<Files>,
    /// Who starts children for `/spawn`, when there is one.
    pub spawner: Arc<OnceLock<Spawner>>,
    pub metrics: MetricsPage,
}

/// In milliseconds: nothing wakes a thread that sleeps.
const SLEEP_MAX: u64 = 60_000;

impl Service for Site {
    fn open(&mut self, head: &Request<'_>, (): &mut ()) -> Option<Box<dyn Exchange>> {
        if self.is_anything {
            return None;
        }
        let names = head.path().strip_prefix('/')?;
        if let (Some(files), "files") = (&self.files, names.split('/').next()?) {
            return Some(Box::new(files.answer(head)));
        }
        match names.split_once('/') {
            None if head.path() == "/echo" => Some(Box::new(Echo::new(head))),
            Some(("bytes", count)) => Some(Box::new(Octets::new(number(count)?))),
            Some(("stream", count)) => Some(Box::new(Chunks::new(number(count)?))),
            _ => None,
        }
    }

    fn call(&mut self, request: &Request<'_>, reply: Reply<'_>, (): &mut ()) -> Answered {
        let path = request.path();
        if self.is_anything || path.starts_with("/anything") {
            return reply.send(anything::describe(request));
        }
        if let (Some(command), Some(spawner)) = (command_of(path), self.spawner.get()) {
            return spawner.run(command, reply);
        }
        match path.rsplit_once('/') {
            Some(("", "hello")) => reply.text("hello"),
            Some(("", "metrics")) => reply.send(self.metrics.response(|_| {})),
            Some(("", "panic")) => panic!("asked to"),
            Some(("", "response-header")) => reply.send(with_value(request)),
            Some(("/status", code)) => reply.send(status(code)),
            Some(("/delay", millis)) => delay(millis, reply),
            Some(("/sleep", millis)) => reply.send(self.sleep(millis)),
            Some(("/bytes" | "/stream", _)) => reply.send(refusal("not a number")),
            _ => reply.send(Response::not_found()),
        }
    }
}

impl Site {
    /// Blocks the thread: a loop must not be blocked.
    fn sleep(&self, millis: &str) -> Response {
        match number(millis).filter(|millis| *millis <= SLEEP_MAX) {
            None => refusal("not a number of milliseconds up to 60000"),
            Some(_) if !self.may_block => {
                Response::text("only with --model half-sync or leader-followers")
                    .with_status(Status::NOT_IMPLEMENTED)
            }
            Some(millis) => {
                thread::sleep(Duration::from_millis(millis));
                Response::text("slept")
            }
        }
    }
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

fn refusal(why: &'static str) -> Response {
    Response::text(why).with_status(Status::BAD_REQUEST)
}

fn status(code: &str) -> Response {
    let status = code.parse().ok().and_then(Status::from_code);
    match status.filter(|status| (200..600).contains(&status.code())) {
        Some(status) => Response::text(status.reason()).with_status(status),
        None => refusal("not a final status from 200 to 599"),
    }
}

/// The loop waits for it; nobody else does.
fn delay(millis: &str, reply: Reply<'_>) -> Answered {
    let Some(millis) = number(millis) else {
        return reply.send(refusal("not a number of milliseconds"));
    };
    let (deferred, answered) = reply.defer();
    deferred.send_after(Span::from_millis(millis), Response::text("later"));
    answered
}

/// A value that would split the response is an error, not a repair.
fn with_value(request: &Request<'_>) -> Response {
    let value = request.query_pairs().find(|(name, _)| name == "v");
    let Some((_, value)) = value else {
        return refusal("?v=TEXT is missing");
    };
    if value.contains(char::REPLACEMENT_CHARACTER) {
        return refusal("v is not UTF-8");
    }
    let response = Response::text("see X-Value").with_field("X-Value", value.into_owned());
    response.unwrap_or_else(|error: http::FieldError| {
        Response::text(error.to_string()).with_status(Status::BAD_REQUEST)
    })
}
