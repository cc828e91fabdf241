//! The service under test, and what it must answer: small enough to be right by looking at it.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use trine::http::{Framing, Request, Response, Trailers};
use trine::service::{Answered, Deferred, Exchange, Flow, Reply, Service};
use trine::testing::{Answer, Dice};
use trine::time::Span;

/// The state that the service is lent: the answers it owes.
#[derive(Default)]
pub struct Model {
    pub promises: Vec<(Deferred, u32)>,
    /// How often the service has panicked.
    pub panics: Arc<AtomicU64>,
    /// Signals that came, by number.
    pub signals: BTreeMap<i32, u64>,
    /// Whether the alarm on the wall clock has rung.
    pub has_rung: bool,
}

impl Model {
    fn panic(&self, payload: impl Any + Send) -> ! {
        self.panics.fetch_add(1, Ordering::Relaxed);
        panic_any(payload)
    }
}

/// What a service says when it panics on purpose; such panics are not printed.
pub const MEANT: &str = "meant";

/// A payload that panics again when it is dropped.
pub struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic_any(MEANT);
        }
    }
}

/// What a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Text,
    Head,
    /// An answer with which the connection ends.
    Last,
    /// An answer that is promised and not given.
    Abandoned,
    /// Content of this many bytes.
    Bytes(usize),
    /// An answer that the test gives later.
    Promised,
    /// One that is given at once, but held for so many milliseconds.
    Held(u32),
    /// A body of this many bytes, sent back, collected or in pieces.
    Echo(usize),
    EchoChunked(usize),
    EchoInPieces(usize),
    /// The service panics; so it does after it has answered; or its payload does when it is dropped.
    Panic,
    PanicLate,
    PanicTwice,
    /// An exchange panics before it has answered; when it has begun to; or when it is dropped.
    PiecesPanic,
    PiecesBreak,
    PiecesPanicDropped,
}

/// A request, and by its number the answer to it.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub number: u32,
    pub kind: Kind,
}

pub fn content(number: u32, len: usize) -> Vec<u8> {
    let octets = (0..len).map(|at| b'a' + ((at + number as usize) % 26) as u8);
    octets.collect()
}

impl Asked {
    pub fn random(number: u32, dice: &mut Dice) -> Asked {
        let kind = match dice.below(80) {
            40 => Kind::Last,
            41 => Kind::Abandoned,
            42 => Kind::EchoInPieces(dice.up_to(200_000)),
            43 => [
                Kind::Panic,
                Kind::PanicLate,
                Kind::PanicTwice,
                Kind::PiecesPanic,
                Kind::PiecesBreak,
                Kind::PiecesPanicDropped,
            ][dice.below(6)],
            0..14 | 44.. => Kind::Text,
            14..16 => Kind::Head,
            16..20 => Kind::Bytes(dice.below(3_000)),
            20 => Kind::Bytes(dice.below(150_000)),
            21..27 => Kind::Promised,
            27..29 => Kind::Held(dice.below(40) as u32),
            29..33 => Kind::Echo(dice.up_to(400)),
            33..36 => Kind::EchoChunked(dice.up_to(200)),
            36 => Kind::Echo(dice.up_to(20_000)),
            _ => Kind::EchoInPieces(dice.up_to(2_000)),
        };
        Asked { number, kind }
    }

