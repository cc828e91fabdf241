//! What a server tells of each exchange that is over, and the line an access log makes of it.

mod support;

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use support::client::get;
use support::{PATIENCE, Running, SHORT, site, start};
use trine::Response;
use trine::connection::CloseReason;
use trine::http::{Request, Trailers};
use trine::server::{Escaped, Served, Server};
use trine::service::{Answered, Exchange, Flow, Reply, Service};

/// `/pieces` sends back what it gets, in chunks, and `/mimic` without; `/broken` and `/panics` begin an answer and break off.
/// All else is [`site`].
struct Site;

struct Pieces {
    path: String,
}

impl Exchange for Pieces {
    fn produce(&mut self, flow: &mut Flow<'_>, (): &mut ()) {
        let length = (self.path == "/mimic").then_some(MIMIC.len() as u64);
        let _ = flow.respond(&Response::bytes(""), length);
        match &self.path[..] {
            "/broken" if flow.write(b"half") > 0 => flow.abort(),
            "/panics" if flow.write(b"half") > 0 => panic!("asked to"),
            _ => {}
        }
    }

    fn piece(&mut self, piece: &[u8], flow: &mut Flow<'_>, (): &mut ()) -> usize {
        flow.write(piece)
    }

    fn end(&mut self, _: Trailers<'_>, flow: &mut Flow<'_>, (): &mut ()) {
        flow.finish();
    }
}

/// Content that looks like an answer.
const MIMIC: &str = "HTTP/1.1 404 Not Found\r\n\r\n";

impl Service for Site {
    fn open(&mut self, head: &Request<'_>, (): &mut ()) -> Option<Box<dyn Exchange>> {
        let path = head.path().to_owned();
        let is_in_pieces = ["/pieces", "/mimic", "/broken", "/panics"].contains(&head.path());
        is_in_pieces.then(|| Box::new(Pieces { path }) as Box<_>)
    }

    fn call(&mut self, request: &Request<'_>, reply: Reply<'_>, state: &mut ()) -> Answered {
        site(request, reply, state)
    }
}

/// `GET / HTTP/1.1|200|13|whole`
fn brief(served: &Served<'_>) -> String {
    let status = served.status().map_or(0, |status| status.code());
    let line = Escaped(served.request_line());
    format!(
        "{line}|{status}|{}|{}",
        served.content_bytes(),
        served.ended()
    )
}

