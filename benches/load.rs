//! A blind client: keeps connections busy with one constant request and counts the octets that
//! come back.
//!
//! `load ADDRESS CONNECTIONS REQUESTS DEPTH` sends DEPTH requests at a time on each of CONNECTIONS
//! connections, in rounds, until at least REQUESTS are answered, and prints how many were and how
//! long it took. It parses one answer to learn its length, so it costs far less than the server
//! it drives; all answers must be of that length, as the same request's are. Blocking sockets and
//! rounds make the server's counts repeatable: each round finds every connection waiting.

use std::env;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// 40 octets, whatever the port.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

/// A server that has nothing to say for so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

struct Load {
    address: SocketAddr,
    connections: usize,
    requests: usize,
    depth: usize,
}

fn main() -> ExitCode {
    match arguments().and_then(|load| run(&load)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load ADDRESS CONNECTIONS REQUESTS DEPTH: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Load, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, connections, requests, depth] = &arguments[..] else {
        return Err("four arguments are needed".into());
    };
    Ok(Load {
        address: address.parse()?,
        connections: connections.parse()?,
        requests: requests.parse()?,
        depth: depth.parse()?,
    })
}

fn run(load: &Load) -> Result<(), Box<dyn Error>> {
    let mut streams = Vec::new();
    for _ in 0..load.connections {
        let stream = TcpStream::connect(load.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        streams.push(stream);
    }
    let answer_len = learn(&mut streams[0])?;
    let batch = REQUEST.repeat(load.depth);
    let mut answers = vec![0; answer_len * load.depth];
    let began = Instant::now();
    let mut done = 0;
    while done < load.requests {
        for stream in &mut streams {
            stream.write_all(&batch)?;
        }
        for stream in &mut streams {
            stream.read_exact(&mut answers)?;
        }
        done += load.connections * load.depth;
    }
    let took = began.elapsed();
    println!("{} requests in {:.3} s", done + 1, took.as_secs_f64());
    Ok(())
}

/// Makes one request; how many octets the answer has.
fn learn(stream: &mut TcpStream) -> io::Result<usize> {
    stream.write_all(REQUEST)?;
    let mut answer = Vec::new();
    let mut octet = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut octet)?;
        answer.push(octet[0]);
    }
    let head = String::from_utf8_lossy(&answer).to_lowercase();
    let mut lengths = head
        .lines()
        .filter_map(|line| line.strip_prefix("content-length: "));
    let length: Option<usize> = lengths.next().and_then(|text| text.trim().parse().ok());
    let length = length.ok_or_else(|| io::Error::other("an answer without a length"))?;
    let mut content = vec![0; length];
    stream.read_exact(&mut content)?;
    Ok(answer.len() + length)
}