    /// The octets of the request.
    pub fn octets(self) -> Vec<u8> {
        let Asked { number, kind } = self;
        let (method, path, body) = match kind {
            Kind::Text | Kind::Last => ("GET", format!("/t/{number}"), None),
            Kind::Abandoned => ("GET", format!("/x/{number}"), None),
            Kind::Head => ("HEAD", format!("/t/{number}"), None),
            Kind::Bytes(len) => ("GET", format!("/b/{number}/{len}"), None),
            Kind::Promised => ("GET", format!("/d/{number}"), None),
            Kind::Held(delay) => ("GET", format!("/h/{number}/{delay}"), None),
            Kind::Echo(len) | Kind::EchoChunked(len) => ("POST", format!("/e/{number}"), Some(len)),
            Kind::EchoInPieces(len) => ("POST", format!("/s/{number}"), Some(len)),
            Kind::Panic => ("GET", format!("/p/{number}"), None),
            Kind::PanicLate => ("GET", format!("/l/{number}"), None),
            Kind::PanicTwice => ("GET", format!("/bomb/{number}"), None),
            Kind::PiecesPanic => ("GET", format!("/pieces/{number}"), None),
            Kind::PiecesBreak => ("GET", format!("/break/{number}"), None),
            Kind::PiecesPanicDropped => ("GET", format!("/dropped/{number}"), None),
        };
        let mut octets = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n").into_bytes();
        if kind == Kind::Last {
            octets.extend(b"connection: close\r\n");
        }
        if body.is_some() && number.is_multiple_of(5) {
            octets.extend(b"expect: 100-continue\r\n"); // and does not wait for it
        }
        match body.map(|len| content(number, len)) {
            None => octets.extend(b"\r\n"),
            Some(body) if matches!(kind, Kind::EchoChunked(_)) => {
                octets.extend(b"transfer-encoding: chunked\r\n\r\n");
                for chunk in body.chunks(50) {
                    octets.extend(format!("{:x}\r\n", chunk.len()).bytes());
                    octets.extend(chunk);
                    octets.extend(b"\r\n");
                }
                octets.extend(b"0\r\n\r\n");
            }
            Some(body) => {
                octets.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
                octets.extend(body);
            }
        }
        octets
    }

    fn body(self) -> Vec<u8> {
        match self.kind {
            Kind::Text | Kind::Last => format!("t{}\n", self.number).into_bytes(),
            Kind::Head | Kind::Abandoned | Kind::PiecesBreak => Vec::new(),
            Kind::Panic | Kind::PanicLate | Kind::PanicTwice | Kind::PiecesPanic => Vec::new(),
            Kind::PiecesPanicDropped => b"whole".to_vec(),
            Kind::Promised => format!("d{}\n", self.number).into_bytes(),
            Kind::Held(_) => format!("h{}\n", self.number).into_bytes(),
            Kind::Bytes(len)
            | Kind::Echo(len)
            | Kind::EchoChunked(len)
            | Kind::EchoInPieces(len) => content(self.number, len),
        }
    }

    /// Whether the service leaves the answer to the server.
    pub fn is_answered_500(self) -> bool {
        use Kind::{Abandoned, Panic, PanicLate, PanicTwice, PiecesPanic};
        matches!(
            self.kind,
            Abandoned | Panic | PanicLate | PanicTwice | PiecesPanic
        )
    }

    /// Whether `answer` is the server's own, to the octet but for the date.
    pub fn is_given_up_by(self, answer: &Answer) -> bool {
        let text = String::from_utf8_lossy(answer.raw());
        let mut lines: Vec<&str> = text.split("\r\n").collect();
        lines.retain(|line| !line.starts_with("Date: "));
        let fields = 1..lines.len() - 2;
        lines[fields].sort_unstable();
        let expected = [
            "HTTP/1.1 500 Internal Server Error",
            "Connection: close",
            "Content-Length: 21",
            "Content-Type: text/plain; charset=utf-8",
            "",
            "Internal Server Error",
        ];
        self.is_answered_500() && lines == expected
    }

    /// Whether nothing but the server is waited for.
    pub fn is_immediate(self) -> bool {
        !matches!(self.kind, Kind::Promised | Kind::Held(_))
    }

    /// Whether `answer` is the one, to the octet but for the date, and for `Connection: close` on
    /// the last of a connection.
    pub fn is_answered_by(self, answer: &Answer) -> bool {
        if answer.status() != 200 || answer.body() != self.body() {
            return false;
        }
        let raw = answer.raw();
        let end = raw.windows(4).position(|four| four == b"\r\n\r\n");
        let head = String::from_utf8_lossy(&raw[..end.unwrap_or_default() + 4]);
        let mut lines: Vec<&str> = head.split_inclusive("\r\n").collect();
        let len = match self.kind {
            Kind::Head => format!("t{}\n", self.number).len(),
            _ => answer.body().len(),
        };
        let framing = match self.kind {
            Kind::EchoInPieces(_) | Kind::PiecesPanicDropped => {
                "transfer-encoding: chunked\r\n".to_owned()
            }
            _ => format!("content-length: {len}\r\n"),
        };
        lines.retain(|line| !line.eq_ignore_ascii_case("connection: close\r\n"));
        let has = |wanted: &str| lines.iter().any(|line| line.eq_ignore_ascii_case(wanted));
        let is_dated = lines
            .iter()
            .any(|line| line.len() == 37 && line.starts_with("Date: "));
        let count = match self.kind {
            Kind::Text | Kind::Head | Kind::Last | Kind::Promised | Kind::Held(_) => 5, // with the type of a text
            _ => 4,
        };
        lines.len() == count && lines[0] == "HTTP/1.1 200 OK\r\n" && has(&framing) && is_dated
    }
}

