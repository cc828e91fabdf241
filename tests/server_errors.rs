//! What is answered when something is wrong, and that the client really receives it: an answer
//! that a reset overtakes was never given (RFC 9112, 9.6).

mod support;

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use support::client::{Answer, Client, End, get};
use support::{PATIENCE, Running, SHORT, eventually, promises, site, start};
use trine::Server;
use trine::connection::CloseReason;
use trine::http::Request;
use trine::server::Ladder;
use trine::service::{Answered, Reply};

/// Expects the last answer of a connection.
#[track_caller]
fn last_answer(client: &mut Client, status: u16) -> Answer {
    let answer = client.answer();
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.says("Connection: close"), "{answer:?}");
    client.ends(End::Closed);
    answer
}

fn with_fields(count: usize) -> String {
    let fields: String = (0..count).map(|n| format!("F{n}: v\r\n")).collect();
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

/// Requests that are refused, with the status and the reason that is counted.
#[expect(clippy::too_many_lines, reason = "a table")]
fn refused() -> Vec<(u16, CloseReason, String)> {
    use CloseReason::{BadRequest, TooLarge};
    let post =
        |fields: &str, body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}");
    let long = "x".repeat(20_000);
    vec![
        (400, BadRequest, "rubbish\r\n\r\n".into()),
        (400, BadRequest, "GET / HTTP/1.1\r\n\r\n".into()),
        (400, BadRequest, "GET / HTTP/1.1\r\nHost : a\r\n\r\n".into()),
        (400, BadRequest, "GET / HTTP/1.1\nHost: a\n\n".into()),
        (400, BadRequest, post("Content-Length: +5", "hello")),
        (
            400,
            BadRequest,
            post("Content-Length: 5\r\nContent-Length: 5", "hello"),
        ),
        (
            400,
            BadRequest,
            post(
                "Content-Length: 5\r\nTransfer-Encoding: chunked",
                "0\r\n\r\n",
            ),
        ),
        (
            400,
            BadRequest,
            post("Transfer-Encoding: chunked", "\r\nhello"),
        ),
        (
            400,
            BadRequest,
            post("Transfer-Encoding: chunked", "FFFFFFFFFFFFFFFFF\r\nhello"),
        ),
        (
            413,
            TooLarge,
            post("Content-Length: 2000000", "the beginning"),
        ),
        (
            413,
            TooLarge,
            post("Transfer-Encoding: chunked", "1E8480\r\nthe beginning"),
        ),
        (
            413,
            TooLarge,
            post("Transfer-Encoding: chunked", &format!("1;{long}\r\n")),
        ),
        (
            414,
            TooLarge,
            format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
        ),
        (
            417,
            BadRequest,
            post("Expect: the-unexpected\r\nContent-Length: 1", "x"),
        ),
        (
            431,
            TooLarge,
            format!("GET / HTTP/1.1\r\nHost: a\r\nF: {long}\r\n\r\n"),
        ),
        (431, TooLarge, with_fields(100)),
        (
            501,
            BadRequest,
            post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
        ),
        (505, BadRequest, "GET / HTTP/2.0\r\nHost: a\r\n\r\n".into()),
    ]
}

/// With so many connections at most, and nobody idle who goes for a newcomer: however slow the machine
/// that runs the test is.
fn cap(server: Server, connections: usize) -> Server {
    server.connections_max(connections).overload(Ladder::off())
}

#[test]
fn a_refused_request_gets_its_status_and_the_connection_ends() {
    let server = start(|server| server, site);
    for (status, reason, request) in refused() {
        let before = server.counters().server.closed(reason);
        let mut client = server.client();
        client.send([get("/"), request.into_bytes(), get("/")].concat());
        assert_eq!(
            client.answer().status,
            200,
            "what came before it is answered"
        );
        last_answer(&mut client, status);
        drop(client);
        server.awaits_closed(reason, before + 1);
    }
    assert_eq!(server.stop().server.requests, refused().len() as u64);
}

#[test]
fn a_refusal_reaches_a_client_that_goes_on_sending() {
    let server = start(|server| server, site);
    let junk = vec![b'j'; 30_000]; // and the request: below what is discarded, 64 KiB
    for (accepted, (status, _, request)) in (1..).zip(refused()) {
        let mut client = server.client();
        client.send(&request);
        client.send(&junk);
        let taken = || server.counters().server.accepted == accepted;
        eventually("accepted, and the turns that come with it", taken);
        client.send(&junk[..3_000]);
        last_answer(&mut client, status);
    }
}

#[test]
fn a_client_that_never_stops_sending_is_cut() {
    let server = start(|server| server, site);
    let mut client = server.client();
    client.send("rubbish\r\n\r\n");
    let junk = vec![b'j'; 64 * 1024];
    let sent = (0..1_000).take_while(|_| client.try_send(&junk)).count();
    assert!(sent < 1_000, "{sent}");
    server.awaits_closed(CloseReason::BadRequest, 1);
}

