//! The stores to choose from: `--store`.

use std::io;
use std::path::PathBuf;

use trine::storage::memory::{Memory, Options};
use trine::storage::{StorageUnit, Store, UnitOptions};

/// Which store.
#[derive(Clone)]
pub enum Choice {
    Memory,
    Durable(PathBuf),
    Fjall(PathBuf),
    Redis(Vec<String>),
}

impl Default for Choice {
    fn default() -> Choice {
        Choice::Durable("trine-kv".into())
    }
}

impl Choice {
    /// For the text that `--help` prints.
    pub const USAGE: &str = "  \
  --store STORE         memory, durable:PATH, fjall:PATH (feature fjall) or
                        redis:HOST:PORT[,HOST:PORT] (feature redis); default durable:trine-kv";

    /// Takes the value of `--store`.
    pub fn take(&mut self, name: &str, from: &mut lexopt::Parser) -> Result<bool, lexopt::Error> {
        if name != "store" {
            return Ok(false);
        }
        let text = from.value()?.to_string_lossy().into_owned();
        *self = match text.split_once(':') {
            None if text == "memory" => Choice::Memory,
            Some(("durable", path)) if !path.is_empty() => Choice::Durable(path.into()),
            Some(("fjall", path)) if !path.is_empty() => Choice::Fjall(path.into()),
            Some(("redis", nodes)) if !nodes.is_empty() => {
                Choice::Redis(nodes.split(',').map(str::to_owned).collect())
            }
            _ => return Err(format!("--store {text}: not a store").into()),
        };
        if let Some(feature) = self.missing() {
            return Err(format!("--store {text}: build it with --features {feature}").into());
        }
        Ok(true)
    }

    /// The feature without which it is not in this program.
    fn missing(&self) -> Option<&'static str> {
        match self {
            Choice::Durable(_) if !cfg!(feature = "durable") => Some("durable"),
            Choice::Fjall(_) if !cfg!(feature = "fjall") => Some("fjall"),
            Choice::Redis(_) if !cfg!(feature = "redis") => Some("redis"),
            _ => None,
        }
    }

    /// For a demonstration, which leaves nothing behind: the same kind of store in the folder for what
    /// is temporary.
    pub fn for_a_demonstration(&mut self) {
        if let Choice::Durable(path) | Choice::Fjall(path) = self {
            let name = format!("trine-kv-demo-{}", std::process::id());
            *path = std::env::temp_dir().join(name);
        }
    }

    /// Removes what a demonstration left.
    pub fn clean_up(&self) {
        if let Choice::Durable(path) | Choice::Fjall(path) = self {
            let _ = std::fs::remove_file(path); // whichever it is
            let _ = std::fs::remove_dir_all(path); // as above
        }
    }

    /// Opens it on a thread of its own: the server answers meanwhile that it is not ready.
    pub fn open(&self, options: UnitOptions) -> io::Result<StorageUnit> {
        match self.clone() {
            Choice::Memory => memory(options),
            Choice::Durable(path) => durable(path, options),
            Choice::Fjall(path) => fjall(path, options),
            Choice::Redis(nodes) => redis(nodes, options),
        }
    }
}

fn memory(options: UnitOptions) -> io::Result<StorageUnit> {
    let memory = Memory::new(Options::default());
    StorageUnit::start(boxed(memory), options)
}

#[cfg(feature = "durable")]
fn durable(path: PathBuf, options: UnitOptions) -> io::Result<StorageUnit> {
    use std::sync::Arc;
    use trine::storage::durable::{self, Durable, Progress};

    let progress = Arc::new(Progress::default());
    let own = durable::Options {
        progress: Some(Arc::clone(&progress)),
        ..durable::Options::default()
    };
    let open = move || Durable::open(path, own).map(boxed);
    StorageUnit::open(options, move || progress.permille() / 10, open)
}

#[cfg(feature = "fjall")]
fn fjall(path: PathBuf, options: UnitOptions) -> io::Result<StorageUnit> {
    use trine::storage::fjall::{self, Fjall};

    let open = move || Fjall::open(path, fjall::Options::default()).map(boxed);
    StorageUnit::open(options, || 0, open)
}

#[cfg(feature = "redis")]
fn redis(nodes: Vec<String>, options: UnitOptions) -> io::Result<StorageUnit> {
    use trine::storage::{ClusterOptions, RedisCluster};

    let open = move || RedisCluster::open(nodes, ClusterOptions::default()).map(boxed);
    StorageUnit::open(options, || 0, open)
}

fn boxed(store: impl Store) -> Box<dyn Store> {
    Box::new(store)
}

/// What the command line refuses already: see [`Choice::missing`].
macro_rules! not_built {
    ($feature:literal, $name:ident, $type:ty) => {
        #[cfg(not(feature = $feature))]
        fn $name(_: $type, _: UnitOptions) -> io::Result<StorageUnit> {
            Err(io::Error::new(
                io::ErrorKind::Unsupported,
                concat!("no feature ", $feature),
            ))
        }
    };
}

not_built!("durable", durable, PathBuf);
not_built!("fjall", fjall, PathBuf);
not_built!("redis", redis, Vec<String>);
