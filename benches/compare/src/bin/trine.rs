//! trine's server of `hello`: `--model` and `--pattern` say on what it runs.
//!
//! A value that this build has not is an error, and a row of it in `rows.rs` says so in the table.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use lexopt::prelude::*;
use trine::concurrency::{HalfSyncHalfAsync, LoopPerCore, WorkerOptions};
use trine::reactor::StreamListener;
use trine::{Reply, Request, Response, Server};

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
    match (flags.model.as_str(), flags.pattern.as_str()) {
        ("single", "reactor") => {
            let server = settings(Server::bind(flags.listen)?);
            server.serve(|_| Response::text("hello"))?;
        }
        ("half-sync", "reactor") => {
            let options = WorkerOptions {
                workers: flags.threads,
                ..WorkerOptions::default()
            };
            let service = HalfSyncHalfAsync::start(&options, || hello, || ())?;
            settings(Server::bind(flags.listen)?).serve_with(service, ())?;
        }
        ("loop-per-core", "reactor") => {
            let listeners = StreamListener::bind_tcp_for(flags.threads, flags.listen)?;
            let listeners = Mutex::new(listeners);
            let cores = LoopPerCore::new().loops(flags.threads);
            cores.run(move |_, event_loop| {
                let mut listeners = listeners.lock().unwrap_or_else(PoisonError::into_inner);
                let listener = listeners.pop().expect("there is one for each loop");
                settings(Server::over(listener)).attach(event_loop, hello)?;
                Ok(())
            })?;
        }
        (model, pattern) => {
            let problem = format!("--model {model} --pattern {pattern}: not in this build");
            return Err(problem.into());
        }
    }
    Ok(())
}

fn hello(_: &Request<'_>, reply: Reply<'_>, (): &mut ()) -> trine::Answered {
    reply.text("hello")
}

/// What a connection may do here, as the others allow it: no end to its requests, many others.
fn settings(server: Server) -> Server {
    server
        .requests_per_connection_max(u32::MAX)
        .connections_max(CONNECTIONS_MAX)
}
