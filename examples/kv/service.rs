//! The service: requests to operations, outcomes to answers. It waits for nothing: what the store
//! does not have at once is answered when it is done, by a thread of the store.

use trine::Response;
use trine::http::{Method, Request};
use trine::service::{Answered, Deferred, Reply, Service};
use trine::storage::{
    self, Clock, Completion, Durability, Fault, Operation, Outcome, Reply as Stored, StorageUnit,
    Submission, SystemClock,
};
use trine::time::Span;

use super::answer::answer;
use super::ask::{self, Ask, Wish};
use super::metrics;
use super::problem::Problem;
use super::support::metrics_page::MetricsPage;

/// The service; a clone for each thread that calls one.
#[derive(Clone)]
pub struct Kv {
    pub unit: StorageUnit,
    /// How long an operation may wait for its turn.
    pub patience: Span,
    /// What the loop says of itself, once a second.
    pub page: MetricsPage,
}

impl<S: 'static> Service<S> for Kv {
    fn call(&mut self, request: &Request<'_>, reply: Reply<'_>, _: &mut S) -> Answered {
        let is_ordered = || self.unit.capabilities().is_none_or(|it| it.is_ordered);
        let asked = match request.path() {
            "/kv" => ask::page(request, is_ordered()),
            "/metrics" => return reply.send(self.metrics(request)),
            "/healthz" => return reply.text("alive\n"),
            "/readyz" => return reply.send(self.readiness()),
            path => match path.strip_prefix("/kv/") {
                Some(key) => ask::on_key(request, key),
                None => Err(Problem::no_such_path()),
            },
        };
        match asked {
            Ok(ask) => self.submit(ask, is_ordered(), reply),
            Err(problem) => reply.send(problem.response()),
        }
    }
}

impl Kv {
    fn submit(&self, ask: Ask, is_ordered: bool, reply: Reply<'_>) -> Answered {
        let most = self.unit.capabilities().map(|it| it.durability_max);
        let request = storage::Request {
            operation: ask.operation,
            durability: ask.durability.or(most).unwrap_or(Durability::Memory),
            deadline: SystemClock.now().after(self.patience),
        };
        let again = request.clone();
        match self.unit.submit(request) {
            Submission::Done(outcome) => reply.send(answer(&ask.wish, is_ordered, outcome)),
            Submission::Queued(place) => {
                let (deferred, answered) = reply.defer();
                place.complete_with(Box::new(Later {
                    deferred,
                    wish: ask.wish,
                    is_ordered,
                    request: again,
                    unit: self.unit.clone(),
                }));
                answered
            }
        }
    }

    fn readiness(&self) -> Response {
        match Problem::of_health(&self.unit.health()) {
            None => Response::text("ready\n"),
            Some(problem) => problem.response(),
        }
    }

    fn metrics(&self, request: &Request<'_>) -> Response {
        if !matches!(request.method(), Method::Get | Method::Head) {
            return Problem::method("GET, HEAD").response();
        }
        self.page
            .response(|page| metrics::storage(page, &self.unit))
    }
}

/// Whoever waits for an outcome.
struct Later {
    deferred: Deferred,
    wish: Wish,
    is_ordered: bool,
    request: storage::Request,
    unit: StorageUnit,
}

impl Completion for Later {
    fn is_cancelled(&self) -> bool {
        self.deferred.is_cancelled()
    }

    fn complete(mut self: Box<Self>, outcome: Outcome) {
        // All keys of an ordered page may have expired; then the next one is looked at.
        if let (true, Ok(Stored::Page(page)), Operation::Scan { from, .. }) =
            (self.is_ordered, &outcome, &mut self.request.operation)
            && let (true, Some(next)) = (page.entries.is_empty(), &page.next)
        {
            *from = next.clone();
            return self.go_on();
        }
        self.finish(outcome);
    }
}

impl Later {
    fn go_on(self: Box<Self>) {
        match self.unit.submit(self.request.clone()) {
            Submission::Queued(place) => place.complete_with(self),
            Submission::Done(Ok(_)) => self.finish(Err(Fault::BUSY)), // a store that queues does not
            Submission::Done(outcome) => self.finish(outcome),
        }
    }

    fn finish(self, outcome: Outcome) {
        let response = answer(&self.wish, self.is_ordered, outcome);
        self.deferred.send(response);
    }
}
