//! What an idle connection costs by operations: who waits for bytes holds no buffer, in the kernel's hands
//! either.
//!
//! This file has one test, because the counters are those of the process.

use std::alloc::System;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use trine::proactor::{Pattern, ProactorOptions};
use trine::service::respond;
use trine::{EventLoop, Response, Server};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CONNECTIONS: usize = 1_024;
/// In bytes: the connection, its sources, its descriptor and its operation; far from any buffer.
const EACH_MAX: usize = 1_500;

fn in_use() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// A client that has had an answer and keeps its connection.
fn served(address: SocketAddr, event_loop: &mut EventLoop<()>) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nonblocking(true).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    for _ in 0..1_000_000 {
        let _ = event_loop.turn_now(&mut ()).unwrap();
        match stream.read(&mut [0; 1024]) {
            Ok(len) => {
                assert!(len > 0, "closed");
                return stream;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    panic!("no answer");
}

#[test]
fn an_idle_connection_holds_no_buffer_by_operations_either() {
    let patterns: &[Pattern] = match cfg!(feature = "io-uring") {
        true => &[Pattern::Emulated, Pattern::IoUring],
        false => &[Pattern::Emulated],
    };
    for pattern in patterns {
        let mut event_loop: EventLoop<()> = EventLoop::new().unwrap();
        let server = Server::bind("127.0.0.1:0").unwrap();
        let address = server.local_address().unwrap();
        let server = server
            .connections_max(2 * CONNECTIONS)
            .proactor(ProactorOptions {
                pattern: *pattern,
                buffers: 16,
                ..ProactorOptions::default()
            });
        let hello = respond(|_| Response::text("Hello, World!"));
        server.attach(&mut event_loop, hello).unwrap();
        let warm: Vec<_> = (0..16).map(|_| served(address, &mut event_loop)).collect();
        let before = in_use();
        let idle: Vec<_> = (0..CONNECTIONS)
            .map(|_| served(address, &mut event_loop))
            .collect();
        for _ in 0..10 {
            let _ = event_loop.turn_now(&mut ()).unwrap();
        }
        let each = (in_use() - before) / CONNECTIONS;
        println!("{pattern:?}: {each} bytes for each idle connection");
        assert!(each <= EACH_MAX, "{pattern:?}: {each} bytes");
        drop((warm, idle));
    }
}
