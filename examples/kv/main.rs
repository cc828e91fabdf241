//! A durable key-value server over HTTP: the main job of trine, on its embedded store.
//!
//! | request | does |
//! |---|---|
//! | `PUT /kv/KEY` | stores the body; `?ttl=SECONDS`, `?durability=memory\|os\|synced\|replicated`; 201 or 204 |
//! | `GET /kv/KEY`, `HEAD` | the value; 404 |
//! | `DELETE /kv/KEY` | 204, or 404 |
//! | `GET /kv?prefix=&after=&limit=` | a page of keys as JSON; `&values=true` with their values |
//! | `GET /metrics` | counters for Prometheus |
//! | `GET /healthz`, `/readyz` | whether the process lives; whether the store works |
//!
//! With `--resp ADDRESS` the same store is served to the clients of Redis as well.
//!
//! A key is percent-encoded octets, a value any octets. `ETag` is the revision of the value: `If-Match`
//! and `If-None-Match` make a write conditional. A write is answered when it is as durable as was asked.

#[path = "../support/mod.rs"]
mod support;

mod answer;
mod ask;
mod demo;
mod json;
mod metrics;
mod problem;
mod service;
mod stores;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use service::Kv;
use stores::Choice;
use support::Example;
use support::metrics_page::MetricsPage;
use support::server_flags::ServerFlags;
use trine::concurrency::Core;
use trine::resp::RespServer;
use trine::server::ServerMeter;
use trine::storage::{Health, StorageUnit, UnitOptions};
use trine::{EventLoop, Server, Sources};

const ABOUT: &str = "A durable key-value server over HTTP.";
const RESP_USAGE: &str = "  \
  --resp ADDRESS        where to listen for clients of Redis (default: nowhere)";
/// In bytes, unless `--body-limit` says otherwise.
const VALUE_MAX: u64 = 16 << 20;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("kv: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let (mut flags, mut choice) = (ServerFlags::default(), Choice::default());
    let (mut resp, more) = (
        None,
        [Choice::USAGE, RESP_USAGE, ServerFlags::USAGE].join("\n"),
    );
    let example = Example::with_flags(ABOUT, "127.0.0.1:8080", &more, |name, arguments| {
        if name == "resp" {
            resp = Some(address(arguments)?);
            return Ok(true);
        }
        Ok(choice.take(name, arguments)? || flags.take(name, arguments)?)
    });
    if example.is_demo() {
        choice.for_a_demonstration();
    }
    // Before the store: an address that is in use leaves no file behind, nor one half repaired.
    let server = flags.apply(Server::bind(example.listen)?.body_bytes_max(VALUE_MAX));
    let listening = server.local_address();
    let resp = resp.map(RespServer::bind).transpose()?;
    let unit = choice.open(UnitOptions::default())?;
    let kv = Kv {
        unit: unit.clone(),
        patience: flags.handler_limit(),
        page: MetricsPage::default(),
    };
    let (failure, resp) = (Failure::default(), Mutex::new(resp));
    let set_up = {
        let (page, unit, failure) = (kv.page.clone(), unit.clone(), Arc::clone(&failure));
        let begun = example.clone();
        move |core: &Core, meter: &ServerMeter, event_loop: &mut EventLoop<()>| {
            if core.number() > 0 {
                return Ok(()); // the rest is there once
            }
            unit.maintain_on(event_loop)?;
            watch(&unit, &failure, event_loop)?;
            page.follow(meter, event_loop)?;
            let resp = resp.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(server) = resp {
                server.attach(event_loop, unit.clone())?;
            }
            begun.begin(listening, demo::demo);
            Ok(())
        }
    };
    let serving = server.under(flags.model());
    let ended = serving.run_with(move || kv.clone(), || (), set_up);
    if let Some(why) = failure.get() {
        return Err(why.clone().into());
    }
    close(unit)?;
    if example.is_demo() {
        choice.clean_up();
    }
    ended?;
    Ok(example.verdict())
}

fn address(from: &mut lexopt::Parser) -> Result<SocketAddr, lexopt::Error> {
    let text = from.value()?.to_string_lossy().into_owned();
    let address = text.parse();
    address.map_err(|_| format!("--resp {text}: not an address like 127.0.0.1:6379").into())
}

/// Why the server ends, if it does before it is asked to.
type Failure = Arc<OnceLock<String>>;

/// A store that cannot be opened ends the server; until it is open, it says that it is not ready.
fn watch(
    unit: &StorageUnit,
    failure: &Failure,
    event_loop: &mut EventLoop<()>,
) -> trine::Result<()> {
    let (unit, failure) = (unit.clone(), Arc::clone(failure));
    event_loop.every(Duration::from_millis(50), move |(), _, cx| {
        if let Health::Closed(why) = unit.health() {
            let _ = failure.set(why); // the first is the cause
            cx.stop();
        }
    })?;
    Ok(())
}

/// What was acknowledged is durable already; this is the rest.
fn close(unit: StorageUnit) -> Result<(), String> {
    let closed = unit.close();
    closed.map_err(|fault| format!("close the store: {fault}"))
}
