//! A service under virtual time, and on a network that does its worst: the same function that is
//! served on a real socket without `--demo`.

mod support;

use std::process::ExitCode;
use std::time::Duration;

use support::{Example, Timeline};
use trine::service::respond;
use trine::testing::{Faults, Sim};
use trine::{Request, Response, Server, Signal};

fn main() -> trine::Result<ExitCode> {
    let about = "A service tested under virtual time and faults (--demo), or served (without).";
    let mut example = Example::from_arguments(about, "127.0.0.1:8080");
    if example.is_demo() {
        an_hour_of_timeouts(&example.timeline);
        a_thousand_networks(&example.timeline);
        a_drain(&example.timeline);
        return Ok(example.verdict());
    }
    let server = Server::bind(example.listen)?;
    example.begin(server.local_address(), |_, _| Ok(()));
    server.serve(answer)?;
    Ok(example.verdict())
}

/// What is tested.
fn answer(request: &Request<'_>) -> Response {
    match request.path() {
        "/" => Response::text("home\n"),
        "/echo" => Response::bytes(request.body().to_vec()),
        _ => Response::not_found(),
    }
}

const HOME: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// Every deadline to the second, without waiting for one.
fn an_hour_of_timeouts(timeline: &Timeline) {
    let mut sim = Sim::seeded(1);
    let server = sim.server().idle_timeout(Duration::from_secs(3600));
    let address = sim.serve(server, respond(answer));
    let mut client = sim.connect(address);
    let mut silent = sim.connect(address);
    client.send(HOME);
    let greeted = client.reply().status() == 200;
    timeline.check(greeted, at(&sim, "the first answer"));

    sim.advance(Duration::from_millis(9_999));
    timeline.check(silent.is_open(), at(&sim, "a silent client is still there"));
    sim.advance(Duration::from_millis(1));
    timeline.check(!silent.is_open(), at(&sim, "it is closed"));

    sim.advance(Duration::from_secs(3590) - Duration::from_millis(1));
    timeline.check(client.is_open(), at(&sim, "an idle client is still there"));
    sim.advance(Duration::from_millis(1));
    timeline.check(!client.is_open(), at(&sim, "it is closed"));
}

/// Bytes split and late, calls that fail, events twice and in any order: nobody may notice.
fn a_thousand_networks(timeline: &Timeline) {
    let mut answered = 0;
    for seed in 0..1_000 {
        let mut sim = Sim::seeded(seed);
        sim.set_faults(Faults::lossless());
        let address = sim.serve(sim.server(), respond(answer));
        let mut client = sim.connect(address);
        let echo = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello";
        client.send([HOME, echo, HOME].concat());
        sim.advance(Duration::from_secs(5));
        let texts = [client.reply(), client.reply(), client.reply()].map(|reply| reply.text());
        answered += u32::from(texts == ["home\n", "hello", "home\n"]);
    }
    let says = format!("{answered} of 1,000 hostile networks bring three answers, in order");
    timeline.check(answered == 1_000, says);
}

/// SIGTERM, said to the simulated program only.
fn a_drain(timeline: &Timeline) {
    let mut sim = Sim::seeded(1);
    let address = sim.serve(sim.server(), respond(answer));
    let mut client = sim.connect(address);
    client.send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhe");
    sim.settle();
    sim.signal(Signal::TERM);
    sim.advance(Duration::from_secs(1));
    let waits = sim.outcome().is_none();
    timeline.check(waits, at(&sim, "the drain waits for half a request"));
    client.send("llo");
    let reply = client.reply();
    timeline.check(reply.text() == "hello", at(&sim, "which is answered"));
    client.finish();
    sim.advance(Duration::from_secs(3));
    let ended = sim.outcome() == Some(Ok(()));
    timeline.check(ended, at(&sim, "and the loop has ended, with success"));
}

fn at(sim: &Sim, what: &str) -> String {
    format!("virtual {:>12?}: {what}", sim.elapsed())
}
