//! Building the servers, each package by itself, so that one that does not build is one row less and
//! nobody gets features that another one wants.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::rows::{Kind, Row};

/// Where the programs are, and which of the packages could not be built.
pub struct Builds {
    folder: PathBuf,
    failed: BTreeMap<&'static str, String>,
}

impl Builds {
    /// Builds what `rows` need, beside the program that runs.
    ///
    /// # Errors
    ///
    /// When the project's own servers do not build, or this is no release build.
    pub fn new(rows: &[Row]) -> Result<Builds, String> {
        if cfg!(debug_assertions) {
            return Err("a figure of a debug build means nothing: run it with --release".into());
        }
        let own = env::current_exe().map_err(|error| format!("find this program: {error}"))?;
        let folder = own.parent().unwrap_or(Path::new(".")).to_path_buf();
        cargo(&["-p", "trine-compare", "--bins"])?;
        let mut failed = BTreeMap::new();
        for row in rows {
            if let Kind::Peer(name) = row.kind
                && let Err(problem) = cargo(&["-p", &package(name)])
            {
                failed.insert(name, problem);
            }
        }
        Ok(Builds { folder, failed })
    }

    /// The program `name` of the project's own.
    #[must_use]
    pub fn own(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The program of a peer.
    ///
    /// # Errors
    ///
    /// When it could not be built.
    pub fn peer(&self, name: &str) -> Result<PathBuf, String> {
        match self.failed.get(name) {
            Some(problem) => Err(problem.clone()),
            None => Ok(self.folder.join(package(name))),
        }
    }
}

fn package(name: &str) -> String {
    format!("peer-{name}")
}

/// The versions of the lock file; a peer may say that it wants a newer compiler than it needs.
fn cargo(what: &[&str]) -> Result<(), String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--release", "--locked"])
        .args(["--ignore-rust-version", "--manifest-path", manifest])
        .args(what)
        .stdin(Stdio::null())
        .status();
    match built {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("{} does not build", what[1])),
        Err(error) => Err(format!("start cargo: {error}")),
    }
}
