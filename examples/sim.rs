//! A service under virtual time, and on a network that does its worst: the same function that is
//! served on a real socket without `--demo`.

mod support;

use std::process::ExitCode;
use std::time::Duration;

use support::{Example, Timeline};
use trine::reactor::{Context, Firing};
use trine::service::respond;
use trine::testing::{Faults, Sim};
use trine::{Answered, Deferred, Reply, Request, Response, Server, Signal, Sources};

fn main() -> trine::Result<ExitCode> {
    let about = "A service tested under virtual time and faults (--demo), or served (without).";
    let example = Example::from_arguments(about, "127.0.0.1:8080");
    if example.is_demo() {
        an_hour_of_timeouts(&example.timeline);
        a_thousand_networks(&example.timeline);
        a_drain(&example.timeline);
        a_bug_found_by_its_seed(&example.timeline);
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

/// Who wait for news: those who came since the last sweep, and those before.
#[derive(Default)]
struct News {
    waiting: Vec<Deferred>,
    seen: Vec<Deferred>,
}

fn ask(_: &Request<'_>, reply: Reply<'_>, news: &mut News) -> Answered {
    let (deferred, answered) = reply.defer();
    news.waiting.push(deferred);
    answered
}

/// Nobody waits longer than two sweeps, which is ten seconds.
fn sweep(news: &mut News, _: Firing, _: &mut Context<'_, News>) {
    let seen = std::mem::take(&mut news.waiting);
    for deferred in std::mem::replace(&mut news.seen, seen) {
        deferred.send(Response::text("none\n"));
    }
}

/// The status that somebody gets who asks when the dice say so.
fn ask_some_time(seed: u64, limit: Duration) -> u16 {
    let mut sim = Sim::with_state(seed, News::default());
    let address = sim.serve(sim.server().handler_timeout(limit), ask);
    let swept = sim.with(|events, _| events.every(Duration::from_secs(5), sweep));
    swept.expect("five seconds are a period");
    let mut dice = sim.dice();
    sim.advance(Duration::from_millis(dice.below(20_000) as u64));
    let mut client = sim.connect(address);
    client.send(HOME);
    sim.advance(Duration::from_secs(10));
    client.reply().status()
}

/// A limit of eight seconds for what takes up to ten: right most of the time.
fn a_bug_found_by_its_seed(timeline: &Timeline) {
    let [eight, eleven] = [8, 11].map(Duration::from_secs);
    let found = (0..50).find(|seed| ask_some_time(*seed, eight) != 200);
    let says = format!("a limit that is too short for some: found by seed {found:?} of 50");
    timeline.check(found.is_some(), says);
    let again = found.is_some_and(|seed| ask_some_time(seed, eight) == 504);
    timeline.check(again, "the same seed finds it again: 504");
    let mended = (0..50).all(|seed| ask_some_time(seed, eleven) == 200);
    timeline.check(mended, "with a limit of 11 s no seed finds anything");
}

fn at(sim: &Sim, what: &str) -> String {
    format!("virtual {:>12?}: {what}", sim.elapsed())
}
