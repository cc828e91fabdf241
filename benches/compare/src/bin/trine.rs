//! trine's server of `hello`: `--model` and `--pattern` say on what it runs.

use std::error::Error;
use std::net::SocketAddr;
use std::process::{ExitCode, exit};
use std::time::Duration;

use lexopt::prelude::*;
use trine::concurrency::{TeamOptions, WorkerOptions};
use trine::proactor::{Pattern, ProactorOptions};
use trine::server::{CoreOptions, Model, ServerMeter};
use trine::{Answered, Reply, Request, Server, Sources};
use trine_compare::constants::REFUSED;

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
    let (model, pattern) = (model(flags)?, pattern(flags)?);
    // What a connection may do here, as the others allow it: no end to its requests, many others.
    let server = Server::bind(flags.listen)?
        .requests_per_connection_max(u32::MAX)
        .connections_max(CONNECTIONS_MAX);
    let server = match pattern {
        None => server,
        Some(pattern) => server.proactor(ProactorOptions {
            pattern,
            ..ProactorOptions::default()
        }),
    };
    let is_another = move |meter: &ServerMeter| meter.read().pattern != pattern;
    Ok(server.under(model).run_with(
        || hello,
        || (),
        move |_, meter, event_loop| {
            let meter = meter.clone();
            event_loop.call_after(Duration::ZERO, move |(), _| {
                if is_another(&meter) {
                    eprintln!("trine: {REFUSED}");
                    exit(1); // what is measured has to be what was asked for
                }
            })?;
            Ok(())
        },
    )?)
}

/// Who does the operations; nobody in the reactor.
fn pattern(flags: &Flags) -> Result<Option<Pattern>, Box<dyn Error>> {
    match flags.pattern.as_str() {
        "reactor" => Ok(None),
        "proactor" => Ok(Some(Pattern::Emulated)),
        "io-uring" => Ok(Some(Pattern::IoUring)),
        other => {
            let known = "reactor, proactor and io-uring";
            Err(format!("--pattern {other}: there are {known}").into())
        }
    }
}

fn model(flags: &Flags) -> Result<Model, Box<dyn Error>> {
    match flags.model.as_str() {
        "single" => Ok(Model::Single),
        "half-sync" => Ok(Model::HalfSyncHalfAsync(WorkerOptions {
            workers: flags.threads,
            ..WorkerOptions::default()
        })),
        "leader-followers" => Ok(Model::LeaderFollowers(TeamOptions {
            threads: flags.threads,
            handlers_max: CONNECTIONS_MAX as u32,
        })),
        "loop-per-core" => Ok(Model::LoopPerCore(CoreOptions {
            loops: flags.threads,
            ..CoreOptions::default()
        })),
        other => {
            let known = "single, half-sync, leader-followers and loop-per-core";
            Err(format!("--model {other}: there are {known}").into())
        }
    }
}

fn hello(_: &Request<'_>, reply: Reply<'_>, (): &mut ()) -> Answered {
    reply.text("hello")
}
