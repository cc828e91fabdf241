//! One measurement: one server, one workload, one window of time.

use std::io;
use std::time::{Duration, Instant};

use crate::builds::Builds;
use crate::client::{Client, Times};
use crate::process::{Usage, busy, own_run_time, resident, usage};
use crate::processors::Places;
use crate::rows::Row;
use crate::server::Server;
use crate::verify::verify;
use crate::workload::Workload;

/// What was seen in one window.
#[derive(Clone, Debug)]
pub struct Sample {
    pub requests: u64,
    pub window: Duration,
    /// What the server used, and how that divides.
    pub server: Duration,
    pub user_ticks: u64,
    pub system_ticks: u64,
    pub client: Duration,
    /// What anybody else used meanwhile, on all processors.
    pub others: Duration,
    pub times: Times,
    /// Memory of the server at the end, in bytes; and how much more than before the connections.
    pub resident: u64,
    pub grown: u64,
    pub answer_octets: usize,
}

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// Before anything is counted.
    pub warm_up: Duration,
    pub window: Duration,
}

/// Starts the server of `row`, looks at its answers, loads it with `workload`, and looks again.
///
/// # Errors
///
/// Why there is nothing to count, in words for the table.
pub fn measure(
    row: &Row,
    workload: &Workload,
    builds: &Builds,
    places: &Places,
    windows: Windows,
) -> Result<Sample, String> {
    let mut server = Server::start(row, workload, builds, places)?;
    let sample = look_and_load(&server, workload, windows);
    sample.map_err(|problem| server.explain(problem))
}

fn look_and_load(server: &Server, workload: &Workload, windows: Windows) -> Result<Sample, String> {
    let answer_octets = verify(server.address(), workload)?;
    let sample = load(server, workload, answer_octets, windows);
    let sample = sample.map_err(|error| error.to_string())?;
    match verify(server.address(), workload) {
        Ok(octets) if octets == answer_octets => Ok(sample),
        Ok(_) => Err("its answers changed their length".into()),
        Err(problem) => Err(format!("after the load {problem}")),
    }
}

fn load(
    server: &Server,
    workload: &Workload,
    answer_octets: usize,
    windows: Windows,
) -> io::Result<Sample> {
    let empty = resident(server.process())?;
    let mut client = Client::connect(server.address(), workload, answer_octets)?;
    client.run(windows.warm_up)?;
    let before = Reading::take(server)?;
    let (requests, times) = client.run(windows.window)?;
    let times = times.clone();
    let after = Reading::take(server)?;
    let full = resident(server.process())?;
    client.finish()?;
    let used = after.server.run.saturating_sub(before.server.run);
    let client = after.client.saturating_sub(before.client);
    let busy = after.busy.saturating_sub(before.busy);
    Ok(Sample {
        requests,
        window: after.at - before.at,
        server: used,
        user_ticks: after.server.user_ticks - before.server.user_ticks,
        system_ticks: after.server.system_ticks - before.server.system_ticks,
        client,
        others: busy.saturating_sub(used + client),
        times,
        resident: full,
        grown: full.saturating_sub(empty),
        answer_octets,
    })
}

/// What all had used at one time.
struct Reading {
    at: Instant,
    server: Usage,
    client: Duration,
    busy: Duration,
}

impl Reading {
    fn take(server: &Server) -> io::Result<Reading> {
        Ok(Reading {
            server: usage(server.process())?,
            client: own_run_time()?,
            busy: busy()?,
            at: Instant::now(),
        })
    }
}
