//! The service of the suite: the same under each combination.

use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use trine::Response;
use trine::http::{Request, Trailers};
use trine::service::{Answered, Deferred, Exchange, Flow, Reply, Service};

/// Octets of the answer that all clients share.
pub const SHARED: usize = 10 << 20;

/// Answers by path.
///
/// | path | answer |
/// |---|---|
/// | `/` | a greeting |
/// | `/target?...` | the target |
/// | `/echo` | the body, in pieces |
/// | `/collected` | the body, whole |
/// | `/chunks/N` | N chunks |
/// | `/bytes/N` | so many octets |
/// | `/shared` | 10 MiB that all clients share |
/// | `/later/MS` | a text, from another thread, so much later |
/// | `/held` | the same text, when the test opens the [`Gate`] |
/// | `/thread` | the name of the thread that calls |
/// | `/panic` | 500 |
#[derive(Clone, Default)]
pub struct Site {
    /// Whether every path is `/collected`, and says its target.
    pub is_anything: bool,
    pub gate: Gate,
}

/// Where requests wait for the test, which knows how many there are. Clones are the same one.
#[derive(Clone, Default)]
pub struct Gate(Arc<Mutex<Held>>);

enum Held {
    Here(Vec<Deferred>),
    /// The gate is open.
    Let,
}

impl Default for Held {
    fn default() -> Held {
        Held::Here(Vec::new())
    }
}

impl Gate {
    fn hold(&self, reply: Reply<'_>) -> Answered {
        match &mut *self.0.lock().unwrap() {
            Held::Here(waiting) => {
                let (deferred, answered) = reply.defer();
                waiting.push(deferred);
                answered
            }
            Held::Let => reply.text("late"),
        }
    }

    /// How many requests have come here since it was shut.
    pub fn held(&self) -> usize {
        match &*self.0.lock().unwrap() {
            Held::Here(waiting) => waiting.len(),
            Held::Let => 0,
        }
    }

    /// Answers all that wait, and whoever comes from now on.
    pub fn open(&self) {
        let held = std::mem::replace(&mut *self.0.lock().unwrap(), Held::Let);
        if let Held::Here(waiting) = held {
            for deferred in waiting {
                deferred.send(Response::text("late"));
            }
        }
    }

    /// Forgets who has come, whose clients have left, and holds whoever comes from now on.
    pub fn shut(&self) {
        *self.0.lock().unwrap() = Held::default();
    }
}

impl Service for Site {
    fn open(&mut self, head: &Request<'_>, (): &mut ()) -> Option<Box<dyn Exchange>> {
        if self.is_anything {
            return None;
        }
        match head.path().split_at_checked(8) {
            _ if head.path() == "/echo" => Some(Box::new(Echo)),
            Some(("/chunks/", count)) => Some(Box::new(Chunks {
                left: count.parse().ok()?,
            })),
            _ => None,
        }
    }

    fn call(&mut self, request: &Request<'_>, reply: Reply<'_>, (): &mut ()) -> Answered {
        if self.is_anything {
            let (target, len) = (request.target(), request.body().len());
            return reply.text(format!("target={target};octets={len};"));
        }
        match request.path().rsplit_once('/') {
            Some(("", "")) => reply.text("Hello, World!"),
            Some(("", "target")) => reply.text(request.target().to_owned()),
            Some(("", "collected")) => reply.send(Response::bytes(request.body().to_vec())),
            Some(("", "shared")) => reply.send(Response::bytes(shared())),
            Some(("", "held")) => self.gate.hold(reply),
            Some(("", "thread")) => {
                let name = thread::current().name().unwrap_or_default().to_owned();
                reply.text(name)
            }
            Some(("", "panic")) => panic!("asked to"),
            Some(("/bytes", count)) => reply.send(Response::bytes(vec![b'x'; number(count)])),
            Some(("/later", millis)) => later(number(millis), reply),
            _ => reply.send(Response::not_found()),
        }
    }
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or(0)
}

/// The octets of it.
pub fn shared() -> &'static [u8] {
    static OCTETS: OnceLock<Vec<u8>> = OnceLock::new();
    OCTETS.get_or_init(|| (0..SHARED).map(octet).collect())
}

/// The octet at `place` of the shared answer, and of bodies.
pub fn octet(place: usize) -> u8 {
    (place % 251) as u8
}

fn later(millis: usize, reply: Reply<'_>) -> Answered {
    let (deferred, answered) = reply.defer();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(millis as u64));
        deferred.send(Response::text("late"));
    });
    answered
}

/// Sends back what it gets.
struct Echo;

impl Exchange for Echo {
    fn produce(&mut self, flow: &mut Flow<'_>, (): &mut ()) {
        let _ = flow.respond(&Response::bytes(""), None); // the first time
    }

    fn piece(&mut self, piece: &[u8], flow: &mut Flow<'_>, (): &mut ()) -> usize {
        flow.write(piece)
    }

    fn end(&mut self, _: Trailers<'_>, flow: &mut Flow<'_>, (): &mut ()) {
        flow.finish();
    }
}

/// A line for each that is left.
struct Chunks {
    left: usize,
}

impl Exchange for Chunks {
    fn produce(&mut self, flow: &mut Flow<'_>, (): &mut ()) {
        let _ = flow.respond(&Response::text(""), None);
        while self.left > 0 {
            let line = format!("{}\n", self.left);
            if flow.room() < line.len() {
                return; // asked again when there is
            }
            assert_eq!(flow.write(line.as_bytes()), line.len());
            self.left -= 1;
        }
        flow.finish();
    }
}
