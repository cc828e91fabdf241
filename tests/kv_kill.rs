//! The key-value server killed under load, again and again: no acknowledged write is lost.
//!
//! `KV_KILL_ROUNDS` says how often; `.ci/kv` says 200.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use support::PATIENCE;
use support::program::{Folder, Program, a_while, rounds};

const CLIENTS: usize = 8;

/// Writes keys `client-0`, `client-1`, ... from `first` on until the server is gone, each with its own
/// name as the value. Returns the first that was not acknowledged.
fn write_until_killed(address: SocketAddr, client: usize, first: u64, end: &AtomicBool) -> u64 {
    let mut next = first;
    let Ok(mut stream) = TcpStream::connect(address) else {
        return next;
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    while !end.load(Ordering::Relaxed) {
        let key = format!("{client}-{next}");
        let length = key.len();
        let request =
            format!("PUT /kv/{key} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{key}");
        let mut answer = [0; 512];
        let sent = stream.write_all(request.as_bytes());
        match sent.and_then(|()| stream.read(&mut answer)) {
            Ok(len) if answer[..len].starts_with(b"HTTP/1.1 20") => next += 1,
            Ok(0) | Err(_) => break, // killed
            Ok(len) => panic!("{}", String::from_utf8_lossy(&answer[..len])),
        }
    }
    next
}

#[test]
fn no_acknowledged_write_is_lost_when_the_server_is_killed() {
    let folder = Folder::new("kv-kill");
    let store = format!("durable:{}", folder.path("store"));
    let mut random = fastrand::Rng::with_seed(11);
    let acknowledged = Arc::new(Mutex::new([0; CLIENTS]));
    let mut checked = [0; CLIENTS];
    for round in 0..rounds("KV_KILL_ROUNDS", 5) {
        let server = Program::start("kv", &["--store", &store]).ready();
        check(&server, &mut checked, *acknowledged.lock().unwrap(), round);
        let end = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (acknowledged, end) = (Arc::clone(&acknowledged), Arc::clone(&end));
                let (address, first) = (server.address(), checked[client]);
                thread::spawn(move || {
                    let next = write_until_killed(address, client, first, &end);
                    acknowledged.lock().unwrap()[client] = next;
                })
            })
            .collect();
        thread::sleep(a_while(&mut random, 20..150));
        server.kill();
        end.store(true, Ordering::Relaxed);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    }
    let server = Program::start("kv", &["--store", &store]).ready();
    let acknowledged = *acknowledged.lock().unwrap();
    check(&server, &mut checked, acknowledged, u32::MAX);
    println!(
        "acknowledged and found: {} writes",
        acknowledged.iter().sum::<u64>()
    );
    assert!(
        acknowledged.iter().all(|count| *count > 0),
        "{acknowledged:?}"
    );
}

/// All that was acknowledged since the last check is there. The one write of each client that was under
/// way may be there or not; the next round begins with it.
fn check(server: &Program, checked: &mut [u64; CLIENTS], acknowledged: [u64; CLIENTS], round: u32) {
    let mut reader = server.client();
    for client in 0..CLIENTS {
        for number in checked[client].saturating_sub(1)..acknowledged[client] {
            let key = format!("{client}-{number}");
            let answer = reader_get(&mut reader, server, &key);
            assert_eq!(answer, key, "round {round}");
        }
    }
    *checked = acknowledged;
}

fn reader_get(reader: &mut support::client::Client, server: &Program, key: &str) -> String {
    reader.send(format!("GET /kv/{key} HTTP/1.1\r\nHost: a\r\n\r\n"));
    let answer = reader.answer();
    if answer.says("Connection: close") {
        *reader = server.client(); // it has made its thousand requests
    }
    String::from_utf8(answer.body).unwrap()
}
