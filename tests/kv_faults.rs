//! The key-value server while its disk fails: syncs that take long, that fail, and no space.
//!
//! Run by `.ci/kv`, as they need strace, or a file system of their own.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::client::{Answer, Client};
use support::program::{Folder, Program};
use support::{PATIENCE, eventually};

fn put(client: &mut Client, key: &str, value: &[u8]) -> Answer {
    ask_to_put(client, key, value);
    client.answer()
}

fn ask_to_put(client: &mut Client, key: &str, value: &[u8]) {
    let length = value.len();
    let head = format!("PUT /kv/{key} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    client.send([head.as_bytes(), value].concat());
}

fn serving(folder: &Folder) -> Program {
    let store = format!("durable:{}", folder.path("store"));
    Program::start("kv", &["--store", &store]).ready()
}

/// While it lives, the server's calls of fsync and fdatasync meet a fault.
struct Fault(Child);

impl Fault {
    fn inject(server: &Program, fault: &str) -> Fault {
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "/dev/null", "-p", &server.id().to_string()]);
        command.args(["-e", "trace=fsync,fdatasync"]);
        command.args(["-e", &format!("inject=fsync,fdatasync:{fault}")]);
        let mut strace = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(strace.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert!(line.contains("attached"), "{line}"); // to all threads, or to none
        std::thread::spawn(move || said.lines().for_each(drop)); // nobody waits for a full pipe
        Fault(strace)
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        let _ = self.0.kill(); // the server goes on without it
        let _ = self.0.wait(); // as above
    }
}

#[test]
#[ignore = "needs strace: .ci/kv"]
fn while_a_sync_takes_five_seconds_everybody_else_is_answered_at_once() {
    let folder = Folder::new("kv-stall");
    let server = serving(&folder);
    let _fault = Fault::inject(&server, "delay_enter=5000000");
    let (mut writer, mut reader) = (server.client(), server.client());
    ask_to_put(&mut writer, "a", b"1");
    let began = Instant::now();
    let mut took = Vec::new();
    while began.elapsed() < Duration::from_millis(4500) {
        for target in ["/healthz", "/kv/b"] {
            let asked = Instant::now();
            assert!(matches!(reader.get(target).status, 200 | 404));
            took.push(asked.elapsed());
        }
        std::thread::sleep(Duration::from_millis(5));
        if took.len() % 400 == 0 {
            reader = server.client(); // before it has made a thousand requests
        }
    }
    assert!(
        writer.is_silent_for(Duration::from_millis(1)),
        "answered before the sync"
    );
    took.sort();
    let p99 = took[took.len() * 99 / 100];
    println!("{} requests meanwhile, p99 {p99:?}", took.len());
    assert!(p99 < Duration::from_millis(50), "{p99:?}");
    assert_eq!(writer.answer().status, 201);
    assert!(began.elapsed() >= Duration::from_secs(5));
}

#[test]
#[ignore = "needs strace: .ci/kv"]
fn a_sync_that_fails_fences_the_store_and_nothing_is_acknowledged() {
    let folder = Folder::new("kv-eio");
    let server = serving(&folder);
    let mut client = server.client();
    assert_eq!(put(&mut client, "before", b"1").status, 201);
    let fault = Fault::inject(&server, "error=EIO");
    assert_eq!(put(&mut client, "a", b"1").status, 504, "unknown");
    drop(fault); // the disk says that it is well again; that is not to be believed
    eventually("fenced", || client.get("/readyz").status == 503);
    for _ in 0..3 {
        let fenced = put(&mut client, "a", b"2");
        assert_eq!(fenced.status, 503);
        assert!(
            fenced.text().contains("\"code\":\"fenced\""),
            "{}",
            fenced.text()
        );
    }
    assert_eq!(client.get("/kv/before").text(), "1", "reads go on");
    assert_eq!(client.get("/healthz").status, 200);
}

#[test]
#[ignore = "needs a small file system, at KV_SMALL_FOLDER: .ci/kv"]
fn no_space_is_an_error_until_there_is_space_again() {
    let small = std::env::var("KV_SMALL_FOLDER").unwrap();
    let store = format!("durable:{small}/store");
    let filler = format!("{small}/filler");
    let server = Program::start("kv", &["--store", &store]).ready();
    let mut client = server.client();
    assert_eq!(put(&mut client, "before", b"1").status, 201);
    std::fs::write(&filler, vec![1; 20 << 20]).unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    let mut value = vec![0; 200_000];
    let mut acknowledged = Vec::new();
    let refused = (0..).find(|number| {
        random.fill(&mut value); // nothing that a file system could make smaller
        let status = put(&mut client, &format!("n{number}"), &value).status;
        match status {
            201 => acknowledged.push(*number),
            503 | 504 => return true,
            other => panic!("{other}"),
        }
        false
    });
    println!("refused: the {}th", refused.unwrap());
    eventually("reads go on, while it is opened again", || {
        let read = client.get("/kv/before");
        assert!(
            read.status == 200 || read.text().contains("try_again"),
            "{}",
            read.text()
        );
        read.status == 200
    });
    std::fs::remove_file(&filler).unwrap();
    let began = Instant::now();
    while put(&mut client, "after", b"2").status >= 500 {
        assert!(began.elapsed() < 2 * PATIENCE, "never again");
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("written again after {:?}", began.elapsed());
    for number in acknowledged {
        assert_eq!(
            client.get(&format!("/kv/n{number}")).status,
            200,
            "{number}"
        );
    }
    server.terminate();
    assert!(server.ended().success());
}
