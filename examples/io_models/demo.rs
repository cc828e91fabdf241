//! The demonstration: every model with the same client, then the three ends of a connect.
//!
//! Each cell of the table is a server in a new process, a client of one thread in this one, the
//! connections, a short time to warm up and the time that is measured (`--seconds`). With two CPUs or more
//! the client has one, and the server those that are left. How the columns are got:
//!
//! - round trips/s: of 64 bytes, counted by the client, which compares what comes back;
//! - CPU us/trip: what the scheduler says that all threads of the server ran
//!   (`/proc/PID/task/*/schedstat`), by the round trips; the kernel's work for it is in that, but not what
//!   interrupts did, nor the client;
//! - calls/trip: system calls. Counted where they are made; for trine's loop one wait a turn, by its
//!   metrics; for io_uring its entries and its questions who it is; for SIGIO what a signal costs.
//!   `--strace` shows beside it what strace counts, of a server that it slows: polling then asks less often;
//! - p99: the time that 99 of 100 round trips took at most, waiting in the client included;
//! - idle CPU %: the share of a CPU that the server wants afterwards, while nobody says anything; what
//!   others had of it meanwhile is in that.

use std::fs;
use std::io::{Error, Read, Result};
use std::net::TcpStream;
use std::process::exit;
use std::thread;
use std::time::{Duration, Instant};

use crate::arguments::Options;
use crate::client::Client;
use crate::model::Model;
use crate::served::{Served, time_of_this_thread};
use crate::strace::Strace;
use crate::table::{self, Measured};
use crate::{NAME, connect, machine, picture, signal};

/// What is not measuring takes less.
const REST: Duration = Duration::from_secs(30);
const WARM_UP: Duration = Duration::from_millis(40);
/// Several ticks of the scheduler, in which it brings its account of a thread that runs up to date.
const IDLE: Duration = Duration::from_millis(40);
/// More descriptors than a set of `select` has room for.
const TOO_MANY: usize = 1_060;
const DESCRIPTORS_FOR_IT: u64 = 1_100;

/// Measures everything; whether all went as it should.
pub fn run(options: &Options) -> Result<bool> {
    limit_time(options);
    let has_own_cpu = machine::keep_to_first();
    let (mut measured, mut failures) = (Vec::new(), 0);
    for &connections in &options.connections {
        table::head(connections, options.under_way);
        for model in Model::ALL {
            if model == Model::Signal && !signal::is_possible() {
                println!(
                    "{:<9} not measured: there is no perl to set owners",
                    model.name()
                );
                continue;
            }
            match measure(model, connections, options) {
                Ok(cell) => {
                    table::row(&cell);
                    measured.push(cell);
                }
                Err(error) => {
                    failures += 1;
                    println!("{:<9} FAILED: {error}", model.name());
                }
            }
        }
    }
    println!();
    notes(&measured, has_own_cpu);
    let refused = select_refuses();
    match &refused {
        Ok(said) => println!("\n{said}"),
        Err(error) => println!("\nselect FAILED: {error}"),
    }
    let connected = connect::show()?;
    if let Some(path) = &options.svg {
        fs::write(path, picture::draw(&measured, &title(options)))?;
        println!("\ndrawn: {}", path.display());
    }
    Ok(failures == 0 && refused.is_ok() && connected)
}

/// A demonstration that takes longer hangs.
fn limit_time(options: &Options) {
    let cells = (Model::ALL.len() * options.connections.len()) as u32;
    let times = if options.strace { 4 } else { 1 };
    let limit = (REST + options.window * cells) * times;
    thread::spawn(move || {
        thread::sleep(limit);
        eprintln!("{NAME}: the demonstration took longer than {limit:?}");
        exit(1)
    });
}

fn measure(model: Model, connections: usize, options: &Options) -> Result<Measured> {
    let mut served = Served::start(model)?;
    let mut client = Client::connect(served.address, connections, options.under_way)?;
    let mut warm = 0;
    while warm < connections {
        warm += client.run(WARM_UP)?.len(); // each is served once at least
    }
    let (before, client_before, began) = (served.used()?, time_of_this_thread()?, Instant::now());
    let mut times = client.run(options.window)?;
    let took = began.elapsed();
    let (after, client_after) = (served.used()?, time_of_this_thread()?);
    let idle_began = Instant::now();
    thread::sleep(IDLE);
    let (idle, rested) = (idle_began.elapsed(), served.used()?);
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).copied();
    Ok(Measured {
        model,
        connections,
        round_trips: times.len() as u64,
        took,
        cpu: after.time.since(before.time).ran,
        client_cpu: client_after.since(client_before).ran,
        calls: after.calls - before.calls,
        traced: match options.strace {
            true => Some(trace(&served, &mut client, options)?),
            false => None,
        },
        idle_wish: rested.time.since(after.time),
        idle,
        p99: p99.ok_or(Error::other("no round trip was made"))?,
        note: std::mem::take(&mut served.note),
    })
}

fn trace(served: &Served, client: &mut Client, options: &Options) -> Result<f64> {
    let strace = Strace::attach(served.id())?;
    let round_trips = client.run(options.window)?.len();
    Ok(strace.detach()? as f64 / round_trips as f64)
}

fn notes(measured: &[Measured], has_own_cpu: bool) {
    if measured.is_empty() {
        return;
    }
    let client = measured.iter().map(Measured::client_cpu_us);
    let (least, most) = (
        client.clone().fold(f64::MAX, f64::min),
        client.fold(0.0, f64::max),
    );
    let place = match has_own_cpu {
        true => "a CPU of its own",
        false => "no CPU of its own: all figures are of two programs on one",
    };
    println!("The client is the same for all, with {place}: {least:.1} to {most:.1} us/trip.");
    println!(
        "A server that is cheaper than the client waits for it: compare CPU, not round trips/s."
    );
    println!(
        "CPU is of all threads of the server, by the scheduler. Calls are counted by the server"
    );
    println!("itself; with --strace by strace too. The longer (--seconds) the steadier.");
}

/// More clients than `select` has descriptors for: how many it serves, and what it says to the next.
fn select_refuses() -> Result<String> {
    if machine::descriptor_limit() < DESCRIPTORS_FOR_IT {
        return Ok("select: the limit of descriptors is too low to show its own".to_owned());
    }
    let served = Served::start(Model::Select)?;
    let mut kept = Vec::new();
    while kept.len() < TOO_MANY {
        let mut client = TcpStream::connect(served.address)?;
        client.set_read_timeout(Some(Duration::from_secs(2)))?;
        std::io::Write::write_all(&mut client, b"hello")?;
        let (mut heard, mut bytes) = (0, [0; 64]);
        while heard < 5 {
            heard += match client.read(&mut bytes[heard..])? {
                0 => return Err(Error::other("select closed a client without a word")),
                len => len,
            };
        }
        if !bytes.starts_with(b"hello") {
            let said = String::from_utf8_lossy(&bytes[..heard]).trim().to_owned();
            return Ok(format!(
                "select serves {} clients; the next is told: {said}",
                kept.len()
            ));
        }
        kept.push(client);
    }
    Err(Error::other(format!(
        "select served {TOO_MANY} clients and more"
    )))
}

fn title(options: &Options) -> String {
    let under_way = options.under_way;
    format!("Processor time of a round trip by I/O model; up to {under_way} under way at a time")
}
