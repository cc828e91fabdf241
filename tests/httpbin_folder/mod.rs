//! The folder that the tests of httpbin's files are about, and a server of it.

#![allow(dead_code, reason = "each test file uses a part of it")]

#[path = "../../examples/httpbin/files/mod.rs"]
pub mod files;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use trine::Response;
use trine::http::Request;
use trine::service::{Answered, Exchange, Reply, Service};

use super::support::client::{Answer, Client};
use super::support::program::Folder;
use super::support::{Running, start};
use files::Files;

/// As httpbin does.
struct Site(Files);

impl Service for Site {
    fn open(&mut self, head: &Request<'_>, (): &mut ()) -> Option<Box<dyn Exchange>> {
        Some(Box::new(self.0.answer(head)))
    }

    fn call(&mut self, _: &Request<'_>, reply: Reply<'_>, (): &mut ()) -> Answered {
        reply.send(Response::not_found())
    }
}

pub const ALPHABET: &str = "abcdefghijklmnopqrstuvwxyz";

/// A folder with everything in it that should be served, or should not.
pub fn folder(name: &str) -> Folder {
    let folder = Folder::new(name);
    let root = folder.path("root");
    let at = |name: &str| format!("{root}/{name}");
    for name in ["sub/deep", "bare", "with space\r\nX-A: b"] {
        fs::create_dir_all(at(name)).unwrap();
    }
    fs::write(folder.path("secret"), "secret").unwrap();
    for (name, text) in [
        ("alphabet.txt", ALPHABET),
        ("empty", ""),
        ("Jörg 100%.txt", "utf-8"),
        ("%2e", "a name of three characters"),
        ("sub/index.html", "<p>index"),
        ("sub/deep/leaf.css", "leaf"),
        (".hidden", "secret"),
        ("back\\slash", "secret"),
    ] {
        fs::write(at(name), text).unwrap();
        let file = File::options().write(true).open(at(name)).unwrap();
        let then = SystemTime::UNIX_EPOCH + Duration::new(784_111_777, 123_456_789);
        file.set_modified(then).unwrap();
    }
    for (name, target) in [
        ("inside", "alphabet.txt"),
        ("up", ".."),
        ("out", "../secret"),
        ("absolute", "/etc/passwd"),
        ("sub/round", "../../root/alphabet.txt"),
        ("magic", "/proc/self/root"),
        ("loop", "loop"),
    ] {
        symlink(target, at(name)).unwrap();
    }
    let mode = Mode::from_raw_mode(0o600);
    mknodat(CWD, at("fifo"), FileType::Fifo, mode, 0).unwrap();
    folder
}

pub fn served(folder: &Folder) -> Running {
    let files = Files::new(Path::new(&folder.path("root"))).unwrap();
    start(|server| server, Site(files))
}

#[track_caller]
pub fn ask(client: &mut Client, target: &str, fields: &[&str]) -> Answer {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    client.answer()
}

/// The value of a field.
pub fn field<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let mut lines = answer.head.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}
