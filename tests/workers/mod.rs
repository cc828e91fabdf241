//! A service that blocks when it is told to, on worker threads behind a server.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::panic::panic_any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use trine::Response;
use trine::concurrency::{Bounds, HalfSyncHalfAsync, WorkerMeter, WorkerOptions};
use trine::http::{Request, Status};
use trine::service::{Answered, Reply, Service};

use super::support::client::{Client, get};
use super::support::{self, Running, eventually};

/// Whoever comes waits until it is opened.
#[derive(Clone, Default)]
pub struct Gate {
    shared: Arc<(Mutex<bool>, Condvar)>,
    passed: Arc<AtomicUsize>,
}

impl Gate {
    pub fn open(&self) {
        *self.shared.0.lock().unwrap() = true;
        self.shared.1.notify_all();
    }

    /// How many have come through.
    pub fn passed(&self) -> usize {
        self.passed.load(Ordering::Relaxed)
    }

    pub fn pass(&self) {
        let (open, changed) = &*self.shared;
        let waited = changed.wait_while(open.lock().unwrap(), |open| !*open);
        drop(waited.unwrap());
        self.passed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Panics again when it is dropped.
struct Twice;

impl Drop for Twice {
    fn drop(&mut self) {
        panic!("and again");
    }
}

/// Answers by path what [`support::site`] does not: `/block` when the gate is open, `/panic/twice` not
/// at all, `/then/panic` too early, `/informational` only provisionally, `/elsewhere` from yet another
/// thread, `/thread` with the name of its own.
#[derive(Clone, Default)]
pub struct Workshop {
    pub gate: Gate,
}

impl Service for Workshop {
    fn call(&mut self, request: &Request<'_>, reply: Reply<'_>, (): &mut ()) -> Answered {
        match request.path() {
            "/block" => {
                self.gate.pass();
                reply.text("through")
            }
            "/panic/twice" => panic_any(Twice),
            "/then/panic" => {
                let _ = reply.text("not to be trusted");
                panic!("after all");
            }
            "/informational" => reply.send(Response::new(Status::from_code(103).unwrap())),
            "/elsewhere" => {
                let (deferred, answered) = reply.defer();
                thread::spawn(move || deferred.send(Response::text("from elsewhere")));
                answered
            }
            "/thread" => reply.text(thread::current().name().unwrap_or("").to_owned()),
            _ => support::site(request, reply, &mut ()),
        }
    }
}

/// A server whose service runs on workers.
pub struct Works {
    pub server: Running,
    pub meter: WorkerMeter,
    pub gate: Gate,
    _opened: OpenedAtTheEnd,
}

/// A test that fails leaves nobody waiting. Last of the fields: the server goes before.
struct OpenedAtTheEnd(Gate);

impl Drop for OpenedAtTheEnd {
    fn drop(&mut self) {
        self.0.open();
    }
}

pub fn options(workers: usize, queue: usize) -> WorkerOptions {
    WorkerOptions {
        workers,
        queue: Bounds {
            items_max: queue,
            bytes_max: 1 << 20,
        },
        ..WorkerOptions::default()
    }
}

pub fn works(workers: usize, queue: usize) -> Works {
    works_with(|server| server, &options(workers, queue))
}

pub fn works_with(
    configure: impl FnOnce(trine::Server) -> trine::Server,
    options: &WorkerOptions,
) -> Works {
    let workshop = Workshop::default();
    let gate = workshop.gate.clone();
    let service = HalfSyncHalfAsync::start(options, move || workshop.clone(), || ()).unwrap();
    Works {
        meter: service.meter(),
        server: support::start(configure, service),
        _opened: OpenedAtTheEnd(gate.clone()),
        gate,
    }
}

impl Works {
    /// Has a request for `/block` in hand of each of so many workers.
    pub fn occupy(&self, workers: u64) -> Vec<Client> {
        let clients = (0..workers).map(|_| self.sends("/block")).collect();
        eventually("busy workers", || self.meter.read().running == workers);
        clients
    }

    /// Puts so many requests for `/block` into the queue.
    pub fn queue(&self, requests: u64) -> Vec<Client> {
        let queued = self.meter.read().queued + requests;
        let clients = (0..requests).map(|_| self.sends("/block")).collect();
        eventually("a queue", || self.meter.read().queued == queued);
        clients
    }

    fn sends(&self, path: &str) -> Client {
        let mut client = self.server.client();
        client.send(get(path));
        client
    }
}
