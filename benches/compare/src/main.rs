//! Runs the comparison: see the library.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use trine_compare::builds::Builds;
use trine_compare::constants::REFUSED;
use trine_compare::flags::{Asked, Flags, USAGE, read};
use trine_compare::measure::{Sample, Windows, measure};
use trine_compare::processors::{Places, pin};
use trine_compare::results::Results;
use trine_compare::rows::{Kind, Row};
use trine_compare::summary::{Figures, Outcome};
use trine_compare::workload::Workload;
use trine_compare::{document, installed};

fn main() -> ExitCode {
    let flags = match read(env::args_os().skip(1)) {
        Ok(Asked::Run(flags)) => flags,
        Ok(Asked::Help) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("compare: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match compare(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("compare: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn compare(flags: &Flags) -> Result<(), String> {
    let began = Instant::now();
    if flags.installs {
        installed::install()?;
    }
    let places = Places::new().map_err(|error| error.to_string())?;
    let builds = Builds::new(&flags.rows)?;
    eprintln!("built in {:.0} s", began.elapsed().as_secs_f64());
    pin(&[places.client()]).map_err(|error| format!("pin the client: {error}"))?;
    let results = Run::new(flags, &builds, &places).results();
    print!("{}", document::tables(&results));
    eprintln!("took {:.0} s, with building", began.elapsed().as_secs_f64());
    let failures = results.own_failures();
    if !failures.is_empty() {
        return Err(failures.join("\n"));
    }
    if flags.writes {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let written = root.canonicalize();
        let written = written.and_then(|root| document::write(&results, &root));
        for path in written.map_err(|error| format!("write the tables: {error}"))? {
            eprintln!("wrote {}", path.display());
        }
    }
    Ok(())
}

/// A row and a workload, by their places.
type Cell = (usize, usize);

/// The rounds, and what came of them so far.
struct Run<'a> {
    flags: &'a Flags,
    builds: &'a Builds,
    places: &'a Places,
    windows: Windows,
    samples: BTreeMap<Cell, Vec<Sample>>,
    /// Those that are not measured any more.
    ended: BTreeMap<Cell, Outcome>,
}

impl<'a> Run<'a> {
    fn new(flags: &'a Flags, builds: &'a Builds, places: &'a Places) -> Run<'a> {
        Run {
            flags,
            builds,
            places,
            windows: Windows {
                warm_up: Duration::from_millis(200),
                window: flags.window,
            },
            samples: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }

    /// Runs all rounds: in each a workload after the other, under each a server after the other.
    fn results(mut self) -> Results {
        for round in 1..=self.flags.rounds {
            for (place, workload) in self.flags.workloads.iter().enumerate() {
                for (number, row) in self.flags.rows.iter().enumerate() {
                    if !self.ended.contains_key(&(number, place)) {
                        self.measure((number, place), round, row, workload);
                    }
                }
            }
        }
        let places = 0..self.flags.workloads.len();
        let of_row = |number| {
            places
                .clone()
                .map(|place| self.outcome((number, place)))
                .collect()
        };
        Results {
            rows: self.flags.rows.clone(),
            workloads: self.flags.workloads.clone(),
            outcomes: (0..self.flags.rows.len()).map(of_row).collect(),
            rounds: self.flags.rounds,
            window: self.flags.window.as_secs_f64(),
        }
    }

    fn measure(&mut self, cell: Cell, round: usize, row: &Row, workload: &Workload) {
        let what = format!("round {round}, ({}) {}", workload.letter, row.label());
        if let Kind::Installed(program) = row.kind
            && !installed::is_there(program)
        {
            eprintln!("{what}: skipped, {program} is not installed (--install-peers)");
            self.ended.insert(cell, Outcome::Absent);
            return;
        }
        match measure(row, workload, self.builds, self.places, self.windows) {
            Ok(sample) => {
                let cpu = sample.server.as_secs_f64() * 1e6 / sample.requests.max(1) as f64;
                eprintln!("{what}: {cpu:.2} us, {} requests", sample.requests);
                self.samples.entry(cell).or_default().push(sample);
            }
            Err(problem) if problem.contains(REFUSED) => {
                eprintln!("{what}: skipped, {problem}");
                self.ended.insert(cell, Outcome::Absent);
            }
            Err(problem) => {
                eprintln!("{what}: FAILED: {problem}");
                self.ended.insert(cell, Outcome::Failed(problem));
            }
        }
    }

    fn outcome(&self, cell: Cell) -> Outcome {
        match (self.ended.get(&cell), self.samples.get(&cell)) {
            (Some(outcome), _) => outcome.clone(),
            (None, Some(samples)) => Outcome::Measured(Box::new(Figures::of(samples))),
            (None, None) => Outcome::Failed("it was never measured".into()),
        }
    }
}
