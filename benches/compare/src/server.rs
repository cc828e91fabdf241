//! A server that runs: started on its processors, ended by its own id.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::builds::Builds;
use crate::installed;
use crate::processors::{self, Places};
use crate::rows::{Kind, Row};
use crate::workload::{Lives, Workload};

/// Until it must accept connections.
const PATIENCE: Duration = Duration::from_secs(10);

/// It is killed when this is dropped, and with this process.
pub struct Server {
    child: Child,
    address: SocketAddr,
    folder: PathBuf,
}

impl Server {
    /// Starts the server of `row` on a free port, and waits until it accepts connections.
    ///
    /// # Errors
    ///
    /// Why there is none; what it said last, if it ended.
    pub fn start(
        row: &Row,
        workload: &Workload,
        builds: &Builds,
        places: &Places,
    ) -> Result<Server, String> {
        let (address, folder) = prepare().map_err(|error| format!("prepare: {error}"))?;
        let command = command(row, workload, builds, address, &folder)?;
        let log = File::create(folder.join("log")).and_then(|log| Ok((log.try_clone()?, log)));
        let (out, err) = log.map_err(|error| format!("create a log: {error}"))?;
        let child = Command::new(builds.own("pinned"))
            .arg(processors::text(places.server(row.processors)))
            .args(command)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|error| format!("start: {error}"))?;
        let mut server = Server {
            child,
            address,
            folder,
        };
        server.wait_until_it_accepts()?;
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The id of its process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// `problem`, or that it has ended, and its last words, if that is behind it.
    pub fn explain(&mut self, problem: String) -> String {
        for _ in 0..20 {
            if let Ok(Some(status)) = self.child.try_wait() {
                return format!("it ended ({status}): {}", self.last_line());
            }
            thread::sleep(Duration::from_millis(5));
        }
        problem
    }

    fn wait_until_it_accepts(&mut self) -> Result<(), String> {
        let began = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended ({status}): {}", self.last_line()));
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("it does not accept: {}", self.last_line()));
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn last_line(&self) -> String {
        let said = fs::read(self.folder.join("log")).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rfind(|line| !line.trim().is_empty());
        last.unwrap_or("it said nothing").trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Neither can fail but for a child that is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A port that was free just now, and an empty folder named after it.
fn prepare() -> io::Result<(SocketAddr, PathBuf)> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let name = format!("trine-compare-{}-{}", std::process::id(), address.port());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir_all(&folder)?;
    Ok((address, folder))
}

fn command(
    row: &Row,
    workload: &Workload,
    builds: &Builds,
    address: SocketAddr,
    folder: &Path,
) -> Result<Vec<String>, String> {
    let path = |path: PathBuf| path.display().to_string();
    let threads = row.processors.to_string();
    Ok(match row.kind {
        Kind::Floor => {
            let keep = match workload.lives {
                Lives::Stays => "keep",
                Lives::Once => "close",
            };
            vec![
                path(builds.own("floor")),
                address.to_string(),
                workload.request().len().to_string(),
                keep.into(),
                threads,
            ]
        }
        Kind::Trine { model, pattern } => vec![
            path(builds.own("trine")),
            format!("--model={model}"),
            format!("--pattern={pattern}"),
            format!("--threads={threads}"),
            format!("--listen={address}"),
        ],
        Kind::Peer(name) => vec![path(builds.peer(name)?), address.to_string()],
        Kind::Installed(program) => installed::command(program, address, folder)
            .map_err(|error| format!("write its configuration: {error}"))?,
    })
}
