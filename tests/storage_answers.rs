//! A server in front of a storage unit: no answer to a write leaves before the store has said that it
//! is done, and no connection waits for another's.

mod storage_fake;
mod support;

use std::time::Duration;

use storage_fake::{Fake, Script, get as read, put as write, until};
use support::client::get;
use support::{Running, start};
use trine::connection::CloseReason;
use trine::http::Status;
use trine::service::{Answered, Reply, Service};
use trine::storage::{Fault, Outcome, Reply as Stored, StorageUnit, Submission, UnitOptions};
use trine::{Request, Response};

/// `/put/VALUE` and `/get`, of one key; anything else is answered at once.
fn store(unit: StorageUnit) -> impl Service<()> + Send {
    move |request: &Request<'_>, reply: Reply<'_>, (): &mut ()| -> Answered {
        let asked = match request.path().strip_prefix("/put/") {
            Some(value) => write("key", value),
            None if request.path() == "/get" => read("key"),
            None => return reply.text("at once"),
        };
        match unit.submit(asked) {
            Submission::Done(outcome) => reply.send(response(outcome)),
            Submission::Queued(place) => {
                let (deferred, answered) = reply.defer();
                place.answer(deferred, response);
                answered
            }
        }
    }
}

fn response(outcome: Outcome) -> Response {
    match outcome {
        Ok(Stored::Got(Some(entry))) => Response::bytes(entry.value),
        Ok(Stored::Got(None)) => Response::not_found(),
        Ok(_) => Response::new(Status::NO_CONTENT),
        Err(Fault::Unknown(_)) => Response::new(Status::GATEWAY_TIMEOUT),
        Err(_) => Response::new(Status::SERVICE_UNAVAILABLE),
    }
}

fn serving(fake: &Fake) -> (Running, StorageUnit) {
    let unit = StorageUnit::start(Box::new(fake.clone()), UnitOptions::default()).unwrap();
    (start(|server| server, store(unit.clone())), unit)
}

#[test]
fn a_write_is_answered_when_the_store_says_that_it_is_done() {
    let fake = Fake::new();
    let (server, _) = serving(&fake);
    let gate = fake.block_writes();
    let (mut writer, mut other) = (server.client(), server.client());
    writer.send(get("/put/1"));
    until(|| fake.is_blocked());
    assert_eq!(other.get("/").text(), "at once");
    assert!(writer.is_silent_for(Duration::from_millis(50)));
    drop(gate);
    assert_eq!(writer.answer().status, 204);
    assert_eq!(other.get("/get").text(), "1");
}

#[test]
fn a_write_that_fails_is_never_answered_as_if_it_had_not() {
    let fake = Fake::new();
    let (server, _) = serving(&fake);
    let mut client = server.client();
    fake.script([Script::Unknown, Script::Panic, Script::Silence]);
    for _ in 0..3 {
        assert_eq!(client.get("/put/1").status, 504);
    }
    assert_eq!(client.get("/put/1").status, 204);
}

#[test]
fn writes_of_many_connections_share_a_batch() {
    let fake = Fake::new();
    let (server, unit) = serving(&fake);
    let gate = fake.block_writes();
    let mut clients: Vec<_> = (0..30).map(|_| server.client()).collect();
    clients[0].send(get("/put/1"));
    until(|| fake.is_blocked());
    for client in &mut clients[1..] {
        client.send(get("/put/1"));
    }
    until(|| unit.metrics().queued == 29);
    drop(gate);
    assert!(
        clients
            .iter_mut()
            .all(|client| client.answer().status == 204)
    );
    assert_eq!(fake.batches(), [1, 29]);
}

#[test]
fn a_client_that_left_has_nothing_written_that_was_not_begun() {
    let fake = Fake::new();
    let (server, unit) = serving(&fake);
    let gate = fake.block_writes();
    let mut first = server.client();
    first.send(get("/put/1"));
    until(|| fake.is_blocked());
    let mut leaving = server.client();
    leaving.send(get("/put/2"));
    until(|| unit.metrics().queued == 1);
    leaving.reset();
    server.awaits_closed(CloseReason::PeerReset, 1);
    drop(gate);
    assert_eq!(first.answer().status, 204);
    assert_eq!(first.get("/get").text(), "1");
    assert_eq!((fake.batches(), unit.metrics().cancelled), (vec![1], 1));
}