fn observed(
    configure: impl FnOnce(Server) -> Server,
    note: impl Fn(&Served<'_>) -> String + Send + 'static,
) -> (Running, Receiver<String>) {
    let (give, take) = channel();
    let tell = move |served: &Served<'_>| give.send(note(served)).unwrap();
    (
        start(|server| configure(server).on_served(tell), Site),
        take,
    )
}

fn briefs() -> (Running, Receiver<String>) {
    observed(|server| server, brief)
}

#[track_caller]
fn told(take: &Receiver<String>, expected: &[&str]) {
    for expected in expected {
        assert_eq!(take.recv_timeout(PATIENCE).as_deref(), Ok(*expected));
    }
    assert!(take.try_recv().is_err(), "more was told");
}

/// What is sent, and what is told of it.
const EXCHANGES: &[(&str, &str)] = &[
    (
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1|200|13|whole",
    ),
    (
        "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD / HTTP/1.1|200|0|whole",
    ),
    (
        "GET /none?a=b HTTP/1.0\r\n\r\n",
        "GET /none?a=b HTTP/1.0|404|10|whole",
    ),
    (
        "\r\nGET /bytes/300000 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /bytes/300000 HTTP/1.1|200|300000|whole",
    ),
    (
        "GET /later/5 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /later/5 HTTP/1.1|200|4|whole",
    ),
    (
        "GET /drop HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /drop HTTP/1.1|500|21|whole",
    ),
    (
        "GET /panic HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /panic HTTP/1.1|500|21|whole",
    ),
    (
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "POST /echo HTTP/1.1|200|3|whole",
    ),
    // 3, CR LF, abc, CR LF, 0, CR LF CR LF
    (
        "POST /pieces HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "POST /pieces HTTP/1.1|200|13|whole",
    ),
    (
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
        "POST /echo HTTP/1.1|200|3|whole",
    ),
    (
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n",
        "POST /echo HTTP/1.1|413|17|whole",
    ),
    (
        "GET /broken HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /broken HTTP/1.1|200|0|aborted",
    ),
    // Chunk framing counts: 4, CR LF, half, CR LF.
    (
        "GET /panics HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /panics HTTP/1.1|200|9|handler panicked",
    ),
    (
        "GET /panic HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /panic HTTP/1.1|500|21|whole",
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1|400|11|whole",
    ),
    (
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
        "CONNECT a:1 HTTP/1.1|501|15|whole",
    ),
    (
        "\x16\x03\x01\x02rubbish\r\n\r\n",
        "\\x16\\x03\\x01\\x02rubbish|400|11|whole",
    ),
];

#[test]
fn each_answer_is_told_once_with_its_status_and_the_bytes_of_its_content() {
    let (server, take) = briefs();
    for (sent, expected) in EXCHANGES {
        let mut client = server.client();
        client.send(sent);
        client.finish();
        client.rest();
        told(&take, &[*expected]);
    }
}

#[test]
fn pipelined_answers_are_told_in_order() {
    let (server, take) = briefs();
    let mut client = server.client();
    client.send(
        [
            get("/"),
            get("/later/20"),
            get("/bytes/70000"),
            get("/none"),
            get("/"),
        ]
        .concat(),
    );
    client.finish();
    client.rest();
    told(
        &take,
        &[
            "GET / HTTP/1.1|200|13|whole",
            "GET /later/20 HTTP/1.1|200|4|whole",
            "GET /bytes/70000 HTTP/1.1|200|70000|whole",
            "GET /none HTTP/1.1|404|10|whole",
            "GET / HTTP/1.1|200|13|whole",
        ],
    );
}

#[test]
fn what_came_too_late_is_told_as_408_and_504_and_what_never_spoke_is_not() {
    let brisk = |server: Server| {
        let server = server.head_timeout(SHORT).body_timeout(SHORT);
        server.handler_timeout(SHORT)
    };
    let (server, take) = observed(brisk, brief);
    let cases = [
        ("", None),
        ("GET /half", Some("GET /half|408|15|whole")),
        (
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na",
            Some("POST /echo HTTP/1.1|408|15|whole"),
        ),
    ];
    for (sent, expected) in cases {
        let mut client = server.client();
        client.send(sent);
        client.rest();
        told(&take, expected.as_slice());
    }
    let (server, take) = {
        let (give, take) = channel();
        let tell = move |served: &Served<'_>| give.send(brief(served)).unwrap();
        let hold = |_: &Request<'_>, reply: Reply<'_>, (): &mut ()| {
            let (deferred, answered) = reply.defer();
            std::mem::forget(deferred);
            answered
        };
        (start(|server| brisk(server).on_served(tell), hold), take)
    };
    let mut client = server.client();
    client.send(get("/"));
    client.rest();
    told(&take, &["GET / HTTP/1.1|504|15|whole"]);
}

#[test]
fn a_client_without_room_is_told_as_503() {
    let (server, take) = observed(|server| server.connections_max(1), brief);
    let mut first = server.client();
    assert_eq!(first.get("/").status, 200);
    told(&take, &["GET / HTTP/1.1|200|13|whole"]);
    let mut second = server.client();
    assert_eq!(second.answer().status, 503);
    told(&take, &["|503|19|whole"]);
}

#[test]
fn a_client_that_leaves_is_told_with_what_it_took() {
    let (server, take) = briefs();
    let mut client = server.client();
    client.send(get("/later/60000"));
    awaits_request(&server);
    client.reset();
    told(&take, &["GET /later/60000 HTTP/1.1|0|0|peer reset"]);

    let mut client = server.client();
    client.send(get("/bytes/50000000"));
    assert!(client.head().says("Content-Length: 50000000"));
    client.reset();
    let line = take.recv_timeout(PATIENCE).unwrap();
    let bytes = line.strip_prefix("GET /bytes/50000000 HTTP/1.1|200|");
    let bytes = bytes.and_then(|rest| rest.strip_suffix("|peer reset"));
    let bytes: u64 = bytes.unwrap_or_else(|| panic!("{line}")).parse().unwrap();
    assert!((1..50_000_000).contains(&bytes), "{line}");
}

#[test]
fn content_that_looks_like_an_answer_is_none() {
    let (server, take) = briefs();
    let mut client = server.client();
    let length = MIMIC.len();
    client.send(format!(
        "POST /mimic HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
    ));
    assert_eq!(client.head().status, 200);
    client.send(MIMIC);
    assert_eq!(client.head().status, 404);
    told(&take, &["POST /mimic HTTP/1.1|200|26|whole"]);
}

#[test]
fn an_answer_that_is_made_and_not_taken_is_not_over() {
    let (server, take) = briefs();
    let mut client = server.client();
    client.send(get("/bytes/60000").repeat(900));
    // The server goes on until the client's kernel and its own take no more.
    let mut requests = 0;
    support::eventually("a full socket", || {
        std::thread::sleep(SHORT);
        let before = std::mem::replace(&mut requests, server.counters().server.requests);
        requests > 0 && before == requests
    });
    assert!(requests < 900);
    client.reset();
    server.awaits_closed(CloseReason::PeerReset, 1);
    let told: Vec<String> = take.try_iter().collect();
    assert_eq!(told.len() as u64, requests);
    let whole = told
        .iter()
        .filter(|line| line.ends_with("|200|60000|whole"));
    let cut = told.iter().filter(|line| line.ends_with("|peer reset"));
    assert!((1..=3).contains(&cut.count()), "{told:#?}");
    assert!(whole.count() as u64 >= requests - 3);
}

#[test]
fn a_server_that_is_forced_to_end_tells_of_what_it_cut() {
    let (server, take) = briefs();
    let mut client = server.client();
    client.send(get("/later/60000"));
    awaits_request(&server);
    server.drain(Duration::from_millis(50));
    assert!(server.ended().is_err());
    told(&take, &["GET /later/60000 HTTP/1.1|0|0|forced"]);
}

#[test]
fn it_takes_from_the_head_to_the_last_byte() {
    let (server, take) = observed(
        |server| server,
        |served| served.took().as_millis().to_string(),
    );
    server.client().get("/later/80");
    let millis: u64 = take.recv_timeout(PATIENCE).unwrap().parse().unwrap();
    assert!((80..5_000).contains(&millis), "{millis}");
}

#[test]
fn an_observer_that_panics_is_counted_and_harms_no_answer() {
    let (server, _take) = observed(|server| server, |_| panic!("asked to"));
    let mut client = server.client();
    for _ in 0..3 {
        assert_eq!(client.get("/").status, 200);
    }
    assert!(server.counters().server.panics >= 2); // that of the last may be yet to come
}

fn combined(sent: impl AsRef<[u8]>) -> String {
    let (server, take) = observed(|server| server, |served| served.combined().to_string());
    let mut client = server.client();
    client.send(sent);
    client.finish();
    client.rest();
    take.recv_timeout(PATIENCE).unwrap()
}

#[test]
fn the_combined_line_is_what_log_tools_read() {
    let line = combined(
        "GET /a?b HTTP/1.1\r\nHost: a\r\nreferer: http://b/\r\nUSER-AGENT: curl/7.88.1 (x)\r\n\r\n",
    );
    let (before, after) = line.split_once(" - - [").unwrap();
    let (time, after) = after.split_once("] ").unwrap();
    assert_eq!(before, "127.0.0.1");
    assert_eq!(
        after,
        "\"GET /a?b HTTP/1.1\" 404 10 \"http://b/\" \"curl/7.88.1 (x)\""
    );
    assert_eq!(time.len(), "06/Nov/1994:08:49:37 +0000".len(), "{time}");
    assert!(
        time.ends_with(" +0000") && time.as_bytes()[2] == b'/',
        "{time}"
    );
    assert!(
        time.split([':', ' ']).next().unwrap().contains("/20"),
        "{time}"
    );
}

#[test]
fn nothing_a_client_sends_makes_a_second_line_or_moves_a_terminal() {
    // In the value of a field, in the target, and in place of a request.
    let value = b"\x1b[2J\x07 \"quoted\" back\\slash \xff\xc3\xa9\t";
    let mut sent = b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: ".to_vec();
    sent.extend(
        value
            .iter()
            .filter(|&&octet| octet == b'\t' || octet >= b' '),
    );
    sent.extend(b"x\r\n\r\n");
    let line = combined(&sent);
    assert!(
        line.ends_with(r#""[2J \x22quoted\x22 back\x5Cslash \xFF\xC3\xA9\x09x""#),
        "{line}"
    );
    for sent in [
        &b"GET /\x1b[31m\x00\x7f\" HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"\x80\x81\x1b]0;title\x07\r\nsecond \"line\r\n\r\n",
        b"GET / HTTP/1.1\rforged\nHost: a\r\n\r\n",
    ] {
        let line = combined(sent);
        assert!(
            line.bytes().all(|octet| (b' '..=b'~').contains(&octet)),
            "{line:?}"
        );
        assert_eq!(line.matches('"').count(), 6, "{line}");
    }
}

#[test]
fn a_field_of_a_log_line_is_at_most_a_kibibyte() {
    let long = "a".repeat(12_000);
    let line = combined(format!(
        "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: {long}\r\n\r\n"
    ));
    assert!(
        line.ends_with(&format!("\"{}...\"", &long[..1024])),
        "{}",
        line.len()
    );
    let line = combined(format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(
        line.contains(&format!("\"GET /{}...\" 414 ", &long[..1024 - 5])),
        "{line}"
    );
    assert!(line.len() < 1_200, "{}", line.len());
}

#[test]
fn octets_are_escaped_or_left_as_this_says() {
    for octet in 0..=u8::MAX {
        let text = Escaped(&[octet]).to_string();
        match octet {
            b'"' | b'\\' => assert_eq!(text, format!("\\x{octet:02X}")),
            b' '..=b'~' => assert_eq!(text.as_bytes(), [octet]),
            _ => assert_eq!(text, format!("\\x{octet:02X}")),
        }
    }
}

fn awaits_request(server: &Running) {
    support::eventually("the request", || server.counters().server.requests == 1);
}
