//! One service and one server under each model of concurrency: who calls the service, and how the
//! connections are spread.

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use support::Example;
use support::client::Client;
use trine::concurrency::WorkerOptions;
use trine::http::Request;
use trine::server::{Accepting, CoreOptions, Model};
use trine::service::respond;
use trine::{Response, Server};

const CLIENTS: usize = 24;

/// The service: it does not know who calls it.
fn name(_: &Request<'_>) -> Response {
    Response::text(thread::current().name().unwrap_or_default().to_owned())
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let about = "One service under each model of concurrency, and which threads call it.";
    let example = Example::from_arguments(about, "127.0.0.1:8080");
    let cores = |accepting, rebalancing| {
        Model::LoopPerCore(CoreOptions {
            loops: 3,
            accepting,
            rebalancing,
            ..CoreOptions::default()
        })
    };
    if !example.is_demo() {
        let server = Server::bind(example.listen)?;
        example.begin(server.local_address(), |_, _| Ok(()));
        let kernel = cores(Accepting::Kernel, None);
        server.under(kernel).run(|| respond(name), || ())?;
        return Ok(ExitCode::SUCCESS);
    }
    let models = [
        ("one loop", Model::Single),
        (
            "workers",
            Model::HalfSyncHalfAsync(WorkerOptions::default()),
        ),
        (
            "3 loops, the kernel spreads",
            cores(Accepting::Kernel, None),
        ),
        ("3 loops, one accepts", cores(Accepting::One, None)),
        ("3 loops, which even out", cores(Accepting::Kernel, Some(1))),
    ];
    for (what, model) in models {
        let callers = callers(model)?;
        let all: usize = callers.values().sum();
        let is_per_core = matches!(model, Model::LoopPerCore(_));
        let is_right =
            all == CLIENTS && (!is_per_core || callers.keys().all(|it| it.contains("loop")));
        example
            .timeline
            .check(is_right, format_args!("{what}: {callers:?}"));
    }
    Ok(example.verdict())
}

/// How many of the clients were answered by which thread.
fn callers(model: Model) -> trine::Result<BTreeMap<String, usize>> {
    let server = Server::bind("127.0.0.1:0")?;
    let (address, (give, take)) = (server.local_address(), channel());
    server.under(model).run_with(
        || respond(name),
        || (),
        move |core, _, _| {
            let (fellows, give) = (core.fellows().clone(), give.clone());
            if let (0, Some(address)) = (core.number(), address) {
                thread::spawn(move || {
                    let _ = give.send(ask(address)); // main waits for the end of the server
                    fellows.drain(Duration::from_secs(1));
                });
            }
            Ok(())
        },
    )?;
    Ok(take.recv().ok().and_then(Result::ok).unwrap_or_default())
}

/// Connects all clients, then has each ask.
fn ask(address: SocketAddr) -> io::Result<BTreeMap<String, usize>> {
    let clients: io::Result<Vec<_>> = (0..CLIENTS).map(|_| Client::connect(address)).collect();
    let (mut clients, mut callers) = (clients?, BTreeMap::new());
    for client in &mut clients {
        *callers.entry(client.get("/")?.body).or_default() += 1;
    }
    Ok(callers)
}
