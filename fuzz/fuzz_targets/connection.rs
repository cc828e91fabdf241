//! A connection under a random client, service, driver and clock.
//!
//! Oracles: nothing panics; a deadline is never in the past; requests are served one at a time and
//! answered exactly once, in order; nothing is said or served after an answer that says close;
//! every connection ends when its deadlines run out, and holds no buffer then.

#![no_main]

#[path = "../../tests/trace/pieces.rs"]
mod pieces;

use libfuzzer_sys::fuzz_target;
use pieces::Pieces;
use trine::connection::{
    Answered, Called, CloseReason, Config, Connection, Deferred, Pools, Reply, Step, Turn, Wake,
    Wanted,
};
use trine::http::{Framing, HttpDate, Request, Response};
use trine::time::{Span, Tick};

/// What the client says when it says something sensible; `#` is the number of the message.
const MESSAGES: [&str; 20] = [
    "GET /# HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /# HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /# HTTP/1.0\r\n\r\n",
    "GET /# HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "GET /# HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "POST /# HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
    "POST /# HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "POST /# HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
    "POST /# HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n",
    "\r\n\r\nGET /# HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /pieces/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
    "POST /pieces/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "POST /pieces/echo HTTP/1.0\r\nContent-Length: 1999\r\n\r\n",
    "POST /pieces/sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: y\r\n\r\n",
    "GET /pieces/count/1700 HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /pieces/declared/1700 HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /pieces/early HTTP/1.1\r\nHost: a\r\nContent-Length: 250\r\n\r\n",
    "POST /pieces/stuck HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
    "GET /pieces/short/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /pieces/panics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
];

struct World {
    connection: Connection,
    pools: Pools,
    config: Config,
    date: HttpDate,
    now: Tick,
    /// On the way to the server.
    unread: Vec<u8>,
    sent_messages: usize,
    eof: bool,
    /// What the client has and still takes.
    taken: Vec<u8>,
    takes: usize,
    /// What the service does next.
    manner: u8,
    /// The paths of the requests served, in order.
    served: Vec<String>,
    deferred: Vec<Deferred>,
    stale: Option<Answered>,
    /// The exchange in hand.
    pieces: Option<Pieces>,
    ended: Option<CloseReason>,
}

impl World {
    fn new() -> World {
        let mut config = Config::default();
        config.limits.body_bytes_max = 1_000;
        config.limits.streamed_bytes_max = 2_000;
        config.limits.head_bytes_max = 500;
        config.requests_per_connection_max = 12;
        config.requests_per_turn_max = 3;
        config.bytes_per_turn_max = 200;
        config.output_bytes_high = 500;
        config.output_bytes_low = 200;
        config.linger_bytes_max = 100;
        config.deadlines.body_rate.bytes_min = 50;
        config.deadlines.write_rate.bytes_min = 50;
        World {
            connection: Connection::new(Tick(0), &config),
            pools: Pools::new(256, 4),
            config,
            date: HttpDate::from_unix(0),
            now: Tick(0),
            unread: Vec::new(),
            sent_messages: 0,
            eof: false,
            taken: Vec::new(),
            takes: usize::MAX,
            manner: 0,
            served: Vec::new(),
            deferred: Vec::new(),
            stale: None,
            pieces: None,
            ended: None,
        }
    }

    fn act(&mut self, code: u8, argument: u8, rest: &mut &[u8]) {
        let count = usize::from(argument);
        match code % 16 {
            0..=2 if !self.eof => {
                let message = MESSAGES[count % MESSAGES.len()];
                let number = self.sent_messages.to_string();
                self.unread
                    .extend_from_slice(message.replace('#', &number).as_bytes());
                self.sent_messages += 1;
            }
            3 if !self.eof => {
                let (raw, behind) = rest.split_at(count.min(rest.len()));
                self.unread.extend_from_slice(raw);
                *rest = behind;
            }
            4 => self.drive(usize::MAX, usize::MAX),
            5 => self.drive(count % 8, usize::MAX),
            6 => self.drive(usize::MAX, 1 + count % 40),
            7 => self.pass(count as u64),
            8 => self.pass(400 * count as u64),
            9 => self.takes = count,
            10 => self.takes = usize::MAX,
            11 => self.manner = argument,
            12 if !self.deferred.is_empty() => {
                let deferred = self.deferred.remove(count % self.deferred.len());
                if argument < 200 {
                    let delay = Span::from_millis(u64::from(argument % 3) * 700);
                    deferred.send_after(delay, Response::text("later"));
                }
            }
            13 if argument < 128 => self.eof = true,
            13 => self.connection.handle_woken(),
            14 if argument < 40 => self.connection.handle_drain(),
            15 if argument < 10 => drop(self.connection.handle_abort(&mut self.pools)),
            15 if argument < 20 => self.connection.handle_reset(&mut self.pools),
            15 if argument < 30 => self.connection.handle_eof(&mut self.pools),
            15 if argument < 60 => self.connection.handle_blocked(&mut self.pools),
            _ => {}
        }
    }

