//! trine's server of `hello`: `--model` and `--pattern` say on what it runs.
//!
//! A value that this build has not is an error; a row of `rows.rs` with it is shown as failed.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use lexopt::prelude::*;
use trine::concurrency::WorkerOptions;
use trine::server::{CoreOptions, Model};
use trine::{Answered, Reply, Request, Server};

/// Beyond what any workload opens; the default is half of the descriptor limit.
const CONNECTIONS_MAX: usize = 15_000;

struct Flags {
    model: String,
    pattern: String,
    /// Loops, workers or threads of a team, as the model has them.
    threads: usize,
    listen: SocketAddr,
}

fn main() -> ExitCode {
    match flags().and_then(|flags| serve(&flags)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("trine: {error}");
            ExitCode::FAILURE
        }
    }
}

fn flags() -> Result<Flags, Box<dyn Error>> {
    let mut flags = Flags {
        model: "single".into(),
        pattern: "reactor".into(),
        threads: 1,
        listen: "127.0.0.1:8080".parse()?,
    };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("model") => flags.model = arguments.value()?.string()?,
            Long("pattern") => flags.pattern = arguments.value()?.string()?,
            Long("threads") => flags.threads = arguments.value()?.parse()?,
            Long("listen") => flags.listen = arguments.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(flags)
}

fn serve(flags: &Flags) -> Result<(), Box<dyn Error>> {
    let model = model(flags)?;
    let server = match flags.pattern.as_str() {
        "reactor" => Server::bind(flags.listen)?,
        other => return Err(format!("--pattern {other}: this build has only reactor").into()),
    };
    // What a connection may do here, as the others allow it: no end to its requests, many others.
    let server = server
        .requests_per_connection_max(u32::MAX)
        .connections_max(CONNECTIONS_MAX);
    Ok(server.under(model).run(|| hello, || ())?)
}

fn model(flags: &Flags) -> Result<Model, Box<dyn Error>> {
    match flags.model.as_str() {
        "single" => Ok(Model::Single),
        "half-sync" => Ok(Model::HalfSyncHalfAsync(WorkerOptions {
            workers: flags.threads,
            ..WorkerOptions::default()
        })),
        "loop-per-core" => Ok(Model::LoopPerCore(CoreOptions {
            loops: flags.threads,
            ..CoreOptions::default()
        })),
        other => {
            let known = "single, half-sync and loop-per-core";
            Err(format!("--model {other}: this build has {known}").into())
        }
    }
}

fn hello(_: &Request<'_>, reply: Reply<'_>, (): &mut ()) -> Answered {
    reply.text("hello")
}