/// The service.
pub struct Scripted;

impl Service<Model> for Scripted {
    fn open(&mut self, head: &Request<'_>, model: &mut Model) -> Option<Box<dyn Exchange<Model>>> {
        match head.path().split('/').nth(1)? {
            "s" => Some(Box::new(Pieces::default())),
            "pieces" => Breaking::exchange(Breaks::AtOnce, model),
            "break" => Breaking::exchange(Breaks::Midway, model),
            "dropped" => Breaking::exchange(Breaks::WhenDropped, model),
            _ => None,
        }
    }

    fn call(&mut self, request: &Request<'_>, reply: Reply<'_>, model: &mut Model) -> Answered {
        let mut parts = request.path().split('/').skip(1);
        let kind = parts.next().unwrap_or_default();
        let mut number = || parts.next().and_then(|text| text.parse().ok()).unwrap_or(0);
        let first: u32 = number();
        match kind {
            "t" => reply.text(format!("t{first}\n")),
            "b" => reply.send(Response::bytes(content(first, number() as usize))),
            "e" if request.head().framing() != Framing::None => {
                reply.send(Response::bytes(request.body().to_vec()))
            }
            "d" => {
                let (deferred, answered) = reply.defer();
                model.promises.push((deferred, first));
                answered
            }
            "x" => drop_promise(reply),
            "p" => model.panic(MEANT),
            "l" => {
                let _ = reply.text("not to be trusted");
                model.panic(MEANT)
            }
            "bomb" => model.panic(Bomb),
            "h" => {
                let delay = Span::from_millis(u64::from(number()));
                let (deferred, answered) = reply.defer();
                deferred.send_after(delay, Response::text(format!("h{first}\n")));
                answered
            }
            _ => reply.send(Response::not_found()),
        }
    }
}

fn drop_promise(reply: Reply<'_>) -> Answered {
    let (deferred, answered) = reply.defer();
    drop(deferred);
    answered
}

/// Sends back what it gets, as it comes.
#[derive(Default)]
struct Pieces {
    has_begun: bool,
}

impl Exchange<Model> for Pieces {
    fn produce(&mut self, flow: &mut Flow<'_>, _: &mut Model) {
        if !std::mem::replace(&mut self.has_begun, true) {
            let _ = flow.respond(&Response::bytes(""), None);
        }
    }

    fn piece(&mut self, piece: &[u8], flow: &mut Flow<'_>, _: &mut Model) -> usize {
        flow.write(piece)
    }

    fn end(&mut self, _: Trailers<'_>, flow: &mut Flow<'_>, _: &mut Model) {
        flow.finish();
    }
}

/// How an exchange breaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Breaks {
    AtOnce,
    Midway,
    WhenDropped,
}

/// Panics.
struct Breaking {
    how: Breaks,
    has_begun: bool,
    panics: Arc<AtomicU64>,
}

impl Breaking {
    fn exchange(how: Breaks, model: &Model) -> Option<Box<dyn Exchange<Model>>> {
        Some(Box::new(Breaking {
            how,
            has_begun: false,
            panics: Arc::clone(&model.panics),
        }))
    }
}

impl Exchange<Model> for Breaking {
    fn produce(&mut self, flow: &mut Flow<'_>, model: &mut Model) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        if self.how != Breaks::AtOnce {
            let _ = flow.respond(&Response::bytes(""), None);
            let _ = flow.write(b"whole");
        }
        match self.how {
            Breaks::WhenDropped => flow.finish(),
            Breaks::AtOnce | Breaks::Midway => model.panic(MEANT),
        }
    }
}

impl Drop for Breaking {
    fn drop(&mut self) {
        if self.how == Breaks::WhenDropped {
            self.panics.fetch_add(1, Ordering::Relaxed);
            panic_any(MEANT);
        }
    }
}
