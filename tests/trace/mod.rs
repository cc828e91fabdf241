//! A connection between a client and a service in virtual time, told as a trace:
//! `trace.at(0).reads("GET ..").answers(&["200 hello"])`.
//!
//! The trace plays the driver: it polls until the connection waits, moves bytes, and gives
//! requests to a service that knows the paths below. Every step it checks what must always hold.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod pieces;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use trine::connection::{
    Answered, Called, CloseReason, Config, Connection, Deferred, Pools, Reply, Step, Turn, Wake,
    Wanted,
};
use trine::http::{Framing, HttpDate, Request, Response, Status};
use trine::time::{Span, Tick};

use pieces::Pieces;

pub const HELLO: &str = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
pub const DEFER: &str = "GET /defer HTTP/1.1\r\nHost: a\r\n\r\n";

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

pub struct Trace {
    pub connection: Connection,
    pub pools: Pools,
    pub config: Config,
    pub deferred: Vec<Deferred>,
    pub served: usize,
    pub writes: usize,
    pub wakes: Arc<AtomicUsize>,
    pub shutdowns: usize,
    pub ended: Option<CloseReason>,
    /// The exchange in hand.
    pub pieces: Option<Pieces>,
    pub stale: Option<Answered>,
    /// The states it went through, each with the next.
    pub arrows: BTreeSet<(&'static str, &'static str)>,
    /// Whether a spent budget is followed by the next turn at once.
    pub turns_follow: bool,
    /// Whether requests are turned away.
    pub refuses: bool,
    seen: &'static str,
    now: Tick,
    date: HttpDate,
    unread: Vec<u8>,
    eof: bool,
    taken: Vec<u8>,
    takes: usize,
    last_step: Option<Step>,
}

