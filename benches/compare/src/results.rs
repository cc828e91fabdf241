//! All outcomes of a run, and where and how they came about.

use std::fs;
use std::process::Command;

use crate::installed;
use crate::rows::{Kind, Row};
use crate::summary::{Figures, Outcome, median};
use crate::workload::Workload;

/// What a run has found out.
pub struct Results {
    pub rows: Vec<Row>,
    pub workloads: Vec<Workload>,
    /// By row, then by workload.
    pub outcomes: Vec<Vec<Outcome>>,
    pub rounds: usize,
    /// Seconds of each measurement.
    pub window: f64,
}

impl Results {
    /// The figures of the floor on one processor under the workload in this place.
    #[must_use]
    pub fn floor(&self, workload: usize) -> Option<&Figures> {
        self.outcomes[0][workload].figures()
    }

    /// The figures of the row of this name on so many processors.
    #[must_use]
    pub fn find(&self, name: &str, processors: usize, workload: usize) -> Option<&Figures> {
        let is_it = |row: &Row| row.name == name && row.processors == processors;
        let row = self.rows.iter().position(is_it)?;
        self.outcomes[row][workload].figures()
    }

    /// The place of the workload with this letter.
    #[must_use]
    pub fn workload(&self, letter: char) -> Option<usize> {
        let mut workloads = self.workloads.iter();
        workloads.position(|workload| workload.letter == letter)
    }

    /// The peer that costs least under the workload in this place, its figures and its ratio.
    #[must_use]
    pub fn best_peer(&self, workload: usize) -> Option<(&Row, f64)> {
        let floor = self.floor(workload)?;
        let peers = self.rows.iter().zip(&self.outcomes);
        let peers = peers.filter(|(row, _)| !row.is_own());
        let ratios = peers.filter_map(|(row, outcomes)| {
            let figures = outcomes[workload].figures()?;
            Some((row, figures.cpu_ratio(floor)))
        });
        ratios.min_by(|one, other| one.1.total_cmp(&other.1))
    }

    /// What of the project's own failed, in words.
    #[must_use]
    pub fn own_failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for (row, outcomes) in self.rows.iter().zip(&self.outcomes) {
            for (workload, outcome) in self.workloads.iter().zip(outcomes) {
                if let Outcome::Failed(problem) = outcome
                    && row.is_own()
                {
                    let letter = workload.letter;
                    failures.push(format!("{} under ({letter}): {problem}", row.label()));
                }
            }
        }
        failures
    }

    /// The share of a processor that others had while measurements ran, in the median of all.
    #[must_use]
    pub fn others(&self) -> f64 {
        let all = self.outcomes.iter().flatten().filter_map(Outcome::figures);
        median(all.map(|figures| figures.others).collect())
    }

    /// The machine and the compiler, in words.
    #[must_use]
    pub fn machine(&self) -> String {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let models = cpuinfo
            .lines()
            .filter(|line| line.starts_with("model name"));
        let models: Vec<&str> = models
            .filter_map(|line| line.split_once(':'))
            .map(|(_, name)| name.trim())
            .collect();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let kernel: Vec<&str> = kernel.trim().split('.').take(2).collect();
        format!(
            "{} processors ({}), Linux {}, Rust {}",
            models.len(),
            models.first().unwrap_or(&"unknown"),
            kernel.join("."),
            first_version(&["rustc", "--version"]).unwrap_or_else(|| "unknown".into())
        )
    }

    /// Each peer with its version.
    #[must_use]
    pub fn versions(&self) -> String {
        let names = self.rows.iter().filter_map(|row| match row.kind {
            Kind::Peer("monoio") => {
                let codec = locked_version("monoio-http");
                Some(format!(
                    "monoio {} with monoio-http {codec}",
                    locked_version("monoio")
                ))
            }
            Kind::Peer(name) => Some(format!("{name} {}", locked_version(name))),
            Kind::Installed(program) => {
                let version = first_version(&[program, installed::version_flag(program)]);
                Some(format!(
                    "{program} {}",
                    version.unwrap_or_else(|| "not installed".into())
                ))
            }
            Kind::Floor | Kind::Trine { .. } => None,
        });
        names.collect::<Vec<_>>().join(", ")
    }
}

/// The version of a crate in the lock file, which the peers are built with.
fn locked_version(name: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let entry = format!("name = \"{name}\"\nversion = \"");
    let rest = lock.split_once(&entry).map_or("?", |(_, rest)| rest);
    rest.split('"').next().unwrap_or("?")
}

/// The first word that begins with a digit of what the command prints.
fn first_version(command: &[&str]) -> Option<String> {
    let ran = Command::new(command[0]).args(&command[1..]).output().ok()?;
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let mut words = said.split(|c: char| c.is_whitespace() || c == '/' || c == '-');
    let word = words.find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    Some(word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_has_a_version_of_each_peer() {
        for row in crate::rows::ROWS {
            if let Kind::Peer(name) = row.kind {
                let version = locked_version(name);
                assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{name}");
            }
        }
        assert_eq!(locked_version("no-such-crate"), "?");
    }
}
