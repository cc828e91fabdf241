//! The server that testers of clients know: what you send comes back, in the way its path says.
//!
//! | path | answer |
//! |---|---|
//! | `/hello` | the text `hello` |
//! | `/anything...` | the request, as JSON |
//! | `/echo` | the body, as it comes |
//! | `/bytes/N` | N octets, of a declared length |
//! | `/stream/N` | N chunks |
//! | `/status/N` | that status, 200 to 599 |
//! | `/delay/MS` | a text, so much later |
//! | `/response-header?v=TEXT` | a field `X-Value` with that value, or 400 |
//! | `/sleep/MS` | a text, after a worker thread was blocked so long; 501 without workers |
//! | `/panic` | 500 |
//! | `/metrics` | what the server and its loop count, for Prometheus |

#[path = "../support/mod.rs"]
mod support;

mod anything;
mod demo;
mod pieces;
mod site;

use std::process::ExitCode;

use site::Site;
use support::Example;
use support::server_flags::{Model, ServerFlags};
use trine::Server;

fn main() -> trine::Result<ExitCode> {
    let (mut flags, mut site) = (ServerFlags::default(), Site::default());
    let about = "A server for testing clients: sends back what it gets.";
    let more = [
        "  --anything            answer every request as /anything is",
        ServerFlags::USAGE,
    ]
    .join("\n");
    let mut example = Example::with_flags(about, "127.0.0.1:8080", &more, |name, arguments| {
        if name == "anything" {
            site.is_anything = true;
            return Ok(true);
        }
        flags.take(name, arguments)
    });
    let server = flags.apply(Server::bind(example.listen)?);
    site.may_block = flags.model() == Model::HalfSync;
    let may_block = site.may_block;
    example.begin(server.local_address(), move |address, timeline| {
        demo::demo(address, timeline, may_block)
    });
    let page = site.metrics.clone();
    flags.serve(server, &page, move || site.clone(), || ())?;
    Ok(example.verdict())
}
