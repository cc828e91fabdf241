//! Privileges dropped by a real process, `httpbin --user`, and looked at from outside.
#![cfg(feature = "privileges")]

mod support;

use std::fs;

use support::program::Program;
use trine::privileges::drop_privileges;

/// The words behind `name:` in the status of a process.
fn field(process: u32, name: &str) -> Vec<String> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let words = line.unwrap_or_else(|| panic!("no {name}"));
    let words = words.trim_start_matches(':').split_whitespace();
    words.map(str::to_owned).collect()
}

#[test]
#[ignore = "needs root"]
fn a_server_that_was_bound_as_root_serves_as_nobody_for_good() {
    let server = Program::start("httpbin", &["--user", "nobody"]);
    assert_eq!(server.client().get("/hello").text(), "hello");
    let nobody = ["65534"; 4];
    assert_eq!(field(server.id(), "Uid"), nobody);
    assert_eq!(field(server.id(), "Gid"), nobody);
    assert_eq!(field(server.id(), "Groups"), ["65534"]);
    for set in ["CapEff", "CapPrm", "CapAmb"] {
        assert_eq!(field(server.id(), set), ["0000000000000000"], "{set}");
    }
    assert_eq!(field(server.id(), "NoNewPrivs"), ["1"]);
    server.terminate();
    assert!(server.ended().success());
}

#[test]
#[ignore = "needs root"]
fn workers_that_are_started_afterwards_have_no_privileges_either() {
    let server = Program::start("httpbin", &["--user", "65534", "--workers", "3"]);
    assert_eq!(server.client().get("/hello").text(), "hello");
    let tasks = fs::read_dir(format!("/proc/{}/task", server.id())).unwrap();
    let tasks: Vec<u32> = tasks
        .map(|task| task.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    assert!(tasks.len() > 3, "{tasks:?}");
    for task in tasks {
        assert_eq!(field(task, "Uid"), ["65534"; 4]);
        assert_eq!(field(task, "CapEff"), ["0000000000000000"]);
        assert_eq!(field(task, "NoNewPrivs"), ["1"]);
    }
}

#[test]
fn what_cannot_be_is_an_error_that_says_why() {
    let rows = [
        (("no-such-user", None), "no such user"),
        (("nobody", Some("no-such-group")), "no such group"),
        (("root", None), "the privileges that are to be dropped"),
        (("0", None), "the privileges that are to be dropped"),
        (
            ("nobody", Some("0")),
            "the privileges that are to be dropped",
        ),
        (("4000000", None), "needs a group"),
        (("a\0b", None), "no such user"),
        // The harness of this test has threads, in which no_new_privs would not hold.
        (("nobody", None), "before they are started"),
    ];
    for ((user, group), why) in rows {
        let error = drop_privileges(user, group).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot drop privileges to {user}")),
            "{error}"
        );
        assert!(error.contains(why), "{error}");
    }
}
