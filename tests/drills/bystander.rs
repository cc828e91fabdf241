//! The bystander: a fresh connection and one request, twenty times a second, whatever others do.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(10);

/// Who asks until told to stop.
pub struct Bystander {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

/// What the bystander saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// From when the request was to be made until its answer was whole, in order of size.
    pub latencies: Vec<Duration>,
    /// What went wrong, if anything did.
    pub failures: Vec<String>,
}

impl Seen {
    /// The latency that `share` of all requests did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        let index = (last as f64 * share).ceil() as usize;
        self.latencies.get(index).copied().unwrap_or_default()
    }
}

impl Bystander {
    pub fn start(address: SocketAddr) -> Bystander {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || watch(address, &told));
        Bystander { stop, thread }
    }

    pub fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// A request that comes late because the one before took long counts from when it was due.
fn watch(address: SocketAddr, stop: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        match ask(address) {
            Ok(()) => seen.latencies.push(due.elapsed()),
            Err(error) => seen.failures.push(error.to_string()),
        }
        due += PERIOD;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    seen.latencies.sort();
    seen
}

/// One request on a connection of its own.
pub fn ask(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /hello HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    if answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"hello") {
        return Ok(());
    }
    let answer = String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned();
    Err(io::Error::other(format!("answered {answer:?}")))
}
