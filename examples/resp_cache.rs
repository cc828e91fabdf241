//! A cache for the clients of Redis: a store in memory behind the Redis protocol.
//!
//! Try it: `redis-cli -p 6399`, `redis-benchmark -p 6399 -t get,set -P 16 -q`.

mod support;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use support::client::Client;
use support::{Example, Timeline, terminate};
use trine::resp::RespServer;
use trine::storage::memory::{Memory, Options};
use trine::storage::{StorageUnit, UnitOptions};
use trine::{EventLoop, Signal, Sources};

fn main() -> trine::Result<ExitCode> {
    let example = Example::from_arguments("A cache for the clients of Redis.", "127.0.0.1:6399");
    let memory = Memory::new(Options::default());
    let unit = StorageUnit::start(Box::new(memory), UnitOptions::default());
    let unit = unit.expect("a store in memory needs no thread");

    let mut event_loop = EventLoop::new()?;
    unit.maintain_on(&mut event_loop)?;
    let server = RespServer::bind(example.listen)?;
    example.begin(server.local_address(), demo);
    server.attach(&mut event_loop, unit)?;
    event_loop.drain_on_signals([Signal::TERM, Signal::INT], Duration::from_secs(20))?;
    event_loop.run(&mut ())?;
    Ok(example.verdict())
}

/// What is said, and the lines that come back.
const DIALOGUE: [(&str, &[&str]); 7] = [
    ("SET tea Assam PX 50", &["+OK"]),
    ("GET tea", &["$5", "Assam"]),
    ("SET tea Darjeeling NX", &["$-1"]),
    ("INCRBY cups 3", &[":3"]),
    (
        "MGET tea cups milk",
        &["*3", "$5", "Assam", "$1", "3", "$-1"],
    ),
    (
        "BREW tea",
        &["-ERR unknown command 'BREW', with args beginning with: 'tea'"],
    ),
    ("EXISTS tea cups", &[":2"]),
];

fn demo(address: SocketAddr, timeline: &Timeline) -> io::Result<()> {
    let mut client = Client::connect(address)?;
    // All at once: the replies come in the same order.
    let lines: Vec<String> = DIALOGUE
        .iter()
        .map(|(line, _)| format!("{line}\r\n"))
        .collect();
    client.send(&lines.concat())?;
    for (line, expected) in DIALOGUE {
        let mut reply = Vec::new();
        for _ in expected {
            reply.push(client.line()?);
        }
        timeline.check(
            reply == expected,
            format_args!("{line}: {}", reply.join(" ")),
        );
    }
    sleep(Duration::from_millis(60));
    client.send("GET tea\r\nQUIT\r\n")?;
    timeline.check(client.line()? == "$-1", "the tea is cold after 50 ms");
    timeline.check(client.line()? == "+OK", "QUIT is answered");
    terminate()
}
