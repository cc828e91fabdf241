//! What may happen on one connection: reuse, pipelining, half-close, HTTP/1.0, a request cap.

mod support;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use support::client::{Client, get};
use support::{Example, Timeline, terminate};
use trine::connection::CloseReason;
use trine::service::Reply;
use trine::{EventLoop, Request, Server, Signal, Sources};

const CAP: u32 = 4;

fn main() -> trine::Result<ExitCode> {
    let about =
        "Reuse, pipelining, half-close, HTTP/1.0 and a cap on the requests of a connection.";
    let example = Example::from_arguments(about, "127.0.0.1:8080");
    let mut server = Server::bind(example.listen)?;
    server.config_mut().requests_per_connection_max = CAP;
    let address = server.local_address();

    // The service numbers its answers: the count is the loop's state, lent for each call.
    let number = |_: &Request<'_>, reply: Reply<'_>, served: &mut u32| {
        *served += 1;
        reply.text(served.to_string())
    };
    let mut event_loop = EventLoop::new()?;
    let handle = server.attach(&mut event_loop, number)?;
    event_loop.drain_on_signals([Signal::TERM, Signal::INT], Duration::from_secs(2))?;

    example.begin(address, demo);
    event_loop.run(&mut 0)?;

    if example.is_demo() {
        let metrics = handle.metrics(&mut event_loop.context());
        let metrics = metrics.expect("the service is not running");
        let totals = (metrics.requests, metrics.accepted);
        let says = format!("{} requests came on {} connections", totals.0, totals.1);
        example.timeline.check(totals == (13, 5), says);
        let capped = metrics.closed(CloseReason::RequestCap);
        example
            .timeline
            .check(capped == 1, "one of them had its share");
    }
    Ok(example.verdict())
}

fn demo(address: SocketAddr, timeline: &Timeline) -> io::Result<()> {
    let mut client = Client::connect(address)?;
    let bodies = [client.get("/")?.body, client.get("/")?.body];
    timeline.check(bodies == ["1", "2"], "reuse: two requests, one connection");

    let mut client = Client::connect(address)?;
    client.send(&get("/").repeat(3))?;
    let bodies = [
        client.answer()?.body,
        client.answer()?.body,
        client.answer()?.body,
    ];
    timeline.check(
        bodies == ["3", "4", "5"],
        "pipelining: three requests in one packet, answers in order",
    );

    let mut client = Client::connect(address)?;
    client.send(&get("/").repeat(2))?;
    client.finish()?;
    let bodies = [client.answer()?.body, client.answer()?.body];
    timeline.check(
        bodies == ["6", "7"],
        "half-close: the answers come after our end of file",
    );
    timeline.check(
        client.rest()?.is_empty(),
        "half-close: and then the server's",
    );

    let mut client = Client::connect(address)?;
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")?;
    let kept = client.answer()?;
    timeline.check(
        kept.says("Connection: keep-alive"),
        "HTTP/1.0: kept open when asked to",
    );
    client.send("GET / HTTP/1.0\r\n\r\n")?;
    let last = client.answer()?;
    timeline.check(
        last.says("Connection: close"),
        "HTTP/1.0: closed otherwise, and says so",
    );
    timeline.check(client.rest()?.is_empty(), "HTTP/1.0: and does so");

    let mut client = Client::connect(address)?;
    client.send(&get("/").repeat(6))?;
    for number in 1..=CAP {
        let closes = client.answer()?.says("Connection: close");
        let says = format!(
            "cap: answer {number} of {CAP} {}",
            if closes { "is the last" } else { "" }
        );
        timeline.check(closes == (number == CAP), says.trim_end());
    }
    timeline.check(
        client.rest()?.is_empty(),
        "cap: what was pipelined behind it is not answered",
    );
    terminate()
}