impl Trace {
    pub fn new() -> Trace {
        Trace::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Config)) -> Trace {
        let mut config = Config::default();
        change(&mut config);
        Trace {
            connection: Connection::new(Tick(0), &config),
            pools: Pools::default(),
            config,
            deferred: Vec::new(),
            served: 0,
            writes: 0,
            wakes: Arc::default(),
            shutdowns: 0,
            ended: None,
            pieces: None,
            stale: None,
            arrows: BTreeSet::new(),
            turns_follow: true,
            refuses: false,
            seen: "head",
            now: Tick(0),
            date: HttpDate::from_unix(0),
            unread: Vec::new(),
            eof: false,
            taken: Vec::new(),
            takes: usize::MAX,
            last_step: None,
        }
    }

    /// It is `millis` after accept.
    pub fn at(&mut self, millis: u64) -> &mut Self {
        assert!(self.now.0 <= millis, "time goes forward");
        assert!(
            self.connection.deadline().0 >= millis,
            "a deadline was missed"
        );
        self.now = Tick(millis);
        self
    }

    pub fn reads(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.unread.extend_from_slice(bytes.as_ref());
        self.drive()
    }

    /// The client shuts its sending half.
    pub fn ends_sending(&mut self) -> &mut Self {
        self.eof = true;
        self.drive()
    }

    pub fn deadline(&self) -> Tick {
        self.connection.deadline()
    }

    pub fn expires(&mut self) -> &mut Self {
        assert_eq!(self.connection.deadline(), self.now, "the deadline is now");
        self.with_turn(|connection, turn| connection.handle_deadline(turn));
        self.drive()
    }

    pub fn drains(&mut self) -> &mut Self {
        self.connection.handle_drain();
        self.drive()
    }

    pub fn resets(&mut self) -> &mut Self {
        self.connection.handle_reset(&mut self.pools);
        self.drive()
    }

    pub fn aborts(&mut self) -> &mut Self {
        self.connection.handle_abort(&mut self.pools);
        self.drive()
    }

    /// From now on the client takes `bytes` more and then nothing.
    pub fn takes(&mut self, bytes: usize) -> &mut Self {
        self.takes = bytes;
        self.drive()
    }

    /// The server needs its place, and has looked for bytes of the client.
    pub fn is_asked_for_place(&mut self) -> &mut Self {
        self.connection.ask_for_place();
        assert!(self.connection.is_asked_for_place());
        self.drive();
        self.connection.handle_eviction(&mut self.pools);
        self.drive()
    }

    /// The server would rather not keep it.
    pub fn is_not_to_be_kept(&mut self) -> &mut Self {
        self.connection.handle_no_keep_alive();
        self.drive()
    }

    /// Somebody wakes the exchange in hand.
    pub fn wakes(&mut self) -> &mut Self {
        self.connection.handle_woken();
        self.drive()
    }

    /// The service completes its oldest promise, to be given `millis` later.
    pub fn sends_after(&mut self, millis: u64, text: &'static str) -> &mut Self {
        let deferred = self.deferred.remove(0);
        deferred.send_after(Span::from_millis(millis), Response::text(text));
        self.drive()
    }

    /// The oldest deferred answer is sent.
    pub fn sends(&mut self, body: &'static str) -> &mut Self {
        self.deferred.remove(0).send(Response::text(body));
        self.drive()
    }

    /// Everything the client took since the last look: `["200 hello", "408 close Request Timeout"]`.
    #[track_caller]
    pub fn answers(&mut self, expected: &[&str]) -> &mut Self {
        let text = String::from_utf8(std::mem::take(&mut self.taken)).unwrap();
        assert_eq!(summary(&text), expected);
        self
    }

    /// The same for answers to HEAD, which have no content whatever they declare.
    #[track_caller]
    pub fn answers_heads(&mut self, statuses: &[&str]) -> &mut Self {
        let text = self.takes_all();
        let heads: Vec<&str> = text.split_terminator("\r\n\r\n").collect();
        let said: Vec<&str> = heads.iter().map(|head| &head[9..12]).collect();
        assert_eq!(said, statuses);
        self
    }

    /// All octets the client took since the last look.
    pub fn takes_all(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.taken)).unwrap()
    }

    /// How many octets of the client the connection has not read.
    pub fn unread(&self) -> usize {
        self.unread.len()
    }

    #[track_caller]
    pub fn is(&mut self, state: &str) -> &mut Self {
        assert_eq!(self.connection.state_name(), state);
        self
    }

    /// It is over, and holds nothing.
    #[track_caller]
    pub fn closes(&mut self, reason: CloseReason) -> &mut Self {
        assert_eq!(self.ended, Some(reason));
        assert_eq!(self.connection.memory(), 0);
        assert_eq!(self.connection.deadline(), Tick::NEVER);
        self
    }

    #[track_caller]
    pub fn lives(&mut self) -> &mut Self {
        assert_eq!(self.ended, None);
        self
    }

    pub fn next_turn(&mut self) -> &mut Self {
        self.drive()
    }

    /// Whether the connection asked for another turn.
    pub fn wants_a_turn(&self) -> bool {
        self.last_step == Some(Step::Again)
    }

    fn with_turn(&mut self, act: impl FnOnce(&mut Connection, &mut Turn<'_>)) {
        let mut turn = Turn::new(self.now, &self.date, &self.config, &mut self.pools);
        act(&mut self.connection, &mut turn);
    }

    /// Polls until the connection waits.
    fn drive(&mut self) -> &mut Self {
        while let Some(Step::Again) = self.drive_one_turn() {
            if !self.turns_follow {
                break;
            }
        }
        self.counts_its_memory();
        self
    }

    /// What the pools count is what the connection holds, and that is bounded.
    #[track_caller]
    fn counts_its_memory(&self) {
        let held = self.connection.memory();
        let counted = self.pools.memory();
        assert_eq!(counted, held + self.connection.answer_memory());
        let max = self.config.connection_memory_max();
        assert!(held <= max, "{held} bytes of {max}");
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each step")]
    fn drive_one_turn(&mut self) -> Option<Step> {
        let Trace {
            connection, pools, ..
        } = self;
        let mut turn = Turn::new(self.now, &self.date, &self.config, pools);
        if self.refuses {
            turn.admit_nobody();
        }
        let mut note = |connection: &Connection| {
            let state = connection.state_name();
            self.arrows.insert((self.seen, state));
            self.seen = state;
        };
        note(connection);
        let mut step = connection.poll(&mut turn);
        loop {
            note(connection);
            self.last_step = Some(step);
            step = match step {
                Step::Read if !self.unread.is_empty() => {
                    read(connection, &mut turn, &mut self.unread)
                }
                Step::Read if self.eof => {
                    let _ = connection.input_space(turn.pools);
                    connection.handle_eof(turn.pools);
                    connection.poll(&mut turn)
                }
                Step::Write if self.takes > 0 => {
                    let len = connection.output().len().min(self.takes);
                    self.taken.extend_from_slice(&connection.output()[..len]);
                    if self.takes != usize::MAX {
                        self.takes -= len;
                    }
                    self.writes += 1;
                    connection.handle_written(len, &mut turn)
                }
                Step::Request if self.refuses => connection.turn_away(&mut turn),
                Step::Request => {
                    let (served, wake) = (&mut self.served, || counting(&self.wakes));
                    let (deferred, stale) = (&mut self.deferred, &mut self.stale);
                    connection.answer(&mut turn, &wake, |request, reply| {
                        *served += 1;
                        if request.head().framing() == Framing::None
                            && let Some(opened) = pieces::open(request.path())
                        {
                            self.pieces = Some(opened);
                            return Called::Opened;
                        }
                        let answered = serve(request, reply, deferred, stale);
                        answered.map_or(Called::Panicked, Called::Answered)
                    })
                }
                Step::Announced => connection.announce(&mut turn, |head| {
                    self.pieces = pieces::open(head.path());
                    match (&self.pieces, head.path()) {
                        (Some(_), _) => Wanted::InPieces,
                        (None, "/opens_and_panics") => Wanted::Panicked,
                        (None, _) => Wanted::Whole,
                    }
                }),
                Step::Exchange => {
                    let wake = || counting(&self.wakes);
                    let in_hand = &mut self.pieces;
                    connection.exchange(&mut turn, &wake, |call, flow| {
                        in_hand.as_mut().expect("it was opened").call(call, flow)
                    })
                }
                Step::Shutdown => {
                    self.shutdowns += 1;
                    connection.poll(&mut turn)
                }
                Step::Read | Step::Write | Step::Wait | Step::Again => {
                    if step == Step::Write {
                        connection.handle_write_refused(&turn);
                    }
                    connection.handle_blocked(turn.pools);
                    return Some(step);
                }
                Step::Close(reason) => {
                    self.ended = Some(reason);
                    return None;
                }
            }
        }
    }
}

fn read(connection: &mut Connection, turn: &mut Turn<'_>, unread: &mut Vec<u8>) -> Step {
    let space = connection.input_space(turn.pools);
    let len = space.len().min(unread.len());
    space[..len].copy_from_slice(&unread[..len]);
    unread.drain(..len);
    connection.handle_input(len, turn)
}

fn counting(wakes: &Arc<AtomicUsize>) -> Box<dyn Wake> {
    let wakes = Arc::clone(wakes);
    Box::new(move || {
        wakes.fetch_add(1, Ordering::Relaxed);
    })
}

/// The service; `None` stands for a panic.
fn serve(
    request: &Request<'_>,
    reply: Reply<'_>,
    deferred: &mut Vec<Deferred>,
    stale: &mut Option<Answered>,
) -> Option<Answered> {
    match request.path() {
        "/defer" => {
            let (later, answered) = reply.defer();
            deferred.push(later);
            Some(answered)
        }
        "/after" => {
            let (later, answered) = reply.defer();
            let delay = request.query().unwrap().parse().unwrap();
            later.send_after(Span::from_millis(delay), Response::text("after"));
            Some(answered)
        }
        "/interim" => Some(reply.send(Response::new(Status::CONTINUE))),
        "/interim_later" => {
            let (later, answered) = reply.defer();
            later.send(Response::new(Status::CONTINUE));
            Some(answered)
        }
        "/dropped" => Some(reply.defer().1),
        "/echo" => Some(reply.send(Response::text(request.body().to_vec()))),
        "/big" => {
            let len: usize = request.query().unwrap().parse().unwrap();
            Some(reply.text("x".repeat(len)))
        }
        "/panic" => None,
        "/answers_and_panics" => {
            *stale = Some(reply.text("lost"));
            None
        }
        "/stale" => stale.take(),
        path => Some(reply.text(path.trim_start_matches('/').to_owned())),
    }
}

/// The content of chunks, up to where they end or break off.
fn dechunked(mut text: &str) -> (String, &str) {
    let mut body = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let len = usize::from_str_radix(size, 16).expect("a size");
        body.push_str(&rest[..len]);
        text = rest[len..]
            .strip_prefix("\r\n")
            .expect("the end of a chunk");
        if len == 0 {
            break;
        }
    }
    (body, text)
}

/// Each response as status, `close` if it says so, and body.
fn summary(mut text: &str) -> Vec<String> {
    let mut responses = Vec::new();
    while let Some((head, rest)) = text.split_once("\r\n\r\n") {
        let status = head.split(' ').nth(1).unwrap();
        let close = if head.contains("Connection: close") {
            " close"
        } else {
            ""
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .map_or(0, |length| length.parse().unwrap());
        let body = &rest[..rest.len().min(length)];
        if head.contains("Transfer-Encoding: chunked") {
            let (body, behind) = dechunked(rest);
            responses.push(format!("{status}{close} chunked ({} bytes)", body.len()));
            text = behind;
            continue;
        }
        let shown = match body.len() {
            0 => String::new(),
            len if len > 100 => format!(" ({len} bytes)"),
            _ => format!(" {body}"),
        };
        responses.push(format!("{status}{close}{shown}"));
        text = &rest[body.len()..];
    }
    assert_eq!(text, "", "whole heads only");
    responses
}
