//! The key-value server over HTTP, as a program: what it answers on its embedded store.

mod support;

use std::process::Command;

use support::client::{Answer, Client};
use support::program::{Folder, Program, executable};

/// Each test has a server and a file of its own.
fn server(name: &str) -> (Program, Folder) {
    let folder = Folder::new(name);
    let store = format!("durable:{}", folder.path("store"));
    let program = Program::start("kv", &["--store", &store]).ready();
    (program, folder)
}

fn send(client: &mut Client, method: &str, target: &str, fields: &str, body: &[u8]) -> Answer {
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: a.test\r\n{fields}Content-Length: {length}\r\n\r\n"
    );
    client.send([head.as_bytes(), body].concat());
    match method {
        "HEAD" => client.head(),
        _ => client.answer(),
    }
}

fn put(client: &mut Client, target: &str, body: &[u8]) -> Answer {
    send(client, "PUT", target, "", body)
}

fn tag(answer: &Answer) -> String {
    let lines = answer.head.lines();
    let mut tags = lines.filter_map(|line| line.strip_prefix("ETag: "));
    tags.next().unwrap().to_owned()
}

#[test]
fn a_value_is_any_octets_and_a_key_is_percent_encoded_octets() {
    let (server, _folder) = server("kv-octets");
    let mut client = server.client();
    let octets: Vec<u8> = (0..=255).collect();
    for key in [
        "plain",
        "a%2Fb",
        "%00%FF",
        "with/slash",
        "%F0%9F%8D%B5",
        "a%20b",
    ] {
        let target = format!("/kv/{key}");
        assert_eq!(put(&mut client, &target, &octets).status, 201, "{key}");
        let got = client.get(&target);
        assert_eq!((got.status, got.body), (200, octets.clone()), "{key}");
    }
    // The same octets, spelled otherwise.
    assert_eq!(client.get("/kv/%70lain").status, 200);
    assert_eq!(put(&mut client, "/kv/empty", b"").status, 201);
    let empty = client.get("/kv/empty");
    assert_eq!((empty.status, empty.body), (200, Vec::new()));
}

#[test]
fn a_write_is_201_for_a_new_key_and_204_for_a_value_replaced() {
    let (server, _folder) = server("kv-status");
    let mut client = server.client();
    let first = put(&mut client, "/kv/a", b"1");
    let second = put(&mut client, "/kv/a", b"2");
    assert_eq!((first.status, second.status), (201, 204));
    assert_ne!(tag(&first), tag(&second));
    assert_eq!(tag(&client.get("/kv/a")), tag(&second));
    assert_eq!(send(&mut client, "DELETE", "/kv/a", "", b"").status, 204);
    assert_eq!(send(&mut client, "DELETE", "/kv/a", "", b"").status, 404);
    let gone = client.get("/kv/a");
    assert_eq!(gone.status, 404);
    assert_eq!(
        gone.text(),
        "{\"code\":\"no_such_key\",\"message\":\"There is no such key.\"}\n"
    );
}

#[test]
fn head_says_what_get_would_and_sends_nothing() {
    let (server, _folder) = server("kv-head");
    let mut client = server.client();
    put(&mut client, "/kv/a", b"four");
    let head = send(&mut client, "HEAD", "/kv/a", "", b"");
    assert!(head.says("Content-Length: 4"), "{head:?}");
    assert_eq!(client.get("/kv/a").text(), "four");
}

