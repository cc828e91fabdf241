//! Every example shows what it claims: each is run with `--demo`, plays its own clients, checks
//! what they see, and says so by its exit code.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than the limit that a demonstration gives itself, for a busy machine.
const LIMIT: Duration = Duration::from_secs(45);

/// `sim` is built with its feature only, like the library that it shows.
const EXAMPLES: &[&str] = &[
    "drain",
    "hand_over",
    "hello",
    "httpbin",
    "io_models",
    "keepalive",
    "kv",
    "line_chat",
    "models",
    "proactor_echo",
    "resp_cache",
    #[cfg(feature = "testing")]
    "sim",
    "three_in_one",
    "timeouts",
    "udp_timers",
    "workers",
];

/// The executable of an example: `cargo test` puts it beside the folder of this test.
fn executable(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().unwrap().parent().unwrap();
    let path = folder.join("examples").join(name);
    assert!(
        path.exists(),
        "{path:?} is missing: `cargo build --examples` makes it"
    );
    path
}

/// Runs an example to its end, or to the limit.
fn run(name: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(executable(name));
    command.args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let until = Instant::now() + LIMIT;
    while child.try_wait().unwrap().is_none() && Instant::now() < until {
        thread::sleep(Duration::from_millis(10)); // what it prints fits into the pipe
    }
    let _ = child.kill(); // no effect when it has ended
    child.wait_with_output().unwrap()
}

/// Runs an example that is to end well.
fn shows(name: &str, arguments: &[&str]) {
    let output = run(name, arguments);
    assert!(
        output.status.success(),
        "{name} {arguments:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn every_example_shows_what_it_claims() {
    for name in EXAMPLES {
        shows(name, &["--demo"]);
    }
}

#[test]
fn the_echo_by_operations_is_the_same_emulated() {
    shows("proactor_echo", &["--demo", "--pattern", "emulated"]);
}

#[test]
fn the_io_models_are_drawn_as_they_are_measured() {
    let file = format!("trine-{}-io-models.svg", std::process::id());
    let path = std::env::temp_dir().join(file);
    let name = path.to_str().unwrap();
    let few = ["--demo", "--connections", "1,40", "--seconds", "0.01"];
    shows("io_models", &[&few[..], &["--svg", name]].concat());
    let picture = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    for shown in [
        "threads",
        "polling",
        "select",
        "poll",
        "epoll",
        "io_uring",
        "1 connection",
        "40 connections",
    ] {
        assert!(
            picture.contains(&format!(">{shown}</text>")),
            "{shown}: {picture}"
        );
    }
}

#[test]
fn the_server_for_testers_is_the_same_on_workers() {
    shows("httpbin", &["--demo", "--model", "half-sync"]);
    shows("httpbin", &["--demo", "--workers", "1", "--queue", "1"]);
}

#[test]
fn the_servers_are_the_same_on_a_team_of_threads() {
    for name in ["httpbin", "kv"] {
        shows(name, &["--demo", "--model", "leader-followers"]);
        shows(name, &["--demo", "--threads", "3"]);
        shows(name, &["--demo", "--threads", "2", "--pattern", "proactor"]);
    }
}

#[test]
fn the_servers_are_the_same_on_several_loops() {
    let kernel = ["--demo", "--model", "loop-per-core", "--loops", "3"];
    let one = ["--demo", "--loops", "3", "--accept", "one", "--pin"];
    for name in ["httpbin", "kv"] {
        shows(name, &kernel);
        shows(name, &one);
    }
}

#[test]
fn every_example_is_run_here() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let files = std::fs::read_dir(folder).unwrap();
    // A larger program is a folder with a `main.rs`.
    let mut names: Vec<String> = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some() || path.join("main.rs").exists())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "sim" || cfg!(feature = "testing"))
        .collect();
    names.sort();
    assert_eq!(names, EXAMPLES);
}

#[test]
fn a_mistake_on_the_command_line_is_one_line_and_exit_code_2() {
    for arguments in [
        &["--no-such-flag"][..],
        &["--listen"],
        &["--listen", "nowhere"],
        &["--head-timeout", "0"],
        &["--idle-timeout", "soon"],
        &["--field-limit", "70000"],
        &["--body-limit", "-1"],
        &["--workers", "0"],
        &["--queue", "many"],
        &["--model", "double"],
        &["--accept", "two"],
        &["--loops", "0"],
        &["--access-log"],
        &["--root"],
        &["--workers", "2", "--model", "single"],
        &["--threads", "0"],
        &["--threads", "2", "--model", "loop-per-core"],
    ] {
        let output = run("httpbin", arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(arguments[arguments.len() - 1]), "{said}");
    }
}

#[test]
fn a_model_or_a_number_that_there_is_not_is_refused_by_name() {
    for arguments in [
        &["--serve", "magic"][..],
        &["--demo", "--connections", "1,0"],
        &["--demo", "--under-way", "many"],
        &["--demo", "--seconds", "-1"],
        &["--listen", "nowhere"],
    ] {
        let output = run("io_models", arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        let wrong = arguments[arguments.len() - 1].rsplit(',').next().unwrap();
        assert!(said.contains(wrong), "{said}");
    }
}

#[test]
fn help_says_how_to_use_it() {
    for name in EXAMPLES {
        let output = run(name, &["--help"]);
        assert!(output.status.success());
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(&format!("Usage: {name} ")), "{said}");
    }
}
