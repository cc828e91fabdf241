//! The server that testers of clients know: what you send comes back, in the way its path says.
//!
//! | path | answer |
//! |---|---|
//! | `/hello` | the text `hello` |
//! | `/anything...` | the request, as JSON |
//! | `/echo` | the body, as it comes |
//! | `/files/...` | a file of the folder `--root`, or a part of it |
//! | `/bytes/N` | N octets, of a declared length |
//! | `/stream/N` | N chunks |
//! | `/status/N` | that status, 200 to 599 |
//! | `/delay/MS` | a text, so much later |
//! | `/response-header?v=TEXT` | a field `X-Value` with that value, or 400 |
//! | `/sleep/MS` | a text, after a worker thread was blocked so long; 501 without workers |
//! | `/spawn` | what `ls -l /proc/self/fd` says in a child: the descriptors it has |
//! | `/spawn/signals` | the signal mask and dispositions of a child |
//! | `/panic` | 500 |
//! | `/metrics` | what the server and its loop count, for Prometheus |
//!
//! With `--access-log FILE` one line a request is written, whatever clients send.

#[path = "../support/mod.rs"]
mod support;

mod access_log;
mod anything;
mod demo;
mod files;
mod flags;
mod operation;
mod pieces;
mod site;
mod spawn;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use access_log::{AccessLog, Writing};
use files::Files;
use flags::OwnFlags;
use operation::Operation;
use site::Site;
use spawn::{Bounds, Spawner};
use support::Example;
use support::server_flags::ServerFlags;
use trine::concurrency::Core;
use trine::server::ServerMeter;
use trine::{EventLoop, Server, Signal, Sources};

const ABOUT: &str = "A server for testing clients: sends back what it gets.";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("httpbin: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let (mut flags, mut own) = (ServerFlags::default(), OwnFlags::default());
    let mut operation = Operation::default();
    let more = [OwnFlags::USAGE, Operation::USAGE, ServerFlags::USAGE].join("\n");
    let example = Example::with_flags(ABOUT, "127.0.0.1:8080", &more, |name, arguments| {
        Ok(own.take(name, arguments)?
            || operation.take(name, arguments)?
            || flags.take(name, arguments)?)
    });
    let demo_folder = example
        .is_demo()
        .then(|| demo::prepare(&mut own))
        .transpose()?;
    let files = own.root.as_deref().map(open_root).transpose()?;
    let site = Site {
        is_anything: own.is_anything,
        may_block: flags.may_block(),
        files,
        ..Site::default()
    };
    let server = flags.apply(operation.bind(example.listen)?);
    let (server, log) = match &own.access_log {
        Some(path) => log_to(path, server).map(|(server, log)| (server, Some(log)))?,
        None => (server, None),
    };
    let address = server.local_address();
    let server = operation.reloading(server);
    let (log, writing) = log.unzip();
    let (page, spawner) = (site.metrics.clone(), Arc::clone(&site.spawner));
    let (begun, may_block) = (example.clone(), site.may_block);
    let set_up = move |core: &Core, meter: &ServerMeter, event_loop: &mut EventLoop<()>| {
        if core.number() > 0 {
            return Ok(()); // the rest is there once
        }
        if let Some(log) = log.clone() {
            event_loop.signals([Signal::HUP], move |(), _, _| log.reopen())?;
        }
        let _ = spawner.set(Spawner::new(event_loop, Bounds::default())?); // it is set once
        page.follow(meter, event_loop)?;
        let folder = demo_folder.clone();
        begun.begin(address, move |address, timeline| {
            demo::demo(address, timeline, may_block, folder.as_deref())
        });
        Ok(())
    };
    let serving = server.under(flags.model());
    let ended = serving.run_with(move || site.clone(), || (), set_up);
    if let Some(writing) = writing {
        writing.finish(); // whoever writes lines is gone
    }
    ended?;
    Ok(example.verdict())
}

fn open_root(path: &Path) -> Result<Files, String> {
    Files::new(path).map_err(|error| format!("--root {}: {error}", path.display()))
}

/// Has a line written to `path` for each request.
fn log_to(path: &Path, server: Server) -> Result<(Server, (AccessLog, Writing)), String> {
    let (log, writing) = access_log::open(path)
        .map_err(|error| format!("--access-log {}: {error}", path.display()))?;
    let noting = log.clone();
    let server = server.on_served(move |served| noting.note(served));
    Ok((server, (log, writing)))
}
