//! Bodies: whole and in pieces, of known length and in chunks, small and large, both ways.

use crate::Behaviour;
use crate::combination::Combination;
use crate::site::{SHARED, octet, shared};
use crate::support::client::{Client, End, get};

pub const GROUP: &[Behaviour] = &[
    ("a body comes whole", a_body_comes_whole),
    ("a body in chunks comes whole", a_body_in_chunks_comes_whole),
    (
        "a body goes through in pieces",
        a_body_goes_through_in_pieces,
    ),
    ("an answer is made in chunks", an_answer_is_made_in_chunks),
    (
        "a client that asks is told to continue",
        a_client_that_asks_is_told_to_continue,
    ),
    ("a large answer arrives", a_large_answer_arrives),
    (
        "requests after a half-close are answered",
        requests_after_a_half_close_are_answered,
    ),
];

fn a_body_comes_whole(combination: &Combination) {
    let server = combination.start();
    let mut client = server.client();
    for len in [0, 1, 100, 70_000, 900_000] {
        let body: Vec<u8> = (0..len).map(octet).collect();
        client.send(format!(
            "POST /collected HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n"
        ));
        client.send(&body);
        let answer = client.answer();
        assert_eq!(answer.status, 200);
        assert!(answer.body == body, "{len} octets");
    }
}

fn a_body_in_chunks_comes_whole(combination: &Combination) {
    let server = combination.start();
    let mut client = server.client();
    client.send("POST /collected HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in ["4\r\nWi", "ki\r", "\n5\r\npedia\r\n0", "\r\n\r\n"] {
        client.send(piece);
    }
    assert_eq!(client.answer().text(), "Wikipedia");
}

/// The content of an answer in chunks, behind its head.
fn dechunked(client: &mut Client) -> Vec<u8> {
    let head = client.head();
    assert_eq!(head.status, 200);
    assert!(head.says("Transfer-Encoding: chunked"), "{head:?}");
    let mut content = Vec::new();
    loop {
        let size = client.line();
        let len = usize::from_str_radix(&size, 16).unwrap();
        content.extend(client.octets(len));
        assert_eq!(client.line(), "");
        if len == 0 {
            return content;
        }
    }
}

fn a_body_goes_through_in_pieces(combination: &Combination) {
    let server = combination.start();
    let body: Vec<u8> = (0..600_000).map(octet).collect();
    let mut client = server.client();
    let mut sender = client.second();
    let sent = body.clone();
    let sending = std::thread::spawn(move || {
        sender.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        for piece in sent.chunks(7_000) {
            sender.send(format!("{:x}\r\n", piece.len()));
            sender.send(piece);
            sender.send("\r\n");
        }
        sender.send("0\r\n\r\n");
    });
    let came = dechunked(&mut client);
    sending.join().unwrap();
    assert!(came == body, "{} octets of {}", came.len(), body.len());
    assert_eq!(client.get("/").status, 200, "and the connection is kept");
}

fn an_answer_is_made_in_chunks(combination: &Combination) {
    let server = combination.start();
    let mut client = server.client();
    client.send(get("/chunks/30000"));
    let lines = String::from_utf8(dechunked(&mut client)).unwrap();
    assert_eq!(lines.lines().count(), 30_000);
    assert!(lines.starts_with("30000\n29999\n") && lines.ends_with("\n2\n1\n"));
}

fn a_client_that_asks_is_told_to_continue(combination: &Combination) {
    let server = combination.start();
    let mut client = server.client();
    let head =
        "POST /collected HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    client.send(head);
    assert_eq!(client.head().status, 100);
    client.send("body");
    assert_eq!(client.answer().text(), "body");
}

fn a_large_answer_arrives(combination: &Combination) {
    let server = combination.start();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let mut client = server.client();
            std::thread::spawn(move || {
                client.send(get("/shared"));
                client.answer().body
            })
        })
        .collect();
    for thread in threads {
        let body = thread.join().unwrap();
        assert_eq!(body.len(), SHARED);
        assert!(body == shared(), "it is another text");
    }
}

fn requests_after_a_half_close_are_answered(combination: &Combination) {
    let server = combination.start();
    let mut client = server.client();
    client.send([get("/later/20"), get("/target?2")].concat());
    client.finish();
    assert_eq!(client.answer().text(), "late");
    assert_eq!(client.answer().text(), "/target?2");
    client.ends(End::Closed);
}