#[test]
fn a_panic_is_answered_500_and_harms_no_other() {
    let server = start(|server| server, site);
    let mut bystander = server.client();
    assert_eq!(bystander.get("/").status, 200);
    let mut clients: Vec<Client> = (0..100).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send([get("/panic"), get("/")].concat());
    }
    assert_eq!(bystander.get("/").status, 200);
    for client in &mut clients {
        last_answer(client, 500);
    }
    drop(clients);
    assert_eq!(bystander.get("/").status, 200);
    assert_eq!(server.client().get("/").status, 200);
    server.awaits_closed(CloseReason::HandlerPanicked, 100);
    let counters = server.stop().server;
    assert_eq!((counters.panics, counters.requests), (100, 104));
}

#[test]
fn an_answer_given_before_a_panic_is_not_sent() {
    let service = |_: &Request<'_>, reply: Reply<'_>, (): &mut ()| -> Answered {
        let _answered = reply.text("not to be trusted");
        panic!("after the answer");
    };
    let server = start(|server| server, service);
    let mut client = server.client();
    client.send(get("/"));
    last_answer(&mut client, 500);
}

#[test]
fn a_lost_promise_is_answered_500() {
    let server = start(|server| server, site);
    let mut client = server.client();
    client.send([get("/"), get("/drop"), get("/")].concat());
    assert_eq!(client.answer().status, 200);
    last_answer(&mut client, 500);
    drop(client);
    server.awaits_closed(CloseReason::Abandoned, 1);
}

#[test]
fn a_service_that_does_not_answer_in_time_is_answered_for_with_504() {
    let (give, take) = channel();
    let server = start(|server| server.handler_timeout(SHORT), promises(give));
    let mut client = server.client();
    client.send(get("/"));
    let (_, deferred) = take.recv_timeout(PATIENCE).unwrap();
    last_answer(&mut client, 504);
    assert!(deferred.is_cancelled());
    deferred.send(trine::Response::text("too late"));
    drop(client);
    server.awaits_closed(CloseReason::HandlerTimeout, 1);
}

#[test]
fn a_client_beyond_the_limit_is_told_503() {
    let server = start(|server| cap(server, 1), site);
    let mut first = server.client();
    assert_eq!(first.get("/").status, 200);
    let mut second = server.client();
    last_answer(&mut second, 503);
    assert_eq!(first.get("/").status, 200);
    drop(second);
    server.awaits_closed(CloseReason::Overloaded, 1);
    assert_eq!(server.stop().server.requests, 2);
}

#[test]
fn a_client_beyond_the_limit_is_told_503_though_it_has_asked_already() {
    let server = start(|server| cap(server, 1), site);
    let mut first = server.client();
    assert_eq!(first.get("/").status, 200);
    for _ in 0..50 {
        let mut second = server.client();
        second.send(get("/"));
        last_answer(&mut second, 503);
    }
}

/// Slow clients, by what they send and then leave unfinished.
fn slow(server: &Running, status: u16, reason: CloseReason, begin: &str) {
    let mut client = server.client();
    client.send(begin);
    last_answer(&mut client, status);
    drop(client);
    server.awaits_closed(reason, 1);
}

fn impatient(server: Server) -> Server {
    server
        .head_timeout(SHORT)
        .body_timeout(SHORT)
        .idle_timeout(SHORT)
}

#[test]
fn a_head_or_body_that_does_not_come_in_time_is_answered_408() {
    let server = start(impatient, site);
    slow(
        &server,
        408,
        CloseReason::HeadTimeout,
        "GET / HTTP/1.1\r\nHos",
    );
    let begin = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhel";
    slow(&server, 408, CloseReason::BodyTimeout, begin);
}

#[test]
fn a_drip_of_bytes_extends_no_deadline() {
    let server = start(impatient, site);
    let mut head = server.client();
    let mut body = server.client();
    head.send("GET / HTTP/1.1\r\nField: ");
    body.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    // Well beyond the deadline, and never two deadlines without a byte.
    for _ in 0..100 {
        let alive = head.try_send("x") | body.try_send("1\r\nx\r\n");
        thread::sleep(Duration::from_millis(10));
        if !alive {
            break;
        }
    }
    drop((head, body));
    eventually("both cut", || {
        let counters = server.counters().server;
        counters.closed(CloseReason::HeadTimeout) + counters.closed(CloseReason::BodyTimeout) == 2
    });
    assert_eq!(server.stop().server.requests, 0);
}

#[test]
fn connect_is_refused_before_a_service_could_open_a_false_tunnel() {
    let server = start(|server| server, site);
    let mut client = server.client();
    client.send("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    last_answer(&mut client, 501);
    assert_eq!(server.stop().server.requests, 0);
}

#[test]
fn a_refused_head_request_gets_no_content() {
    let server = start(|server| server, site);
    let mut client = server.client();
    client.send("HEAD / HTTP/1.1\r\n\r\n"); // no Host
    client.finish();
    let (answer, _) = client.rest();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}
