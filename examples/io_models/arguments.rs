//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

use crate::calls::{Calls, Place};
use crate::model::Model;

pub const USAGE: &str = "\
Usage: io_models [--serve MODEL] [--listen ADDRESS] | --demo

  --serve MODEL         threads, polling, select, poll, epoll (default), signal, io_uring
  --listen ADDRESS      where to listen (default 127.0.0.1:7001)
  --demo                measure all models, show connect, exit 0 or 1
  --seconds N           how long each is measured (default 0.1; longer is steadier)
  --connections N,N     with how many connections (default 1,100,1000)
  --under-way N         round trips under way at a time (default 16)
  --svg PATH            draw what was measured
  --strace              count the system calls by strace too
  --help                this text";

/// What to do.
pub enum Asked {
    Help,
    Serve { model: Model, place: Place },
    Demo(Options),
}

/// How to measure.
pub struct Options {
    pub window: Duration,
    pub connections: Vec<usize>,
    pub under_way: usize,
    pub svg: Option<PathBuf>,
    pub strace: bool,
}

pub fn read() -> Result<Asked, lexopt::Error> {
    let (mut model, mut is_demo, mut is_controlled) = (Model::Epoll, false, false);
    let mut listen = "127.0.0.1:7001".to_owned();
    let mut options = Options {
        window: Duration::from_millis(100),
        connections: vec![1, 100, 1_000],
        under_way: 16,
        svg: None,
        strace: false,
    };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(Asked::Help),
            Long("demo") => is_demo = true,
            Long("listen") => listen = arguments.value()?.string()?,
            Long("serve") => model = arguments.value()?.parse_with(Model::named)?,
            Long("controlled") => is_controlled = true, // by the demonstration
            Long("seconds") => options.window = arguments.value()?.parse_with(seconds)?,
            Long("connections") => options.connections = arguments.value()?.parse_with(numbers)?,
            Long("under-way") => options.under_way = arguments.value()?.parse_with(number)?,
            Long("svg") => options.svg = Some(PathBuf::from(arguments.value()?)),
            Long("strace") => options.strace = true,
            _ => return Err(argument.unexpected()),
        }
    }
    if is_demo {
        return Ok(Asked::Demo(options));
    }
    let address = listen.parse::<SocketAddr>();
    let address =
        address.map_err(|_| format!("--listen {listen}: not an address like 127.0.0.1:80"))?;
    let place = Place {
        address,
        is_controlled,
        calls: Calls::default(),
    };
    Ok(Asked::Serve { model, place })
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || format!("--seconds {text}: it takes 0.01 to 60");
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    match (0.01..=60.0).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(wrong()),
    }
}

fn number(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=10_000) => Ok(number),
        _ => Err(format!("{text}: a number of 1 to 10,000 belongs there")),
    }
}

fn numbers(text: &str) -> Result<Vec<usize>, String> {
    text.split(',').map(number).collect()
}