    /// Lets `millis` pass, with every deadline on the way.
    fn pass(&mut self, millis: u64) {
        let end = self.now.after(Span::from_millis(millis));
        while self.connection.deadline() <= end && self.ended.is_none() {
            self.expire();
        }
        self.now = end;
    }

    fn expire(&mut self) {
        let due = self.connection.deadline();
        assert!(self.now <= due, "a deadline in the past");
        self.now = due;
        let World {
            connection, pools, ..
        } = self;
        let mut turn = Turn::new(self.now, &self.date, &self.config, pools);
        // As a driver does: what the client has taken meanwhile is counted first.
        let len = connection.output().len().min(self.takes);
        let shuts = len > 0 && {
            self.taken.extend_from_slice(&connection.output()[..len]);
            self.takes -= len;
            connection.handle_written(len, &mut turn) == Step::Shutdown
        };
        if !shuts {
            connection.handle_deadline(&mut turn);
        }
        self.drive(usize::MAX, usize::MAX);
        assert!(self.now < self.connection.deadline(), "expired for nothing");
    }

    /// One turn of at most `steps` steps, reading at most `piece` bytes at once.
    fn drive(&mut self, steps: usize, piece: usize) {
        let served_before = self.served.len();
        let World {
            connection, pools, ..
        } = self;
        let mut turn = Turn::new(self.now, &self.date, &self.config, pools);
        let mut step = connection.poll(&mut turn);
        for _ in 0..steps {
            step = match step {
                Step::Read if !self.unread.is_empty() => {
                    let space = connection.input_space(turn.pools);
                    let len = space.len().min(self.unread.len()).min(piece);
                    space[..len].copy_from_slice(&self.unread[..len]);
                    self.unread.drain(..len);
                    connection.handle_input(len, &mut turn)
                }
                Step::Read if self.eof => {
                    connection.handle_eof(turn.pools);
                    connection.poll(&mut turn)
                }
                Step::Write if self.takes > 0 => {
                    let len = connection.output().len().min(self.takes).min(piece);
                    self.taken.extend_from_slice(&connection.output()[..len]);
                    self.takes -= len;
                    connection.handle_written(len, &mut turn)
                }
                Step::Request => {
                    let no_wake = || -> Box<dyn Wake> { Box::new(|| {}) };
                    let manner = self.manner;
                    let (deferred, stale) = (&mut self.deferred, &mut self.stale);
                    let served = &mut self.served;
                    connection.answer(&mut turn, &no_wake, |request, reply| {
                        for earlier in deferred.iter() {
                            assert!(earlier.is_cancelled(), "two requests in flight");
                        }
                        served.push(request.path().trim_start_matches('/').to_owned());
                        if request.head().framing() == Framing::None
                            && let Some(opened) = open(request.path())
                        {
                            self.pieces = Some(opened);
                            return Called::Opened;
                        }
                        let answered = serve(manner, request, reply, deferred, stale);
                        answered.map_or(Called::Panicked, Called::Answered)
                    })
                }
                Step::Announced => {
                    let served = &mut self.served;
                    connection.announce(&mut turn, |head| {
                        self.pieces = open(head.path());
                        match self.pieces {
                            Some(_) => {
                                served.push(head.path().trim_start_matches('/').to_owned());
                                Wanted::InPieces
                            }
                            None => Wanted::Whole,
                        }
                    })
                }
                Step::Exchange => {
                    let no_wake = || -> Box<dyn Wake> { Box::new(|| {}) };
                    let in_hand = &mut self.pieces;
                    connection.exchange(&mut turn, &no_wake, |call, flow| {
                        in_hand.as_mut().expect("it was opened").call(call, flow)
                    })
                }
                Step::Shutdown => connection.poll(&mut turn),
                Step::Read | Step::Write | Step::Wait | Step::Again => {
                    if step == Step::Write {
                        connection.handle_write_refused(&turn);
                    }
                    connection.handle_blocked(turn.pools);
                    break;
                }
                Step::Close(reason) => {
                    self.ended = Some(reason);
                    assert_eq!(connection.memory(), 0, "closed with a buffer");
                    assert_eq!(connection.deadline(), Tick::NEVER);
                    break;
                }
            }
        }
        assert!(self.now <= self.connection.deadline(), "overslept");
        assert!(self.served.len() <= served_before + 3, "over budget");
        assert!(self.connection.output().len() <= 500 + 2_000, "no bound");
        let (inputs, outputs) = self.pools.spare();
        assert!(inputs <= 4 && outputs <= 4, "pools are bounded");
    }

