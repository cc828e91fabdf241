//! Requests and their answers over real sockets: the ordinary life of a connection.

mod support;

use std::os::unix::net::UnixStream;

use support::client::{Client, End, get};
use support::{PATIENCE, run, site, socket_path, start};
use trine::Server;
use trine::connection::CloseReason;

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let server = start(|server| server, site);
    let mut client = server.client();
    for _ in 0..3 {
        let answer = client.get("/");
        assert_eq!((answer.status, answer.text()), (200, "Hello, World!"));
        assert!(answer.says("Content-Length: 13"), "{answer:?}");
        assert!(answer.head.contains("\r\nDate: "), "{answer:?}");
        assert!(!answer.head.contains("Connection"), "{answer:?}");
    }
    assert_eq!(client.get("/nothing").status, 404);
    drop(client);
    server.awaits_closed(CloseReason::PeerClosed, 1);
    let counters = server.stop().server;
    assert_eq!((counters.accepted, counters.requests), (1, 4));
    assert_eq!((counters.connections, counters.closed_total()), (0, 1));
}

#[test]
fn pipelined_requests_are_answered_in_order_and_together() {
    let server = start(|server| server, site);
    let mut client = server.client();
    let batch: Vec<u8> = (0..16).flat_map(|n| get(&format!("/path?{n}"))).collect();
    for _ in 0..4 {
        let before = client.reads();
        client.send(&batch);
        for n in 0..16 {
            assert_eq!(client.answer().text(), format!("/path?{n}"));
        }
        // One write arrives in one read, two if the requests came in two segments.
        assert!(client.reads() - before <= 2, "{}", client.reads() - before);
    }
    assert_eq!(server.stop().server.requests, 64);
}

#[test]
fn a_thousand_pipelined_requests_are_answered_in_order() {
    let server = start(
        |mut server| {
            server.config_mut().requests_per_connection_max = 2_000;
            server
        },
        site,
    );
    let mut client = server.client();
    let batch: Vec<u8> = (0..1_000)
        .flat_map(|n| get(&format!("/path?{n}")))
        .collect();
    client.send(&batch);
    for n in 0..1_000 {
        assert_eq!(client.answer().text(), format!("/path?{n}"));
    }
}

#[test]
fn bytes_after_a_get_are_the_next_request_and_not_its_body() {
    let server = start(|server| server, site);
    let mut client = server.client();
    client.send([get("/"), get("/path")].concat());
    assert_eq!(client.answer().text(), "Hello, World!");
    assert_eq!(client.answer().text(), "/path");
}

#[test]
fn a_request_in_single_octets_is_one_request() {
    let server = start(|server| server, site);
    let mut client = server.client();
    let request = b"POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc";
    for octet in request {
        client.send([*octet]);
    }
    assert_eq!(client.answer().text(), "abc");
    assert_eq!(server.stop().server.requests, 1);
}

#[test]
fn the_connection_closes_when_the_client_asks_for_it() {
    let server = start(|server| server, site);
    let rows: [(&str, &str); 3] = [
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "close",
        ),
        ("GET / HTTP/1.0\r\n\r\n", "close"),
        (
            "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            "keep-alive",
        ),
    ];
    for (request, connection) in rows {
        let mut client = server.client();
        client.send(request);
        let answer = client.answer();
        assert_eq!(answer.status, 200);
        assert!(
            answer.says(&format!("Connection: {connection}")),
            "{answer:?}"
        );
        match connection {
            "close" => client.ends(End::Closed),
            _ => assert_eq!(client.get("/").status, 200),
        }
    }
    server.awaits_closed(CloseReason::CloseRequested, 2);
}

#[test]
fn bodies_come_whole_by_length_and_by_chunks() {
    let server = start(|server| server, site);
    let mut client = server.client();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.answer().text(), "hello");
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for part in [
        "5;name=value\r\nhel",
        "lo\r\n",
        "7\r\n, world\r\n",
        "0\r\nTrailer: x\r\n\r\n",
    ] {
        client.send(part);
    }
    assert_eq!(client.answer().text(), "hello, world");
    let large = vec![b'z'; 1024 * 1024];
    client.send(format!(
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        large.len()
    ));
    client.send(&large);
    assert!(client.answer().body == large);
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn a_client_that_expects_it_is_told_to_continue_before_it_sends_the_body() {
    let server = start(|server| server, site);
    let mut client = server.client();
    client.send(
        "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    );
    assert_eq!(client.answer().status, 100);
    client.send("yes");
    let answer = client.answer();
    assert_eq!((answer.status, answer.text()), (200, "yes"));
}

#[test]
fn the_answer_to_head_is_the_head_alone() {
    let server = start(|server| server, site);
    let mut client = server.client();
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.head();
    assert!(head.says("Content-Length: 13"), "{head:?}");
    let whole = client.get("/"); // what follows is the next answer, not the content
    assert_eq!((whole.status, whole.text()), (200, "Hello, World!"));
}

#[test]
fn a_large_answer_arrives_whole_though_the_socket_takes_it_in_parts() {
    let server = start(|server| server, site);
    let mut client = server.client();
    for _ in 0..2 {
        assert_eq!(client.get("/bytes/8388608").body.len(), 8 * 1024 * 1024);
    }
}

#[test]
fn the_last_request_a_connection_may_make_is_answered_with_close() {
    let server = start(
        |mut server| {
            server.config_mut().requests_per_connection_max = 2;
            server
        },
        site,
    );
    let mut client = server.client();
    client.send([get("/"), get("/"), get("/")].concat());
    assert!(!client.answer().says("Connection: close"));
    assert!(client.answer().says("Connection: close"));
    client.ends(End::Closed);
    drop(client);
    server.awaits_closed(CloseReason::RequestCap, 1);
}

#[test]
fn a_unix_socket_serves_the_same_and_its_file_goes_with_it() {
    let path = socket_path("answers");
    let server = run(Server::bind_unix(&path).unwrap(), site);
    let stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut client = Client::over(stream);
    assert_eq!(client.get("/").text(), "Hello, World!");
    client.send([get("/path"), get("/")].concat());
    assert_eq!(client.answer().text(), "/path");
    assert_eq!(client.answer().text(), "Hello, World!");
    drop(client);
    server.awaits_closed(CloseReason::PeerClosed, 1);
    drop(server);
    assert!(!path.exists());
}
