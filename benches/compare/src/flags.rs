//! The command line.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

use lexopt::prelude::*;

use crate::rows::{ROWS, Row};
use crate::workload::{WORKLOADS, Workload};

/// What `--help` prints.
pub const USAGE: &str = "\
trine, its peers and a floor on loopback: processor time of a request, requests a second, times, memory.

  --only NAME,..       these servers, and the floor: trine, hyper, \"trine single\", nginx, ...
  --workloads a,b,..   these (default: a,b,c,d,e)
  --rounds N           each is measured so many times, in turn (default: 3)
  --seconds S          for so long each time (default: 0.8)
  --quick              a check: floor and trine, workloads a and b, one round of 0.5 s
  --write              replace the tables and the chart of the repository by those of this run
  --install-peers      install nginx, haproxy and h2o with apt-get if they are missing; where
                       there is an init system it may start them as services, too
  --help               this
";

/// What to run.
#[derive(Clone, PartialEq, Debug)]
pub struct Flags {
    pub rows: Vec<Row>,
    pub workloads: Vec<Workload>,
    pub rounds: usize,
    pub window: Duration,
    pub writes: bool,
    pub installs: bool,
}

/// What the command line asks for.
#[derive(Clone, PartialEq, Debug)]
pub enum Asked {
    Run(Flags),
    Help,
}

/// Reads the command line.
///
/// # Errors
///
/// Which flag is unknown, and which value makes no sense.
pub fn read(arguments: impl Iterator<Item = OsString>) -> Result<Asked, lexopt::Error> {
    let mut flags = Flags {
        rows: ROWS.to_vec(),
        workloads: WORKLOADS.to_vec(),
        rounds: 3,
        window: Duration::from_millis(800),
        writes: false,
        installs: false,
    };
    let mut is_part = false;
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("only") => {
                flags.rows = only(&parser.value()?.string()?)?;
                is_part = true;
            }
            Long("workloads") => {
                flags.workloads = workloads(&parser.value()?.string()?)?;
                is_part = true;
            }
            Long("rounds") => flags.rounds = rounds(&parser.value()?.string()?)?,
            Long("seconds") => flags.window = seconds(&parser.value()?.string()?)?,
            Long("quick") => {
                flags.rows.retain(Row::is_own);
                flags.workloads = WORKLOADS[..2].to_vec();
                (flags.rounds, flags.window) = (1, Duration::from_millis(500));
                is_part = true;
            }
            Long("write") => flags.writes = true,
            Long("install-peers") => flags.installs = true,
            Long("help") | Short('h') => return Ok(Asked::Help),
            other => return Err(other.unexpected()),
        }
    }
    if flags.writes && is_part {
        return Err("--write: a part of the servers or workloads makes no table to keep".into());
    }
    Ok(Asked::Run(flags))
}

fn only(names: &str) -> Result<Vec<Row>, String> {
    let names: Vec<&str> = names.split(',').map(str::trim).collect();
    for name in &names {
        if !ROWS.iter().any(|row| row.is_meant_by(name)) {
            let known: BTreeSet<&str> = ROWS.iter().map(|row| row.name).collect();
            let known: Vec<&str> = known.into_iter().collect();
            let known = known.join(", ");
            return Err(format!(
                "--only: no server is called {name}; there are {known}"
            ));
        }
    }
    let is_meant = |row: &&Row| names.iter().any(|name| row.is_meant_by(name));
    let mut rows: Vec<Row> = ROWS.iter().filter(is_meant).copied().collect();
    if !rows.contains(&ROWS[0]) {
        rows.insert(0, ROWS[0]);
    }
    Ok(rows)
}

fn workloads(letters: &str) -> Result<Vec<Workload>, String> {
    let wanted = letters.split(',').map(|letter| {
        let mut known = WORKLOADS.iter();
        let found = known.find(|workload| workload.letter.to_string() == letter.trim());
        found
            .copied()
            .ok_or_else(|| format!("--workloads: there is no {letter}; there are a, b, c, d and e"))
    });
    wanted.collect()
}

fn rounds(text: &str) -> Result<usize, String> {
    let rounds = text
        .parse()
        .ok()
        .filter(|rounds| (1..=1000).contains(rounds));
    rounds.ok_or_else(|| format!("--rounds: {text} is not a number from 1 to 1000"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|span| (0.1..=60.0).contains(span));
    let seconds = seconds.map(Duration::from_secs_f64);
    seconds.ok_or_else(|| format!("--seconds: {text} is not a number from 0.1 to 60"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(line: &str) -> Result<Flags, String> {
        match read(line.split(' ').map(Into::into)) {
            Ok(Asked::Run(flags)) => Ok(flags),
            Ok(Asked::Help) => Err("help".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn what_is_unknown_or_makes_no_sense_is_named() {
        for (line, named) in [
            ("--fast", "--fast"),
            ("--only hyper,hypper", "hypper"),
            ("--workloads a,f", "f"),
            ("--rounds 0", "--rounds"),
            ("--seconds nan", "--seconds"),
            ("--quick --write", "--write"),
            ("--write --only hyper", "--write"),
            ("more", "more"),
        ] {
            let error = ask(line).unwrap_err();
            assert!(error.contains(named), "{line}: {error}");
        }
    }

    #[test]
    fn the_floor_is_always_one_of_the_servers() {
        let flags = ask("--only hyper,nginx --workloads b --rounds 2 --seconds 0.5").unwrap();
        let names: Vec<&str> = flags.rows.iter().map(|row| row.name).collect();
        assert_eq!(names, ["floor", "hyper", "nginx"]);
        assert_eq!((flags.workloads.len(), flags.workloads[0].letter), (1, 'b'));
        assert_eq!(
            (flags.rounds, flags.window),
            (2, Duration::from_millis(500))
        );
    }
}
