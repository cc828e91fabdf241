//! The smallest server: `/` answers `Hello, World!`, everything else 404.
//!
//! Without any setting it has a deadline for every state of a connection, and SIGTERM lets it
//! finish what is under way.

mod support;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use support::client::Client;
use support::{Example, Timeline, terminate};
use trine::{Response, Server};

fn main() -> trine::Result<ExitCode> {
    let example = Example::from_arguments("The smallest server.", "127.0.0.1:8080");
    let server = Server::bind(example.listen)?;
    example.begin(server.local_address(), demo);
    server.serve(|request| match request.path() {
        "/" => Response::text("Hello, World!"),
        _ => Response::not_found(),
    })?;
    Ok(example.verdict())
}

fn demo(address: SocketAddr, timeline: &Timeline) -> io::Result<()> {
    let mut client = Client::connect(address)?;
    let hello = client.get("/")?;
    timeline.note(format_args!("GET /\n{}", hello.head.trim_end()));
    timeline.check(
        hello.status == 200 && hello.body == "Hello, World!",
        "/ says Hello, World!",
    );
    timeline.check(hello.says("Content-Length: 13"), "its length is declared");
    timeline.check(hello.head.contains("\r\nDate: "), "it is dated");
    let other = client.get("/other")?;
    timeline.check(
        other.status == 404,
        "everything else is 404, on the same connection",
    );
    terminate()
}