    /// With nothing more from outside, deadlines alone must end it.
    fn run_out(&mut self) {
        self.manner = 0;
        for _ in 0..500 {
            self.drive(usize::MAX, usize::MAX);
            if self.ended.is_some() {
                return;
            }
            if self.connection.deadline() != Tick::NEVER {
                self.expire();
            }
        }
        panic!("does not end: {:?}", self.connection);
    }

    /// The client has, in order, one answer for each request served, then at most one of the
    /// server's own, and nothing behind an answer that says close.
    fn check_answers(&self) {
        // What is echoed may be anything.
        let ascii = self.taken.iter().map(|octet| octet & 0x7f).collect();
        let ascii = String::from_utf8(ascii).expect("seven bits are ASCII");
        let mut text = ascii.as_str();
        let mut answers = 0;
        let mut over = false;
        while let Some((head, rest)) = text.split_once("\r\n\r\n") {
            assert!(!over, "something was said after close");
            text = rest;
            let status = &head["HTTP/1.1 ".len().."HTTP/1.1 200".len()];
            if status == "100" {
                continue;
            }
            over = head.contains("Connection: close");
            assert!(status == "200" || over, "a failure that does not end");
            let path = head.lines().find_map(|line| line.strip_prefix("X-Path: "));
            if let Some(path) = path {
                assert_eq!(self.served.get(answers).map(String::as_str), Some(path));
            }
            answers += 1;
            if head.contains("Transfer-Encoding: chunked") {
                let (behind, broken) = behind_chunks(rest);
                (text, over) = (behind, over || broken);
                continue;
            }
            if !head.contains("Content-Length: ") {
                assert!(over, "the content ends with the connection");
                text = "";
                continue;
            }
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "))
                .map_or(0, |length| length.parse().expect("a length"));
            // An answer to HEAD has a length but no content; no content here looks like a head.
            if !rest.starts_with("HTTP/1.1 ") {
                text = rest.get(length..).unwrap_or("");
            }
        }
        assert!(answers <= self.served.len() + 1, "answers to nobody");
    }
}

/// Whoever is opened for this path, which the fuzzer may have written: none that asserts what holds
/// only in its own test, and none that goes on for longer than the fuzzer waits.
fn open(path: &str) -> Option<Pieces> {
    let names = [
        "echo", "count", "declared", "sink", "early", "stuck", "short", "silent", "panics",
    ];
    let rest = path.strip_prefix("/pieces/")?;
    let (name, number) = rest.split_once('/').unwrap_or((rest, ""));
    let is_fit = names.contains(&name) && number.len() <= 4;
    is_fit.then(|| pieces::open(path))?
}

/// What follows the last chunk, and whether the content broke off before it.
fn behind_chunks(mut text: &str) -> (&str, bool) {
    loop {
        let chunk = text.split_once("\r\n").and_then(|(size, rest)| {
            let len = usize::from_str_radix(size, 16).expect("the size of a chunk");
            let behind = rest.get(len..)?.strip_prefix("\r\n")?;
            Some((len, behind))
        });
        match chunk {
            None => return ("", true),
            Some((0, behind)) => return (behind, false),
            Some((_, behind)) => text = behind,
        }
    }
}

/// What the service does; `None` stands for a panic.
fn serve(
    manner: u8,
    request: &Request<'_>,
    reply: Reply<'_>,
    deferred: &mut Vec<Deferred>,
    stale: &mut Option<Answered>,
) -> Option<Answered> {
    let head = request.method_name() == "HEAD";
    let path = request.path().trim_start_matches('/').to_owned();
    let body = if head { "" } else { "hello" };
    let response = Response::text(body).with_field("X-Path", path);
    let response = response.unwrap_or_else(|_| Response::text(body));
    match manner % 16 {
        0..=7 => Some(reply.send(response)),
        8 => Some(reply.text("x".repeat(if head { 0 } else { 600 }))),
        9 => None,
        10 => {
            *stale = Some(reply.send(response));
            None
        }
        11 => stale.take().or_else(|| Some(reply.send(response))),
        12 => {
            let (now, answered) = reply.defer();
            now.send(response);
            Some(answered)
        }
        13 => Some(reply.defer().1),
        _ => {
            let (later, answered) = reply.defer();
            deferred.push(later);
            Some(answered)
        }
    }
}

fuzz_target!(|script: &[u8]| {
    let mut world = World::new();
    let mut rest = script;
    while let [code, argument, behind @ ..] = rest {
        rest = behind;
        world.act(*code, *argument, &mut rest);
        if world.ended.is_some() {
            break;
        }
    }
    world.run_out();
    world.check_answers();
    let served = world.served.len();
    world.unread.extend_from_slice(MESSAGES[0].as_bytes());
    world.drive(usize::MAX, usize::MAX);
    assert_eq!(world.served.len(), served, "served after the end");
});
