//! Files, emulated: a few threads do what would make the loop wait.
//!
//! ```text
//!   start ──> waiting ── a thread is idle ──> doing ──> done ── Waker ──> the loop
//!                └── cancel ──> given back
//! ```
//!
//! A thread has one operation at a time and there is no queue behind the line of those that wait, so
//! any of these can be cancelled. How long the line gets is bounded by the operation table.
//! Threads start with the first operation, and end when the proactor is dropped.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::super::operation::{FileOutcome, Filled, Memory, Passed};
use super::super::request::{FileRequest, Sync};
use crate::reactor::{OperationId, Waker};
use crate::thread::start_thread;

pub(in super::super) struct Files {
    threads_max: usize,
    /// How many operations threads have in hand.
    doing: usize,
    waiting: VecDeque<(OperationId, FileRequest)>,
    threads: Option<Threads>,
}

struct Threads {
    count: usize,
    jobs: Sender<(OperationId, FileRequest)>,
    queue: Arc<Mutex<Receiver<(OperationId, FileRequest)>>>,
    done: Receiver<(OperationId, FileOutcome)>,
    report: Sender<(OperationId, FileOutcome)>,
}

impl Files {
    pub(in super::super) fn new(threads_max: usize) -> Files {
        Files {
            threads_max,
            doing: 0,
            waiting: VecDeque::new(),
            threads: None,
        }
    }

    pub(in super::super) fn start(&mut self, id: OperationId, request: FileRequest, waker: &Waker) {
        self.waiting.push_back((id, request));
        self.hand_out(waker);
    }

    /// Takes back what no thread has begun.
    pub(in super::super) fn cancel(&mut self, id: OperationId) -> Option<FileRequest> {
        let place = self.waiting.iter().position(|(waiting, _)| *waiting == id);
        self.waiting.remove(place?).map(|(_, request)| request)
    }

    /// Something a thread has done since the last call.
    pub(in super::super) fn take_done(
        &mut self,
        waker: &Waker,
    ) -> Option<(OperationId, FileOutcome)> {
        let done = self.threads.as_ref()?.done.try_recv().ok()?;
        self.doing -= 1;
        self.hand_out(waker);
        Some(done)
    }

    fn hand_out(&mut self, waker: &Waker) {
        let threads = self.threads.get_or_insert_with(Threads::new);
        while self.doing < self.threads_max {
            let Some(next) = self.waiting.pop_front() else {
                return;
            };
            if threads.count <= self.doing {
                match threads.start(waker.clone()) {
                    Ok(()) => {}
                    Err(_) if threads.count > 0 => {
                        self.waiting.push_front(next); // as many as there are will do
                        return;
                    }
                    Err(error) => {
                        let memory = next.1.into_memory();
                        let failed = (next.0, FileOutcome::Failed(error, memory));
                        self.doing += 1; // until it is taken
                        let _ = threads.report.send(failed); // we hold the other end
                        waker.wake();
                        continue;
                    }
                }
            }
            self.doing += 1;
            let _ = threads.jobs.send(next); // we hold the other end
        }
    }
}

impl Threads {
    fn new() -> Threads {
        let (jobs, queue) = channel();
        let (report, done) = channel();
        Threads {
            count: 0,
            jobs,
            queue: Arc::new(Mutex::new(queue)),
            done,
            report,
        }
    }

    fn start(&mut self, waker: Waker) -> io::Result<()> {
        let (queue, report) = (Arc::clone(&self.queue), self.report.clone());
        let run = move || {
            loop {
                let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok((id, request)) = job else {
                    return; // the proactor is gone
                };
                if report.send((id, perform(request))).is_err() {
                    return;
                }
                waker.wake();
            }
        };
        start_thread(format!("trine-files-{}", self.count), run)?;
        self.count += 1;
        Ok(())
    }
}

/// Does it, and waits as long as it takes.
fn perform(request: FileRequest) -> FileOutcome {
    match request {
        FileRequest::Read { file, mut room, at } => match retried(|| file.read_at(&mut room, at)) {
            Ok(len) => FileOutcome::Read(Filled::new(room, len)),
            Err(error) => FileOutcome::Failed(error, Memory::Room(room)),
        },
        FileRequest::Write { file, payload, at } => {
            match retried(|| file.write_at(payload.remaining(), at)) {
                Ok(count) => FileOutcome::Written(Passed::new(payload, count)),
                Err(error) => FileOutcome::Failed(error, Memory::Payload(payload)),
            }
        }
        FileRequest::Sync { file, what } => {
            let synced = retried(|| match what {
                Sync::Data => file.sync_data(),
                Sync::All => file.sync_all(),
            });
            match synced {
                Ok(()) => FileOutcome::Synced,
                Err(error) => FileOutcome::Failed(error, Memory::None),
            }
        }
    }
}

/// A signal may interrupt a call; then it is made again.
fn retried<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
