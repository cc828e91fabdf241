//! One line a request, in a file.
//!
//! The loop must not wait for a disk, so a thread of its own writes: it is given lines by a bounded
//! queue and writes as many at a time as have come. What finds the queue full, or the disk, is lost
//! and counted; requests go on, and standard error says so, at most once in [`QUIET`].
//!
//! SIGHUP has the file opened anew, as `logrotate` expects when it has renamed it.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use trine::server::Served;

/// Lines that wait to be written; one is at most about 13 KiB, escaped, and a tenth of a KiB as a rule.
const QUEUE: usize = 8 * 1024;
/// In bytes: as much is written at one time.
const BATCH: usize = 64 * 1024;
/// How long what was said once is not said again.
const QUIET: Duration = Duration::from_secs(10);
/// How long the end of the program waits for a disk.
const PATIENCE: Duration = Duration::from_secs(2);

/// The end at which lines go in; clones are of the same file.
#[derive(Clone)]
pub struct AccessLog {
    notes: SyncSender<Note>,
    shared: Arc<Shared>,
}

/// The thread that writes.
pub struct Writing {
    log: AccessLog,
    is_done: Receiver<()>,
}

enum Note {
    Line(String),
    /// There is something to do besides.
    Look,
}

#[derive(Default)]
struct Shared {
    /// Lines that nobody will read.
    lost: AtomicU64,
    wants_reopening: AtomicBool,
    is_ending: AtomicBool,
}

/// Opens the log at `path`, to be appended to.
///
/// # Errors
///
/// When it cannot be opened for writing.
pub fn open(path: &Path) -> io::Result<(AccessLog, Writing)> {
    let file = open_file(path)?;
    let (notes, take) = sync_channel(QUEUE);
    let (done, is_done) = sync_channel(1);
    let shared = Arc::new(Shared::default());
    let writer = Writer {
        path: path.to_owned(),
        file,
        shared: Arc::clone(&shared),
        batch: Vec::with_capacity(BATCH),
        is_torn: false,
        error: None,
        next_word: Instant::now(),
    };
    let thread = thread::Builder::new().name("access log".to_owned());
    thread.spawn(move || {
        writer.run(&take);
        let _ = done.send(()); // nobody may wait any more
    })?;
    let log = AccessLog { notes, shared };
    Ok((log.clone(), Writing { log, is_done }))
}

impl AccessLog {
    /// Has the line written for an exchange that is over: the combined format, then how many seconds it
    /// took and how it ended.
    pub fn note(&self, served: &Served<'_>) {
        let (line, took) = (served.combined(), served.took().as_secs_f64());
        let line = format!("{line} {took:.3} \"{}\"\n", served.ended());
        if self.notes.try_send(Note::Line(line)).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Has the file opened anew before the next line.
    pub fn reopen(&self) {
        self.shared.wants_reopening.store(true, Ordering::Release);
        let _ = self.notes.try_send(Note::Look); // a thread with a full queue looks anyway
    }
}

impl Writing {
    /// Waits until what was noted is written, but not for ever.
    pub fn finish(self) {
        self.log.shared.is_ending.store(true, Ordering::Release);
        let _ = self.log.notes.try_send(Note::Look); // as above
        let _ = self.is_done.recv_timeout(PATIENCE); // then the lines are lost with the process
    }
}

/// Readable by the group that reads logs; appended to, so that whoever truncates it is safe. A pipe
/// without a reader is an error, and a full one loses lines: nothing waits.
fn open_file(path: &Path) -> io::Result<File> {
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640);
    options.custom_flags(nonblocking).open(path)
}

struct Writer {
    path: PathBuf,
    file: File,
    shared: Arc<Shared>,
    batch: Vec<u8>,
    /// The file ends within a line.
    is_torn: bool,
    /// Why the last lines were lost that it could not write.
    error: Option<io::Error>,
    next_word: Instant,
}

impl Writer {
    fn run(mut self, notes: &Receiver<Note>) {
        loop {
            // Wakes up now and then only while there is something to be said.
            let is_quiet = self.shared.lost.load(Ordering::Relaxed) == 0;
            match notes.recv_timeout(if is_quiet { Duration::MAX } else { QUIET }) {
                Ok(note) => self.take(note),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while self.batch.len() < BATCH
                && let Ok(note) = notes.try_recv()
            {
                self.take(note);
            }
            let is_all = self.batch.len() < BATCH;
            if self.shared.wants_reopening.swap(false, Ordering::Acquire) {
                self.reopen();
            }
            self.write();
            if is_all && self.shared.is_ending.load(Ordering::Acquire) {
                self.next_word = Instant::now();
                return self.say_what_is_lost();
            }
        }
    }

    fn take(&mut self, note: Note) {
        if let Note::Line(line) = note {
            self.batch.extend_from_slice(line.as_bytes());
        }
    }

    /// Writes the batch. Of a line that is only half written the rest is not tried again: it is lost,
    /// and the next one begins on a line of its own.
    fn write(&mut self) {
        if self.is_torn && !self.batch.is_empty() {
            self.batch.insert(0, b'\n');
        }
        let (mut done, mut result) = (0, Ok(()));
        while done < self.batch.len() && result.is_ok() {
            result = match self.file.write(&self.batch[done..]) {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => {
                    done += len;
                    Ok(())
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
                Err(error) => Err(error),
            };
        }
        let (written, lost) = self.batch.split_at(done);
        self.is_torn = written.last().map_or(self.is_torn, |&last| last != b'\n');
        let lost = lost.iter().filter(|&&octet| octet == b'\n').count();
        // The line end in front of a torn line's successor is none of a line.
        let lost = lost - usize::from(lost > 0 && done == 0 && self.batch[0] == b'\n');
        self.shared.lost.fetch_add(lost as u64, Ordering::Relaxed);
        self.batch.clear();
        self.error = result.err().or(self.error.take());
        self.say_what_is_lost();
    }

    fn say_what_is_lost(&mut self) {
        if Instant::now() < self.next_word {
            return;
        }
        let lost = self.shared.lost.swap(0, Ordering::Relaxed);
        if lost == 0 {
            return;
        }
        self.next_word = Instant::now() + QUIET;
        let error = self.error.take();
        let why = error.map_or_else(|| "too many at once".to_owned(), |error| error.to_string());
        self.complain(format_args!("{lost} lines lost: {why}"));
    }

    /// To standard error, which may be as full as the disk.
    fn complain(&self, what: impl Display) {
        let path = self.path.display();
        let _ = writeln!(io::stderr(), "httpbin: access log {path}: {what}");
    }

    /// The old file stays if there is no new one.
    fn reopen(&mut self) {
        match open_file(&self.path) {
            Ok(file) => {
                self.write(); // what came before the signal
                (self.file, self.is_torn) = (file, false);
            }
            Err(error) => self.complain(format_args!(
                "cannot be opened anew: {error}; the old one is kept"
            )),
        }
    }
}