#[test]
fn conditions_compare_revisions() {
    let (server, _folder) = server("kv-conditions");
    let mut client = server.client();
    let old = tag(&put(&mut client, "/kv/a", b"1"));
    let new = tag(&put(&mut client, "/kv/a", b"2"));
    let rows = [
        ("PUT", "/kv/a", format!("If-Match: {old}"), 412),
        ("PUT", "/kv/a", format!("If-Match: W/{old}"), 412),
        ("PUT", "/kv/a", "If-None-Match: *".to_owned(), 412),
        ("PUT", "/kv/b", "If-Match: *".to_owned(), 412),
        ("PUT", "/kv/b", "If-None-Match: *".to_owned(), 201),
        ("PUT", "/kv/a", "If-Match: soon".to_owned(), 400),
        ("PUT", "/kv/a", format!("If-Match: {old}, {new}"), 400),
        ("PUT", "/kv/a", "If-Match: \"another's\"".to_owned(), 412),
        ("DELETE", "/kv/a", format!("If-Match: {old}"), 412),
        ("GET", "/kv/a", format!("If-None-Match: {old}"), 200),
        ("GET", "/kv/a", format!("If-None-Match: {old}, {new}"), 304),
        ("GET", "/kv/a", "If-None-Match: *".to_owned(), 304),
        ("GET", "/kv/a", format!("If-Match: {old}"), 412),
        ("GET", "/kv/a", format!("If-Match: {new}"), 200),
        ("GET", "/kv/none", "If-Match: *".to_owned(), 412),
        ("HEAD", "/kv/a", format!("If-None-Match: {new}"), 304),
        // What must match is compared strongly, what is known already weakly (RFC 9110, 13.1).
        ("PUT", "/kv/a", format!("If-Match: W/{new}"), 412),
        ("GET", "/kv/a", format!("If-Match: W/{new}"), 412),
        ("GET", "/kv/a", format!("If-None-Match: W/{new}"), 304),
        // Our tag spelled otherwise is another's.
        ("PUT", "/kv/a", format!("If-Match: \"+{}", &new[1..]), 412),
        ("PUT", "/kv/a", format!("If-Match: \"0{}", &new[1..]), 412),
        // Two lines are one list.
        (
            "GET",
            "/kv/a",
            format!("If-None-Match: {old}\r\nIf-None-Match: {new}"),
            304,
        ),
        (
            "GET",
            "/kv/a",
            format!("If-Match: {old}\r\nIf-Match: {new}"),
            200,
        ),
        (
            "PUT",
            "/kv/a",
            format!("If-Match: {new}\r\nIf-Match: {old}"),
            400,
        ),
        ("PUT", "/kv/a", format!("If-Match: {new}"), 204),
        ("DELETE", "/kv/a", "If-Match: *".to_owned(), 204),
    ];
    for (method, target, field, status) in rows {
        let answer = send(&mut client, method, target, &format!("{field}\r\n"), b"");
        assert_eq!(answer.status, status, "{method} {target} {field}");
    }
}

#[test]
fn mistakes_are_told_by_a_code_and_a_sentence() {
    let (server, _folder) = server("kv-mistakes");
    let mut client = server.client();
    let rows = [
        ("GET", "/", 404, "no_such_path"),
        ("GET", "/kv/", 400, "empty_key"),
        ("POST", "/kv/a", 405, "bad_method"),
        ("PUT", "/kv", 405, "bad_method"),
        ("POST", "/metrics", 405, "bad_method"),
        ("PUT", "/kv/a?ttl=0", 400, "bad_ttl"),
        ("PUT", "/kv/a?ttl=-1", 400, "bad_number"),
        ("PUT", "/kv/a?ttl=1&ttl=2", 400, "bad_parameter"),
        ("PUT", "/kv/a?time=1", 400, "bad_parameter"),
        ("PUT", "/kv/a?durability=total", 400, "bad_durability"),
        ("PUT", "/kv/a?durability=replicated", 400, "refused"),
        ("GET", "/kv/a?ttl=1", 400, "bad_parameter"),
        ("GET", "/kv?limit=0", 400, "bad_limit"),
        ("GET", "/kv?limit=1001", 400, "bad_limit"),
        ("GET", "/kv?values=some", 400, "bad_values"),
    ];
    for (method, target, status, code) in rows {
        let answer = send(&mut client, method, target, "", b"");
        assert_eq!(answer.status, status, "{method} {target}");
        let begin = format!("{{\"code\":\"{code}\",\"message\":\"");
        assert!(answer.text().starts_with(&begin), "{}", answer.text());
    }
    assert_eq!(client.get("/kv/a").status, 404, "nothing was written");
}

