//! The architecture, checked: what may import what, and which files may touch what.
//!
//! The rules are in the crate documentation (`src/lib.rs`). A change that breaks one of them
//! changes the map first.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines a source file may have. One idea each: split by responsibility when it grows.
const LINES_MAX: usize = 450;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `folder`, with its text, by its path relative to the root.
fn sources(folder: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

/// The code of a file: without comments, and without its inline tests and models.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(all(test, trine_loom))]").next().unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The modules of the crate in the order of `lib.rs`, bottom first.
fn layers() -> Vec<String> {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let names = lib
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "))
        .filter_map(|line| line.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

/// The module of the crate that the file at `path` belongs to.
fn module(path: &str) -> &str {
    let inside = Path::new(path).strip_prefix("src").unwrap();
    let first = inside.iter().next().unwrap().to_str().unwrap();
    first.strip_suffix(".rs").unwrap_or(first)
}

/// The first names behind each `crate::`, in groups too.
fn imported(code: &str) -> Vec<String> {
    let name = |text: &str| {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
        text[..end.unwrap_or(text.len())].to_owned()
    };
    let mut names = Vec::new();
    for used in code.split("crate::").skip(1) {
        match used.strip_prefix('{') {
            Some(group) => {
                let group = group.split(';').next().unwrap();
                names.extend(group.split([',', '{']).map(|part| name(part.trim())));
            }
            None => names.push(name(used)),
        }
    }
    names
}

#[test]
fn a_grouped_import_is_seen() {
    let names = imported("use crate::{server::Server as X, time::{Span, Tick}};");
    assert!(names.contains(&"server".to_owned()) && names.contains(&"time".to_owned()));
}

#[test]
fn a_module_imports_only_from_modules_above_it_in_lib_rs() {
    let layers = layers();
    let rank = |name: &str| layers.iter().position(|layer| layer == name);
    assert!(layers.len() >= 9, "lib.rs lists {layers:?}");
    for (path, text) in sources("src") {
        let Some(own) = rank(module(&path)) else {
            assert_eq!(path, "src/lib.rs", "{path} is not in the list of lib.rs");
            continue;
        };
        for name in imported(&code(&text)) {
            let Some(other) = rank(&name) else {
                continue; // an item re-exported at the root
            };
            assert!(
                other <= own,
                "{path} imports from {name}, which stands below it in lib.rs"
            );
        }
    }
}

#[test]
fn a_module_below_the_server_does_not_import_by_the_root() {
    // The root re-exports from everywhere; importing through it would hide the order.
    let allowed = ["server"];
    let exported = [
        "Answered",
        "CloseReason",
        "Context",
        "Deferred",
        "Error",
        "Event",
        "EventLoop",
        "EventSource",
        "Next",
        "Reply",
        "Request",
        "Response",
        "Result",
        "Service",
        "Signal",
        "Sources",
    ];
    for (path, text) in sources("src") {
        if allowed.contains(&module(&path)) || path == "src/lib.rs" {
            continue;
        }
        for name in exported {
            let import = format!("use crate::{name};");
            assert!(!code(&text).contains(&import), "{path} has {import}");
        }
    }
}

#[test]
fn a_source_file_holds_one_idea() {
    for (path, text) in sources("src") {
        let lines = text.lines().count();
        assert!(
            lines <= LINES_MAX,
            "{path} has {lines} lines: split it by responsibility"
        );
    }
}

#[test]
fn every_file_says_what_it_is() {
    for folder in ["src", "tests", "examples"] {
        for (path, text) in sources(folder) {
            assert!(text.starts_with("//!"), "{path} has no header");
        }
    }
}

/// What only named files may do.
struct Privilege {
    what: &'static str,
    words: &'static [&'static str],
    files: &'static [&'static str],
}

const PRIVILEGES: [Privilege; 5] = [
    Privilege {
        what: "read a clock",
        words: &["Instant::now", "SystemTime::now", "clock_gettime"],
        files: &["src/reactor/clock.rs"],
    },
    Privilege {
        what: "own an epoll set",
        words: &["Poll::new", "mio::Poll", "mio::{Interest, Poll"],
        files: &["src/reactor/demultiplexer.rs"],
    },
    Privilege {
        what: "make or call a socket",
        words: &[
            "rustix::net",
            "socket2",
            "TcpListener",
            "TcpStream",
            "UdpSocket",
            "UnixDatagram",
        ],
        files: &[
            "src/reactor/net.rs",
            "src/reactor/operands.rs",
            "src/reactor/shared_address.rs",
            "src/reactor/datagram.rs",
            "src/proactor/ring/address.rs",
            "src/proactor/ring/flight.rs",
            "src/hand_over/socket.rs",
            "src/systemd/manager.rs",
            "src/storage/redis_cluster/link.rs",
        ],
    },
    Privilege {
        what: "start a thread",
        words: &[
            "thread::spawn",
            "thread::Builder",
            "thread::{Builder",
            "thread::scope",
        ],
        files: &["src/thread.rs", "src/storage/conformance/histories.rs"],
    },
    Privilege {
        what: "start a process",
        words: &[".spawn()"],
        files: &["src/reactor/sources.rs"],
    },
];

#[test]
fn clocks_sockets_threads_and_processes_are_touched_in_named_files_only() {
    let sources = sources("src");
    let outside_tests = sources.iter().filter(|(path, _)| !path.contains("/tests/"));
    for (path, text) in outside_tests {
        let code = code(text);
        for Privilege { what, words, files } in &PRIVILEGES {
            let word = words.iter().find(|word| code.contains(**word));
            if let Some(word) = word.filter(|_| !files.contains(&path.as_str())) {
                panic!("{path} has {word}: only {files:?} may {what}");
            }
        }
    }
}

#[test]
fn the_pure_layers_know_no_machine() {
    let pure = [
        "time",
        "slab",
        "buffer",
        "timer_wheel",
        "http",
        "connection",
    ];
    for (path, text) in sources("src") {
        if !pure.contains(&module(&path)) {
            continue;
        }
        for word in ["mio::", "rustix::", "std::thread", "std::fs", "tracing::"] {
            assert!(!code(&text).contains(word), "{path} uses {word}");
        }
    }
}

/// The only file that may say it, and only with the feature `io-uring`.
const UNSAFE: &str = "src/proactor/ring/kernel.rs";

#[test]
fn one_file_has_unsafe_code_and_each_block_its_reason() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let forbidden = r#"#![cfg_attr(not(feature = "io-uring"), forbid(unsafe_code))]"#;
    assert!(lib.contains(forbidden));
    let ring = fs::read_to_string(root().join("src/proactor/mod.rs")).unwrap();
    assert!(ring.contains("#[cfg(feature = \"io-uring\")]\nmod ring;"));
    for folder in ["src", "tests", "examples"] {
        for (path, text) in sources(folder) {
            let lines: Vec<_> = text.lines().map(str::trim_start).collect();
            for (number, line) in lines.iter().enumerate() {
                let words = ["unsafe {", "unsafe fn", "unsafe impl", "allow(unsafe"];
                let says = words.iter().any(|word| line.contains(word)) && !line.contains('"');
                if !says || line.starts_with("//") {
                    continue;
                }
                assert_eq!(path, UNSAFE, "line {}", number + 1);
                let above = lines[..number].iter().rev();
                let reasons = above.take(4).any(|above| above.starts_with("// SAFETY: "));
                assert!(
                    reasons || line.starts_with("#!["),
                    "line {}: {line}",
                    number + 1
                );
            }
        }
    }
}

#[test]
fn nothing_outside_tests_unwraps() {
    for (path, text) in sources("src") {
        let in_tests = path.contains("/tests/");
        for (number, line) in code(&text).lines().enumerate() {
            let bare = [".unwrap()", "todo!(", "unimplemented!("];
            let found = bare.iter().find(|word| line.contains(**word));
            assert!(
                in_tests || found.is_none(),
                "{path}: {found:?} near line {number}"
            );
        }
    }
}
