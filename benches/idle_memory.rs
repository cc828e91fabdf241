//! What an idle connection costs in memory: 10,000 keep-alive connections which have made one
//! request each, in a server process of their own.
//!
//! Prints, for each connection, the growth of the process's private dirty pages (what the kernel
//! had to give it) and of the bytes its allocator has handed out. The kernel's own memory for a
//! socket is not in it. The growth is taken against a server that has served some connections at
//! once before, so that buffers and start-up drop out.

use std::alloc::System;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use trine::{Response, Server};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CONNECTIONS: usize = 10_000;
/// In bytes for each connection, its timer included.
const TARGET: usize = 160;
/// Connections that have made a request at the same time before the measurement.
const WARM: usize = 64;

fn main() -> ExitCode {
    let result = match std::env::args().nth(1).as_deref() {
        Some("server") => serve(),
        _ => measure(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("idle_memory: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), Box<dyn Error>> {
    let server = Server::bind("127.0.0.1:0")?
        .connections_max(CONNECTIONS + WARM + 1)
        .idle_timeout(Duration::from_secs(600));
    println!("{}", server.local_address().ok_or("no address")?);
    server.serve(|request| match request.path() {
        "/in_use" => {
            let stats = ALLOCATOR.stats();
            let in_use = stats.bytes_allocated - stats.bytes_deallocated;
            Response::text(format!("{in_use:>20}"))
        }
        _ => Response::text("Hello, World!"),
    })?;
    Ok(())
}

/// Ends the server however the measurement ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

fn measure() -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    let mut server = Running(command.arg("server").stdout(Stdio::piped()).spawn()?);
    let mut address = String::new();
    let output = server.0.stdout.take().ok_or("no output")?;
    BufReader::new(output).read_line(&mut address)?;
    let address: SocketAddr = address.trim().parse()?;
    let mut asker = TcpStream::connect(address)?;

    let mut warm: Vec<TcpStream> = Vec::new();
    for _ in 0..WARM {
        warm.push(TcpStream::connect(address)?);
    }
    for stream in &mut warm {
        stream.write_all(REQUEST)?;
    }
    for stream in &mut warm {
        answer(stream)?;
    }
    let before = (private_dirty(server.0.id())?, in_use(&mut asker)?);

    let mut idle: Vec<TcpStream> = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(REQUEST)?;
        answer(&mut stream)?;
        idle.push(stream);
    }
    let after = (private_dirty(server.0.id())?, in_use(&mut asker)?);

    let each =
        |before: usize, after: usize| (after.saturating_sub(before)) as f64 / CONNECTIONS as f64;
    println!("{CONNECTIONS} idle connections, bytes each (target: at most {TARGET})");
    println!("private dirty memory: {:.1}", each(before.0, after.0));
    println!(
        "handed out by the allocator: {:.1}",
        each(before.1, after.1)
    );
    if each(before.0, after.0) > TARGET as f64 {
        return Err("above the target".into());
    }
    Ok(())
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

/// Reads one answer; its content.
fn answer(stream: &mut TcpStream) -> Result<String, Box<dyn Error>> {
    let mut received = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let len = stream.read(&mut buffer)?;
        if len == 0 {
            return Err("the server closed".into());
        }
        received.extend_from_slice(&buffer[..len]);
        let text = String::from_utf8_lossy(&received);
        let Some((head, content)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let mut lines = head.lines();
        let length = lines.find_map(|line| line.strip_prefix("Content-Length: "));
        if content.len() >= length.ok_or("no length")?.parse()? {
            return Ok(content.to_owned());
        }
    }
}

fn in_use(stream: &mut TcpStream) -> Result<usize, Box<dyn Error>> {
    stream.write_all(b"GET /in_use HTTP/1.1\r\nHost: a\r\n\r\n")?;
    Ok(answer(stream)?.trim().parse()?)
}

/// In bytes, of the process.
fn private_dirty(process: u32) -> Result<usize, Box<dyn Error>> {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Private_Dirty:"));
    let kibibytes: usize = line
        .ok_or("no Private_Dirty")?
        .trim()
        .trim_end_matches(" kB")
        .parse()?;
    Ok(kibibytes * 1024)
}
