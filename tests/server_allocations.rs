//! What a request costs the allocator in the steady state: nothing.
//!
//! The server and its client share one thread, which turns the loop by hand, so all that the
//! allocator sees is theirs; the client's buffers are made before the count begins. This file has
//! one test, because the counters are those of the process. Its runner has a thread of its own
//! that may allocate at any moment, so each count is taken several times and the least of them is
//! the truth about what the server must do.

use std::alloc::System;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use trine::proactor::{Pattern, ProactorOptions};
use trine::service::respond;
use trine::{EventLoop, Response, Server};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

struct Peer {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Peer {
    fn connect(address: SocketAddr) -> Peer {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        Peer {
            stream,
            buffer: vec![0; 64 * 1024],
        }
    }

    /// Turns the loop until `len` octets of answers have come.
    fn await_octets(&mut self, event_loop: &mut EventLoop<()>, len: usize) {
        let mut got = 0;
        for _ in 0..1_000_000 {
            let _ = event_loop.turn_now(&mut ()).unwrap();
            match self.stream.read(&mut self.buffer) {
                Ok(0) => panic!("closed"),
                Ok(some) => got += some,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            if got >= len {
                assert_eq!(got, len);
                return;
            }
        }
        panic!("{got} of {len} octets");
    }
}

/// The least number of allocations that `rounds` of `work` need, of three counts.
fn allocations(rounds: usize, mut work: impl FnMut()) -> usize {
    let mut count = || {
        let region = Region::new(ALLOCATOR);
        (0..rounds).for_each(|_| work());
        let change = region.change();
        change.allocations + change.reallocations
    };
    (0..3).map(|_| count()).min().unwrap()
}

#[test]
fn a_request_in_the_steady_state_allocates_nothing() {
    allocates_nothing(None);
    allocates_nothing(Some(Pattern::Emulated));
    #[cfg(feature = "io-uring")]
    allocates_nothing(Some(Pattern::IoUring));
}

/// By operations that `pattern` does, or over the reactor.
fn allocates_nothing(pattern: Option<Pattern>) {
    let mut event_loop: EventLoop<()> = EventLoop::new().unwrap();
    let mut server = Server::bind("127.0.0.1:0").unwrap();
    if let Some(pattern) = pattern {
        server = server.proactor(ProactorOptions {
            pattern,
            ..ProactorOptions::default()
        });
    }
    server.config_mut().requests_per_connection_max = u32::MAX;
    let address = server.local_address().unwrap();
    let hello = respond(|request| match request.path() {
        "/" => Response::text("Hello, World!"),
        _ => Response::not_found(),
    });
    server.attach(&mut event_loop, hello).unwrap();
    let mut peers: Vec<Peer> = (0..20).map(|_| Peer::connect(address)).collect();

    // The length of an answer, and the first use of everything that is kept.
    peers[0].stream.write_all(GET).unwrap();
    let len = loop {
        let _ = event_loop.turn_now(&mut ()).unwrap();
        let Peer { stream, buffer } = &mut peers[0];
        if let Ok(len) = stream.read(buffer) {
            break len;
        }
    };
    let fields = "Accept: */*\r\nUser-Agent: a-client/1.0 (of some length)\r\n".repeat(4);
    let batches = [
        ("a request", GET.to_vec(), 1),
        ("16 pipelined requests", GET.repeat(16), 16),
        (
            "a request with fields",
            format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n").into_bytes(),
            1,
        ),
        (
            "a request with a body",
            b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello".to_vec(),
            1,
        ),
        (
            "a request with a chunked body",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
                .to_vec(),
            1,
        ),
    ];
    for (name, batch, answers) in &batches {
        let mut round = || {
            for peer in &mut peers {
                peer.stream.write_all(batch).unwrap();
            }
            for peer in &mut peers {
                peer.await_octets(&mut event_loop, answers * len);
            }
        };
        (0..20).for_each(|_| round()); // warm
        assert_eq!(
            allocations(50, &mut round),
            0,
            "{name}, 1,000 times, {pattern:?}"
        );
    }
}
