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

use access_log::Writing;
use files::Files;
use flags::OwnFlags;
use operation::Operation;
use site::Site;
use spawn::{Bounds, Spawner};
use support::Example;
use support::metrics_page::MetricsPage;
use support::server_flags::{Model, ServerFlags};
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
    let mut example = Example::with_flags(ABOUT, "127.0.0.1:8080", &more, |name, arguments| {
        Ok(own.take(name, arguments)?
            || operation.take(name, arguments)?
            || flags.take(name, arguments)?)
    });
    let demo_folder = example
        .is_demo()
        .then(|| demo::prepare(&mut own))
        .transpose()?;
    let mut event_loop = EventLoop::new()?;
    let files = own.root.as_deref().map(open_root).transpose()?;
    let site = Site {
        is_anything: own.is_anything,
        may_block: flags.model() == Model::HalfSync,
        files,
        spawner: Some(Spawner::new(&mut event_loop, Bounds::default())?),
        metrics: MetricsPage::default(),
    };
    let server = flags.apply(operation.bind(example.listen)?);
    let (server, writing) = match &own.access_log {
        Some(path) => log_to(path, server, &mut event_loop)?,
        None => (server, None),
    };
    let may_block = site.may_block;
    example.begin(server.local_address(), move |address, timeline| {
        demo::demo(address, timeline, may_block, demo_folder.as_deref())
    });
    let server = operation.reloading(server);
    let page = site.metrics.clone();
    let count = flags.attach(server, &mut event_loop, move || site.clone(), || ())?;
    page.follow(count, &mut event_loop)?;
    event_loop.drain_on_signals([Signal::TERM, Signal::INT], flags.drain_limit())?;
    let ended = event_loop.run(&mut ());
    drop(event_loop); // and with it whoever writes lines
    if let Some(writing) = writing {
        writing.finish();
    }
    ended?;
    Ok(example.verdict())
}

fn open_root(path: &Path) -> Result<Files, String> {
    Files::new(path).map_err(|error| format!("--root {}: {error}", path.display()))
}

/// Has a line written to `path` for each request, and the file opened anew on SIGHUP.
fn log_to(
    path: &Path,
    server: Server,
    event_loop: &mut EventLoop<()>,
) -> Result<(Server, Option<Writing>), Box<dyn std::error::Error>> {
    let (log, writing) = access_log::open(path)
        .map_err(|error| format!("--access-log {}: {error}", path.display()))?;
    let reopened = log.clone();
    event_loop.signals([Signal::HUP], move |(), _, _| reopened.reopen())?;
    Ok((
        server.on_served(move |served| log.note(served)),
        Some(writing),
    ))
}