#[test]
fn pages_follow_each_other_without_a_gap_or_a_double() {
    let (server, _folder) = server("kv-pages");
    let mut client = server.client();
    for number in 0..25 {
        put(&mut client, &format!("/kv/n%2F{number:02}"), b"x");
    }
    put(&mut client, "/kv/m", b"before");
    put(&mut client, "/kv/o", b"behind");
    let (mut after, mut keys) = (String::new(), Vec::new());
    loop {
        let page = client.get(&format!("/kv?prefix=n%2F&limit=10{after}"));
        let text = page.text().to_owned();
        let found = text.split("\"key\":\"").skip(1);
        keys.extend(found.map(|rest| rest.split('"').next().unwrap().to_owned()));
        match text.split("\"next\":\"").nth(1) {
            Some(next) => after = format!("&after={}", next.split('"').next().unwrap()),
            None => break,
        }
    }
    let expected: Vec<_> = (0..25).map(|number| format!("n%2F{number:02}")).collect();
    assert_eq!(keys, expected);
    let values = client.get("/kv?prefix=m&values=true");
    assert!(
        values.text().contains("\"value\":\"YmVmb3Jl\""),
        "{}",
        values.text()
    );
}

#[test]
fn what_was_answered_is_there_after_a_restart() {
    let (server, folder) = server("kv-restart");
    let mut client = server.client();
    let written = tag(&put(&mut client, "/kv/a", b"kept"));
    server.terminate();
    assert!(server.ended().success());
    let store = format!("durable:{}", folder.path("store"));
    let server = Program::start("kv", &["--store", &store]).ready();
    let got = server.client().get("/kv/a");
    assert_eq!((got.text(), tag(&got)), ("kept", written));
}

#[test]
fn sigterm_waits_until_what_was_asked_is_written_and_answered() {
    let (server, _folder) = server("kv-drain");
    let mut clients: Vec<_> = (0..50).map(|_| server.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let head =
            format!("PUT /kv/{number} HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx");
        client.send(head);
    }
    let mut other = server.client();
    assert_eq!(other.get("/healthz").status, 200); // what was sent before has arrived
    server.terminate();
    let answered = clients.iter_mut().map(|client| client.answer().status);
    assert_eq!(answered.filter(|status| *status == 201).count(), 50);
    assert!(server.ended().success());
}

#[test]
fn a_value_larger_than_the_limit_is_refused_before_it_is_read() {
    let folder = Folder::new("kv-large");
    let store = format!("durable:{}", folder.path("store"));
    let server = Program::start("kv", &["--store", &store, "--body-limit", "1000"]).ready();
    let mut client = server.client();
    client.send("PUT /kv/a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1001\r\n\r\n");
    assert_eq!(client.answer().status, 413);
}

#[test]
fn a_store_that_cannot_be_opened_ends_the_server_with_a_sentence() {
    let (_server, folder) = server("kv-in-use");
    let rows = [
        ("store", "is in use: stop the process"),
        ("no/folder", "make it first"),
    ];
    for (path, sentence) in rows {
        let store = format!("durable:{}", folder.path(path));
        let mut command = Command::new(executable("kv"));
        let command = command.args(["--listen", "127.0.0.1:0", "--store", &store]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(sentence) && said.contains(path), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn an_address_in_use_ends_the_server_before_it_touches_the_store() {
    let (server, folder) = server("kv-address");
    let taken = server.address().to_string();
    let store = format!("durable:{}", folder.path("other"));
    for listen in [
        ["--listen", &taken, "--resp", "127.0.0.1:0"],
        ["--listen", "127.0.0.1:0", "--resp", &taken],
    ] {
        let mut command = Command::new(executable("kv"));
        let output = command.args(listen).args(["--store", &store]).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(1), "{listen:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("in use") && said.contains(&taken), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let mut left = std::fs::read_dir(folder.path("")).unwrap();
    let other = left.find(|it| {
        let name = it.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("other")
    });
    assert!(other.is_none(), "{other:?}");
}
